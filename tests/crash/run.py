"""
`make crash` and `make crash-smoke`: every subject, its counts as a table.

Exit code 1 if anything was lost, twice, undetected or misclassified.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from attrs import asdict, frozen

from crash import exhaustive, kills, memory, writers

SEED = 20261121
CORES = os.cpu_count() or 1


@frozen
class Row:
    """One subject: what was counted, and which of the counts must be 0."""

    subject: str
    counts: dict[str, object]
    wrong: int
    seconds: float = 0.0


def _timed(make: Callable[[], Row]) -> Row:
    began = time.monotonic()
    row = make()
    return Row(row.subject, row.counts, row.wrong, time.monotonic() - began)


def _exhaustive(entries: int, *, sample: int) -> Iterator[Callable[[], Row]]:
    log = exhaustive.good_log(entries, SEED)
    cuts, bits = len(log.data) + 1, 8 * len(log.data)

    def spread(work: Callable[..., exhaustive.Counts], total: int, **options: int) -> Row:
        with ProcessPoolExecutor(CORES) as pool:
            parts = exhaustive.shares(total, 16 * CORES)
            jobs = [pool.submit(work, log, part, **options) for part in parts]
            counts = sum((job.result() for job in jobs), exhaustive.Counts())
        subject = f"{work.__name__}, {entries} entries"
        return Row(subject, asdict(counts), counts.undetected + counts.misclassified)

    yield lambda: spread(exhaustive.truncations, cuts, sample=sample)
    yield lambda: spread(exhaustive.flips, bits, sample=sample)


def _writers(root: Path, *, appends: int, level: str) -> Iterator[Callable[[], Row]]:
    for how in ("shared", "refresh", "fork"):

        def row(how: str = how) -> Row:
            outcome = writers.run(
                root / f"{how}-{level}", processes=8, appends=appends, how=how, level=level
            )
            wrong = outcome.lost + outcome.duplicated + (outcome.appends != 8 * appends)
            return Row(f"8 writers, {how}, {level}", asdict(outcome), wrong)

        yield row


def _kills(root: Path, *, rounds: int) -> Iterator[Callable[[], Row]]:
    for level in ("disk", "os"):

        def row(level: str = level) -> Row:
            outcome = kills.run(
                root / f"kills-{level}", rounds=rounds, writers=5, level=level, seed=SEED
            )
            wrong = outcome.lost + outcome.unopened + (outcome.acked == 0)
            return Row(f"kill -9 of 5 writers, {level}", asdict(outcome), wrong)

        yield row


def _memory(root: Path, *, mebibytes: int, line: int) -> Iterator[Callable[[], Row]]:
    for how in memory.READERS:

        def row(how: str = how) -> Row:
            where = root / f"memory-{how}-{line}"
            log = memory.make(where, mebibytes=mebibytes, line=line)
            growth, bound = memory.growth(where, log, how), memory.bound(line)
            counts = {"log_MiB": mebibytes, "line": line, "growth": growth, "bound": bound}
            return Row(f"memory, {how}", counts, growth > bound)

        yield row


def _subjects(root: Path, *, smoke: bool) -> Iterator[Callable[[], Row]]:
    yield from _exhaustive(30 if smoke else 300, sample=100)
    yield from _writers(root, appends=100 if smoke else 500, level="disk")
    if not smoke:
        yield from _writers(root, appends=500, level="os")
    yield from _kills(root, rounds=15 if smoke else 120)
    yield from _memory(root, mebibytes=100 if smoke else 1024, line=64 * 1024)
    if not smoke:
        yield from _memory(root, mebibytes=1024, line=8 * 1024 * 1024)


def main() -> int:
    """Run all subjects; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="the short form")
    smoke = parser.parse_args().smoke
    print(f"seed {SEED}, {CORES} cores")
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="session-store-crash-") as root:
        for subject in _subjects(Path(root), smoke=smoke):
            row = _timed(subject)
            wrong += row.wrong
            counts = "  ".join(f"{name} {value}" for name, value in row.counts.items())
            verdict = "FAILED" if row.wrong else "ok"
            print(f"{row.subject:<28} {row.seconds:7.1f} s  {verdict:<6}  {counts}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
