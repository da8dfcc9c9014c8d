"""`session-store append`: entries from outside, whole or not at all."""

import json
from pathlib import Path

import pytest
from cli_tools import Cli, Said

from session_store import blocking

HELLO = {"kind": "user_input", "body": {"items": [{"role": "user", "content": "hi"}]}}
TURN = {"kind": "turn_end", "body": {"turn_count": 1}}


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(str(tmp_path / "store"))


@pytest.fixture
def session_id(cli: Cli) -> str:
    return cli.ok("new").out.strip()


def entries(cli: Cli, session_id: str) -> list[dict]:
    return [json.loads(line) for line in cli.ok("log", session_id, "--json").lines][1:]


def test_all_lines_are_one_append(cli: Cli, session_id: str) -> None:
    """They count down as a batch, and one receipt acknowledges them."""
    receipt = cli.ok("append", session_id, "--json", stdin=lines(HELLO, TURN)).json()

    assert [1, 0] == [entry["batch"] for entry in entries(cli, session_id)]
    assert (2, 2) == (receipt["seq"], receipt["entries"])
    assert receipt["level"] in ("disk", "os")


def test_each_line_can_be_an_append_of_its_own(cli: Cli, session_id: str) -> None:
    """With --each every line has its receipt, and those before a bad one stay."""
    said = cli("append", session_id, "--each", stdin=lines(HELLO, TURN, 1))

    assert 2 == said.code
    assert 2 == len(said.lines)
    assert "line 3" in said.err
    assert [0, 0] == [entry["batch"] for entry in entries(cli, session_id)]


def test_unknown_kinds_and_fields_are_kept(cli: Cli, session_id: str) -> None:
    """What this version does not know is stored as given; absent defaults are written down."""
    strange = {"kind": "my.kind", "body": {"$ss": ["int", "1"], "n": 2**70, "e": 1e300}}
    known = {"kind": "run_completed", "body": {"result": "finished", "cost": 3}}
    cli.ok("append", session_id, stdin=lines(strange, known))
    with blocking.open_store(cli.store) as store:
        first, second = list(blocking.read_entries(store, session_id))[1:]

    assert strange["body"] == first.body
    assert {"result": "finished", "interrupted": False, "cost": 3} == second.body


def test_what_is_printed_is_what_expect_takes(cli: Cli, session_id: str) -> None:
    """SEQ:HASH of one append is the head that the next one is made for; a stale one is refused."""
    head = cli.ok("append", session_id, stdin=lines(HELLO)).out.split()[0]
    cli.ok("append", session_id, "--expect", head, stdin=lines(TURN))
    late = cli("append", session_id, "--expect", head, stdin=lines(HELLO))

    assert 1 == late.code
    assert "expected head" in late.err
    assert 2 == len(entries(cli, session_id))


def test_any_appends_after_whatever_is_last(cli: Cli, session_id: str) -> None:
    """With --any no head is compared, and durability can be chosen."""
    receipt = cli.ok("append", session_id, "--any", "--durability", "os", stdin=lines(HELLO))

    assert receipt.out.endswith(" os\n")


def refused(cli: Cli, session_id: str, data: bytes) -> Said:
    said = cli("append", session_id, stdin=data)
    assert [] == entries(cli, session_id), "something was written"
    return said


WRONG = {
    "nothing": (b"", "no entries"),
    "blank lines": (b"\n \n", "no entries"),
    "no JSON": (b"hello\n", "line 1: not JSON"),
    "no object": (b"[]\n", "an object with a kind and a body"),
    "no body": (b'{"kind":"a"}\n', "an object with a kind and a body"),
    "more than a body": (b'{"kind":"a","body":{},"seq":1}\n', "nothing else"),
    "kind of another type": (b'{"kind":1,"body":{}}\n', "not a kind"),
    "kind out of grammar": (b'{"kind":"A b","body":{}}\n', "not a kind"),
    "body of another type": (b'{"kind":"a","body":[]}\n', "not an object"),
    "duplicate key": (b'{"kind":"a","body":{"x":1,"x":2}}\n', "given twice"),
    "byte-order mark": (b'\xef\xbb\xbf{"kind":"a","body":{}}\n', "byte-order mark"),
    "not UTF-8": (b'{"kind":"a","body":{"x":"\xff"}}\n', "not UTF-8"),
    "NaN": (b'{"kind":"a","body":{"x":NaN}}\n', "NaN"),
    "too deep": (b'{"kind":"a","body":{"x":' + b"[" * 300 + b"]" * 300 + b"}}\n", "deeper"),
    "field of another type": (b'{"kind":"turn_end","body":{"turn_count":"1"}}\n', "turn_end"),
    "field missing": (b'{"kind":"turn_end","body":{}}\n', "turn_end"),
    "items that are none": (b'{"kind":"user_input","body":{"items":["x"]}}\n', "user_input"),
    "a second start": (b'{"kind":"session_start","body":{}}\n', "written by the store"),
    "a redaction by hand": (b'{"kind":"redaction","body":{}}\n', "written by the store"),
    "good, then bad": (lines(HELLO) + b"x\n", "line 2"),
    "too many for one append": (lines(TURN) * 4097, ""),
}


@pytest.mark.parametrize(("data", "why"), WRONG.values(), ids=WRONG)
def test_wrong_input_is_usage_and_writes_nothing(
    cli: Cli, session_id: str, data: bytes, why: str
) -> None:
    """Each is refused with its line and reason, before anything is written."""
    said = refused(cli, session_id, data)

    assert 2 == said.code
    assert why in said.err


def test_what_was_appended_restores(cli: Cli, session_id: str) -> None:
    """Every kind that append takes leaves a session that restores."""
    usage = {"history_len": 1, "input_total_tokens": 5, "extra": True}
    kinds = {
        "run_started": {"trigger": "t"},
        "assistant_items": {"items": [{}]},
        "tool_results": {"items": []},
        "hook_injected_items": {"items": [{"a": 1}]},
        "config_changed": {"config": {}},
        "llm_usage": usage,
        "extension": {"domain": "d", "payload": None},
        "labels_changed": {"labels": {"a": None, "b": "c"}},
        "run_errored": {"message": "m"},
        "turn_end": {"turn_count": 1},
    }
    data = lines(*({"kind": kind, "body": body} for kind, body in kinds.items()))
    cli.ok("append", session_id, stdin=data)

    assert {"b": "c"} == cli.ok("state", session_id, "--json").json()["labels"]
