"""Golden vectors: the same bytes for ever, and every entry point says of them what they say."""

import asyncio
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from blake3 import blake3
from verdicts import DOCS, UNSUPPORTED, VECTORS, Verdict, library, make_masked, place, standalone

import session_store as ss
from session_store.chain import root_head
from session_store.redacted import find_redactions
from session_store.scan import Scanner
from session_store.testing.story import ROOT
from session_store.testing.vectors import SUMS, files, main, sums

V1 = VECTORS / "v1"
NAMES = sorted(path.name for path in V1.iterdir() if path.is_dir())
STEPS = (1, 7, 1 << 20)
ROOT_FILE = f"{ROOT}.jsonl"
ONLY_BY_READING_BODIES = {"redaction-not-json"}
"""What a scanner cannot see: it parses nothing."""
NOT_ALONE = {"parent-missing", "own-parent"}
"""Single logs whose trouble lies with their parents."""
UNUSABLE = {"body-not-json": 7}
"""Chains that hold, but no state comes of them: the seq where replay stops."""


def expectation(name: str) -> Verdict:
    return orjson.loads((V1 / name / "expect.json").read_bytes())


def options(expect: Verdict) -> dict[str, bool]:
    return {key: True for key in ("allow_masked", "parse") if expect.get(key)}


def in_order(verdict: Verdict) -> Verdict:
    found = sorted(verdict["findings"], key=lambda f: (f["seq"], f["what"], f["offset"]))
    return {**verdict, "findings": found}


def logs(name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (V1 / name).glob("*.jsonl")}


def session(file: str) -> ss.SessionId:
    return ss.parse_session_id(file.removesuffix(".jsonl"))


def scan(file: str, data: bytes, step: int, *, allow_masked: bool) -> tuple[int, str, int]:
    """Return how many records came out, what stands behind them, and at which byte."""
    session_id = session(file)
    named = find_redactions((data[at : at + step] for at in range(0, len(data), step)), session_id)
    scanner = Scanner(file, root_head(session_id), allow_masked=allow_masked, replacements=named)
    records = []
    for at in range(0, len(data), step):
        records += scanner.feed(data[at : at + step])
    try:
        tail = scanner.finish()
    except ss.Corrupt as error:
        return len(records), "corrupt", error.offset
    except ss.Unsupported:
        return len(records), "unsupported", 0
    records += tail.records
    if tail.state == "missing_lf":
        return len(records), "missing-lf", tail.records[-1].offset
    return len(records), tail.state if records else "unborn", tail.offset


@pytest.mark.parametrize("name", NAMES)
def test_scanner_says_the_same_in_any_steps(name: str) -> None:
    """Bytes may come whole, one by one or by sevens."""
    masked = expectation(name).get("allow_masked", False)
    for file, data in logs(name).items():
        ways = {scan(file, data, step, allow_masked=masked) for step in STEPS}

        assert 1 == len(ways), ways


@pytest.mark.parametrize("name", sorted(set(NAMES) - ONLY_BY_READING_BODIES))
def test_scanner_finds_what_is_expected(name: str) -> None:
    """Of a log that stands alone the scanner knows everything but the bodies."""
    expect, found = expectation(name), logs(name)
    if len(found) > 1 or expect.get("parse") or name in NOT_ALONE:
        return
    (file, wanted), (data,) = *expect["logs"].items(), found.values()
    seen = [f for f in wanted["findings"] if "era" not in f["what"] and f["what"] != "masked"]
    what, offset = (seen[0]["what"], seen[0]["offset"]) if seen else ("clean", len(data))

    outcome = scan(file, data, 1 << 20, allow_masked=expect.get("allow_masked", False))

    assert (wanted["records"], what, offset) == outcome


def test_library_verifies_every_vector(tmp_path: Path) -> None:
    """`ss.verify` gives the expected status, records, head and findings."""

    async def check(name: str) -> None:
        expect, root = expectation(name), tmp_path / name
        place(root, logs(name))
        async with await ss.open_store(root) as store:
            for file, wanted in expect["logs"].items():
                found, code = await library(store, session(file), **options(expect))
                expected = UNSUPPORTED if wanted["status"] == "unsupported" else in_order(wanted)
                assert (name, expected) == (name, found)
                assert (name, exit_code(wanted)) == (name, code)

    async def check_all() -> None:
        await asyncio.gather(*map(check, NAMES))

    asyncio.run(check_all())


