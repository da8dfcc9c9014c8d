"""Compare-and-append by eight processes at one head, again and again: exactly one wins each time."""

import os
import select
import struct
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

from attrs import define, field
from fs_tools import born, note, records, store

from session_store.entries import EntryHash, Position
from session_store.errors import HeadMismatch
from session_store.ids import SessionId
from session_store.stores.fs.core import FsCore

from .processes import TIMEOUT_S, start, wait
from .subject import Row, Subject

SEED = 20261121
PROCESSES = 8
_HEAD = struct.Struct("<Q32s")
_ANSWER = struct.Struct("<H?60s")
_HOURS_S = 4 * 3600
_HELD = 20  # In one race of so many, all wait at the lock before it is let go.


@define
class Racers:
    """
    Processes that are sent a head, try to append to it, and say how it went.

    Attributes:
        answers: Where all of them write; whoever reads it knows when a race is over.
    """

    session_id: SessionId
    pids: list[int] = field(factory=list)
    doors: list[int] = field(factory=list)
    answers: int = -1

    def begin(self, root: Path, count: int) -> None:
        self.answers, answer = os.pipe()
        for number in range(count):
            wait_here, door = os.pipe()
            self.doors.append(door)
            work = partial(self._race, root, number, wait_here, answer)
            self.pids.append(start(work, timeout_s=_HOURS_S))
            os.close(wait_here)
        os.close(answer)

    def _race(self, root: Path, number: int, door: int, answer: int) -> None:
        for other in (*self.doors, self.answers):  # Or nobody's end would ever be seen.
            os.close(other)
        core = store(root, lock_timeout_s=60)
        while sent := os.read(door, _HEAD.size):
            seq, digest = _HEAD.unpack(sent)
            head = Position(self.session_id, seq, EntryHash(digest))
            won, found = _try(core, head)
            os.write(answer, _ANSWER.pack(number, won, found.encode()))

    def send(self, head: Position, random: Random) -> None:
        for door in random.sample(self.doors, len(self.doors)):
            os.write(door, _HEAD.pack(head.seq, head.hash))

    def results(self) -> list[tuple[int, bool, str]]:
        """Return for each its number, whether it won, and the head that it made or was told of."""
        return [self._result() for _ in self.doors]

    def _result(self) -> tuple[int, bool, str]:
        data = b""
        while len(data) < _ANSWER.size:
            ready, _, _ = select.select([self.answers], [], [], TIMEOUT_S)
            assert ready, "a process that raced says nothing"
            data += os.read(self.answers, _ANSWER.size - len(data))
        number, won, found = _ANSWER.unpack(data)
        return number, won, found.rstrip(b"\0").decode()

    def end(self) -> None:
        for door in self.doors:
            os.close(door)
        os.close(self.answers)
        assert [0] * len(self.pids) == wait(self.pids)


def _try(core: FsCore, head: Position) -> tuple[bool, str]:
    """Return whether the append won, and the head that it made or was told of."""
    try:
        receipt = core.append(head.session_id, [note()], expected=head, durability="os")
    except HeadMismatch as lost:
        assert _text(head) == lost.expected
        return False, str(lost.actual)
    return True, _text(receipt.position)


def _text(head: Position) -> str:
    return f"(seq {head.seq}, hash {head.hash.hex()[:12]})"


def run(root: Path, *, races: int, processes: int, seed: int) -> tuple[dict[str, object], int]:
    """
    Let *processes* try for each of *races* heads.

    Wrong is a race without exactly one winner, a loser that was told of another head than
    the winner's, and a log that is not the winners in their order.
    """
    random, core = Random(seed), store(root, lock_timeout_s=60)
    racers = Racers(born(core))
    racers.begin(root, processes)
    head, wrong, wins = core.head(racers.session_id), 0, Counter[int]()
    heads = [_text(head)]
    log = core.log(racers.session_id)
    for number in range(races):
        if number % _HELD == 0:
            log.lock(60)
        racers.send(head, random)
        if number % _HELD == 0:
            log.unlock()
        results = racers.results()
        winners = [who for who, won, _ in results if won]
        head = core.head(racers.session_id)
        told = {found for _, _, found in results}
        if len(winners) != 1 or told != {_text(head)} or head.seq != number + 1:
            print(f"seed {seed}, race {number}: the head is {head}, the racers say {results}")
            wrong += 1
        wins.update(winners)
        heads.append(_text(head))
    racers.end()
    wrong += heads != [_text(each) for each in _positions(core, racers.session_id)]
    shares = {"fewest wins": min(wins.values()), "most wins": max(wins.values())}
    return {"races": races, "processes": processes, **shares, "wrong": wrong}, wrong


def _positions(core: FsCore, session_id: SessionId) -> list[Position]:
    return [Position(session_id, r.seq, EntryHash(r.hash)) for r in records(core, session_id)]


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    def row() -> Row:
        races = 300 if smoke else 50_000
        counts, wrong = run(root / "races", races=races, processes=PROCESSES, seed=SEED)
        return Row("compare-and-append, 8 processes", counts, wrong, (51,))

    yield row
