"""
`make crash` and `make crash-smoke`: every subject, its counts as a table.

A subject comes from a module beside this one that has a function `subjects`. What the full
form found is kept in results.json, from which docs/RELIABILITY.md is written (report.py).
Exit code 1 if anything was lost, twice, undetected or misclassified.
"""

import argparse
import importlib
import logging
import os
import pkgutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

import crash
from crash import results
from crash.subject import Row, Subject

ON_REQUEST = frozenset({"soak", "mutation"})
"""Modules that take half an hour or more: they run in full only if they are asked for."""


def main() -> int:
    """Run the subjects asked for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--smoke", action="store_true", help="the short form")
    parser.add_argument("--only", nargs="+", metavar="MODULE", help="these modules alone")
    parser.add_argument("--list", action="store_true", help="say which modules there are")
    options = parser.parse_args()
    if options.list:
        print("\n".join(_modules(None, smoke=True)))
        return 0
    logging.disable()  # A library that is tormented has much to say.
    print(f"{os.cpu_count()} cores, {'short' if options.smoke else 'full'} form")
    wrong = 0
    for module in _modules(options.only, smoke=options.smoke):
        for row, seconds in _run(module, smoke=options.smoke):
            print(_line(row, seconds), flush=True)
            wrong += row.wrong
            if not options.smoke:
                results.keep(module, row, seconds)
    return 1 if wrong else 0


def _modules(only: list[str] | None, *, smoke: bool) -> list[str]:
    names = [module.name for module in pkgutil.iter_modules(crash.__path__)]
    found = [name for name in names if name not in {"run", "report", "results", "subject"}]
    if only:
        if unknown := set(only) - set(found):
            raise SystemExit(f"no module {', '.join(sorted(unknown))} here; there are {found}")
        return [name for name in found if name in only]
    return [name for name in found if smoke or name not in ON_REQUEST]


def _run(module: str, *, smoke: bool) -> Iterator[tuple[Row, float]]:
    make = getattr(importlib.import_module(f"crash.{module}"), "subjects", None)
    if make is None:
        return
    with tempfile.TemporaryDirectory(prefix="session-store-crash-") as root:
        subjects: Iterator[Subject] = make(Path(root), smoke=smoke)
        for subject in subjects:
            began = time.monotonic()
            row = subject()
            yield row, time.monotonic() - began


def _line(row: Row, seconds: float) -> str:
    counts = row.skipped or "  ".join(f"{name} {value}" for name, value in row.counts.items())
    return f"{row.subject:<34} {seconds:7.1f} s  {row.verdict:<7}  {counts}"


if __name__ == "__main__":
    sys.exit(main())