def exit_code(verdict: Verdict) -> int:
    if verdict["status"] == "unsupported":
        return 3
    return int(any(f["what"] not in ("erased", "masked") for f in verdict["findings"]))


@pytest.mark.parametrize("name", NAMES)
def test_standalone_verifier_agrees(name: str) -> None:
    """docs/verify_log.py, which shares no code, says the same."""
    expect = expectation(name)
    for file, wanted in expect["logs"].items():
        found, code = standalone(V1 / name / file, **options(expect))

        assert in_order(wanted) == found
        assert exit_code(wanted) == code


@pytest.mark.parametrize("name", ["root", "erased", "flip-body", "version-2", "nul-tail"])
def test_standalone_verifier_runs_by_itself(name: str) -> None:
    """It is one file that needs nothing but a Python, without site packages."""
    expect = expectation(name)
    (file, wanted) = next(iter(expect["logs"].items()))
    command = [sys.executable, "-I", "-S", DOCS / "verify_log.py", "--json", V1 / name / file]
    done = subprocess.run(command, capture_output=True, check=False)

    said = orjson.loads(done.stdout)
    found = {key: said[key] for key in ("status", "records", "head", "findings")}
    for finding in found["findings"]:
        del finding["why"]
    assert in_order(wanted) == in_order(found)
    assert exit_code(wanted) == done.returncode


async def restored(store: ss.Store, file: str, *, allow_masked: bool) -> tuple[str, object]:
    """Return how restoring ended: a state's head, or an error's place."""
    try:
        state = await ss.restore(store, session(file), allow_masked=allow_masked)
    except ss.Corrupt as error:
        return "corrupt", error.seq
    except ss.NotFound:
        return "not found", None
    except ss.Unsupported:
        return "unsupported", None
    return "restored", state.head.hash.hex()


def restorable(name: str, wanted: Verdict) -> tuple[str, object]:
    if name in UNUSABLE:
        return "corrupt", UNUSABLE[name]
    if wanted["status"] in ("parent-missing", "unborn"):
        return "not found", None
    if wanted["status"] == "unsupported":
        return "unsupported", None
    if wanted["status"] == "corrupt":
        return "corrupt", next(f["seq"] for f in wanted["findings"] if f["what"] == "corrupt")
    return "restored", wanted["head"]


@pytest.mark.parametrize("name", NAMES)
async def test_file_store_restores_or_says_where(name: str, tmp_path: Path) -> None:
    """What counts is replayed; what does not hold is an error with its seq."""
    expect = expectation(name)
    masked = expect.get("allow_masked", False)
    await (await ss.open_store(tmp_path)).close()
    if masked:
        make_masked(tmp_path)
    place(tmp_path, logs(name))
    async with await ss.open_store(tmp_path) as store:
        for file, wanted in expect["logs"].items():
            assert restorable(name, wanted) == await restored(store, file, allow_masked=masked)


def holds(name: str) -> bool:
    return all(exit_code(v) == 0 for v in expectation(name)["logs"].values())


@pytest.mark.parametrize("name", [name for name in NAMES if holds(name)])
async def test_good_lines_are_taken_in_byte_for_byte(name: str, tmp_path: Path) -> None:
    """Replication writes what it was given, parents first."""
    await (await ss.open_store(tmp_path)).close()
    make_masked(tmp_path)
    found = logs(name)
    async with await ss.open_store(tmp_path) as store:
        for file in sorted(expectation(name)["logs"], key=lambda f: (f != ROOT_FILE, f)):
            await store.append_lines(session(file), found[file])
            kept = b"".join([chunk async for chunk in store.raw(session(file))])

            assert found[file] == kept


