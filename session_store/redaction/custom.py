"""
Rules that a team brings along: a regular expression, words that must be near, checks.

A text is searched in windows, and time is looked at between them and behind each match. A match
longer than half a window may be cut short.
"""

import re
from collections.abc import Iterator
from typing import Literal

from attrs import frozen

from ..errors import InvalidInput
from .patterns import HALF_BYTES, WINDOW_BYTES, CheckTime, Pattern, Place, compile_pattern
from .plausible import entropy
from .spans import Confidence, Span

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@frozen
class Allowed:
    """What a rule lets through: where *pattern* is found in the secret, its match, or its line."""

    pattern: Pattern
    target: Literal["secret", "match", "line"] = "secret"

    def lets_through(self, text: bytes, place: Place, check_time: CheckTime) -> bool:
        return self.pattern.is_in(text[slice(*self._looked_at(text, place))], check_time)

    def _looked_at(self, text: bytes, place: Place) -> tuple[int, int]:
        if self.target == "secret":
            return place.group
        start, end = place.whole
        if self.target == "line":
            first, last = max(start - WINDOW_BYTES, 0), min(end + WINDOW_BYTES, len(text))
            start = max(text.rfind(b"\n", first, start) + 1, first)
            line_end = text.find(b"\n", end, last)
            end = last if line_end < 0 else line_end
        return start, end


@frozen
class CustomRule:
    """
    One rule.

    Attributes:
        group: The group of *pattern* that is the secret; 0 is all of it.
        keywords: One of them, in lower case, must be in the text; none at all is no condition.
        entropy_min: Bits per byte below which a match is none.
        allow: What one of these lets through is none.
        stop_words: What holds one of these, in lower case, is none.
    """

    id: str
    pattern: Pattern
    group: int = 0
    keywords: tuple[bytes, ...] = ()
    entropy_min: float = 0.0
    allow: tuple[Allowed, ...] = ()
    stop_words: tuple[bytes, ...] = ()
    confidence: Confidence = "definite"

    @property
    def definition(self) -> str:
        """All that decides what the rule finds."""
        allowed = [(one.target, one.pattern.text) for one in self.allow]
        shape = (self.pattern.text, self.group, self.keywords)
        return repr((self.id, shape, self.entropy_min, allowed, self.stop_words))

    def may_be_in(self, lower: bytes) -> bool:
        """Return whether a text in *lower* case has a keyword, if there are any."""
        return not self.keywords or any(word in lower for word in self.keywords)

    def find(self, text: bytes, lower: bytes, check_time: CheckTime) -> Iterator[Span]:
        """Yield what the rule finds; *check_time* raises when it has taken too long."""
        if not self.may_be_in(lower):
            return
        done = 0
        for start in range(0, len(text), HALF_BYTES):
            end = start + WINDOW_BYTES
            if not self.may_be_in(lower[start:end]):
                continue
            for place in self.pattern.find(text, max(start, done), end, self.group, check_time):
                if place.whole[0] >= start + HALF_BYTES:
                    break  # The next window sees more of what follows it.
                done = max(done, place.whole[1])
                begin, stop = place.group
                if 0 <= begin < stop and self._counts(text, place, check_time):
                    yield Span(begin, stop, self.id, self.confidence)

    def _counts(self, text: bytes, place: Place, check_time: CheckTime) -> bool:
        value = text[slice(*place.group)]
        if self.entropy_min and entropy(value) < self.entropy_min:
            return False
        lower = value.lower()
        return not (
            any(word in lower for word in self.stop_words)
            or any(one.lets_through(text, place, check_time) for one in self.allow)
        )


def custom_rule(
    rule_id: str,
    pattern: str,
    *,
    group: int | None = None,
    keywords: tuple[str, ...] = (),
    entropy_min: float = 0.0,
    allow: tuple[Allowed, ...] = (),
    stop_words: tuple[str, ...] = (),
    confidence: Confidence = "definite",
) -> CustomRule:
    """
    Return a rule of one's own.

    Args:
        pattern: In RE2's syntax, gitleaks' own: no lookaround, no backreferences.
        group: None is the first group, or all if there is none.

    Raises:
        InvalidInput: The id is none, or the pattern is none or too large.
        MissingExtra: `google-re2` is not installed.
    """
    source = f"rule {rule_id[:64]!r}"
    if _ID.fullmatch(rule_id) is None:
        raise InvalidInput("an id has small letters, digits and . _ - only", source=source)
    compiled = compile_pattern(pattern, source)
    if group is None:
        group = 1 if compiled.groups else 0
    if not 0 <= group <= compiled.groups:
        raise InvalidInput(f"the pattern has no group {group}", source=source)
    return CustomRule(
        rule_id,
        compiled,
        group,
        tuple(word.lower().encode() for word in keywords),
        entropy_min,
        allow,
        tuple(word.lower().encode() for word in stop_words),
        confidence,
    )
