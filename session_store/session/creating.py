"""Beginning sessions, and opening those that exist."""

from ..entries import Durability, Position, SessionStartState
from ..errors import NotFound
from ..ids import SessionId, new_session_id, parse_session_id
from ..items import Classifier
from ..stores.protocol import Cursor, Store
from .handle import Session
from .starting import start_drafts


async def create_session(
    store: Store,
    start: SessionStartState | None = None,
    *,
    key: str | None = None,
    durability: Durability | None = None,
    shared: bool = False,
    classifier: Classifier | None = None,
) -> Session:
    """
    Begin a session under a fresh id.

    Args:
        key: External key (`namespace:id`) that `store.find` shall know it by.
        shared: The handle appends after whatever is last.
        classifier: Tells what items of the caller's own shape are.

    Raises:
        AlreadyExists: *key* names another session.

    Durability: the session, its directories included.
    """
    return await create_session_with_id(
        store,
        new_session_id(),
        start,
        key=key,
        durability=durability,
        shared=shared,
        classifier=classifier,
    )


async def create_session_with_id(
    store: Store,
    session_id: SessionId,
    start: SessionStartState | None = None,
    *,
    key: str | None = None,
    durability: Durability | None = None,
    shared: bool = False,
    classifier: Classifier | None = None,
) -> Session:
    """
    Begin a session under an id that was reserved with `new_session_id`; else as `create_session`.

    Raises:
        AlreadyExists: The id is taken; nothing was changed.
    """
    session_id = parse_session_id(session_id)
    drafts = start_drafts(session_id, start or SessionStartState())
    receipt = await store.create(session_id, drafts, key=key, durability=durability)
    return await _handle(store, receipt.position, shared=shared, classifier=classifier)


async def create_compacted_session(
    store: Store,
    start: SessionStartState,
    source: Position,
    *,
    durability: Durability | None = None,
    classifier: Classifier | None = None,
) -> Session:
    """
    Begin a session with a shortened history of another one.

    Args:
        start: The state to begin with; its history is the short one.
        source: The entry of the other session up to which the history was shortened.

    Raises:
        NotFound: *source* is no record of the store.
    """
    if await store.position(parse_session_id(source.session_id), source.seq) != source:
        raise NotFound(f"{source.session_id}: no record {source}")
    session_id = new_session_id()
    drafts = start_drafts(session_id, start, compacted_from=source)
    receipt = await store.create(session_id, drafts, durability=durability)
    return await _handle(store, receipt.position, shared=False, classifier=classifier)


async def open_session(
    store: Store,
    session_id: SessionId,
    *,
    head: Position | None = None,
    shared: bool = False,
    classifier: Classifier | None = None,
) -> Session:
    """
    Return a handle on an existing session.

    Args:
        head: The head of the state that the caller restored: the first append then
            fails if the log has moved on since. One that the session inherited is
            behind its log: `ensure_head_or_fork` forks there.
        shared: The handle appends after whatever is last.

    Raises:
        NotFound: No such session.
        Corrupt: The end of the log is damaged.

    Cost: one read of the tail.
    """
    session_id = parse_session_id(session_id)
    cursor = await store.open(session_id, shared=shared)
    if head is not None:
        cursor.head = cursor.written = head
    return Session(store, session_id, cursor, classifier=classifier)


async def _handle(
    store: Store, head: Position, *, shared: bool, classifier: Classifier | None
) -> Session:
    cursor: Cursor = await store.open(head.session_id, shared=shared)
    cursor.head = cursor.written = head
    return Session(store, head.session_id, cursor, classifier=classifier)
