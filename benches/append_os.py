"""Appends at level `os`: they survive the death of the process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import session_store as ss
from session_store import blocking

from . import workload
from .floors import WORK, WORK_TEXT, KindAndBody, WorkFloor
from .harness import OURS, Contest, Fact, Goal, Place, each, each_awaited, percentile
from .heartbeat import gaps_during

_BATCH = 64
_TASKS = 8


def bench(place: Place) -> Iterator[Contest | Fact]:
    count, rounds = place.count(640, _BATCH), place.count(25, 2)
    entries = workload.entries(count)
    bodies = [(entry.kind, workload.body_of(entry)) for entry in entries]
    with place.directory() as root, ExitStack() as stack:
        floor = WorkFloor(root / "floor.jsonl", ss.new_session_id())
        stack.callback(floor.close)
        store = stack.enter_context(blocking.open_store(root / "blocking", durability="os"))
        session = blocking.create_session(store)

        yield Contest(
            [Goal("append, os, blocking", WORK, most=1.8)],
            {
                OURS: lambda: each(session.append, entries),
                WORK: lambda: each(floor.append, bodies),
            },
            rounds,
            WORK_TEXT,
        )
        groups = [entries[at : at + _BATCH] for at in range(0, count, _BATCH)]
        floor_groups = [bodies[at : at + _BATCH] for at in range(0, count, _BATCH)]
        yield Contest(
            [Goal("append, os, batches of 64, blocking", WORK, most=1.3)],
            {
                OURS: lambda: each(lambda group: session.append(*group), groups, unit=_BATCH),
                WORK: lambda: each(floor.append_all, floor_groups, unit=_BATCH),
            },
            rounds,
            WORK_TEXT + "; the last three once for 64 entries",
        )
    with place.directory() as root, ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        floor = WorkFloor(root / "floor.jsonl", ss.new_session_id())
        stack.callback(floor.close)
        pod = runner.run(ss.open_store(root / "asyncio", durability="os"))
        stack.callback(lambda: runner.run(pod.close()))
        handle = runner.run(ss.create_session(pod))

        yield Contest(
            [Goal("append, os, one asyncio task", WORK, most=2.5)],
            {
                OURS: lambda: runner.run(each_awaited(handle.append, entries)),
                WORK: lambda: each(floor.append, bodies),
            },
            rounds,
            WORK_TEXT,
        )
        yield runner.run(_blocked(pod, entries, floor, bodies))


async def _blocked(
    pod: ss.Store, entries: Sequence[ss.LogEntry], floor: WorkFloor, bodies: Sequence[KindAndBody]
) -> Fact:
    sessions = [await ss.create_session(pod) for _ in range(_TASKS)]

    async def ours(session: ss.Session) -> None:
        for entry in entries:
            await session.append(entry)
            await asyncio.sleep(0)

    async def least() -> None:
        for body in bodies:
            floor.append(body)
            await asyncio.sleep(0)

    floor_gaps = await gaps_during(*(least() for _ in sessions))
    gaps = await gaps_during(*map(ours, sessions))
    return Fact(
        f"append, os, {_TASKS} tasks: event loop blocked, p99",
        percentile(gaps, 99) * 1000,
        "ms",
        most=1,
        note=f"{_TASKS} appends between two turns of a heartbeat: p50 "
        f"{percentile(gaps, 50) * 1e3:.3f} ms, max {gaps[-1] * 1e3:.2f} ms; with the work floor "
        f"instead of ours: p99 {percentile(floor_gaps, 99) * 1e3:.3f} ms",
    )
