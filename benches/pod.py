"""A pod: 1,000 open sessions, 256 descriptors, one append a second each."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import session_store as ss
from session_store.entries import Durability

from . import workload
from .harness import OURS, Contest, Fact, Goal, Place, Turn
from .resident import resident_bytes

_SESSIONS = 1_000
_DESCRIPTORS = 256
_ALONE_RATE = 50
_ALONE = "one session"


def bench(place: Place) -> Iterator[Contest | Fact]:
    sessions = place.count(_SESSIONS, 40)
    with place.directory() as root, _few_descriptors(), asyncio.Runner() as runner:
        ids = runner.run(_born(root, sessions + 1))
        yield runner.run(_memory(root, ids))
        yield from _latency(runner, root, ids, place, "disk")
        yield from _latency(runner, root, ids, place, "os")


async def _born(root: Path, count: int) -> list[ss.SessionId]:
    store = await ss.open_store(root, durability="os")
    ids = [(await ss.create_session(store)).id for _ in range(count)]
    await store.close()
    return ids


async def _memory(root: Path, ids: Sequence[ss.SessionId]) -> Fact:
    entries = workload.entries(100)
    store = await ss.open_store(root, durability="os")
    first = await ss.open_session(store, ids[0])
    await first.append(*entries)  # What the first append of a process costs is nobody's share.
    before = resident_bytes()
    handles = [await ss.open_session(store, session_id) for session_id in ids[1:]]
    opened = resident_bytes()
    for number, handle in enumerate(handles):
        await handle.append(entries[number % len(entries)])
    used = resident_bytes()
    await store.close()
    return Fact(
        "memory of an open session",
        (used - before) / len(handles) / 1024,
        "KB",
        most=10,
        note=f"resident size, {len(handles):,} sessions with one append each; only opened: "
        f"{(opened - before) / len(handles) / 1024:.2f} KB",
    )


def _latency(
    runner: asyncio.Runner,
    root: Path,
    ids: Sequence[ss.SessionId],
    place: Place,
    level: Durability,
) -> Iterator[Contest]:
    entries, seconds = workload.entries(500), place.count(4, 1)
    store = runner.run(ss.open_store(root, durability=level))
    alone, *pod = [runner.run(ss.open_session(store, session_id)) for session_id in ids]
    yield Contest(
        [Goal(f"{len(pod):,} sessions in one pod, {level}", _ALONE, most=3, by="p99")],
        {
            OURS: lambda: runner.run(_paced(pod, entries, len(pod), seconds)),
            _ALONE: lambda: runner.run(_paced([alone], entries, _ALONE_RATE, seconds)),
        },
        place.count(3, 1),
        note=f"ulimit -n {_DESCRIPTORS}; arrivals spread evenly, one a second for each session; the "
        f"one session has {_ALONE_RATE} a second, each alone, so that it has a p99",
    )
    runner.run(store.close())


async def _paced(
    handles: Sequence[ss.Session], entries: Sequence[ss.LogEntry], rate: float, seconds: int
) -> Turn:
    """Let *rate* appends a second arrive, whether those before are done or not."""
    samples: list[float] = []

    async def append(handle: ss.Session, entry: ss.LogEntry) -> None:
        begin = perf_counter()
        await handle.append(entry)
        samples.append(perf_counter() - begin)

    start = perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            wait_s = start + number / rate - perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            entry = entries[number % len(entries)]
            group.create_task(append(handles[number % len(handles)], entry))
    return Turn(sum(samples) / len(samples), samples)


@contextmanager
def _few_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
