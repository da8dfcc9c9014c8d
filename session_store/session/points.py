"""Points in a session: how callers name one, and the logs that lead to it."""

from collections.abc import Sequence
from typing import TypeAlias

from attrs import frozen

from ..chain import Record
from ..codec import decode_body
from ..entries import Position
from ..errors import ChainBroken, Corrupt, InvalidInput, NotFound
from ..ids import SessionId, parse_session_id
from ..positions import is_hash, parse_position
from ..stores.protocol import Store


@frozen
class Turn:
    """The end of turn *count*, as turn_end counts; 0 is the start of the session."""

    count: int


Point: TypeAlias = Position | Turn | int | bytes
"""
One record: a `Position`, a `Turn`, a seq of the session's own log, or a hash (32 bytes).

A hash and a turn are looked for along the whole lineage, in O(n).
"""


@frozen
class Segment:
    """
    The part of one log that a session consists of.

    Attributes:
        last: Its last record, which the next segment was forked at; None: to the end.
    """

    session_id: SessionId
    last: Position | None

    @property
    def stop(self) -> int | None:
        return None if self.last is None else self.last.seq + 1


def parse_point(text: str) -> Point:
    """
    Return the point that people write as SEQ, HASH, turn:N or SESSION:SEQ:HASH.

    Raises:
        InvalidInput: It is none of these.
    """
    if text.startswith("turn:") and text[5:].isascii() and text[5:].isdigit() and len(text) < 20:
        return Turn(int(text[5:]))
    if text.isascii() and text.isdigit() and len(text) <= 16:
        return int(text)
    if is_hash(text):
        return bytes.fromhex(text)
    parts = text.split(":")
    if len(parts) == 3 and parts[1].isascii() and parts[1].isdigit():
        value = {"session_id": parts[0], "seq": int(parts[1][:17]), "hash": parts[2]}
        if (position := parse_position(value)) is not None:
            return position
    raise InvalidInput(
        f"not a point: {text!r} (a seq, a hash of 64 characters, or turn:N is expected)",
        source="point",
    )


async def lineage(store: Store, session_id: SessionId) -> list[Segment]:
    """
    Return the logs that make up a session, the root's first.

    Raises:
        NotFound: The session, or a parent it lives on, is not there.
        Corrupt: A log's beginning does not hold, or the lineage leads back to itself.

    Cost: one read for each generation.
    """
    session_id = parse_session_id(session_id)
    segments = [Segment(session_id, None)]
    seen = {session_id}
    while (parent := await fork_parent(store, segments[-1].session_id)) is not None:
        if parent.session_id in seen:
            raise _cycle(segments[-1].session_id)
        seen.add(parent.session_id)
        segments.append(Segment(parent.session_id, parent))
    return segments[::-1]


def _cycle(session_id: SessionId) -> ChainBroken:
    why = "its parents lead back to itself"
    return ChainBroken(session_id, line=1, offset=0, seq=0, why=why)


async def fork_parent(store: Store, session_id: SessionId) -> Position | None:
    """Return the parent entry of a fork by reference, None for any other log."""
    found = await store.origin(session_id)
    return found.forked_from if found.by_reference else None


async def first_record(store: Store, session_id: SessionId) -> Record:
    """Return the verified session_start."""
    async for batch in store.read(session_id, 0, 1):
        return batch[0]
    raise NotFound(f"{session_id}: the session was never born")


async def resolve(
    store: Store, session_id: SessionId, point: Point | None, *, is_looked_up: bool = True
) -> tuple[list[Segment], Position]:
    """
    Return the logs that lead to *point*, and the record it names; None is the head.

    Args:
        is_looked_up: Whether a Position must be a record that is there; False leaves that to
            the store that is given it as a parent.

    Raises:
        NotFound: The session's lineage has no such record, or it lies behind
            the point where the session was forked.
    """
    segments = await lineage(store, session_id)
    if point is None:
        return segments, await store.head(segments[-1].session_id)
    if isinstance(point, bool) or not isinstance(point, (Position, Turn, int, bytes)):
        what = type(point).__name__
        raise TypeError(f"a point is a Position, a Turn, a seq or a hash of 32 bytes, not a {what}")
    if isinstance(point, int):
        found = await store.position(segments[-1].session_id, point)
    elif isinstance(point, Position):
        found = _within(segments, point)
        if is_looked_up and await store.position(found.session_id, found.seq) != found:
            raise _unknown(segments, found)
    else:
        found = await _search(store, segments, point)
    return _until(segments, found), found


def _within(segments: Sequence[Segment], point: Position) -> Position:
    """Return *point* if a session of these logs can have such a record."""
    segment = next((s for s in segments if s.session_id == point.session_id), None)
    if segment is None:
        raise _unknown(segments, point)
    if segment.last is not None and point.seq > segment.last.seq:
        raise NotFound(f"{point} lies behind the point where the session was forked")
    return point


def _unknown(segments: Sequence[Segment], point: Position) -> NotFound:
    return NotFound(f"{segments[-1].session_id}: no record {point} in its lineage")


async def _search(store: Store, segments: Sequence[Segment], point: Turn | bytes) -> Position:
    if isinstance(point, Turn) and point.count == 0:
        return await _end_of_start(store, segments[0].session_id)
    found: Position | None = None
    try:
        for segment in segments:
            async for batch in store.read(segment.session_id, 0, segment.stop):
                for record in batch:
                    if _is_meant(record, point, segment.session_id):
                        found = Position(segment.session_id, record.seq, record.hash)
    except Corrupt:
        if found is None:  # What was found is verified, and stands before the damage.
            raise
    if found is None:
        what = f"turn {point.count}" if isinstance(point, Turn) else f"hash {point.hex()[:12]}"
        raise NotFound(f"{segments[-1].session_id}: no {what} in its lineage")
    return found


async def _end_of_start(store: Store, session_id: SessionId) -> Position:
    async for batch in store.read(session_id):
        for record in batch:
            if record.batch == 0:
                return Position(session_id, record.seq, record.hash)
    raise NotFound(f"{session_id}: the session was never born")


def _is_meant(record: Record, point: Turn | bytes, session_id: SessionId) -> bool:
    if isinstance(point, bytes):
        return record.hash == point
    if record.kind != "turn_end":
        return False
    body = decode_body(record, session_id)
    return body is not None and body.get("turn_count") == point.count


def _until(segments: Sequence[Segment], last: Position) -> list[Segment]:
    index = next(i for i, s in enumerate(segments) if s.session_id == last.session_id)
    return [*segments[:index], Segment(last.session_id, last)]
