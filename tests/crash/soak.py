"""
Half an hour of everything at once, with faults: `python tests/crash/soak.py --minutes 30`.

One asyncio process works on a store whose disk fails now and then; children of it are killed in
the middle. What was acknowledged is compared again and again, and what the process holds
(descriptors, memory, threads) must not grow: a line through the last two thirds of what
was measured may rise by what `ALLOWED` says from its beginning to its end, no more.
"""

import argparse
import asyncio
import errno
import gc
import logging
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from attrs import define, field
from fs_tools import note, start, store

import session_store as ss
from crash import processes, results
from crash.acks import Acks, look_after, not_intact
from crash.samples import Sample, descriptors, rises, sample
from crash.subject import Row, Subject
from session_store.entries import Position, Receipt
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY, FsStore
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import NO_ROOM, SYNCS, Call, Fault, FaultyFiles, Short, error

SEED = 20261121
FULL_MINUTES = 30.0
ALLOWED = {"descriptors": 8.0, "memory KiB": 16 * 1024.0, "threads": 2.0}
_TASKS = 8
_SESSIONS = 40
_RECORDS = 300
_CALLS_KEPT = 1000
_FAULTS = 0.005
_FAULTS_FROM_S = 1.0
_EXPECTED = (
    ss.AlreadyExists,
    ss.DurabilityLost,
    ss.HasForks,
    ss.HeadMismatch,
    ss.Locked,
    ss.NotFound,
    ss.StoreFull,
)
_WORK = {
    "append": 60,
    "append_own": 10,
    "create": 6,
    "fork": 5,
    "read": 6,
    "verify": 2,
    "follow": 3,
    "list": 2,
    "trace": 2,
    "tear": 2,
    "kill": 3,
    "delete": 8,
}


class FailingFiles(FaultyFiles):
    """A disk that is full, fails or stops short, once in a while."""

    def __init__(self, root: Path, random: Random) -> None:
        super().__init__(root)
        self.faults: Counter[str] = Counter()
        self.fails = False
        self._random = random
        self.plan = self._choose

    def _choose(self, call: Call) -> Fault:
        if len(self.calls) > _CALLS_KEPT:
            self.calls.clear()
        if not self.fails or self._random.random() > _FAULTS:
            return None
        self.faults[call.name] += 1
        if call.name == "write" and self._random.random() < 0.5:
            return Short(self._random.randrange(call.size))
        if call.name == "write":
            return error(self._random.choice((errno.ENOSPC, errno.EDQUOT)), call)
        return error(errno.EIO, call) if call.name in SYNCS else None


