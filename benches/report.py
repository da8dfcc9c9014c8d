"""
From benches/results/last.json to docs/PERFORMANCE.md and its chart.

    python -m benches.report

What stands between the markers of the page is made here; the prose around it stays.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from .chart import chart
from .harness import OURS
from .printing import short

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benches" / "results" / "last.json"
PAGE = ROOT / "docs" / "PERFORMANCE.md"
CHART = ROOT / "docs" / "performance.svg"

_VERDICTS = {True: "met", False: "**missed**", None: ""}


def with_tables(page: str, results: Mapping[str, Any]) -> str:
    """Return *page* with what stands between its markers made anew."""
    for name, text in (
        ("machine", machine_table(results)),
        ("goals", goals_table(results["rows"])),
        ("times", times_table(results["rows"])),
    ):
        begin, end = f"<!-- {name}: made by `make bench` -->", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no markers for {name}")
        page = f"{before}{begin}\n\n{text}\n{end}{after}"
    return page


def machine_table(results: Mapping[str, Any]) -> str:
    machine = results["machine"]
    packages = ", ".join(f"{name} {found}" for name, found in machine["packages"].items())
    facts = {
        "date": results["date"],
        "processor": f"{machine['cpu']}, {machine['cores']} cores",
        "system": f"{machine['kernel']}, {machine['file_system']}",
        "Python": machine["python"],
        "garbage collector": machine["gc"],
        "seed": machine["seed"],
        "commit": machine["commit"],
        "load average at the start": machine["load_average"],
        "packages": packages,
    }
    return _table(["what", "which"], [[name, str(value)] for name, value in facts.items()])


def goals_table(rows: Sequence[Mapping[str, Any]]) -> str:
    return _table(
        ["bench", "goal", "reached", ""],
        [[row["claim"], row["goal"], value(row), _VERDICTS[row["met"]]] for row in rows],
    )


def times_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the times behind the ratios, once for every contest."""
    lines: list[list[str]] = []
    before: object = None
    for row in rows:
        if not row["ways"] or row["ways"] == before:
            continue
        before = row["ways"]
        for name, found in row["ways"].items():
            label = row["claim"] if name == OURS else ""
            times = [short(found[key] / 1e6) for key in ("cost_us", "p50_us", "p99_us")]
            lines.append([label, name, *times, f"{found['count']:,}"])
        lines += [["", name, why, "", "", ""] for name, why in row["absent"].items()]
    return _table(["bench", "way", "each", "p50", "p99", "samples"], lines)


def value(row: Mapping[str, Any]) -> str:
    """Return what a row reached, for people."""
    return "not installed" if row["value"] is None else f"{row['value']:.3g} {row['unit']}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> int:
    results = orjson.loads(RESULTS.read_bytes())
    PAGE.write_text(with_tables(PAGE.read_text("utf-8"), results), "utf-8")
    CHART.write_text(chart(results["rows"]), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
