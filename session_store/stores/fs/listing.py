"""Listing sessions, newest first, from the directories alone."""

from collections.abc import Callable, Iterator

from ...errors import InvalidId
from ...ids import SessionId, parse_session_id
from ..protocol import SessionInfo
from . import layout
from .files import Files


def list_sessions(
    files: Files,
    *,
    before: SessionId | None,
    limit: int,
    is_listed: Callable[[SessionId], bool],
) -> list[SessionInfo]:
    """Return at most *limit* sessions older than *before* for which *is_listed* holds."""
    found: list[SessionInfo] = []
    for session_id in session_ids(files, before):
        if len(found) >= limit:
            break
        status = files.stat(layout.log_path(session_id))
        if status is None or not status.is_regular or not is_listed(session_id):
            continue
        trace = files.stat(layout.trace_path(session_id))
        found.append(
            SessionInfo(
                session_id, status.size, 0 if trace is None else trace.size, status.mtime_ms
            )
        )
    return found


def session_ids(files: Files, before: SessionId | None = None) -> Iterator[SessionId]:
    """Give the ids that have a log file, newest first."""
    # Days and hours sort as their ids do; a whole one that is too new is never listed.
    newest = "~" if before is None else layout.hour_directory(before)
    for day in reversed(files.names(layout.SESSIONS)):
        for hour in reversed(files.names(f"{layout.SESSIONS}/{day}")):
            directory = f"{layout.SESSIONS}/{day}/{hour}"
            if directory > newest:
                continue
            for name in reversed(files.names(directory)):
                session_id = _id_of(name)
                if session_id is None or layout.hour_directory(session_id) != directory:
                    continue
                if before is None or session_id < before:
                    yield session_id


def _id_of(name: str) -> SessionId | None:
    if not name.endswith(layout.LOG_SUFFIX) or name.endswith(layout.TRACE_SUFFIX):
        return None
    try:
        return parse_session_id(name.removesuffix(layout.LOG_SUFFIX))
    except InvalidId:
        return None
