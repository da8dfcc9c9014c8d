"""Recall, precision and clean transcripts: what docs/MASKING.md says is measured here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from mask_tools import RULES

from benches.masking.corpus import lookalikes, secrets
from benches.masking.measure import leaks, measure
from benches.masking.table import clean_bodies, families, scores, speed, table, ways
from session_store.redaction import load_rules
from session_store.redaction.bodies import mask_json

DOCUMENT = (Path(__file__).parents[1] / "docs" / "MASKING.md").read_text("utf-8")
OURS = "session-store"


def test_the_corpus_is_as_large_as_promised() -> None:
    """500 secrets of 30 families, 2,000 look-alikes; made again, it is the same."""
    found, others = list(secrets()), list(lookalikes())

    assert len(found) >= 500
    assert len({case.family for case in found}) >= 30
    assert len(others) >= 2000
    assert found == list(secrets())


def test_the_table_of_the_document_is_what_is_measured() -> None:
    """Ours is ahead of each rival on both figures."""
    found = scores()
    ours = found[OURS]

    for row in table(found).splitlines():
        assert row in DOCUMENT
    assert families(ours) in DOCUMENT
    assert min(ours.recall, ours.precision) >= 0.98
    for name, other in found.items():
        assert name == OURS or max(other.recall / ours.recall, other.precision / ours.precision) < 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_dice_change_little(seed: int) -> None:
    """The rules do not know the seed."""
    ours = measure(lambda data: mask_json(data, RULES), secrets(seed), lookalikes(seed))

    assert min(ours.recall, ours.precision) >= 0.98


def test_every_masked_document_is_settled() -> None:
    for case in secrets():
        once = mask_json(repr(case.body).encode(), RULES)
        assert once == mask_json(once, RULES)


def test_nothing_changes_in_clean_transcripts() -> None:
    """10 MB, and each body comes back as the very object; how fast is in the document."""
    bodies = clean_bodies()

    assert sum(map(len, bodies)) >= 10_000_000
    assert [] == [body for body in bodies if mask_json(body, RULES) is not body]
    measured = re.search(r"bodies changed, (\d+) MB/s", DOCUMENT)
    assert measured is not None
    assert int(measured[1]) >= 20


def test_clean_transcripts_are_masked_fast() -> None:
    """A third of what is promised, on a machine that does other things too."""
    mask = ways()[OURS]
    assert mask is not None

    assert max(speed(mask, clean_bodies(2_000_000)) for _ in range(3)) > 20 / 3


def test_a_part_of_a_secret_is_a_leak() -> None:
    """A third of it, four letters at least."""
    assert leaks("p@ss9word", "postgres://bob:[REDACTED]@ss9word@db")
    assert not leaks("p@ss9word", "postgres://bob:[REDACTED]@db")


def test_the_example_of_the_document_runs(tmp_path: Path) -> None:
    """And prints what it says it prints."""
    (block,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, check=True
    )

    assert [done.stdout.decode().strip()] == re.findall(r"# (export .*)", block)


def test_the_rules_of_the_document_are_rules() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)

    assert ["acme-token"] == [rule.id for rule in load_rules(block).custom]
