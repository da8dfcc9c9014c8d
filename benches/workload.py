"""
A session as an agent makes it: user, model, tools, usage; entries of about 1 KB.

Everything follows from a seed: sizes are log-normal, texts are words, code and
tool output, with the quotes, line ends and non-ASCII letters that such texts have.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson

from session_store import (
    AssistantItems,
    LlmUsage,
    LogEntry,
    RunCompleted,
    RunStarted,
    SessionId,
    SessionStart,
    ToolResults,
    TurnEnd,
    UserInput,
)
from session_store.chain import Draft, Head, link, make_draft, root_head
from session_store.codec import draft

from .harness import SEED

_WORDS = (
    "the session is restored from its log and every record holds a hash of what stood before so "
    "that a reader finds the first byte which does not belong there while an agent calls tools "
    "reads files runs tests edits code and writes down what it did café naïve Zürich 東京 → ≤ “so”"
)
_CODE = (
    'def head(self, session_id: SessionId) -> Position:\n    """Return the newest record."""\n',
    '    if len(line) >= LIMIT:\n        raise ValueError(f"line of {len(line)} bytes")\n',
    '{"name": "search", "arguments": "{\\"query\\": \\"append-only log\\", \\"limit\\": 20}"}\n',
    "tests/test_log.py::test_append PASSED [ 12%]\n\x1b[32m14 passed\x1b[0m in 0.42s\n",
    "-rw-r--r-- 1 agent agent 52134 Nov 21 11:46 results\\2026\\run.json\t# ok\n",
)
_WORD_LIST = _WORDS.split()


def appends(seed: int = SEED) -> Iterator[list[LogEntry]]:
    """Give the appends of one endless session, each a list of entries; about 1 KB an entry."""
    rng = random.Random(seed)
    turn = history = 0
    while True:
        yield [RunStarted("user"), UserInput([_message(rng, "user", 1000)])]
        history += 1
        for _ in range(rng.randint(1, 6)):
            turn += 1
            call = f"call_{rng.getrandbits(96):024x}"
            said = [_message(rng, "assistant", 950), _tool_call(rng, call)]
            yield [AssistantItems(said)]
            yield [ToolResults([_tool_output(rng, call)])]
            history += 3
            yield [_usage(rng, history), TurnEnd(turn)]
        yield [AssistantItems([_message(rng, "assistant", 1500)])]
        yield [_usage(rng, history), RunCompleted("finished")]
        history += 1


def entries(count: int, seed: int = SEED) -> list[LogEntry]:
    """Return the first *count* entries of the session."""
    return list(islice((entry for append in appends(seed) for entry in append), count))


def body_of(entry: LogEntry) -> dict[str, Any]:
    """Return the body that *entry* is recorded with."""
    body: dict[str, Any] = orjson.loads(draft(entry, bytes(16)).body)
    return body


def items_of(many: Sequence[LogEntry]) -> list[dict[str, Any]]:
    """Return the history of *many* entries: what a session library keeps."""
    return [item for entry in many for item in body_of(entry).get("items", ())]


def stream_events(count: int, seed: int = SEED) -> list[dict[str, Any]]:
    """Return *count* events as a provider streams them: about 200 bytes each."""
    rng = random.Random(seed)
    return [
        {
            "type": "response.output_text.delta",
            "item_id": f"msg_{rng.getrandbits(96):024x}",
            "output_index": 0,
            "content_index": 0,
            "sequence_number": number,
            "delta": _text(rng, rng.randint(2, 40)),
        }
        for number in range(count)
    ]


def write_log(
    path: Path,
    session_id: SessionId,
    count: int,
    *,
    seed: int = SEED,
    start: SessionStart | None = None,
) -> Head:
    """
    Write a log of at least *count* entries as a store would have; return its head.

    The drafts repeat after a while: what is in them does not matter to whom reads them.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    head = root_head(session_id)
    first = draft(start or SessionStart(session_id), bytes(range(16)))
    with open(path, "wb", buffering=1 << 20, opener=_private) as file:
        line, head = link(head, 1_780_000_000_000, [first])
        file.write(line)
        for drafts in cycle(_draft_pool(seed)):
            if head.seq + 1 >= count:
                break
            lines, head = link(head, head.ts + 7, drafts)
            file.write(lines)
    return head


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@cache
def _draft_pool(seed: int, size: int = 500) -> list[list[Draft]]:
    salts = random.Random(seed)
    return [
        [make_draft(e.kind, draft(e, bytes(16)).body, salts.randbytes(16)) for e in append]
        for append in islice(appends(seed), size)
    ]


def _text(rng: random.Random, size: int) -> str:
    parts: list[str] = []
    left = size
    while left > 0:
        part = rng.choice(_CODE) if rng.random() < 0.04 else rng.choice(_WORD_LIST)
        parts.append(part)
        left -= len(part) + 1
    return " ".join(parts)[: max(size, 1)]


def _size(rng: random.Random, typical: int) -> int:
    return min(int(rng.lognormvariate(0, 0.7) * typical), 20 * typical)


def _message(rng: random.Random, role: str, typical: int) -> dict[str, Any]:
    kind = "input_text" if role == "user" else "output_text"
    content = [{"type": kind, "text": _text(rng, _size(rng, typical))}]
    return {"type": "message", "role": role, "content": content}


def _tool_call(rng: random.Random, call: str) -> dict[str, Any]:
    arguments = orjson.dumps({"path": _text(rng, 40), "text": _text(rng, _size(rng, 200))})
    return {
        "type": "function_call",
        "id": f"fc_{rng.getrandbits(96):024x}",
        "call_id": call,
        "name": rng.choice(("read_file", "search", "run_tests", "edit_file")),
        "arguments": arguments.decode(),
        "status": "completed",
    }


def _tool_output(rng: random.Random, call: str) -> dict[str, Any]:
    return {
        "type": "function_call_output",
        "call_id": call,
        "output": _text(rng, _size(rng, 1600)),
    }


def _usage(rng: random.Random, history: int) -> LlmUsage:
    total = 900 + history * 350 + rng.randint(0, 200)
    return LlmUsage(history, total, total * 9 // 10, 0, rng.randint(50, 900), "model-2026-11")
