"""
What goes wrong, as one line for people and an exit code for scripts.

Exit codes: 0 ok · 1 a negative answer · 2 usage · 3 the environment · 130 interrupted ·
141 nobody reads the output any more.
"""

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click

from ..errors import (
    AlreadyExists,
    ChainBroken,
    Corrupt,
    DurabilityLost,
    HasForks,
    HeadMismatch,
    InvalidId,
    InvalidInput,
    InvalidProof,
    LimitExceeded,
    Locked,
    NotAnExtension,
    NotErasable,
    NotFound,
    SessionStoreError,
    StoreFull,
    Unsupported,
)
from .text import escape

NEGATIVE, USAGE, ENVIRONMENT = 1, 2, 3
INTERRUPTED, UNREAD = 130, 141

DEBUG = "SESSION_STORE_DEBUG"

_CODES: Mapping[type[SessionStoreError], int] = {
    NotFound: NEGATIVE,
    NotErasable: NEGATIVE,
    AlreadyExists: NEGATIVE,
    HeadMismatch: NEGATIVE,
    InvalidProof: NEGATIVE,
    NotAnExtension: NEGATIVE,
    HasForks: NEGATIVE,
    Corrupt: NEGATIVE,
    ChainBroken: NEGATIVE,
    InvalidId: USAGE,
    InvalidInput: USAGE,
    LimitExceeded: USAGE,
}

_HINTS: Mapping[type[SessionStoreError], str] = {
    Corrupt: "everything before it is verified; `session-store fork ID --at SEQ` goes on from"
    " there, `repair` cuts the log there, `salvage` copies what is readable",
    HasForks: "--with-forks deletes them too",
    HeadMismatch: "look at what was appended, then try again; --any appends after whatever is last",
    NotAnExtension: "nothing was signed; `session-store verify ID --trust KEY` says what is known, and"
    " if it went back for a reason that you know, `verify ID --accept` says so",
    StoreFull: "make room, then run it again",
    DurabilityLost: "the next run checks the log from the device: see what is there, then go on",
    Locked: "another process writes to this session; try again",
    Unsupported: "use the version of session-store that fits",
}


class Failure(Exception):
    """A command ends here: its message, its exit code, perhaps a hint."""

    def __init__(self, message: str, code: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint


class Explained(NamedTuple):
    """What is said of an exception."""

    message: str
    code: int
    hint: str | None = None


def explain(error: BaseException) -> Explained:
    """Return what to say of *error*, whatever it is."""
    if isinstance(error, Failure):
        return Explained(error.message, error.code, error.hint)
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, SessionStoreError):
        code = next((_CODES[cls] for cls in type(error).mro() if cls in _CODES), ENVIRONMENT)
        return Explained(str(error), code, _hint(error))
    if isinstance(error, (OSError, MemoryError)):
        return Explained(_os_text(error), ENVIRONMENT)
    what = f"unexpected {type(error).__name__}: {error}"
    return Explained(what, ENVIRONMENT, f"please report it with the output under {DEBUG}=1")


def _hint(error: SessionStoreError) -> str | None:
    for cls in type(error).mro():
        if cls in _HINTS:
            return _HINTS[cls]
    return None


def _usage(error: click.ClickException) -> Explained:
    ctx: click.Context | None = getattr(error, "ctx", None)
    command = "session-store" if ctx is None else ctx.command_path
    hint = f"`{command} --help` shows how it is used"
    near: Sequence[str] = getattr(error, "possibilities", None) or ()
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    # What click appends to the message, the hint says.
    text = error.message if near else error.format_message()
    return Explained(text, USAGE, hint)


def _os_text(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "out of memory"
    text = error.strerror or str(error) or type(error).__name__
    name = error.filename
    if error.errno in (errno.EMFILE, errno.ENFILE) or name is None:
        return text
    return f"{text}: {os.fsdecode(name) if isinstance(name, (str, bytes)) else name}"


def report(error: BaseException) -> int:
    """Print what to say of *error* on standard error; return the exit code."""
    explained = explain(error)
    complain("error", explained.message)
    if explained.hint:
        complain("hint", explained.hint)
    if os.environ.get(DEBUG) == "1" and sys.stderr is not None:
        import traceback  # noqa: PLC0415 - for whoever looks for a bug

        for line in traceback.format_exception(error):
            sys.stderr.write("".join(f"  {escape(part)}\n" for part in line.splitlines()))
    return explained.code


def has_colours(stream: Any) -> bool:
    """Return whether *stream* is a terminal that shall be coloured."""
    if stream is None or not stream.isatty() or os.environ.get("NO_COLOR"):
        return False
    return os.environ.get("TERM") != "dumb"


def complain(what: str, message: str) -> None:
    """Print one line about this run on standard error: `session-store: <what>: <message>`."""
    if sys.stderr is None:
        return
    text = escape(_lowered(message.strip().removesuffix(".")))
    head = f"{what}:"
    if has_colours(sys.stderr):
        head = click.style(head, fg={"error": "red", "warning": "yellow"}.get(what), bold=True)
    sys.stderr.write(f"session-store: {head} {text}\n")


def _lowered(message: str) -> str:
    """Lower the first letter, unless the word is a name (`UTF-8`, `ID`)."""
    is_word = message[:1].isupper() and message[1:2].islower()
    return message[0].lower() + message[1:] if is_word else message


def quit_with(code: int) -> None:
    """End the command with an exit code that says more than 0."""
    if code:
        raise click.exceptions.Exit(code)
