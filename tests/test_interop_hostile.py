"""Times, sizes, refusals, and whatever there is in a file."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from parse_tools import (
    CLAUDE_CODE,
    CODEX,
    DEEP,
    META,
    PROMPT,
    RESULT,
    ROLLOUT,
    SESSION,
    Read,
    encoded,
    is_accounted,
    is_writable,
    kinds,
    objects,
    parsed,
    payloads,
    rolled,
    said,
)

from session_store.errors import InvalidInput
from session_store.interop.claude_code import read_claude_code
from session_store.interop.codex import read_codex
from session_store.interop.fields import unix_ms
from session_store.interop.lines import TRANSCRIPT_LINE_BYTES_MAX

TIMES: Mapping[str, tuple[object, int | None]] = {
    "utc": ("2026-11-20T09:00:00.123Z", 1795165200123),
    "with an offset": ("2026-11-20T10:00:00.123456+01:00", 1795165200123),
    "without a zone": ("2026-11-20T09:00:00", 1795165200000),
    "before 1970": ("1969-12-31T23:59:59Z", None),
    "no such day": ("2026-02-30T00:00:00Z", None),
    "at the edge of time": ("0001-01-01T00:00:00+23:59", None),
    "not a time": ("yesterday", None),
    "a number": (1795165200123, None),
    "an object": ({}, None),
}


@pytest.mark.parametrize("name", TIMES)
def test_time(name: str) -> None:
    """Odd timestamps are no timestamps."""
    timestamp, expected = TIMES[name]
    assert expected == unix_ms(timestamp)


@pytest.mark.parametrize(("path", "read"), [(CLAUDE_CODE, read_claude_code), (CODEX, read_codex)])
def test_entries_have_the_time_of_their_line(path: Path, read: Read) -> None:
    told = {unix_ms(line["timestamp"]) for line in objects(path) if "timestamp" in line}

    assert told == {ts for group in read(path)[0].appends for ts, _ in group}


def test_a_line_without_a_time_has_the_one_before() -> None:
    """And the first of all where there is none before."""
    lines = [{"timestamp": x, "type": "t", "uuid": "u"} for x in (None, "2026-11-20", 7, "x")]

    found = parsed(read_claude_code, *lines)[0]

    assert [found.ts] * 4 == [ts for group in found.appends for ts, _ in group]


@frozen
class Size:
    """A *line*, and the domains and kinds that it leaves in how many groups."""

    line: Callable[[], bytes]
    kinds: set[str]
    groups: int = 1
    text: type = str


MIB = 1 << 20
SIZES = {
    "prompt": Size(
        lambda: json.dumps(said("user", "a" + "é€😀" * 2 * MIB), ensure_ascii=False).encode(),
        {"claude_code.oversized"},
    ),
    "prompt of escapes": Size(lambda: encoded(said("user", "é" * 3 * MIB)), {"user_input", META}),
    "result": Size(
        lambda: encoded(said("user", RESULT, toolUseResult="x" * 17 * MIB)),
        {"tool_results", "claude_code.oversized"},
    ),
    "not JSON": Size(lambda: b"\xff" * 17 * MIB, {"claude_code.oversized"}, text=bytes),
    "NULs": Size(lambda: bytes(17 * MIB), {"claude_code.oversized"}, groups=2),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_line_too_large_for_a_body_is_kept_in_pieces(name: str) -> None:
    """One group if it fits into one append; the pieces together are the line."""
    line = SIZES[name].line()

    found = parsed(read_claude_code, {"type": "mode", "sessionId": SESSION}, line)[0]

    assert SIZES[name].kinds == set(kinds(found)[1:])
    texts = [p["text"] for p in payloads(found, "claude_code.oversized")]
    whole = b"".join(x if type(x) is bytes else x.encode() for x in texts)
    assert whole == (line if texts else b"")
    assert {type(x) for x in texts} <= {SIZES[name].text}
    assert (SIZES[name].groups, True) == (len(found.appends) - 1, is_writable(found))


@pytest.mark.parametrize("kind", ["response_item", "turn_context"])
def test_a_codex_line_too_large_for_a_body_is_kept_in_pieces(kind: str) -> None:
    found = parsed(read_codex, ROLLOUT, rolled(kind, {**PROMPT, "x": "x" * 17 * MIB}))[0]

    assert {"codex.session_meta", "codex.oversized"} == set(kinds(found))
    assert ({"oversized": 1}, True) == (found.report.kept, is_writable(found))


def test_a_line_kept_in_pieces_is_counted_as_oversized() -> None:
    found = parsed(read_claude_code, {"type": "mode", "sessionId": SESSION}, [[DEEP]])[0]

    assert {"mode": 1, "oversized": 1} == found.report.kept


def test_a_line_too_long_to_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"{}\n")
    os.truncate(path, 3 + TRANSCRIPT_LINE_BYTES_MAX + 1)

    with pytest.raises(InvalidInput, match="longer than") as caught:
        read_claude_code(path)
    assert (str(path), 2) == (caught.value.source, caught.value.line)


REFUSED: Mapping[str, tuple[Read, bytes, str]] = {
    "empty": (read_claude_code, b"", "empty: expected"),
    "blank": (read_codex, b"\n \n", "empty: expected"),
    "text": (read_claude_code, b"hello\nworld\n", "not a Claude Code transcript"),
    "other JSON": (read_codex, b'{"type":"x"}\n[1]\n', "not a Codex rollout"),
    "the other's": (read_claude_code, CODEX.read_bytes(), "not a Claude Code transcript"),
    "the other's too": (read_codex, CLAUDE_CODE.read_bytes(), "not a Codex rollout"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """What is no transcript is an InvalidInput that says what was expected."""
    read, data, why = REFUSED[name]
    with pytest.raises(InvalidInput, match=why):
        parsed(read, data)


@pytest.mark.parametrize("read", [read_claude_code, read_codex])
def test_only_regular_files_are_read(read: Read, tmp_path: Path) -> None:
    """A FIFO would block for ever."""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InvalidInput, match="not a regular file"):
        read(tmp_path / "fifo")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v, max_size=3)
)
REAL = [*objects(CLAUDE_CODE), *objects(CODEX)]


def paths(value: object) -> Iterator[tuple[Any, ...]]:
    yield ()
    pairs: Any = value.items() if isinstance(value, dict) else ()
    pairs = enumerate(value) if isinstance(value, list) else pairs
    for key, inner in pairs:
        yield from ((key, *path) for path in paths(inner))


@st.composite
def bent(draw: st.DrawFn) -> Any:
    """A real line with something else in one place of it."""
    line = json.loads(json.dumps(draw(st.sampled_from(REAL))))
    *way, last = draw(st.sampled_from([p for p in paths(line) if p]))
    inner = line
    for key in way:
        inner = inner[key]
    inner[last] = draw(VALUES)
    return line


LINES = st.lists(bent() | bent() | VALUES | st.binary(max_size=40), max_size=6)


@given(LINES)
def test_no_line_raises_or_gets_lost(lines: list[object]) -> None:
    """Any JSON and any bytes: accounted for, and within the limits of what can be written."""
    for read in (read_claude_code, read_codex):
        try:
            found = parsed(read, *lines)
        except InvalidInput:
            continue
        data = b"\n".join(x if type(x) is bytes else encoded(x) for x in lines)
        expected = data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
        assert expected == sum(x.report.lines for x in found)
        assert all(is_accounted(x) and is_writable(x) for x in found)
        assert len({x.key for x in found}) == len(found)


@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    """Nothing but InvalidInput, and the report adds up."""
    for read, head in ((read_claude_code, said("user", "hi")), (read_codex, ROLLOUT)):
        found = parsed(read, head, data)
        assert sum(x.report.lines for x in found) == 1 + data.count(b"\n") + (
            data[-1:] not in b"\n"
        )
        assert all(is_accounted(x) for x in found)
