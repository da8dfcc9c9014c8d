"""
Run the benches: ours, the floor and the peers, interleaved.

    python -m benches                      all; the results go to benches/results/last.json
    python -m benches --smoke              only show that everything runs
    python -m benches --only restore …     some families, printed only
    python -m benches --list

Each family runs in a process of its own, so that no heap weighs on another's collector.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, strftime
from typing import Any

import orjson

ROOT = Path(__file__).parent.parent
if __package__ in (
    None,
    "",
):  # Run as a file: what is beside it must not hide the library's modules.
    sys.path[0] = str(ROOT)

from benches.families import FAMILIES  # noqa: E402 - behind the line above
from benches.machine import describe  # noqa: E402

RESULTS = ROOT / "benches" / "results" / "last.json"
_WORK = ROOT / "benches" / ".work"


def main() -> int:
    args = _arguments()
    if args.list:
        print("\n".join(FAMILIES))
        return 0
    args.dir.mkdir(parents=True, exist_ok=True)
    machine = describe(args.dir)
    print(*(f"{name}: {value}" for name, value in machine.items()), sep="\n", flush=True)
    names = args.only or FAMILIES
    rows, failed = _run(names, args.dir, smoke=args.smoke)
    if not args.only and not args.smoke and not failed:
        result = {"date": strftime("%Y-%m-%d"), "machine": machine, "rows": rows}
        RESULTS.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
        print(f"\n{RESULTS.relative_to(ROOT)} written; python -m benches.report renders it")
    missed = [row["claim"] for row in rows if row["met"] is False]
    if missed and not args.smoke:
        print("\nmissed:", *missed, sep="\n    ")
    if failed:
        print("\nfailed:", *failed, sep="\n    ", file=sys.stderr)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benches",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--smoke", action="store_true", help="small and unjudged")
    parser.add_argument("--only", nargs="+", choices=FAMILIES, metavar="NAME")
    parser.add_argument("--dir", type=Path, default=_WORK, help="on a real disk; benches/.work")
    parser.add_argument("--list", action="store_true", help="show the families")
    return parser.parse_args()


def _run(
    names: Sequence[str], work: Path, *, smoke: bool
) -> tuple[list[dict[str, Any]], list[str]]:
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    with TemporaryDirectory(dir=work) as here:
        for name in names:
            out = Path(here) / f"{name}.json"
            command = [sys.executable, "-m", "benches.one", name, "--dir", str(work)]
            command += ["--json", str(out), *(["--smoke"] if smoke else [])]
            print(f"\n{name}", flush=True)
            begin = perf_counter()
            if subprocess.run(command, cwd=ROOT, check=False).returncode:
                failed.append(name)
            else:
                rows += orjson.loads(out.read_bytes())
            print(f"    {perf_counter() - begin:.1f} s", flush=True)
    return rows, failed


if __name__ == "__main__":
    sys.exit(main())
