"""
How a bench is run: ours, the floor and the peers take turns, round after round.

Rules of this module:
  * A round gives every way one turn; each round begins with another way.
  * A ratio is the median, over the rounds, of two costs of the same round: a machine
    that changes its speed between rounds changes both sides.
  * The collector runs before a turn, outside of the clock, and stays on in it.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shutil import rmtree
from statistics import median
from tempfile import mkdtemp
from time import perf_counter_ns
from typing import Any, Literal, TypeVar

from attrs import field, frozen

T = TypeVar("T")

OURS = "ours"
SEED = 20261121
"""Of everything random."""


@frozen
class Turn:
    """
    What one turn of a way gave.

    Attributes:
        cost: Seconds for one operation, everything that it took included.
        samples: Seconds of single operations, for the percentiles.
    """

    cost: float
    samples: Sequence[float]


Way = Callable[[], Turn]
"""One turn of ours, of a floor or of a peer."""


@frozen
class Stats:
    """All turns of one way, in seconds."""

    p50: float
    p99: float
    cost: float
    count: int


@frozen
class Goal:
    """
    What a ratio of two ways shall be.

    Attributes:
        against: The way to be measured by; of several, the one with the smallest cost.
        most, least: The limit of the ratio; without one the ratio is only shown.
        by: "cost": ours / theirs. "speed": theirs / ours. "p99": as cost, of the percentiles.
    """

    claim: str
    against: str | tuple[str, ...]
    most: float | None = None
    least: float | None = None
    by: Literal["cost", "speed", "p99"] = "cost"
    of: str = OURS


@frozen
class Contest:
    """
    Several ways of doing the same, and what their ratios shall be.

    Attributes:
        floor: What the floor is made of, in a few honest lines.
        absent: Peers that are not installed, and why.
    """

    goals: Sequence[Goal]
    ways: Mapping[str, Way]
    rounds: int
    floor: str = ""
    absent: Mapping[str, str] = field(factory=dict)
    note: str = ""


@frozen
class Fact:
    """One number that is no ratio of turns."""

    claim: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None
    floor: str = ""
    note: str = ""


@frozen
class Row:
    """One line of the table; `met` is None where nothing is asked."""

    bench: str
    claim: str
    value: float | None
    unit: str
    goal: str
    met: bool | None
    ways: Mapping[str, Stats] = field(factory=dict)
    reference: str = ""
    floor: str = ""
    absent: Mapping[str, str] = field(factory=dict)
    note: str = ""


Bench = Callable[["Place"], Iterator[Contest | Fact]]


@frozen
class Place:
    """
    Where a bench works, and how much of it.

    Attributes:
        root: A directory on a real disk.
        smoke: Only show that everything runs.
        seed: Of everything random.
    """

    root: Path
    smoke: bool
    seed: int

    def count(self, full: int, smoke: int) -> int:
        return smoke if self.smoke else full

    @contextmanager
    def directory(self) -> Iterator[Path]:
        """Give a fresh directory, and take it away."""
        self.root.mkdir(parents=True, exist_ok=True)
        path = Path(mkdtemp(dir=self.root))
        try:
            yield path
        finally:
            rmtree(path, ignore_errors=True)


def each(call: Callable[[T], object], things: Iterable[T], *, unit: int = 1) -> Turn:
    """Call with every one of *things*, each call being *unit* operations."""
    samples: list[float] = []
    for thing in things:
        begin = perf_counter_ns()
        call(thing)
        samples.append((perf_counter_ns() - begin) / unit / 1e9)
    return Turn(sum(samples) / len(samples), samples)


async def each_awaited(
    call: Callable[[T], Awaitable[object]], things: Iterable[T], *, unit: int = 1
) -> Turn:
    """The same for coroutines, one after the other."""
    samples: list[float] = []
    for thing in things:
        begin = perf_counter_ns()
        await call(thing)
        samples.append((perf_counter_ns() - begin) / unit / 1e9)
    return Turn(sum(samples) / len(samples), samples)


async def together(
    call: Callable[[int, T], Awaitable[object]], things: Sequence[Sequence[T]]
) -> Turn:
    """Let one task for each of *things* call with its number and what it has, one by one."""
    begin = perf_counter_ns()
    turns = await asyncio.gather(
        *(each_awaited(partial(call, number), has) for number, has in enumerate(things))
    )
    seconds = (perf_counter_ns() - begin) / 1e9
    return Turn(seconds / sum(map(len, things)), [s for turn in turns for s in turn.samples])


def once(call: Callable[[], object], *, unit: int = 1) -> Turn:
    """Time one call that is *unit* operations."""
    begin = perf_counter_ns()
    kept = call()
    seconds = (perf_counter_ns() - begin) / unit / 1e9
    del kept  # Letting go of a result is nobody's work here.
    return Turn(seconds, [seconds])


def measure(contest: Contest, bench: str) -> list[Row]:
    """Run a contest; one row for each goal."""
    turns = take_turns(contest.ways, contest.rounds)
    ways = {name: stats(found) for name, found in turns.items()}
    rows = []
    for goal in contest.goals:
        reference = _reference(goal, ways)
        value = None if reference is None else _ratio(goal, turns, reference)
        rows.append(
            Row(
                bench,
                goal.claim,
                value,
                "×",
                _goal_text(goal),
                _is_met(value, goal.most, goal.least),
                ways,
                reference or "",
                contest.floor,
                contest.absent,
                contest.note,
            )
        )
    return rows


def stated(fact: Fact, bench: str) -> Row:
    """Return the row of a fact."""
    return Row(
        bench,
        fact.claim,
        fact.value,
        fact.unit,
        _limit(fact.most, fact.least, fact.unit),
        _is_met(fact.value, fact.most, fact.least),
        floor=fact.floor,
        note=fact.note,
    )


def take_turns(ways: Mapping[str, Way], rounds: int) -> dict[str, list[Turn]]:
    names = list(ways)
    turns: dict[str, list[Turn]] = {name: [] for name in names}
    for index in range(rounds):
        first = index % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()
            turns[name].append(ways[name]())
    return turns


def stats(turns: Sequence[Turn]) -> Stats:
    samples = sorted(sample for turn in turns for sample in turn.samples)
    return Stats(
        median(samples), percentile(samples, 99), median(t.cost for t in turns), len(samples)
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the value that *percent* of the *ordered* ones do not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _reference(goal: Goal, ways: Mapping[str, Stats]) -> str | None:
    names = (goal.against,) if isinstance(goal.against, str) else goal.against
    there = [name for name in names if name in ways]
    return min(there, key=lambda name: ways[name].cost, default=None)


def _ratio(goal: Goal, turns: Mapping[str, Sequence[Turn]], reference: str) -> float:
    ours, theirs = turns[goal.of], turns[reference]
    if goal.by == "p99":
        return stats(ours).p99 / stats(theirs).p99
    costs = median(a.cost / b.cost for a, b in zip(ours, theirs, strict=True))
    return 1 / costs if goal.by == "speed" else costs


def _is_met(value: float | None, most: float | None, least: float | None) -> bool | None:
    if value is None or (most is None and least is None):
        return None
    return (most is None or value <= most) and (least is None or value >= least)


def _limit(most: float | None, least: float | None, unit: str) -> str:
    if most is not None:
        return f"≤ {most:g} {unit}"
    return "" if least is None else f"≥ {least:g} {unit}"


def _goal_text(goal: Goal) -> str:
    what = {"cost": "time", "speed": "speed", "p99": "p99"}[goal.by]
    against = goal.against if isinstance(goal.against, str) else "the best peer"
    limit = _limit(goal.most, goal.least, "×") or "shown,"
    return f"{limit} {what} of {against}"


def to_json(row: Row) -> dict[str, Any]:
    """Return a row as JSON; times in microseconds."""
    return {
        "bench": row.bench,
        "claim": row.claim,
        "value": None if row.value is None else float(f"{row.value:.4g}"),
        "unit": row.unit,
        "goal": row.goal,
        "met": row.met,
        "reference": row.reference,
        "ways": {name: _stats_json(found) for name, found in row.ways.items()},
        "floor": row.floor,
        "absent": dict(row.absent),
        "note": row.note,
    }


def _stats_json(found: Stats) -> dict[str, float]:
    def us(seconds: float) -> float:
        return float(f"{seconds * 1e6:.4g}")

    return {"p50_us": us(found.p50), "p99_us": us(found.p99), "cost_us": us(found.cost)} | {
        "count": found.count
    }
