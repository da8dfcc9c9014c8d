"""Claude Code, line by line: what becomes history, what is kept."""

from collections.abc import Mapping
from typing import Any

import pytest
from parse_tools import (
    CALL,
    DEEP,
    META,
    RESULT,
    SESSION,
    answered,
    encoded,
    entries,
    history,
    is_accounted,
    is_writable,
    kinds,
    parsed,
    payloads,
    said,
    turn_ends,
    usages,
)

from session_store.entries import (
    ConfigChanged,
)
from session_store.interop.claude_code import read_claude_code

CLAUDE_CODE_LINES: Mapping[str, tuple[object, list[str]]] = {
    "prompt": (said("user", "hi"), ["user_input", META]),
    "prompt of blocks": (said("user", [{"type": "text", "text": "hi"}]), ["user_input", META]),
    "nothing said": (said("user", []), ["user_input", META]),
    "tool result": (said("user", RESULT), ["tool_results", META]),
    "meta": (said("user", "Caveat", isMeta=True), ["hook_injected_items", META]),
    "meta is no flag": (said("user", "hi", isMeta="yes"), ["user_input", META]),
    "summary of a compaction": (
        said("user", "before: …", isCompactSummary=True),
        ["hook_injected_items", META],
    ),
    "interruption": (
        said("user", [{"type": "text", "text": "[Request interrupted by user]"}]),
        ["hook_injected_items", META],
    ),
    "open call": (said("assistant", CALL), ["assistant_items", META]),
    "finished answer": (said("assistant", "yes"), ["assistant_items", META, "turn_end"]),
    "only a thought": (
        said("assistant", [{"type": "thinking", "thinking": "hm"}]),
        ["assistant_items", META],
    ),
    "api error": (said("assistant", "529", isApiErrorMessage=True), ["claude_code.api_error"]),
    "role of another": ({**said("user", ""), "type": "assistant"}, ["claude_code.assistant"]),
    "content is a number": (said("user", 7), ["claude_code.user"]),
    "content is absent": ({**said("user", 7), "message": {"role": "user"}}, ["claude_code.user"]),
    "block is a number": (said("user", [7]), ["claude_code.user"]),
    "message is a list": ({**said("user", 7), "message": ["x"]}, ["claude_code.user"]),
    "message is absent": ({"type": "assistant", "uuid": "u"}, ["claude_code.assistant"]),
    "system": ({"type": "system", "content": "x"}, ["claude_code.system"]),
    "type of the future": ({"type": "hologram-3.d"}, ["claude_code.hologram-3.d"]),
    "type is no name": ({"type": "../x\ud800"}, ["claude_code.other"]),
    "type is a list": ({"type": ["user"]}, ["claude_code.other"]),
    "type is absent": ({}, ["claude_code.other"]),
    "a wrapper of ours": ({"type": "x", "$ss": ["bytes", "AA=="]}, ["claude_code.x"]),
    "null": (None, ["claude_code.other"]),
    "number": (b"-0", ["claude_code.other"]),
    "too deep for a body": (DEEP, ["claude_code.other"]),
    "too deep for a body, by one": ([[DEEP]], ["claude_code.oversized"]),
    "too deep to be read": (b"[" * 5000 + b"]" * 5000, ["claude_code.unparsed"]),
    "torn": (b'{"type":"user","mess', ["claude_code.unparsed"]),
    "not utf-8": (b'{"type":"\xff"}', ["claude_code.unparsed"]),
    "NULs": (bytes(40), ["claude_code.unparsed"]),
    "byte-order mark": (b"\xef\xbb\xbf{}", ["claude_code.unparsed"]),
    "key twice": (b'{"type":"user","type":"user"}', ["claude_code.unparsed"]),
    "NaN": (b'{"x":NaN}', ["claude_code.unparsed"]),
    "CRLF": (encoded(said("user", "hi")) + b"\r", ["user_input", META]),
    "blank": (b" \t\r", []),
}


@pytest.mark.parametrize("name", CLAUDE_CODE_LINES)
def test_claude_code_line(name: str) -> None:
    """Each line becomes what it says, or is kept whole; never both, never neither."""
    line, expected = CLAUDE_CODE_LINES[name]

    found = parsed(read_claude_code, {"type": "mode", "sessionId": SESSION}, line)[0]

    assert ["claude_code.mode", *expected] == kinds(found)
    assert (is_accounted(found), is_writable(found)) == (True, True)


