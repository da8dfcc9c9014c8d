"""
Text for terminals: escaped, measured, cut and wrapped.

Rules of this module:
  * Nothing that comes from a log, a file name or an option reaches a terminal unescaped.
  * Columns are counted, not characters: a CJK character takes two, a combining one none.
"""

import re
import unicodedata
from collections.abc import Iterator

# C0, DEL, C1; marks that reorder, hide or join text; lone surrogates; tags.
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)


def escape(text: str) -> str:
    r"""Return *text* on one line, with every control character written out (`\x1b`, `\u202e`)."""
    return _CONTROL.sub(lambda found: _written_out(found[0]), text)


def escape_json(text: str) -> str:
    """Return JSON *text* with the control characters in it in JSON's own escapes."""
    return _CONTROL.sub(lambda found: _utf16(found[0]), text)


def _written_out(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _utf16(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def escaped_lines(text: str) -> Iterator[str]:
    """Yield the lines of *text*, each escaped; tabs become blanks."""
    for line in text.split("\n"):
        yield escape(line.removesuffix("\r").expandtabs(4))


def width(text: str) -> int:
    """Return how many columns the escaped *text* takes."""
    return len(text) if text.isascii() else sum(map(_char_width, text))


def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def shorten(text: str, columns: int) -> str:
    """Return the escaped *text* cut to *columns*, with `…` where something is missing."""
    if len(text) <= columns and width(text) <= columns:
        return text
    return text[: _fitting(text, 0, columns - 1, is_ascii=False)] + "…"


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Return the escaped *text* filled up with blanks, at the left if it belongs to the *right*."""
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks


def wrap(text: str, columns: int) -> Iterator[str]:
    """Yield the escaped *text* in pieces of at most *columns*, broken at blanks if it has some."""
    start, is_ascii = 0, text.isascii()
    while (end := _fitting(text, start, columns, is_ascii=is_ascii)) < len(text):
        blank = text.rfind(" ", start, end + 1)
        # A blank in the indentation is no place to break at.
        if blank > start and text[start:blank].strip():
            yield text[start:blank].rstrip()
            start = blank + 1
        else:
            yield text[start:end]
            start = end
    yield text[start:]


def _fitting(text: str, start: int, columns: int, *, is_ascii: bool) -> int:
    """Return the end of the longest piece from *start* that fits; at least one character."""
    if is_ascii:
        return min(len(text), start + max(columns, 1))
    taken, at = 0, start
    while at < len(text):
        taken += _char_width(text[at])
        if taken > columns and at > start:
            break
        at += 1
    return at
