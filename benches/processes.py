"""Eight processes that append to one session at level `disk`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

import session_store as ss
from session_store import blocking

from . import workload
from .append_disk import ready_lines
from .floors import RawFile
from .harness import OURS, Contest, Fact, Goal, Place, Turn, each

_WRITERS = 8
_RAW = "raw flock + write + fdatasync"
_RAW_BEHIND = "raw flock + write, then fdatasync"


def bench(place: Place) -> Iterator[Contest | Fact]:
    count = place.count(100, 8)
    context = get_context("spawn")
    with place.directory() as root, ExitStack() as stack:
        with blocking.open_store(root / "ours") as store:
            session_id = blocking.create_session(store).id
        writers: list[Connection] = []
        for number in range(_WRITERS):
            ours, theirs = context.Pipe()
            process = context.Process(target=_write, args=(theirs, root, session_id, count, number))
            process.start()
            stack.callback(process.join)
            stack.callback(partial(ours.send, ""))
            writers.append(ours)
        for writer in writers:
            writer.recv()

        def turn(way: str) -> Turn:
            begin = perf_counter()
            for writer in writers:
                writer.send(way)
            turns = [writer.recv() for writer in writers]
            cost = (perf_counter() - begin) / count / _WRITERS
            return Turn(cost, [sample for found in turns for sample in found.samples])

        claim = f"append, disk, {_WRITERS} processes on one session"
        yield Contest(
            [
                Goal(claim, _RAW, least=0.6, by="speed"),
                Goal(f"{claim}: sync behind the lock", _RAW_BEHIND, by="speed"),
            ],
            {way: partial(turn, way) for way in (OURS, _RAW, _RAW_BEHIND)},
            place.count(15, 2),
            "ready-made lines of the same sizes to one file; the first loop syncs under the lock, "
            "the second behind it, so that the next writer need not wait for the device",
        )


def _write(
    orders: Connection, root: Path, session_id: ss.SessionId, count: int, number: int
) -> None:
    entries = workload.entries(count, seed=number)
    lines = ready_lines(entries)
    with blocking.open_store(root / "ours", lock_timeout_s=60) as store, ExitStack() as stack:
        session = blocking.open_session(store, session_id, shared=True)
        raw = RawFile(root / "raw.jsonl")
        stack.callback(raw.close)
        ways = {
            OURS: lambda: each(session.append, entries),
            _RAW: lambda: each(raw.lock_write_sync, lines),
            _RAW_BEHIND: lambda: each(raw.lock_write_unlock_sync, lines),
        }
        orders.send("ready")
        while way := orders.recv():
            orders.send(ways[way]())
