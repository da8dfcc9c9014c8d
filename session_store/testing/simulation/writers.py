"""Clients that write: appends in every manner, births, forks, deletes; and what they then know."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence

from attrs import define

from ...chain import Draft
from ...codec import draft
from ...entries import (
    Durability,
    Extension,
    LabelsChanged,
    LogEntry,
    Position,
    Receipt,
    SessionStart,
)
from ...errors import AlreadyExists, HasForks, HeadMismatch, Locked, NotFound, StoreFull
from ...ids import session_id_for
from ...stores.protocol import ANY, Cursor, Store
from ..faults import Crash
from .clients import run
from .machine import Life
from .model import Append, Session
from .readers import Reader
from .scheduler import Violation

_RECORDS_MAX = 60
_SAYS_NOTHING_WRITTEN = (StoreFull, HeadMismatch, Locked, AlreadyExists)


@define(eq=False)
class Unfinished:
    """An append with a doubtful end, to be tried again with the same drafts."""

    session: Session
    append: Append
    floor: Position


class Writer(Reader):
    """Writes, and reads now and then."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type] # as a client
        self._handles: dict[Session, Cursor] = {}
        self._unfinished: list[Unfinished] = []

    def died(self) -> None:
        self._handles.clear()

    def turn(self, life: Life, store: Store) -> None:
        if self._unfinished and self.random.random() < 0.5:
            self._try_again(life, store)
            return
        sessions = self.model.sessions.values()
        if not any(s.is_safe and len(s.appends) < _RECORDS_MAX for s in sessions):
            self.create(life, store)
            return
        session = self.some_session()
        if session is not None:
            work = self.random.choices(WORKS, WEIGHTS)[0]
            work(self, life, store, session)

    # -- appends ------------------------------------------------------------------------------

    def append(self, life: Life, store: Store, session: Session) -> None:
        """Append through a handle of its own, which expects its own head."""
        cursor = self._handle(life, store, session, shared=False)
        if cursor is not None:
            append = self._append(session, self._notes(), expected=cursor.written)
            given = self._tell(life, store, session, append, cursor=cursor, floor=cursor.written)
            if given is not None and (
                given.position != cursor.head or given.position != cursor.written
            ):
                raise Violation(f"{session.id}: the head of the handle is {cursor}, behind {given}")

    def append_shared(self, life: Life, store: Store, session: Session) -> None:
        """Append after whatever is last, through a handle."""
        cursor = self._handle(life, store, session, shared=True)
        if cursor is not None:
            append = self._append(session, self._notes())
            self._tell(life, store, session, append, cursor=cursor, floor=cursor.written)

    def append_any(self, life: Life, store: Store, session: Session) -> None:
        """Append after whatever is last, without a handle."""
        append = self._append(session, self._notes())
        self._tell(life, store, session, append, expected=ANY)

    def append_expecting(self, life: Life, store: Store, session: Session) -> None:
        """Compare and append."""
        head = self.call(life, session, lambda: run(store.head(session.id)))
        if isinstance(head, Position):
            append = self._append(session, self._notes(), expected=head)
            self._tell(life, store, session, append, expected=head)

    def label(self, life: Life, store: Store, session: Session) -> None:
        """Append what makes no head stale."""
        entry = LabelsChanged({"n": str(self.random.randrange(100))})
        self._tell(life, store, session, self._append(session, [entry]), expected=ANY)

    def _try_again(self, life: Life, store: Store) -> None:
        work = self._unfinished.pop(self.random.randrange(len(self._unfinished)))
        if work.append.outcome == "unknown":
            work.append.expected = None
            self._tell(life, store, work.session, work.append, expected=ANY, floor=work.floor)

    def _handle(self, life: Life, store: Store, session: Session, *, shared: bool) -> Cursor | None:
        cursor = self._handles.get(session)
        if cursor is None or cursor.shared != shared or self.random.random() < 0.1:
            given = self.call(life, session, lambda: run(store.open(session.id, shared=shared)))
            if isinstance(given, Exception):
                return None
            cursor = self._handles[session] = given
        return cursor

    def _append(
        self, session: Session, entries: Iterable[LogEntry], *, expected: Position | None = None
    ) -> Append:
        level: Durability = self.random.choice(("disk", "disk", "os"))
        return session.tried(Append(self._drafts(entries), level, expected))

    def _tell(
        self,
        life: Life,
        store: Store,
        session: Session,
        append: Append,
        *,
        expected: object = None,
        cursor: Cursor | None = None,
        floor: Position | None = None,
    ) -> Receipt | None:
        """Make one append, and tell the model what came of it."""
        is_first, append.outcome = append.outcome == "open", "unknown"
        try:
            given = self.call(
                life,
                session,
                lambda: run(
                    store.append(
                        session.id,
                        append.drafts,
                        expected=expected,  # type: ignore[arg-type] # a position, or ANY
                        cursor=cursor,
                        floor=floor,
                        durability=append.level,
                    )
                ),
            )
        except Crash:
            self._remember(session, append, floor)
            raise
        if isinstance(given, Receipt):
            self.model.acked(session, append, given, life)
            return given
        if isinstance(given, HeadMismatch):
            self._check_mismatch(session, append)
        if isinstance(given, _SAYS_NOTHING_WRITTEN):
            if is_first:  # Else it speaks of this attempt alone.
                self.model.refused(session, append)
        elif not isinstance(given, NotFound):
            self._handles.pop(session, None)
            self._remember(session, append, floor)
        return None

    def _remember(self, session: Session, append: Append, floor: Position | None) -> None:
        if floor is not None:
            self._unfinished = [*self._unfinished[-3:], Unfinished(session, append, floor)]

    def _check_mismatch(self, session: Session, append: Append) -> None:
        if append.expected is None:
            raise Violation(f"{session.id}: a mismatch for an append that expects nothing")

    # -- births and the other end ---------------------------------------------------------------

    def create(self, life: Life, store: Store, _: Session | None = None) -> None:
        """Create a session, sometimes with a key that others want, too."""
        key = f"key:{self.random.randrange(6)}" if self.random.random() < 0.4 else None
        session = self._new(key=key)
        append = self._append(session, [SessionStart(session.id), *self._notes(2)])
        self._bear(
            life,
            session,
            [append],
            lambda: run(store.create(session.id, append.drafts, key=key, durability=append.level)),
        )

    def fork(self, life: Life, store: Store, parent: Session) -> None:
        """Fork at a record that a reader was given, by reference."""
        if not parent.seen:
            return
        seq = self.random.randrange(len(parent.seen))
        position = Position(parent.id, seq, parent.seen[seq])
        session = self._new(parent=position)
        start = SessionStart(session.id, forked_from=position.to_json())
        append = self._append(session, [start, *self._notes(2)])
        self._bear(
            life,
            session,
            [append],
            lambda: run(
                store.create(session.id, append.drafts, parent=position, durability=append.level)
            ),
        )

    def create_whole(self, life: Life, store: Store, _: Session) -> None:
        """Make a log of several appends that is invisible until it is whole."""
        session = self._new()
        first = [SessionStart(session.id), *self._notes(2)]
        appends = [self._append(session, e) for e in (first, self._notes(), self._notes())]
        for append in appends:
            append.level = "disk"

        async def drafts() -> AsyncIterator[Sequence[Draft]]:
            for append in appends:
                yield append.drafts

        self._bear(life, session, appends, lambda: run(store.create_whole(session.id, drafts())))

    def _new(self, *, parent: Position | None = None, key: str | None = None) -> Session:
        number = len(self.model.sessions)
        session_id = session_id_for(f"session {number}", self.machine.scheduler.now_ms())
        return self.model.add(Session(session_id, parent, key))

    def _bear(
        self,
        life: Life,
        session: Session,
        appends: Sequence[Append],
        work: Callable[[], Receipt],
    ) -> None:
        for append in appends:
            append.outcome = "unknown"
        session.born = "maybe"
        given = self.call(life, session, work)
        if isinstance(given, Receipt):
            for append in appends[:-1]:
                append.outcome = "acked"
            self.model.acked(session, appends[-1], given, life)
            self.model.born(session)
        elif isinstance(given, _SAYS_NOTHING_WRITTEN):
            if isinstance(given, AlreadyExists):
                self._check_taken(session, given)
            for append in appends:
                self.model.refused(session, append)
            session.born = "no"

    def _check_taken(self, session: Session, error: AlreadyExists) -> None:
        holder = self.model.sessions.get(error.session_id)  # type: ignore[call-overload] # an id
        if session.key is None or holder is None or holder.key != session.key:
            raise Violation(f"{session.id}: {error}")

    def delete(self, life: Life, store: Store, session: Session) -> None:
        """Delete a session; refused where a fork lives on it."""
        was, session.gone = session.gone, "yes" if session.gone == "yes" else "maybe"
        session.deletes += 1
        gone = {s.id for s in self.model.sessions.values() if s.gone == "yes"}
        given = self.call(life, session, lambda: run(store.delete(session.id)))
        session.deletes -= 1
        if given is None:
            self.model.deleted(session)
        elif isinstance(given, HasForks):
            self._check_forks(session, given, gone)
        if isinstance(given, HasForks | Locked) and was == "no" and session.deletes == 0:
            session.gone = "no"

    def _check_forks(self, session: Session, error: HasForks, gone: Collection[str]) -> None:
        for child in error.children:
            known = self.model.sessions[child]  # type: ignore[index] # an id
            if known.parent is None or known.parent.session_id != session.id or child in gone:
                raise Violation(f"{session.id}: {child} is no fork of it")

    def erase(self, life: Life, store: Store, session: Session) -> None:
        """Erase a few records that nothing but a delete can have taken away."""
        there = session.erasures.erasable(session.must[: session.disk_end])
        if not there:
            return
        at = self.random.randrange(len(there))
        chosen = there[at : at + self.random.randint(1, 3)]
        positions, digests = [each[0] for each in chosen], [each[1] for each in chosen]
        self.model.asked_to_erase(session, digests)
        given = self.call(
            life, session, lambda: run(store.erase(session.id, positions, reason="asked for"))
        )
        if isinstance(given, Receipt):
            self.model.erased(session, digests, given, life)

    # -- upkeep ---------------------------------------------------------------------------------

    def flush(self, life: Life, store: Store, session: Session) -> None:
        """Bring everything to disk."""
        given = self.call(life, session, lambda: run(store.flush(session.id)))
        if isinstance(given, Receipt):
            self.model.require(session, given.position, life, is_disk=given.level == "disk")

    def repair(self, life: Life, store: Store, session: Session) -> None:
        """Cut a log at its first damage, if it has any."""
        self.call(life, session, lambda: run(store.repair(session.id)))

    # -- what is written ------------------------------------------------------------------------

    def _notes(self, count_max: int = 3) -> list[LogEntry]:
        return [self._note() for _ in range(self.random.randint(1, count_max))]

    def _note(self) -> LogEntry:
        size = self.random.randrange(9000 if self.random.random() < 0.05 else 60)
        return Extension("simulation", "x" * size)

    def _drafts(self, entries: Iterable[LogEntry]) -> list[Draft]:
        return [draft(entry, self.random.randbytes(16)) for entry in entries]


_WEIGHTED: dict[Callable[[Writer, Life, Store, Session], None], int] = {
    Writer.append: 30,
    Writer.append_shared: 15,
    Writer.append_any: 6,
    Writer.append_expecting: 8,
    Writer.label: 6,
    Writer.create: 4,
    Writer.create_whole: 2,
    Writer.fork: 4,
    Writer.delete: 2,
    Writer.erase: 8,
    Writer.flush: 5,
    Writer.repair: 2,
    Writer.read: 8,
    Writer.restore: 2,
    Writer.list: 1,
    Writer.find: 2,
}
WORKS, WEIGHTS = tuple(_WEIGHTED), tuple(_WEIGHTED.values())
