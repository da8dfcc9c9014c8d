"""Conversations for the tests of sessions, and ways to look at and to harm their logs."""

from pathlib import Path
from typing import Any

import session_store as ss


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": text}


def call(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"}


def result(call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "ok"}


def usage(tokens: int = 1) -> ss.LlmUsage:
    return ss.LlmUsage(1, tokens, output_tokens=tokens, model="m")


async def add_turn(session: ss.Session, number: int) -> None:
    """Append one whole turn: three appends, six records, the first four in one append."""
    question, answer = user(f"question {number}"), assistant(f"answer {number}")
    await session.save_delta([question, call(f"c{number}"), result(f"c{number}"), answer])
    await session.save_usage(usage(number))
    await session.save_turn_end(number)


async def talk(store: ss.Store, turns: int, **start: Any) -> ss.Session:
    """Return a session of *turns* turns."""
    session = await ss.create_session(store, ss.SessionStartState(**start))
    for number in range(1, turns + 1):
        await add_turn(session, number)
    return session


async def entries_of(store: ss.Store, session_id: ss.SessionId) -> list[ss.HashedEntry]:
    """Return the entries of a session's own log."""
    return [entry async for entry in ss.read_entries(store, session_id)]


def texts(state: ss.RestoredState) -> list[str]:
    """Return what was said in the history."""
    return [item["content"] for item in state.history if item["type"] == "message"]


def carried(state: ss.RestoredState) -> dict[str, Any]:
    """Return what a session has of the one that it continues."""
    return {
        "prompt": state.system_prompt,
        "config": state.config,
        "history": state.history,
        "labels": state.labels,
        "turn_count": state.turn_count,
        "usage": state.usage_history,
        "extensions": state.extensions,
    }


def log_path(root: Path, session_id: ss.SessionId) -> Path:
    return next(root.rglob(f"{session_id}.jsonl"))


def harm_line(path: Path, seq: int, *, at: int = 150) -> None:
    """Flip one bit in the line of record *seq*."""
    lines = path.read_bytes().splitlines(keepends=True)
    line = bytearray(lines[seq])
    line[at] ^= 1
    lines[seq] = bytes(line)
    path.write_bytes(b"".join(lines))


SECRET = "hunter2-hunter2"


async def told_secret(store: ss.Store, **start: Any) -> ss.Session:
    """Return a session of two turns; what the user says in the second is SECRET (seq 7)."""
    session = await talk(store, 1, **start)
    await session.save_delta([user(SECRET)])
    await session.save_delta([assistant("I see.")])
    await session.save_turn_end(2)
    return session


async def found(store: ss.Store, session_id: ss.SessionId) -> list[tuple[str, int]]:
    """Return what verify finds in a session that is whole."""
    report = await ss.verify(store, session_id, parse=True)
    assert report.level == "INTACT"
    return [(finding.what, finding.seq) for finding in report.findings]


async def raw(store: ss.Store, *ids: ss.SessionId) -> bytes:
    """Return the bytes of logs."""
    return b"".join([chunk for i in ids async for chunk in store.raw(i)])
