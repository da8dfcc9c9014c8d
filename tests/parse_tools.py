"""Transcripts of Claude Code and Codex in small, and ways to look at what was read."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from session_store.codec import encode_body
from session_store.entries import (
    AssistantItems,
    Extension,
    HookInjectedItems,
    LlmUsage,
    LogEntry,
    ToolResults,
    TurnEnd,
    UserInput,
)
from session_store.interop.lines import read_lines
from session_store.interop.transcript import BODY_BYTES_MAX, GROUP_BYTES_MAX, Import

FIXTURES = Path(__file__).parent / "fixtures"
SESSION = "3f0c2a51-8d4e-4b7a-9c16-5e2d7f8a9b10"
THREAD = "019b3e2c-5a40-7c11-8e2f-4d6a9b0c1d2e"
CLAUDE_CODE = FIXTURES / "claude-code" / f"{SESSION}.jsonl"
CODEX = next((FIXTURES / "codex").rglob("*.jsonl"))
HISTORY = (UserInput, AssistantItems, ToolResults, HookInjectedItems)
Read = Callable[[Path], list[Import]]


def entries(found: Import) -> list[LogEntry]:
    return [entry for group in found.appends for _, entry in group]


def history(found: Import) -> list[Any]:
    return [item for e in entries(found) if isinstance(e, HISTORY) for item in e.items]


def kinds(found: Import) -> list[str]:
    return [e.domain if isinstance(e, Extension) else e.kind for e in entries(found)]


def usages(found: Import) -> list[LlmUsage]:
    return [e for e in entries(found) if isinstance(e, LlmUsage)]


def turn_ends(found: Import) -> list[int]:
    return [e.turn_count for e in entries(found) if isinstance(e, TurnEnd)]


def payloads(found: Import, domain: str) -> list[Any]:
    return [e.payload for e in entries(found) if isinstance(e, Extension) and e.domain == domain]


def is_accounted(found: Import) -> bool:
    report = found.report
    told = report.mapped + sum(report.kept.values()) + len(report.unreadable) + report.blank
    return told == report.lines


def is_writable(found: Import) -> bool:
    sizes = [[len(encode_body(e)) for _, e in group] for group in found.appends]
    return all(g and max(g) <= BODY_BYTES_MAX and sum(g) <= GROUP_BYTES_MAX for g in sizes)


def objects(path: Path) -> list[dict[str, Any]]:
    return [line.value for line in read_lines(path) if line.is_json]


def parsed(read: Read, *lines: object, name: str = f"{SESSION}.jsonl") -> list[Import]:
    """Return what *read* makes of a file with *lines*: objects, or bytes as they are."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_bytes(b"\n".join(x if type(x) is bytes else encoded(x) for x in lines))
        return read(path)


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def said(role: str, content: object, **fields: object) -> dict[str, Any]:
    """Return a line of Claude Code."""
    line = {"type": role, "sessionId": SESSION, "message": {"role": role, "content": content}}
    return {**line, **fields}


def answered(text: str, output_tokens: int, **message: object) -> dict[str, Any]:
    usage = {"input_tokens": 3, "cache_read_input_tokens": 20, "output_tokens": output_tokens}
    line = said("assistant", [{"type": "text", "text": text}])
    line["message"] |= {"model": "m", "id": "msg_1", "usage": usage, **message}
    return line


def rolled(kind: str, payload: object, **fields: object) -> dict[str, Any]:
    """Return a line of Codex."""
    return {"timestamp": "2026-11-20T10:00:00Z", "type": kind, "payload": payload, **fields}


def item(kind: str, **fields: object) -> dict[str, Any]:
    return rolled("response_item", {"type": kind, **fields})


def counted(total: int, *, last: object = None, output: int = 5) -> dict[str, Any]:
    last = last or {"input_tokens": 30, "cached_input_tokens": 20, "output_tokens": output}
    info = {"last_token_usage": last, "total_token_usage": {"total_tokens": total}}
    return rolled("event_msg", {"type": "token_count", "info": info})


PROMPT = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]}
ANSWER = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "k"}]}
RESULT = [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]
DEEP: Any = json.loads("[" * 198 + "]" * 198)
ROLLOUT = rolled("session_meta", {"id": THREAD})
META, CALL = "claude_code.meta", [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]
