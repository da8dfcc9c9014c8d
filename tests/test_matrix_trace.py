"""A trace on a disk that fails: the session neither fails nor waits, and what is lost is stated."""

import asyncio
import errno
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from matrix_tools import WAIT_S

import session_store as ss
from session_store import blocking
from session_store.stores.face import InlineFace
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import OpenFile
from session_store.testing.faults import Call, Crash, FaultyFiles, FaultyMemory, Short, error

TRACE_FAULTS: dict[str, Callable[[Call], object]] = {
    "full": lambda call: error(errno.ENOSPC, call) if call.name == "write" else None,
    "full after a piece": lambda call: (
        Short(50, error(errno.ENOSPC, call)) if call.name == "write" else None
    ),
    "EIO": lambda call: error(errno.EIO, call) if call.name == "write" else None,
    "read-only": lambda call: error(errno.EROFS, call),
    "no descriptors": lambda call: error(errno.EMFILE, call),
    "short": lambda call: Short(7) if call.name == "write" and call.number % 2 else None,
}


@pytest.mark.parametrize("fault", TRACE_FAULTS)
def test_a_session_goes_on_whatever_happens_to_its_trace(fault: str) -> None:
    """Nothing raises; what is not in the file is counted, and stated there when it can be."""
    files = FaultyMemory()
    store = blocking.Store(InlineFace(FsCore(files)))
    session = blocking.create_session(store)
    writer = blocking.TraceWriter(store, session.id)
    files.plan = lambda call: (
        TRACE_FAULTS[fault](call) if call.path.endswith(layout.TRACE_SUFFIX) else None
    )
    for number in range(5):
        writer.event(number)
        session.save_turn_end(number + 1, trace=writer.mark())
    del files.plan
    writer.event("after")
    assert writer.mark() is not None
    reader = blocking.TraceReader(store, session.id)
    found = list(reader.entries())
    events = [e.data for e in found if e.kind == "stream_event"]
    stated = sum(e.data for e in found if e.kind == "dropped")
    assert events == sorted(set(events), key=str), "nothing twice, all in order"
    assert (5, 0) == (6 - len(events), len(reader.damage)) or fault in (
        "short",
        "full after a piece",
    )
    assert stated == writer.dropped == 6 - len(events)
    assert 5 == blocking.restore(store, session.id).turn_count


def test_death_at_any_byte_of_a_trace_costs_what_was_not_flushed() -> None:
    """The session restores, lines before are read, one torn line at most, the next flush ends it."""
    size = 0
    for k in range(1000):
        files = FaultyMemory()
        store = blocking.Store(InlineFace(FsCore(files)))
        session = blocking.create_session(store)
        writer = blocking.TraceWriter(store, session.id)
        writer.event("flushed")
        length = writer.flush()
        assert length is not None
        if k == size and size:
            return
        files.plan = lambda call, k=k: Short(k, Crash()) if call.name == "write" else None
        writer.event("lost")
        writer.event("lost")
        with pytest.raises(Crash):
            writer.flush()
        size = files.calls[-1].size
        store = blocking.Store(InlineFace(FsCore(files.rebooted())))
        assert 0 == blocking.restore(store, session.id).turn_count
        writer = blocking.TraceWriter(store, session.id)
        writer.event("later")
        writer.flush()
        reader = blocking.TraceReader(store, session.id)
        found = [e.data for e in reader.entries()]
        whole = ["lost"] * (found.count("lost"))
        assert ["flushed", *whole, "later"] == found
        assert len(whole) <= 1 or k >= size - 1
        assert len(reader.damage) <= 1
    pytest.fail("the flush is larger than the test thought")


class StuckTrace(FaultyFiles):
    """A disk on which writing a trace hangs."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.begun, self.go = threading.Event(), threading.Event()

    def write(self, file: OpenFile, data: bytes) -> int:
        if self._paths[file].endswith(layout.TRACE_SUFFIX):
            self.begun.set()
            assert self.go.wait(WAIT_S)
        return super().write(file, data)


async def test_a_session_does_not_wait_for_a_trace_that_hangs(tmp_path: Path) -> None:
    """Appends are acknowledged while the flush stands still; it ends when the disk does."""
    files = StuckTrace(tmp_path)
    async with ss.FsStore(FsCore(files)) as store:
        session = await ss.create_session(store)
        writer = ss.TraceWriter(store, session.id)
        writer.event(1)
        flush = asyncio.ensure_future(writer.flush())
        assert await asyncio.to_thread(files.begun.wait, WAIT_S)
        for number in range(3):
            await session.save_turn_end(number + 1)
        writer.event(2)
        assert not flush.done()
        files.go.set()
        assert await flush
        assert await writer.flush()
    assert 0 == writer.dropped
