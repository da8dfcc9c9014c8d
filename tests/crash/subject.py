"""What one subject of `make crash` tells: how often it was tried, and what went wrong."""

from collections.abc import Callable

from attrs import frozen


@frozen
class Row:
    """
    One subject.

    Attributes:
        subject: Its name, the same in the short and in the full form.
        counts: What was counted.
        wrong: How many of the counts say that something was lost, twice, undetected
            or misclassified; must be 0.
        matrix: Rows of the fault matrix that this tries.
        skipped: Why this machine could not run it; empty if it did.
    """

    subject: str
    counts: dict[str, object]
    wrong: int
    matrix: tuple[int, ...] = ()
    skipped: str = ""

    @property
    def verdict(self) -> str:
        if self.skipped:
            return "skipped"
        return "FAILED" if self.wrong else "ok"


Subject = Callable[[], Row]
"""Runs one subject."""
