"""The committer: order, cancellation, locks that are taken, and the end of stores and loops."""

import asyncio
import errno
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fs_tools import born, kinds, let_time_pass, note, records

from session_store.errors import Closed, DurabilityLost, HeadMismatch, Locked, NotFound, StoreFull
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY, FsStore
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files, OpenFile
from session_store.testing.faults import FaultyFiles, Short, error


class Gated(FaultyFiles):
    """Holds writes to logs back until the gate is opened."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()

    def write(self, file: OpenFile, data: bytes) -> int:
        if not self.gate.is_set():
            self.waiting.set()
            assert self.gate.wait(30)
        return super().write(file, data)


@pytest.fixture
def files(tmp_path: Path) -> Gated:
    return Gated(tmp_path / "store")


@pytest.fixture
async def store(files: Gated) -> AsyncIterator[FsStore]:
    store = FsStore(FsCore(files, lock_timeout_s=0.3))
    yield store
    files.gate.set()
    await store.close()


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 30)


@contextmanager
def held(root: Path, session_id: SessionId) -> Iterator[None]:
    """Hold the lock of a log as another process would."""
    other = Files(root)
    file = other.open(layout.log_path(session_id), write=True)
    assert other.try_lock(file)
    try:
        yield
    finally:
        other.unlock(file)


def queue(store: FsStore, cursor, count: int) -> list[asyncio.Task]:
    """Hand in *count* appends of one handle, in order."""
    session_id = cursor.head.session_id
    return [
        asyncio.ensure_future(store.append(session_id, [note(n)], cursor=cursor))
        for n in range(count)
    ]


async def begun(store: FsStore, files: Gated, cursor, count: int) -> list[asyncio.Task]:
    """Hand in appends and wait until the first is being written, and held back."""
    files.gate.clear()
    files.waiting.clear()
    tasks = queue(store, cursor, count)
    await until(files.waiting)
    return tasks


async def test_appends_of_one_handle_keep_their_order(store: FsStore) -> None:
    """They are written as they were handed in, and the head is the last of them."""
    cursor = await store.open(born(store.core))
    receipts = await asyncio.gather(*queue(store, cursor, 50))
    assert list(range(1, 51)) == [r.seq for r in receipts]
    assert cursor.head == cursor.written == receipts[-1].position


async def test_the_head_does_not_run_ahead_of_the_level(store: FsStore, files: Gated) -> None:
    """While an append is queued or being written, the handle's head stays."""
    cursor = await store.open(born(store.core))
    tasks = await begun(store, files, cursor, 3)
    assert 0 == cursor.head.seq
    files.gate.set()
    await asyncio.gather(*tasks)
    assert 3 == cursor.head.seq


async def test_appends_behind_a_failed_one_fail_with_its_cause(
    store: FsStore, files: Gated
) -> None:
    """Unwritten; the handle can then go on."""
    cursor = await store.open(born(store.core))
    first = [True]
    files.plan = lambda call: Short(10) if call.name == "write" and first and first.pop() else None
    tasks = queue(store, cursor, 4)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [StoreFull] * 4 == [type(r) for r in results]
    assert 1 == len({id(r) for r in results})
    assert 1 == len(records(store.core, cursor.head.session_id))
    receipt = await store.append(cursor.head.session_id, [note()], cursor=cursor)
    assert 1 == receipt.seq


