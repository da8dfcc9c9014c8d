"""
The lines of a transcript, each with what it says.

Lines end at LF only. U+2028 and its like are content.
"""

import stat
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from ..entries import Json
from ..errors import InvalidInput
from ..values import parse_outside

TRANSCRIPT_LINE_BYTES_MAX = 64 * 1024 * 1024
"""A longer line is refused: it has to be in memory to be read."""

# A control character takes six bytes in JSON: six pieces of NULs still fit in one body.
_PIECE_BYTES = 2 * 1024 * 1024
_CONTINUATION = range(0x80, 0xC0)  # bytes of UTF-8 that begin no character


@frozen
class Line:
    """One line as found; *value* is what it says, unless it is blank or not JSON."""

    number: int
    raw: bytes
    value: Json = None
    is_json: bool = True

    @property
    def is_blank(self) -> bool:
        return not self.raw.strip()


def read_lines(path: Path) -> Iterator[Line]:
    """
    Yield the lines of *path*, an unfinished last one included.

    Raises:
        InvalidInput: Not a regular file, or a line above `TRANSCRIPT_LINE_BYTES_MAX`.
    """
    # A FIFO or a device would block, or never end.
    if not stat.S_ISREG(path.stat().st_mode):
        raise InvalidInput("not a regular file", source=str(path))
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(TRANSCRIPT_LINE_BYTES_MAX + 1):
            number += 1
            if len(raw) > TRANSCRIPT_LINE_BYTES_MAX and not raw.endswith(b"\n"):
                why = f"longer than {TRANSCRIPT_LINE_BYTES_MAX} bytes"
                raise InvalidInput(why, source=str(path), line=number)
            yield _parse(number, raw.removesuffix(b"\n"))


def _parse(number: int, raw: bytes) -> Line:
    try:
        return Line(number, raw, parse_outside(raw))
    except InvalidInput:
        return Line(number, raw, is_json=False)


def text_of(raw: bytes) -> str | bytes:
    """Return *raw* as text, or as it is where it is not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def cut(raw: bytes) -> Iterator[bytes]:
    """Yield *raw* in pieces that fit in one body each, between characters where there are any."""
    start = 0
    while start < len(raw):
        end = min(start + _PIECE_BYTES, len(raw))
        if end < len(raw):
            # Back to the first byte of a character, at most three away.
            starts = (at for at in range(end, end - 4, -1) if raw[at] not in _CONTINUATION)
            end = next(starts, end)
        yield raw[start:end]
        start = end
