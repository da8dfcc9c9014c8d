"""
What an item of the history is: said by the user, the model, a tool, or neither.

Items are the caller's JSON objects, kept as given. Three shapes are known:
Open Responses (`type`), Anthropic messages (`role` and content blocks), OpenAI
chat messages (`role`, `tool_calls`). A caller's own shape comes in through a
`Classifier` of its own.
"""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeGuard

from .entries import AssistantItems, HookInjectedItems, Json, LogEntry, ToolResults, UserInput
from .values import to_object


class ItemClass(enum.Enum):
    """Who an item comes from; decides the kind of its entry."""

    USER = "user_input"
    ASSISTANT = "assistant_items"
    TOOL = "tool_results"
    OTHER = "hook_injected_items"


Item: TypeAlias = Mapping[str, Json]

Classifier: TypeAlias = Callable[[Item], ItemClass | None]
"""Says what an item is; None leaves it to the built-in shapes."""

_ROLES = {
    "user": ItemClass.USER,
    "assistant": ItemClass.ASSISTANT,
    "tool": ItemClass.TOOL,
    "function": ItemClass.TOOL,
}
# Open Responses output items that are neither a message nor end in _call.
_OUTPUTS = {
    "reasoning",
    "compaction",
    "compaction_summary",
    "context_compaction",
    "mcp_list_tools",
    "mcp_approval_request",
}
_RESULTS = ("_call_output", "tool_search_output", "mcp_approval_response")


def classify(item: Item, own: Classifier | None = None) -> ItemClass:
    """Return what *item* is, asking the caller's *own* classifier first."""
    if own is not None and (found := own(item)) is not None:
        return found
    kind, role = item.get("type"), item.get("role")
    if isinstance(kind, str) and kind != "message":
        if kind.endswith(_RESULTS):
            return ItemClass.TOOL
        if kind.endswith("_call") or kind in _OUTPUTS:
            return ItemClass.ASSISTANT
    if role == "user" and tool_result_ids(item):
        return ItemClass.TOOL
    return _ROLES.get(role, ItemClass.OTHER) if isinstance(role, str) else ItemClass.OTHER


def to_entries(items: Iterable[object], own: Classifier | None = None) -> list[LogEntry]:
    """
    Return the entries that record *items*, in order.

    One entry for each user message and each injected item; one for every run of
    tool results; one for every run of assistant items.

    Raises:
        TypeError: An item is not an object.
    """
    groups: list[tuple[ItemClass, list[Json]]] = []
    for given in items:
        item = to_object(given, "item")
        found = classify(item, own)
        joins = found in (ItemClass.ASSISTANT, ItemClass.TOOL)
        if joins and groups and groups[-1][0] is found:
            groups[-1][1].append(item)
        else:
            groups.append((found, [item]))
    return [_ENTRY[found](items=group) for found, group in groups]


_ENTRY: Mapping[ItemClass, Callable[..., LogEntry]] = {
    ItemClass.USER: UserInput,
    ItemClass.ASSISTANT: AssistantItems,
    ItemClass.TOOL: ToolResults,
    ItemClass.OTHER: HookInjectedItems,
}


def tool_call_ids(item: Item) -> list[str]:
    """Return the ids of the tool calls that *item* makes, in any known shape."""
    kind = item.get("type")
    if isinstance(kind, str) and kind.endswith("_call"):
        # Hosted tools (web search, …) are answered by the provider, in the item itself.
        return _texts([item.get("call_id")])
    if item.get("role") != "assistant":
        return []
    calls = item.get("tool_calls")
    ids = [call.get("id") for call in calls if isinstance(call, dict)] if _is_list(calls) else []
    ids += [block.get("id") for block in _blocks(item) if block.get("type") == "tool_use"]
    return _texts(ids)


def tool_result_ids(item: Item) -> list[str]:
    """Return the ids of the tool calls that *item* answers, in any known shape."""
    return [call_id for call_id, _ in tool_results(item)]


def tool_results(item: Item) -> list[tuple[str, Json]]:
    """Return (call id, result) for each answer in *item*: the item itself, or a block of it."""
    kind = item.get("type")
    if isinstance(kind, str) and kind.endswith(_RESULTS):
        found = [(item.get("call_id"), item)]
    elif item.get("role") in ("tool", "function"):
        found = [(item.get("tool_call_id"), item)]
    elif item.get("role") == "user":
        blocks = (b for b in _blocks(item) if b.get("type") == "tool_result")
        found = [(block.get("tool_use_id"), block) for block in blocks]
    else:
        found = []
    return [(call_id, result) for call_id, result in found if isinstance(call_id, str)]


def _blocks(item: Item) -> list[dict[str, Json]]:
    content = item.get("content")
    return [b for b in content if isinstance(b, dict)] if _is_list(content) else []


def _is_list(value: Json) -> TypeGuard[Sequence[Json]]:
    return isinstance(value, (list, tuple))


def _texts(values: Iterable[Json]) -> list[str]:
    return [value for value in values if isinstance(value, str)]
