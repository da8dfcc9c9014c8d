"""Following a session: from an append in one process to its delivery in another."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, process_time, sleep

import orjson

import session_store as ss
from session_store import blocking

from .harness import OURS, Contest, Fact, Goal, Place, Turn, percentile
from .notify import Notifier

_RAW = "inotify + read + orjson.loads"


def bench(place: Place) -> Iterator[Contest | Fact]:
    count = place.count(60, 10)
    context = get_context("spawn")
    with place.directory() as root, ExitStack() as stack:
        with blocking.open_store(root / "ours") as made:
            session_id = blocking.create_session(made).id
        raw = root / "raw.jsonl"
        raw.touch()
        orders, theirs = context.Pipe()
        writer = context.Process(target=_write, args=(theirs, root, session_id))
        writer.start()
        stack.callback(writer.join)
        stack.callback(partial(orders.send, ("", 0)))
        orders.recv()
        runner = stack.enter_context(asyncio.Runner())
        store = runner.run(ss.open_store(root / "ours"))
        stack.callback(lambda: runner.run(store.close()))
        seen: list[float] = []
        yield Contest(
            [Goal("follow: append to delivery", _RAW, by="p99")],
            {
                OURS: lambda: runner.run(_ours(store, session_id, orders, count, seen)),
                _RAW: lambda: _least(raw, orders, count),
            },
            place.count(5, 1),
            "a blocking thread that inotify wakes; it reads what is new and parses it; no check",
            note="from before the append, level os, in one process to the entry in another",
        )
        seen.sort()
        yield Fact("follow: append to delivery, p99", percentile(seen, 99) * 1e3, "ms", most=20)
        idle_s = place.count(8, 1)
        one = runner.run(_idle(store, [session_id], idle_s))
        ten = runner.run(_idle(store, [session_id] * 10, idle_s))
        yield Fact(
            "follow: CPU of an idle follower",
            one * 100,
            "%",
            most=0.5,
            note=f"of one core; ten followers in one process: {ten * 100:.2f} %",
        )


async def _ours(
    store: ss.Store, session_id: ss.SessionId, orders: Connection, count: int, seen: list[float]
) -> Turn:
    session = await ss.open_session(store, session_id)
    samples: list[float] = []
    entries = session.follow()
    first = asyncio.ensure_future(anext(entries))
    await asyncio.sleep(0.1)  # It is there and waits before the first append.
    orders.send((OURS, count))
    for number in range(count):
        entry = await (first if number == 0 else anext(entries))
        assert entry.body is not None
        samples.append(perf_counter() - entry.body["payload"])
    seen += samples
    await asyncio.to_thread(orders.recv)
    return Turn(sum(samples) / len(samples), samples)


def _least(path: Path, orders: Connection, count: int) -> Turn:
    samples: list[float] = []
    notifier = Notifier(path)
    fd = os.open(path, os.O_RDONLY)
    os.lseek(fd, 0, os.SEEK_END)
    orders.send((_RAW, count))
    while len(samples) < count:
        notifier.wait()
        lines = os.read(fd, 1 << 20).splitlines()
        samples += [perf_counter() - orjson.loads(line)["payload"] for line in lines]
    os.close(fd)
    notifier.close()
    orders.recv()
    return Turn(sum(samples) / len(samples), samples)


def _write(orders: Connection, root: Path, session_id: ss.SessionId) -> None:
    pause = random.Random(1)
    with blocking.open_store(root / "ours", durability="os") as store:
        session = blocking.open_session(store, session_id)
        fd = os.open(root / "raw.jsonl", os.O_WRONLY | os.O_APPEND)
        orders.send("ready")
        while (order := orders.recv())[0]:
            way, count = order
            for _ in range(count):
                sleep(pause.uniform(0.005, 0.045))
                if way == OURS:
                    session.append(ss.Extension("bench", perf_counter()))
                else:
                    os.write(fd, orjson.dumps({"payload": perf_counter()}) + b"\n")
            orders.send("done")
        os.close(fd)


async def _idle(store: ss.Store, ids: list[ss.SessionId], seconds: float) -> float:
    """Return the part of a core that followers use to whom nothing is given."""
    followers = []
    for session_id in ids:
        session = await ss.open_session(store, session_id)
        followers.append(asyncio.ensure_future(anext(session.follow())))
    await asyncio.sleep(0.5)
    begin, used = perf_counter(), process_time()
    await asyncio.sleep(seconds)
    part = (process_time() - used) / (perf_counter() - begin)
    for follower in followers:
        follower.cancel()
    await asyncio.gather(*followers, return_exceptions=True)
    return part
