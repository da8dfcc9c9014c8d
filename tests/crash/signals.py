"""SIGINT and SIGTERM at any moment of an append, caught by a program that goes on."""

import mmap
import os
import signal
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from types import FrameType

from fs_tools import bodies, born, note, store

from session_store.entries import Durability
from session_store.errors import Locked
from session_store.ids import SessionId

from .acks import Acks, look_after
from .processes import start, wait
from .subject import Row, Subject

SEED = 20261121
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """What the handler of a signal raises."""


class Storm:
    """
    The signals that a process gets, each of which interrupts what it is at.

    One at a time: behind one that raised, others are counted alone until `calm` says
    that it was caught.
    """

    _FORMAT = struct.Struct("<QQQ")

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, self._FORMAT.size)
        self._armed = False
        self._listens, self._listen_end = os.pipe()

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many signals came, how many interrupted the work, how many locks stayed taken."""
        return self._FORMAT.unpack_from(self._memory)

    def _count(self, *, came: int = 0, interrupted: int = 0, stuck: int = 0) -> None:
        a, b, c = self.counts
        self._FORMAT.pack_into(self._memory, 0, a + came, b + interrupted, c + stuck)

    def stuck(self) -> None:
        self._count(stuck=1)

    def _meet(self, _: int, __: FrameType | None) -> None:
        self._count(came=1, interrupted=self._armed)
        if self._armed:
            self._armed = False
            raise Interrupted

    def listen(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._meet)
        os.write(self._listen_end, b"x")

    def wait_for_listener(self) -> None:
        os.read(self._listens, 1)
        os.close(self._listens)
        os.close(self._listen_end)

    def try_until_done(self, work: Callable[[], None]) -> None:
        """Do *work* again until it was not interrupted."""
        while True:
            try:
                self._armed = True
                work()
                self._armed = False
            except Interrupted:
                continue
            return


def run(root: Path, *, signals: int, level: Durability, seed: int) -> tuple[dict[str, object], int]:
    """
    Send a writer *signals*, each in the middle of something; it tries the same drafts again.

    Wrong is a receipt for what is not in the log, a draft that is there twice or out of
    order, and a lock that stays taken.
    """
    random, core = Random(seed), store(root)
    session_id, storm, acks, done = born(core), Storm(), Acks(64 << 20), mmap.mmap(-1, 1)
    pid = start(lambda: _write(root, session_id, storm, acks, done, level=level), timeout_s=1800)
    storm.wait_for_listener()
    while storm.counts[0] < signals and not _has_ended(pid):
        os.kill(pid, random.choice(SIGNALS))
        time.sleep(random.uniform(0, 0.0006))
    done[0] = 1
    failed = wait([pid]) != [0]
    written = [body for body in bodies(core, session_id) if b'"n-' in body]
    numbers = [int(body.split(b'"n-')[1].split(b'"')[0]) for body in written]
    disorder = numbers != list(range(len(numbers)))
    found = look_after(core, set(acks))
    came, interrupted, stuck = storm.counts
    counts = {
        "signals": came,
        "interrupted": interrupted,
        "appends": len(numbers),
        "lost": found.lost,
        "out of order": int(disorder),
        "locks left taken": stuck,
    }
    return counts, found.wrong + disorder + failed + stuck + (not interrupted)


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _write(
    root: Path,
    session_id: SessionId,
    storm: Storm,
    acks: Acks,
    done: mmap.mmap,
    *,
    level: Durability,
) -> None:
    core = store(root, lock_timeout_s=2)
    cursor, number = core.open(session_id), 0
    storm.listen()
    while not done[0]:
        append = partial(
            core.append,
            session_id,
            [note(f"n-{number}")],
            cursor=cursor,
            floor=cursor.written,
            durability=level,
        )
        try:
            storm.try_until_done(lambda: acks.add(append()))  # noqa: B023 - called here
        except Locked:
            storm.stuck()
            os._exit(3)
        number += 1


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    def row(level: Durability) -> Row:
        counts, wrong = run(root / level, signals=500 if smoke else 10_000, level=level, seed=SEED)
        return Row(f"SIGINT and SIGTERM, {level}", counts, wrong, (6,))

    yield lambda: row("disk")
    yield lambda: row("os")
