"""Traces: written beside a session, read back, replayed, proven, and never in the way."""

import asyncio
import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from session_tools import talk, user

import session_store as ss
from session_store import blocking
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import OpenFile
from session_store.stores.memory import MemoryFiles
from session_store.trace import BUFFER_BYTES_MAX


async def entries_of(reader: ss.TraceReader) -> list[ss.TraceEntry]:
    return [entry async for entry in reader.entries()]


async def traced(store: ss.Store, *events: Any) -> ss.SessionId:
    """Return a session with a trace of *events*."""
    session = await ss.create_session(store)
    writer = ss.TraceWriter(store, session.id)
    for event in events:
        writer.event(event)
    assert await writer.flush()
    return session.id


def trace_path(root: Path) -> Path:
    return next(root.rglob("*.trace.jsonl"))


async def test_what_is_recorded_is_read_back(store: ss.Store) -> None:
    """Events and what happened around them, with turn and time, in order."""
    session = await ss.create_session(store)
    writer = ss.TraceWriter(store, session.id)
    writer.lifecycle("request", {"attempt": 1})
    writer.turn = 2
    writer.event({"delta": "a\u2028b"})
    await writer.flush()

    first, second = await entries_of(ss.TraceReader(store, session.id))

    assert ("lifecycle", "request", {"attempt": 1}, 0) == (
        first.kind,
        first.label,
        first.data,
        first.turn,
    )
    assert ("stream_event", None, {"delta": "a\u2028b"}, 2) == (
        second.kind,
        second.label,
        second.data,
        second.turn,
    )
    assert 0 < first.ts <= second.ts


async def test_nothing_is_written_before_a_flush(store: ss.Store) -> None:
    """Recording is an entry in a buffer, whatever the disk does."""
    session = await ss.create_session(store)
    writer = ss.TraceWriter(store, session.id)
    writer.event(1)

    assert [] == await entries_of(ss.TraceReader(store, session.id))
    assert not writer.wants_flush
    writer.event("x" * 300_000)
    assert writer.wants_flush


async def test_a_session_without_a_trace_has_an_empty_one(store: ss.Store) -> None:
    session = await ss.create_session(store)

    assert [] == await entries_of(ss.TraceReader(store, session.id))
    assert blake3(b"").hexdigest() == await ss.trace_digest(store, session.id, 0)
    assert await ss.trace_digest(store, session.id, 1) is None


async def test_a_trace_belongs_to_a_session(store: ss.Store) -> None:
    """Reading one of no session is NotFound; writing one is a warning and a count."""
    nobody = ss.new_session_id()
    with pytest.raises(ss.NotFound):
        await entries_of(ss.TraceReader(store, nobody))

    writer = ss.TraceWriter(store, nobody)
    writer.event(1)

    assert (None, None, 1) == (await writer.flush(), await writer.mark(), writer.dropped)


class Full(MemoryFiles):
    """Has no room for traces while *is_full*."""

    is_full = False

    def write(self, file: OpenFile, data: bytes) -> int:
        if self.is_full and b"stream_event" in data:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(file, data)


