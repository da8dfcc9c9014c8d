"""Replaying a trace in its own time, and proving it by what turn_end says."""

import orjson
import pytest

import session_store as ss
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import OpenFile
from session_store.stores.memory import MemoryFiles


class Paused(ss.MemoryStore):
    """Notes its pauses instead of making them."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


async def timed(store: ss.Store, *times_ms: int) -> ss.SessionId:
    session = await ss.create_session(store)
    lines = [{"ts": ts, "turn": 0, "kind": "stream_event", "event": ts} for ts in times_ms]
    await store.append_trace(session.id, b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return session.id


@pytest.mark.parametrize(
    ("speed", "pauses"),
    [(1, [0.5, 2.0, 10.0]), (4, [0.125, 0.5, 2.5]), (0.5, [1, 4, 20]), (float("inf"), [])],
)
async def test_a_replay_pauses_as_the_stream_did(speed: float, pauses: list[float]) -> None:
    """At any speed; long gaps are cut short, a clock that went back does not pause."""
    store = Paused()
    session_id = await timed(store, 1000, 1500, 1500, 3500, 3000, 99_000)

    found = [entry.data async for entry in ss.replay_trace(store, session_id, speed=speed)]

    assert ([1000, 1500, 1500, 3500, 3000, 99_000], pauses) == (found, store.pauses)


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
async def test_a_replay_goes_forward(speed: float) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        await anext(ss.replay_trace(Paused(), ss.new_session_id(), speed=speed))


async def test_a_turn_end_proves_the_trace_up_to_there(store: ss.Store) -> None:
    """Length and digest are in the log; a trace that was changed does not match."""
    session = await ss.create_session(store)
    writer = ss.TraceWriter(store, session.id)
    for turn in range(1, 4):
        writer.turn = turn
        writer.event({"n": turn})
        await session.save_turn_end(turn, trace=await writer.mark())
    await store.append_trace(session.id, b'{"ts":1,"turn":9,"kind":"dropped","data":1}\n')

    marks = [e.body["trace"] async for e in ss.read_entries(store, session.id, 1) if e.body]
    for mark in marks:
        assert mark["blake3"] == await ss.trace_digest(store, session.id, mark["length"])
    assert 3 == len({mark["length"] for mark in marks})


async def test_marks_of_several_writers_all_hold(store: ss.Store) -> None:
    """Each notices what the other has written, and what was there before it."""
    session_id = (await ss.create_session(store)).id
    await store.append_trace(session_id, b'{"ts":1,"turn":9,"kind":"dropped","data":1}\n')
    writers = [ss.TraceWriter(store, session_id) for _ in range(2)]
    for number in range(6):
        writer = writers[(number // 2) % 2]
        writer.event(number)
        mark = await writer.mark()
        assert mark is not None
        assert mark["blake3"] == await ss.trace_digest(store, session_id, mark["length"])


class Counting(MemoryFiles):
    """Counts the bytes that are read."""

    read_bytes = 0

    def read(self, file: OpenFile, size: int, offset: int) -> bytes:
        data = super().read(file, size, offset)
        self.read_bytes += len(data)
        return data


async def test_marking_costs_what_was_written_since() -> None:
    """A trace that only this writer writes is not read again at each turn."""
    files = Counting()
    store = ss.MemoryStore(FsCore(files))
    session = await ss.create_session(store)
    writer = ss.TraceWriter(store, session.id)
    for _ in range(20):
        writer.event("x" * 10_000)
        await writer.mark()

    assert files.read_bytes < 10_000
