"""Items and entries as text: every known shape, and none at all."""

import pytest

from session_store.cli.readable import items_of, parts, summary
from session_store.entries import EntryHash, HashedEntry, Position
from session_store.ids import new_session_id

TEXT = {"type": "text", "text": "hi"}
USE = {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "ls"}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": [TEXT]}
THOUGHT = {"type": "thinking", "thinking": "hm"}
FUNCTION = {"id": "c", "function": {"name": "f", "arguments": '{"a":1}'}}

ITEMS = {
    "text": ({"role": "user", "content": "hi"}, ["user hi"]),
    "blocks": ({"role": "user", "content": [TEXT, TEXT]}, ["user hi", "user hi"]),
    "call": ({"type": "function_call", "name": "f", "arguments": "{}"}, ["call f {}"]),
    "hosted call": ({"type": "web_search_call", "action": {"q": "x"}}, ["call web_search_call x"]),
    "output": ({"type": "function_call_output", "output": "4"}, ["result 4"]),
    "output as blocks": ({"type": "function_call_output", "output": [TEXT]}, ["result hi"]),
    "reasoning": ({"type": "reasoning", "summary": [TEXT]}, ["thinking hi"]),
    "anthropic": (
        {"role": "assistant", "content": [THOUGHT, TEXT, USE]},
        ["thinking hm", "assistant hi", "call Bash ls"],
    ),
    "anthropic result": ({"role": "user", "content": [RESULT]}, ["result hi"]),
    "openai": (
        {"role": "assistant", "content": None, "tool_calls": [FUNCTION]},
        ['call f {"a":1}'],
    ),
    "openai result": ({"role": "tool", "tool_call_id": "c", "content": "4"}, ["result 4"]),
    "image": ({"role": "user", "content": [{"type": "image", "source": {}}]}, ["user [image]"]),
    "own role": ({"role": "narrator", "content": "so"}, ["narrator so"]),
    "no shape": ({"a": 1}, ['injected {"a":1}']),
    "types of all sorts": ({"role": 1, "content": [1, None, {"type": 2}], "tool_calls": 3}, None),
    "calls of all sorts": ({"role": "assistant", "tool_calls": [1, {"function": 2}]}, None),
    "no object": ("x", ['injected "x"']),
    "not for JSON": ({"role": "user", "content": b"\xff"}, None),
}


@pytest.mark.parametrize(("item", "expected"), ITEMS.values(), ids=ITEMS)
def test_items_of_every_shape_are_readable(item: object, expected: list[str] | None) -> None:
    """Known shapes are told apart, others are shown as JSON; none raises."""
    said = [f"{part.role} {part.text}" for part in parts(item)]

    assert all(said)
    if expected is not None:
        assert expected == said


def entry(kind: str, body: object, withheld: str | None = None) -> HashedEntry:
    position = Position(new_session_id(), 3, EntryHash(bytes(32)))
    return HashedEntry(position, 0, kind, 0, EntryHash(bytes(32)), body, withheld)


USAGE = {"input_total_tokens": 1200, "cache_read_tokens": 1000, "output_tokens": 5, "model": "m"}
SUMMARIES = {
    "input": ("user_input", {"items": [{"role": "user", "content": "hi"}]}, "hi"),
    "calls": ("assistant_items", {"items": [ITEMS["call"][0]]}, "call: f {}"),
    "nothing": ("user_input", {"items": []}, "0 items"),
    "usage": ("llm_usage", USAGE, "1,200 in (1,000 cached), 5 out, m"),
    "turn": ("turn_end", {"turn_count": 2}, "turn 2"),
    "end": ("run_completed", {"result": "finished", "interrupted": True}, "finished (interrupted)"),
    "error": ("run_errored", {"message": "no"}, "no"),
    "trigger": ("run_started", {"trigger": "cron"}, "cron"),
    "extension": ("extension", {"domain": "d", "payload": [1]}, "d: [1]"),
    "labels": ("labels_changed", {"labels": {"a": None}}, '{"a":null}'),
    "unknown": ("my.kind", {"a": 1}, '{"a":1}'),
}


@pytest.mark.parametrize(("kind", "body", "expected"), SUMMARIES.values(), ids=SUMMARIES)
def test_entries_have_a_summary(kind: str, body: object, expected: str) -> None:
    """One line says what an entry is about."""
    assert expected == summary(entry(kind, body))


def test_a_start_tells_where_it_came_from() -> None:
    """Parent, first history, labels and prompt of a session_start are in its summary."""
    body = {
        "forked_from": {"session_id": "s", "seq": 4},
        "history": [{}],
        "labels": {"a": 1},
        "system_prompt": "Be brief.",
    }
    assert "forked from s:4 · 1 items · a=1 · prompt: Be brief." == summary(
        entry("session_start", body)
    )


def test_withheld_entries_say_so() -> None:
    """An erased body is named as that; a replacement is shown beside it."""
    assert "(erased)" == summary(entry("user_input", None, "erased"))
    assert "(masked) cron" == summary(entry("run_started", {"trigger": "cron"}, "masked"))


@pytest.mark.parametrize("kind", [*(case[0] for case in SUMMARIES.values()), "session_start"])
@pytest.mark.parametrize("value", [None, 1, "x", [1], {"a": [2]}, b"\xff"], ids=repr)
def test_no_body_is_too_strange_for_a_summary(kind: str, value: object) -> None:
    """Fields of any type are shown somehow, and give items only if they are a list."""
    names = ("items", "history", "labels", "trigger", "model", "forked_from", "system_prompt")
    strange = entry(kind, dict.fromkeys((*names, *USAGE, "result", "turn_count"), value))

    assert isinstance(summary(strange), str)
    assert isinstance(items_of(strange), list)
