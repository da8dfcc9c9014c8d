"""Fork markers: which sessions live on which. Derived from the logs, and made before them."""

from collections.abc import Callable

from ...errors import InvalidId
from ...ids import SessionId, parse_session_id
from . import layout
from .directories import ensure_directory
from .files import Files

_TRIES = 100  # Each needs another delete in the same moment.


def mark_fork(files: Files, parent: SessionId, child: SessionId) -> None:
    """
    Say that *child* lives on *parent*, before it does. Wants the parent's lock.

    Durability: on disk.
    """
    for tried in range(_TRIES):
        try:
            _make_marker(files, f"{layout.FORKS}/{parent}", layout.marker_path(parent, child))
            break
        except FileNotFoundError:  # The last other fork was deleted, and the directory with it.
            if tried == _TRIES - 1:
                raise
    # Another process may have made the directory, and died before it was synced.
    files.sync_directory(layout.FORKS)


def _make_marker(files: Files, directory: str, path: str) -> None:
    ensure_directory(files, directory)
    files.sync(files.open(path, write=True, create=True))
    files.sync_directory(directory)


def marked_children(files: Files, parent: SessionId) -> list[SessionId]:
    """Return the ids with a marker, born or not, oldest first."""
    return [SessionId(name) for name in files.names(f"{layout.FORKS}/{parent}") if _is_id(name)]


def is_complete(files: Files) -> bool:
    """Return whether every fork in the store has its marker."""
    return files.exists(layout.FORKS_COMPLETE)


def mark_complete(files: Files) -> None:
    """
    Say that every fork in the store has its marker.

    Durability: on disk.
    """
    ensure_directory(files, layout.FORKS)
    files.sync(files.open(layout.FORKS_COMPLETE, write=True, create=True))
    files.sync_directory(layout.FORKS)


def rebuild(
    files: Files, sessions: list[SessionId], parent_of: Callable[[SessionId], SessionId | None]
) -> None:
    """Make the markers anew from the logs."""
    for session_id in sessions:
        parent = parent_of(session_id)
        if parent is not None:
            mark_fork(files, parent, session_id)
    mark_complete(files)


def _is_id(name: str) -> bool:
    try:
        parse_session_id(name)
    except InvalidId:
        return False
    return True
