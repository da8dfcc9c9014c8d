"""
Rules that a team brings along: a regular expression, words that must be near, checks.

A text is searched in windows, so that a pattern of quadratic cost costs little, and time is
looked at between them. A match longer than half a window may be cut short.
"""

import re
from collections.abc import Callable, Iterator
from typing import Literal

from attrs import frozen

from ..errors import InvalidInput
from .patterns import compile_pattern
from .plausible import entropy
from .spans import Confidence, Span

WINDOW_BYTES = 8192
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@frozen
class Allowed:
    """What a rule lets through: where *pattern* is found in the secret, its match, or its line."""

    pattern: re.Pattern[bytes]
    target: Literal["secret", "match", "line"] = "secret"

    def lets_through(self, text: bytes, found: re.Match[bytes], value: bytes) -> bool:
        if self.target == "secret":
            return self.pattern.search(value) is not None
        if self.target == "match":
            return self.pattern.search(found.group()) is not None
        start = text.rfind(b"\n", max(found.start() - WINDOW_BYTES, 0), found.start()) + 1
        end = text.find(b"\n", found.end(), found.end() + WINDOW_BYTES)
        start = max(start, found.start() - WINDOW_BYTES)
        end = min(len(text), found.end() + WINDOW_BYTES) if end < 0 else end
        return self.pattern.search(text, start, end) is not None


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
    pattern: re.Pattern[bytes]
    group: int = 0
    keywords: tuple[bytes, ...] = ()
    entropy_min: float = 0.0
    allow: tuple[Allowed, ...] = ()
    stop_words: tuple[bytes, ...] = ()
    confidence: Confidence = "definite"

    @property
    def definition(self) -> str:
        """All that decides what the rule finds."""
        allowed = [(one.target, one.pattern.pattern) for one in self.allow]
        shape = (self.pattern.pattern, self.pattern.flags, self.group, self.keywords)
        return repr((self.id, shape, self.entropy_min, allowed, self.stop_words))

    def may_be_in(self, lower: bytes) -> bool:
        """Return whether a text in *lower* case has a keyword, if there are any."""
        return not self.keywords or any(word in lower for word in self.keywords)

    def find(self, text: bytes, lower: bytes, check_time: Callable[[], None]) -> Iterator[Span]:
        """Yield what the rule finds; *check_time* raises when it has taken too long."""
        if not self.may_be_in(lower):
            return
        done = 0
        half = WINDOW_BYTES // 2
        for start in range(0, len(text), half):
            check_time()
            if not self.may_be_in(lower[start : start + WINDOW_BYTES]):
                continue
            for found in self.pattern.finditer(text, max(start, done), start + WINDOW_BYTES):
                if found.start() >= start + half:
                    break  # The next window sees more of what follows it.
                begin, end = found.span(self.group)
                done = max(done, found.end())
                if 0 <= begin < end and self._counts(text, found, text[begin:end]):
                    yield Span(begin, end, self.id, self.confidence)

    def _counts(self, text: bytes, found: re.Match[bytes], value: bytes) -> bool:
        if self.entropy_min and entropy(value) < self.entropy_min:
            return False
        lower = value.lower()
        return not (
            any(word in lower for word in self.stop_words)
            or any(one.lets_through(text, found, value) for one in self.allow)
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
        group: None is the first group, or all if there is none.

    Raises:
        InvalidInput: The id is none, or a pattern is none or may take exponential time.
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
