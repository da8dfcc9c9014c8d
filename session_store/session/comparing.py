"""A log beside what somebody else has of it: a signed head, a list of heads, another store."""

from contextlib import suppress
from typing import Literal, TypeAlias

from attrs import frozen

from ..checkpoint.audit import Audit, Sealed
from ..checkpoint.note import Checkpoint
from ..entries import Position
from ..errors import NotFound
from ..stores.protocol import Store

Departure: TypeAlias = Literal["behind", "truncated", "rewritten", "forked"]
Relation: TypeAlias = Literal["consistent", "ahead"] | Departure


@frozen
class Comparison:
    """
    How a log stands to what was compared with it.

    Attributes:
        relation: consistent: the same head. ahead: the log continues the other. behind: the
            other store continues the log. truncated: the log ends before what was signed.
            rewritten: the log does not hold what was signed. forked: both continue the same
            records differently; of a signed head, that one key has signed both.
        size: Records that the other side speaks of.
        common: Records that are the same on both sides, None where that is not known.
    """

    relation: Relation
    size: int
    common: int | None
    why: str

    @property
    def departure(self) -> Departure | None:
        """The relation, unless the log holds all that the other side knows."""
        if self.relation == "consistent" or self.relation == "ahead":  # noqa: PLR1714 - narrows
            return None
        return self.relation


def with_checkpoint(audit: Audit, checkpoint: Checkpoint, sealed: Sealed | None) -> Comparison:
    """Compare a log, read by *audit*, with a signed head of it."""
    size, has = checkpoint.size, audit.tree.size
    if size > has:
        return _truncated(size, has)
    if audit.roots[size] != checkpoint.root:
        return _changed(size, sealed)
    return _held(size, has)


async def with_head(
    store: Store, head: Position, signed: Position, sealed: Sealed | None
) -> Comparison:
    """Compare a verified log that ends at *head* with the head that was *signed* in a list."""
    size, has = signed.seq + 1, head.seq + 1
    if size > has:
        return _truncated(size, has)
    if not await holds(store, signed):
        return _changed(size, sealed)
    return _held(size, has)


async def with_store(store: Store, head: Position, other: Store) -> Comparison | None:
    """Compare a verified log that ends at *head* with the *other* store's; None if it has none."""
    try:
        theirs = await other.head(head.session_id)
    except NotFound:
        return None
    size, has = theirs.seq + 1, head.seq + 1
    if size <= has and await holds(store, theirs):
        return _held(size, has)
    if size > has and await holds(other, head):
        why = f"the other store continues it with {size - has} more records"
        return Comparison("behind", size, has, why)
    common = await _common(store, other, head, min(size, has))
    if not common:
        return Comparison("rewritten", size, 0, "the other store has another log under its id")
    why = f"the other store has other records from seq {common} on"
    return Comparison("forked", size, common, why)


async def holds(store: Store, position: Position) -> bool:
    """Return whether a log has the record *position*."""
    with suppress(NotFound):
        return await store.position(position.session_id, position.seq) == position
    return False


async def _common(store: Store, other: Store, head: Position, size: int) -> int:
    """Return how many records two logs share: their hashes tell of everything before, too."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if await holds(other, await store.position(head.session_id, middle)):
            low = middle + 1
        else:
            high = middle
    return low


def _held(size: int, has: int) -> Comparison:
    if size == has:
        return Comparison("consistent", size, size, "the same head")
    return Comparison("ahead", size, size, f"continues the first {size} records")


def _truncated(size: int, has: int) -> Comparison:
    why = f"{size} records were signed, and the log ends after {has}"
    return Comparison("truncated", size, None, why)


def _changed(size: int, sealed: Sealed | None) -> Comparison:
    if sealed is not None and sealed.size >= size:
        why = f"{sealed.key.name} has signed these {sealed.size} records, and {size} others"
        return Comparison("forked", size, None, why)
    why = f"the first {size} records are not those that were signed"
    return Comparison("rewritten", size, None, why)
