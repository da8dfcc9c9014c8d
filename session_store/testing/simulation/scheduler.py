"""
Threads of which one runs at a time, and a seed says which: so a run can be had again.

Rules of this module:
  * A thread runs until its next `step`, `sleep` or lock; nothing happens in between.
  * Every choice comes from one random generator, in the order of the steps.
  * Nobody waits for the clock: when all do, the time jumps to the first who is due.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from math import inf
from random import Random
from types import TracebackType

from attrs import define, field

from ...stores.fs.clock import Clock, Mutex
from ..faults import Crash

STEP_S = 0.00002
_TRACE_STEPS = 30
_EPOCH_MS = 1_700_000_000_000


class Violation(AssertionError):
    """Something that was promised does not hold."""


class Over(BaseException):
    """The run has ended; raised in whoever would go on."""


def taken() -> threading.Lock:
    """Return a lock that is held, to be released by another thread."""
    lock = threading.Lock()
    lock.acquire()
    return lock


@define(eq=False)
class Actor:
    """
    One thread.

    Attributes:
        wakes_s: When it goes on, on the clock of the run; inf if only *ready* says so.
        stopped_s: Until when it is stopped, whatever it waits for.
    """

    name: str
    baton: threading.Lock = field(factory=taken)
    wakes_s: float = 0
    stopped_s: float = 0
    ready: Callable[[], bool] | None = None
    is_waiting: bool = False
    is_killed: bool = False

    def can_run(self, now_s: float) -> bool:
        if self.stopped_s > now_s:
            return False
        return self.wakes_s <= now_s or (self.ready is not None and self.ready())

    @property
    def due_s(self) -> float:
        return max(self.stopped_s, 0 if self.ready is not None and self.ready() else self.wakes_s)


class Scheduler(Clock):
    """
    The clock of a simulated machine, and who runs on it.

    Args:
        persistence: How probable it is that whoever runs goes on, 0 to 1.
    """

    def __init__(self, random: Random, *, persistence: float = 0.5) -> None:
        self.random = random
        self.now_s = 0.0
        self.steps = 0
        self.back_ms = 0
        """How far the clock of the day was set back."""
        self.current: Actor | None = None
        self.failure: BaseException | None = None
        self.is_over = False
        self._persistence = persistence
        self._actors: list[Actor] = []
        self._ended = taken()
        self._trace: deque[tuple[int, float, str, str]] = deque(maxlen=_TRACE_STEPS)

    # -- time ---------------------------------------------------------------------------------

    def now_ms(self) -> int:
        return _EPOCH_MS + int(self.now_s * 1000) - self.back_ms

    def monotonic_s(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.wait(seconds, None)

    def mutex(self) -> Mutex:
        return _Turns(self)

    # -- turns --------------------------------------------------------------------------------

    def run(self, jobs: Mapping[str, Callable[[], None]]) -> None:
        """
        Run *jobs* by name until all have ended.

        Raises:
            BaseException: What one of them raised; the others were then ended with `Over`.
        """
        threads = []
        for name, job in jobs.items():
            actor = Actor(name)
            self._actors.append(actor)
            threads.append(
                threading.Thread(target=self._life, args=(actor, job), name=name, daemon=True)
            )
        for thread in threads:
            thread.start()
        self._pass_on()
        self._ended.acquire()
        for thread in threads:
            thread.join()
        if self.failure is not None:
            raise self.failure

    def _life(self, actor: Actor, job: Callable[[], None]) -> None:
        actor.baton.acquire()
        try:
            job()
        except Over:
            pass
        except BaseException as error:  # noqa: BLE001 - raised by `run`
            self.failure = self.failure or error
            self.end()
        self._actors.remove(actor)
        self._pass_on()

    def end(self) -> None:
        """Let nobody go on: steps and sleeps raise `Over` from here on."""
        self.is_over = True

    def step(self, what: str) -> None:
        """Let others run before *what* happens; whoever is no actor just goes on."""
        actor = self.current
        if actor is None:
            return
        self._check(actor)
        self.steps += 1
        self.now_s += STEP_S
        if self.random.random() >= self._persistence:
            self._switch(actor)
        self.note(what)

    def wait(self, seconds: float, ready: Callable[[], bool] | None) -> bool:
        """Let others run until *ready* holds or *seconds* have passed; return whether it holds."""
        actor = self.current
        if actor is None:
            self.now_s += seconds
            return ready is None or ready()
        self._check(actor)
        actor.wakes_s, actor.ready, actor.is_waiting = self.now_s + seconds, ready, True
        self._switch(actor)
        actor.wakes_s, actor.ready, actor.is_waiting = 0, None, False
        if actor.is_killed:
            actor.is_killed = False
            raise Crash
        return ready is None or ready()

    def stop(self, names: Collection[str], seconds: float) -> None:
        """Let those *names* not run for a while, whatever they are in the middle of."""
        for actor in self._actors:
            if actor.name in names:
                actor.stopped_s = self.now_s + seconds

    def kill(self, names: Collection[str]) -> None:
        """Let those *names* go on, and die where they wait."""
        for actor in self._actors:
            if actor.name in names:
                actor.stopped_s = actor.wakes_s = 0
                actor.is_killed = actor.is_waiting

    def note(self, what: str) -> None:
        """Put *what* into the trace."""
        name = "-" if self.current is None else self.current.name
        self._trace.append((self.steps, self.now_s, name, what))

    def trace(self) -> str:
        """Return the newest steps, as text."""
        return "\n".join(
            f"  {step:>8} {now_s:>10.5f} s  {name:<8} {what}"
            for step, now_s, name, what in self._trace
        )

    def _check(self, actor: Actor) -> None:
        if self.is_over:
            raise Over
        assert actor is self.current

    def _switch(self, actor: Actor) -> None:
        chosen = self._choose()
        if chosen is not actor:
            self._give(chosen)
            actor.baton.acquire()
        if self.is_over:
            raise Over

    def _choose(self) -> Actor:
        if self.is_over:
            return self._actors[0]
        able = [actor for actor in self._actors if actor.can_run(self.now_s)]
        if not able:
            self.now_s = min(actor.due_s for actor in self._actors)
            if self.now_s == inf:
                self.failure = Violation("everybody waits for ever")
                self.end()
                return self._actors[0]
            able = [actor for actor in self._actors if actor.can_run(self.now_s)]
        return able[0] if len(able) == 1 else able[int(self.random.random() * len(able))]

    def _give(self, actor: Actor) -> None:
        self.current = actor
        actor.baton.release()

    def _pass_on(self) -> None:
        if self._actors:
            self._give(self._choose())
        else:
            self.current = None
            self._ended.release()


class _Turns:
    """A lock between actors."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_held, self._holder = False, 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - as threading.Lock
        if self._is_held and blocking:
            self._scheduler.wait(inf if timeout < 0 else timeout, lambda: not self._is_held)
        if self._is_held:
            return False
        self._is_held, self._holder = True, threading.get_ident()
        return True

    def release(self) -> None:
        if not self._is_held or self._holder != threading.get_ident():
            raise RuntimeError("cannot release an un-acquired lock")
        self._is_held = False

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self.release()
