"""The tables of docs/MASKING.md: what is found, by whom, and how fast."""

import glob
import json
import os
import sysconfig
import time
from collections.abc import Callable, Mapping

from session_store.redaction import default_rules
from session_store.redaction.bodies import mask_json

from . import rivals
from .corpus import SEED, lookalikes, secrets
from .measure import Mask, Score, measure

_CLEAN_BYTES = 10_000_000
_CHUNK_CHARS = 4000


def ways() -> Mapping[str, Mask | None]:
    """Return the ways to mask, by the name they have in the table; None: not installed."""
    rules = default_rules()
    library = rivals.detect_secrets()
    return {
        "session-store": lambda data: mask_json(data, rules),
        "rule list of an uploader (34 patterns, field names)": rivals.on_strings(
            rivals.UPLOADER, rivals.UPLOADER_FIELDS
        ),
        "rule list of a database mirror (13 patterns)": rivals.on_strings(rivals.MIRROR),
        "detect-secrets 1.5.0, all default plugins": (
            None if library is None else rivals.on_strings(library)
        ),
    }


def scores(seed: int = SEED) -> dict[str, Score]:
    """Return how each way that is installed did."""
    with_secrets, without = list(secrets(seed)), list(lookalikes(seed))
    return {
        name: measure(mask, with_secrets, without)
        for name, mask in ways().items()
        if mask is not None
    }


def table(found: Mapping[str, Score]) -> str:
    """Return the comparison as a table."""
    rows = ["| | recall | precision | caught | false |", "|---|---|---|---|---|"]
    rows += [
        f"| {name} | {score.recall:.3f} | {score.precision:.3f} | "
        f"{score.caught:,} of {score.secrets:,} | {score.false:,} |"
        for name, score in found.items()
    ]
    return "\n".join(rows)


def families(score: Score) -> str:
    """Return what our rules missed and what they masked wrongly, as a list."""
    rows = []
    for what, counts in (("missed", score.missed), ("wrongly masked", score.hit)):
        for (family, place), count in counts.items():
            if count:
                rows.append(f"* {what}, {count} times: {', '.join(filter(None, (family, place)))}")
    return "\n".join(rows) or "Nothing was missed and nothing masked wrongly."


def clean_bodies(size: int = _CLEAN_BYTES) -> list[bytes]:
    """Return bodies with *size* bytes in all: tool outputs with the source of Python's own library."""
    bodies: list[bytes] = []
    total = 0
    pattern = os.path.join(sysconfig.get_path("stdlib"), "**", "*.py")
    for path in sorted(glob.glob(pattern, recursive=True)):
        if "site-packages" in path or f"{os.sep}test" in path:
            continue
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
        for at in range(0, len(text), _CHUNK_CHARS):
            item = {"type": "function_call_output", "call_id": f"call_{len(bodies)}"}
            item["output"] = text[at : at + _CHUNK_CHARS]
            bodies.append(json.dumps({"items": [item]}).encode())
            total += len(bodies[-1])
            if total >= size:
                return bodies
    return bodies


def speed(mask: Mask, bodies: list[bytes], clock: Callable[[], float] = time.process_time) -> float:
    """Return the MB of *bodies* that one core masks in a second."""
    start = clock()
    for body in bodies:
        mask(body)
    return sum(map(len, bodies)) / 1e6 / (clock() - start)
