"""From the log to the state: verified, once, again, and over a shared base."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import session_store as ss
from session_store import blocking

from . import workload
from .floors import PARSE, PARSE_TEXT, parse
from .harness import OURS, Contest, Fact, Goal, Place, Turn, once

_BRANCHES = 500
_SEPARATE = "each from its log"


def bench(place: Place) -> Iterator[Contest | Fact]:
    count, rounds = place.count(100_000, 1_000), place.count(5, 1)
    with place.directory() as root, ExitStack() as stack:
        session_id = ss.new_session_id()
        with blocking.open_store(root) as store:
            path = Path(store.path(session_id))
        workload.write_log(path, session_id, count)
        warm = stack.enter_context(blocking.open_store(root))

        def first() -> object:
            with blocking.open_store(root) as store:
                return blocking.restore(store, session_id)

        blocking.restore(warm, session_id)
        yield Contest(
            [
                Goal(f"restore, verified, {count:,} entries", PARSE, most=1.4),
                Goal(f"second restore, {count:,} entries", PARSE, most=1.1, of="ours, again"),
            ],
            {
                OURS: lambda: once(first, unit=count),
                "ours, again": lambda: once(lambda: blocking.restore(warm, session_id), unit=count),
                PARSE: lambda: once(lambda: parse(path), unit=count),
            },
            rounds,
            PARSE_TEXT,
            note="a store opened for this restore; again: in the same open store",
        )
        yield Contest(
            [Goal("restore, verified, collector off on both sides", PARSE, most=2.5)],
            {
                OURS: _collector_off(lambda: once(first, unit=count)),
                PARSE: _collector_off(lambda: once(lambda: parse(path), unit=count)),
            },
            rounds,
            PARSE_TEXT,
        )
    yield from _branches(place)


def _branches(place: Place) -> Iterator[Contest | Fact]:
    count, branches = place.count(2_000, 200), place.count(_BRANCHES, 10)
    sample = place.count(25, 2)
    with place.directory() as root, blocking.open_store(root, durability="os") as store:
        session_id = ss.new_session_id()
        workload.write_log(Path(store.path(session_id)), session_id, count)
        at = store.head(session_id)
        more = workload.entries(5, seed=place.seed + 1)
        forks = []
        for _ in range(branches):
            fork = blocking.fork_at(store, session_id, at)
            fork.append(*more)
            forks.append(fork.id)

        def shared() -> object:
            base = blocking.restore(store, session_id, at=at)
            return [blocking.restore(store, fork, base=base) for fork in forks]

        yield Contest(
            [Goal(f"{branches} branches over a shared base of {count:,}", _SEPARATE, most=0.05)],
            {
                OURS: lambda: once(shared, unit=branches),
                _SEPARATE: lambda: once(
                    lambda: [blocking.restore(store, fork) for fork in forks[:sample]],
                    unit=sample,
                ),
            },
            place.count(5, 1),
            note=f"ours holds the base's own restore; {sample} of the separate ones are timed, "
            "cost is for one branch",
        )


def _collector_off(way: Callable[[], Turn]) -> Callable[[], Turn]:
    def turn() -> Turn:
        gc.disable()
        try:
            return way()
        finally:
            gc.enable()

    return turn
