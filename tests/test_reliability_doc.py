"""docs/RELIABILITY.md says what was tried: its tables are those of the sources, its tests exist."""

import ast
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))

from crash import report, results  # noqa: E402 - a script's package, not on the path of tests


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_the_tables_are_those_of_the_sources() -> None:
    """`python tests/crash/report.py` writes them."""
    document = report.DOCUMENT.read_text()
    assert report.rendered(document) == document


def test_every_test_that_is_named_exists() -> None:
    for test in report.tests_named():
        path, _, name = test.partition("::")
        name = name.rpartition("::")[2].partition("[")[0]
        assert name in functions(ROOT / path), test


def test_the_rows_are_numbered_as_the_matrix_is() -> None:
    """Each once, in order."""
    numbers = [row["number"] for rows in report.rows().values() for row in rows]
    assert sorted(set(numbers)) == numbers


def test_nothing_in_the_last_full_run_was_wrong() -> None:
    assert [] == [found["subject"] for found in results.load() if found["wrong"]]
