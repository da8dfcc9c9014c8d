"""
Deliberate breakages: for each promise, the edit that would break it, and the test that notices.

They are listed in breakages.toml. Each is made in a copy of the package; its tests must then
fail, every one, and pass without it.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from attrs import frozen

from .patched import ROOT, Copy
from .subject import Row, Subject

LIST = Path(__file__).with_suffix(".toml")
HANDFUL = 3
TIMEOUT_S = 120.0


@frozen
class Breakage:
    """
    One edit.

    Attributes:
        module: Of the package, without suffix.
        old: Stands there exactly once.
        tests: pytest node ids, with or without parameters.
        why: What goes wrong.
    """

    name: str
    module: str
    old: str
    new: str
    tests: tuple[str, ...]
    why: str

    def applied(self, text: str) -> str:
        """Return the module's *text* with the edit made. Raises LookupError."""
        count = text.count(self.old)
        if count != 1:
            raise LookupError(f"{self.name}: the old text is {count} times in {self.module}.py")
        return text.replace(self.old, self.new)


def listed() -> list[Breakage]:
    rows = tomllib.loads(LIST.read_text("utf-8"))["breakage"]
    return [Breakage(**{**row, "tests": tuple(row["tests"])}) for row in rows]


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    """In short: every old text and test is there, and a handful, another one each day."""
    breakages = listed()
    if smoke:
        yield lambda: _all_there(breakages)
        day = datetime.now(UTC).toordinal()
        breakages = [breakages[(day * HANDFUL + n) % len(breakages)] for n in range(HANDFUL)]
    yield lambda: _all_noticed(breakages, root)


def _all_there(breakages: list[Breakage]) -> Row:
    missing = []
    for breakage in breakages:
        try:
            text = (ROOT / "session_store" / f"{breakage.module}.py").read_text("utf-8")
            ast.parse(breakage.applied(text))
        except (OSError, LookupError, SyntaxError) as error:
            missing.append(str(error))
        missing += [f"{test}: no such test" for test in breakage.tests if not _is_there(test)]
    for why in missing:
        print(why, file=sys.stderr)
    return Row("deliberate breakages, listed", {"breakages": len(breakages)}, len(missing))


def _is_there(test: str) -> bool:
    path, _, name = test.partition("::")
    functions = ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return name.partition("[")[0] in {f.name for f in functions if isinstance(f, kinds)}


def _all_noticed(breakages: list[Breakage], root: Path) -> Row:
    copy = Copy(root / "copy")
    tests = sorted({test for breakage in breakages for test in breakage.tests})
    sound = copy.pytest(tests, timeout_s=TIMEOUT_S + 10 * len(tests))
    if not sound.is_passed:
        print(sound.output, file=sys.stderr)
        return Row("deliberate breakages", {"tests that fail unbroken": len(sound.failed)}, 1)
    unnoticed = [why for each in breakages if (why := _unnoticed(each, copy))]
    for why in unnoticed:
        print(why, file=sys.stderr)
    counts = {"breakages": len(breakages), "noticed": len(breakages) - len(unnoticed)}
    return Row("deliberate breakages", {**counts, "tests": len(tests)}, len(unnoticed))


def _unnoticed(breakage: Breakage, copy: Copy) -> str:
    """Return what speaks against "every test of it fails", or nothing."""
    good = copy.path(breakage.module).read_text("utf-8")
    try:
        copy.write(breakage.module, breakage.applied(good))
        for test in breakage.tests:
            outcome = copy.pytest([test], timeout_s=TIMEOUT_S)
            if outcome.code != 1 or not all(f.startswith(test) for f in outcome.failed):
                return f"{breakage.name}: {test}: exit {outcome.code}\n{outcome.output[-2000:]}"
    except LookupError as error:
        return str(error)
    finally:
        copy.write(breakage.module, good)
    return ""
