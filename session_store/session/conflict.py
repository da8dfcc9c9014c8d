"""What a handle does when another writer was faster: go on as a fork, its lineage recorded."""

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from os import urandom

from ..chain import Draft
from ..codec import draft
from ..entries import (
    MAINTENANCE_KINDS,
    Extension,
    LogEntry,
    Position,
    SessionStartState,
    TurnEnd,
)
from ..errors import Corrupt, HeadMismatch, NotFound
from ..ids import SessionId, new_session_id
from ..state import COPY_END, RestoredState
from ..stores.protocol import Store
from .starting import start_drafts

_APPEND_ENTRIES = 1000


async def fork_at_own_head(
    store: Store, session_id: SessionId, own: Position, state: RestoredState | None
) -> SessionId | None:
    """
    Return the id of a fork at *own* if that is not the head of *session_id* any more.

    By reference where a log still holds *own*, else a copy of *state*.

    Raises:
        HeadMismatch: The log does not hold *own*, and there is no *state* to copy.
        NotFound, Corrupt: The same, of a log that is gone, or damaged before *own*.
    """
    if own.session_id == session_id and await _may_append(store, own):
        return None
    child = new_session_id()
    try:
        drafts = start_drafts(child, SessionStartState(), forked_from=own, inherits=True)
        await store.create(child, drafts, parent=own)
    except (NotFound, Corrupt) as error:
        if state is None and isinstance(error, NotFound):
            actual = await store.head(own.session_id)
            raise HeadMismatch(own.session_id, expected=own, actual=actual) from None
        if state is None:
            raise
        await store.create_whole(child, _appends_of(state, child, own))
    return child


async def _may_append(store: Store, own: Position) -> bool:
    try:
        head = await store.head(own.session_id)
        if head.hash == own.hash:
            return True
        if head.seq < own.seq:
            return False
        is_behind = False
        async for batch in store.read(own.session_id, own.seq):
            for record in batch:
                if is_behind and record.kind not in MAINTENANCE_KINDS:
                    return False
                if not is_behind and record.hash != own.hash:
                    return False
                is_behind = True
    except (NotFound, Corrupt):
        return False
    return is_behind


async def _appends_of(
    state: RestoredState, child: SessionId, own: Position
) -> AsyncIterator[Sequence[Draft]]:
    """Give the appends of a log that restores to *state*."""
    start = SessionStartState(state.system_prompt, state.config, state.history, state.labels)
    yield start_drafts(child, start, forked_from=own)
    entries = _entries_of(state, own)
    while part := list(islice(entries, _APPEND_ENTRIES)):
        yield [draft(entry, urandom(16)) for entry in part]


def _entries_of(state: RestoredState, own: Position) -> Iterator[LogEntry]:
    yield from (Extension(domain, payload) for domain, payload in state.extensions)
    yield from state.usage_history
    if state.turn_count:
        yield TurnEnd(state.turn_count)
    yield Extension(COPY_END, own.to_json())
