"""Who descends from whom."""

from collections.abc import AsyncIterator, Mapping, Sequence

from attrs import define, field

from ..entries import Position, SessionOrigin
from ..errors import Corrupt, HasForks, NotFound, UnsafePath, Unsupported
from ..ids import SessionId, parse_session_id
from ..stores.protocol import SessionInfo, Store
from .points import lineage

_PAGE = 1000


async def sessions(store: Store) -> AsyncIterator[SessionInfo]:
    """Give every session of the store, newest first."""
    before: SessionId | None = None
    while page := await store.list(before=before, limit=_PAGE):
        for info in page:
            yield info
        before = page[-1].session_id


async def ancestors(store: Store, session_id: SessionId) -> list[Position]:
    """Return the entries that a fork by reference continues, the root's first; none for a root."""
    return [s.last for s in await lineage(store, session_id) if s.last is not None]


async def children(store: Store, session_id: SessionId) -> Sequence[SessionId]:
    """Return the forks by reference of a session, oldest first."""
    return await store.children(parse_session_id(session_id))


async def descendants(store: Store, session_id: SessionId) -> list[SessionId]:
    """Return all forks by reference below a session, each after its parent."""
    found = [parse_session_id(session_id)]
    seen = set(found)
    for parent in found:
        below = [child for child in await store.children(parent) if child not in seen]
        found += below
        seen.update(below)
    return found[1:]


async def origin(store: Store, session_id: SessionId) -> SessionOrigin:
    """Return where a session's beginning came from. Cost: reads its first record."""
    return await store.origin(parse_session_id(session_id))


@define
class Family:
    """
    A session in the tree of its store.

    Attributes:
        origin: None if the beginning of the log is damaged.
        children: Sessions that name it as their source, whichever way, oldest first.
    """

    session_id: SessionId
    origin: SessionOrigin | None
    children: "list[Family]" = field(factory=list)

    @property
    def parent(self) -> Position | None:
        return (
            None if self.origin is None else self.origin.forked_from or self.origin.compacted_from
        )


async def tree(store: Store) -> list[Family]:
    """
    Return the store's sessions as trees, oldest root first.

    A session whose source is not in the store is a root here.

    Cost: reads the first record of every session.
    """
    families: dict[SessionId, Family] = {}
    async for info in sessions(store):
        try:
            found = await origin(store, info.session_id)
        except (Corrupt, Unsupported, UnsafePath):
            families[info.session_id] = Family(info.session_id, None)
        except NotFound:
            continue  # Deleted since it was listed.
        else:
            families[info.session_id] = Family(info.session_id, found)
    roots: list[Family] = []
    for session_id in sorted(families):
        family = families[session_id]
        parent = _parent(family, families)
        if parent is None or _is_in_ring(family, families):
            roots.append(family)
        else:
            parent.children.append(family)
    return roots


def _parent(family: Family, families: Mapping[SessionId, Family]) -> Family | None:
    source = None if family.origin is None else family.origin.source
    return None if source is None else families.get(source)


def _is_in_ring(family: Family, families: Mapping[SessionId, Family]) -> bool:
    """Return whether the claimed sources of *family* lead back to it; copies may claim anything."""
    seen: set[SessionId] = set()
    above = _parent(family, families)
    while above is not None and above.session_id not in seen:
        seen.add(above.session_id)
        above = _parent(above, families)
    return family.session_id in seen


async def delete(
    store: Store, session_id: SessionId, *, with_forks: bool = False
) -> list[SessionId]:
    """
    Delete a session; its id is never used again.

    Args:
        with_forks: Delete the forks by reference below it first, deepest first.

    Returns:
        What was deleted, in order.

    Raises:
        HasForks: Forks by reference live on it; nothing was deleted.
        NotFound: No such session.

    Durability: gone from disk, the tombstone on it.
    """
    session_id = parse_session_id(session_id)
    below = await descendants(store, session_id)
    if below and not with_forks:
        raise HasForks(session_id, children=await store.children(session_id))
    order = [*reversed(below), session_id]
    for one in order:
        await store.delete(one)
    return order
