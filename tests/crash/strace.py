"""Errors of real calls to the system, put there by strace: what a writer is told, and what is left."""

import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from attrs import asdict, define
from fs_tools import born, fork, note, records, start, store
from real_tools import Unavailable

from session_store.chain import Draft
from session_store.entries import Durability, Position
from session_store.errors import Corrupt, DurabilityLost, StoreFull
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY

from .acks import Acks, look_after, not_intact
from .processes import TIMEOUT_S
from .subject import Row, Subject
from .traced import Ended, traced, waiting

_WRONG = 7
"""The exit code of a writer that was told what may not be."""

_SYNCS = ["fsync", "fdatasync"]
_INTERRUPTED = ["openat", "write", "pread64", "flock", "ftruncate", "fsync", "fdatasync"]
_TRIES = 3


@define
class Outcome:
    """
    What was counted.

    Attributes:
        points: Calls that were made to fail, each in a run of its own.
        met: Of those, how many the writer met.
        lost: Acknowledged records that are not in their log.
        twice: Drafts that are in a log more than once.
        broken: Logs that do not hold or take one more append; writers that ended badly.
    """

    points: int = 0
    met: int = 0
    acked: int = 0
    lost: int = 0
    twice: int = 0
    broken: int = 0

    @property
    def wrong(self) -> int:
        return self.lost + self.twice + self.broken + (self.met == 0)


class Writer:
    """Does *steps* things in a store, and goes on behind every error, as a program should."""

    def __init__(self, root: Path, told: Acks, steps: int) -> None:
        self._core = store(root, lock_timeout_s=60)
        self._told = told
        self._steps = steps
        self._failed = 0

    def work(self) -> None:
        session_id = self._again(lambda: born(self._core))
        if session_id is None:
            return
        for number in range(self._steps):
            if number % 20 == 5:
                self._again(lambda: fork(self._core, self._core.head(session_id)))
            elif number % 20 == 9:
                self._again(lambda: self._create(new_session_id()))
            else:
                drafts = [note(number), note("x" * 2000)]
                floor = self._core.head(session_id)
                self._again(partial(self._append, session_id, drafts, floor))

    def _create(self, session_id: SessionId) -> None:
        self._told.add(self._core.create(session_id, start(session_id), key=session_id))

    def _append(self, session_id: SessionId, drafts: list[Draft], floor: Position) -> None:
        cursor = self._core.open(session_id, shared=True)
        try:
            receipt = self._core.append(session_id, drafts, cursor=cursor, floor=floor)
        except DurabilityLost:
            # However the disk is by now: this handle is refused for good.
            self._core.append(session_id, [note("zombie")], cursor=cursor)
            os._exit(_WRONG)
        self._told.add(receipt)

    def _again(self, work: Callable[[], SessionId | None]) -> SessionId | None:
        """Try until it works, at most *_TRIES* times; a disk that fails for good ends the work."""
        for _ in range(_TRIES):
            if self._failed > 2 * _TRIES:
                os._exit(0)
            try:
                done = work()
            except (StoreFull, DurabilityLost):
                self._failed += 1
            else:
                self._failed = 0
                return done
        return None


def run(
    root: Path, *, calls: list[str], how: list[str], steps: int, step: int, spared: bool = False
) -> Outcome:
    """
    Tamper with every *step*-th of *calls* of a writer.

    Args:
        how: What is done, as of strace's inject, with the number of the call as {n}.
        spared: The writer shall not notice: all its appends are acknowledged.
    """
    dry, outcome = Acks(), Outcome()
    counts = traced(root, lambda: Writer(root / "dry", dry, steps).work(), calls=calls).calls
    points = [(c, n, h) for h in how for c in sorted(counts) for n in range(1, counts[c] + 1)]
    for call, number, tamper in points[::step]:
        told, where = Acks(), root / "case"
        store(where)
        inject = f"{call}:{tamper.format(n=number)}"
        ended = traced(root, partial(_work, where, told, steps), inject, calls=calls)
        before = outcome.wrong
        _judge(outcome, where, told, ended)
        if spared and len(told) != len(dry):
            outcome.broken += 1
        if outcome.wrong > before:
            print(f"{inject}: exit code {ended.code}, {len(told)} receipts of {len(dry)}")
        shutil.rmtree(where)
    shutil.rmtree(root / "dry")
    return outcome


def _work(root: Path, told: Acks, steps: int) -> None:
    Writer(root, told, steps).work()


def _judge(outcome: Outcome, root: Path, told: Acks, ended: Ended) -> None:
    core = store(root, lock_timeout_s=60)
    sessions = [info.session_id for info in core.list(limit=1000)]
    found = look_after(core, told, sessions)
    outcome.points += 1
    outcome.met += ended.injected > 0
    outcome.acked += len(told)
    outcome.lost += found.lost
    outcome.broken += found.broken + (ended.code != 0) + not_intact(root)
    for session_id in sessions:
        digests = [record.digest for record in records(core, session_id)]
        outcome.twice += len(digests) - len(set(digests))


