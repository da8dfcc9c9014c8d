"""`python -m benches.masking`: measure, print, and write the tables into docs/MASKING.md."""

import re
from pathlib import Path

from .corpus import SEED, lookalikes, secrets
from .table import clean_bodies, families, scores, speed, table, ways

DOCUMENT = Path(__file__).parents[2] / "docs" / "MASKING.md"
_PART = re.compile(r"(<!-- measured: [^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    found = scores()
    with_secrets, without = list(secrets()), list(lookalikes())
    kinds = len({case.family for case in with_secrets})
    mask = ways()["session-store"]
    assert mask is not None
    bodies = clean_bodies()
    changed = sum(mask(body) != body for body in bodies)
    size = sum(map(len, bodies)) / 1e6
    text = (
        f"{len(with_secrets):,} documents with a secret of {kinds} families, {len(without):,} with "
        f"none, seed {SEED}:\n\n{table(found)}\n\n{families(found['session-store'])}\n\n"
        f"{size:.0f} MB of clean tool outputs: {changed} bodies changed, "
        f"{speed(mask, bodies):.0f} MB/s on one core of the machine that measured.\n"
    )
    print(text)
    document = DOCUMENT.read_text("utf-8")
    DOCUMENT.write_text(_PART.sub(lambda m: m[1] + text + m[2], document), "utf-8")


if __name__ == "__main__":
    main()
