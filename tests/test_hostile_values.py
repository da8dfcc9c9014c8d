"""JSON of any shape and size, from files and from standard input: a typed error, and soon."""

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from attrs import frozen
from cli_tools import Cli, record_session

from session_store import blocking
from session_store.entries import UnknownEntry
from session_store.errors import Corrupt, InvalidInput, LimitExceeded
from session_store.limits import BATCH_MAX, DEPTH_MAX, KEYS_MAX
from session_store.testing.story import begun
from session_store.values import decode, encode, parse, parse_outside

MEGABYTE = 1_000_000


@frozen
class Huge:
    """JSON in *data*, made when it is needed; *why* it is refused from outside, or None."""

    data: Callable[[], bytes]
    why: str | None


@cache
def keys(count: int) -> bytes:
    return b"{%b}" % b",".join(b'"%d":0' % n for n in range(count))


HUGE = {
    "depth 100,000": Huge(lambda: b'{"a":' * 100_000 + b"0" + b"}" * 100_000, "nested deeper"),
    "depth 100,000, never closed": Huge(lambda: b"[" * 100_000, "nested deeper"),
    "1,000,000 keys": Huge(lambda: keys(1_000_000), "keys in one object"),
    "a key twice among 10,000": Huge(lambda: keys(KEYS_MAX - 1)[:-1] + b',"0":1}', "twice"),
    "a string of 100 MB": Huge(lambda: b'"%b"' % (b"x" * 100 * MEGABYTE), None),
    "an integer of 5,000 digits": Huge(lambda: b"9" * 5_000, "too many digits"),
    "1e400": Huge(lambda: b"1e400", "1e400"),
    "-1e400": Huge(lambda: b"-1e400", "-1e400"),
    "a float of 10,000,000 digits": Huge(lambda: b"1." + b"1" * 10 * MEGABYTE, None),
    "NaN": Huge(lambda: b"NaN", "NaN"),
    "strings without an end": Huge(lambda: b'{"a":"' + b'\\"[' * MEGABYTE, "not JSON"),
}


@pytest.mark.parametrize("case", HUGE.values(), ids=HUGE)
def test_huge_json_from_outside_is_read_or_refused(case: Huge) -> None:
    """Nothing but InvalidInput: no RecursionError, no ValueError of a parser."""
    if case.why is None:
        assert parse_outside(case.data())
        return
    with pytest.raises(InvalidInput, match=case.why) as caught:
        parse_outside(case.data())
    assert len(str(caught.value)) < 300


BODIES = {name: case for name, case in HUGE.items() if "MB" not in name}
"""What fits into a line."""


@pytest.mark.parametrize("case", BODIES.values(), ids=BODIES)
def test_huge_bodies_of_a_log_are_values_or_value_errors(case: Huge) -> None:
    """What a valid record can carry is parsed, or refused as no JSON; never RecursionError."""
    try:
        decode(b'{"a":%b}' % case.data())
    except ValueError as error:
        assert not isinstance(error, RecursionError)


TEXT = {
    "an overlong slash": b'"\xc0\xaf"',
    "an overlong NUL": b'"\xc0\x80"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "beyond U+10FFFF": b'"\xf4\x90\x80\x80"',
    "a byte-order mark": b'\xef\xbb\xbf"a"',
    "UTF-16": '"a"'.encode("utf-16"),
    "a cut character": b'"\xe2\x82"',
    "a raw control character": b'"a\x01b"',
    "a raw line end": b'"a\nb"',
    "a trailing NUL": b'"a"\0',
}


@pytest.mark.parametrize("data", TEXT.values(), ids=TEXT)
@pytest.mark.parametrize(("read", "error"), [(parse_outside, InvalidInput), (parse, ValueError)])
def test_text_that_is_no_json_text_is_refused(
    read: Callable[[bytes], object], error: type[Exception], data: bytes
) -> None:
    """One way to write a character: no overlong form, no half, no second encoding."""
    with pytest.raises(error):
        read(data)


ODD = [
    "\0",
    "\u2028\u2029",
    "\u202e\u2066",
    "\ud800",
    "\udfff\ud800",
    "\ufeff",
    "\U0010ffff",
    "\x7f",
]


@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_odd_text_in_any_place_comes_back(text: str) -> None:
    """As value, as key and inside both; on one line of ASCII control-free bytes."""
    value = {"a": text, text: [text], "b": {f"x{text}y": text}}
    written = encode(value)

    assert value == decode(written)
    assert not any(byte < 0x20 for byte in written)


@pytest.mark.parametrize(
    "name", ["__proto__", "__class__", "constructor", "lc", "py/object", "$ref"]
)
def test_names_that_other_programs_obey_are_data(name: str) -> None:
    """No object is made from a name, whatever stands behind it."""
    value = {name: {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"x": 1}}}

    assert value == decode(encode(value)) == parse_outside(json.dumps(value).encode())


def nested(inner: str, wrap: str, levels: int) -> bytes:
    for _ in range(levels):
        inner = wrap % inner
    return f'{{"x":{inner}}}'.encode()


