"""Killing a worker in the middle of appending, and counting what is left."""

import subprocess
import sys
from collections.abc import Iterator

from attrs import define, field

from .. import blocking
from ..ids import SessionId
from .failures import ENVIRONMENT, Failure
from .naming import size_of

LIVES = (8, 3, 11, 0, 6, 2, 13, 1, 5, 10, 4, 0, 9, 2, 12, 3, 1, 8, 5, 0, 6, 11, 4, 2, 7)
"""
Receipts that each worker lives to report. Killed after 0 it dies while it recovers what the
one before left; the last one dies between a tool call and its result.
"""


@define
class Tally:
    """
    What the kills left.

    Attributes:
        acknowledged: seq → hash of every receipt that a worker reported.
        torn: Kills that left half of something behind the last whole append.
        lost: Acknowledged records that the log does not hold.
    """

    kills: int = 0
    torn: int = 0
    lost: int = 0
    acknowledged: dict[int, str] = field(factory=dict)


def kill_workers(store: blocking.Store, root: str, session_id: SessionId) -> Iterator[Tally]:
    """Run workers one after the other, kill each in an append; give the tally after each."""
    tally = Tally()
    for receipts in LIVES:
        with _start(root, session_id, receipts) as worker:
            try:
                _hear(worker, tally)
            finally:
                worker.kill()
        tally.kills += 1
        _count(store, session_id, tally)
        yield tally


def _start(root: str, session_id: SessionId, receipts: int) -> "subprocess.Popen[bytes]":
    module = f"{__package__}.demo_worker"
    return subprocess.Popen(  # noqa: S603 - this very program
        [sys.executable, "-m", module, root, session_id, str(receipts)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the demo, which then ends its worker.
    )


def _hear(worker: "subprocess.Popen[bytes]", tally: Tally) -> None:
    """Note the receipts up to the stall."""
    assert worker.stdout is not None
    assert worker.stderr is not None
    for line in worker.stdout:
        if line == b"~\n":
            return
        seq, hash_ = line.decode().split()
        tally.acknowledged[int(seq)] = hash_
    last = worker.stderr.read().decode(errors="replace").strip().splitlines()[-1:]
    raise Failure(f"a worker ended by itself: {' '.join(last)}", ENVIRONMENT)


def _count(store: blocking.Store, session_id: SessionId, tally: Tally) -> None:
    """Look for every receipt in the log, reading and verifying all of it."""
    found: dict[int, str] = {}
    end = 0
    for batch in store.read(session_id):
        found |= {record.seq: record.hash.hex() for record in batch}
        end = batch[-1].end
    tally.torn += size_of(store, session_id) > end
    tally.lost = sum(found.get(seq) != hash_ for seq, hash_ in tally.acknowledged.items())
