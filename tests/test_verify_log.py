"""docs/verify_log.py: one file of standard library, held against the library it vouches for."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import orjson
import pytest
from blake3 import blake3
from crash.differential import disagreements
from hypothesis import example, given
from hypothesis import strategies as st
from random_logs import HOSTILE, random_family
from verdicts import DOCS, VECTORS, place, verify_log

from session_store import values
from session_store.testing.story import MASKED, begun, told

SCRIPT = DOCS / "verify_log.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


SIZES = (0, 1, 63, 64, 65, 127, 1023, 1024, 1025, 2048, 2049, 3072, 4097, 8193, 31745)


@pytest.mark.parametrize("size", SIZES)
def test_its_blake3_is_blake3(size: int) -> None:
    """At the edges of blocks, chunks and subtrees, keyed and deriving."""
    data = bytes(n % 251 for n in range(size))
    key = verify_log.derive_key("a context", data)
    raw = blake3(data, derive_key_context="a context").digest()

    assert raw == verify_log.struct.pack("<8I", *key)
    assert blake3(data, key=raw).digest() == verify_log.blake3(data, key, verify_log.KEYED)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v, max_size=3),
    max_leaves=8,
)


def agrees(body: bytes) -> None:
    try:
        ours = values.parse(body)
    except ValueError:
        ours = None
    theirs = verify_log.read_json(body)

    assert isinstance(ours, dict) == (theirs is not None), body
    if theirs is not None and "e" not in json.dumps(theirs) and len(body) < 300:
        assert float_ints(ours) == float_ints(theirs)


def float_ints(value: object) -> object:
    """Return *value* with wide integers as the floats that fast parsers make of them."""
    if isinstance(value, dict):
        return {k: float_ints(v) for k, v in value.items()}
    if isinstance(value, list):
        return [float_ints(v) for v in value]
    return float(value) if type(value) is int else value


@pytest.mark.parametrize("body", HOSTILE)
def test_both_parse_the_same_hostile_bodies(body: bytes) -> None:
    """What parses is part of the format."""
    agrees(body)


@given(st.dictionaries(st.text(), JSON, max_size=3), st.integers(0, 200), st.binary(max_size=2))
@example({"a": 2**64}, 0, b"")
@example({"a": 10**308}, 0, b"")
@example({"a": 10**309}, 0, b"")
def test_both_parse_the_same_json(value: object, at: int, junk: bytes) -> None:
    """Also with a byte or two put in where they do not belong."""
    body = json.dumps(value).encode()

    agrees(body)
    agrees(body[:at] + junk + body[at:])


async def test_it_agrees_with_the_library_on_random_logs() -> None:
    """150 families of logs, harmed at random; `make crash` looks at 1,000 others."""
    counts: Counter[str] = Counter()
    found = await disagreements([random_family(seed) for seed in range(150)], counts)

    assert [] == found
    kinds = {"corrupt", "torn", "erased", "erasure-unfinished", "missing-lf", "masked"}
    assert kinds <= set(counts)


def test_it_imports_nothing_but_the_standard_library() -> None:
    """Every module it names ships with Python."""
    source = SCRIPT.read_text("utf-8")
    named = {
        line.split()[1].split(".")[0]
        for line in source.splitlines()
        if line.startswith(("import ", "from "))
    }

    assert named <= sys.stdlib_module_names


def log(folder: Path, data: bytes | None = None) -> Path:
    path = folder / told().file
    path.write_bytes(told().data if data is None else data)
    return path


def test_it_tells_people_what_it_found(tmp_path: Path) -> None:
    """The verdict first, the place with it; exit code 1."""
    done = run(log(tmp_path, told().data.replace(b"2 + 3", b"2 + 4")))

    assert 1 == done.returncode
    assert "CORRUPT at line 3, byte " in done.stdout
    assert "digest" in done.stdout


def test_it_tells_people_that_a_log_is_intact(tmp_path: Path) -> None:
    """With its head, to be compared; exit code 0."""
    done = run(log(tmp_path))

    assert (0, "") == (done.returncode, done.stderr)
    assert f"INTACT, 7 records, head {told().head.hash.hex()}\n" in done.stdout


def test_the_worst_of_several_files_counts(tmp_path: Path) -> None:
    """Each is reported; the exit code is the highest."""
    child = tmp_path / told().fork(4).file
    child.write_bytes(b'{"v":9}\n')
    done = run("--json", log(tmp_path), child, tmp_path / "missing.jsonl")
    said = [orjson.loads(line) for line in done.stdout.splitlines()]

    assert ["intact", "unsupported", "error"] == [report["status"] for report in said]
    assert 3 == done.returncode


def test_parents_are_looked_for_in_a_store(tmp_path: Path) -> None:
    """Beside the file, then where a store keeps them."""
    parent, child = told(), told().fork(4)
    place(tmp_path / "store", {parent.file: parent.data})
    alone = tmp_path / child.file
    alone.write_bytes(child.data)

    assert "parent-missing" in run("--json", alone).stdout
    assert 0 == run("--store", tmp_path / "store", alone).returncode


@pytest.mark.parametrize(
    ("masked", "code"), [('"rules-1"', 0), ('""', 0), ("false", 0), ("null", 1)]
)
def test_a_masked_store_says_so(tmp_path: Path, masked: str, code: int) -> None:
    """Anything but null in its store.json; or the reader allows it."""
    (tmp_path / "store.json").write_text(f'{{"format":1,"masked":{masked}}}')
    path = log(tmp_path, told().mask(2, MASKED).data)

    assert code == run("--store", tmp_path, path).returncode
    assert 0 == run("--allow-masked", path).returncode


def test_bodies_are_parsed_when_asked_to(tmp_path: Path) -> None:
    """A chain holds whatever its bodies are."""
    path = log(tmp_path, begun().append_bodies(("future", b"{nonsense}")).data)

    assert (0, 1) == (run(path).returncode, run("--parse", path).returncode)


NOT_LOGS = {
    "a directory": "directory/" + told().file,
    "not there": "nowhere/" + told().file,
    "another name": "log.jsonl",
    "upper case": told().file.upper(),
}


@pytest.mark.parametrize("name", NOT_LOGS.values(), ids=NOT_LOGS)
def test_what_cannot_be_read_is_exit_code_3(tmp_path: Path, name: str) -> None:
    """Said in words, without a traceback."""
    (tmp_path / "directory" / told().file).mkdir(parents=True)
    done = run(tmp_path / name)

    assert (3, "") == (done.returncode, done.stderr)
    assert "ERROR: " in done.stdout


def test_misuse_is_exit_code_2() -> None:
    """No files is no verdict."""
    assert 2 == run().returncode


def test_it_verifies_what_is_committed() -> None:
    """All golden vectors that hold, in one call."""
    good = ["root", "fork-of-a-fork", "erased", "erased-start", "deep-lineage", "wrapped-values"]
    files = [path for name in good for path in (VECTORS / "v1" / name).glob("*.jsonl")]

    assert 0 == run(*files).returncode
