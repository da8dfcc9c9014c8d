"""One line of Claude Code: its message as an item, an entry, usage."""

from collections.abc import Hashable, Mapping

from ..entries import (
    AssistantItems,
    HookInjectedItems,
    Json,
    LlmUsage,
    LogEntry,
    ToolResults,
    UserInput,
)
from ..items import tool_result_ids
from .fields import text_at, tokens
from .lines import Line

SYNTHETIC = "<synthetic>"  # the model of messages that Claude Code wrote itself
_INTERRUPTED = "[Request interrupted by user"


def item_of(value: Mapping[str, Json]) -> dict[str, Json] | None:
    """Return the message of a line as an item, or None if it is not one."""
    message = value.get("message")
    role = value.get("type")
    if role not in ("user", "assistant") or not isinstance(message, dict):
        return None
    if message.get("role") != role:
        return None
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    if not isinstance(content, (str, list)) or not all(isinstance(b, dict) for b in blocks):
        return None
    return {"role": role, "content": content}


def entry_of(value: Mapping[str, Json], item: dict[str, Json]) -> LogEntry:
    """Return the entry that *item*, of the line *value*, makes."""
    if item["role"] == "assistant":
        return AssistantItems([item])
    if tool_result_ids(item):
        return ToolResults([item])
    if value.get("isMeta") is True or value.get("isCompactSummary") is True:
        return HookInjectedItems([item])
    return HookInjectedItems([item]) if is_interruption(item) else UserInput([item])


def is_interruption(item: Mapping[str, Json]) -> bool:
    """Return whether *item* says that the user interrupted the turn."""
    content = item["content"]
    text = content[0].get("text") if isinstance(content, list) and content else content
    return item["role"] == "user" and isinstance(text, str) and text.startswith(_INTERRUPTED)


def usage_of(message: Mapping[str, Json], history_len: int) -> LlmUsage | None:
    """Return the usage that a message of the model tells, if it tells any."""
    names = ("cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    counts = tokens(message.get("usage"), "input_tokens", *names)
    model = text_at(message, "model")
    if counts is None or model == SYNTHETIC:
        return None
    fresh, read, written, output = counts
    return LlmUsage(history_len, fresh + read + written, read, written, output, model)


def call_of(line: Line, value: Mapping[str, Json]) -> Hashable:
    """Return what names the model call that a line is of."""
    ids = (text_at(value, "message", "id"), text_at(value, "requestId"))
    return line.number if ids == (None, None) else ids
