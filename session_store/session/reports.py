"""What verification says: findings with their place, and a report of a session."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from attrs import frozen

from ..checkpoint.audit import Sealed
from ..entries import Position
from ..ids import SessionId
from .comparing import Comparison

Level: TypeAlias = Literal["INTACT", "SEALED", "ANCHORED"]

LEVELS: Sequence[Level] = ("INTACT", "SEALED", "ANCHORED")
"""Each is worth more than the one before."""

What: TypeAlias = Literal[
    "corrupt",
    "torn",
    "missing-lf",
    "erased",
    "erased-without-redaction",
    "erasure-unfinished",
    "masked",
    "parent-missing",
    "unborn",
    "unsupported",
    "bad-seal",
    "unsealed-tail",
    "rolled-back",
    "lost",
    "behind",
    "truncated",
    "rewritten",
    "forked",
]

_LEGAL = frozenset({"erased", "masked"})
_GONE_BACK = frozenset({"bad-seal", "rolled-back", "behind", "truncated", "rewritten", "forked"})


@frozen
class Finding:
    """One thing found, with its place in the log of *session_id*; offset −1: not known."""

    what: What
    session_id: SessionId
    line: int
    offset: int
    seq: int
    why: str

    @property
    def is_legal(self) -> bool:
        """Withheld as the format allows: said, but nothing is wrong."""
        return self.what in _LEGAL


@frozen
class Report:
    """
    What verification found of one session.

    Attributes:
        level: INTACT if the chain holds up to the last complete append, its parents included;
            SEALED, ANCHORED if what was asked for lifts it there (`session.levels`).
        records: Verified records of the session's own log.
        head: The last of them.
        sealed: The newest seal of a trusted key that holds.
        unsealed: Records behind it that are no seals; None if no key is trusted.
        anchor: How the log stands to what it was held against.
    """

    session_id: SessionId
    level: Level | None
    records: int
    head: Position | None
    findings: Sequence[Finding]
    sealed: Sealed | None = None
    unsealed: int | None = None
    anchor: Comparison | None = None

    @property
    def problems(self) -> list[Finding]:
        """The findings that are not legal."""
        return [f for f in self.findings if not f.is_legal]

    @property
    def has_gone_back(self) -> bool:
        """Whether something says that the log does not hold what it once held."""
        return any(f.what in _GONE_BACK for f in self.findings)