async def test_other_handles_are_not_failed_along(store: FsStore, files: Gated) -> None:
    """A failure belongs to its handle's queue, not to the session."""
    session_id = born(store.core)
    one, other = [await store.open(session_id, shared=True) for _ in range(2)]
    first = [True]
    files.plan = lambda call: Short(10) if call.name == "write" and first and first.pop() else None
    tasks = [*queue(store, one, 2), *queue(store, other, 2)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [True, True, False, False] == [isinstance(r, StoreFull) for r in results]


async def test_a_sync_that_fails_fails_all_that_wait_for_it(store: FsStore, files: Gated) -> None:
    """No receipt of this sync or of one behind it; the head stays."""
    cursor = await store.open(born(store.core))
    files.plan = lambda call: error(errno.EIO, call) if call.name == "sync_data" else None
    results = await asyncio.gather(*queue(store, cursor, 5), return_exceptions=True)
    assert [DurabilityLost] * 5 == [type(r) for r in results]
    assert 0 == cursor.head.seq


async def test_a_cancelled_waiter_stops_neither_the_write_nor_the_order(
    store: FsStore, files: Gated
) -> None:
    """Its append is in the log, where it belongs."""
    cursor = await store.open(born(store.core))
    tasks = await begun(store, files, cursor, 3)
    tasks[0].cancel()
    tasks[1].cancel()
    await asyncio.sleep(0)
    files.gate.set()
    last = await tasks[2]
    assert tasks[0].cancelled()
    assert 3 == last.seq
    found = [r.body for r in records(store.core, cursor.head.session_id)][1:]
    assert [b"0", b"1", b"2"] == [body[-2:-1] for body in found]
    assert 3 == cursor.head.seq


async def test_a_log_that_is_taken_delays_no_other(store: FsStore, files: Gated) -> None:
    """The others go on; the taken one gets Locked in time, and everything of it is unwritten."""
    taken, free = born(store.core), born(store.core)
    with held(Path(files.root), taken):
        blocked = queue(store, await store.open(taken), 2)
        cursor = await store.open(free)
        for _ in range(5):
            await store.append(free, [note()], cursor=cursor)
        assert not any(task.done() for task in blocked)
        results = await asyncio.gather(*blocked, return_exceptions=True)
    assert [Locked] * 2 == [type(r) for r in results]
    assert ["session_start"] == kinds(store.core, taken)


class Meeting(Files):
    """A sync of a log ends when another one has begun."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.both: threading.Barrier | None = None

    def sync_data(self, file: OpenFile) -> None:
        if self.both is not None:
            self.both.wait(30)
        super().sync_data(file)


async def test_logs_are_synced_side_by_side(tmp_path: Path) -> None:
    """A device that is slow for one log is not waited for before the other is begun."""
    files = Meeting(tmp_path)
    async with FsStore(FsCore(files)) as face:
        cursors = [await face.open(born(face.core)) for _ in range(2)]
        files.both = threading.Barrier(2)
        for cursor in cursors:  # So that both are of one round.
            cursor.place.log.lock(1)
        waiting = asyncio.gather(*(queue(face, cursor, 3)[-1] for cursor in cursors))
        while sum(cursor.place.log.outstanding for cursor in cursors) < 6:  # noqa: ASYNC110 - tasks that begin, no event
            await asyncio.sleep(0)
        for cursor in cursors:
            cursor.place.log.unlock()
        assert [3, 3] == [receipt.seq for receipt in await waiting]
        assert [3, 3] == [cursor.head.seq for cursor in cursors]


async def test_a_log_that_becomes_free_in_time_is_written(store: FsStore, files: Gated) -> None:
    """Tried again, in order."""
    taken = born(store.core)
    cursor = await store.open(taken)
    with held(Path(files.root), taken):
        tasks = queue(store, cursor, 3)
        await asyncio.sleep(0)
    receipts = await asyncio.gather(*tasks)
    assert [1, 2, 3] == [r.seq for r in receipts]


async def test_an_inline_append_waits_for_those_that_are_queued(
    store: FsStore, files: Gated
) -> None:
    """An os append behind a queued disk append does not overtake it."""
    cursor = await store.open(born(store.core))
    tasks = await begun(store, files, cursor, 1)
    session_id = cursor.head.session_id
    inline = asyncio.ensure_future(
        store.append(session_id, [note("inline")], cursor=cursor, durability="os")
    )
    await asyncio.sleep(0)
    files.gate.set()
    assert [1, 2] == [(await t).seq for t in (*tasks, inline)]


async def test_an_os_append_of_a_free_log_is_made_on_the_spot(store: FsStore) -> None:
    """Without a trip to the thread; its errors come straight back."""
    session_id = born(store.core)
    cursor, late = await store.open(session_id), await store.open(session_id)
    receipt = await store.append(session_id, [note()], cursor=cursor, durability="os")
    assert (1, "os") == (receipt.seq, receipt.level)
    with pytest.raises(HeadMismatch):
        await store.append(session_id, [note()], cursor=late, durability="os")


async def test_close_drains_what_was_handed_in(files: Gated) -> None:
    """Every append handed in before is answered; afterwards all is Closed."""
    store = FsStore(FsCore(files))
    cursor = await store.open(born(store.core))
    session_id = cursor.head.session_id
    tasks = await begun(store, files, cursor, 10)
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    files.gate.set()
    assert list(range(1, 11)) == [r.seq for r in await asyncio.gather(*tasks)]
    await closing
    await store.close()
    for call in (
        store.append(session_id, [note()], cursor=cursor),
        store.append(session_id, [note()], expected=ANY, durability="os"),
        store.head(session_id),
        store.open(session_id),
        anext(aiter(store.read(session_id))),
    ):
        with pytest.raises(Closed):
            await call


def test_a_loop_that_is_closed_early_harms_nobody(files: Gated) -> None:
    """Its appends are written; nobody is told; the next loop goes on."""
    store = FsStore(FsCore(files))
    session_id = born(store.core)

    async def leave() -> None:
        cursor = await store.open(session_id)
        await begun(store, files, cursor, 2)

    asyncio.run(leave())
    files.gate.set()

    async def go_on() -> int:
        receipt = await store.append(session_id, [note()], expected=ANY)
        await store.close()
        return receipt.seq

    assert 3 == asyncio.run(go_on())


async def test_a_request_that_makes_no_sense_stops_nobody(store: FsStore) -> None:
    """Refused at the edge, or failed alone."""
    session_id = born(store.core)
    with pytest.raises(TypeError):
        await store.append(session_id, [note()])
    with pytest.raises(ValueError, match="at least one"):
        await store.append(session_id, [], expected=ANY)
    with pytest.raises(ValueError, match="durability"):
        await store.append(session_id, [note()], expected=ANY, durability="maybe")
    with pytest.raises(TypeError):
        await store.append(session_id, [None], expected=ANY)
    with pytest.raises(NotFound):
        await store.append(new_session_id(), [note()], expected=ANY)
    assert 1 == (await store.append(session_id, [note()], expected=ANY)).seq


async def test_a_deleted_log_fails_its_queue(store: FsStore, files: Gated) -> None:
    """Typed, and nothing is made anew."""
    cursor = await store.open(born(store.core))
    Path(files.name(layout.log_path(cursor.head.session_id))).unlink()
    results = await asyncio.gather(*queue(store, cursor, 2), return_exceptions=True)
    assert [NotFound] * 2 == [type(r) for r in results]


async def test_a_file_that_was_replaced_between_write_and_sync_is_written_again(
    store: FsStore, files: Gated
) -> None:
    """Group commit: every append of the round is in the file that is at the path, once."""
    cursor = await store.open(born(store.core, 1))
    session_id = cursor.head.session_id
    path = Path(files.name(layout.log_path(session_id)))
    old = path.read_bytes()
    once = [True]

    def replace(call) -> None:
        if call.name == "sync_data" and once and once.pop():
            # The clock moves on: what is written anew gets other timestamps, and other hashes.
            began = time.time_ns() // 1_000_000
            while time.time_ns() // 1_000_000 <= began + 1:
                pass
            let_time_pass()
            new = path.with_suffix(".new")
            new.write_bytes(old)
            new.rename(path)

    files.plan = replace
    cursor.place.log.lock(1)  # So that all three are of one round.
    waiting = asyncio.gather(*queue(store, cursor, 3))
    while cursor.place.log.outstanding < 3:  # noqa: ASYNC110 - tasks that begin, no event
        await asyncio.sleep(0)
    cursor.place.log.unlock()
    receipts = await waiting
    assert [2, 3, 4] == [r.seq for r in receipts]
    assert 5 == len(records(store.core, session_id))
    assert 4 == cursor.head.seq
    assert 5 == (await store.append(session_id, [note()], cursor=cursor)).seq
