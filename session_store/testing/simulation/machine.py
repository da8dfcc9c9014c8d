"""
A machine: processes on one disk, and what befalls them.

Rules of this module:
  * Between any two calls about files another process may run, die, or the power may go.
  * After every call that changed a log its bytes are held against the model.
"""

import errno
from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TypeAlias

from ...ids import SessionId, parse_session_id
from ...stores.fs import layout
from ...stores.fs.files import Files
from ...stores.protocol import Store
from ..faults import CHANGES, LOOKS, NO_ROOM, Call, Crash, Fault, FaultyMemory, Lost, Short, error
from .model import Model
from .scheduler import Scheduler
from .weather import Weather

OpenStore: TypeAlias = Callable[[Files], Store]

_NO_LOG = (layout.TRACE_SUFFIX, layout.TEMP_SUFFIX)
_HEALS = {"drop_cache", "rename"}
_STOP_S = 1.0
_SLOW_S = 0.1
_BACK_MS = 7_200_000


class Life:
    """
    One process from its start to its death.

    Attributes:
        files: Its view of the disk.
        store: What it has opened; None until it has.
    """

    def __init__(self, files: FaultyMemory) -> None:
        self.files = files
        self.store: Store | None = None
        self.is_opening = False


class Process:
    """A process that is started again whenever it died; *actors* are its threads, by name."""

    def __init__(self, machine: "Machine", actors: list[str]) -> None:
        self._machine = machine
        self.actors = actors
        self.begin()

    def begin(self) -> None:
        files = self._machine.disk.another_process()
        files.watched = CHANGES | LOOKS
        files.plan = partial(self._machine.meet, self, files)
        self.life = Life(files)

    def opened(self) -> tuple[Life, Store]:
        """Return the store of this life; its threads open it once."""
        life = self.life
        if life.is_opening:
            self._machine.scheduler.wait(1, lambda: not life.is_opening)
        if life.store is None:
            life.is_opening = True
            try:
                life.store = self._machine.open_store(life.files)
            finally:
                life.is_opening = False
        return life, life.store


