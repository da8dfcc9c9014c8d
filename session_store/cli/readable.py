"""
Items and entries as text for people, in any of the known shapes and in none.

Rules of this module:
  * A body is what its writer made it: no type in it is taken for granted.
  * Nothing here escapes; who prints, does.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeGuard

from attrs import frozen

from ..entries import HashedEntry, Json
from ..items import ItemClass, classify
from ..values import encode

_ITEM_KINDS = {
    "user_input": "items",
    "assistant_items": "items",
    "tool_results": "items",
    "hook_injected_items": "items",
    "history_continued": "items",
    "session_start": "history",
}
_ROLES = {ItemClass.USER: "user", ItemClass.ASSISTANT: "assistant", ItemClass.TOOL: "result"}


@frozen
class Part:
    """
    One thing that somebody said or did.

    Attributes:
        role: user, assistant, thinking, call, result, injected, or the item's own role.
    """

    role: str
    text: str


def parts(item: Json) -> Iterator[Part]:
    """Yield what *item* says, piece by piece."""
    if not isinstance(item, dict):
        yield Part("injected", compact(item))
        return
    kind = item.get("type")
    if isinstance(kind, str) and kind.endswith("_call_output"):
        yield Part("result", plain(item.get("output")))
    elif isinstance(kind, str) and kind.endswith("_call"):
        name = item.get("name")
        said = item.get("arguments", item.get("input", item.get("action")))
        yield Part("call", call_text(name if isinstance(name, str) else kind, said))
    elif kind == "reasoning":
        yield Part("thinking", plain(item.get("summary") or item.get("content") or ""))
    else:
        yield from _message(item)


def _message(item: Mapping[str, Json]) -> Iterator[Part]:
    found, role = classify(item), item.get("role")
    own = role if isinstance(role, str) else "injected"
    speaker = _ROLES.get(found, own)
    content = item.get("content")
    if content is None and "tool_calls" not in item:
        yield Part(speaker, compact(item))
    for block in content if _is_list(content) else [content]:
        if part := _block(block, speaker):
            yield part
    calls = item.get("tool_calls")
    for call in calls if _is_list(calls) else []:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            yield Part("call", call_text(function.get("name"), function.get("arguments")))
        else:
            yield Part("call", compact(call))


def _block(block: Json, speaker: str) -> Part | None:
    if not isinstance(block, dict):
        return None if block is None else Part(speaker, plain(block))
    kind = block.get("type")
    if kind == "tool_use":
        return Part("call", call_text(block.get("name"), block.get("input")))
    if kind == "tool_result":
        return Part("result", plain(block.get("content")))
    if kind in ("thinking", "redacted_thinking"):
        return Part("thinking", plain(block.get("thinking", "(not shown)")))
    return Part(speaker, _block_text(block))


def call_text(name: Json, said: Json) -> str:
    """Return a tool call on one line: its name and its arguments."""
    shown = name if isinstance(name, str) else compact(name)
    if isinstance(said, str):
        return f"{shown} {said}"
    if isinstance(said, dict) and len(said) == 1:
        only = next(iter(said.values()))
        return f"{shown} {only if isinstance(only, str) else compact(only)}"
    return f"{shown} {compact(said)}" if said else shown


def plain(value: Json) -> str:
    """Return the text in *value*: itself, that of its blocks, or its JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if _is_list(value) and all(isinstance(block, dict) for block in value):
        return "\n".join(_block_text(block) for block in value)
    return compact(value)


def _block_text(block: Mapping[str, Json]) -> str:
    text, kind = block.get("text"), block.get("type")
    if isinstance(text, str):
        return text
    return f"[{kind}]" if isinstance(kind, str) else compact(block)


def compact(value: Json) -> str:
    """Return *value* as JSON on one line."""
    return encode(value).decode()


def _is_list(value: Json) -> TypeGuard[list[Json]]:
    return isinstance(value, list)


def items_of(entry: HashedEntry) -> list[Json]:
    """Return the items that *entry* adds to the history."""
    field = _ITEM_KINDS.get(entry.kind)
    items = None if field is None or entry.body is None else entry.body.get(field)
    return items if _is_list(items) else []


def summary(entry: HashedEntry) -> str:
    """Return what *entry* says, for one line of a listing."""
    if entry.body is None:
        return f"({entry.withheld})"
    withheld = f"({entry.withheld}) " if entry.withheld else ""
    told = _SUMMARIES.get(entry.kind, compact)(entry.body)
    return withheld + told


def _items_summary(body: Mapping[str, Json]) -> str:
    items = body.get("items")
    if not _is_list(items):
        return compact(body)
    said = [part for item in items[:4] for part in parts(item)]
    first = " · ".join(
        f"{p.role}: {p.text[:300]}" if p.role == "call" else p.text[:300] for p in said
    )
    return first or f"{len(items)} items"


def _start_summary(body: Mapping[str, Json]) -> str:
    told = []
    for name in ("forked_from", "compacted_from"):
        source = body.get(name)
        if isinstance(source, dict):
            words = name.replace("_", " ")
            told.append(f"{words} {source.get('session_id')}:{source.get('seq')}")
    if isinstance(source := body.get("salvaged_from"), str):
        told.append(f"salvaged from {source[:100]}")
    history = body.get("history")
    if _is_list(history) and history:
        told.append(f"{len(history)} items")
    if isinstance(body.get("labels"), dict):
        told.append(" ".join(f"{k}={v}" for k, v in body["labels"].items()))
    if isinstance(body.get("system_prompt"), str):
        told.append(f"prompt: {body['system_prompt'][:200]}")
    return " · ".join(told)


def usage_text(body: Mapping[str, Json]) -> str:
    """Return the body of an llm_usage on one line."""
    model = body.get("model")
    cached = body.get("cache_read_tokens")
    told = f"{_count(body.get('input_total_tokens'))} in"
    if cached:
        told += f" ({_count(cached)} cached)"
    told += f", {_count(body.get('output_tokens'))} out"
    return told if model is None else f"{told}, {model}"


def _count(value: Json) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _end_summary(body: Mapping[str, Json]) -> str:
    told = str(body.get("result", body.get("message")))
    return f"{told} (interrupted)" if body.get("interrupted") else told


_SUMMARIES: Mapping[str, Callable[[Mapping[str, Json]], str]] = {
    "session_start": _start_summary,
    "history_continued": _items_summary,
    "user_input": _items_summary,
    "assistant_items": _items_summary,
    "tool_results": _items_summary,
    "hook_injected_items": _items_summary,
    "run_started": lambda body: str(body.get("trigger")),
    "turn_end": lambda body: f"turn {body.get('turn_count')}",
    "run_completed": _end_summary,
    "run_errored": _end_summary,
    "llm_usage": usage_text,
    "extension": lambda body: f"{body.get('domain')}: {compact(body.get('payload'))[:300]}",
    "labels_changed": lambda body: compact(body.get("labels")),
}
