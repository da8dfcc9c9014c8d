"""What an examination finds, and how a check says so."""

import shlex
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Literal, TypeAlias

from attrs import define, field, frozen

from ....errors import InvalidId, NotFound
from ....ids import SessionId, parse_session_id
from ..files import Files
from ..reading import FsReading

if TYPE_CHECKING:
    from ..core import FsCore

Severity: TypeAlias = Literal["error", "warning", "note"]

Verify: TypeAlias = Callable[[FsReading, SessionId], Iterable[tuple[str, str]]]

FIX = "session-store doctor --fix"
"""The command that mends whatever is fixable."""


@frozen
class StoreFinding:
    """
    One thing found in a store.

    Attributes:
        what: In one word, for programs.
        severity: error: something cannot be read, written or trusted. warning: something
            is left to do, nothing is lost. note: good to know.
        path: Of the file or directory, relative to the store; "." is the store itself.
        why: What was found, and what it means.
        mend: The command that mends it; "" if nothing has to be done.
        session_id: The session it is about, if it is about one.
        fix: Does it; None where a person has to decide.
        is_mended: It was done.
        failure: It was tried, and this came of it.
    """

    what: str
    severity: Severity
    path: str
    why: str
    mend: str = ""
    session_id: SessionId | None = None
    fix: "Callable[[FsCore], object] | None" = field(default=None, eq=False, repr=False)
    is_mended: bool = field(default=False, eq=False)
    failure: Exception | None = field(default=None, eq=False)

    @property
    def is_fixable(self) -> bool:
        return self.fix is not None


@frozen
class Check:
    """
    One look at one thing, as often as wanted.

    Attributes:
        look: Gives what is found. OSError passes through.
        is_steady: What it finds cannot be a writer's work in progress.
    """

    path: str
    look: Callable[[], Iterator[StoreFinding]]
    session_id: SessionId | None = None
    is_steady: bool = False


@define
class Case:
    """
    The store under examination.

    Attributes:
        shared_group: Whether the store is a group's; None if `store.json` cannot tell.
        verify: Reads all of one log, and gives what is wrong in a word and in a sentence;
            None for a look at its ends.
        now_ms: When the examination began.
        newest_ms: The newest timestamp seen in a log.
        seen: Bytes of the logs looked at.
        unread: Directories whose names could not be read.
    """

    files: Files
    reading: FsReading
    shared_group: bool | None
    verify: Verify | None
    now_ms: int
    newest_ms: int = 0
    seen: int = 0
    unread: list[StoreFinding] = field(factory=list)

    def names(self, path: str) -> list[str]:
        """Return the names in a real directory; none if it is not one, or is *unread*."""
        try:
            found = self.files.stat(path or ".")
            if found is None or not found.is_directory:
                return []
            return self.files.names(path)
        except OSError as error:
            self.unread.append(unreadable(path or ".", error))
            return []

    def is_deleted(self, session_id: SessionId) -> bool:
        """Return whether the session has a tombstone."""
        try:
            self.reading.check_id(session_id)
        except NotFound:
            return True
        return False

    def shown(self, path: str) -> str:
        """Return *path* as a shell takes it."""
        return quoted(self.files.name(path))


def quoted(text: str) -> str:
    """Return *text* as one word for a shell, without any control character."""
    if text.isprintable():
        return shlex.quote(text)
    data = text.encode("utf-8", "surrogateescape")
    safe = (chr(b) if 0x20 <= b < 0x7F and b not in b"'\\" else f"\\x{b:02x}" for b in data)
    return f"$'{''.join(safe)}'"


def unreadable(path: str, error: OSError, session_id: SessionId | None = None) -> StoreFinding:
    why = f"cannot be read: {error.strerror or error}; nothing is known of it"
    return StoreFinding("unreadable", "error", path, why, "", session_id)


def counted(count: int, noun: str) -> str:
    """Return `1 line`, `2 lines`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def id_of(name: str) -> SessionId | None:
    """Return *name* as the id that it is, or None."""
    try:
        return parse_session_id(name)
    except InvalidId:
        return None
