"""Salvage: a new session with everything of a damaged one that can still be read."""

from collections.abc import AsyncIterator
from os import urandom

from attrs import define, field
from blake3 import blake3

from ..chain import Draft, Record, make_draft
from ..codec import draft
from ..entries import Extension, Json, Position, SessionStartState, UnknownEntry
from ..errors import AlreadyExists, Corrupt, NotFound
from ..ids import SessionId, new_session_id, parse_session_id
from ..redacted import Named
from ..stores.protocol import Store
from ..values import decode
from .creating import open_session
from .handle import Session
from .pieces import Gap, Seqs, read_pieces
from .points import fork_parent
from .starting import start_drafts

SALVAGED = "session_store.salvaged"
"""
Domain of the extensions that say what was left out, and at the end where all came from.

Where bytes were left out: offset, length. Where a record was: seq, kind, perhaps why. Before
a record that is there and does not follow the one before it: seq, why. At the end: records,
gaps, and missing, the ranges of seq ([first, last], at most 1,000) that were found nowhere.
"""

_UPKEEP = frozenset({"redaction", "recovery", "seal"})
_RANGES_MAX = 1000


async def salvage(store: Store, session_id: SessionId) -> Session:
    """
    Make a new session of all records of a damaged log that hold by themselves.

    The original is not changed; what was salvaged from these very bytes before is found,
    not made again. The first entry names the original; extensions of the domain SALVAGED say
    what was left out and what is missing. Records behind a gap stand for themselves: that
    nothing is missing between them is no longer proven. Of a fork by reference whose
    beginning and parent hold, the new session is such a fork too; of any other it is a root.

    Raises:
        NotFound: No such log, or nothing in it can be read.

    Durability: on disk.
    """
    session_id = parse_session_id(session_id)
    hasher = blake3()
    async for chunk in store.raw(session_id):
        hasher.update(chunk)
    key = f"{SALVAGED}:{session_id}:{hasher.hexdigest()}"
    child = await store.find(key)
    if child is None:
        child = await _copy(store, session_id, key)
    return await open_session(store, child)


async def _copy(store: Store, session_id: SessionId, key: str) -> SessionId:
    child = new_session_id()
    parent = await _parent(store, session_id)
    try:
        if parent is not None:
            try:
                appends = _Copy(store, session_id, child).appends()
                await store.create_whole(child, appends, parent=parent, key=key)
            except (Corrupt, NotFound):
                parent = None
        if parent is None:
            appends = _Copy(store, session_id, child).appends()
            await store.create_whole(child, appends, key=key)
    except AlreadyExists as taken:  # By somebody who salvages the same bytes now.
        return parse_session_id(taken.session_id)
    return child


async def _parent(store: Store, session_id: SessionId) -> Position | None:
    try:
        return await fork_parent(store, session_id)
    except (Corrupt, NotFound):
        return None


@define
class _Copy:
    """What can be read of one log, on its way into another."""

    _store: Store
    _session_id: SessionId
    _child: SessionId
    _records: int = field(default=0, init=False)
    _gaps: int = field(default=0, init=False)
    _seqs: Seqs = field(factory=Seqs, init=False)
    _last: Record | None = field(default=None, init=False)

    async def appends(self) -> AsyncIterator[list[Draft]]:
        named = await self._store.redactions(self._session_id)
        lead: Gap | None = None  # The first record behind it says from when the new session is.
        async for found in read_pieces(self._store, self._session_id):
            if isinstance(found, Gap):
                self._gaps += 1
                if self._last is None:
                    lead = found
                else:
                    yield [self._gap(found, self._last.ts)]
            elif self._seqs.find(found.seq):
                self._records += 1
                is_first = self._last is None
                if is_first and lead is not None:
                    yield [*self._start(found.ts), self._gap(lead, found.ts)]
                yield self._copied(found, named, is_first=is_first and lead is None)
                self._last = found
            else:
                yield [self._left_out(found, why="this seq was there before")]
        if self._records == 0:
            raise NotFound(f"{self._session_id}: nothing in the log can be read")
        yield [self._note(records=self._records, gaps=self._gaps, **self._missing())]

    def _missing(self) -> dict[str, Json]:
        ranges = self._seqs.missing[:_RANGES_MAX]
        return {"missing": [[gap[0], gap[-1]] for gap in ranges]} if ranges else {}

    def _copied(self, record: Record, named: Named, *, is_first: bool) -> list[Draft]:
        withheld = record.withheld is not None or (record.seq, record.digest) in named
        body = named.get((record.seq, record.digest)) if withheld else record.body
        content = _object(body)
        if record.kind == "session_start" and is_first:
            ids = {"session_id": self._child, "salvaged_from": self._session_id}
            first = {**(content or {"format": 1}), **ids}
            return [draft(UnknownEntry("session_start", first), urandom(16), record.ts)]
        before = self._start(record.ts) if is_first else []
        if not self._follows(record):
            why = "does not follow the record before it"
            before.append(self._note(record.ts, seq=record.seq, why=why))
        if record.kind in _UPKEEP or record.kind == "session_start" or content is None:
            return [*before, self._left_out(record)]
        assert body is not None
        return [*before, make_draft(record.kind, body, urandom(16), record.ts)]

    def _gap(self, gap: Gap, ts: int) -> Draft:
        return self._note(ts, offset=gap.offset, length=gap.length)

    def _start(self, ts: int) -> list[Draft]:
        source = self._session_id
        return start_drafts(self._child, SessionStartState(), salvaged_from=source, ts=ts)

    def _follows(self, record: Record) -> bool:
        """Return whether *record* may stand behind the last one that was found; a gap excuses it."""
        if self._last is None or record.seq > self._last.seq + 1:
            return True
        return record.seq > self._last.seq and record.prev_hash == self._last.hash

    def _left_out(self, record: Record, **why: Json) -> Draft:
        return self._note(record.ts, seq=record.seq, kind=record.kind, **why)

    def _note(self, ts: int | None = None, **what: Json) -> Draft:
        note = Extension(SALVAGED, {"session_id": self._session_id, **what})
        return draft(note, urandom(16), ts)


def _object(body: bytes | None) -> dict[str, Json] | None:
    try:
        found = decode(body or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
