"""A writer that does everything a store offers, at random, and leaves word of what it was told."""

import errno
import logging
import mmap
import os
import signal
from os import urandom
from pathlib import Path
from random import Random

from attrs import define, field
from fs_tools import log_of, note, start, store

from session_store.codec import draft
from session_store.entries import Durability, LabelsChanged, Receipt
from session_store.errors import DurabilityLost, StoreFull
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.recovery import mark_lost

from .acks import Acks

_SIZES = [10, 100, 1000, 5000, 70_000]
_WEIGHTS = {
    "append": 70,
    "flush": 4,
    "label": 3,
    "create": 3,
    "create_with_key": 3,
    "create_whole": 3,
    "fork": 4,
    "delete": 3,
    "tear": 3,
    "repair": 3,
    "heal": 3,
}


def key_of(session_id: SessionId) -> str:
    return f"test:{session_id}"


class LastWord:
    """Why a process stopped working, in memory that outlives it; "" if it did not."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 4096)

    def __str__(self) -> str:
        return self._memory[:].rstrip(b"\0").decode(errors="replace")

    def say(self, error: BaseException) -> None:
        text = repr(error).encode()[:4096]
        self._memory[: len(text)] = text


@define
class Words:
    """
    What one writer was told, in memory that its parent shares.

    Attributes:
        disk, os: Receipts, by their level.
        keyed: First receipts of sessions that have `key_of` as their key.
        mending: Sessions that the writer itself damages, before it does.
        doomed, gone: Sessions about to be deleted, and deleted.
        stopped: The error of the disk that ended the work; before a power cut there is none.
    """

    disk: Acks = field(factory=Acks)
    os: Acks = field(factory=Acks)
    keyed: Acks = field(factory=Acks)
    mending: Acks = field(factory=Acks)
    doomed: Acks = field(factory=Acks)
    gone: Acks = field(factory=Acks)
    stopped: LastWord = field(factory=LastWord)


class Writer:
    """Works on *sessions*, which others share, and on sessions of its own."""

    def __init__(
        self, core: FsCore, sessions: list[SessionId], told: Words, level: Durability, seed: float
    ) -> None:
        self._core = core
        self._sessions = sessions
        self._told = told
        self._level = level
        self._random = Random(seed)

    def step(self) -> None:
        """Do one thing."""
        getattr(self, self._random.choices([*_WEIGHTS], [*_WEIGHTS.values()])[0])()

    def _tell(self, receipt: Receipt) -> Receipt:
        assert receipt.level == "disk" or self._level == "os", "not the level that was asked for"
        (self._told.disk if receipt.level == "disk" else self._told.os).add(receipt)
        return receipt

    def _session(self) -> SessionId:
        return self._random.choice(self._sessions)

    def _notes(self) -> list:
        size = self._random.choice(_SIZES)
        return [note("x" * size) for _ in range(self._random.randint(1, 3))]

    def _born(self, **options: object) -> SessionId:
        session_id = new_session_id()
        self._tell(self._core.create(session_id, start(session_id), durability="disk", **options))
        return session_id

    def _append(self, session_id: SessionId, level: Durability | None = None) -> Receipt:
        level = level or self._level
        return self._core.append(session_id, self._notes(), expected=ANY, durability=level)

    def append(self) -> None:
        self._tell(self._append(self._session()))

    def flush(self) -> None:
        self._tell(self._core.flush(self._session()))

    def label(self) -> None:
        labels = draft(LabelsChanged({"n": self._random.random()}), urandom(16))
        session_id = self._session()
        self._tell(self._core.append(session_id, [labels], expected=ANY, durability=self._level))

    def create(self) -> None:
        session_id = new_session_id()
        self._tell(self._core.create(session_id, start(session_id), durability=self._level))
        self._tell(self._append(session_id))

    def create_with_key(self) -> None:
        session_id = new_session_id()
        receipt = self._core.create(session_id, start(session_id), key=key_of(session_id))
        if self._tell(receipt).level == "disk":
            self._told.keyed.add(receipt)

    def create_whole(self) -> None:
        session_id = new_session_id()
        birth = self._core.begin_whole(session_id)
        self._core.add_whole(birth, [start(session_id), self._notes(), self._notes()])
        receipt = self._core.publish_whole(birth, key_of(session_id))
        self._told.keyed.add(self._tell(receipt))

    def fork(self) -> None:
        child, parent = new_session_id(), self._core.head(self._session())
        drafts = start(child, parent)
        self._tell(self._core.create(child, drafts, parent=parent, durability=self._level))

    def delete(self) -> None:
        session_id = new_session_id()
        receipt = self._core.create(session_id, start(session_id), durability="disk")
        self._told.doomed.add(receipt)
        self._core.delete(session_id)
        self._told.gone.add(receipt)

    def tear(self) -> None:
        """Leave what an interrupted append leaves; the next one cuts it."""
        session_id = self._born()
        with log_of(self._core, session_id).open("ab") as log:
            log.write(b'{"v":1,"seq":1,' + bytes(self._random.randrange(5000)))
        self._tell(self._append(session_id))

    def repair(self) -> None:
        """Damage a log behind what was acknowledged, and repair it."""
        session_id = self._born()
        self._told.mending.add(self._tell(self._append(session_id, "disk")))
        victim = self._append(session_id, "disk")
        record = self._core.record(session_id, victim.seq)
        self._append(session_id, "disk")
        fd = os.open(log_of(self._core, session_id), os.O_WRONLY)
        os.pwrite(fd, b"?", record.offset + self._random.randrange(len(record.line)))
        os.fsync(fd)
        os.close(fd)
        self._core.repair(session_id)
        self._tell(self._append(session_id))

    def heal(self) -> None:
        """Go on behind a sync that failed: the log is copied, and renamed into its place."""
        session_id = self._born()
        self._tell(self._append(session_id, "disk"))
        log = self._core.log(session_id)
        mark_lost(log, log.lose(OSError(errno.EIO, os.strerror(errno.EIO))), 60)
        self._tell(self._append(session_id))


def work(
    root: Path, sessions: list[SessionId], told: Words, level: Durability, seed: float
) -> None:
    """
    Write until killed.

    Whatever is told after the power went: it is an error of the disk, and not that
    something is damaged, or is not there.
    """
    logging.disable()
    try:
        core = store(root, lock_timeout_s=60, durability=level)
        writer = Writer(core, sessions, told, level, seed)
        while True:
            writer.step()
    except (DurabilityLost, StoreFull, OSError) as error:
        told.stopped.say(error)
        signal.pause()