FAILING = {
    "a key is given twice": '{"$ss":["dict",[["a",%s],["a",0]]]}',
    "a pair of three": '{"$ss":["dict",[["a",%s],["b",0,1]]]}',
    "an object as key": '{"$ss":["dict",[[%s,0]]]}',
    "an object as key, in a list": '{"$ss":["dict",[[[%s],0]]]}',
    "an object as second key": '{"$ss":["dict",[["a",%s],[{},0]]]}',
    "unknown": '{"$ss":["other",%s]}',
    "not a pair": '{"$ss":["dict",%s,0]}',
}


def calls(work: Callable[[], object]) -> int:
    """Return how many Python functions *work* calls."""
    count = 0

    def saw(frame: object, event: str, arg: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(saw)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("wrap", FAILING.values(), ids=FAILING)
def test_wrappers_that_are_none_cost_what_they_weigh(wrap: str) -> None:
    """Twice the nesting is about twice the work: no part is unwrapped again at each level."""
    # Two levels more than the first count would double it, if each level were visited twice.
    few, many = (nested('"k"', wrap, n) for n in (6, 12))

    assert calls(lambda: decode(many)) <= 3 * calls(lambda: decode(few))


@pytest.mark.parametrize("wrap", FAILING.values(), ids=FAILING)
def test_wrappers_that_are_none_stand_for_themselves_at_any_depth(wrap: str) -> None:
    """As deep as the format allows, and what is in them is unwrapped all the same."""
    deepest = nested('{"$ss":["bytes",""]}', wrap, (DEPTH_MAX - 4) // 5)

    assert "b''" in repr(decode(deepest))


STDIN = {
    "depth 100,000": b'{"kind":"a.b","body":%b}' % (b'{"a":' * 100_000),
    "an integer of 5,000 digits": b'{"kind":"a.b","body":{"a":%b}}' % (b"9" * 5_000),
    "1e400": b'{"kind":"a.b","body":{"a":1e400}}',
    "NaN": b'{"kind":"a.b","body":{"a":NaN}}',
    "10,001 keys": b'{"kind":"a.b","body":%b}' % keys(KEYS_MAX + 1),
    "a key twice": b'{"kind":"a.b","body":{"a":1,"\\u0061":2}}',
    "overlong UTF-8": b'{"kind":"a.b","body":{"a":"\xc0\xaf"}}',
    "a byte-order mark": b'\xef\xbb\xbf{"kind":"a.b","body":{}}',
    "a line above 16 MiB": b'{"kind":"a.b","body":{"a":"%b"}}' % (b"x" * (16 << 20)),
    "4,097 entries": b'{"kind":"a.b","body":{}}\n' * (BATCH_MAX + 2),
}


@pytest.mark.parametrize("stdin", STDIN.values(), ids=STDIN)
def test_standard_input_beyond_a_limit_is_usage_and_writes_nothing(
    tmp_path: Path, stdin: bytes
) -> None:
    """Exit code 2 and one line that can be read, whatever was given."""
    cli = Cli(str(tmp_path / "store"))
    with blocking.open_store(cli.store) as store:
        session = record_session(store)
        log = Path(store.path(session.id))
    before = log.read_bytes()
    said = cli("append", session.id, "--any", stdin=stdin)

    assert (2, "") == (said.code, said.out)
    assert "unexpected" not in said.err
    assert len(said.err) < 500
    assert before == log.read_bytes()


def test_entries_beyond_one_append_are_refused_before_they_are_read(tmp_path: Path) -> None:
    """What can never be one append is not gathered in memory first."""
    cli = Cli(str(tmp_path / "store"))
    with blocking.open_store(cli.store) as store:
        session = record_session(store)
    good = b'{"kind":"a.b","body":{}}\n'
    said = cli("append", session.id, "--any", stdin=good * (BATCH_MAX + 2) + b"not JSON\n" * 10)

    assert 2 == said.code
    assert "4096" in said.err
    assert "--each" in said.err


def test_a_body_that_breaks_a_limit_is_corrupt_for_who_needs_it(tmp_path: Path) -> None:
    """Its hash holds, so it was written like that: its place is named, no parser error escapes."""
    deep = b'{"turn_count":1,"a":%b}' % (b"[" * 300 + b"]" * 300)
    story = begun().append_bodies(("turn_end", deep), ("turn_end", b'{"turn_count":2}'))
    with blocking.open_store("memory:") as store:
        store.append_lines(story.session_id, story.data)
        with pytest.raises(Corrupt, match="nested deeper") as caught:
            blocking.restore(store, story.session_id)

    assert 1 == caught.value.seq


def test_limits_of_a_value_are_those_of_the_format() -> None:
    """The limit itself is kept and read; one more is refused before anything is written."""
    with blocking.open_store("memory:") as store:
        session = blocking.create_session(store)
        deep: object = 0
        for _ in range(DEPTH_MAX - 1):
            deep = [deep]
        wide = dict.fromkeys(map(str, range(KEYS_MAX)), 0)
        session.append(UnknownEntry("a.b", {"a": deep}), UnknownEntry("a.b", wide))
        head = session.head
        for body in ({"a": [deep]}, {**wide, "x": 0}):
            with pytest.raises(LimitExceeded):
                session.append(UnknownEntry("a.b", body))
        entries = list(blocking.read_entries(store, session.id, 1))

    assert (head, [{"a": deep}, wide]) == (session.head, [entry.body for entry in entries])
