"""One append on its way: what was asked, what became of it, and who stands behind it."""

from collections.abc import Callable, Sequence

from attrs import define, field

from ...chain import Draft
from ...entries import MAINTENANCE_KINDS, Durability, Position, Receipt
from ...errors import NotFound
from ..protocol import ANY, Cursor, Expected
from .finding import find_place, is_last, losses_behind
from .log import Log, Written
from .recovery import settle
from .tip import Tip


@define(eq=False)
class Place:
    """
    The store's notes in a cursor.

    Attributes:
        era: Of the log, when the handle was opened.
        known: The newest record that the handle has been checked against.
        pardons: How often data may still be lost without refusing the handle: it was
            opened behind a failed sync whose damage was not yet healed.
        end: Where the newest record it wrote ends, in which of the log's files.
        last: Its newest append in the committer.
        writer: Its append that has moved the cursor last.
    """

    log: Log
    era: int
    known: Position
    pardons: int = 0
    end: tuple[int, int] | None = None
    last: "Request | None" = None
    writer: "Request | None" = None

    def settle(self) -> Tip:
        """
        Settle the log for this handle; return its clean tip. Wants the lock.

        Raises:
            DurabilityLost: A sync failed after the handle was opened, wherever that was.
        """
        tip = settle(self.log, self.era)
        if tip.head.hash == self.known.hash:
            return tip
        # Whoever heals a log puts another file in its place.
        if self.end is None or self.end[0] != self.log.opened:
            losses = losses_behind(self.log, self.known)
            if losses > self.pardons:
                raise self.log.lost()
            self.pardons -= losses
        self.known = tip.head.position
        return tip


@define(eq=False)
class Request:
    """
    An append.

    Attributes:
        behind: An earlier append of the same handle that was not settled when this one was made.
        deadline: When waiting for the lock ends, on the monotonic clock.
        queue: The committer that it was handed to.
        settled: Called once, with `receipt` or `error` set.
        position: Where the newest attempt put its last record.
    """

    log: Log
    drafts: Sequence[Draft]
    level: Durability
    deadline: float
    expected: Expected | None = None
    cursor: Cursor | None = None
    floor: Position | None = None
    behind: "Request | None" = None
    receipt: Receipt | None = None
    error: BaseException | None = None
    queue: object = None
    settled: Callable[["Request"], None] | None = None
    position: Position | None = field(default=None, init=False)
    _after: "Request | None" = field(default=None, init=False)
    _anchor: tuple[Position | None, bool] | None = field(default=None, init=False)
    _moves: bool = field(default=False, init=False)

    @property
    def is_settled(self) -> bool:
        return self.receipt is not None or self.error is not None

    def attempt(self) -> Written:
        """
        Write the drafts, or find them written. Wants the log's lock.

        Raises:
            SessionStoreError: Nothing was written by this attempt.
        """
        if self.behind is not None and self.behind.error is not None:
            raise self.behind.error
        tip = self._settled_tip()
        if self._anchor is None:
            # Once: the cursor moves with the write, and a second attempt starts from the same point.
            self._anchor = self._resolve()
            self._moves = self._shall_move(tip.head.hash)
        anchor, strict = self._anchor
        if self._after is not None:
            # What this append stands on may have been written anew, in another file.
            anchor = self._after.position
        found = None
        if self.floor is not None or (anchor is not None and not is_last(anchor, tip.head)):
            found = find_place(
                self.log,
                self.drafts,
                anchor,
                strict=strict,
                floor=self.floor,
                hint=self._hint(anchor),
            )
        written = found or self.log.append(self.drafts)
        self.position = written.head.position
        if self.floor is None:  # A second attempt, in another file, looks for what this one wrote.
            self.floor = tip.head.position
        self._move(written, was_there=found is not None)
        return written

    def _settled_tip(self) -> Tip:
        place: Place | None = None if self.cursor is None else self.cursor.place
        tip = settle(self.log) if place is None else place.settle()
        if not tip.is_born:
            raise NotFound(f"{self.log.name}: the session was never born")
        return tip

    def _hint(self, anchor: Position | None) -> int | None:
        """Return where *anchor* ends in the present file, if that is what the handle wrote last."""
        if self.cursor is None or anchor is not self.cursor.written:
            return None
        end = self.cursor.place.end
        return end[1] if end is not None and end[0] == self.log.opened else None

    def _move(self, written: Written, *, was_there: bool) -> None:
        cursor = self.cursor
        if cursor is None or not self._moves:
            return
        # Drafts that were found may lie behind what the handle has written since.
        self._moves = not was_there or written.head.seq >= cursor.written.seq
        if self._moves:
            place: Place = cursor.place
            assert self.position is not None
            cursor.written = place.known = self.position
            place.end, place.writer = (self.log.opened, written.end), self

    def _resolve(self) -> tuple[Position | None, bool]:
        cursor, expected = self.cursor, self.expected
        if expected is None:
            assert cursor is not None
            writer = cursor.place.writer
            if writer is not None and writer.position is cursor.written:
                self._after = writer
            return cursor.written, not cursor.shared
        if expected is ANY:
            return (self.floor if cursor is None else cursor.written), False
        return expected, True

    def _shall_move(self, head: bytes) -> bool:
        """Return whether the append moves its handle, when *head* is the hash of the log's head."""
        return self.cursor is not None and (
            self.cursor.shared
            or self.expected is not ANY
            or head == self.cursor.written.hash
            # A label set behind another writer's back must not hide that writer from the handle.
            or any(d.kind not in MAINTENANCE_KINDS for d in self.drafts)
        )

    def succeed(self, written: Written, level: Durability) -> None:
        self.receipt = written.receipt(level)
        if self.cursor is not None and self._moves:
            assert self.position is not None
            self.cursor.head = self.position
        self._forget()
        if self.settled is not None:
            self.settled(self)

    def fail(self, error: BaseException) -> None:
        self.error = error
        self._forget()
        if self.settled is not None:
            self.settled(self)

    def _forget(self) -> None:
        """Let go of the appends before, or a busy handle would keep all it ever made."""
        self.behind = self._after = None
        if self.cursor is not None and self.cursor.place.writer is self:
            self.cursor.place.writer = None
