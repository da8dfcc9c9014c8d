"""The heads of a whole store, signed, so that a session that goes missing is missed."""

import time

from ..checkpoint.inventory import Inventory, sign_heads
from ..checkpoint.keys import SigningKey
from ..entries import Position
from ..errors import NotAnExtension, NotFound
from ..ids import SessionId
from ..stores.protocol import Store
from .comparing import holds
from .family import sessions


async def sign_store(store: Store, key: SigningKey, *, after: Inventory | None = None) -> Inventory:
    """
    Sign the heads of all sessions of a store.

    Args:
        after: Signed heads of the store that were kept elsewhere: every session of them must
            continue, or have been deleted.

    Raises:
        NotAnExtension: A session does not continue what the store's head memory has seen, or
            what *after* says of it.
        Corrupt: The end of a log is damaged: what is left out would be taken for lost.
        MissingExtra: `cryptography` is not installed.

    Durability: everything that is signed is on disk.

    Cost: a sync and two reads of the tail of every session; logs are not verified.
    """
    heads = []
    async for info in sessions(store):
        head = await _head(store, info.session_id)
        if head is not None:
            heads.append(head)
    for kept in () if after is None else after.heads:
        if not await holds(store, kept) and not await store.is_deleted(kept.session_id):
            raise NotAnExtension(kept.session_id, seen=f"the {kept.seq + 1} records of its anchor")
    await store.remember(heads)
    return sign_heads(store.store_id, time.time_ns() // 1_000_000, heads, key)


async def _head(store: Store, session_id: SessionId) -> Position | None:
    try:
        head = (await store.flush(session_id)).position
    except NotFound:
        return None  # Deleted since it was listed.
    seen = await store.seen(session_id)
    if seen is not None and (seen.seq > head.seq or not await holds(store, seen)):
        raise NotAnExtension(session_id, seen=seen)
    return head