ODD: list[Any] = [
    None,
    True,
    -1,
    1.5,
    1 << 70,
    "x",
    [],
    {},
    [[]],
    {"type": []},
    {"$ss": 1},
    "\ud800",
]


@pytest.mark.parametrize(
    "field", ["timestamp", "uuid", "parentUuid", "sessionId", "agentId", "cwd"]
)
def test_odd_fields_of_a_message_leave_it_a_message(field: str) -> None:
    for odd in ODD:
        line = {**said("user", "hi", isSidechain=field == "agentId", uuid="u"), field: odd}
        found = parsed(read_claude_code, line)[0]
        assert ["user_input", META] == kinds(found), odd


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_usage_is_not_counted(odd: object) -> None:
    """Numbers that cannot be trusted are left in the meta."""
    for usage in (odd, {"input_tokens": 1, "output_tokens": odd or [0]}):
        found = parsed(read_claude_code, answered("x", 1, usage=usage))[0]
        assert [] == usages(found)


def test_the_most_complete_usage_of_a_response_stands() -> None:
    """Whatever the order of its lines, and with the history before the first of them."""
    found = parsed(
        read_claude_code,
        said("user", "hi"),
        answered("a", 1),
        answered("b", 9),
        answered("c", 4),
        answered("d", 2, id="msg_2"),
    )[0]

    assert [(1, 23, 9), (4, 23, 2)] == [
        (u.history_len, u.input_total_tokens, u.output_tokens) for u in usages(found)
    ]


def test_a_repeated_message_is_kept_not_history() -> None:
    """A second compaction writes earlier lines again, uuid and all."""
    lines = [said("user", "a", uuid="u1"), said("user", "b", uuid="u2")]

    found = parsed(read_claude_code, *lines, lines[0])[0]

    assert ["a", "b"] == [x["content"] for x in history(found)]
    assert [lines[0]] == payloads(found, "claude_code.repeated")


def test_an_interrupted_turn_has_no_end() -> None:
    stop = said("user", [{"type": "text", "text": "[Request interrupted by user for tool use]"}])

    found = parsed(read_claude_code, said("user", "a"), answered("b", 1), stop, said("user", "c"))

    assert [] == turn_ends(found[0])


def test_a_turn_with_an_open_call_has_no_end() -> None:
    call, prompt = said("assistant", CALL), said("user", "go")

    found = parsed(read_claude_code, prompt, call, prompt, answered("b", 1), prompt)

    assert [1] == turn_ends(found[0])


def test_another_model_is_another_config() -> None:
    synthetic = answered("No response requested.", 0, model="<synthetic>")

    found = parsed(read_claude_code, answered("a", 1), synthetic, answered("b", 1, model="n"))[0]

    assert {"model": "m"} == found.start.config
    assert [{"model": "n"}] == [e.config for e in entries(found) if isinstance(e, ConfigChanged)]


TITLES: Mapping[str, tuple[list[dict[str, Any]], str | None]] = {
    "none": ([], None),
    "summary of this session": ([{"type": "summary", "summary": "a", "leafUuid": "u1"}], "a"),
    "summary of another": ([{"type": "summary", "summary": "a", "leafUuid": "u9"}], None),
    "the last one": ([{"type": "ai-title", "aiTitle": x} for x in "ab"], "b"),
    "the user's own": (
        [{"type": "custom-title", "customTitle": "c"}, {"type": "ai-title", "aiTitle": "a"}],
        "c",
    ),
    "not a text": ([{"type": "summary", "summary": ["a"]}], None),
    "too long": ([{"type": "summary", "summary": "a" * 5000}], None),
}


@pytest.mark.parametrize("name", TITLES)
def test_title(name: str) -> None:
    """A title given by the user beats one that was made, and that a summary."""
    lines, expected = TITLES[name]

    found = parsed(read_claude_code, said("user", "hi", uuid="u1"), *lines)[0]

    assert expected == found.start.labels.get("title")


def test_the_key_is_of_the_file_or_else_of_the_lines() -> None:
    line = said("user", "hi", sessionId="abc")

    assert parsed(read_claude_code, line)[0].key == f"claude-code:{SESSION}"
    assert parsed(read_claude_code, line, name="x.jsonl")[0].key == "claude-code:abc"
    assert parsed(read_claude_code, {"type": "x", "uuid": ""}, name="x.jsonl")[0].key.endswith(":x")
