"""How followers wait: woken by the system where it tells, and never for longer than a pause."""

import asyncio
import errno
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from itertools import islice
from pathlib import Path

import pytest
from fs_tools import born, log_of, note, store

import session_store as ss
from session_store import blocking
from session_store.errors import Closed, NotFound
from session_store.stores import ANY, FsStore
from session_store.stores.face import BlockingFace, InlineFace
from session_store.stores.following import BlockingWait, LoopWait, Watches
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files
from session_store.stores.fs.watching import Notifier

TIMEOUT_S = 30
FOR_EVER_S = 3600
told = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


def replace(path: Path) -> None:
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    copy.rename(path)


def grow(path: Path) -> None:
    with path.open("ab") as log:
        log.write(b"{")


CHANGES: dict[str, Callable[[Path], None]] = {
    "grown": grow,
    "cut": lambda path: os.truncate(path, 10),
    "replaced": replace,
    "deleted": Path.unlink,
    "renamed": lambda path: path.rename(path.with_suffix(".away")),
}


@pytest.fixture
def core(tmp_path: Path) -> FsCore:
    return store(tmp_path, durability="os")


@told
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_task_is_woken_by_every_change(core: FsCore, change) -> None:
    """The system tells; the pause, which would be an hour, has no part in it."""
    path, watches = log_of(core, born(core)), Watches()
    watches.begin(core.files)
    waiting = LoopWait(watches, str(path))
    waiting._pause_s = FOR_EVER_S
    waiting.renew()
    assert waiting.is_told
    task = asyncio.ensure_future(waiting.wait())
    await asyncio.sleep(0)
    change(path)
    async with asyncio.timeout(TIMEOUT_S):
        await task
    waiting.close()


@told
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_thread_is_woken_by_every_change(core: FsCore, change) -> None:
    path = log_of(core, born(core))
    waiting = BlockingWait(core.files, str(path), InlineFace(core).pause)
    waiting._pause_s = FOR_EVER_S
    waiting.renew()
    timer = threading.Timer(0.05, change, [path])
    timer.start()
    blocking._run(waiting.wait())
    timer.join()
    assert waiting._pause_s < 1
    waiting.close()


@told
async def test_a_change_before_the_wait_ends_it(core: FsCore) -> None:
    """Between the watch and the look, or between the look and the wait."""
    path, watches = log_of(core, born(core)), Watches()
    watches.begin(core.files)
    waiting = LoopWait(watches, str(path))
    waiting._pause_s = FOR_EVER_S
    waiting.renew()
    grow(path)
    async with asyncio.timeout(TIMEOUT_S):
        await waiting.wait()
    waiting.close()


class Untold(Files):
    """A system that has no notifier left."""

    def notifier(self) -> Notifier:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


class Network(Files):
    """Other hosts' changes are not told."""

    def filesystem(self) -> str:
        return "nfs4"


class Silent(Notifier):
    """Never tells."""

    def changed(self) -> set[int]:
        super().changed()
        return set()


class Lossy(Files):
    def notifier(self) -> Notifier:
        return Silent()


