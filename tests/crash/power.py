"""
Power cuts of a real file system: whoever was told before that an entry is on disk finds it there.

A file system on a loop device is shut down (FS_IOC_SHUTDOWN) under busy writers, and mounted
again. What counts as acknowledged is noted before the cut: a sync that races it may return 0
for what never reaches the device.
"""

import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from random import Random

from attrs import asdict, define, evolve, frozen
from fs_tools import born, log_of, note, records, start, store
from real_tools import WITH_LOG, WITHOUT_LOG, Disk, Kind, Unavailable, loop_disk

from session_store.entries import Durability, Position, Receipt
from session_store.errors import Corrupt, NotFound
from session_store.ids import SessionId, session_id_for
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore

from . import processes
from .acks import look_after, not_intact
from .busy_store import Words, key_of, work
from .subject import Row, Subject

SEED = 20261121
_CUTS_PER_DISK = 4
_MIB = {"ext4": 256, "xfs": 512}
_NULS = bytes(16)


@define
class Outcome:
    """
    What was counted.

    Attributes:
        acked: Receipts of level disk; of those no record may be missing.
        lost: Of those, the missing ones; and names, forks, keys and deletes that were undone.
        os_acked, os_gone: Receipts of level os, and how many of their records the cuts took.
        torn, nuls: Logs with an unfinished end, and with NULs in it.
        repairing: Logs whose repair the cut interrupted.
        broken: Logs that did not hold, open or take an append; promises between logs that failed.
    """

    cuts: int = 0
    acked: int = 0
    lost: int = 0
    os_acked: int = 0
    os_gone: int = 0
    torn: int = 0
    nuls: int = 0
    repairing: int = 0
    broken: int = 0

    @property
    def wrong(self) -> int:
        return self.lost + self.broken + (self.acked == 0)


@frozen
class Told:
    """What had been told before the power went; and the sessions that may be in between."""

    disk: list[Position]
    os: list[Position]
    keyed: list[Position]
    gone: list[Position]
    mending: set[SessionId]
    """Named before anything was done to them, so they are all here, whatever was told when."""
    doomed: set[SessionId]


def run(kind: Kind, *, cuts: int, writers: int, level: Durability, seed: int) -> Outcome:
    """Let *writers* work, cut the power, mount again, hold what is there against what was told."""
    random, outcome = Random(seed), Outcome()
    while outcome.cuts < cuts:
        with loop_disk(kind, mib=_MIB[kind]) as disk:
            core = store(disk.path / "store")
            sessions = [born(core) for _ in range(2)]
            core.close()
            machine = Machine(disk, sessions, level, random)
            for _ in range(min(_CUTS_PER_DISK, cuts - outcome.cuts)):
                wrong = outcome.lost + outcome.broken
                told = machine.interrupt(writers)
                disk.reboot()
                machine.check(told, outcome)
                if outcome.lost + outcome.broken > wrong:
                    print(f"{kind}, {level}: seed {seed}, cut {outcome.cuts}")
                    break  # What is lost now is missed again.
    return outcome


