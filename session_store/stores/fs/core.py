"""
The file store, synchronous: `FsStore` and `session_store.blocking` both stand on it.

How one append goes, and why in this order, is told in docs/DESIGN.md.
"""

import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from ...chain import Draft, fork_head, root_head
from ...entries import Durability, Position, Receipt
from ...errors import (
    AlreadyExists,
    Corrupt,
    DurabilityLost,
    HasForks,
    Locked,
    NotFound,
    StoreFull,
    UnsafePath,
)
from ...ids import SessionId, parse_session_id
from ..protocol import Cursor, Expected, Repair
from . import erasing, forks
from .appending import append_lines
from .birth import WholeBirth, born_in_place, make_and_lock
from .deletion import begin_delete, finish_delete
from .files import Files, SyncFailed
from .keys import claim_key
from .listing import session_ids
from .log import FULL, Log, Written
from .logs import Logs
from .parents import prepared_parent
from .pending import load
from .reading import FsReading
from .recovery import mark_lost, notice_mark, settle
from .repairing import repair
from .requests import Place, Request
from .root import open_root
from .traces import append_trace

LOCK_TIMEOUT_S = 5.0


class FsCore(FsReading):
    """
    Logs as files below one directory.

    Args:
        durability: What an append that does not say reaches.
        open_files_max: Descriptors kept open for appends; sessions may be many more. None is
            at most 128, and a quarter of what the process may have.

    Concurrency: any threads, any processes. After os.fork the child begins with
        files and locks of its own.
    """

    def __init__(
        self,
        files: Files,
        *,
        durability: Durability = "disk",
        create: bool = True,
        network_fs: bool = False,
        shared_group: bool = False,
        masked: str | None = None,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
        open_files_max: int | None = None,
    ) -> None:
        self.info = open_root(
            files,
            create=create,
            network_fs=network_fs,
            shared_group=shared_group,
            masked=masked,
        )
        super().__init__(files, allow_masked=self.info.masked is not None)
        self.durability: Durability = durability
        self.lock_timeout_s = lock_timeout_s
        self._logs = Logs(files, allow_masked=self.allow_masked, open_max=open_files_max)
        self.open_files_max = self._logs.open_max
        if hasattr(os, "register_at_fork"):
            this = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _after_fork(this))

    # -- logs in this process ----------------------------------------------------------------

    def log(self, session_id: SessionId) -> Log:
        """
        Return this process's view of a log, whether the log exists or not.

        Raises:
            InvalidId, Closed.
        """
        self.check_open()
        return self._logs.get(session_id)

    @contextmanager
    def locked(self, target: Log) -> Iterator[None]:
        """Hold the append lock of a log; errors as for `Log.lock` and `judged`."""
        target.lock(self.lock_timeout_s)
        try:
            with self.judged(target):
                self.check_id(target.session_id)
                yield
        finally:
            target.unlock()

    @contextmanager
    def made(self, target: Log) -> Iterator[None]:
        """Hold the append lock of a log that is about to be born; errors as for `locked`."""
        with self.judged(target):
            make_and_lock(target, self.lock_timeout_s)
            try:
                try:
                    self.check_id(target.session_id)
                except NotFound:
                    # Deleted while this creator was on its way; what it made is empty.
                    self.files.unlink(target.path)
                    raise
                yield
            finally:
                target.unlock()

    @contextmanager
    def judged(self, target: Log) -> Iterator[None]:
        """Say what an error of the system means for *target*: no room, a failed sync, a trap."""
        try:
            yield
        except SyncFailed as error:
            raise mark_lost(target, target.lose(error), self.lock_timeout_s) from error
        except NotADirectoryError as error:
            raise UnsafePath(
                self.files.name(str(error.filename)), "is a link or no directory"
            ) from error
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise StoreFull(f"{target.name}: {error.strerror}; nothing was appended") from error

    def level(self, asked: Durability | None) -> Durability:
        """Return the level that an append shall reach and may claim."""
        wanted = asked or self.durability
        if wanted not in ("disk", "os"):
            raise ValueError(f"durability is 'disk' or 'os', not {wanted!r}")
        return "os" if self.info.best == "os" else wanted

    # -- birth ---------------------------------------------------------------------------------

    def create(
        self,
        session_id: SessionId,
        drafts: Sequence[Draft],
        *,
        parent: Position | None = None,
        key: str | None = None,
        durability: Durability | None = None,
    ) -> Receipt:
        target = self.log(self.check_id(session_id))
        level = self.level(durability)
        while True:
            with self._claimed(key, target):
                written = self._give_birth(target, drafts, parent)
            if level == "os" or self.sync(target, written):
                return written.receipt(level)

    def _give_birth(self, target: Log, drafts: Sequence[Draft], parent: Position | None) -> Written:
        if parent is None:
            with self.made(target):
                return born_in_place(target, drafts, root_head(target.session_id))
        with prepared_parent(self, parent, target.session_id), self.made(target):
            return born_in_place(target, drafts, fork_head(target.session_id, parent))

    def begin_whole(self, session_id: SessionId, parent: Position | None = None) -> WholeBirth:
        """Begin a log that is invisible until `publish_whole`."""
        target = self.log(self.check_id(session_id))
        if self.is_born(session_id):
            raise AlreadyExists(f"{target.name}: the session exists", session_id=session_id)
        with self.judged(target):
            return WholeBirth(target, parent, timeout_s=self.lock_timeout_s)

    def add_whole(self, birth: WholeBirth, appends: Iterable[Sequence[Draft]]) -> None:
        with self.judged(birth.target):
            birth.add(appends, self.files.clock.now_ms())

    def publish_whole(self, birth: WholeBirth, key: str | None) -> Receipt:
        with self._claimed(key, birth.target):
            if birth.parent is None:
                return birth.publish(self.check_id).receipt(self.info.best)
            with prepared_parent(self, birth.parent, birth.target.session_id):
                return birth.publish(self.check_id).receipt(self.info.best)

    @contextmanager
    def _claimed(self, key: str | None, target: Log) -> Iterator[None]:
        """Hold *key*, if there is one, for a session about to be born; errors as for `judged`."""
        with self.judged(target):
            if key is None:
                yield
                return
            with claim_key(
                self.files,
                key,
                target.session_id,
                is_born=self.is_born,
                wait=self._wait("the keys"),
            ):
                yield

    # -- append --------------------------------------------------------------------------------

    def request(
        self,
        session_id: SessionId,
        drafts: Sequence[Draft],
        *,
        expected: Expected | None = None,
        cursor: Cursor | None = None,
        floor: Position | None = None,
        durability: Durability | None = None,
    ) -> Request:
        """
        Return an append that was not tried yet.

        Raises:
            TypeError: It names neither a cursor nor what it expects.
            ValueError: It has no drafts, or asks for no level there is.
        """
        if cursor is None and expected is None:
            raise TypeError("an append needs a cursor, or what it expects")
        if not drafts:
            raise ValueError("an append has at least one record")
        if cursor is None:
            log = self.log(session_id)
        else:
            self.check_open()
            log = cursor.place.log
            self._logs.use(log)
        deadline = self.files.clock.monotonic_s() + self.lock_timeout_s
        level = self.level(durability)
        return Request(log, drafts, level, deadline, expected, cursor, floor)

    def append(
        self,
        session_id: SessionId,
        drafts: Sequence[Draft],
        *,
        expected: Expected | None = None,
        cursor: Cursor | None = None,
        floor: Position | None = None,
        durability: Durability | None = None,
    ) -> Receipt:
        request = self.request(
            session_id,
            drafts,
            expected=expected,
            cursor=cursor,
            floor=floor,
            durability=durability,
        )
        while request.receipt is None:
            request.log.lock(self.lock_timeout_s)
            try:
                written = self.write(request)
            finally:
                request.log.unlock()
            self.complete(request, written)
        return request.receipt

    def write(self, request: Request) -> Written:
        """Make one attempt; wants the log's lock."""
        try:
            return request.attempt()
        except OSError:
            with self.judged(request.log):
                raise

    def complete(self, request: Request, written: Written) -> bool:
        """
        Bring an append to its level; False if the file was replaced: attempt it again.

        One that was handed in behind another of its handle waits for it, and fails with its error.
        """
        behind = request.behind
        if behind is not None and behind.error is not None:
            raise behind.error
        if behind is not None and not behind.is_settled:
            return False
        if request.level == "disk" and not self.sync(request.log, written):
            return False
        request.succeed(written, request.level)
        return True

    def sync(self, target: Log, written: Written) -> bool:
        """Bring a log to the device up to *written*; a failure is marked for other processes."""
        era = target.era
        try:
            return target.sync(written)
        except DurabilityLost as lost:
            if target.era == era:
                raise
            raise mark_lost(target, lost, self.lock_timeout_s) from lost.__cause__

    def append_lines(self, session_id: SessionId, lines: bytes) -> Receipt:
        return append_lines(self, self.check_id(session_id), lines)

    def open(self, session_id: SessionId, *, shared: bool = False) -> Cursor:
        reader = self.reader(session_id)
        head = reader.head()
        target = self.log(session_id)
        target.link.see(reader.inode)
        # The handle is younger than a failed sync that a mark tells of: it may see it healed.
        is_marked = notice_mark(target, load(self.files, target.session_id))
        pardons = int(is_marked or target.heal_due)
        return Cursor(head, head, shared, Place(target, target.era, head, pardons))

    def flush(self, session_id: SessionId, *, cursor: Cursor | None = None) -> Receipt:
        target = self.log(self.check_id(session_id))
        while True:
            with self.locked(target):
                if cursor is not None:
                    cursor.place.settle()
                tip = settle(target)
                if not tip.is_born:
                    raise NotFound(f"{target.name}: the session was never born")
                written = target.written(tip.head, tip.tail.offset)
            if self.sync(target, written):
                return written.receipt(self.info.best)

    # -- the rest ------------------------------------------------------------------------------

    def saw(self, session_id: SessionId, damage: Corrupt) -> None:
        """Refuse appends from here on, until the damage is repaired."""
        target = self.log(session_id)
        target.damage, target.damage_at = damage.anew(), None

    def delete(self, session_id: SessionId) -> None:
        session_id = parse_session_id(session_id)
        self._complete_markers()
        if session_id in self._tombstones:
            finish_delete(self.files, session_id)
            return
        target = self.log(session_id)
        with self.locked(target):
            if not self.is_born(session_id):
                raise NotFound(f"{target.name}: the session was never born")
            children = self.children(session_id)
            if children:
                raise HasForks(session_id, children=children)
            begin_delete(self.files, session_id, self.parent_of(session_id))
            finish_delete(self.files, session_id)
        self._logs.drop(target)

    def _complete_markers(self) -> None:
        if not forks.is_complete(self.files):
            forks.rebuild(self.files, list(session_ids(self.files)), self.parent_of)

    def repair(self, session_id: SessionId) -> Repair:
        target = self.log(self.check_id(session_id))
        with self.locked(target):
            return repair(target)

    erase = erasing.erase

    def append_trace(self, session_id: SessionId, data: bytes) -> int:
        return append_trace(self.files, self.check_id(session_id), data)

    def close(self) -> None:
        self._closed = True
        self._logs.close()

    def _wait(self, what: str) -> Callable[[Callable[[], bool]], None]:
        def wait(attempt: Callable[[], bool]) -> None:
            clock = self.files.clock
            deadline = clock.monotonic_s() + self.lock_timeout_s
            while not attempt():
                if clock.monotonic_s() >= deadline:
                    raise Locked(what, waited_s=self.lock_timeout_s)
                clock.sleep(0.001)

        return wait

    def after_fork(self) -> None:
        """Begin anew in the child of os.fork; what the parent had queued stays the parent's."""
        self.files.after_fork()
        self._tombstones.after_fork()
        self._logs.after_fork()


def _after_fork(this: "weakref.ref[FsCore]") -> None:
    core = this()
    if core is not None:
        core.after_fork()