class Exhausted(Notifier):
    def watch(self, path: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Full(Files):
    """A user who has all the watches that he may have."""

    def notifier(self) -> Notifier:
        return Exhausted()


@pytest.mark.parametrize("kind", [Files, Untold, Network, Lossy, Full])
async def test_whatever_the_system_tells_what_comes_is_given(kind, tmp_path: Path) -> None:
    """The asynchronous face: after a while in which nothing came, and again."""
    async with FsStore(FsCore(kind(tmp_path), durability="os", network_fs=True)) as face:
        session_id = born(face.core)
        records = face.follow(session_id, 1)
        async with asyncio.timeout(TIMEOUT_S):
            for seq in (1, 2):
                following = asyncio.ensure_future(anext(records))
                await asyncio.sleep(0.05)
                face.core.append(session_id, [note()], expected=ANY)
                assert [seq] == [record.seq for record in await following]


@pytest.mark.parametrize("kind", [Files, Untold, Network, Lossy, Full])
def test_the_same_for_a_thread(kind, tmp_path: Path) -> None:
    core = FsCore(kind(tmp_path), durability="os", network_fs=True)
    session_id = born(core)
    records = blocking.Store(BlockingFace(core)).follow(session_id, 1)
    for seq in (1, 2):
        timer = threading.Timer(0.05, lambda: core.append(session_id, [note()], expected=ANY))
        timer.start()
        assert [[seq]] == [[r.seq for r in batch] for batch in islice(records, 1)]
        timer.join()


@told
@pytest.mark.parametrize(("kind", "longest_s"), [(Files, 1.0), (Untold, 0.1), (Full, 0.1)])
def test_the_pause_grows_while_nothing_comes(kind, longest_s: float, tmp_path: Path) -> None:
    """Shorter again when something has come."""
    files = kind(tmp_path)
    core = FsCore(files)
    waiting = BlockingWait(files, str(log_of(core, born(core))), InlineFace(core).pause)
    waiting.renew()
    for _ in range(10):
        waiting._nothing_came()
    assert longest_s == waiting._pause_s
    waiting.came()
    assert 0.005 == waiting._pause_s


def inotifies() -> int:
    links = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue
    return links.count("anon_inode:inotify")


async def followers(face: ss.Store, sessions: int, each: int) -> list[AsyncIterator]:
    """Let followers wait."""
    ids = [born(face.core) for _ in range(sessions)]
    found = [face.follow(session_id, 1) for session_id in ids * each]
    tasks = [asyncio.ensure_future(anext(records)) for records in found]
    watches = face._watches._watched
    while len(watches) < len(tasks) or None in watches.values():  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.001)
    return tasks


@told
async def test_one_notifier_serves_all_followers_of_a_store(tmp_path: Path) -> None:
    """Idle ones hold no thread; closing the store ends them, and leaves nothing open."""
    before = inotifies()
    face = FsStore(FsCore(Files(tmp_path), durability="os"))
    tasks = await followers(face, 5, 4)
    assert 1 == inotifies() - before
    assert 5 == len(await face.list())
    await face.close()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [Closed] * 20 == [type(end) for end in ends]
    assert 0 == inotifies() - before


async def test_a_follower_that_is_left_leaves_the_others(tmp_path: Path) -> None:
    """Of the same log and of others; one by one, down to none."""
    async with FsStore(FsCore(Files(tmp_path), durability="os")) as face:
        first, *others = await followers(face, 1, 3)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        (info,) = await face.list()
        await face.append(info.session_id, [note()], expected=ANY)
        async with asyncio.timeout(TIMEOUT_S):
            assert [1, 1] == [(await other)[0].seq for other in others]


def test_followers_of_two_loops_share_a_store(tmp_path: Path) -> None:
    """One after the other, as `asyncio.run` makes them."""
    face = FsStore(FsCore(Files(tmp_path), durability="os"))
    session_id = born(face.core)

    async def one(seq: int) -> int:
        records = face.follow(session_id, seq)
        following = asyncio.ensure_future(anext(records))
        await asyncio.sleep(0.05)
        await face.append(session_id, [note()], expected=ANY)
        found = await following
        await records.aclose()
        return found[0].seq

    assert [1, 2] == [asyncio.run(one(seq)) for seq in (1, 2)]
    asyncio.run(face.close())


async def test_a_log_that_is_deleted_ends_its_followers(tmp_path: Path) -> None:
    async with FsStore(FsCore(Files(tmp_path), durability="os")) as face:
        (task,) = await followers(face, 1, 1)
        (info,) = await face.list()
        await face.delete(info.session_id)
        async with asyncio.timeout(TIMEOUT_S):
            with pytest.raises(NotFound):
                await task


def test_watches_that_the_system_lost_count_of_wake_everybody(core: FsCore) -> None:
    """A negative watch says that events were dropped."""

    class Overflowing(Notifier):
        def changed(self) -> set[int]:
            return {-1}

    class Busy(Files):
        def notifier(self) -> Notifier:
            return Overflowing()

    async def woken() -> None:
        watches = Watches()
        watches.begin(Busy(core.files.root))
        waiting = LoopWait(watches, str(log_of(core, born(core))))
        waiting._pause_s = FOR_EVER_S
        waiting.renew()
        watches._tell()
        async with asyncio.timeout(TIMEOUT_S):
            await waiting.wait()
        waiting.close()
        waiting.close()
        waiting.renew()
        assert not waiting.is_told

    asyncio.run(woken())
