"""
Writes the golden vectors and the worked example: `make vectors`.

Once committed, a vector never changes: other implementations hold themselves
against these bytes. New ones are added.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
from blake3 import blake3

from . import vectors_bad, vectors_good, vectors_links
from .example import BEGIN, END, example
from .scenario import SCENARIOS

SUMS = "SUMS"
_MODULES = (vectors_good, vectors_bad, vectors_links)


def files() -> Iterator[tuple[str, bytes]]:
    """Give (path below tests/vectors/v1, bytes) of every golden file but SUMS."""
    for name, make in sorted(SCENARIOS.items()):
        found = make()
        for file, data in sorted(found.logs.items()):
            yield f"{name}/{file}", data
        option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        yield f"{name}/expect.json", orjson.dumps(found.expect_json(), option=option)


def sums() -> str:
    """Return the contents of SUMS: the BLAKE3 of every file, as b3sum prints it."""
    return "".join(f"{blake3(data).hexdigest()}  {path}\n" for path, data in files())


def with_example(page: str) -> str:
    """Return the format's *page* with its worked example made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{example()}{END}{after}"


def main(arguments: list[str] | None = None) -> int:
    """Write everything; refuse to change a vector that is there."""
    parser = argparse.ArgumentParser(description="Write the golden vectors.")
    parser.add_argument("vectors", type=Path, help="tests/vectors/v1")
    parser.add_argument("page", type=Path, help="docs/FORMAT.md")
    parser.add_argument("--overwrite", action="store_true", help="change what was never released")
    options = parser.parse_args(arguments)
    for path, data in files():
        target = options.vectors / path
        if target.exists() and target.read_bytes() != data and not options.overwrite:
            sys.stderr.write(f"{target} would change: a golden vector never does\n")
            return 1
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    (options.vectors / SUMS).write_text(sums())
    options.page.write_text(with_example(options.page.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
