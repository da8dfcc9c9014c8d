"""One run of the simulation: a machine, its processes, and what is left at the end."""

import gc
import logging
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from random import Random

from attrs import frozen

from ...chain import Record
from ...codec import draft
from ...entries import Extension
from ...errors import Corrupt, NotFound, SessionStoreError
from ...stores.face import InlineFace
from ...stores.fs.core import FsCore
from ...stores.fs.files import Files
from ...stores.protocol import ANY, Store
from .clients import Client, gather, run
from .machine import Machine, OpenStore
from .model import Append, Session
from .readers import Follower, Reader
from .scheduler import Scheduler, Violation
from .weather import Weather
from .writers import Writer

LOCK_TIMEOUT_S = 0.5


@frozen
class Outcome:
    """
    What happened in a run in which everything held.

    Attributes:
        steps: Calls about files between which anybody could run.
        counts: How often each fault came, and each error was raised.
        sessions, acked: Sessions that were tried, appends that were acknowledged.
    """

    steps: int
    sessions: int
    acked: int
    counts: Counter[str]


def open_fs(files: Files) -> Store:
    """Return the file store, as it is, on *files*."""
    return InlineFace(FsCore(files, lock_timeout_s=LOCK_TIMEOUT_S))


def simulate(
    seed: int,
    *,
    steps: int = 3000,
    open_store: OpenStore = open_fs,
    faults: Collection[str] | None = None,
) -> Outcome:
    """
    Let processes write to, read from and die on a store, and hold it to its promises.

    Args:
        seed: The same seed gives the same run.
        steps: Calls about files until no more work is begun.
        open_store: Opens the store on the files of one process. It must do all its work in
            calls of those files, and wait by their clock.
        faults: Kinds of FAULTS that may come; None lets the seed choose.

    Raises:
        Violation: Something does not hold; with the seed, and the steps that led there.
    """
    random = Random(seed)  # noqa: S311 - to be had again
    scheduler = Scheduler(random, persistence=random.choice((0, 0.3, 0.6, 0.9)))
    machine = Machine(scheduler, Weather(random, faults), open_store, steps)
    with _undisturbed():
        try:
            scheduler.run({client.name: client.live for client in _clients(machine)})
            _check_end(machine)
        except Exception as error:
            kinds = ", ".join(sorted(machine.weather.kinds)) or "none"
            raise Violation(
                f"seed {seed}, step {scheduler.steps}, faults {kinds}: {error}\n{scheduler.trace()}"
            ) from error
    sessions = machine.model.sessions.values()
    acked = {id(a) for s in sessions for a, _ in s.appends.values() if a.outcome == "acked"}
    return Outcome(scheduler.steps, len(sessions), len(acked), machine.counts)


def _clients(machine: Machine) -> list[Client]:
    clients: list[Client] = []
    for number in range(machine.random.randint(1, 3)):
        names = [f"{number}{thread}" for thread in "ab"[: machine.random.randint(1, 2)]]
        process = machine.start(names)
        clients += [Writer(machine, process, name) for name in names]
    process = machine.start(["reader", "follower"])
    machine.working = {"reader", *(client.name for client in clients)}
    return [*clients, Reader(machine, process, "reader"), Follower(machine, process, "follower")]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave nothing to chance: the collector closes forgotten files whenever it comes by."""
    was_enabled, logger = gc.isenabled(), logging.getLogger("session_store")
    was_disabled, logger.disabled = logger.disabled, True
    gc.disable()
    try:
        yield
    finally:
        logger.disabled = was_disabled
        if was_enabled:
            gc.enable()


def _check_end(machine: Machine) -> None:
    """Look at everything in peace, go on working, cut the power, and look again."""
    gc.collect()
    _, store = machine.start([]).opened()
    for session in list(machine.model.sessions.values()):
        _check_session(machine, store, session)
    run(store.close())
    machine.power_loss()
    _, store = machine.start([]).opened()
    for session in machine.model.sessions.values():
        parent = machine.model.parent_of(session)
        if parent is not None and session.is_safe and not parent.is_shaken:
            assert session.parent is not None
            run(store.position(session.parent.session_id, session.parent.seq))
        _read(machine, store, session)


def _read(machine: Machine, store: Store, session: Session) -> Exception | None:
    view, records = session.view(), list[Record]()
    error: SessionStoreError | None = None
    try:
        run(gather(store.read(session.id), records))
    except (NotFound, Corrupt) as found:
        error = found
    machine.model.compare(session, view, records, error)
    return error


def _check_session(machine: Machine, store: Store, session: Session) -> None:
    """Read it, append to it, repaired if it must be, and read it again."""
    error = _read(machine, store, session)
    if error is None:
        try:
            _append(machine, store, session)
        except NotFound:  # A delete that died half-way was finished, or a birth was lost.
            if session.is_safe and not session.is_shaken:
                raise
            return
        except Corrupt as damage:
            error = damage
    if isinstance(error, Corrupt):
        if not session.has_holes:
            raise error
        if not session.required:
            return
        run(store.repair(session.id))
        _append(machine, store, session)
    _read(machine, store, session)
    machine.model.check_erased(session)


def _append(machine: Machine, store: Store, session: Session) -> None:
    note = draft(Extension("simulation", "the end"), machine.random.randbytes(16))
    append = session.tried(Append([note], "disk"))
    receipt = run(store.append(session.id, append.drafts, expected=ANY, durability="disk"))
    machine.model.acked(session, append, receipt)
