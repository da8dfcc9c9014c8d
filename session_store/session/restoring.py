"""From the log alone to the state: verified, along the whole lineage."""

from collections.abc import AsyncIterator

from ..codec import body_decoder, hashed_entry, structure, unfit
from ..entries import HashedEntry, Position
from ..errors import ChainBroken, Corrupt, InvalidInput
from ..ids import SessionId, parse_session_id
from ..state import Replay, RestoredState
from ..stores.protocol import Store
from .points import Point, Segment, lineage, resolve


async def restore(
    store: Store,
    session_id: SessionId,
    *,
    at: Point | None = None,
    base: RestoredState | None = None,
    config_type: type | None = None,
    allow_masked: bool = False,
) -> RestoredState:
    """
    Replay a session from its log, verifying every record that is used.

    Args:
        at: Stop there; None is the head.
        base: A state on the session's lineage to go on from; it stays as it is, and
            many branches may share it. What it stands for is not read again.
        config_type: attrs class that the config is structured into, strictly.
        allow_masked: Take masked bodies as they are.

    Raises:
        NotFound: No such session or point, or a parent is missing.
        Corrupt: The log is damaged; `error.state` is the state before the damage.
        InvalidInput: The config does not fit *config_type*; a body is masked.
        ValueError: *base* is not on the lineage, or behind the point.

    Cost: linear in the entries of the lineage, or in those behind *base*.
    """
    session_id = parse_session_id(session_id)
    if at is None:
        segments = await lineage(store, session_id)
    else:
        segments, _ = await resolve(store, session_id, at)
    replay = Replay(base)
    try:
        todo = _behind(segments, base)
        children = [*(segment.session_id for segment, _ in todo[1:]), session_id]
        for (segment, start), child in zip(todo, children, strict=True):
            await _replay(store, segment, start, replay, allow_masked=allow_masked)
            _check_end(segment, replay, child)
    except Corrupt as damage:
        damage.state = replay.state
        raise
    state = replay.state
    assert state is not None
    state.session_id = session_id
    if config_type is not None and isinstance(state.config, dict):
        state.config = structure(
            state.config, config_type, source=f"config of {session_id}", strict=True
        )
    return state


def _behind(segments: list[Segment], base: RestoredState | None) -> list[tuple[Segment, int]]:
    if base is None:
        return [(segment, 0) for segment in segments]
    for index, segment in enumerate(segments):
        if segment.session_id == base.head.session_id:
            rest = [(s, 0) for s in segments[index + 1 :]]
            if segment.last == base.head and rest:
                return rest  # The next log says itself that it goes on behind that record.
            if segment.last is None or base.head.seq <= segment.last.seq:
                return [(segment, base.head.seq + 1), *rest]
            break
    raise ValueError(f"the base, at {base.head}, is not on the lineage up to the point")


async def _replay(
    store: Store, segment: Segment, start: int, replay: Replay, *, allow_masked: bool
) -> None:
    session_id = segment.session_id
    before = replay.state.head if replay.state is not None and start > 0 else None
    apply = replay.apply
    async for batch in store.read(session_id, start, segment.stop):
        decode = body_decoder(batch, session_id)
        for record in batch:
            if before is not None:
                if record.prev_hash != before.hash:
                    raise _lost(before)
                before = None
            if record.withheld == "masked" and not allow_masked:
                raise InvalidInput(
                    f"seq {record.seq} is masked: allow_masked=True takes it as it is",
                    source=session_id,
                )
            body = decode(record)
            try:
                apply(session_id, record, body)
            except ValueError as error:
                raise unfit(record, session_id, f"{record.kind}: {error}") from error
    if before is not None and segment.last is None:
        head = await store.head(session_id)  # Nothing stands behind the base.
        if head.seq <= before.seq and head != before:
            raise _lost(before)


def _lost(base: Position) -> ValueError:
    return ValueError(f"the base, at {base}, is not in the log any more: restore without it")


def _check_end(segment: Segment, replay: Replay, child: SessionId) -> None:
    """A fork holds only if its parent still has the record that it was forked at."""
    last, state = segment.last, replay.state
    if last is None or (state is not None and state.head == last):
        return
    why = f"its parent {segment.session_id} has another record at seq {last.seq}, or none"
    raise ChainBroken(child, line=1, offset=0, seq=0, why=why)


async def read_entries(
    store: Store, session_id: SessionId, start: int = 0, stop: int | None = None
) -> AsyncIterator[HashedEntry]:
    """
    Give the verified entries of a session's own log with start <= seq < stop.

    Raises:
        NotFound: No such session.
        Corrupt: After everything before the damage was given.
    """
    session_id = parse_session_id(session_id)
    async for batch in store.read(session_id, start, stop):
        for record in batch:
            yield hashed_entry(record, session_id, session_id)
