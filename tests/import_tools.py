"""Small transcripts of Claude Code, line by line."""

import json
from pathlib import Path
from typing import Any

from session_store.interop.claude_code import read_claude_code
from session_store.interop.transcript import Import


def line(role: str, text: str, n: int, **message: Any) -> dict[str, Any]:
    """Return line *n* of a Claude Code transcript."""
    content = [{"type": "text", "text": text}]
    return {
        "type": role,
        "sessionId": "s-1",
        "uuid": f"u{n}",
        "timestamp": f"2026-11-20T10:00:{n:02}.000Z",
        "message": {"role": role, "content": content, **message},
    }


def reply(text: str, n: int, call: str = "msg_1", output: int = 9) -> dict[str, Any]:
    usage = {"input_tokens": 3, "cache_read_input_tokens": 20, "output_tokens": output}
    return line("assistant", text, n, id=call, model="m", usage=usage)


def parsed(directory: Path, *lines: dict[str, Any]) -> Import:
    path = directory / "s-1.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return read_claude_code(path)[0]


ASKED = line("user", "hello", 0)
ANSWERED = reply("hi", 1)
ASKED_AGAIN = line("user", "and now?", 2)
