"""os.fork with an open store: the child begins anew, what the parent holds stays the parent's."""

import asyncio
import multiprocessing
import os
import threading
from pathlib import Path

from crash.processes import program, wait
from crash.processes import start as child
from fs_tools import born, kinds, note, records, store

from session_store.errors import HeadMismatch
from session_store.ids import SessionId
from session_store.stores import ANY, FsStore
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import OpenFile
from session_store.testing.faults import FaultyFiles


def descriptors() -> set[str]:
    """Return what this process has open of files."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue
    return found


def test_the_child_appends_with_files_of_its_own(tmp_path: Path) -> None:
    """And the handle that both have expects the same head: one of them loses."""
    core = store(tmp_path)
    cursor = core.open(born(core))
    session_id = cursor.head.session_id
    core.append(session_id, [note()], cursor=cursor)

    def work() -> None:
        assert not any(name.startswith(str(tmp_path)) for name in descriptors())
        assert 2 == core.append(session_id, [note()], cursor=cursor).seq

    assert [0] == wait([child(work)])
    try:
        core.append(session_id, [note()], cursor=cursor)
    except HeadMismatch as lost:
        assert "(seq 2" in str(lost)
    assert 3 == len(records(core, session_id))


def test_the_child_does_not_release_the_parents_lock(tmp_path: Path) -> None:
    """flock belongs to the open file, which a fork shares."""
    core = store(tmp_path)
    session_id = born(core)
    target = core.log(session_id)
    target.lock(1)
    try:
        assert [0] == wait([child(core.list)])
        other = store(tmp_path, lock_timeout_s=0.05)
        assert not other.log(session_id).try_lock()
    finally:
        target.unlock()


def test_a_child_of_a_parent_that_holds_a_lock_waits_for_it(tmp_path: Path) -> None:
    """It does not take the inherited lock for its own."""
    core = store(tmp_path, lock_timeout_s=0.1)
    session_id = born(core)
    target = core.log(session_id)

    def work() -> None:
        assert not core.log(session_id).try_lock()

    target.lock(1)
    try:
        assert [0] == wait([child(work)])
    finally:
        target.unlock()


def test_a_fork_while_another_thread_is_inside_the_store(tmp_path: Path) -> None:
    """Every mutex may be held in that moment; the children have free ones."""
    assert "40" == program("crash.busy_forks", str(tmp_path), "40")


class Stopped(FaultyFiles):
    """Holds back what the committer writes."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.gate = threading.Event()
        self.waiting = threading.Event()

    def write(self, file: OpenFile, data: bytes) -> int:
        if threading.current_thread().name == "session-store-committer" and os.getpid() == PARENT:
            self.waiting.set()
            assert self.gate.wait(30)
        return super().write(file, data)


PARENT = os.getpid()


async def test_what_the_parent_queued_stays_the_parents(tmp_path: Path) -> None:
    """The child's store has its own committer and an empty queue."""
    files = Stopped(tmp_path)
    face = FsStore(FsCore(files))
    one, other = born(face.core), born(face.core)
    task = asyncio.ensure_future(face.append(one, [note("parent's")], expected=ANY))
    await asyncio.to_thread(files.waiting.wait, 30)

    async def in_child() -> None:
        assert 1 == (await face.append(other, [note("child's")], expected=ANY)).seq
        await face.close()

    pid = child(lambda: _run_alone(in_child()))
    assert [0] == await asyncio.to_thread(wait, [pid])
    assert ["session_start"] == kinds(face.core, one)
    files.gate.set()
    await task
    assert 2 == len(records(face.core, one)) == len(records(face.core, other))
    await face.close()


def _run_alone(coroutine) -> None:
    """Run a coroutine in a child that was forked inside a running loop."""
    asyncio.set_event_loop(None)
    asyncio._set_running_loop(None)
    asyncio.run(coroutine)


def _append_many(core: FsCore, session_id: SessionId) -> None:
    cursor = core.open(session_id, shared=True)
    for _ in range(20):
        core.append(session_id, [note()], cursor=cursor)


def test_multiprocessing_by_fork(tmp_path: Path) -> None:
    """The pool pattern: workers inherit the open store."""
    core = store(tmp_path)
    session_id = born(core)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append_many, args=(core, session_id)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [0] * 4 == [w.exitcode for w in workers]
    assert 81 == len(records(core, session_id))


def test_salts_of_parent_and_child_differ(tmp_path: Path) -> None:
    """Equal entries made on both sides of a fork are two entries."""
    core = store(tmp_path)
    session_id = born(core)
    assert [0] == wait([child(lambda: core.append(session_id, [note("same")], expected=ANY))])
    core.append(session_id, [note("same")], expected=ANY)
    salts = [r.salt for r in records(core, session_id)]
    assert 3 == len(set(salts))


def test_a_memory_store_survives_a_fork_too() -> None:
    """As a copy: what the child appends stays in the child."""
    from session_store.stores.memory import MemoryFiles

    core = FsCore(MemoryFiles())
    session_id = born(core)
    core.log(session_id).lock(1)
    core.log(session_id).unlock()
    assert [0] == wait([child(lambda: core.append(session_id, [note()], expected=ANY))])
    assert 1 == len(records(core, session_id))


def test_a_parents_failed_sync_is_known_in_the_child(tmp_path: Path) -> None:
    """The handle that the child inherited is refused there too."""
    import errno

    from session_store.errors import DurabilityLost
    from session_store.testing.faults import error

    files = FaultyFiles(tmp_path)
    core = FsCore(files)
    cursor = core.open(born(core))
    session_id = cursor.head.session_id

    def refused() -> None:
        try:
            core.append(session_id, [note()], cursor=cursor)
        except DurabilityLost:
            return
        raise AssertionError("not refused")

    files.plan = lambda call: error(errno.EIO, call) if call.name == "sync_data" else None
    refused()
    del files.plan
    assert [0] == wait([child(refused)])
