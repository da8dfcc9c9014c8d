"""
Forks: by reference, in O(log n), or as a copy that stands by itself.

The handle returned is the fork's; the source is never changed.
"""

from collections.abc import Mapping

from ..entries import Durability, Json, Position, SessionStartState
from ..ids import SessionId, new_session_id
from ..stores.protocol import Store
from .copying import copied_appends
from .creating import open_session
from .handle import Session
from .points import Point, resolve
from .starting import start_drafts


async def fork(
    store: Store,
    session_id: SessionId,
    *,
    copy: bool = False,
    labels: Mapping[str, Json] | None = None,
    system_prompt: str | None = None,
    config: Json = None,
    durability: Durability | None = None,
) -> Session:
    """Fork a session at its head; else as `fork_at`."""
    return await fork_at(
        store,
        session_id,
        None,
        copy=copy,
        labels=labels,
        system_prompt=system_prompt,
        config=config,
        durability=durability,
    )


async def fork_at(
    store: Store,
    session_id: SessionId,
    point: Point | None,
    *,
    copy: bool = False,
    labels: Mapping[str, Json] | None = None,
    system_prompt: str | None = None,
    config: Json = None,
    durability: Durability | None = None,
) -> Session:
    """
    Begin a session that continues another one at *point*.

    Args:
        point: Any record of a complete append on the session's lineage; None is the head.
        copy: Make a self-contained log instead of a reference.
        labels, system_prompt, config: What shall differ from the source.

    Raises:
        NotFound: No such session or point.
        Corrupt: The log is damaged at or before *point*.

    Durability: by reference, the prefix and the fork's marker are on disk whatever was asked.
    Cost: by reference O(log n); a turn, a hash or a copy O(n).
    """
    _, at = await resolve(store, session_id, point, is_looked_up=copy)
    start = SessionStartState(system_prompt, config, labels=dict(labels or {}))
    return await _fork(store, at, start, copy=copy, durability=durability)


async def flatten(
    store: Store,
    session_id: SessionId,
    *,
    at: Point | None = None,
    durability: Durability | None = None,
) -> Session:
    """Copy a session with all it inherits into one self-contained log under a new id."""
    return await fork_at(store, session_id, at, copy=True, durability=durability)


async def _fork(
    store: Store,
    at: Position,
    start: SessionStartState,
    *,
    copy: bool,
    durability: Durability | None,
) -> Session:
    child = new_session_id()
    if copy:
        await store.create_whole(child, copied_appends(store, at, child, start))
    else:
        drafts = start_drafts(child, start, forked_from=at, inherits=True)
        await store.create(child, drafts, parent=at, durability=durability)
    return await open_session(store, child)