@frozen
class Machine:
    """A store with two sessions on a disk, and what happens to it."""

    disk: Disk
    sessions: list[SessionId]
    level: Durability
    random: Random

    @property
    def root(self) -> Path:
        return self.disk.path / "store"

    def interrupt(self, writers: int) -> Told:
        """Return what *writers* had been told when the power was cut."""
        words = [Words() for _ in range(writers)]
        pids = [self._start(each) for each in words]
        try:
            _await(lambda: all(len(w.disk) + len(w.os) or str(w.stopped) for w in words))
            time.sleep(self.random.uniform(0, 0.06))
            # In the order in which each was left: nothing that is told later counts.
            before = [[list(acks) for acks in (w.disk, w.os, w.keyed, w.gone)] for w in words]
            stopped = {str(each.stopped) for each in words}
            self.disk.cut_power(self.random.choice([WITH_LOG, WITHOUT_LOG]))
            time.sleep(self.random.uniform(0, 0.005))
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            codes = processes.wait(pids)
        assert {""} == stopped, f"the disk failed before the power went: {stopped}"
        assert {-signal.SIGKILL} == set(codes), "a writer ended by itself"
        parts = (list(chain(*part)) for part in zip(*before, strict=True))
        return Told(
            *parts,
            mending={ack.session_id for each in words for ack in each.mending},
            doomed={ack.session_id for each in words for ack in each.doomed},
        )

    def _start(self, words: Words) -> int:
        seed = self.random.random()
        return processes.start(lambda: work(self.root, self.sessions, words, self.level, seed))

    def check(self, told: Told, outcome: Outcome) -> None:
        core = store(self.root, lock_timeout_s=60)
        outcome.cuts += 1
        outcome.acked += len(told.disk)
        outcome.os_acked += len(told.os)
        outcome.lost += _undone(core, told)
        outcome.os_gone += _missing(core, told.os, outcome)
        _finish_deletes(core, told)
        logs = [info.session_id for info in core.list(limit=100_000)]
        for session_id in logs:
            _judge_end(core, session_id, told, outcome)
        found = look_after(core, told.disk, [*logs, *self.sessions])
        outcome.lost += found.lost
        outcome.broken += found.broken + _dangling(core, logs)
        core.close()
        outcome.broken += not_intact(self.root)


def _await(is_so) -> None:
    deadline = time.monotonic() + processes.TIMEOUT_S
    while not is_so():
        assert time.monotonic() < deadline, "no writer got anywhere"
        time.sleep(0.0005)


def _undone(core: FsCore, told: Told) -> int:
    """Return how many keys do not lead to their sessions, and how many deleted sessions are back."""
    keys = [ack for ack in told.keyed if core.find(key_of(ack.session_id)) != ack.session_id]
    back = [ack for ack in told.gone if _is_there(core, ack.session_id)]
    for ack in (*keys, *back):
        print(f"{ack.session_id}: acknowledged and undone, by its key or its deletion")
    return len(keys) + len(back)


def _is_there(core: FsCore, session_id: SessionId) -> bool:
    try:
        core.head(session_id)
    except NotFound:
        return False
    return True


def _finish_deletes(core: FsCore, told: Told) -> None:
    """One that was interrupted is finished by the next, whether it had been seen or not."""
    for session_id in told.doomed:
        if _is_there(core, session_id):
            core.delete(session_id)
        assert not _is_there(core, session_id)


def _missing(core: FsCore, acks: list[Position], outcome: Outcome) -> int:
    """Return how many of *acks* are gone; another record in the place of one is broken."""
    told: dict[SessionId, list[Position]] = defaultdict(list)
    for ack in acks:
        told[ack.session_id].append(ack)
    missing = 0
    for session_id, positions in told.items():
        found: dict[int, bytes] = {}
        with suppress(NotFound, Corrupt):  # Never named; or judged with the end of the log.
            for batch in core.read(session_id):
                found.update({record.seq: record.hash for record in batch})
        missing += sum(ack.seq not in found for ack in positions)
        outcome.broken += sum(found.get(ack.seq, ack.hash) != ack.hash for ack in positions)
    return missing


def _judge_end(core: FsCore, session_id: SessionId, told: Told, outcome: Outcome) -> None:
    """Count what is behind the last whole append; finish a repair that was interrupted."""
    try:
        last = records(core, session_id)[-1]
    except Corrupt:
        if session_id in told.mending:
            outcome.repairing += 1
            core.repair(session_id)
        return  # Else it is met again, and counted, by whoever reads it next.
    tail = log_of(core, session_id).read_bytes()[last.end :]
    outcome.torn += bool(tail)
    outcome.nuls += _NULS in tail


def _dangling(core: FsCore, logs: list[SessionId]) -> int:
    """Return how many forks have no marker, and how many marks are left though all was finished."""
    wrong = 0
    for session_id in logs:
        parent = core.parent_of(session_id)
        if parent is not None and session_id not in core.children(parent):
            print(f"{session_id}: a fork without a marker")
            wrong += 1
        if core.files.exists(layout.pending_path(session_id)):
            print(f"{session_id}: a pending mark is left behind an append")
            wrong += 1
    return wrong


