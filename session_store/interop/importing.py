"""
Transcripts into sessions: the first time whole, later what was added since.

Rules of this module:
  * A session is found by its key, and has an id made from it: importing twice finds it.
  * The log is the only memory of what was imported. It is compared with the
    transcript, entry by entry, before anything is written.
  * What the end of a transcript says may be taken back as it grows: a turn goes
    on, a response is counted again, the model is named late. Such entries stay in
    the log; only what a count lacks is added.
  * What was erased from the log stays erased, what was added behind the
    transcript's end stays.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import groupby
from os import urandom

from attrs import Factory, define, evolve, frozen

from ..chain import Draft, Record
from ..codec import decode_body, draft, encode_body, typed
from ..entries import (
    MAINTENANCE_KINDS,
    ConfigChanged,
    Json,
    LabelsChanged,
    LlmUsage,
    LogEntry,
    SessionStartState,
    TurnEnd,
)
from ..errors import AlreadyExists, HeadMismatch, InvalidInput, Locked
from ..ids import SessionId, parse_session_id, session_id_for
from ..session.creating import open_session
from ..session.handle import Drafts
from ..session.starting import start_drafts
from ..stores.protocol import Store
from .transcript import Import, ImportReport, Stamped

_PATIENCE_S = 60.0
_LOOK_AGAIN_S = 0.05
_COUNTS = ("input_total_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")


@frozen
class Imported:
    """
    What importing one transcript did.

    Attributes:
        added: Records that were written.
        report: What became of the lines of the transcript.
    """

    session_id: SessionId
    is_new: bool
    added: int
    report: ImportReport


async def import_transcript(store: Store, item: Import) -> Imported:
    """
    Bring the session of *item*'s key up to what the transcript says.

    A sub-agent's session has the label `parent_session` if the session that
    started it is in the store; importing again later sets it.

    Raises:
        InvalidInput: The log does not begin with what the transcript says, and there
            is more in the transcript. Nothing was written.
        NotFound: The session was deleted; it stays deleted.
        Corrupt: The log is damaged. Nothing was written.

    Durability: what was added is on disk. The first import is all or nothing; a
        later one that is interrupted goes on at the next.
    Concurrency: any number of processes; each entry is written once.
    """
    if store.mask is not None:
        from .masking import masked_import  # noqa: PLC0415 - who masks nothing does not load the rules

        item = masked_import(item, store.mask)
    session_id = await store.find(item.key)
    start = await _labelled(store, item)
    added, waited_s = 0, 0.0
    while True:
        try:
            if session_id is None:
                session_id = session_id_for(item.key, item.ts)
                added = await _begin(store, session_id, start, item)
                return Imported(session_id, True, added, item.report)
            async for count in _go_on(store, session_id, start, item):
                added += count
        except AlreadyExists as taken:
            session_id = parse_session_id(taken.session_id)
        except HeadMismatch:
            continue  # Another writer was faster, or data was lost: look again what is missing.
        except Locked as locked:
            waited_s += max(locked.waited_s, _LOOK_AGAIN_S)
            if waited_s >= _PATIENCE_S:
                raise
            await store.pause(_LOOK_AGAIN_S)
            session_id = await store.find(item.key)
        else:
            return Imported(session_id, False, added, item.report)


async def _labelled(store: Store, item: Import) -> SessionStartState:
    parent = None if item.parent_key is None else await store.find(item.parent_key)
    if parent is None:
        return item.start
    return evolve(item.start, labels={**item.start.labels, "parent_session": parent})


async def _begin(
    store: Store, session_id: SessionId, start: SessionStartState, item: Import
) -> int:
    async def appends() -> AsyncIterator[Sequence[Draft]]:
        yield start_drafts(session_id, start, ts=item.ts)
        for group in item.appends:
            yield _drafts(group)

    return (await store.create_whole(session_id, appends(), key=item.key)).seq + 1


async def _go_on(
    store: Store, session_id: SessionId, start: SessionStartState, item: Import
) -> AsyncIterator[int]:
    """Append what the log lacks; give the number of records of each append. All is on disk then."""
    # Before the log is read: a sync that fails from here on is told to this handle.
    session = await open_session(store, session_id)
    seen = _Seen(session_id, start, item)
    async for batch in store.read(session_id):
        for record in batch:
            seen.take(record)
    for group in list(seen.missing()):
        drafts = Drafts(tuple(_drafts(group)), session.head)
        await session.append_drafts(drafts, durability="os")
        yield len(group)
    # Also what an import that was killed has left to do. If the log had to be healed for it, or
    # another writer came in between, what was read may not be what is on disk.
    reached = (await session.flush()).position
    if reached != session.head:
        raise HeadMismatch(session_id, expected=session.head, actual=reached)


def _drafts(group: Sequence[Stamped]) -> list[Draft]:
    return [draft(entry, urandom(16), ts) for ts, entry in group]


@define
class _Seen:
    """How far a log has got in the entries of its transcript."""

    session_id: SessionId
    start: SessionStartState
    item: Import
    _entries: list[tuple[int, int, LogEntry]] = Factory(list)
    _next: int = 0
    _counted: dict[tuple[int, str | None], LlmUsage] = Factory(dict)
    _labels: set[str] = Factory(set)
    _has_config: bool = False
    _strange: int | None = None

    def __attrs_post_init__(self) -> None:
        self._entries = [
            (index, ts, entry)
            for index, group in enumerate(self.item.appends)
            for ts, entry in group
        ]

    def take(self, record: Record) -> None:
        """Take the next record of the log."""
        if record.kind in ("session_start", "labels_changed"):
            self._learn(record)
        if record.seq == 0 or record.kind in MAINTENANCE_KINDS or self._strange is not None:
            return
        self._pass_counted()
        if self._next < len(self._entries) and _is_of(record, self._entries[self._next][2]):
            self._next += 1
        elif not self._was_taken_back(record):
            self._strange = record.seq

    def missing(self) -> Iterator[list[Stamped]]:
        """
        Give the groups that the log lacks.

        Raises:
            InvalidInput: They cannot follow what is in the log.
        """
        self._pass_counted()
        rest = self._entries[self._next :]
        if self._strange is not None:
            if any(not isinstance(entry, (TurnEnd, LlmUsage)) for _, _, entry in rest):
                raise self._diverged(self._strange)
            rest = []
        ts = rest[0][1] if rest else self.item.ts
        if rest and self.start.config is not None and not self._has_config:
            yield [(ts, ConfigChanged(self.start.config))]
        for _, group in groupby(rest, lambda stamped: stamped[0]):
            lacking = [(at, left) for _, at, e in group if (left := self._left(e)) is not None]
            if lacking:
                yield lacking
        labels = {k: v for k, v in self.start.labels.items() if k not in self._labels}
        if labels:
            yield [(ts, LabelsChanged(labels))]

    def _learn(self, record: Record) -> None:
        body = decode_body(record, self.session_id)
        if record.seq == 0 and record.withheld is not None:
            self._labels, self._has_config = set(self.start.labels), True
        elif record.seq == 0 and body is not None:
            self._has_config = "config" in body
            same = body.get("config", self.start.config) == self.start.config
            if not same or body.get("system_prompt") != self.start.system_prompt:
                self._strange = 0
        self._labels.update((body or {}).get("labels") or ())

    def _pass_counted(self) -> None:
        """Go past usage that the log told of earlier than the transcript does."""
        while self._next < len(self._entries):
            entry = self._entries[self._next][2]
            if not isinstance(entry, LlmUsage) or self._left(entry) is not None:
                return
            self._next += 1

    def _left(self, entry: LogEntry) -> LogEntry | None:
        """Return what of *entry* the log does not tell yet."""
        if not isinstance(entry, LlmUsage):
            return entry
        counted = self._counted.get((entry.history_len, entry.model))
        if counted is None:
            return entry
        left = {n: max(getattr(entry, n) - getattr(counted, n), 0) for n in _COUNTS}
        return evolve(entry, **left) if any(left.values()) else None

    def _was_taken_back(self, record: Record) -> bool:
        """Return whether the end of a shorter transcript could have said *record*."""
        if record.kind == "llm_usage" and record.withheld is None:
            usage = typed(record.kind, decode_body(record, self.session_id) or {})
            assert isinstance(usage, LlmUsage)
            key = usage.history_len, usage.model
            before = self._counted.get(key)
            sums: dict[str, Json] = {
                n: getattr(usage, n) + (0 if before is None else getattr(before, n))
                for n in _COUNTS
            }
            self._counted[key] = evolve(usage, **sums)
        elif record.kind == "config_changed" and self.start.config is not None:
            is_late = _is_of(record, ConfigChanged(self.start.config))
            self._has_config = self._has_config or is_late
            return is_late
        return record.kind in ("llm_usage", "turn_end")

    def _diverged(self, seq: int) -> InvalidInput:
        return InvalidInput(
            f"session {self.session_id} does not go on as the transcript does, from seq {seq} on:"
            " one of them was changed since it was imported; nothing was written (to have the"
            " transcript as it is now, import it into another store)",
            source=self.item.report.source,
        )


def _is_of(record: Record, entry: LogEntry) -> bool:
    if record.kind != entry.kind:
        return False
    return record.withheld is not None or record.body == encode_body(entry)
