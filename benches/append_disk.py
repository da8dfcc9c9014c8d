"""Appends at level `disk`: they survive power loss."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import session_store as ss
from session_store import blocking

from . import workload
from .floors import RAW_DISK, RAW_DISK_TEXT, RawFile
from .harness import (
    OURS,
    Contest,
    Fact,
    Goal,
    Place,
    Turn,
    each,
    each_awaited,
    percentile,
    together,
)
from .heartbeat import gaps_during

_TASKS = 64
_ONE_TASK = "ours, one task"
_ONE_SESSION = "ours, 64 tasks on one session"
_MANY_SESSIONS = "ours, 64 tasks on 64 sessions"


def bench(place: Place) -> Iterator[Contest | Fact]:
    entries = workload.entries(place.count(64, 8))
    lines = ready_lines(entries)
    rounds = place.count(45, 2)
    with place.directory() as root, ExitStack() as stack:
        raw = RawFile(root / "raw.jsonl")
        stack.callback(raw.close)
        store = stack.enter_context(blocking.open_store(root / "blocking"))
        session = blocking.create_session(store)
        runner = stack.enter_context(asyncio.Runner())
        pod = runner.run(ss.open_store(root / "asyncio"))
        stack.callback(lambda: runner.run(pod.close()))
        handles = [runner.run(ss.create_session(pod)) for _ in range(_TASKS)]
        one = handles[0]

        yield Contest(
            [
                Goal("append, disk, blocking", RAW_DISK, least=0.7, by="speed"),
                Goal("append, disk, one task", RAW_DISK, least=0.4, by="speed", of=_ONE_TASK),
            ],
            {
                OURS: lambda: each(session.append, entries),
                _ONE_TASK: lambda: runner.run(each_awaited(one.append, entries)),
                RAW_DISK: lambda: each(raw.write_and_sync, lines),
            },
            rounds,
            RAW_DISK_TEXT,
        )
        yield Contest(
            [
                Goal(claim, _ONE_TASK, least=least, by="speed", of=way)
                for claim, least, way in (
                    ("append, disk, 64 tasks on one session", 4, _ONE_SESSION),
                    ("append, disk, 64 tasks on 64 sessions", 1.6, _MANY_SESSIONS),
                )
            ],
            {
                _ONE_TASK: lambda: runner.run(each_awaited(one.append, entries)),
                _ONE_SESSION: lambda: runner.run(_together([one] * _TASKS, entries)),
                _MANY_SESSIONS: lambda: runner.run(_together(handles, entries)),
            },
            place.count(25, 2),
            note="p50 and p99 of 64 tasks are latencies; rates are compared",
        )
        yield runner.run(_blocked(handles, entries))


def ready_lines(entries: Sequence[ss.LogEntry]) -> list[bytes]:
    """Return the lines that *entries* become."""
    with blocking.open_store("memory:") as store:
        session = blocking.create_session(store)
        for entry in entries:
            session.append(entry)
        return [record.line + b"\n" for batch in store.read(session.id, 1) for record in batch]


async def _together(handles: Sequence[ss.Session], entries: Sequence[ss.LogEntry]) -> Turn:
    """Let every handle append a few entries, each handle others."""
    return await together(
        lambda number, entry: handles[number].append(entry),
        [
            [entries[(number + n) % len(entries)] for n in range(8)]
            for number in range(len(handles))
        ],
    )


async def _blocked(handles: Sequence[ss.Session], entries: Sequence[ss.LogEntry]) -> Fact:
    gaps = await gaps_during(_together(handles, entries))
    return Fact(
        f"append, disk, {_TASKS} tasks: event loop blocked, p99",
        percentile(gaps, 99) * 1000,
        "ms",
        most=1,
        note=f"p50 {percentile(gaps, 50) * 1e3:.3f} ms, max {gaps[-1] * 1e3:.2f} ms",
    )
