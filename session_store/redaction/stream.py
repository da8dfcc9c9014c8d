"""
Secrets that a stream brings in pieces: each event a few letters of a text.

The pieces that stand at the same place of successive events are looked at as the one text that
they make. Where a secret lies over several of them, the first is given the marker and the
others lose their part.
"""

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from .bodies import applied, closed_event, mask_json
from .escapes import decoded, encoded, raw_places
from .rules import Deadline, OutOfTime, Rules
from .spans import marker
from .walk import Edit, Leaf, NotJson, Path, leaves

_OPEN_MAX = 20_000
_LINE_MAX = 2_000
_BEGINS = re.compile(
    rb"(?i)pass|pwd|secret|token|key|credential|auth|bearer|basic|cookie|://|-----|curl|mysql"
)
_NEAR = 120
"""Bytes behind a name for a secret in which its value begins, on a line too long to wait for its end."""
_GAP = re.compile(rb"[\s\"'`,;<>\\]")
_GROWING = frozenset(
    (
        "text", "delta", "content", "partial_json", "arguments", "thinking", "refusal", "output",
        "reasoning_content", "reasoning", "response", "transcript", "completion", "input",
    )
)  # fmt: skip
"""Names under which providers stream text bit by bit."""


class _Piece(NamedTuple):
    event: int
    leaf: Leaf
    text: bytes


def mask_events(events: Sequence[bytes], rules: Rules) -> list[bytes]:
    """Return successive *events* of a stream, JSON each, masked one by one and over their borders."""
    size = sum(map(len, events))
    deadline = Deadline(size, rules.seconds_per_mib)
    try:
        edits: dict[int, list[Edit]] = {}
        for pieces in _texts(events).values():
            if len(pieces) > 1:
                _mask_text(pieces, rules, deadline, edits)
        joined = [
            applied(event, sorted(edits[number])) if number in edits else event
            for number, event in enumerate(events)
        ]
        return [mask_json(event, rules) for event in joined]
    except OutOfTime:
        return [closed_event(event) for event in events]


def count_closed(events: Sequence[bytes]) -> int:
    """
    Return how many of *events* may be written while the stream goes on.

    A cut is closed if no text that comes in pieces has a word, a line with a name for a secret,
    or a key block on both sides of it.
    """
    # How many texts forbid to cut in front of an event; the last place is behind all.
    opened = [0] * (len(events) + 2)
    for pieces in _texts(events).values():
        if _name_of(pieces[0].leaf.path) not in _GROWING:
            continue
        text = b""
        ends = [*((piece.event, piece.text) for piece in pieces[1:]), (len(events), b"")]
        for piece, (following, text_behind) in zip(pieces, ends, strict=True):
            text = (text + piece.text)[-_OPEN_MAX:]
            if _is_open(text, text_behind):
                opened[piece.event + 1] += 1
                opened[following + 1] -= 1
    depths = list(accumulate(opened))
    return max(cut for cut in range(len(events) + 1) if depths[cut] == 0)


def _is_open(text: bytes, behind: bytes) -> bool:
    """Return whether what *text* ends with may be one secret with what comes *behind* it."""
    block = text.rfind(b"-----BEGIN")
    if block >= 0 and text.find(b"-----END", block) < 0:
        return True
    line = text[text.rfind(b"\n") + 1 :]
    if len(line) >= _LINE_MAX:
        return _is_open_far_out(line[-_LINE_MAX:], behind)
    if not line:
        return False
    is_cut_at_word = line[-1:].isspace() or behind[:1].isspace()
    return not is_cut_at_word or _BEGINS.search(line) is not None


def _is_open_far_out(line: bytes, behind: bytes) -> bool:
    """Return the same of the end of a long *line*: a run of 2,000 bytes is no secret any more."""
    if _BEGINS.search(line, len(line) - _NEAR):
        return True
    is_cut_at_word = _GAP.match(line, len(line) - 1) or _GAP.match(behind)
    return is_cut_at_word is None and _GAP.search(line) is not None


def _name_of(path: Path) -> str | int:
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _texts(events: Sequence[bytes]) -> dict[object, list[_Piece]]:
    """Return the texts that events make together, as their pieces: by place, and by their index."""
    texts: dict[object, list[_Piece]] = {}
    for number, event in enumerate(events):
        try:
            found = list(leaves(event))
        except NotJson:
            continue
        index = next((leaf.raw for leaf in found if leaf.path[-1:] == ("index",)), b"")
        for leaf in found:
            if leaf.is_text:
                piece = _Piece(number, leaf, decoded(leaf.raw))
                texts.setdefault((index, leaf.path), []).append(piece)
    return texts


def _mask_text(
    pieces: list[_Piece], rules: Rules, deadline: Deadline, edits: dict[int, list[Edit]]
) -> None:
    text = b"".join(piece.text for piece in pieces)
    for span in rules.find(text, deadline):
        at = 0
        new = marker(span.rule)
        for piece in pieces:
            start, end = max(span.start - at, 0), min(span.end - at, len(piece.text))
            at += len(piece.text)
            if start >= end:
                continue
            begin, stop = raw_places(piece.leaf.raw, [start, end])
            offset = piece.leaf.start
            edits.setdefault(piece.event, []).append(
                Edit(offset + begin, offset + stop, encoded(new), span.rule, span.confidence, ())
            )
            new = b""
