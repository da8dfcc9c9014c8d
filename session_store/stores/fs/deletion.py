"""Deleting a session: pending mark, tombstone, files, markers, unmark. Every step may be done again."""

from ...ids import SessionId, parse_session_id
from . import layout, pending
from .files import Files
from .tombstones import bury


def begin_delete(files: Files, session_id: SessionId, parent: SessionId | None) -> None:
    """
    Promise to delete; from here on the session is as good as gone. Wants the append lock.

    Args:
        parent: The session it was forked from by reference, whose marker goes too.
    """
    job = {"job": "delete", "parent": parent}
    pending.save(files, session_id, [*pending.load(files, session_id), job])
    bury(files, session_id, files.clock.now_ms())


def finish_delete(files: Files, session_id: SessionId) -> None:
    """Do what `begin_delete` promised; nothing if there is no such promise."""
    jobs = pending.load(files, session_id)
    job = next((job for job in jobs if job["job"] == "delete"), None)
    if job is None:
        return
    # A crash may have come before the tombstone; a second one does no harm.
    bury(files, session_id, files.clock.now_ms())
    hour = layout.hour_directory(session_id)
    # The log first: whoever makes its trace anew sees that it is gone, and takes the trace away.
    for path in (
        layout.log_path(session_id),
        layout.trace_path(session_id),
        layout.temp_path(session_id),
    ):
        files.unlink(path)
    if files.exists(hour):
        files.sync_directory(hour)
    for name in files.names(layout.QUARANTINE):
        if name.startswith(session_id):
            files.unlink(f"{layout.QUARANTINE}/{name}")
    if files.exists(layout.QUARANTINE):  # Also for what an earlier try has removed.
        files.sync_directory(layout.QUARANTINE)
    for child in files.names(f"{layout.FORKS}/{session_id}"):
        files.unlink(f"{layout.FORKS}/{session_id}/{child}")
    files.remove_directory(f"{layout.FORKS}/{session_id}")
    if job["parent"] is not None:
        parent = parse_session_id(job["parent"])
        files.unlink(layout.marker_path(parent, session_id))
        files.remove_directory(f"{layout.FORKS}/{parent}")
    pending.save(files, session_id, [])
