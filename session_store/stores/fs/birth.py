"""How a log comes into being: by its first append in place, or whole from a temporary file."""

from collections.abc import Callable, Iterable, Sequence

from ...chain import Draft, Head, fork_head, link, root_head
from ...entries import Position
from ...errors import AlreadyExists, Locked, NotFound
from ...ids import SessionId
from . import layout
from .directories import ensure_directory
from .finding import first_append
from .log import Log, Written
from .opening import open_log
from .quarantine import write_all
from .recovery import quarantine_unborn, settle


def make_and_lock(target: Log, timeout_s: float) -> None:
    """
    Take the log, its file made empty if there is none.

    Raises:
        Locked: It was not free within *timeout_s*.
    """
    ensure_directory(target.files, layout.hour_directory(target.session_id))
    while True:
        open_log(target.files, target.path, write=True, create=True)
        try:
            target.lock(timeout_s)
        except NotFound:
            continue  # Unlinked in this moment, for a whole copy or by a delete.
        return


def born_in_place(target: Log, drafts: Sequence[Draft], head: Head) -> Written:
    """
    Let *drafts* be the first append of a log. Wants the lock.

    A file that a crash left unborn is taken over, what is in it quarantined.

    Raises:
        AlreadyExists: The session is born, and not of these drafts.
    """
    if settle(target).is_born:
        return _already(target, drafts)
    quarantine_unborn(target)
    target.refresh()
    return target.append(drafts, after=head)


def _already(target: Log, drafts: Sequence[Draft]) -> Written:
    """A creation tried again finds its own drafts."""
    records = first_append(target)
    if [(r.kind, r.digest) for r in records] != [(d.kind, d.digest) for d in drafts]:
        raise AlreadyExists(f"{target.name}: the session exists", session_id=target.session_id)
    last = records[-1]
    return target.written(Head(target.session_id, last.seq, last.ts, last.hash), last.end)


class WholeBirth:
    """
    A log of many appends, invisible until all of it is on disk.

    Raises:
        AlreadyExists: At the beginning or at `publish`: the session is born.
        Locked: Another process is making the same session.
    """

    def __init__(self, target: Log, parent: Position | None, *, timeout_s: float) -> None:
        self.target = target
        self.parent = parent
        self._timeout_s = timeout_s
        self._temp = layout.temp_path(target.session_id)
        sid = target.session_id
        self._head = root_head(sid) if parent is None else fork_head(sid, parent)
        self._size = 0
        files = target.files
        ensure_directory(files, layout.hour_directory(target.session_id))
        self._file = files.open(self._temp, write=True, create=True)
        try:
            found = files.stat(self._temp) if files.try_lock(self._file) else None
            # Whoever was here before may have made the file that we opened the log itself.
            if found is None or found.inode != self._file.inode or found.links > 1:
                raise Locked(files.name(self._temp), waited_s=0)
            files.truncate(self._file, 0)
        except BaseException:
            self._file.close()  # Or its lock would last as long as somebody holds this exception.
            raise

    def add(self, appends: Iterable[Sequence[Draft]], ts: int) -> None:
        """Write *appends*; *ts* is for the drafts that carry none."""
        for drafts in appends:
            data, self._head = link(self._head, ts, drafts)
            write_all(self.target.files, self._file, data)
            self._size += len(data)

    def publish(self, check: Callable[[SessionId], object]) -> Written:
        """
        Let the log be seen.

        Args:
            check: Raises NotFound if the id was deleted meanwhile; nothing is left then.

        Durability: on disk, with its name.
        """
        target, files = self.target, self.target.files
        if self._head.seq < 0:
            raise ValueError("a log begins with at least one append")
        files.sync(self._file)
        while not self._link():
            self._make_room()
        try:
            files.unlink(self._temp)
            try:
                check(target.session_id)  # Under its lock: no delete can come in between any more.
            except NotFound:
                files.unlink(target.path)
                raise
            for directory in layout.parents(target.path):
                files.sync_directory(directory)
        finally:
            files.unlock(self._file)
        return Written(self._head, self._size, self._file, target.era)

    def _link(self) -> bool:
        try:
            self.target.files.link(self._temp, self.target.path)
        except FileExistsError:
            return False
        return True

    def _make_room(self) -> None:
        """Take an unborn file out of the way; it may be gone by itself."""
        target = self.target
        try:
            target.lock(self._timeout_s)
        except NotFound:
            return
        try:
            if target.refresh().is_born:
                raise AlreadyExists(
                    f"{target.name}: the session exists", session_id=target.session_id
                )
            quarantine_unborn(target)
            target.files.unlink(target.path)
        finally:
            target.unlock()

    def abort(self) -> None:
        """Leave nothing behind; nothing is left where the log was published."""
        files = self.target.files
        found = files.stat(self._temp)
        if found is not None and found.inode == self._file.inode:
            files.unlink(self._temp)
        self._file.close()
