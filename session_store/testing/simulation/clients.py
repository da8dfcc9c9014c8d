"""What every client in a process does: take turns, call the store, and hold what it says against the model."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from ...chain import Record
from ...errors import (
    AlreadyExists,
    Corrupt,
    DurabilityLost,
    HasForks,
    HeadMismatch,
    Locked,
    NotFound,
    SessionStoreError,
    StoreFull,
)
from ...stores.fs.files import SyncFailed
from ...stores.protocol import Store
from ..faults import Crash
from .machine import Life, Machine, Process
from .model import Session
from .scheduler import Violation

T = TypeVar("T")

_NO_MARK = "could not be written"
_ROOM = {"full", "short"}


class Client:
    """
    One thread of a process, which goes on with the next process when that dies.

    Args:
        name: Its own, in the trace.
    """

    def __init__(self, machine: Machine, process: Process, name: str) -> None:
        self.machine = machine
        self.model = machine.model
        self.random = machine.random
        self.process = process
        self.name = name

    def live(self) -> None:
        """Take turns until the machine has had its steps."""
        while not self.machine.is_done:
            try:
                self._begin()
                opened = self._open()
                if opened is not None:
                    self.turn(*opened)
            except Crash:
                self.died()
        self.machine.leave(self.name)

    def turn(self, life: Life, store: Store) -> None:
        raise NotImplementedError

    def died(self) -> None:
        """Forget what only a living process knows."""

    def _open(self) -> tuple[Life, Store] | None:
        life = self.process.life
        try:
            return self.process.opened()
        except (SessionStoreError, OSError) as error:
            self._judge(error, life, None)
            return None

    def _begin(self) -> None:
        self.machine.met.pop(self.name, None)
        self.machine.failed_syncs.pop(self.name, None)

    def call(
        self, life: Life, session: Session | None, work: Callable[[], T]
    ) -> T | SessionStoreError | OSError:
        """
        Return what *work* gives, or the error that it has every right to raise.

        Raises:
            Violation: It has no right to.
            Crash: The process died.
        """
        self._begin()
        try:
            return work()
        except (SessionStoreError, OSError) as error:
            self._judge(error, life, session)
            return error.with_traceback(None)
        finally:
            self.machine.look()

    def _judge(
        self, error: SessionStoreError | OSError, life: Life, session: Session | None
    ) -> None:
        if life.files.is_dead:
            raise Crash from None
        self.machine.counts[type(error).__name__] += 1
        if isinstance(error, DurabilityLost) and _NO_MARK not in str(error):
            for session_id in self.machine.failed_syncs.pop(self.name, ()):
                self.model.sessions[session_id].doubts.remove(life)
        if not self._may_be(error, session):
            raise Violation(f"no reason for {type(error).__name__}: {error}") from error

    def _may_be(self, error: SessionStoreError | OSError, session: Session | None) -> bool:
        met = self.machine.met.get(self.name, ())
        if isinstance(error, OSError):
            # Of a failed sync everybody is told who had the file open.
            return bool(met) or (isinstance(error, SyncFailed) and self.machine.counts["sync"] > 0)
        if isinstance(error, StoreFull):
            return not _ROOM.isdisjoint(met)
        if isinstance(error, DurabilityLost):
            return self.machine.counts["sync"] > 0
        if isinstance(error, Corrupt):
            return any(s.has_holes for s in self._lineage(session))
        if isinstance(error, NotFound):
            return not all(s.is_safe for s in self._lineage(session))
        # These are looked at by whoever made the call.
        return isinstance(error, Locked | HeadMismatch | AlreadyExists | HasForks)

    def _lineage(self, session: Session | None) -> list[Session]:
        found = []
        while session is not None:
            found.append(session)
            session = self.model.parent_of(session)
        return found

    def some_session(self) -> Session | None:
        """Return a session that may be there, one of the newest more often."""
        sessions = [s for s in self.model.sessions.values() if s.born != "no"]
        if not sessions:
            return None
        return self.random.choice(sessions[-4:] if self.random.random() < 0.8 else sessions)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine of a store that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return] # whatever the coroutine returns
    raise Violation("a store that is simulated must not suspend")


async def gather(batches: AsyncIterator[Any], into: list[Record]) -> None:
    """Put the records of all *batches* into a list, up to where an error comes."""
    async for batch in batches:
        into += batch