class Machine:
    """
    Args:
        open_store: Opens the store under test on the files of a process.
        steps: How many are enough.
    """

    def __init__(
        self, scheduler: Scheduler, weather: Weather, open_store: OpenStore, steps: int
    ) -> None:
        self.scheduler = scheduler
        self.steps = steps
        self.weather = weather
        self.open_store = open_store
        self.disk = FaultyMemory()
        self.disk.clock = scheduler
        self.model = Model(
            lambda session_id: log_bytes(self.disk, session_id),
            lambda session_id: self.disk.at_the_least(layout.log_path(session_id)),
            lambda data: files_with(self.disk, data),
        )
        self.processes: list[Process] = []
        self.counts: Counter[str] = Counter()
        self.met: dict[str, list[str]] = {}
        """Faults that each actor has met since it began what it is at."""
        self.failed_syncs: dict[str, list[SessionId]] = {}
        """Logs whose sync has failed in what each actor is at."""
        self.working: set[str] = set()
        """Clients whose end is waited for."""
        self._changed: str | None = None

    @property
    def random(self) -> Random:
        return self.scheduler.random

    @property
    def is_done(self) -> bool:
        """Whether nothing more shall be begun; from then on nothing more goes wrong."""
        if self.scheduler.steps < self.steps:
            return False
        self.weather.clear()
        return True

    def leave(self, client: str) -> None:
        """End the run with the last of those whose end is waited for."""
        self.working.discard(client)
        if not self.working:
            self.scheduler.end()

    def start(self, actors: list[str]) -> Process:
        process = Process(self, actors)
        self.processes.append(process)
        return process

    # -- every call ---------------------------------------------------------------------------

    def meet(self, process: Process, files: FaultyMemory, call: Call) -> Fault:
        """Let others run before *call*; return what shall become of it."""
        self.look()
        scheduler = self.scheduler
        scheduler.step(f"{call.name} {call.path}")
        if files.is_dead:
            return Crash()
        kind = self.weather.at(call.name)
        if call.name in CHANGES:
            self._changed = call.path
        if call.name in _HEALS and (session_id := log_at(call.path)) is not None:
            self.model.healing(session_id)
        return None if kind is None else self._fault(kind, process, files, call)

    def look(self) -> None:
        """Check the log that the last call has changed."""
        path, self._changed = self._changed, None
        session_id = None if path is None else log_at(path)
        if session_id is not None:
            self.model.check_bytes(session_id)

    def _fault(self, kind: str, process: Process, files: FaultyMemory, call: Call) -> Fault:
        actor = self.scheduler.current
        assert actor is not None
        self.counts[kind] += 1
        self.scheduler.note(f"! {kind}")
        if kind in _HAPPENS:
            _HAPPENS[kind](self, process)
            return Crash() if files.is_dead else None
        self.met.setdefault(actor.name, []).append(kind)
        if kind == "short":
            return Short(self._short(call))
        if kind == "tear":
            self.kill(process)
            return Short(self._short(call), Crash())
        if kind == "sync":
            return self._failed_sync(actor.name, process.life, call)
        code = {"full": self.random.choice(NO_ROOM), "open": errno.EMFILE}.get(kind, errno.EIO)
        return error(code, call)

    def _short(self, call: Call) -> int:
        """Return how many bytes of a write fit; all but the last one is a case of its own."""
        return call.size - 1 if self.random.random() < 0.2 else self.random.randrange(call.size)

    def _failed_sync(self, actor: str, life: Life, call: Call) -> Fault:
        if call.name == "sync_directory":
            return error(errno.EIO, call)
        session_id = log_at(call.path)
        if session_id is not None:
            self.model.sync_failed(session_id, life)
            self.failed_syncs.setdefault(actor, []).append(session_id)
        bits = self.random.choice((0, self.random.getrandbits(64)))
        return Lost(error(errno.EIO, call), lambda page: bool(bits >> page % 64 & 1))

    # -- what happens -------------------------------------------------------------------------

    def kill(self, process: Process) -> None:
        """Kill a process where it is; another one begins in its place."""
        process.life.files.die()
        process.begin()
        self.scheduler.kill(process.actors)

    def stop(self, process: Process) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        self.scheduler.stop(process.actors, self.random.random() * _STOP_S)
        self.scheduler.sleep(0)

    def slow(self, _: Process) -> None:
        self.scheduler.sleep(self.random.random() * _SLOW_S)

    def set_clock_back(self, _: Process) -> None:
        self.scheduler.back_ms += self.random.randrange(_BACK_MS)

    def power_loss(self, _: Process | None = None) -> None:
        """Cut the power: what is on the device by chance is what everybody begins with."""
        before = self.disk
        self.disk = before.a_power_loss(self.random)
        for process in self.processes:
            self.kill(process)
        self.model.power_lost(lambda session_id: log_bytes(before, session_id))


_HAPPENS: dict[str, Callable[[Machine, Process], None]] = {
    "kill": Machine.kill,
    "stop": Machine.stop,
    "slow": Machine.slow,
    "clock": Machine.set_clock_back,
    "power": Machine.power_loss,
}


def log_at(path: str) -> SessionId | None:
    """Return the session whose log has this path."""
    if not path.startswith(layout.SESSIONS) or not path.endswith(layout.LOG_SUFFIX):
        return None
    name = path.rpartition("/")[2]
    if name.endswith(_NO_LOG):
        return None
    return parse_session_id(name.removesuffix(layout.LOG_SUFFIX))


def log_bytes(disk: FaultyMemory, session_id: SessionId) -> bytearray | None:
    """Return what the file of a log holds."""
    with disk.frozen_names() as (nodes, _):
        node = nodes.get(layout.log_path(session_id))
        return None if node is None else node.data


def files_with(disk: FaultyMemory, data: bytes) -> list[str]:
    """Return the files that hold *data*."""
    with disk.frozen_names() as (nodes, _):
        return [path for path, node in nodes.items() if data in node.data]