@define
class Soak:
    """
    The work, and what must be there.

    Attributes:
        acked: For each session the records that were acknowledged, seq to hash.
        doomed: Those that are being deleted, or were.
        wrong: What was lost, or raised and was not to be expected.
    """

    root: Path
    files: FailingFiles
    face: FsStore
    random: Random
    acked: dict[SessionId, dict[int, bytes]] = field(factory=dict)
    doomed: set[SessionId] = field(factory=set)
    done: Counter[str] = field(factory=Counter)
    refused: Counter[str] = field(factory=Counter)
    wrong: int = 0

    async def run(self, seconds: float) -> list[Sample]:
        began = time.monotonic()
        await self.create()
        samples, end = [], began + seconds
        tasks = [asyncio.ensure_future(self._work(end)) for _ in range(_TASKS)]
        while time.monotonic() < end:
            self.files.fails = time.monotonic() > began + _FAULTS_FROM_S
            samples.append(sample(began))
            await asyncio.sleep(min(1.0, seconds / 20))
        await asyncio.gather(*tasks)
        self.files.fails = False
        return samples

    async def _work(self, end: float) -> None:
        while time.monotonic() < end:
            name = self.random.choices([*_WORK], [*_WORK.values()])[0]
            try:
                await getattr(self, name)()
                self.done[name] += 1
            except _EXPECTED as refused:
                self.refused[type(refused).__name__] += 1
            except Exception as failed:  # noqa: BLE001 - counted, told
                print(f"{name}:")
                traceback.print_exception(failed)
                self.wrong += 1

    def _any(self) -> SessionId:
        return self.random.choice([*self.acked])

    def _tell(self, receipt: Receipt) -> None:
        # A session that was deleted meanwhile has nothing to keep.
        if (told := self.acked.get(receipt.session_id)) is not None:
            told[receipt.seq] = receipt.hash

    def _notes(self) -> list:
        size = self.random.choice((10, 500, 5000, 50_000))
        return [note("x" * size) for _ in range(self.random.randint(1, 3))]

    async def append(self) -> None:
        level = self.random.choice(("disk", "os"))
        self._tell(
            await self.face.append(self._any(), self._notes(), expected=ANY, durability=level)
        )

    async def append_own(self) -> None:
        """With a handle, whose head another task may make stale; given again, drafts are found."""
        cursor = await self.face.open(self._any())
        session_id = cursor.head.session_id
        for _ in range(3):
            drafts, floor = self._notes(), cursor.written
            first = await self.face.append(session_id, drafts, cursor=cursor, floor=floor)
            again = await self.face.append(session_id, drafts, expected=ANY, floor=floor)
            assert first.position == again.position
            self._tell(first)

    async def create(self) -> None:
        if len(self.acked) < _SESSIONS:
            session_id = new_session_id()
            receipt = await self.face.create(session_id, start(session_id))
            self.acked[session_id] = {receipt.seq: receipt.hash}

    async def fork(self) -> None:
        if len(self.acked) < _SESSIONS:
            child, parent = new_session_id(), await self.face.head(self._any())
            receipt = await self.face.create(child, start(child, parent), parent=parent)
            if parent.session_id not in self.doomed:  # Or it goes with its parent.
                self.acked[child] = {receipt.seq: receipt.hash}

    async def read(self) -> None:
        session_id = self._any()
        told = dict(self.acked[session_id])
        found = {r.seq: r.hash async for batch in self.face.read(session_id) for r in batch}
        lost = [seq for seq, digest in told.items() if found.get(seq) != digest]
        if lost:
            print(f"{session_id}: acknowledged and lost: {lost[:5]}")
            self.wrong += 1

    async def verify(self) -> None:
        session_id = self._any()
        report = await ss.verify(self.face, session_id)
        torn = {"torn", "missing-lf"}
        found = [each for each in report.findings if each.what not in torn]
        if found and session_id in self.acked:  # Of one that was deleted, the parent may be gone.
            print(found)
            self.wrong += 1

    async def follow(self) -> None:
        batches = self.face.follow(self._any(), 0)
        await anext(batches)
        await batches.aclose()

    async def list(self) -> None:
        await self.face.list(limit=10)
        await self.face.children(self._any())

    async def trace(self) -> None:
        try:
            await self.face.append_trace(self._any(), b"{}\n")
        except OSError as full:  # A trace is no part of the log: its errors pass as they are.
            if full.errno not in NO_ROOM:
                raise
            self.refused["no room for a trace"] += 1

    async def tear(self) -> None:
        """Leave a torn tail; the next append cuts it."""
        log = self.face.core.log(self._any())
        if log.try_lock():
            try:
                _tear(Path(log.name))
            finally:
                log.unlock()

    async def kill(self) -> None:
        """Kill a child in the middle of its appends."""
        session_id, told = self._any(), Acks(1 << 17)
        pid = processes.start(lambda: _append_for_ever(self.root, session_id, told))
        await asyncio.sleep(self.random.uniform(0, 0.05))
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(processes.wait, [pid])
        for ack in told:
            if session_id in self.acked:
                self.acked[session_id][ack.seq] = ack.hash

    async def delete(self) -> None:
        session_id = self._any()
        if (await self.face.head(session_id)).seq < _RECORDS or len(self.acked) == 1:
            return
        # What its forks hold goes too, and a delete that fails may have done its work.
        gone = {session_id}
        while not gone <= self.doomed:
            self.doomed |= gone
            gone.update(await ss.descendants(self.face, session_id))
        for each in gone:
            self.acked.pop(each, None)
        await ss.delete(self.face, session_id, with_forks=True)


