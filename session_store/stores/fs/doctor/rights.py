"""What stands at a path: of the right kind, ours, with one name, open to nobody else."""

import stat
from collections.abc import Iterator
from functools import partial

from ....ids import SessionId
from ..files import FileStat
from .findings import FIX, Case, Check, StoreFinding, quoted

_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_MODES = {(False, False): 0o600, (False, True): 0o700, (True, False): 0o660, (True, True): 0o2770}
"""(a group's store, a directory) -> what it shall have."""


def kind_of(found: FileStat) -> str:
    return _KINDS.get(stat.S_IFMT(found.mode), "something unknown")


def directory_check(case: Case, path: str) -> Check:
    """Return the check of one of the store's own directories, which may be missing."""
    return Check(path, partial(_look_at_directory, case, path))


def _look_at_directory(case: Case, path: str) -> Iterator[StoreFinding]:
    found = case.files.stat(path)
    if found is None:
        return
    if not found.is_directory:
        yield unsafe(case, path, f"{kind_of(found)} stands where a directory of the store belongs")
        return
    yield from rights(case, path, found)


def file_check(case: Case, path: str, session_id: SessionId | None = None) -> Check:
    """Return the check of one of the store's own files, which may be missing."""
    return Check(path, partial(_look_at_file, case, path, session_id), session_id)


def _look_at_file(case: Case, path: str, session_id: SessionId | None) -> Iterator[StoreFinding]:
    found = case.files.stat(path)
    if found is not None:
        yield from plain_file(case, path, found, session_id)


def plain_file(
    case: Case,
    path: str,
    found: FileStat,
    session_id: SessionId | None = None,
    *,
    names_max: int = 1,
) -> Iterator[StoreFinding]:
    """
    Give what is wrong with *found*, which shall be a regular file of ours.

    Args:
        names_max: How many names it may have.
    """
    if not found.is_regular:
        yield unsafe(case, path, f"{kind_of(found)} stands where a file belongs", session_id)
        return
    if found.links > names_max:
        yield StoreFinding(
            "hard-link",
            "error",
            path,
            "the file has a second name: who writes there changes it here; it is refused",
            f"find / -xdev -samefile {case.shown(path)}",
            session_id,
        )
    yield from rights(case, path, found, session_id)


def unsafe(case: Case, path: str, why: str, session_id: SessionId | None = None) -> StoreFinding:
    """Return the finding of what is refused because of what it is."""
    mend = move_out(case, path)
    return StoreFinding("unsafe", "error", path, f"{why}; it is refused", mend, session_id)


def move_out(case: Case, path: str) -> str:
    """Return the command that takes what is at *path* out of the store."""
    aside = quoted(f"{case.files.root}.aside")
    return f"mkdir -p -- {aside} && mv -n -- {case.shown(path)} {aside}/"


def rights(
    case: Case, path: str, found: FileStat, session_id: SessionId | None = None
) -> Iterator[StoreFinding]:
    """Give what is wrong with owner and mode."""
    if found.owner != case.files.owner():
        why = f"belongs to user {found.owner}, not to {case.files.owner()}; it is refused"
        mend = f"chown -h {case.files.owner()} -- {case.shown(path)}"
        yield StoreFinding("owner", "error", path, why, mend, session_id)
    elif case.shared_group is not None:
        yield from _mode(case, path, found, session_id)


def _mode(
    case: Case, path: str, found: FileStat, session_id: SessionId | None
) -> Iterator[StoreFinding]:
    wanted = _MODES[bool(case.shared_group), found.is_directory]
    # Outside a group's store a directory may have inherited the mark of its parent's group.
    mode = found.mode & (0o777 | wanted)
    if mode == wanted:
        return
    means = "others than it is for can open it" if mode & ~wanted else "it cannot be used"
    why = f"has mode {mode:04o} instead of {wanted:04o}: {means}"
    yield StoreFinding(
        "mode",
        "warning",
        path,
        why,
        FIX,
        session_id,
        lambda core: core.files.set_mode(path or ".", wanted),
    )
