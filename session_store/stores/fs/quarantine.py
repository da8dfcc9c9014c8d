"""Keeping bytes that are taken out of a log: nothing is ever cut that was not copied and synced first."""

from blake3 import blake3

from ...entries import Recovery
from ...ids import SessionId
from . import layout
from .directories import ensure_directory
from .files import Files, OpenFile

TORN = "torn_tail"
SYNC_FAILED = "sync_failed"
REPAIR = "repair"
"""Causes in recovery records."""

_CHUNK = 1024 * 1024


def keep(
    files: Files, file: OpenFile, session_id: SessionId, offset: int, end: int, *, cause: str
) -> Recovery:
    """
    Copy the bytes from *offset* to *end* of a log aside.

    Returns:
        The entry that records it.

    Durability: the copy and its name are on disk.
    """
    hasher = blake3()
    for at in range(offset, end, _CHUNK):
        hasher.update(files.read(file, min(_CHUNK, end - at), at))
    digest = hasher.hexdigest()
    if offset == end:
        return Recovery(cause=cause, offset=offset, length=0, blake3=digest, quarantine="")
    path = layout.quarantine_path(session_id, offset, digest)
    ensure_directory(files, layout.QUARANTINE)
    files.unlink(path)  # A copy that a crash left half done.
    copy = files.open(path, write=True, create=True)
    for at in range(offset, end, _CHUNK):
        write_all(files, copy, files.read(file, min(_CHUNK, end - at), at))
    files.sync(copy)
    files.sync_directory(layout.QUARANTINE)
    return Recovery(cause=cause, offset=offset, length=end - offset, blake3=digest, quarantine=path)


def write_all(files: Files, file: OpenFile, data: bytes) -> None:
    """Write *data* to a file of our own; the next write after a short one says why it was short."""
    while data:
        data = data[files.write(file, data) :]
