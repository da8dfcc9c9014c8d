"""Descriptors and memory: bounded by the store, whatever the logs are like."""

import asyncio
import gc
import os
import resource
from pathlib import Path

import pytest
from crash import memory
from crash.processes import start as child_process
from crash.processes import wait
from fs_tools import born, note, records, store

import session_store as ss
from session_store.errors import Corrupt
from session_store.ids import new_session_id
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.layout import log_path
from session_store.stores.fs.tip import read_tip
from session_store.stores.memory import MemoryFiles


def limited(descriptors: int, sessions: int, root: Path) -> None:
    """Work with many open sessions under a low limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
    core = store(root, durability="os")
    cursors = [core.open(born(core), shared=True) for _ in range(sessions)]
    for _ in range(2):
        for cursor in cursors:
            core.append(cursor.head.session_id, [note()], cursor=cursor)
    for cursor in cursors[::50]:
        assert 3 == len(records(core, cursor.head.session_id))
    assert sessions == len(core.list(limit=sessions + 1))


@pytest.mark.parametrize(("descriptors", "sessions"), [(64, 300), (256, 1000)])
def test_many_open_sessions_under_a_low_limit(
    tmp_path: Path, descriptors: int, sessions: int
) -> None:
    """Handles are cheap; open files are a bounded cache."""
    assert [0] == wait([child_process(lambda: limited(descriptors, sessions, tmp_path))])


async def appended_at_once(root: Path, sessions: int) -> None:
    """Append to many sessions before the committer has begun with any."""
    async with await ss.open_store(root, durability="os") as opened:
        handles = [await ss.create_session(opened) for _ in range(sessions)]
        for _ in range(2):
            await asyncio.gather(
                *(h.append(ss.RunStarted("test"), durability="disk") for h in handles)
            )


def limited_at_once(descriptors: int, sessions: int, root: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
    asyncio.run(appended_at_once(root, sessions))


def test_many_sessions_append_at_once_under_a_low_limit(tmp_path: Path) -> None:
    """A slow device lets appends of all sessions gather: they are committed in parts."""
    assert [0] == wait([child_process(lambda: limited_at_once(96, 300, tmp_path))])


def open_logs(root: Path) -> int:
    gc.collect()
    links = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue
    return sum(link.startswith(str(root)) for link in links)


def test_open_files_stay_below_the_bound_and_close(tmp_path: Path) -> None:
    """Also while the longest unused one is at work; closing the store closes all."""
    core = store(tmp_path, open_files_max=4)
    cursors = [core.open(born(core), shared=True) for _ in range(10)]
    core.log(cursors[0].head.session_id).lock(1)
    for cursor in cursors[1:]:
        core.append(cursor.head.session_id, [note()], cursor=cursor)
    assert open_logs(tmp_path) <= 5
    core.log(cursors[0].head.session_id).unlock()
    core.close()
    assert 0 == open_logs(tmp_path)


def test_a_log_that_is_waited_for_closes_its_file_only_if_asked_to(tmp_path: Path) -> None:
    """The committer has other logs to go on with."""
    core = store(tmp_path)
    log = core.log(born(core))
    log.outstanding = 1
    kept = log.release_file(), open_logs(tmp_path)
    closed = log.release_file(though_wanted=True), open_logs(tmp_path)
    assert ((False, 1), (True, 0)) == (kept, closed)


def test_nothing_stays_open_behind_a_read_that_was_left(tmp_path: Path) -> None:
    """A reader's descriptor goes with it."""
    core = store(tmp_path)
    session_id = born(core, 3)
    core.close()
    core = store(tmp_path)
    for _ in range(20):
        next(iter(core.read(session_id)))
        core.follower(session_id, 0).more()
    assert 0 == open_logs(tmp_path)


def test_reading_a_large_log_takes_bounded_memory(tmp_path: Path) -> None:
    """RSS grows by at most 64 MiB and eight times the largest line, verify and follow alike."""
    path = memory.make(tmp_path, mebibytes=200, line=64 * 1024)
    for how in memory.READERS:
        growth = memory.growth(tmp_path, path, how)
        print(how, growth)
        assert growth <= memory.bound(64 * 1024), how


HOSTILE = {
    "one line without end": (b"x", 40 << 20),
    "line ends": (b"\n", 64 << 20),
    "lines with holes": (bytes(16) + b"\n", 1 << 18),
    "NULs": (b"\0", 40 << 20),
    "blank lines": (b" \n", 8 << 20),
}


@pytest.mark.parametrize(("piece", "count"), HOSTILE.values(), ids=HOSTILE)
def test_the_tail_of_any_file_is_read_in_bounded_steps(piece: bytes, count: int) -> None:
    """Neither all of it at once nor the same bytes again and again."""
    data = piece * count
    largest = total = 0

    def read(size: int, offset: int) -> bytes:
        nonlocal largest, total
        largest, total = max(largest, size), total + size
        return data[offset : offset + size]

    try:
        tip = read_tip(read, len(data), new_session_id(), "hostile")
        assert not tip.is_born
    except Corrupt as error:
        assert 0 == error.seq
    assert largest <= 1 << 20
    assert total <= 2 * len(data)


def test_opening_costs_one_read_of_the_tail() -> None:
    """However long the log is."""

    class Counting(MemoryFiles):
        reads = 0

        def read(self, file, size, offset):
            self.reads += 1
            return super().read(file, size, offset)

    files = Counting()
    core = FsCore(files)
    session_id = born(core, 500)
    assert files.stat(log_path(session_id)).size > 100_000
    for call in (core.head, core.open):
        files.reads = 0
        call(session_id)
        assert 1 == files.reads
    files.reads = 0
    core.record(session_id, 250)
    core.append(session_id, [note()], expected=ANY)
    assert files.reads < 60
