"""Opening a log or another file that only its own writer may name, and refusing what is not one."""

import errno

from ...errors import NotFound, UnsafePath
from .files import Files, OpenFile
from .layout import LOG_SUFFIX, TEMP_SUFFIX

_NO_FILE = {errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EMLINK}


def open_log(files: Files, path: str, *, write: bool = False, create: bool = False) -> OpenFile:
    """
    Open the file of a log.

    Raises:
        NotFound: There is none.
        UnsafePath: It is a link, no regular file, not ours, or has a second name.
    """
    while True:
        file = _open(files, path, write=write, create=create)
        found = files.stat(path)
        if found is not None and found.inode == file.inode:
            break  # Else it was replaced in between.
    if not found.is_regular:
        raise UnsafePath(files.name(path), "is no regular file")
    if found.owner != files.owner():
        raise UnsafePath(files.name(path), f"belongs to user {found.owner}, not to this one")
    if found.links > 1 and not _is_being_published(files, path, file):
        raise UnsafePath(files.name(path), "has a second name (a hard link)")
    return file


def _open(files: Files, path: str, *, write: bool, create: bool) -> OpenFile:
    try:
        return files.open(path, write=write, create=create)
    except FileNotFoundError as error:
        raise NotFound(f"no session at {files.name(path)}") from error
    except NotADirectoryError as error:
        raise UnsafePath(files.name(path), "stands behind a link or a file") from error
    except OSError as error:
        if error.errno in _NO_FILE:
            raise UnsafePath(files.name(path), "is a link or no regular file") from error
        raise


def _is_being_published(files: Files, path: str, file: OpenFile) -> bool:
    """A whole copy has two names between link(2) and unlink(2) of the temporary one."""
    temp = files.stat(path.removesuffix(LOG_SUFFIX) + TEMP_SUFFIX)
    if temp is not None:
        return temp.inode == file.inode
    now = files.stat(path)  # Perhaps the temporary name went away just now.
    return now is None or now.links == 1
