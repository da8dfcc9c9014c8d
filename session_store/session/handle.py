"""The handle of a session: it owns the head, so that tasks sharing it do not race on it."""

from collections.abc import AsyncIterator, Iterable, Mapping
from os import urandom
from typing import TYPE_CHECKING

from attrs import frozen

from ..chain import Draft
from ..codec import draft, hashed_entry
from ..entries import (
    ConfigChanged,
    Durability,
    Extension,
    HashedEntry,
    Json,
    LabelsChanged,
    LlmUsage,
    LogEntry,
    Position,
    Receipt,
    RunCompleted,
    RunErrored,
    RunStarted,
    TurnEnd,
)
from ..errors import Closed
from ..ids import SessionId
from ..items import Classifier, to_entries
from ..state import RestoredState
from ..stores.protocol import ANY, Cursor, Expected, Store
from .conflict import fork_at_own_head

if TYPE_CHECKING:
    from .sealing import SealedHandle, Sealer


@frozen
class Drafts:
    """
    Records made ready once; appended again, they are found and not written twice.

    Attributes:
        floor: The head that was known when they were made.
    """

    records: tuple[Draft, ...]
    floor: Position


class Session:
    """
    One session that can be appended to. Made by `create_session`, `open_session`, `fork`, ….

    An append is made for the handle's own head: if another writer was faster, it
    raises `HeadMismatch` and writes nothing. A shared handle appends after
    whatever is last.

    Concurrency: any number of tasks may share a handle; their appends are whole,
        one at a time, in the order of the calls. If one fails, those that wait
        behind it fail with it.
    Cancellation: a cancelled append may still be written; `head` tells.
    """

    def __init__(
        self,
        store: Store,
        session_id: SessionId,
        cursor: Cursor,
        *,
        classifier: Classifier | None = None,
    ) -> None:
        self._store = store
        self._id = session_id
        self._cursor = cursor
        self._classifier = classifier
        self._closed = False
        self._sealer: Sealer | None = None
        self._sealed: SealedHandle | None = None

    def __repr__(self) -> str:
        return f"<Session {self.head}>"

    @property
    def id(self) -> SessionId:
        return self._id

    @property
    def store(self) -> Store:
        return self._store

    @property
    def head(self) -> Position:
        """The newest record whose append has reached its level."""
        return self._cursor.head

    def draft(self, *entries: LogEntry) -> Drafts:
        """
        Make *entries* ready for `append_drafts`, which may be called again after a doubtful end.

        Raises:
            ValueError: No entries.
            TypeError: A value has no JSON form.
            LimitExceeded: A body is nested too deeply or has too many keys.
        """
        if not entries:
            raise ValueError("an append has at least one entry")
        return Drafts(tuple(draft(e, urandom(16)) for e in entries), self._cursor.written)

    async def append(
        self,
        *entries: LogEntry,
        expected: Expected | None = None,
        durability: Durability | None = None,
    ) -> Receipt:
        """
        Append *entries*, all or none.

        Args:
            expected: The head to append to; None is the handle's own, ANY whatever is last.
            durability: `disk` or `os`; None is the store's.

        Raises:
            ValueError: No entries.
            HeadMismatch: Another writer was faster. Nothing was written.
            LimitExceeded, StoreFull, Locked: Nothing was written.
            DurabilityLost: A sync failed; the handle stays unusable.
            Corrupt: The log is damaged; nothing was written.

        Durability: as asked, once it returns.
        """
        self._check_open()
        records = [draft(e, urandom(16)) for e in entries]
        receipt = await self._store.append(
            self._id, records, expected=expected, cursor=self._cursor, durability=durability
        )
        if self._sealed is not None:
            await self._sealed.appended(records)
        return receipt

    async def append_drafts(
        self,
        drafts: Drafts,
        *,
        expected: Expected | None = None,
        durability: Durability | None = None,
    ) -> Receipt:
        """Append *drafts* unless they are in the log already; errors as for `append`."""
        self._check_open()
        receipt = await self._store.append(
            self._id,
            drafts.records,
            expected=expected,
            cursor=self._cursor,
            floor=drafts.floor,
            durability=durability,
        )
        if self._sealed is not None:
            await self._sealed.appended(drafts.records)
        return receipt

    def seal_with(self, sealer: "Sealer") -> None:
        """
        Have what this handle appends from here on sealed as *sealer* says.

        A seal that fails does not fail the append, which stands: it is logged and made up for.
        That of the end is raised by `close`.

        Cost: the first seal reads the log from its beginning, a later one what is new.
        """
        self._sealer, self._sealed = sealer, sealer.begin(self._store, self._id)

    def _check_open(self) -> None:
        if self._closed:
            raise Closed(f"{self._id}: the handle was closed")

    async def save_delta(
        self, items: Iterable[object], *, durability: Durability | None = None
    ) -> Receipt | None:
        """
        Record what was added to the history, classified, in one atomic append.

        Args:
            items: Objects of the known shapes, or of an SDK. None at all writes nothing.
        """
        entries = to_entries(items, self._classifier)
        return await self.append(*entries, durability=durability) if entries else None

    async def save_run_started(
        self, trigger: str, *, durability: Durability | None = None
    ) -> Receipt:
        """Record that the agent was set going; restored without an end, the run was interrupted."""
        return await self.append(RunStarted(trigger), durability=durability)

    async def save_turn_end(
        self,
        turn_count: int,
        *,
        trace: Mapping[str, Json] | None = None,
        durability: Durability | None = None,
    ) -> Receipt:
        """Record that turn *turn_count* is whole; *trace* is what `TraceWriter.mark` returned."""
        return await self.append(TurnEnd(turn_count, trace), durability=durability)

    async def save_usage(self, usage: LlmUsage, *, durability: Durability | None = None) -> Receipt:
        return await self.append(usage, durability=durability)

    async def save_run_completed(
        self, result: str, *, interrupted: bool = False, durability: Durability | None = None
    ) -> Receipt:
        return await self.append(RunCompleted(result, interrupted), durability=durability)

    async def save_run_errored(
        self, message: str, *, interrupted: bool = False, durability: Durability | None = None
    ) -> Receipt:
        return await self.append(RunErrored(message, interrupted), durability=durability)

    async def save_config_changed(
        self, config: Mapping[str, Json], *, durability: Durability | None = None
    ) -> Receipt:
        """Record the whole new config."""
        return await self.append(ConfigChanged(config), durability=durability)

    async def save_extension(
        self, domain: str, payload: Json, *, durability: Durability | None = None
    ) -> Receipt:
        """Record something of the caller's own; `state.extensions` gives it back in order."""
        return await self.append(Extension(domain, payload), durability=durability)

    async def save_labels(
        self, labels: Mapping[str, Json], *, durability: Durability | None = None
    ) -> Receipt:
        """Set labels; a None takes one away. Never makes another handle's head stale."""
        return await self.append(LabelsChanged(labels), expected=ANY, durability=durability)

    async def flush(self) -> Receipt:
        """Bring all earlier `os` appends of the session to `disk`. Raises DurabilityLost."""
        return await self._store.flush(self._id, cursor=self._cursor)

    def follow(self, start: int | None = None) -> AsyncIterator[HashedEntry]:
        """
        Give the entries of the log from seq *start* on, for ever.

        Of the log that the handle is on at the call: `ensure_head_or_fork` does not move it.

        Args:
            start: None is what comes behind `head`.
        """
        return self._entries_from(self._id, self.head.seq + 1 if start is None else start)

    async def _entries_from(self, session_id: SessionId, start: int) -> AsyncIterator[HashedEntry]:
        async for batch in self._store.follow(session_id, start):
            for record in batch:
                yield hashed_entry(record, session_id, session_id)

    async def ensure_head_or_fork(self, state: RestoredState | None = None) -> Position | None:
        """
        Make sure that the handle may go on appending; fork if another writer was faster.

        If its head is still the log's (maintenance aside), nothing happens. If it is
        in the log but not the last, the handle moves to a fork by reference at its
        own head. If the log does not hold it any more, the handle moves to a new
        session made from *state*. The lineage is recorded in both cases.

        Returns:
            Where it forked, or None. `id` and `head` are the fork's from then on.

        Raises:
            HeadMismatch: The log does not hold the head, and there is no *state* to copy.
            NotFound, Corrupt: The same, of a log that is gone, or damaged before the head.

        Concurrency: wait for the handle's own appends first.
        """
        self._check_open()
        own = self._cursor.written
        child = await fork_at_own_head(self._store, self._id, own, state)
        if child is None:
            return None
        self._cursor = await self._store.open(child, shared=self._cursor.shared)
        self._id = child
        if self._sealer is not None:
            self.seal_with(self._sealer)
        return own

    async def close(self) -> None:
        """
        Let go of the session; what was acknowledged is in the log, nothing else is kept.

        Seals what is due, and lets the store's head memory, if it has one, know the head, which
        is brought to `disk` for that. Errors as for `session_store.seal`, and for `flush`.
        """
        if self._closed:
            return
        self._closed = True
        if self._sealed is not None:
            await self._sealed.end()
        if self._store.heads is not None:
            flushed = await self._store.flush(self._id, cursor=self._cursor)
            await self._store.remember([flushed.position])