def test_committed_vectors_are_what_the_generator_makes() -> None:
    """`make vectors` changes nothing."""
    committed = {str(p.relative_to(V1)): p.read_bytes() for p in V1.rglob("*") if p.is_file()}
    made = dict(files())

    assert {*made, SUMS} == set(committed)
    assert [] == [path for path, data in made.items() if data != committed[path]]


def test_golden_files_are_those_of_the_sums() -> None:
    """No byte of a vector changed since its sum was written."""
    listed = (V1 / SUMS).read_text()
    paths = [line.split("  ", 1)[1] for line in listed.splitlines()]
    found = [f"{blake3((V1 / path).read_bytes()).hexdigest()}  {path}\n" for path in paths]

    assert listed == "".join(found)
    assert listed == sums()


def test_the_generator_writes_them_anew(tmp_path: Path) -> None:
    """Into an empty directory, and again over what it wrote."""
    page = tmp_path / "FORMAT.md"
    page.write_text((DOCS / "FORMAT.md").read_text("utf-8"), "utf-8")
    for _ in range(2):
        assert 0 == main([str(tmp_path / "v1"), str(page)])

    assert (V1 / SUMS).read_text() == (tmp_path / "v1" / SUMS).read_text()
    assert (DOCS / "FORMAT.md").read_text("utf-8") == page.read_text("utf-8")


def test_the_generator_never_changes_a_vector(tmp_path: Path) -> None:
    """Unless it is told that nobody has them yet."""
    page = tmp_path / "FORMAT.md"
    page.write_text("", "utf-8")
    arguments = [str(tmp_path / "v1"), str(page)]
    main(arguments)
    changed = tmp_path / "v1" / "root" / "expect.json"
    changed.write_text("{}")

    assert (1, "{}") == (main(arguments), changed.read_text())
    assert (0, True) == (main([*arguments, "--overwrite"]), len(changed.read_text()) > 2)


INDEPENDENT = {
    "root": ("intact", {}),
    "fork": ("intact", {}),
    "erased": ("intact", {"erased": 1}),
    "masked": ("corrupt", {"corrupt": 1}),
    "bad/torn": ("intact", {"torn": 3}),
    "bad/unfinished-append": ("intact", {"torn": 1}),
    "bad/erased-unauthorised": ("intact", {"erased-without-redaction": 1}),
    "bad/crlf": ("corrupt", {"corrupt": 0}),
    "bad/dropped": ("corrupt", {"corrupt": 1}),
    "bad/edited-body": ("corrupt", {"corrupt": 2}),
    "bad/forged-mask": ("corrupt", {"corrupt": 1}),
    "bad/renamed": ("corrupt", {"corrupt": 0}),
    "bad/swapped": ("corrupt", {"corrupt": 1}),
    "bad/unbound-uint": ("corrupt", {"corrupt": 3}),
    "bad/version-2-late": ("corrupt", {"corrupt": 3}),
}


def test_no_independent_vector_is_left_out() -> None:
    """Every directory of them has its row."""
    root = VECTORS / "independent"

    assert {str(p.parent.relative_to(root)) for p in root.rglob("*.jsonl")} == set(INDEPENDENT)


@pytest.mark.parametrize("name", INDEPENDENT)
async def test_independent_vectors(name: str, tmp_path: Path) -> None:
    """Logs made by code that shares nothing with us are judged alike by both verifiers."""
    found = {p.name: p.read_bytes() for p in (VECTORS / "independent" / name).glob("*.jsonl")}
    place(tmp_path, found)
    async with await ss.open_store(tmp_path) as store:
        for file in found:
            ours, _ = await library(store, session(file))
            theirs, _ = standalone(VECTORS / "independent" / name / file)

            assert ours == theirs
            kinds = {f["what"]: f["seq"] for f in ours["findings"]}
            assert INDEPENDENT[name] == (ours["status"], kinds)


async def test_independent_masked_vector_where_masks_are_allowed() -> None:
    """It verifies there."""
    (path,) = (VECTORS / "independent" / "masked").glob("*.jsonl")
    found, code = standalone(path, allow_masked=True)

    assert ("intact", 0) == (found["status"], code)
