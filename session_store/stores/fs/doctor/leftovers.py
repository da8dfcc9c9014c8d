"""What lies about: temporary files, keys without a session, quarantine, files of somebody else."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from ....ids import SessionId
from .. import layout
from . import mending
from .findings import FIX, Case, Check, StoreFinding, counted, id_of
from .rights import file_check, kind_of, move_out

if TYPE_CHECKING:
    from ..core import FsCore

TEMP_AGE_MS = 3_600_000
"""A temporary file that nobody has written to for so long is left, unless it is locked."""

_KEY = re.compile(r"[0-9a-f]{64}")
_KEPT = re.compile(r"(.{36})-(0|[1-9][0-9]*)-[0-9a-f]{16}")


def foreign_check(case: Case, path: str) -> Check:
    """Return the check of a name that the store does not give."""
    return Check(path, partial(_foreign, case, path), is_steady=True)


def _foreign(case: Case, path: str) -> Iterator[StoreFinding]:
    found = case.files.stat(path)
    if found is not None:
        why = f"{kind_of(found)} that is no part of the store; nothing reads it"
        yield StoreFinding("foreign", "warning", path, why, move_out(case, path))


def temp_check(
    case: Case,
    path: str,
    fix: "Callable[[FsCore], object]",
    *,
    log: str | None = None,
) -> Check:
    """
    Return the check of a temporary file.

    Args:
        log: Whose second name it may be, for a moment.
    """
    return Check(path, partial(_temp, case, path, fix, log))


def _temp(
    case: Case, path: str, fix: "Callable[[FsCore], object]", log: str | None
) -> Iterator[StoreFinding]:
    found = case.files.stat(path)
    if found is None:
        return
    if not found.is_regular:
        yield from _foreign(case, path)
        return
    target = None if log is None else case.files.stat(log)
    is_published = target is not None and target.inode == found.inode
    if not is_published and case.now_ms - found.mtime_ms < TEMP_AGE_MS:
        return
    file = case.files.open(path)
    if not case.files.try_lock(file):
        return
    case.files.unlock(file)
    since = datetime.fromtimestamp(found.mtime_ms // 1000, UTC)
    what = "the second name of a log" if is_published else counted(found.size, "byte")
    why = f"a temporary file ({what}) that its maker left at {since:%Y-%m-%d %H:%M} UTC"
    yield StoreFinding("temporary", "warning", path, why, FIX, fix=fix)


def root_temp_checks(case: Case) -> Iterator[Check]:
    """Give the checks of what the making of a store left."""
    for name in case.names(""):
        if name.startswith(layout.STORE + layout.TEMP_SUFFIX):
            yield temp_check(case, name, partial(mending.remove_temp, name), log=layout.STORE)


def key_checks(case: Case) -> Iterator[Check]:
    """Give the checks of everything in `keys/`."""
    for name in case.names(layout.KEYS):
        path = f"{layout.KEYS}/{name}"
        if name == "lock":
            yield file_check(case, path)
        elif _KEY.fullmatch(name):
            yield file_check(case, path)
            yield Check(path, partial(_key, case, path))
        elif _KEY.fullmatch(name.removesuffix(layout.TEMP_SUFFIX)):
            yield temp_check(case, path, partial(mending.remove_key_temp, path))
        else:
            yield foreign_check(case, path)


def _key(case: Case, path: str) -> Iterator[StoreFinding]:
    found = case.files.stat(path)
    if found is None or not found.is_regular:
        return
    mend = f"rm -- {case.shown(path)}"
    session_id = id_of(case.files.read(case.files.open(path), 64, 0).decode("ascii", "replace"))
    if session_id is None:
        why = "holds no session id: the key finds nothing; the next create with it takes it over"
        yield StoreFinding("key-damaged", "warning", path, why, mend)
    elif not case.is_deleted(session_id) and not case.reading.is_born(session_id):
        why = (
            "the session that the key names is not there: it was never born, or its log is lost. "
            "The next create with the key takes it over; nothing has to be done"
        )
        yield StoreFinding("key-without-session", "note", path, why, "", session_id)


def quarantine_checks(case: Case) -> Iterator[Check]:
    """Give the checks of everything in `quarantine/`, then one of all of it."""
    for name in case.names(layout.QUARANTINE):
        path = f"{layout.QUARANTINE}/{name}"
        if owner := _owner_of(name):
            yield file_check(case, path, owner)
        else:
            yield foreign_check(case, path)
    yield Check(layout.QUARANTINE, partial(_quarantine, case), is_steady=True)


def _owner_of(name: str) -> SessionId | None:
    match = _KEPT.fullmatch(name)
    return None if match is None else id_of(match[1])


def _quarantine(case: Case) -> Iterator[StoreFinding]:
    count = size = 0
    for name in filter(_owner_of, case.names(layout.QUARANTINE)):
        if found := case.files.stat(f"{layout.QUARANTINE}/{name}"):
            count, size = count + 1, size + found.size
    if count:
        why = (
            f"{counted(count, 'piece')} taken out of logs, {counted(size, 'byte')}: kept until "
            "somebody removes them, or deletes their sessions"
        )
        yield StoreFinding("quarantine", "note", layout.QUARANTINE, why, "session-store du")
