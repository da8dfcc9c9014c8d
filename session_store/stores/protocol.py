"""What every store offers, and the few values that go in and out of it."""

import enum
from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from attrs import define, field, frozen

from ..chain import Draft, Record
from ..entries import Durability, Json, Position, Receipt, SessionOrigin
from ..ids import SessionId
from ..redacted import Named

if TYPE_CHECKING:
    from ..checkpoint.heads import HeadMemory
    from ..redaction.rules import Rules


class _Any(enum.Enum):
    ANY = "ANY"


ANY: Final = _Any.ANY
"""As `expected`: append after whatever is last."""


@define(eq=False)
class Cursor:
    """
    What one handle knows of its log; the store moves it.

    Attributes:
        head: The newest record that an append of this handle has brought to its level,
            or the head at opening.
        written: The newest record this handle has written; what its next append expects.
        shared: The handle appends after whatever is last.
        place: The store's own notes.
    """

    head: Position
    written: Position
    shared: bool = False
    place: Any = field(default=None, repr=False)


NEVER_ERASED = frozenset({"redaction", "seal", "recovery"})
"""Kinds that say what was done to the log, and hold nothing of its users."""

Expected: TypeAlias = Position | Literal[_Any.ANY]
"""The head that an append is made for."""


@frozen
class SessionInfo:
    """
    One session of a listing; facts that cost O(1).

    Attributes:
        size: Bytes of the log.
        trace_size: Bytes of its trace file.
        mtime_ms: When the log last grew, Unix milliseconds.
    """

    session_id: SessionId
    size: int
    trace_size: int
    mtime_ms: int


