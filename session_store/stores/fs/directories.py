"""Directories that exist, are ours, and are on disk before anything is put into them."""

import logging

from ...errors import UnsafePath
from . import layout
from .files import Files

log = logging.getLogger("session_store")

_OTHERS = 0o077
_OTHERS_SHARED = 0o007


def ensure_directory(files: Files, path: str) -> None:
    """
    Make *path* and what is missing above it.

    Raises:
        UnsafePath: Something else stands where a directory of ours belongs.

    Durability: every directory that was missing, and its entry, is on disk.
    """
    missing = [p for p in (path, *layout.parents(path)[:-1]) if not files.exists(p)]
    for new in reversed(missing):
        try:
            files.make_directory(new)
        except NotADirectoryError as error:
            raise UnsafePath(files.name(new), "stands behind a link or a file") from error
    # Another process may have made one in this very moment: it is synced all the same.
    for new in reversed(missing):
        files.sync_directory(new)
        files.sync_directory(layout.parents(new)[0])


def check_owner_and_mode(files: Files, path: str, *, shared_group: bool) -> None:
    """
    Refuse a directory that is not ours; take rights away that others should not have.

    Raises:
        UnsafePath: It belongs to another user, is no directory, or is a link.
    """
    found = files.stat(path)
    if found is None or not found.is_directory:
        raise UnsafePath(files.name(path), "is not a directory")
    if found.owner != files.owner():
        raise UnsafePath(files.name(path), f"belongs to user {found.owner}, not to this one")
    excess = found.mode & (_OTHERS_SHARED if shared_group else _OTHERS)
    if excess:
        files.set_mode(path, found.mode & 0o7777 & ~excess)
        log.warning(
            "%s: was open to others (mode %o), tightened", files.name(path), found.mode & 0o777
        )
