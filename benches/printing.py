"""Rows as lines on a terminal."""

from __future__ import annotations

from .harness import Row, Stats

_VERDICTS = {True: "met", False: "MISSED", None: ""}


def print_row(row: Row, *, ways: bool, judged: bool) -> None:
    """Print a row; with *ways*, the times behind it; *judged*, whether the goal was met."""
    verdict = _VERDICTS[row.met] if judged else ""
    value = "not installed" if row.value is None else f"{row.value:.3g} {row.unit}"
    print(f"{row.claim:<58} {value:>12}  {row.goal:<32} {verdict}", flush=True)
    if ways:
        for name, found in row.ways.items():
            print(f"    {name:<40} {_times(found)}", flush=True)
        for name, why in row.absent.items():
            print(f"    {name:<40} {why}", flush=True)
        for text in filter(None, (row.floor and f"floor: {row.floor}", row.note)):
            print(f"    {text}", flush=True)


def _times(found: Stats) -> str:
    cost, p50, p99 = (short(s) for s in (found.cost, found.p50, found.p99))
    return f"{cost:>9} each   p50 {p50:>9}   p99 {p99:>9}   n {found.count}"


def short(seconds: float) -> str:
    """Return a time in the unit that fits it."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"
