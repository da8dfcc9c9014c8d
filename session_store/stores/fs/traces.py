"""Trace files: whole lines appended beside a log, never locked, never synced, never needed."""

from collections.abc import Iterator

from ...errors import NotFound
from ...ids import SessionId
from . import layout
from .files import Files
from .opening import open_log
from .quarantine import write_all

_CHUNK = 256 * 1024


def append_trace(files: Files, session_id: SessionId, data: bytes) -> int:
    """Append whole lines; return the length of the trace. A line that a crash cut short is ended first."""
    if not files.exists(layout.log_path(session_id)):
        raise NotFound(f"{session_id}: no such session")
    file = open_log(files, layout.trace_path(session_id), write=True, create=True)
    size = files.size(file)
    torn = size > 0 and files.read(file, 1, size - 1) != b"\n"
    if data:
        write_all(files, file, (b"\n" if torn else b"") + data)
    if not files.exists(layout.log_path(session_id)):  # Deleted meanwhile, first its log.
        files.unlink(layout.trace_path(session_id))
        raise NotFound(f"{session_id}: no such session")
    return files.size(file)


def read_trace(files: Files, session_id: SessionId) -> Iterator[bytes]:
    """Give the bytes of the trace to its present end; none if there is no trace."""
    if not files.exists(layout.log_path(session_id)):
        raise NotFound(f"{session_id}: no such session")
    if not files.exists(layout.trace_path(session_id)):
        return
    file = open_log(files, layout.trace_path(session_id))
    size = files.size(file)
    for offset in range(0, size, _CHUNK):
        yield files.read(file, min(_CHUNK, size - offset), offset)
