"""The store's root: what it says of itself, and what it stands on."""

from collections.abc import Iterator
from functools import partial

import orjson

from ....errors import Corrupt, NotFound, Unsupported
from ....ids import parse_session_id
from ....limits import APPEND_BYTES_MAX
from .. import layout
from ..files import Files
from ..root import RootInfo, is_network, is_volatile, load
from .findings import FIX, Case, Check, StoreFinding, counted, quoted
from .rights import directory_check, file_check, kind_of, rights

_ROOM_SIZE_MIN = 2 * APPEND_BYTES_MAX
_ROOM_NAMES_MIN = 1_000
_DESCRIPTORS_MIN = 256
_CLOCK_BACK_MS = 3_600_000

_CHUNK = 256 * 1024
_DIRECTORIES = (
    layout.SESSIONS,
    layout.FORKS,
    layout.KEYS,
    layout.PENDING,
    layout.QUARANTINE,
)
_NAMES = {
    layout.STORE,
    layout.TOMBSTONES,
    layout.HEADS,
    f"{layout.HEADS}-journal",
    *_DIRECTORIES,
}


def describe(files: Files) -> RootInfo | None:
    """
    Return what `store.json` says, None if it cannot be read.

    Raises:
        Unsupported: Another version made the store.
    """
    found = files.stat(layout.STORE)
    if found is None or not found.is_regular:
        return None
    try:
        return load(files, "disk")
    except (Corrupt, OSError):  # The check of the description says so.
        return None


def check_is_store(files: Files) -> None:
    """Raise NotFound where no store is, not even a damaged one."""
    root = files.stat(".")
    is_there = root is not None and root.is_directory
    if not is_there or not any(files.stat(name) for name in (layout.STORE, layout.SESSIONS)):
        raise NotFound(f"no store at {files.root}")


def place_checks(case: Case) -> Iterator[Check]:
    """Give the checks of the root itself."""
    yield Check(".", partial(_root, case))
    yield Check(layout.STORE, partial(_description, case), is_steady=True)
    yield file_check(case, layout.STORE)
    yield Check(".", partial(_file_system, case), is_steady=True)
    yield Check(".", partial(_limits, case), is_steady=True)
    yield file_check(case, layout.TOMBSTONES)
    yield file_check(case, layout.HEADS)
    yield Check(layout.TOMBSTONES, partial(_tombstones, case), is_steady=True)
    for path in _DIRECTORIES:
        yield directory_check(case, path)
    for name in case.names(""):
        if name not in _NAMES and not name.startswith(layout.STORE + layout.TEMP_SUFFIX):
            yield Check(name, partial(_foreign, case, name), is_steady=True)


def clock_check(case: Case) -> Check:
    """Return the check to be made when all logs were seen."""
    return Check(".", partial(_clock, case), is_steady=True)


def _root(case: Case) -> Iterator[StoreFinding]:
    found = case.files.stat(".")
    assert found is not None
    yield from rights(case, ".", found)


def _description(case: Case) -> Iterator[StoreFinding]:
    path, root = layout.STORE, quoted(str(case.files.root))
    found = case.files.stat(path)
    if found is None:
        why = (
            "is missing, so nothing opens the store. --fix makes a new one, of a plain store: "
            "one that was a group's or a masked replica needs its old store.json back"
        )
        yield StoreFinding("description-missing", "error", path, why, FIX, fix=lambda _: None)
        return
    if not found.is_regular:
        return
    try:
        load(case.files, "disk")
    except Corrupt as damage:
        why = (
            f"{damage.why}, so nothing opens the store. Put it back from a copy (any store's of "
            "the same kind will do); without one, take it away, then --fix makes a new one"
        )
        mend = f"mv -n -- {case.shown(path)} {root}.store.json"
        yield StoreFinding("description-damaged", "error", path, why, mend)
    except Unsupported as error:
        why = (
            f"format version {error.found}, this program knows {error.supported}: "
            "use the version of session-store that fits"
        )
        yield StoreFinding("unsupported", "error", path, why)


def _file_system(case: Case) -> Iterator[StoreFinding]:
    kind = case.files.filesystem()
    if is_network(kind):
        why = (
            f"is on a network file system ({kind}): locks and syncs may not do what they say; "
            "one host may write, with network_fs=True. A local disk is better"
        )
        mend = f"cp -a -- {quoted(str(case.files.root))} DIRECTORY_ON_A_LOCAL_DISK"
        yield StoreFinding("network", "warning", ".", why, mend)
    elif is_volatile(kind) and kind != "memory":
        why = f"is on {kind}: nothing survives a power loss, receipts say os"
        yield StoreFinding("volatile", "note", ".", why)


def _limits(case: Case) -> Iterator[StoreFinding]:
    room, limit = case.files.room(), case.files.descriptors_max()
    if room.size < _ROOM_SIZE_MIN or room.names < _ROOM_NAMES_MIN:
        what = f"{_ROOM_SIZE_MIN >> 20} MiB" if room.size < _ROOM_SIZE_MIN else "1,000 new files"
        why = f"its file system has no room for {what} more; a full one refuses appends"
        yield StoreFinding("room", "warning", ".", why, "session-store du")
    if 0 <= limit < _DESCRIPTORS_MIN:
        why = (
            f"a process here may open {limit} files; with fewer than {_DESCRIPTORS_MIN}, busy "
            "stores may run out of them"
        )
        yield StoreFinding("descriptors", "warning", ".", why, "ulimit -n 1024")


def _tombstones(case: Case) -> Iterator[StoreFinding]:
    found = case.files.stat(layout.TOMBSTONES)
    if found is None or not found.is_regular:
        return
    file, rest, unreadable = case.files.open(layout.TOMBSTONES), b"", 0
    for at in range(0, found.size, _CHUNK):
        *lines, rest = (rest + case.files.read(file, _CHUNK, at)).split(b"\n")
        unreadable += sum(not _buries(line) for line in lines)
    if unreadable:
        why = (
            f"{counted(unreadable, 'line')} of it cannot be read: cut short by a crash and then "
            "written again, or damaged"
        )
        yield StoreFinding("tombstones", "note", layout.TOMBSTONES, why)


def _buries(line: bytes) -> bool:
    try:
        parse_session_id(orjson.loads(line)["session_id"])
    except (ValueError, KeyError, TypeError):
        return False
    return True


def _foreign(case: Case, name: str) -> Iterator[StoreFinding]:
    found = case.files.stat(name)
    if found is not None:
        why = f"{kind_of(found)} that is no part of the store; nothing reads it"
        yield StoreFinding("foreign", "note", name, why)


def _clock(case: Case) -> Iterator[StoreFinding]:
    behind_ms = case.newest_ms - case.now_ms
    if behind_ms > _CLOCK_BACK_MS:
        why = (
            f"the clock is {behind_ms // _CLOCK_BACK_MS} h behind the newest record: timestamps "
            "repeat until it has caught up"
        )
        yield StoreFinding("clock", "warning", ".", why, "timedatectl set-ntp true")
