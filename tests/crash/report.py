"""
Writes the tables of docs/RELIABILITY.md: the fault matrix, what was tried, what a breakage meets.

    python tests/crash/report.py

Sources: matrix/*.toml (rows and the tests that try them), results.json (what the last full run of
each subject counted), breakages.toml and mutation.toml. The words around the tables are kept.
"""

import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from crash import results

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "RELIABILITY.md"
_BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SECTIONS = {
    "a": "A. Process death",
    "b": "B. Disk and system call errors",
    "c": "C. Power loss",
    "d": "D. Corrupt or odd bytes at rest",
    "e": "E. Concurrency and locks",
    "f": "F. Tampering",
    "g": "G. Hostile input",
    "i": "I. Scale and resources",
}


def main() -> None:
    """Write the document anew."""
    DOCUMENT.write_text(rendered(DOCUMENT.read_text()))


def rendered(document: str) -> str:
    """Return *document* with every table as the sources have it."""
    tables = {"matrix": _matrix, "subjects": _subjects, "breakages": _breakages}
    return _BLOCK.sub(lambda found: f"{found[1]}{tables[found[2]]()}{found[3]}", document)


def rows() -> dict[str, list[Mapping[str, object]]]:
    """Return the rows of the fault matrix by section."""
    return {
        letter: tomllib.loads((HERE / "matrix" / f"{letter}.toml").read_text())["row"]
        for letter in _SECTIONS
    }


def tests_named() -> list[str]:
    """Return every test that a table names."""
    named = [test for section in rows().values() for row in section for test in row["tests"]]
    return named + [test for breakage in _breakage_list() for test in breakage["tests"]]


def _matrix() -> str:
    tried: dict[int, list[str]] = {}
    for result in results.load():
        for number in result["matrix"]:
            tried.setdefault(number, []).append(_outcome(result))
    out = []
    for letter, title in _SECTIONS.items():
        out.append(f"### {title}\n")
        for row in rows()[letter]:
            out.append(f"**{row['number']}. {row['fault']}** → {row['expected']}  ")
            tests = [_short(test) for test in row["tests"]]
            out.append(f"fast: {', '.join(tests) if tests else 'none'}  ")
            full = tried.get(int(row["number"]), [])
            out.append(f"full: {'; '.join(full)}  " if full else "full: the same  ")
            if row.get("note"):
                out.append(f"note: {row['note']}  ")
            out.append("")
    return "\n".join(out) + "\n"


def _outcome(result: Mapping[str, object]) -> str:
    if result["skipped"]:
        return f"{result['subject']}: skipped, {result['skipped']}"
    verdict = "failed" if result["wrong"] else "ok"
    return f"{result['subject']} ({_counts(result)}): {verdict}"


def _counts(result: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {_number(value)}" for name, value in result["counts"].items()
    )


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _short(test: str) -> str:
    """Return a test's id as people look for it: file and name."""
    return f"`{test.removeprefix('tests/').replace('.py', '')}`"


def _subjects() -> str:
    out = ["| subject | counted | wrong | time | run |", "|---|---|---|---|---|"]
    for result in results.load():
        counted = result["skipped"] or _counts(result)
        out.append(
            f"| {result['subject']} | {counted} | {result['wrong']} | {result['seconds']} s "
            f"| {result['date']}, {result['machine']} |"
        )
    return "\n".join(out) + "\n"


def _breakage_list() -> list[Mapping[str, object]]:
    return tomllib.loads((HERE / "breakages.toml").read_text())["breakage"]


def _breakages() -> str:
    out = ["| broken on purpose | in | the test that fails |", "|---|---|---|"]
    for breakage in _breakage_list():
        tests = ", ".join(map(_short, breakage["tests"]))
        out.append(f"| {breakage['name']} | `{breakage['module']}` | {tests} |")
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    main()