def failed_rollbacks(root: Path, *, trials: int) -> tuple[dict[str, object], int]:
    """Stop a write in the middle (RLIMIT_FSIZE), and make the rollback fail: the next append mends."""
    met = wrong = 0
    core = store(root)
    for number in range(trials):
        session_id = born(core, 2)
        before = core.head(session_id)
        size = core.record(session_id, before.seq).end
        room = 1 + number * 97
        ended = traced(
            root,
            partial(_overfill, root, session_id, size + room),
            "ftruncate:error=EIO:when=1",
            calls=["ftruncate"],
        )
        met += ended.injected
        wrong += ended.code != 0 or core.head(session_id) != before
        core.append(session_id, [note("next")], expected=ANY)
        kinds = [record.kind for record in records(core, session_id)]
        wrong += kinds[-2:] != ["recovery", "extension"] or len(kinds) != 5
        if wrong:
            print(f"{room} bytes of room: exit code {ended.code}, {kinds}")
    return {"rollbacks": trials, "failed": met, "wrong": wrong}, wrong + (met != trials)


def _overfill(root: Path, session_id: SessionId, size: int) -> None:
    core = store(root)
    core.head(session_id)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        core.append(session_id, [note("x" * 20_000)], expected=ANY)
    except StoreFull as full:
        assert "is left" in str(full), full
        return
    os._exit(_WRONG)


def slow_syncs(root: Path, *, trials: int) -> tuple[dict[str, object], int]:
    """Hold a writer in its fdatasync: others append meanwhile, and it is told nothing before its end."""
    core, overtaken, wrong = store(root), 0, 0
    session_id = born(core)
    for _ in range(trials):
        told, before = Acks(), core.head(session_id)
        child = waiting(
            root,
            partial(_append_one, root, session_id, told, "disk"),
            "fdatasync:delay_enter=600s",
            calls=["fdatasync"],
        )
        child.go()
        _await(lambda seq=before.seq: core.head(session_id).seq > seq)
        receipt = core.append(session_id, [note("meanwhile")], expected=ANY)
        overtaken += receipt.seq == before.seq + 2 and not len(told)
        child.let_go()
        ended = child.ended()
        wrong += ended.code != 0 or [ack.seq for ack in told] != [before.seq + 1]
    wrong += trials - overtaken + look_after(core, [], [session_id]).wrong
    return {"syncs held": trials, "overtaken": overtaken, "wrong": wrong}, wrong


def _append_one(root: Path, session_id: SessionId, told: Acks, level: Durability) -> None:
    told.add(store(root).append(session_id, [note()], expected=ANY, durability=level))


def _await(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


def rotten_writes(root: Path, *, trials: int) -> tuple[dict[str, object], int]:
    """Alter what is written between the store and the disk: whoever reads it finds the place."""
    core, found = store(root), 0
    for number in range(trials):
        session_id = born(core)
        seq = 1 + number % 4
        poke = f"write:poke_enter=@arg2={'58' * (1 + number * 7)}:when={seq}"
        ended = traced(root, partial(_append_four, root, session_id), poke, calls=["write"])
        assert ended.injected, ended.lines
        try:
            records(core, session_id)
        except Corrupt as error:
            found += error.seq == seq and ended.code == 0
    return {"altered": trials, "found": found}, trials - found


def _append_four(root: Path, session_id: SessionId) -> None:
    core = store(root)
    for _ in range(4):
        core.append(session_id, [note("x" * 1000)], expected=ANY)


Count = Callable[[], tuple[dict[str, object], int]]


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    def row(name: str, matrix: int, count: Count) -> Row:
        try:
            counts, wrong = count()
        except Unavailable as why:
            return Row(name, {}, 0, (matrix,), str(why))
        return Row(name, counts, wrong, (matrix,))

    def errors(calls: list[str], how: list[str], *, steps: int = 60, spared: bool = False) -> Count:
        def count() -> tuple[dict[str, object], int]:
            step = 61 if smoke else 1
            found = run(root, calls=calls, how=how, steps=steps, step=step, spared=spared)
            return asdict(found), found.wrong

        return count

    def few(work: Callable[..., tuple[dict[str, object], int]], most: int) -> Count:
        return lambda: work(root / work.__name__, trials=2 if smoke else most)

    once, for_good = ["error=EIO:when={n}"], ["error=EIO:when={n}+"]
    full = ["error=ENOSPC:when={n}", "error=ENOSPC:when={n}+"]
    quota = ["error=EDQUOT:when={n}"]
    yield lambda: row("EIO at every sync, once", 11, errors(_SYNCS, once))
    yield lambda: row("EIO at every sync, for good", 11, errors(_SYNCS, for_good))
    yield lambda: row("ENOSPC at every write", 14, errors(["write"], full))
    yield lambda: row("EDQUOT at every write", 16, errors(["write"], quota))
    yield lambda: row("EDQUOT at every sync", 16, errors(_SYNCS, quota))
    interrupted = errors(_INTERRUPTED, ["error=EINTR:when={n}"], steps=10, spared=True)
    yield lambda: row("EINTR at every call", 19, interrupted)
    yield lambda: row("a rollback that fails", 20, few(failed_rollbacks, 20))
    yield lambda: row("a sync that takes long", 23, few(slow_syncs, 50))
    yield lambda: row("bytes altered on their way", 24, few(rotten_writes, 20))
