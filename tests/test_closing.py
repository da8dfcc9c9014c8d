"""Histories that a provider accepts: every call has one result, right where it is wanted."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_store.closing import close_calls, open_calls
from session_store.testing.story import said

Items = list[dict[str, Any]]
LOST = "interrupted"


def message(role: str, *blocks: Any) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def ai(*blocks: Any) -> dict[str, Any]:
    return message("assistant", *blocks)


def me(*blocks: Any) -> dict[str, Any]:
    return message("user", *blocks)


def text(words: str = "x") -> dict[str, Any]:
    return {"type": "text", "text": words}


def use(call_id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "f", "input": {}}


def result(call_id: str, content: str = "ok") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content}


def lost(call_id: str) -> dict[str, Any]:
    return {**result(call_id, LOST), "is_error": True}


def chat(*call_ids: str) -> dict[str, Any]:
    calls = [{"id": i, "type": "function", "function": {"name": "f"}} for i in call_ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def tool(call_id: str, content: str = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def call(call_id: str, kind: str = "function_call") -> dict[str, Any]:
    return {"type": kind, "call_id": call_id}


def output(call_id: str, content: str = "ok", kind: str = "function_call_output") -> dict[str, Any]:
    return {"type": kind, "call_id": call_id, "output": content}


USER = said("user", "go on")
NO_ID = {"type": "function_call_output"}
HOSTED = {"type": "web_search_call", "id": "w"}
SEARCHED = {
    "type": "tool_search_output",
    "call_id": "a",
    "status": "completed",
    "execution": "client",
    "tools": [],
}

CASES: dict[str, tuple[Items, Items]] = {
    "nothing": ([], []),
    "anthropic: open": (
        [ai(use("a"))],
        [ai(use("a")), me(lost("a"))],
    ),
    "anthropic: then text": (
        [ai(use("a")), me(text())],
        [ai(use("a")), me(lost("a")), me(text())],
    ),
    "anthropic: one of two": (
        [ai(use("a"), use("b")), me(result("b"))],
        [ai(use("a"), use("b")), me(result("b"), lost("a"))],
    ),
    "anthropic: one of two, and text": (
        [ai(use("a"), use("b")), me(result("b"), text())],
        [ai(use("a"), use("b")), me(result("b"), lost("a"), text())],
    ),
    "anthropic: text before the result": (
        [ai(use("a")), me(text(), result("a"))],
        [ai(use("a")), me(result("a"), text())],
    ),
    "anthropic: one response in several messages": (
        [ai(text()), ai(use("a")), ai(use("b"))],
        [
            ai(text()),
            ai(use("a")),
            ai(use("b")),
            me(lost("a"), lost("b")),
        ],
    ),
    "anthropic: results in several messages": (
        [ai(use("a"), use("b")), me(result("a")), me(result("b"))],
        [ai(use("a"), use("b")), me(result("a")), me(result("b"))],
    ),
    "anthropic: a result that came late": (
        [ai(use("a")), me(text()), me(result("a"))],
        [ai(use("a")), me(result("a")), me(text())],
    ),
    "anthropic: the model goes on before all results": (
        [ai(use("a"), use("b")), me(result("b")), ai(text()), me(result("a"))],
        [ai(use("a"), use("b")), me(result("b"), result("a")), ai(text())],
    ),
    "anthropic: a result behind text": (
        [ai(use("a"), use("b")), me(result("a"), text()), me(result("b"), text("y"))],
        [ai(use("a"), use("b")), me(result("a"), result("b"), text()), me(text("y"))],
    ),
    "anthropic: orphan": ([me(result("z"))], []),
    "anthropic: orphan beside text": (
        [ai(use("a")), me(result("z"), text())],
        [ai(use("a")), me(lost("a")), me(text())],
    ),
    "anthropic: a result twice": (
        [ai(use("a")), me(result("a"), result("a", "again")), me(result("a"))],
        [ai(use("a")), me(result("a"))],
    ),
    "anthropic: an id used again": (
        [ai(use("a")), me(result("a")), ai(use("a"))],
        [ai(use("a")), me(result("a")), ai(use("a")), me(lost("a"))],
    ),
    "anthropic: a result before its call": (
        [me(result("a")), ai(use("a"))],
        [ai(use("a")), me(lost("a"))],
    ),
    "chat: open": ([chat("a", "b")], [chat("a", "b"), tool("a", LOST), tool("b", LOST)]),
    "chat: one of two": (
        [chat("a", "b"), tool("b"), USER],
        [chat("a", "b"), tool("b"), tool("a", LOST), USER],
    ),
    "chat: two messages that call": (
        [chat("a"), chat("b"), tool("a"), tool("b")],
        [chat("a"), tool("a"), chat("b"), tool("b")],
    ),
    "chat: late": ([chat("a"), USER, tool("a")], [chat("a"), tool("a"), USER]),
    "chat: orphan": ([tool("z"), USER, tool("z")], [USER]),
    "responses: open": ([call("a"), USER], [call("a"), output("a", LOST), USER]),
    "responses: in parallel": (
        [call("a"), {"type": "reasoning"}, call("b"), output("b")],
        [call("a"), {"type": "reasoning"}, call("b"), output("b"), output("a", LOST)],
    ),
    "responses: a result behind the user's words stays": (
        [call("a"), USER, output("a")],
        [call("a"), USER, output("a")],
    ),
    "responses: a late result twice": (
        [call("a"), USER, output("a"), output("a")],
        [call("a"), USER, output("a")],
    ),
    "responses: an id used again": (
        [call("a"), USER, call("a"), output("a")],
        [call("a"), output("a", LOST), USER, call("a"), output("a")],
    ),
    "responses: orphan": ([output("z"), USER], [USER]),
    "responses: without an id": ([NO_ID], [NO_ID]),
    "responses: hosted": ([HOSTED], [HOSTED]),
    "responses: custom": (
        [call("a", "custom_tool_call")],
        [call("a", "custom_tool_call"), output("a", LOST, "custom_tool_call_output")],
    ),
    "responses: tool search": (
        [call("a", "tool_search_call"), USER],
        [call("a", "tool_search_call"), SEARCHED, USER],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("history", "closed"), CASES.values(), ids=CASES)
def test_open_calls_are_closed(history: Items, closed: Items) -> None:
    """Answered where the provider wants it; the given history stays as it is."""
    given_ = copy.deepcopy(history)

    assert closed == close_calls(history, LOST)
    assert closed == close_calls(closed, "again")
    assert given_ == history


def test_open_calls_are_named_oldest_first() -> None:
    """In any shape; a result before its call does not answer it."""
    history = [output("c"), call("a"), chat("b"), message("assistant", use("c"), use("d"))]

    assert ["a", "b", "c"] == open_calls([*history, message("user", result("d"))])


def merged(history: Items) -> Items:
    """Return what Anthropic makes of a history: neighbours of one role are one message."""
    out: Items = []
    for item in history:
        if out and out[-1]["role"] == item["role"]:
            out[-1] = message(item["role"], *out[-1]["content"], *item["content"])
        else:
            out.append(item)
    return out


def check_anthropic(history: Items) -> None:
    """Each message that calls is followed by one whose first blocks answer exactly its calls."""
    messages = [*merged(history), message("user")]
    asked: list[str] = []
    for item in messages:
        ids = [b.get("tool_use_id") for b in item["content"] if b["type"] == "tool_result"]
        leading = [b["type"] for b in item["content"][: len(ids)]]
        assert sorted(asked) == sorted(ids)
        assert ["tool_result"] * len(ids) == leading
        asked = [b["id"] for b in item["content"] if b["type"] == "tool_use"]
    assert [] == asked


def check_chat(history: Items) -> None:
    """The tool messages right behind a message are the answers to its calls."""
    asked: set[str] = set()
    for item in [*history, USER]:
        if item["role"] == "tool":
            assert item["tool_call_id"] in asked
            asked.remove(item["tool_call_id"])
        else:
            assert set() == asked
            asked = {c["id"] for c in item.get("tool_calls") or ()}


def check_responses(history: Items) -> None:
    """Each call has one output somewhere behind it, each output a call before it."""
    asked: set[str] = set()
    for item in history:
        if item.get("type") == "function_call":
            asked.add(item["call_id"])
        elif item.get("type") == "function_call_output":
            assert item["call_id"] in asked
            asked.remove(item["call_id"])
    assert set() == asked


IDS = st.sampled_from("abcde")
TEXTS = st.just(text())
ANTHROPIC = st.one_of(
    st.lists(IDS.map(use) | TEXTS, min_size=1, max_size=3).map(lambda blocks: ai(*blocks)),
    st.lists(IDS.map(result) | TEXTS, min_size=1, max_size=3).map(lambda blocks: me(*blocks)),
)
CHAT = st.one_of(
    st.lists(IDS, max_size=3, unique=True).map(lambda ids: chat(*ids)),
    IDS.map(tool),
    st.just(USER),
    st.just(said("assistant", "well")),
)
RESPONSES = st.one_of(IDS.map(call), IDS.map(output), st.just(USER), st.just({"type": "reasoning"}))
SHAPES: dict[str, tuple[st.SearchStrategy[Any], Callable[[Items], None]]] = {
    "anthropic": (ANTHROPIC, check_anthropic),
    "chat": (CHAT, check_chat),
    "responses": (RESPONSES, check_responses),
}


def renamed(history: Sequence[dict[str, Any]]) -> Items:
    """Give each call an id of its own, as providers do; results answer the last so named."""
    last: dict[str, str] = {}

    def fresh(call_id: str) -> str:
        last[call_id] = f"{call_id}{len(last)}{len(made)}"
        made.append(call_id)
        return last[call_id]

    made: list[str] = []

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(v) for v in value]
        if not isinstance(value, dict):
            return value
        out = {k: walk(v) for k, v in value.items()}
        kind = value.get("type")
        if kind in ("tool_use", "function"):
            out["id"] = fresh(value["id"])
        elif kind == "function_call":
            out["call_id"] = fresh(value["call_id"])
        elif kind == "tool_result":
            out["tool_use_id"] = last.get(value["tool_use_id"], "?")
        elif kind == "function_call_output":
            out["call_id"] = last.get(value["call_id"], "?")
        elif value.get("role") == "tool":
            out["tool_call_id"] = last.get(value["tool_call_id"], "?")
        return out

    return [walk(item) for item in history]


@pytest.mark.parametrize("shape", SHAPES)
@given(data=st.data())
def test_a_provider_accepts_any_history_once_closed(shape: str, data: st.DataObject) -> None:
    """Whatever was recorded, in whatever order a crash or a hook left it."""
    items, check = SHAPES[shape]
    history = renamed(data.draw(st.lists(items, max_size=8)))
    closed = close_calls(history, LOST)

    check(closed)
    assert closed == close_calls(closed, LOST)
    assert [] == open_calls(closed)


@pytest.mark.parametrize("shape", SHAPES)
@given(data=st.data())
def test_a_history_that_a_provider_accepts_is_left_alone(shape: str, data: st.DataObject) -> None:
    """Closing changes nothing that is well."""
    items, check = SHAPES[shape]
    history = renamed(data.draw(st.lists(items, max_size=6)))
    try:
        check(history)
    except AssertionError:
        return

    assert history == close_calls(history, LOST)


@pytest.mark.parametrize("shape", SHAPES)
@given(data=st.data())
def test_no_real_result_is_replaced(shape: str, data: st.DataObject) -> None:
    """Only a call without any result, however late, is called interrupted."""
    items, _ = SHAPES[shape]
    history = renamed(data.draw(st.lists(items, max_size=8)))

    assert len(open_calls(history)) == str(close_calls(history, LOST)).count(LOST)
