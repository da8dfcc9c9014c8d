"""Items: who said it, in which entry it is recorded, what it calls and what it answers."""

from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from session_store.entries import AssistantItems, HookInjectedItems, ToolResults, UserInput
from session_store.items import (
    Item,
    ItemClass,
    classify,
    to_entries,
    tool_call_ids,
    tool_result_ids,
)
from session_store.testing.story import said

USER, ASSISTANT, TOOL, OTHER = ItemClass.USER, ItemClass.ASSISTANT, ItemClass.TOOL, ItemClass.OTHER


def typed(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def blocks(role: str, *kinds: str) -> dict[str, Any]:
    names = {"tool_use": "id", "tool_result": "tool_use_id"}
    content = [
        typed(kind, **{names.get(kind, "text"): f"{kind}{n}"}) for n, kind in enumerate(kinds)
    ]
    return {"role": role, "content": content}


CLASSES: dict[str, tuple[Item, ItemClass]] = {
    "responses: user": (said("user", "x"), USER),
    "responses: assistant": (said("assistant", "x"), ASSISTANT),
    "responses: system": (said("system", "x"), OTHER),
    "responses: developer": (said("developer", "x"), OTHER),
    "responses: reasoning": (typed("reasoning"), ASSISTANT),
    "responses: call": (typed("function_call", call_id="c"), ASSISTANT),
    "responses: custom call": (typed("custom_tool_call", call_id="c"), ASSISTANT),
    "responses: hosted call": (typed("web_search_call", id="w"), ASSISTANT),
    "responses: output": (typed("function_call_output", call_id="c"), TOOL),
    "responses: custom output": (typed("custom_tool_call_output", call_id="c"), TOOL),
    "responses: tool search": (typed("tool_search_call", call_id="c"), ASSISTANT),
    "responses: tool search output": (typed("tool_search_output", call_id="c"), TOOL),
    "responses: compaction": (typed("compaction"), ASSISTANT),
    "responses: context compaction": (typed("context_compaction"), ASSISTANT),
    "responses: compaction summary": (typed("compaction_summary"), ASSISTANT),
    "responses: tools of a server": (typed("mcp_list_tools"), ASSISTANT),
    "responses: asks for approval": (typed("mcp_approval_request"), ASSISTANT),
    "responses: approval": (typed("mcp_approval_response"), TOOL),
    "responses: unknown": (typed("future"), OTHER),
    "anthropic: user": (blocks("user", "text"), USER),
    "anthropic: text content": ({"role": "user", "content": "x"}, USER),
    "anthropic: assistant": (blocks("assistant", "text", "tool_use"), ASSISTANT),
    "anthropic: results": (blocks("user", "tool_result"), TOOL),
    "anthropic: results and text": (blocks("user", "tool_result", "text"), TOOL),
    "chat: tool": ({"role": "tool", "tool_call_id": "c", "content": "x"}, TOOL),
    "chat: function": ({"role": "function", "name": "f", "content": "x"}, TOOL),
    "chat: assistant": ({"role": "assistant", "content": None, "tool_calls": []}, ASSISTANT),
    "chat: system": ({"role": "system", "content": "x"}, OTHER),
    "nothing": ({}, OTHER),
    "type of another type": ({"type": 1, "role": ["user"]}, OTHER),
}


@pytest.mark.parametrize(("item", "found"), CLASSES.values(), ids=CLASSES)
def test_classification(item: Item, found: ItemClass) -> None:
    """By type, then by role, in three shapes."""
    assert found is classify(item)


def test_a_callers_classifier_is_asked_first() -> None:
    """What it leaves open is ours to say."""

    def own(item: Item) -> ItemClass | None:
        return TOOL if item.get("x") else None

    assert TOOL is classify({"role": "user", "x": 1}, own)
    assert USER is classify({"role": "user"}, own)


def test_runs_of_the_same_voice_become_one_entry() -> None:
    """One for each user message and injected item, one for every run of the others."""
    call, output = typed("function_call"), typed("function_call_output")
    items = [
        said("user", "1"), said("user", "2"), said("system", "3"), said("system", "4"),
        typed("reasoning"), call, call, output, output, said("assistant", "5"),
    ]  # fmt: skip

    assert [
        UserInput([items[0]]),
        UserInput([items[1]]),
        HookInjectedItems([items[2]]),
        HookInjectedItems([items[3]]),
        AssistantItems(items[4:7]),
        ToolResults(items[7:9]),
        AssistantItems([items[9]]),
    ] == to_entries(items)


def test_no_items_are_no_entries() -> None:
    """As the seed's `save_delta`: nothing to write."""
    assert [] == to_entries([])


@attrs.frozen
class Message:
    role: str
    content: str


def test_objects_of_an_sdk_are_classified_as_what_they_hold() -> None:
    """They become JSON first."""
    assert [UserInput([{"role": "user", "content": "x"}])] == to_entries([Message("user", "x")])


@pytest.mark.parametrize("item", ["text", 1, None, ["a"], ("a", "b")])
def test_what_is_no_object_is_no_item(item: object) -> None:
    """Said where it is given, not when it is restored."""
    with pytest.raises(TypeError):
        to_entries([item])


CALLS: dict[str, tuple[Mapping[str, Any], list[str]]] = {
    "responses": (typed("function_call", call_id="c"), ["c"]),
    "responses: hosted": (typed("web_search_call", id="w"), []),
    "responses: server's tool search": (typed("tool_search_call", call_id=None), []),
    "responses: output": (typed("function_call_output", call_id="c"), []),
    "anthropic": (blocks("assistant", "text", "tool_use", "tool_use"), ["tool_use1", "tool_use2"]),
    "anthropic: server's": (blocks("assistant", "server_tool_use"), []),
    "anthropic: a user's": (blocks("user", "tool_use"), []),
    "chat": ({"role": "assistant", "tool_calls": [{"id": "a"}, {"id": "b"}]}, ["a", "b"]),
    "chat: malformed": ({"role": "assistant", "tool_calls": [1, {}, {"id": 2}]}, []),
    "chat: null": ({"role": "assistant", "tool_calls": None, "content": "x"}, []),
    "content of other types": ({"role": "assistant", "content": [1, "x", None]}, []),
}


@pytest.mark.parametrize(("item", "ids"), CALLS.values(), ids=CALLS)
def test_calls(item: Item, ids: list[str]) -> None:
    """Those that somebody but the provider must answer."""
    assert ids == tool_call_ids(item)


RESULTS: dict[str, tuple[Mapping[str, Any], list[str]]] = {
    "responses": (typed("function_call_output", call_id="c"), ["c"]),
    "responses: tool search": (typed("tool_search_output", call_id="c"), ["c"]),
    "responses: without an id": (typed("function_call_output"), []),
    "responses: call": (typed("function_call", call_id="c"), []),
    "anthropic": (
        blocks("user", "tool_result", "text", "tool_result"),
        ["tool_result0", "tool_result2"],
    ),
    "anthropic: malformed": (
        {"role": "user", "content": [1, typed("tool_result", tool_use_id=7)]},
        [],
    ),
    "anthropic: assistant": (blocks("assistant", "tool_result"), []),
    "chat": ({"role": "tool", "tool_call_id": "a"}, ["a"]),
    "chat: function": ({"role": "function", "name": "f"}, []),
    "text": (said("user", "x"), []),
}


@pytest.mark.parametrize(("item", "ids"), RESULTS.values(), ids=RESULTS)
def test_results(item: Item, ids: list[str]) -> None:
    """In any known shape, in order."""
    assert ids == tool_result_ids(item)