def _tear(path: Path) -> None:
    with path.open("r+b") as log:
        log.seek(-1, os.SEEK_END)
        if log.read() == b"\n":
            log.write(b'{"v":1,"seq":')


def _append_for_ever(root: Path, session_id: SessionId, told: Acks) -> None:
    core = store(root, lock_timeout_s=60)
    with suppress(ss.NotFound):  # Deleted by its parent.
        for number in range(told.room):
            told.add(core.append(session_id, [note("x" * (number % 7000))], expected=ANY))
    signal.pause()


def run(root: Path, *, minutes: float, seed: int) -> tuple[dict[str, object], int]:
    """Soak for so long; return what was counted, and how much of it is wrong."""
    logging.disable()
    random = Random(seed)
    before = sample(0)
    files = FailingFiles(root, random)

    async def work() -> tuple[Soak, list[Sample]]:
        soak = Soak(root, files, FsStore(FsCore(files, lock_timeout_s=30)), random)
        samples = await soak.run(60 * minutes)
        for info in await soak.face.list(limit=100_000):  # What failed is healed, the torn cut.
            with suppress(ss.NotFound):  # A delete that failed is done by the next append.
                await soak.face.append(info.session_id, [note("last")], expected=ANY)
        await soak.face.close()
        return soak, samples

    soak, samples = asyncio.run(work())
    wrong = soak.wrong + _lost(root, soak.acked) + not_intact(root)
    grown, left = rises(samples), _settled(before)
    is_long = minutes >= 10  # Before, it is the beginning that is measured.
    wrong += sum(grown[name] > most for name, most in ALLOWED.items()) if is_long else 0
    if left.descriptors > before.descriptors or left.threads > before.threads:
        print(f"before: {before}, behind: {left}: {descriptors()}")
        wrong += 1
    counts: dict[str, object] = {
        "minutes": round(minutes, 1),
        "done": soak.done.total(),
        "faults": files.faults.total(),
        "killed": soak.done["kill"],
        **dict(sorted(soak.refused.items())),
        "descriptors": max(each.descriptors for each in samples),
        "RSS MiB": max(each.memory_kib for each in samples) // 1024,
        **{f"rise of {name}": round(rise, 1) for name, rise in grown.items()},
        "wrong": int(wrong),
    }
    if wrong:
        print(f"seed {seed}")
    return counts, int(wrong)


def _settled(before: Sample) -> Sample:
    """Return what is held when the threads of a closed store have ended."""
    end = time.monotonic() + processes.TIMEOUT_S
    while (found := sample(0)).threads > before.threads and time.monotonic() < end:
        time.sleep(0.01)
    gc.collect()  # Behind the threads: what the last call of one held may lie in a cycle.
    return sample(found.at_s)


def _lost(root: Path, acked: dict[SessionId, dict[int, bytes]]) -> int:
    told = [Position(s, seq, d) for s, of_log in acked.items() for seq, d in of_log.items()]
    return look_after(store(root, lock_timeout_s=60), told, acked).wrong


def row(root: Path, *, minutes: float, seed: int) -> Row:
    counts, wrong = run(root, minutes=minutes, seed=seed)
    return Row("soak", counts, wrong, (107,))


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    minutes = 5 / 60 if smoke else FULL_MINUTES
    yield lambda: row(root / "soak", minutes=minutes, seed=SEED)


def main() -> int:
    """Soak; what was found is kept in results.json if it was for half an hour."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--minutes", type=float, default=FULL_MINUTES)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="session-store-soak-") as root:
        found = row(Path(root) / "soak", minutes=options.minutes, seed=options.seed)
    print(
        found.verdict, *(f"  {name:<24} {value}" for name, value in found.counts.items()), sep="\n"
    )
    if options.minutes >= FULL_MINUTES:
        results.keep("soak", found, time.monotonic() - began)
    return int(found.wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
