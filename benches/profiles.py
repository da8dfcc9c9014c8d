"""
Where the time goes: py-spy on ours alone, contest by contest.

    python -m benches.profiles append_os --dir benches/.work

Self time of functions and of their lines; what a C library or the kernel does is
counted for the line that called it. Needs py-spy (PyPI) and the right to trace.
"""

from __future__ import annotations

import argparse
import linecache
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from .families import FAMILIES, load
from .harness import SEED, Contest, Place, Way

_FRAME = re.compile(r"(.+) \((.+):(\d+)\)$")
_TOP = 14
_IDLE = {"_worker", "Condition.wait", "EpollSelector.select", "_PollLikeSelector.select"}
"""Threads that wait for work."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.profiles", description=__doc__)
    parser.add_argument("name", choices=FAMILIES)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=5)
    args = parser.parse_args()
    for contest in load(args.name)(Place(args.dir.resolve(), smoke=False, seed=SEED)):
        if isinstance(contest, Contest):
            for way, claim in {goal.of: goal.claim for goal in contest.goals}.items():
                print(f"\n{claim}")
                with TemporaryDirectory() as where:
                    out = Path(where) / "raw"
                    _sample(contest.ways[way], args.seconds, out)
                    _print(list(_stacks(out)))


def _sample(way: Way, seconds: int, out: Path) -> None:
    way()
    command = ["py-spy", "record", "--pid", str(os.getpid()), "--duration", str(seconds)]
    command += ["--rate", "500", "--format", "raw", "--full-filenames", "--output", str(out)]
    spy = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = perf_counter() + seconds + 5
    while spy.poll() is None and perf_counter() < end:
        way()
    spy.wait()


def _stacks(out: Path) -> Iterator[tuple[list[str], int]]:
    for line in out.read_text("utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        yield stack.split(";"), int(count)


def _print(stacks: list[tuple[list[str], int]]) -> None:
    functions: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    total = 0
    for stack, count in stacks:
        found = _FRAME.match(stack[-1])
        if found is None or found[1] in _IDLE:
            continue
        total += count
        path = _short(found[2])
        functions[f"{found[1]} ({path})"] += count
        text = linecache.getline(found[2], int(found[3])).strip()
        lines[f"{path}:{found[3]}  {text[:80]}"] += count
    for title, counts in (("functions", functions), ("lines", lines)):
        print(f"  {title}, self")
        for name, count in counts.most_common(_TOP):
            print(f"    {100 * count / total:5.1f} %  {name}")


def _short(path: str) -> str:
    parts = Path(path).parts
    for package in ("session_store", "benches"):
        if package in parts:
            at = len(parts) - 1 - parts[::-1].index(package)
            return "/".join(parts[at:])
    return "/".join(parts[-2:])


if __name__ == "__main__":
    main()
