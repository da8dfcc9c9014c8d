"""
The library's verifier against docs/verify_log.py, on random logs: `--count 1000 --seed N`.

Both must agree on status, records, head, findings with their places, and exit code.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from random_logs import Family, random_family
from verdicts import UNSUPPORTED, Verdict, library, place, standalone

import session_store as ss
from crash.subject import Row, Subject

SEED = 20261121
_AT_ONCE = 100


async def disagreements(families: list[Family], counts: Counter[str]) -> list[str]:
    """Return what the two say differently of *families*; count what both found."""
    with tempfile.TemporaryDirectory() as name:
        flat, root = Path(name) / "flat", Path(name) / "store"
        flat.mkdir()
        for family in families:
            for file, data in family.logs.items():
                (flat / file).write_bytes(data)
            place(root, family.logs)
        root.chmod(0o700)
        async with await ss.open_store(root) as store:
            compared = (_compare(store, flat, family, counts) for family in families)
            return [line for lines in await asyncio.gather(*compared) for line in lines]


async def _compare(store: ss.Store, flat: Path, family: Family, counts: Counter[str]) -> list[str]:
    found = []
    how = {"allow_masked": family.allow_masked, "parse": family.parse}
    for file in sorted(family.logs):
        ours = await library(store, ss.SessionId(file.removesuffix(".jsonl")), **how)
        theirs = standalone(flat / file, **how)
        counts["logs"] += 1
        counts.update(_words(theirs[0]))
        if ours != (_as_raised(theirs[0]), theirs[1]):
            found.append(
                f"{family.about}, {how}: {file}\n  library    {ours}\n  standalone {theirs}"
            )
    return found


def _as_raised(verdict: Verdict) -> Verdict:
    return UNSUPPORTED if verdict["status"] == "unsupported" else verdict


def _words(verdict: Verdict) -> set[str]:
    return {verdict["status"], *(finding["what"] for finding in verdict["findings"])}


def compare(count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Judge *count* families from *seed* on; return what was found, and the disagreements."""
    counts: Counter[str] = Counter()
    found: list[str] = []
    for first in range(seed, seed + count, _AT_ONCE):
        seeds = range(first, min(first + _AT_ONCE, seed + count))
        found += asyncio.run(disagreements([random_family(each) for each in seeds], counts))
    return counts, found


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    def row() -> Row:
        count = 20 if smoke else 1000
        counts, found = compare(count, SEED)
        print(*found[:20], sep="\n", end="\n" if found else "")
        said = {"families": count, **counts, "disagreements": len(found)}
        return Row("library and verify_log.py", said, len(found))

    yield row


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts, found = compare(options.count, options.seed)
    said = [
        *found[:20],
        f"differential: {options.count} families from seed {options.seed}, {dict(counts)}",
        f"differential: {len(found)} disagreements",
    ]
    sys.stdout.write("\n".join(said) + "\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
