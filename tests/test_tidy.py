"""The mechanical house rules: sizes, names, imports, and what no file may mention."""

import ast
import re
import statistics
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "session_store"
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
SOURCES = [*MODULES, *TESTS, ROOT / "docs" / "verify_log.py"]

LINES_MAX = 400
LINES_MEDIAN_MAX = 150
FUNCTION_LINES_MAX = 60
SENTENCE_WORDS_MIN = 5  # test, and four words
TEST_LINES_MEDIAN_MAX = 10
ONE_FILE_BY_DESIGN = {ROOT / "docs" / "verify_log.py"}

BANNED_MODULES = {"utils", "util", "helpers", "helper", "common", "misc"}
BANNED_MODULES |= {"base", "manager", "service"}
BANNED_SUFFIXES = ("Manager", "Handler", "Helper", "Util", "Utils", "Wrapper", "Impl")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text("utf-8"))))


@pytest.fixture(scope="module", autouse=True)
def parsed_once() -> Iterator[None]:
    """Half a million nodes: later tests would be collecting garbage among them."""
    yield
    nodes.cache_clear()


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def functions(path: Path) -> list[Function]:
    return [node for node in nodes(path) if isinstance(node, Function)]


def claims(path: Path) -> list[Function]:
    return [function for function in functions(path) if function.name.startswith("test_")]


def size(function: Function) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def tracked() -> list[Path]:
    """Return what belongs to the repository; everything here if there is none."""
    command = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"]
    try:
        found = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive, no repository
        return [*SOURCES, *ROOT.glob("*.*"), *ROOT.glob("docs/**/*.md")]
    return [ROOT / name for name in found.decode().split("\0") if name]


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_no_module_is_longer_than_one_can_read(path: Path) -> None:
    """400 lines; split by subject beyond that."""
    assert path in ONE_FILE_BY_DESIGN or lines(path) <= LINES_MAX


def test_modules_are_short() -> None:
    """Half of them have no more than 150 lines."""
    assert statistics.median(map(lines, MODULES)) <= LINES_MEDIAN_MAX


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    """60 lines, docstring included."""
    long = {f.name: size(f) for f in functions(path) if size(f) > FUNCTION_LINES_MAX}

    assert {} == long


def test_test_functions_are_short() -> None:
    """Half of them have no more than 10 lines behind their claim."""
    bodies = [
        size(f) - (f.body[0].end_lineno or 0) + f.lineno - 1 for path in TESTS for f in claims(path)
    ]

    assert statistics.median(bodies) <= TEST_LINES_MEDIAN_MAX


@pytest.mark.parametrize("path", TESTS, ids=names(TESTS))
def test_every_test_says_its_claim(path: Path) -> None:
    """In the first line of its docstring, unless its name is a sentence that says it all."""
    silent = [
        f.name
        for f in claims(path)
        if not ast.get_docstring(f) and len(f.name.split("_")) < SENTENCE_WORDS_MIN
    ]

    assert [] == silent


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_modules_are_named_after_what_lives_in_them(path: Path) -> None:
    """And say in a sentence what that is."""
    assert path.stem not in BANNED_MODULES
    assert path.parent.name not in BANNED_MODULES
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_classes_are_named_after_what_they_are(path: Path) -> None:
    """Not after the pattern that they follow."""
    classes = [node.name for node in nodes(path) if isinstance(node, ast.ClassDef)]

    assert [] == [name for name in classes if name.endswith(BANNED_SUFFIXES)]


FILE_CALLS_IN = {PACKAGE / "stores" / "fs" / name for name in ("files.py", "watching.py")}
NOT_OF_FILES = {"urandom", "register_at_fork", "getpid", "strerror", "environ", "get_terminal_size"}
OUTSIDE_THE_STORE = ("cli", "interop", "testing")
"""They read what is no store's: transcripts, standard input, golden files."""


def os_names(path: Path) -> set[str]:
    """Return what a module takes from `os`."""
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found |= {node.attr} if node.value.id == "os" else set()
    return found


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_file_calls_live_in_one_place(path: Path) -> None:
    """What a disk can do to us is met behind `Files`, which tests can replace."""
    within = path.relative_to(PACKAGE).parts[0]
    if path not in FILE_CALLS_IN and within not in OUTSIDE_THE_STORE:
        assert set() == os_names(path) - NOT_OF_FILES


PURE = (
    "chain closing codec entries errors ids items kinds limits positions redacted scan state values"
)


@pytest.mark.parametrize("name", PURE.split())
def test_pure_modules_open_nothing(name: str) -> None:
    """Bytes in, values out."""
    calls = (node.func for node in nodes(PACKAGE / f"{name}.py") if isinstance(node, ast.Call))
    called = {function.id for function in calls if isinstance(function, ast.Name)}

    assert set() == called & {"open", "print", "input"}


FORBIDDEN_TEXT = {
    "a path of one machine": r"/(work|root)/",
    "a registry": r"index-url|pypi\.org/simple|artifactory",
    "work left for later": r"\b(TODO|FIXME|XXX)\b",
}
MAY_HOLD_ANY_TEXT = {"test_tidy.py", "uv.lock"}


@pytest.mark.parametrize("pattern", FORBIDDEN_TEXT.values(), ids=FORBIDDEN_TEXT)
def test_no_file_mentions(pattern: str) -> None:
    """What only means something where it was written."""
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked()
        if path.is_file() and path.name not in MAY_HOLD_ANY_TEXT and path.suffix != ".jsonl"
        for match in re.finditer(pattern, path.read_text("utf-8", errors="replace"))
    ]

    assert [] == found


FORBIDDEN_IN_TESTS = {
    "mocks of what is ours": r"unittest\.mock|MagicMock|mocker\b|setattr\(\W*session_store",
    "waiting by the clock": r"\bsleep\(\s*(0\.[1-9]|[1-9])",
}


@pytest.mark.parametrize("pattern", FORBIDDEN_IN_TESTS.values(), ids=FORBIDDEN_IN_TESTS)
def test_tests_do_without(pattern: str) -> None:
    """Fakes are subclasses that we ship; what is awaited is polled for."""
    texts = {path: path.read_text("utf-8") for path in TESTS if path.name not in MAY_HOLD_ANY_TEXT}

    assert [] == [path.name for path, text in texts.items() if re.search(pattern, text)]


def test_packages_only_re_export() -> None:
    """An `__init__` defines nothing; what is imported late, type checkers see at once."""
    for path in PACKAGE.rglob("__init__.py"):
        body = ast.parse(path.read_text("utf-8")).body
        allowed = ast.Import | ast.ImportFrom | ast.Expr | ast.Assign
        found = [n for n in body if not isinstance(n, allowed)]

        assert [] == [ast.unparse(n) for n in found if not _is_for_types(n)], path


def _is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
