"""Clients that read: everything, the head, the list, a restored state, and what arrives."""

from collections.abc import Callable, Sequence

from ...chain import Record
from ...entries import Position
from ...errors import ChainBroken, Corrupt, NotFound, SessionStoreError
from ...session.restoring import restore
from ...stores.protocol import Store
from .clients import Client, gather, run
from .machine import Life
from .model import Session
from .scheduler import Violation

_HANDFUL = 100


class Reader(Client):
    """Looks at sessions in the middle of what writers do to them."""

    def turn(self, life: Life, store: Store) -> None:
        session = self.some_session()
        if session is None:
            self.machine.scheduler.sleep(0.01)
        else:
            self.random.choice(READS)(self, life, store, session)

    def read(self, life: Life, store: Store, session: Session) -> None:
        """Read all of a log."""
        view = session.view()
        records: list[Record] = []
        given = self.call(life, session, lambda: run(gather(store.read(session.id), records)))
        error = given if isinstance(given, Exception) else None
        self.model.compare(session, view, records, error)

    def head(self, life: Life, store: Store, session: Session) -> None:
        """Ask for the head: it may not be older than what was acknowledged before."""
        view = session.view()
        given = self.call(life, session, lambda: run(store.head(session.id)))
        if isinstance(given, Position) and session.gone == "no":
            newest = max((s for s in view.required if s in session.required), default=-1)
            if given.seq < newest:
                raise Violation(f"{session.id}: the head is {given}, seq {newest} was acknowledged")

    def record(self, life: Life, store: Store, session: Session) -> None:
        """Ask for one record that a reader was given before."""
        if not session.seen:
            return
        view = session.view()
        seq = self.random.randrange(len(session.seen))
        wanted = session.seen[seq]
        given = self.call(life, session, lambda: run(store.record(session.id, seq)))
        if isinstance(given, Record):
            self.model.check_withheld(session, [given], view.erased)
            if given.hash != wanted and session.losses == view.losses:
                raise Violation(f"{session.id}: seq {seq} is {given}, and was another")

    def restore(self, life: Life, store: Store, session: Session) -> None:
        """Restore the state, with all that it inherits."""
        self.call(life, session, lambda: run(restore(store, session.id)))

    def list(self, life: Life, store: Store, _: Session) -> None:
        """List: what is there and nothing else."""
        sessions = list(self.model.sessions.values())
        safe = [s for s in sessions if s.is_safe]
        gone = {s.id for s in sessions if s.gone == "yes"}
        given = self.call(life, None, lambda: run(store.list(limit=_HANDFUL)))
        if isinstance(given, Exception):
            return
        listed = {info.session_id for info in given}
        missing = [s.id for s in safe if s.is_safe and s.id not in listed]
        if missing or not listed.isdisjoint(gone) or not listed <= set(self.model.sessions):
            raise Violation(f"listed {sorted(listed)}, without {missing}, deleted {sorted(gone)}")

    def find(self, life: Life, store: Store, session: Session) -> None:
        """Look for the key of a session."""
        key = session.key
        if key is None:
            return
        was_safe = session.is_safe
        given = self.call(life, None, lambda: run(store.find(key)))
        if isinstance(given, Exception):
            return
        if given is not None and self.model.sessions[given].key != key:
            raise Violation(f"{key} finds {given}")
        if was_safe and session.is_safe and given != session.id:
            raise Violation(f"{key} finds {given}, not {session.id}")


READS: Sequence[Callable[[Reader, Life, Store, Session], None]] = (
    Reader.read,
    Reader.read,
    Reader.read,
    Reader.head,
    Reader.record,
    Reader.restore,
    Reader.list,
    Reader.find,
)


class Follower(Client):
    """Follows one session after another, each for as long as nothing goes wrong."""

    def turn(self, life: Life, store: Store) -> None:
        session = self.some_session()
        if session is None:
            self.machine.scheduler.sleep(0.01)
            return
        losses = session.losses
        given = self.call(life, session, lambda: run(self._follow(store, session)))
        is_gone = isinstance(given, ChainBroken) and "not hold this record" in str(given)
        if is_gone and losses == session.losses and session.gone == "no":
            raise Violation(f"{session.id}: what was given is gone: {given}")

    def _may_be(self, error: SessionStoreError | OSError, session: Session | None) -> bool:
        has_lost = session is not None and session.losses > 0
        is_loss = has_lost and isinstance(error, Corrupt | NotFound)
        return is_loss or super()._may_be(error, session)

    async def _follow(self, store: Store, session: Session) -> None:
        given: list[Record] = []
        met: set[int] = set()
        losses = session.losses
        erased = session.erasures.known()
        async for batch in store.follow(session.id):
            if session.losses != losses:
                return
            self.model.check_withheld(session, batch, erased)
            erased = session.erasures.known()
            at = len(given)
            given += batch
            if [r.seq for r in batch] != list(range(at, len(given))):
                raise Violation(f"{session.id}: behind {at} records came {batch}")
            while at < len(given):
                at += self.model.check_append(session, given, at, met)
            if any(a != r.hash for a, r in zip(session.seen, given, strict=False)):
                raise Violation(f"{session.id}: a follower was given another history")
            if self.random.random() < 1 / 8:
                return
