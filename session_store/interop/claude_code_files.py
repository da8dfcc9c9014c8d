"""Where Claude Code puts transcripts, and which file belongs to which session."""

import re
from pathlib import Path

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SESSION = re.compile(rb'"sessionId"\s*:\s*"([A-Za-z0-9._-]{1,128})"')
_PEEK_BYTES = 64 * 1024


def is_agent_file(path: Path) -> bool:
    return path.name.startswith("agent-")


def directory_session(path: Path) -> str | None:
    for parent in path.parents if is_agent_file(path) else ():
        if parent.name == "subagents":
            return parent.parent.name or None
    return None


def has_session_file(path: Path) -> bool:
    if not is_agent_file(path):
        return False
    for parent in path.parents:
        if parent.name == "subagents":
            return (parent.parent.parent / f"{parent.parent.name}.jsonl").is_file()
    return (path.parent / f"{_peek_session(path)}.jsonl").is_file()


def agent_files(path: Path) -> list[Path]:
    """Return the files that `has_session_file` leaves to *path*."""
    inside = (path.with_suffix("") / "subagents").rglob("agent-*.jsonl")
    beside = [p for p in path.parent.glob("agent-*.jsonl") if _peek_session(p) == path.stem]
    return [p for p in sorted(inside) + sorted(beside) if p.is_file()]


def _peek_session(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        found = _SESSION.search(file.read(_PEEK_BYTES))
    return found[1].decode() if found else None
