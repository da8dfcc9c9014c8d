"""
Patterns of others: regular expressions of a team's own, matched in linear time.

RE2 matches them (the extra `mask`), as gitleaks does: no pattern can make it slow, and what it
cannot match in linear time, lookaround and backreferences, it has not. They are matched
against bytes, UTF-8 as a rule: a dot is one byte.
"""

import importlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from attrs import field, frozen

from ..errors import InvalidInput, MissingExtra

WINDOW_BYTES = 8192
HALF_BYTES = WINDOW_BYTES // 2
_PROGRAM_MAX = 10_000
"""Instructions; a search of a window takes a few tenths of a second then, and cannot be interrupted."""
_MEMORY_MAX = 1 << 20
"""Bytes a pattern; gitleaks' own are as fast with it as with more, and no larger one compiles for seconds."""

CheckTime = Callable[[], None]
"""Raises when it has taken too long."""


class Place(NamedTuple):
    """Where a match stands: all of it, and one of its groups; (-1, -1) where a group has no part."""

    whole: tuple[int, int]
    group: tuple[int, int]


@frozen
class Pattern:
    """
    A regular expression, compiled.

    Attributes:
        text: As it was written.
        groups: How many it has.

    Concurrency: any threads.
    """

    text: str
    groups: int
    _compiled: Any = field(eq=False, repr=False)

    def find(
        self, text: bytes, start: int, end: int, group: int, check_time: CheckTime
    ) -> Iterator[Place]:
        """Yield the matches between *start* and *end* from left to right; anchors see all of *text*."""
        check_time()
        for found in self._compiled.finditer(text, start, end):
            yield Place(found.span(), found.span(group))
            check_time()

    def is_in(self, text: bytes, check_time: CheckTime) -> bool:
        """Return whether it matches anywhere; half a window is the longest match that is surely seen."""
        for start in range(0, max(len(text) - HALF_BYTES, 1), HALF_BYTES):
            check_time()
            if self._compiled.search(text, start, start + WINDOW_BYTES) is not None:
                return True
        return False


def compile_pattern(pattern: str, source: str) -> Pattern:
    """
    Return *pattern*, in RE2's syntax, compiled.

    Raises:
        InvalidInput: It is none, or so large that a search of it is slow.
        MissingExtra: `google-re2` is not installed.
    """
    re2 = _re2()
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # No byte can hide from it.
    options.log_errors = False
    options.max_mem = _MEMORY_MAX
    try:
        compiled = re2.compile(pattern.encode("utf-8", "surrogatepass"), options)
    except re2.error as error:
        why = error.args[0].decode("utf-8", "replace")
        raise InvalidInput(f"{_NONE}: {why}", source=source) from error
    if compiled.programsize > _PROGRAM_MAX:
        raise InvalidInput(
            f"the pattern is slow: {compiled.programsize:,} steps a byte, {_PROGRAM_MAX:,} at most;"
            " its repeats need smaller bounds",
            source=source,
        )
    return Pattern(pattern, compiled.groups, compiled)


_NONE = "not a pattern of RE2 (no lookaround, no backreferences)"


def _re2() -> Any:
    try:
        return importlib.import_module("re2")
    except ModuleNotFoundError as error:
        raise MissingExtra("a pattern of one's own", "mask") from error
