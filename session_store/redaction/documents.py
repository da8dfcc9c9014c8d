"""Files that are no store: JSON lines, text, or both; masked in blocks of lines."""

from collections.abc import Iterator, Sequence

from .bodies import mask_json
from .rules import OutOfTime, Rules
from .spans import UNSCANNED, marker


def mask_document(lines: Sequence[bytes], rules: Rules) -> Iterator[tuple[int, bytes]]:
    """
    Yield the place of each changed piece of *lines*, and what it becomes.

    A line that begins as JSON is a document of its own; the lines between them are one text,
    so that a key of many lines is found. What takes too long is closed.
    """
    start = 0
    for number, line in enumerate(lines):
        if line.lstrip().startswith((b"{", b"[")):
            yield from _changed(start, b"".join(lines[start:number]), rules)
            yield from _changed(number, line, rules)
            start = number + 1
    yield from _changed(start, b"".join(lines[start:]), rules)


def _changed(first: int, text: bytes, rules: Rules) -> Iterator[tuple[int, bytes]]:
    try:
        masked = mask_json(text, rules)
    except OutOfTime:
        masked = marker(UNSCANNED)
    if masked == text:
        return
    before, after = text.split(b"\n"), masked.split(b"\n")
    if len(before) == len(after):
        for at, (old, new) in enumerate(zip(before, after, strict=True)):
            if old != new:
                yield first + at, new
        return
    # A secret of several lines became one: those around it are the same.
    same = next(at for at, (old, new) in enumerate(zip(before, after, strict=False)) if old != new)
    for at, new in enumerate(after[same:], same):
        if b"[REDACTED:" in new:
            yield first + at, new
