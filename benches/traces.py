"""Trace events: as many as a provider streams, on the loop that the agent runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import orjson

import session_store as ss

from . import workload
from .harness import OURS, Contest, Fact, Goal, Place, Turn, once

_RAW = "orjson.dumps + buffered write"


def bench(place: Place) -> Iterator[Contest | Fact]:
    events = workload.stream_events(place.count(20_000, 500))
    with place.directory() as root, ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        store = runner.run(ss.open_store(root / "ours"))
        stack.callback(lambda: runner.run(store.close()))
        session = runner.run(ss.create_session(store, durability="os"))
        on_the_loop: list[float] = []
        yield Contest(
            [Goal("trace events", _RAW, least=0.5, by="speed")],
            {
                OURS: lambda: runner.run(_record(store, session.id, events, on_the_loop)),
                _RAW: lambda: once(lambda: _raw(root / "raw.jsonl", events), unit=len(events)),
            },
            place.count(15, 2),
            "the same line (time, turn, kind, event) to an open file with a buffer of 256 KB, "
            "flushed at the end; no limit, no count of what is lost",
            note="the flushes of ours, each a trip to a thread, are included",
        )
        yield Fact(
            "trace event, time on the event loop",
            sum(on_the_loop) / len(on_the_loop) * 1e6,
            "µs",
            most=5,
            note=f"mean; median {sorted(on_the_loop)[len(on_the_loop) // 2] * 1e6:.2f} µs",
        )


async def _record(
    store: ss.Store,
    session_id: ss.SessionId,
    events: Sequence[Mapping[str, Any]],
    on_the_loop: list[float],
) -> Turn:
    writer = ss.TraceWriter(store, session_id)
    begin = perf_counter_ns()
    last = begin
    for event in events:
        writer.event(event)
        if writer.wants_flush:
            await writer.flush()
    await writer.flush()
    took = (perf_counter_ns() - begin) / 1e9 / len(events)
    assert writer.dropped == 0
    for event in events[:2_000]:
        last = perf_counter_ns()
        writer.event(event)
        on_the_loop.append((perf_counter_ns() - last) / 1e9)
    await writer.flush()
    return Turn(took, [took])


def _raw(path: Path, events: Sequence[Mapping[str, Any]]) -> None:
    from time import time_ns  # noqa: PLC0415

    dumps, newline = orjson.dumps, orjson.OPT_APPEND_NEWLINE
    with path.open("ab", buffering=256 * 1024) as file:
        write = file.write
        for event in events:
            write(
                dumps(
                    {
                        "ts": time_ns() // 1_000_000,
                        "turn": 0,
                        "kind": "stream_event",
                        "event": event,
                    },
                    option=newline,
                )
            )
