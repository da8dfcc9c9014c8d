"""What readers of the file store may ask: nothing here writes, and nothing locks."""

from collections.abc import Iterator, Sequence

from ...chain import Record
from ...entries import Position, SessionOrigin
from ...errors import Closed, Corrupt, NotFound, UnsafePath, Unsupported
from ...ids import SessionId, parse_session_id
from ...redacted import Named
from ..protocol import SessionInfo
from . import forks
from .files import Files
from .keys import find_key
from .listing import list_sessions, session_ids
from .reader import Follower, Reader
from .remembered import Remembered
from .tombstones import Tombstones
from .traces import read_trace


class FsReading:
    """
    The reading half of the file store.

    Args:
        allow_masked: The store is a masked replica.
    """

    def __init__(self, files: Files, *, allow_masked: bool) -> None:
        self.files = files
        self.allow_masked = allow_masked
        self._tombstones = Tombstones(files)
        self._remembered = Remembered()
        self._closed = False

    @property
    def is_closed(self) -> bool:
        return self._closed

    def check_open(self) -> None:
        """Raise Closed if the store was closed."""
        if self._closed:
            raise Closed("the store is closed")

    def check_id(self, session_id: SessionId) -> SessionId:
        """
        Return *session_id* if it may name a session.

        Raises:
            InvalidId.
            NotFound: The session was deleted.
        """
        session_id = parse_session_id(session_id)
        if session_id in self._tombstones:
            raise NotFound(f"{session_id}: the session was deleted")
        return session_id

    def is_deleted(self, session_id: SessionId) -> bool:
        """Return whether the session has a tombstone."""
        return parse_session_id(session_id) in self._tombstones

    def reader(self, session_id: SessionId) -> Reader:
        self.check_open()
        return Reader(
            self.files,
            self.check_id(session_id),
            allow_masked=self.allow_masked,
            remembered=self._remembered,
        )

    def head(self, session_id: SessionId) -> Position:
        return self.reader(session_id).head()

    def is_born(self, session_id: SessionId) -> bool:
        """Return whether the session exists for readers; damage does not make it unborn."""
        try:
            self.head(session_id)
        except NotFound:
            return False
        except (Corrupt, Unsupported, UnsafePath):
            return True
        return True

    def read(
        self, session_id: SessionId, start: int = 0, stop: int | None = None
    ) -> Iterator[Sequence[Record]]:
        try:
            yield from self.reader(session_id).records(start, stop)
        except Corrupt as damage:
            self.saw(session_id, damage)
            raise

    def saw(self, session_id: SessionId, damage: Corrupt) -> None:
        """Take note of *damage* that a reader has met."""

    def raw(self, session_id: SessionId) -> Iterator[bytes]:
        return self.reader(session_id).raw()

    def follower(self, session_id: SessionId, start: int) -> Follower:
        session_id = self.check_id(session_id)
        return Follower(
            self.files,
            session_id,
            start,
            allow_masked=self.allow_masked,
            check=lambda: self.check_id(session_id),
        )

    def record(self, session_id: SessionId, seq: int) -> Record:
        return self.reader(session_id).record(seq)

    def position(self, session_id: SessionId, seq: int) -> Position:
        return self.reader(session_id).position(seq)

    def origin(self, session_id: SessionId) -> SessionOrigin:
        return self.reader(session_id).origin()

    def redactions(self, session_id: SessionId) -> Named:
        return self.reader(session_id).redactions()

    def list(self, *, before: SessionId | None = None, limit: int = 100) -> Sequence[SessionInfo]:
        def is_listed(session_id: SessionId) -> bool:
            return session_id not in self._tombstones and self.is_born(session_id)

        return list_sessions(self.files, before=before, limit=limit, is_listed=is_listed)

    def find(self, key: str) -> SessionId | None:
        found = find_key(self.files, key)
        return found if found is not None and self.is_born(found) else None

    def children(self, session_id: SessionId) -> Sequence[SessionId]:
        session_id = parse_session_id(session_id)
        if forks.is_complete(self.files):
            marked = forks.marked_children(self.files, session_id)
            return [child for child in marked if self.is_born(child)]
        ids = sorted(session_ids(self.files))
        return [child for child in ids if self.parent_of(child) == session_id]

    def parent_of(self, session_id: SessionId) -> SessionId | None:
        """Return the session that *session_id* was forked from by reference, as its first line says."""
        try:
            first = self.reader(session_id).first()
        except (NotFound, Corrupt, Unsupported, UnsafePath):
            return None
        return None if first is None else first.session_id

    def read_trace(self, session_id: SessionId) -> Iterator[bytes]:
        return read_trace(self.files, self.check_id(session_id))
