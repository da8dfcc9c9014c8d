"""Run one family of benches in this process; `benches/run.py` starts one process for each."""

from __future__ import annotations

import argparse
from pathlib import Path

import orjson

from .families import FAMILIES, load
from .harness import SEED, Contest, Place, Row, measure, stated, to_json
from .printing import print_row


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.one", description=__doc__)
    parser.add_argument("name", choices=FAMILIES)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    place = Place(args.dir.resolve(), args.smoke, SEED)
    rows: list[Row] = []
    for found in load(args.name)(place):
        new = (
            measure(found, args.name) if isinstance(found, Contest) else [stated(found, args.name)]
        )
        for row in new:
            print_row(row, ways=row is new[-1], judged=not args.smoke)
        rows += new
    if args.json is not None:
        args.json.write_bytes(orjson.dumps([to_json(row) for row in rows]))


if __name__ == "__main__":
    main()