@define
class Created:
    """
    What was counted.

    Attributes:
        unsynced_gone: Sessions written behind the creation and not synced, which the cut took:
            it did take what it could.
        lost: Creations whose session, key, marker or parent's prefix was not there.
    """

    cuts: int = 0
    unsynced_gone: int = 0
    lost: int = 0

    @property
    def wrong(self) -> int:
        return self.lost + (self.unsynced_gone == 0)


def created(kind: Kind, *, cuts: int, seed: int) -> Created:
    """Cut the power right behind the first session of a day, often the first of its store."""
    random, outcome = Random(seed), Created()
    with loop_disk(kind, mib=_MIB[kind]) as disk:
        for number in range(cuts):
            root = disk.path / str(number // 3) / "deeper" / "store"
            core = store(root)
            new, unsynced = (session_id_for(key_of(how), random.randrange(1 << 41)) for how in "ab")
            acks = _CREATIONS[number % len(_CREATIONS)](core, new, key_of(new))
            assert {"disk"} == {ack.level for ack in acks}
            core.create(unsynced, start(unsynced), durability="os")
            core.close()
            del core
            disk.cut_power(random.choice([WITH_LOG, WITHOUT_LOG]))
            disk.reboot()
            core = store(root, create=False)
            outcome.unsynced_gone += not core.is_born(unsynced)
            if found := _lost(core, new, acks):
                outcome.lost += found
                print(f"{kind}: seed {seed}, cut {number} behind a creation")
            core.close()
            outcome.cuts += 1
    return outcome


def _lost(core: FsCore, session_id: SessionId, acks: list[Receipt]) -> int:
    found = look_after(core, [Position(ack.session_id, ack.seq, ack.hash) for ack in acks])
    parent = core.parent_of(session_id)
    without_marker = parent is not None and session_id not in core.children(parent)
    without_key = core.find(key_of(session_id)) != session_id
    return found.wrong + without_marker + without_key


def _alone(core: FsCore, session_id: SessionId, key: str) -> list[Receipt]:
    return [core.create(session_id, start(session_id), key=key)]


def _fork(core: FsCore, session_id: SessionId, key: str) -> list[Receipt]:
    """Its parent was never synced: what the fork stands on must be, once it is there."""
    parent = born(core, durability="os")
    core.append(parent, [note("x" * 5000)], expected=ANY, durability="os")
    at = core.head(parent)
    receipt = core.create(session_id, start(session_id, at), parent=at, key=key)
    return [receipt, evolve(receipt, session_id=at.session_id, seq=at.seq, hash=at.hash)]


def _whole(core: FsCore, session_id: SessionId, key: str) -> list[Receipt]:
    birth = core.begin_whole(session_id)
    core.add_whole(birth, [start(session_id), [note("x" * 5000), note()]])
    return [core.publish_whole(birth, key)]


_CREATIONS = (_alone, _fork, _whole)


def subjects(_: Path, *, smoke: bool) -> Iterator[Subject]:
    def cut(kind: Kind, level: Durability, cuts: int, matrix: tuple[int, ...]) -> Row:
        return _row(
            f"power cuts under 8 writers, {level}, {kind}",
            matrix,
            lambda: run(kind, cuts=cuts, writers=8, level=level, seed=SEED),
        )

    def create(kind: Kind, cuts: int, matrix: tuple[int, ...]) -> Row:
        name = f"power cuts behind a creation, {kind}"
        return _row(name, matrix, lambda: created(kind, cuts=cuts, seed=SEED))

    yield lambda: cut("ext4", "disk", 4 if smoke else 400, (26, 28, 32))
    yield lambda: cut("ext4", "os", 2 if smoke else 100, (27, 28))
    yield lambda: create("ext4", 3 if smoke else 150, (30,))
    yield lambda: cut("xfs", "disk", 2 if smoke else 200, (33,))
    yield lambda: cut("xfs", "os", 2 if smoke else 50, (27, 33))
    yield lambda: create("xfs", 3 if smoke else 60, (30, 33))


def _row(name: str, matrix: tuple[int, ...], work: Callable[[], Outcome | Created]) -> Row:
    try:
        outcome = work()
    except Unavailable as why:
        return Row(name, {}, 0, matrix, str(why))
    return Row(name, asdict(outcome), outcome.wrong, matrix)
