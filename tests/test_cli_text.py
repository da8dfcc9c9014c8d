"""Text for terminals: nothing in it can move a cursor, hide or reorder."""

import json
import sys
import unicodedata

import pytest

from session_store.cli.output import label_text, size_text, timestamp
from session_store.cli.text import (
    escape,
    escape_json,
    escaped_lines,
    pad,
    shorten,
    width,
    wrap,
)

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
SHOWN = "plain text, é, 漢字, 👩\u200d💻, e\u0301, \u00a0, \\x1b"


def test_no_control_character_is_printed() -> None:
    """C0, DEL, C1, line and paragraph separators, surrogates: all are written out."""
    for number in range(sys.maxunicode + 1):
        char = chr(number)
        if unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs"):
            assert escape(char).isascii(), hex(number)
            assert escape(char).isprintable(), hex(number)


@pytest.mark.parametrize("char", [*BIDI, "\ufeff", "\u200b", "\u2060", "\U000e0041"], ids=ascii)
def test_marks_that_reorder_or_hide_are_written_out(char: str) -> None:
    """What cannot be seen is shown by its number."""
    assert f"a{char.encode('unicode_escape').decode()}b" == escape(f"a{char}b")


def test_terminal_sequences_lose_their_escape() -> None:
    """Colours, titles, cursor moves, hyperlinks and C1 introducers become text."""
    for sequence in ("\x1b[31m", "\x1b]0;title\x07", "\x9b2J", "\x1b]8;;http://x\x1b\\", "\x90q"):
        assert escape(sequence).isprintable()


def test_ordinary_text_stays_as_it_is() -> None:
    """Letters of all scripts, joined emoji and backslashes are not touched."""
    assert SHOWN == escape(SHOWN)


def test_lines_stay_lines_and_tabs_become_blanks() -> None:
    """Only line feeds divide; a carriage return in the middle is written out."""
    assert ["a   b", "c", r"d\re", ""] == list(escaped_lines("a\tb\nc\r\nd\re\n"))


def test_json_stays_the_same_value_without_control_characters() -> None:
    """JSON escapes of its own replace what JSON allows and a terminal obeys."""
    value = {"k": "".join(map(chr, range(0x20, 0x100))) + BIDI + "\U000e0041"}
    text = escape_json(json.dumps(value, ensure_ascii=False))

    assert value == json.loads(text)
    assert escape(text) == text


WIDTHS = {"ascii": ("abc", 3), "wide": ("漢字", 4), "combined": ("e\u0301", 1), "emoji": ("👍", 2)}


@pytest.mark.parametrize(("text", "columns"), WIDTHS.values(), ids=WIDTHS)
def test_width_counts_columns(text: str, columns: int) -> None:
    """A wide character takes two columns, a combining one none."""
    assert columns == width(text)
    assert 10 == width(pad(text, 10))


@pytest.mark.parametrize("text", ["a" * 50, "漢" * 30, "e\u0301" * 40, "wörd " * 12], ids=ascii)
def test_shortened_and_wrapped_text_fits(text: str) -> None:
    """No piece takes more columns than there are, and wrapping loses only blanks."""
    assert width(shorten(text, 20)) <= 20
    pieces = list(wrap(text, 20))
    assert all(width(piece) <= 20 for piece in pieces)
    assert text.replace(" ", "") == "".join(pieces).replace(" ", "")


def test_wrapping_breaks_at_blanks_and_keeps_indentation() -> None:
    """Words stay whole where they fit; a word without blanks is cut."""
    assert ["    return", "day.year"] == list(wrap("    return day.year", 12))
    assert ["abcdefghij", "klm"] == list(wrap("abcdefghijklm", 10))
    assert [""] == list(wrap("", 10))


def test_wrapping_a_long_line_takes_linear_time() -> None:
    """A line of a million characters, wide ones among them, is wrapped in pieces."""
    assert 25_000 == sum(1 for _ in wrap("漢" * 1_000_000, 80))


def test_numbers_for_people() -> None:
    """Sizes have a unit, and times that no calendar has are numbers."""
    sizes = [0, 1023, 1024, 1536, 5 * 1024**2, 7 * 1024**3, 1024**5]
    assert ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "7.0 GiB", "1024.0 TiB"] == list(
        map(size_text, sizes)
    )
    assert "1970-01-01 00:00:01" == timestamp(1999)
    assert f"{2**53} ms" == timestamp(2**53)


def test_labels_are_escaped_whatever_they_are() -> None:
    """A label's name and value are text from a log."""
    assert r"a\x1b=b\x07 n=1" == label_text({"a\x1b": "b\x07", "n": 1})
    assert "" == label_text(["no", "labels"])