async def test_a_trace_that_cannot_be_written_does_not_fail_the_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The loss is logged, counted, and stated in the trace once there is room again."""
    files = Full()
    store = ss.MemoryStore(FsCore(files))
    session = await ss.create_session(store)
    writer = ss.TraceWriter(store, session.id)
    files.is_full = True
    for number in range(3):
        writer.event(number)
        with caplog.at_level(logging.WARNING):
            assert await writer.mark() is None
    await session.save_turn_end(1, trace=None)
    files.is_full = False
    writer.event("after")
    await writer.flush()

    found = await entries_of(ss.TraceReader(store, session.id))

    assert [("stream_event", "after"), ("dropped", 3)] == [(e.kind, e.data) for e in found]
    assert (3, 1) == (writer.dropped, (await ss.restore(store, session.id)).turn_count)
    assert session.id in caplog.text


async def test_events_beyond_the_buffer_are_counted(store: ss.Store) -> None:
    """Memory is bounded; the loss is stated with its number."""
    session = await ss.create_session(store)
    writer = ss.TraceWriter(store, session.id)
    for _ in range(10):
        writer.event("x" * (BUFFER_BYTES_MAX // 8))
    await writer.flush()

    found = await entries_of(ss.TraceReader(store, session.id))

    assert (7, ("dropped", 3), 3) == (
        len(found) - 1,
        (found[-1].kind, found[-1].data),
        writer.dropped,
    )


async def test_an_event_larger_than_the_buffer_is_counted(store: ss.Store) -> None:
    """It would be a line that no reader takes."""
    session = await ss.create_session(store)
    writer = ss.TraceWriter(store, session.id)
    writer.event("x" * BUFFER_BYTES_MAX)
    writer.event("small")
    await writer.flush()

    found = await entries_of(ss.TraceReader(store, session.id))

    assert ["small", 1] == [entry.data for entry in found]


class Odd:
    """An event of an SDK that cannot tell what it is."""

    def model_dump(self, **_: Any) -> dict[str, Any]:
        raise ValueError("half built")


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "event", [{1, 2}, object(), Odd(), endless()], ids=["set", "object", "odd", "endless"]
)
async def test_an_event_without_a_json_form_is_counted(store: ss.Store, event: Any) -> None:
    """Recording raises nothing."""
    session = await ss.create_session(store)
    writer = ss.TraceWriter(store, session.id)
    writer.event(event)
    await writer.flush()

    assert (1, ["dropped"]) == (
        writer.dropped,
        [entry.kind for entry in await entries_of(ss.TraceReader(store, session.id))],
    )


async def test_a_line_torn_by_a_crash_costs_that_line(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """Unfinished it is in flight; the next writer ends it; the reader says where it was."""
    session_id = await traced(fs_store, 1, 2)
    path = trace_path(tmp_path)
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(path.read_bytes()[:20])
    reader = ss.TraceReader(fs_store, session_id)
    assert ([1, 2], []) == ([e.data for e in await entries_of(reader)], reader.damage)

    writer = ss.TraceWriter(fs_store, session_id)
    writer.event(3)
    await writer.flush()

    assert [1, 2, 3] == [entry.data for entry in await entries_of(reader)]
    (damage,) = reader.damage
    assert (3, whole) == (damage.line, damage.offset)
    assert f"trace of {session_id}: line 3, byte {whole}" in str(damage)


BAD_LINES = {
    "no JSON": b"hello",
    "no object": b"[1]",
    "no time": b'{"turn":0,"kind":"dropped","data":1}',
    "a time of text": b'{"ts":"1","turn":0,"kind":"dropped","data":1}',
    "a true turn": b'{"ts":1,"turn":true,"kind":"dropped","data":1}',
    "an unknown kind": b'{"ts":1,"turn":0,"kind":"x","data":1}',
    "a kind of list": b'{"ts":1,"turn":0,"kind":[],"data":1}',
    "a label of number": b'{"ts":1,"turn":0,"kind":"lifecycle","label":1,"data":1}',
    "no UTF-8": b'{"ts":1,"turn":0,"kind":"stream_event","event":"\xff"}',
    "NULs": bytes(100),
    "deep": b"[" * 100_000,
    "empty": b"",
    "too long": b'"' + b"x" * (2 * BUFFER_BYTES_MAX + 300_000) + b'"',
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
async def test_a_bad_line_costs_that_line(
    fs_store: ss.FsStore, tmp_path: Path, line: bytes
) -> None:
    """Any bytes at all; what stands around them is given, reading again says the same."""
    session_id = await traced(fs_store, 1, 2)
    path = trace_path(tmp_path)
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + line + b"\n" + second)
    reader = ss.TraceReader(fs_store, session_id)
    for _ in range(2):
        assert [1, 2] == [entry.data for entry in await entries_of(reader)]
        assert [(2, len(first))] == [(d.line, d.offset) for d in reader.damage]


async def test_every_cut_of_a_trace_is_a_trace(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """Whole lines are given, the cut one is not, nothing raises."""
    session_id = await traced(fs_store, 1, 22, 333)
    path = trace_path(tmp_path)
    data = path.read_bytes()
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        found = await entries_of(ss.TraceReader(fs_store, session_id))
        assert [1, 22, 333][: data[:size].count(b"\n")] == [entry.data for entry in found]


async def test_restore_needs_no_trace(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """A trace that is gone loses no session, and cannot be proven any more."""
    session = await talk(fs_store, 1)
    writer = ss.TraceWriter(fs_store, session.id)
    writer.event(1)
    mark = await writer.mark()
    await session.save_turn_end(2, trace=mark)
    trace_path(tmp_path).unlink()

    assert 2 == (await ss.restore(fs_store, session.id)).turn_count
    assert [] == (await ss.verify(fs_store, session.id)).problems
    assert mark is not None
    assert await ss.trace_digest(fs_store, session.id, mark["length"]) is None
    writer.event(2)
    again = await writer.mark()
    assert again is not None
    assert again["blake3"] == await ss.trace_digest(fs_store, session.id, again["length"])


async def test_a_session_is_deleted_with_its_trace(fs_store: ss.FsStore, tmp_path: Path) -> None:
    session_id = await traced(fs_store, "secret")
    await ss.delete(fs_store, session_id)

    assert [] == list(tmp_path.rglob("*.trace.jsonl"))


def test_a_child_of_os_fork_does_not_write_what_the_parent_gathered(tmp_path: Path) -> None:
    """Each event is in the trace once."""
    with blocking.open_store(tmp_path) as store:
        session = blocking.create_session(store)
        writer = blocking.TraceWriter(store, session.id)
        writer.event("parent's")
        pid = os.fork()
        if pid == 0:
            writer.event("child's")
            writer.flush()
            os._exit(0)
        assert (pid, 0) == os.waitpid(pid, 0)
        writer.flush()

        found = [entry.data for entry in blocking.TraceReader(store, session.id).entries()]
    assert ["child's", "parent's"] == found


@pytest.mark.parametrize("waits", range(3))
async def test_a_cancelled_flush_loses_no_count(fs_store: ss.FsStore, waits: int) -> None:
    """What may not have been written is counted as dropped; nothing is there twice."""
    session = await ss.create_session(fs_store)
    writer = ss.TraceWriter(fs_store, session.id)
    writer.event("doubtful")
    task = asyncio.ensure_future(writer.flush())
    for _ in range(waits):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    writer.event("later")
    await writer.mark()

    found = [e.data for e in await entries_of(ss.TraceReader(fs_store, session.id))]
    assert found.count("doubtful") <= 1
    assert found.count("doubtful") + writer.dropped >= 1
    assert 1 == found.count("later")


async def test_traces_are_no_sessions(fs_store: ss.FsStore) -> None:
    """Listings count the trace's bytes beside the log's."""
    session_id = await traced(fs_store, user("x"))

    (info,) = await fs_store.list()

    assert session_id == info.session_id
    assert info.trace_size > 0
