"""Where secrets stand in a text, and what is written in their place."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

Confidence = Literal["definite", "candidate"]

MARKER = re.compile(rb"\[REDACTED:[a-z0-9][a-z0-9._-]{0,63}\]")
UNSCANNED = "unscanned"
"""Rule that stands where something was taken out because it could not be looked through."""


class Span(NamedTuple):
    """
    One secret.

    Attributes:
        start, end: Bytes of the text.
        rule: Id of the rule that found it.
        confidence: definite: its shape tells; candidate: its surroundings tell.
    """

    start: int
    end: int
    rule: str
    confidence: Confidence


def marker(rule: str) -> bytes:
    """Return what is written in the place of what *rule* found."""
    return b"[REDACTED:" + rule.encode() + b"]"


def merge(text: bytes, spans: Iterable[Span]) -> list[Span]:
    """
    Return *spans* in order, none touching another, on whole UTF-8 characters of *text*.

    Where they overlap, the one of a definite rule names what takes all their places, else the
    longest one. What lies in a marker is none.
    """
    markers = [found.span() for found in MARKER.finditer(text)]
    merged: list[Span] = []
    for span in sorted(spans):
        span = _whole(text, span)  # noqa: PLW2901 - the same one, a byte or two larger
        before = bisect_right(markers, (span.start, len(text))) - 1
        if before >= 0 and span.end <= markers[before][1]:
            continue
        if merged and span.start < merged[-1].end:
            merged[-1] = _union(merged[-1], span)
        else:
            merged.append(span)
    return merged


def _whole(text: bytes, span: Span) -> Span:
    start, end = span.start, span.end
    while start > 0 and text[start] & 0xC0 == 0x80:
        start -= 1
    while end < len(text) and text[end] & 0xC0 == 0x80:
        end += 1
    return span._replace(start=start, end=end)


def _union(one: Span, other: Span) -> Span:
    def weight(span: Span) -> tuple[bool, int]:
        return span.confidence == "definite", span.end - span.start

    stronger = max(one, other, key=weight)
    return stronger._replace(start=min(one.start, other.start), end=max(one.end, other.end))


def replaced(text: bytes, spans: Iterable[Span]) -> bytes:
    """Return *text* with the marker of each of the merged *spans* in its place."""
    parts, at = list[bytes](), 0
    for span in spans:
        parts += (text[at : span.start], marker(span.rule))
        at = span.end
    return b"".join((*parts, text[at:]))


def settled(data: bytes, once: Callable[[bytes], bytes]) -> bytes:
    """
    Apply *once* until nothing changes, so that masking what was masked changes nothing.

    A marker may bring two neighbours together that look like a secret. What does not come to
    rest is closed whole.
    """
    for _ in range(_ROUNDS_MAX):
        out = once(data)
        if out == data:
            return out
        data = out
    return marker(UNSCANNED)


_ROUNDS_MAX = 6
