"""docs/FORMAT.md says what the code does: its tables, its limits and its worked example."""

import re

import pytest
from verdicts import DOCS, verify_log

from session_store import chain, kinds, limits, scan
from session_store.entries import KINDS, MAINTENANCE_KINDS
from session_store.testing.example import BEGIN, END, example
from session_store.testing.story import ROOT
from session_store.testing.vectors import with_example

PAGE = (DOCS / "FORMAT.md").read_text("utf-8")
SECTIONS = dict(
    zip(
        re.findall(r"^## (\d+)\.", PAGE, re.MULTILINE),
        re.split(r"^## \d+\.", PAGE, flags=re.MULTILINE)[1:],
        strict=True,
    )
)


def test_the_worked_example_is_what_the_code_makes() -> None:
    """`make vectors` writes it; nobody else does."""
    assert PAGE == with_example(PAGE)
    assert f"{BEGIN}\n{example()}{END}" in PAGE


def test_the_lines_of_the_example_hold() -> None:
    """Put together again, they are a log."""
    blocks = re.findall(r"```text\n(.*?)\n```", SECTIONS["9"], re.DOTALL)
    lines = [block.replace("\n", "").encode() for block in blocks]
    scanner = scan.Scanner("example", chain.root_head(ROOT))
    records = scanner.feed(b"\n".join(lines) + b"\n")

    assert "clean" == scanner.finish().state
    assert [(0, 0), (1, 1), (2, 0)] == [(r.seq, r.batch) for r in records]
    assert all(
        isinstance(verify_log.read_line(line, chain.id_bytes(ROOT)), verify_log.Record)
        for line in lines
    )


def test_the_table_of_kinds_is_complete() -> None:
    """Every kind is described, and the maintenance ones are marked."""
    rows = [row for row in SECTIONS["7"].split("\n**")[0].splitlines() if row.startswith("| `")]
    named = {kind for row in rows for kind in re.findall(r"`([a-z_]+)`", row.split("|")[1])}
    marked = {
        kind for row in rows if "ᵐ" in row for kind in re.findall(r"`([a-z_]+)`", row.split("|")[1])
    }

    assert set(KINDS) == named
    assert MAINTENANCE_KINDS == marked


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_kind_is_described(kind: str) -> None:
    """A field that is not in the table is not in the format."""
    (row,) = (
        r
        for r in SECTIONS["7"].splitlines()
        if r.startswith("|") and f"`{kind}`" in r.split("|")[1]
    )

    for field in KINDS[kind].__attrs_attrs__:
        assert field.name in row.split("|")[2]


LIMITS = {
    "a line, LF included": limits.LINE_BYTES_MAX,
    "records of one append": limits.BATCH_MAX + 1,
    "bytes of one append": limits.APPEND_BYTES_MAX,
    "nesting of a body": limits.DEPTH_MAX,
    "keys of one object": limits.KEYS_MAX,
}


@pytest.mark.parametrize("what", LIMITS)
def test_limits_are_those_of_the_code(what: str) -> None:
    """Number for number."""
    (row,) = (row for row in SECTIONS["8"].splitlines() if row.startswith(f"| {what} |"))

    assert f"{LIMITS[what]:,}" in row or f"{LIMITS[what]}" in row


def test_the_grammar_is_that_of_the_code() -> None:
    """The expressions of §3 stand in the code as they are written there."""
    kind = re.search(r"kind  = (\S+)", SECTIONS["3"])

    assert kind is not None
    assert kinds.KIND.pattern == kind.group(1)
    assert kind.group(1).encode() in chain._HEAD.pattern
    assert f"last {chain.TRAIL_SIZE} bytes" in SECTIONS["3"]
    assert f"{scan.NUL_RUN} or more consecutive NUL bytes" in SECTIONS["6"]
    assert f'"{chain._CONTEXT}"' in SECTIONS["4"]


def test_the_page_is_short() -> None:
    """Its example aside, it is read in one sitting."""
    text = PAGE.replace(example(), "")

    assert len(text.splitlines()) <= 260
