"""Calls about files, what shall become of them, and the plan that says so."""

import errno
import os
from collections.abc import Callable
from itertools import count
from typing import TypeAlias

from attrs import frozen

from ...stores.fs.files import SyncFailed

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says when there is no room."""

SYNCS = frozenset({"sync", "sync_data", "sync_directory"})
CHANGES = SYNCS | {
    "create",
    "write",
    "write_at",
    "truncate",
    "make_directory",
    "rename",
    "link",
    "unlink",
    "remove_directory",
}
LOOKS = frozenset(
    {"open", "read", "size", "stat", "exists", "is_at", "names", "try_lock", "unlock", "drop_cache"}
)
"""Calls that change no bytes and no names."""


class Crash(BaseException):
    """The process died in this call."""


@frozen
class Call:
    """
    One call of a file system that is watched.

    Attributes:
        number: 0-based, among all calls that were met.
        name: One of CHANGES or LOOKS.
        path: What it is about, relative to the root; of a rename or link the new name.
        size: Bytes that a write was given.
    """

    number: int
    name: str
    path: str
    size: int = 0


@frozen
class Short:
    """A write that stops after *size* bytes; with *then*, the call ends with that."""

    size: int
    then: BaseException | None = None


def nothing(_: int) -> bool:
    return False


@frozen
class Lost:
    """
    A sync that fails, as write-back does.

    The device took those pages of the file whose number is *kept*. The others are
    called clean all the same: no later sync brings them, and a dropped cache shows that they
    are gone. Whoever has the file open is told once, at the next sync.
    """

    then: OSError
    kept: Callable[[int], bool] = nothing


Fault: TypeAlias = BaseException | Short | Lost | None
Plan: TypeAlias = Callable[[Call], Fault]
"""What shall become of a call; None lets it happen. It is asked before the call, and may do whatever another
process would do in that moment."""


def no_fault(_: Call) -> Fault:
    return None


def at(number: int, fault: Fault) -> Plan:
    """Return the plan that gives *fault* to call *number* alone."""
    return lambda call: fault if call.number == number else None


def failing(*names: str, code: int, nth: int = 0, for_good: bool = False) -> Plan:
    """
    Return the plan that fails a call of the kinds *names* with the errno *code*.

    Args:
        nth: Which of them, 0-based, counted from here on.
        for_good: Those after it fail, too.
    """
    seen = count()

    def plan(call: Call) -> Fault:
        if call.name not in names:
            return None
        number = next(seen)
        fails = number >= nth if for_good else number == nth
        return error(code, call) if fails else None

    return plan


def error(code: int, call: Call) -> OSError:
    """Return the error *code* as *call* would raise it."""
    kind = SyncFailed if call.name in SYNCS else OSError
    return kind(code, os.strerror(code))
