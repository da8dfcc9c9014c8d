"""Appends of several levels in one queue: none is acknowledged past one before it."""

import asyncio
import errno
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from crash.processes import start as child
from crash.processes import wait
from fs_tools import born, note

from session_store.errors import DurabilityLost
from session_store.ids import SessionId
from session_store.stores import FsStore
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files
from session_store.stores.protocol import Cursor
from session_store.testing.faults import FaultyFiles, error


@pytest.fixture
def files(tmp_path: Path) -> FaultyFiles:
    return FaultyFiles(tmp_path / "store")


@pytest.fixture
async def store(files: FaultyFiles) -> AsyncIterator[FsStore]:
    store = FsStore(FsCore(files))
    yield store
    await store.close()


@contextmanager
def taken(store: FsStore, session_id: SessionId) -> Iterator[None]:
    """Hold the lock of a log as another process would: what is handed in meanwhile is written in one go."""
    other = Files(store.core.files.root)
    file = other.open(layout.log_path(session_id), write=True)
    assert other.try_lock(file)
    yield
    other.unlock(file)


def hand_in(store: FsStore, cursor: Cursor, *levels: str) -> list[asyncio.Task]:
    return [
        asyncio.ensure_future(
            store.append(cursor.head.session_id, [note()], cursor=cursor, durability=level)
        )
        for level in levels
    ]


async def test_an_os_append_behind_a_disk_append_that_failed_fails_with_it(
    store: FsStore, files: FaultyFiles
) -> None:
    """Though it was written, and needs no sync of its own; the head stays."""
    cursor = await store.open(born(store.core))
    files.plan = lambda call: error(errno.EIO, call) if call.name == "sync_data" else None
    with taken(store, cursor.head.session_id):
        tasks = hand_in(store, cursor, "disk", "os", "os")
        await asyncio.sleep(0.05)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [DurabilityLost] * 3 == [type(r) for r in results]
    assert 0 == cursor.head.seq


async def test_a_disk_append_behind_one_that_had_no_descriptor_fails_with_it(
    store: FsStore, files: FaultyFiles
) -> None:
    """Whatever its own sync would say."""
    cursor = await store.open(born(FsCore(Files(files.root))))
    full = [OSError(errno.EMFILE, "no descriptor")]
    files.plan = lambda call: full.pop() if call.name == "sync_directory" and full else None
    with taken(store, cursor.head.session_id):
        tasks = hand_in(store, cursor, "disk", "disk")
        await asyncio.sleep(0.05)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [True, True] == [isinstance(r, OSError) for r in results], results
    assert 0 == cursor.head.seq


async def test_a_flush_brings_what_its_handle_has_queued_before(store: FsStore) -> None:
    """The lock was taken while the append waited for it."""
    cursor = await store.open(born(store.core))
    with taken(store, cursor.head.session_id):
        [task] = hand_in(store, cursor, "os")
        await asyncio.sleep(0.05)
        flush = asyncio.ensure_future(store.flush(cursor.head.session_id, cursor=cursor))
        await asyncio.sleep(0.05)
    assert (await task).seq == (await flush).seq == 1


async def test_a_child_does_not_wait_for_what_its_parent_has_queued(store: FsStore) -> None:
    """Neither an append nor a flush of the handle that both have."""
    session_id = born(store.core)
    cursor = await store.open(session_id, shared=True)

    async def in_child() -> None:
        await asyncio.wait_for(store.flush(session_id, cursor=cursor), 20)
        tasks = hand_in(store, cursor, "disk", "os", "disk")
        await asyncio.wait_for(asyncio.gather(*tasks), 20)

    with taken(store, session_id):
        [parents] = hand_in(store, cursor, "disk")
        await asyncio.sleep(0.05)
        pid = child(lambda: _alone(in_child()))
    await parents
    assert [0] == await asyncio.to_thread(wait, [pid])


def _alone(work: Coroutine) -> None:
    """Run *work* in a child that was forked inside a running loop."""
    asyncio.set_event_loop(None)
    asyncio._set_running_loop(None)
    asyncio.run(work)
