"""What the commands print: lines, tables, colours, JSON."""

import shutil
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import click
import orjson

from ..entries import Json, Position
from ..errors import LimitExceeded
from ..values import encode
from .failures import NEGATIVE, Failure, has_colours
from .text import escape, escape_json, pad, shorten, width

PIPED_COLUMNS = 80

Colour: TypeAlias = Literal["green", "red", "yellow", "cyan", "blue", "magenta"]


def columns() -> int:
    """Return the width to write for: the terminal's, or 80 where there is none."""
    if sys.stdout is None or not sys.stdout.isatty():
        return PIPED_COLUMNS
    return max(shutil.get_terminal_size((PIPED_COLUMNS, 24)).columns, 20)


def paint(text: str, colour: Colour | None = None, *, dim: bool = False, bold: bool = False) -> str:
    """Return *text* coloured, if standard output shows colours."""
    if not has_colours(sys.stdout):
        return text
    return click.style(text, fg=colour, dim=dim or None, bold=bold or None)


def emit(line: str = "") -> None:
    """Print one line that is escaped already."""
    if sys.stdout is not None:
        sys.stdout.write(line + "\n")


def flush() -> None:
    """Let readers see what was printed."""
    if sys.stdout is not None:
        sys.stdout.flush()


def emit_json(value: Json) -> None:
    """Print *value* as one line of JSON."""
    emit(escape_json(orjson.dumps(value).decode()))


def from_log(value: Json) -> orjson.Fragment:
    """
    Return a *value* of a log for `emit_json`, in the form it has there.

    What JSON cannot carry is wrapped (docs/FORMAT.md §7). Encoded apart, because a body
    may be nested as deep as the format allows, and stands inside something here.
    """
    try:
        return orjson.Fragment(encode(value))
    except (TypeError, LimitExceeded) as error:
        # What looks like a wrapper and is none takes one more, and so may exceed a limit.
        raise Failure(f"no JSON for what the log holds: {error}", NEGATIVE) from error


def json_text(text: str) -> str:
    """Return a file name or message as text that JSON can carry, whatever its bytes were."""
    return text.encode("utf-8", "backslashreplace").decode()


def table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()
) -> None:
    """
    Print *rows* of escaped texts below *headers*; the last column gives way to the width.

    Args:
        right: Columns of numbers.
    """
    widths = [max(map(width, column)) for column in zip(headers, *rows, strict=True)]
    room = max(columns() - sum(widths[:-1]) - 2 * (len(widths) - 1), 8)
    widths[-1] = min(widths[-1], room)
    for row in (headers, *rows):
        cells = [
            pad(shorten(cell, size), size, right=index in right)
            for index, (cell, size) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        emit(paint(line, dim=True) if row is headers else line)


def timestamp(ms: int) -> str:
    """Return Unix milliseconds as UTC to the second; what no calendar holds as a number."""
    try:
        return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"


def size_text(size: int) -> str:
    """Return a number of bytes for people."""
    if size < 1024:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, 4)
    return f"{size / 1024**power:.1f} {' KMGT'[power]}iB"


def position_json(position: Position | None) -> Json:
    """Return a position for `--json`."""
    return None if position is None else position.to_json()


def counted(count: int, noun: str) -> str:
    """Return `1 session`, `2 sessions`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def label_text(labels: Json) -> str:
    """Return labels as `k=v k=v`, escaped."""
    if not isinstance(labels, dict):
        return ""
    return " ".join(f"{escape(str(k))}={escape(str(v))}" for k, v in labels.items())