class Store(Protocol):
    """
    Where logs live. The bytes and hashes of a session are the same in every store.

    All calls raise `InvalidId` for what is no id, `NotFound` for a session that is
    not there (unborn, deleted), `Corrupt` for damage with everything before it verified.

    Attributes:
        mask: Rules by which everything is masked before it is written, or None.
    """

    mask: "Rules | None" = None
    heads: "HeadMemory | None" = None
    """What closing, verifying and sealing remember heads in, and compare them with."""

    @property
    def store_id(self) -> str:
        """The store's own name, made with it."""

    @property
    def is_masked(self) -> bool:
        """Whether the store is a masked replica: masked records are legal in it."""

    async def create(
        self,
        session_id: SessionId,
        drafts: Sequence[Draft],
        *,
        parent: Position | None = None,
        key: str | None = None,
        durability: Durability | None = None,
    ) -> Receipt:
        """
        Give birth to a log by its first append, which begins with its session_start.

        Given the same drafts again, it finds them and returns their receipt.

        Args:
            parent: Fork by reference at this record, which is made durable first.
            key: External key that shall find the session.

        Raises:
            AlreadyExists: The id or the key is taken.
        """

    async def create_whole(
        self,
        session_id: SessionId,
        appends: AsyncIterable[Sequence[Draft]],
        *,
        parent: Position | None = None,
        key: str | None = None,
    ) -> Receipt:
        """
        Make a log of many *appends*, invisible until it is whole; errors as for `create`.

        Durability: on disk. If *appends* raises, nothing is left behind.
        """

    async def append(
        self,
        session_id: SessionId,
        drafts: Sequence[Draft],
        *,
        expected: Expected | None = None,
        cursor: Cursor | None = None,
        floor: Position | None = None,
        durability: Durability | None = None,
    ) -> Receipt:
        """
        Append *drafts*, all or none; given again, they are found and not written twice.

        Args:
            expected: None: what the *cursor* has written last.
            cursor: The handle's; moved, and appends of one handle keep their order.
            floor: The head when the drafts were made; they are looked for behind it.

        Raises:
            HeadMismatch: Something but maintenance was appended after *expected*.
            StoreFull: No room; nothing was written.
            DurabilityLost: A sync failed; see there.
            Locked: Another writer would not let go; nothing was written.

        Cancellation: The append may still happen; later ones keep their order.
        """

    async def append_lines(self, session_id: SessionId, lines: bytes) -> Receipt:
        """
        Append whole appends as exact bytes, verified against the log they continue.

        What redactions among them name is blanked before they are acknowledged.
        """

    async def open(self, session_id: SessionId, *, shared: bool = False) -> Cursor:
        """Return a new handle's cursor. Cost: one read of the tail."""

    async def head(self, session_id: SessionId) -> Position:
        """Return the newest record of the last complete append. Cost: one read of the tail."""

    async def flush(self, session_id: SessionId, *, cursor: Cursor | None = None) -> Receipt:
        """
        Bring everything appended so far to level `disk`.

        Args:
            cursor: The handle's, which is refused if a sync failed since it was opened.

        Raises:
            DurabilityLost: A sync failed.
        """

    def read(
        self, session_id: SessionId, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        """
        Give the verified records with start <= seq < stop, in batches.

        A record that a redaction names comes as erased, with the replacement if there is one.

        Raises:
            Corrupt: After everything before the damage was given.
        """

    def raw(self, session_id: SessionId) -> AsyncIterator[bytes]:
        """Give the log's bytes as stored, unverified, to its present end."""

    def follow(self, session_id: SessionId, start: int = 0) -> AsyncIterator[Sequence[Record]]:
        """Give the verified records from *start* on, and go on as appends arrive."""

    async def record(self, session_id: SessionId, seq: int) -> Record:
        """Return one self-consistent record. Raises NotFound. Cost: linear in the log."""

    async def position(self, session_id: SessionId, seq: int) -> Position:
        """Return where the self-consistent record *seq* stands. Cost: O(log n) reads."""

    async def origin(self, session_id: SessionId) -> SessionOrigin:
        """Return where the log's beginning came from, verified. Cost: reads the first append."""

    async def redactions(self, session_id: SessionId) -> Named:
        """Return what the log's redactions name."""

    async def list(
        self, *, before: SessionId | None = None, limit: int = 100
    ) -> Sequence[SessionInfo]:
        """Return sessions, newest first; *before* continues an earlier listing. Unborn ones are not listed."""

    async def find(self, key: str) -> SessionId | None:
        """Return the session that was created with the external *key*."""

    async def children(self, session_id: SessionId) -> Sequence[SessionId]:
        """Return the forks by reference that live on the session, oldest first."""

    async def delete(self, session_id: SessionId) -> None:
        """
        Delete log, trace and quarantined pieces; the id is never used again.

        Raises:
            HasForks: A fork by reference lives on it.
        """

    async def erase(
        self,
        session_id: SessionId,
        targets: Sequence[Position],
        *,
        reason: str,
        by: str | None = None,
        replacements: Mapping[int, Mapping[str, Json]] | None = None,
        turns: Collection[int] = (),
    ) -> Receipt:
        """
        Erase records of the session's own log, for good; return the receipt of the redaction.

        Salt and body are blanked in place, behind a redaction that names them. From that on no
        reader gives them out, forks by reference included; every chain holds as before.
        Copies of them that the store made of the log (quarantine, temporary files) go too.

        Args:
            reason, by: Why, and who wanted it; they stay in the log.
            replacements: seq -> the body that is given out instead. That of a session_start
                keeps its format, session_id, forked_from, compacted_from and salvaged_from, whatever
                is given.
            turns: Turns whose events in the trace go too.

        Raises:
            NotFound: One of *targets* is no record of the log. Nothing was done.
            NotErasable: One is a redaction, a seal or a recovery. Nothing was done.
            LimitExceeded: The replacements are too large. Nothing was done.
            StoreFull: No room for the redaction: nothing was done; or to blank: see there.
            DurabilityLost: A sync failed.

        Durability: the redaction and the blanks are on disk. What an error or a crash interrupts
            behind its promise is finished by whoever next appends, forks, flushes or erases.
        Cost: O(log n) reads and a write for each target, neighbours O(1); three syncs of the log.
        """

    async def is_deleted(self, session_id: SessionId) -> bool:
        """Return whether the session was there and was deleted."""

    async def seen(self, session_id: SessionId) -> Position | None:
        """Return the head that was last seen of a session; None without a head memory."""

    async def remember(self, heads: Sequence[Position], *, also_back: bool = False) -> None:
        """Let the head memory, if there is one, know *heads*; see `HeadMemory.remember`."""

    async def repair(self, session_id: SessionId) -> "Repair":
        """Cut the log at its first damage; the original is kept in quarantine."""

    async def append_trace(self, session_id: SessionId, data: bytes) -> int:
        """Append whole lines to the trace file; return its length. Not synced."""

    def read_trace(self, session_id: SessionId) -> AsyncIterator[bytes]:
        """Give the trace file's bytes."""

    async def pause(self, seconds: float) -> None:
        """Wait in the manner of this store's face."""

    async def close(self) -> None:
        """Finish what was begun, then let go of every file."""


@frozen
class Repair:
    """
    What `repair` did.

    Attributes:
        cut_at: Byte offset at which the log was cut, or None if it was whole.
        removed: Bytes behind it.
        quarantine: Where they are kept, relative to the store; of a whole log with a
            damaged pending mark, where that is kept. None if nothing was taken out, or
            only one wrong byte in the place of the last LF.
        head: The log's head now.
    """

    cut_at: int | None
    removed: int
    quarantine: str | None
    head: Position
