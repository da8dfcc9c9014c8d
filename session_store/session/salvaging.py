"""Salvage: a new session with everything of a damaged one that can still be read."""

from collections.abc import AsyncIterator, Iterator
from os import urandom

from attrs import define, field, frozen

from ..chain import Draft, Invalid, Record, check_line, make_draft
from ..codec import draft
from ..entries import Extension, Json, Position, SessionStartState, UnknownEntry
from ..errors import Corrupt, NotFound
from ..ids import SessionId, new_session_id, parse_session_id
from ..limits import LINE_BYTES_MAX
from ..redacted import Named
from ..stores.protocol import Store
from ..values import decode
from .creating import open_session
from .handle import Drafts, Session
from .points import fork_parent
from .starting import start_drafts

SALVAGED = "session_store.salvaged"
"""Domain of the extensions that say what was left out, and at the end where all came from."""

_UPKEEP = frozenset({"redaction", "recovery", "seal"})


@frozen
class Gap:
    """Bytes that are no record: *length* of them, from *offset*."""

    offset: int
    length: int


async def salvage(store: Store, session_id: SessionId) -> Session:
    """
    Make a new session of all records of a damaged log that are self-consistent.

    The original is not changed. Where bytes were left out, an extension of the
    domain SALVAGED says which; records behind a gap stand for themselves: that
    nothing is missing between them is no longer proven. Of a fork by reference
    whose beginning and parent hold, the new session is such a fork too; of any
    other it is a root.

    Raises:
        NotFound: No such log, or nothing in it can be read.

    Durability: on disk.
    """
    session_id = parse_session_id(session_id)
    child = new_session_id()
    parent = await _parent(store, session_id)
    if parent is None or not await _salvage_fork(store, session_id, child, parent):
        await store.create_whole(child, _Copy(store, session_id, child).appends())
    return await open_session(store, child)


async def _parent(store: Store, session_id: SessionId) -> Position | None:
    try:
        return await fork_parent(store, session_id)
    except (Corrupt, NotFound):
        return None


async def _salvage_fork(
    store: Store, session_id: SessionId, child: SessionId, parent: Position
) -> bool:
    """Return False, with nothing made, if *parent* cannot be forked at."""
    appends = _Copy(store, session_id, child).appends()
    try:
        await store.create(child, await anext(appends), parent=parent, durability="disk")
    except (Corrupt, NotFound):
        return False
    session = await open_session(store, child)
    async for drafts in appends:
        await session.append_drafts(Drafts(tuple(drafts), session.head), durability="os")
    await session.flush()
    return True


@define
class _Copy:
    """What can be read of one log, on its way into another."""

    _store: Store
    _session_id: SessionId
    _child: SessionId
    _records: int = field(default=0, init=False)
    _gaps: int = field(default=0, init=False)

    async def appends(self) -> AsyncIterator[list[Draft]]:
        named = await self._store.redactions(self._session_id)
        async for found in _pieces(self._store, self._session_id):
            is_first = self._records + self._gaps == 0
            if isinstance(found, Gap):
                self._gaps += 1
                drafts = start_drafts(self._child, SessionStartState()) if is_first else []
                yield [*drafts, self._note(offset=found.offset, length=found.length)]
            else:
                self._records += 1
                yield self._copied(found, named, is_first=is_first)
        if self._records == 0:
            raise NotFound(f"{self._session_id}: nothing in the log can be read")
        yield [self._note(records=self._records, gaps=self._gaps)]

    def _copied(self, record: Record, named: Named, *, is_first: bool) -> list[Draft]:
        withheld = record.withheld is not None or (record.seq, record.digest) in named
        body = named.get((record.seq, record.digest)) if withheld else record.body
        content = _object(body)
        if record.kind == "session_start" and is_first:
            first = {**(content or {"format": 1}), "session_id": self._child}
            return [draft(UnknownEntry("session_start", first), urandom(16), record.ts)]
        start = start_drafts(self._child, SessionStartState(), ts=record.ts) if is_first else []
        if record.kind in _UPKEEP or record.kind == "session_start" or content is None:
            return [*start, self._note(record.ts, seq=record.seq, kind=record.kind)]
        assert body is not None
        return [*start, make_draft(record.kind, body, urandom(16), record.ts)]

    def _note(self, ts: int | None = None, **what: Json) -> Draft:
        note = Extension(SALVAGED, {"session_id": self._session_id, **what})
        return draft(note, urandom(16), ts)


def _object(body: bytes | None) -> dict[str, Json] | None:
    try:
        found = decode(body or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


async def _pieces(store: Store, session_id: SessionId) -> AsyncIterator[Record | Gap]:
    """Give the self-consistent lines of a log, and the stretches between them."""
    pieces, rest = _Pieces(session_id), b""
    async for chunk in store.raw(session_id):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            for piece in pieces.line(line, len(line) + 1):
                yield piece
        if len(rest) > LINE_BYTES_MAX:
            pieces.leave_out(len(rest))
            rest = b""
    for piece in pieces.end(rest):
        yield piece


@define
class _Pieces:
    _session_id: SessionId
    _offset: int = field(default=0, init=False)
    _gap_from: int | None = field(default=None, init=False)

    def line(self, line: bytes, size: int) -> Iterator[Record | Gap]:
        try:
            record = check_line(line, self._session_id, offset=self._offset)
        except Invalid:
            self.leave_out(size)
            return
        yield from self._gap()
        yield record
        self._offset += size

    def end(self, rest: bytes) -> Iterator[Record | Gap]:
        """Take what has no LF; it may be a whole record whose LF is missing, or another byte."""
        for line in (rest, rest[:-1]):
            found = list(self.line(line, 0))
            if found:
                yield from found
                return
        self.leave_out(len(rest))
        yield from self._gap()

    def leave_out(self, size: int) -> None:
        if size and self._gap_from is None:
            self._gap_from = self._offset
        self._offset += size

    def _gap(self) -> Iterator[Gap]:
        if self._gap_from is not None:
            yield Gap(self._gap_from, self._offset - self._gap_from)
            self._gap_from = None
