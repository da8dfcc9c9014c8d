"""
The rules: what is looked for, how surely, and what is let through.

The version of a rule set changes whenever anything changes that it would find.
"""

import time
from collections.abc import Iterator, Sequence
from functools import cached_property

from attrs import field, frozen
from blake3 import blake3

from . import assigned, enclosed, plausible, prefixed
from .assigned import find_assigned, names_one
from .custom import CustomRule
from .enclosed import find_enclosed
from .patterns import Pattern, compile_pattern
from .prefixed import find_prefixed
from .spans import Confidence, Span, merge, replaced, settled

EDITION = 1
"""Raised when a rule changes in what its patterns do not show: checks of values, words."""

SECONDS_PER_MIB = 1.0


class OutOfTime(Exception):
    """A text took longer than its size allows; nothing of it may be passed on."""


class Deadline:
    """
    The processor time that one body may take: a second, and another for each MiB.

    Not the time of a clock: a process that was stopped for a while closes nothing.
    """

    def __init__(self, size: int, seconds_per_mib: float) -> None:
        self._end = time.thread_time() + seconds_per_mib * (1 + size / (1 << 20))

    def check(self) -> None:
        """Raise OutOfTime if it is over."""
        if time.thread_time() > self._end:
            raise OutOfTime


@frozen
class Rules:
    """
    A set of rules; `default_rules()` makes the built-in one, `load_rules` reads more.

    Attributes:
        custom: Rules beside the built-in ones.
        allow: What matches one of these, anywhere in a secret, is none.
        confidence: candidate: all rules; definite: only those whose finds the shape proves.
        seconds_per_mib: Processor time; what takes longer is closed, not passed on.

    Concurrency: any threads.
    """

    custom: tuple[CustomRule, ...] = ()
    allow: tuple[Pattern, ...] = ()
    confidence: Confidence = "candidate"
    seconds_per_mib: float = field(default=SECONDS_PER_MIB)

    @cached_property
    def version(self) -> str:
        """Edition and digest: equal versions find the same. Goes into a masked store."""
        parts = (
            EDITION,
            prefixed.DEFINITIONS,
            enclosed.DEFINITIONS,
            assigned.DEFINITIONS,
            plausible.DEFINITIONS,
            [rule.definition for rule in self.custom],
            [pattern.text for pattern in self.allow],
            self.confidence,
        )
        return f"{EDITION}-{blake3(repr(parts).encode()).hexdigest(8)}"

    def find(self, text: bytes, deadline: Deadline | None = None) -> list[Span]:
        """Return the secrets in *text* (bytes that should be UTF-8), in order, none touching another."""
        deadline = deadline or Deadline(len(text), self.seconds_per_mib)
        deadline.check()
        lower = text.lower()
        spans = self._spans(text, lower, deadline)
        found = [span for span in spans if self._counts(text, span, deadline)]
        return merge(text, found) if found else found

    def mask_text(self, text: bytes) -> bytes:
        """Return *text* with a marker in the place of each secret; masked again, it stays as it is."""
        return settled(text, lambda one: replaced(one, self.find(one)))

    def may_hold(self, data: bytes, deadline: Deadline) -> bool:
        """Return whether JSON *data*, as it stands, may hold a secret: a quick look over it."""
        deadline.check()
        lower = data.lower()
        return (
            next(find_prefixed(data), None) is not None
            or next(find_enclosed(data, lower), None) is not None
            or names_one(data, lower)
            or any(rule.may_be_in(lower) for rule in self.custom)
        )

    def _spans(self, text: bytes, lower: bytes, deadline: Deadline) -> Iterator[Span]:
        yield from find_prefixed(text)
        yield from find_enclosed(text, lower)
        yield from find_assigned(text, lower)
        for rule in self.custom:
            yield from rule.find(text, lower, deadline.check)

    def _counts(self, text: bytes, span: Span, deadline: Deadline) -> bool:
        if self.confidence == "definite" and span.confidence != "definite":
            return False
        return not self.is_allowed(text[span.start : span.end], deadline)

    def is_allowed(self, value: bytes, deadline: Deadline) -> bool:
        """Return whether the allow-list lets *value* through."""
        return any(pattern.is_in(value, deadline.check) for pattern in self.allow)


def default_rules(*, allow: Sequence[str] = (), confidence: Confidence = "candidate") -> Rules:
    """
    Return the built-in rules.

    Args:
        allow: Regular expressions in RE2's syntax; a secret in which one matches is let through.

    Raises:
        InvalidInput: One of *allow* is none, or too large.
        MissingExtra: There is one, and `google-re2` is not installed.
    """
    allowed = tuple(compile_pattern(one, "allow") for one in allow)
    return Rules(allow=allowed, confidence=confidence)
