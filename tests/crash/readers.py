"""Readers beside a writer: they see whole appends that stay, or nothing of them."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

from attrs import asdict, define, field
from fs_tools import born, log_of, note, records, store

from session_store import blocking
from session_store.chain import Record
from session_store.errors import Corrupt, StoreFull
from session_store.ids import SessionId
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.reader import Follower
from session_store.testing.faults import Call, FaultyFiles, Short

from .acks import look_after
from .processes import start, wait
from .subject import Row, Subject

SEED = 20261121
_APPENDS = 40  # Of up to a MiB, and a log is long enough; then another one is begun.
_WHOLE = 1 << 20


@define
class Polls:
    """
    What a reader was given.

    Attributes:
        polls: Looks at the head, at what follows, and readings of everything.
        unseen: How often the log ended in the middle of a line just then.
        wrong: What was given and is not in the log in the end; errors.
    """

    polls: int = 0
    appends: int = 0
    unseen: int = 0
    wrong: int = 0
    _given: dict[int, bytes] = field(factory=dict, repr=False)

    def give(self, seq: int, digest: bytes) -> None:
        if self._given.setdefault(seq, digest) != digest:
            print(f"seq {seq} was {self._given[seq].hex()}, then {digest.hex()}")
            self.wrong += 1

    def compare(self, core: FsCore, session_id: SessionId) -> None:
        there = {record.seq: record.hash for record in records(core, session_id)}
        for seq, digest in self._given.items():
            if there.get(seq) != digest:
                print(f"{session_id}: seq {seq} was given and is not there")
                self.wrong += 1
        self._given.clear()
        self.appends += len(there) - 1


def poll(root: Path, *, polls: int, seed: int) -> Polls:
    """Poll a log while a writer makes long appends, some of which it must roll back."""
    random, total, core = Random(seed), Polls(), store(root)
    while total.polls < polls:
        session_id = born(core)
        pid = start(partial(_write, root, session_id, random.random()), timeout_s=3600)
        follower = core.follower(session_id, 0)
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            _look(core, session_id, follower, total, random)
        total.wrong += wait([pid]) != [0]
        total.compare(core, session_id)
        total.wrong += look_after(core, [], [session_id]).wrong
        core.delete(session_id)
    return total


def _look(
    core: FsCore, session_id: SessionId, follower: Follower, total: Polls, random: Random
) -> None:
    total.polls += 1
    total.unseen += not _ends_with_a_line(log_of(core, session_id))
    match random.choices(("head", "follow", "read"), (500, 498, 2))[0]:
        case "head":
            found = core.head(session_id)
            total.give(found.seq, found.hash)
        case "follow":
            for record in follower.more():
                total.give(record.seq, record.hash)
        case "read":
            for record in records(core, session_id):
                total.give(record.seq, record.hash)


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as log:
        log.seek(-1, os.SEEK_END)
        return log.read(1) == b"\n"


def _write(root: Path, session_id: SessionId, seed: float) -> None:
    random, files = Random(seed), FaultyFiles(root)
    core = FsCore(files, lock_timeout_s=60)
    cursor = core.open(session_id)

    def plan(call: Call) -> Short | None:
        if call.name == "write" and random.random() < 0.3:
            return Short(random.randrange(call.size))
        return None

    files.plan = plan
    for _ in range(_APPENDS):
        count = random.randint(1, 3)
        drafts = [note("x" * random.randrange(_WHOLE // count)) for _ in range(count)]
        with suppress(StoreFull):
            core.append(session_id, drafts, cursor=cursor, durability="os")
        time.sleep(random.uniform(0, 0.02))


def repairs(root: Path, *, rounds: int, seed: int) -> tuple[dict[str, object], int]:
    """
    Read a damaged log while it is repaired.

    A reader gets everything before the damage, and says where that is; or the log as it was
    repaired. It says of no other place that it is damaged.
    """
    random, wrong, damaged, whole = Random(seed), 0, 0, 0
    core = store(root, lock_timeout_s=60)
    for number in range(rounds):
        session_id = born(core, 6)
        hashes = [record.hash for record in records(core, session_id)]
        seq = random.randrange(1, 6)
        _harm(core, session_id, seq, random)
        core = store(root, lock_timeout_s=60)  # Which remembers nothing as verified.
        pid = start(partial(_repair_and_append, root, session_id))
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            found: list[bytes] = []
            try:
                for batch in core.read(session_id):
                    found += [record.hash for record in batch]
            except Corrupt as error:
                damaged += 1
                is_right = error.seq == seq and found == hashes[:seq]
            else:
                whole += 1
                is_right = found[:seq] == hashes[:seq] and hashes[seq] not in found
            if not is_right:
                print(f"seed {seed}, round {number}: {len(found)} records, damage at {seq}")
                wrong += 1
        wrong += wait([pid]) != [0]
    counts = {"repairs": rounds, "saw damage": damaged, "saw it repaired": whole, "wrong": wrong}
    return counts, wrong


def _harm(core: FsCore, session_id: SessionId, seq: int, random: Random) -> None:
    record = core.record(session_id, seq)
    at = record.offset + random.randrange(len(record.line))
    with log_of(core, session_id).open("r+b") as log:
        log.seek(at)
        byte = log.read(1)[0]
        log.seek(at)
        log.write(bytes([byte ^ 1 << random.randrange(8)]))


def _repair_and_append(root: Path, session_id: SessionId) -> None:
    core = store(root, lock_timeout_s=60)
    core.repair(session_id)
    core.append(session_id, [note()], expected=ANY)


def erasures(root: Path, *, rounds: int, seed: int) -> tuple[dict[str, object], int]:
    """
    Read a log in every way while records of it are erased.

    A reader gets the record, or that it is erased; it says of no place that it is damaged.
    """
    random, wrong, old, erased = Random(seed), 0, 0, 0
    core = store(root, lock_timeout_s=60)
    for number in range(rounds):
        session_id = born(core)
        for _ in range(5):
            text = "x" * random.choice((10, 5_000, 1 << 20))
            core.append(session_id, [note(text)], expected=ANY, durability="os")
        before = records(core, session_id)
        pid = start(partial(_erase_some, root, session_id, random.random()))
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            seq = random.randrange(1, 6)
            for found in _ways(core, session_id, seq, random):
                was = before[seq]
                is_right = found.hash == was.hash and found.body in (was.body, None)
                old, erased = old + (found.body is not None), erased + (found.body is None)
                if not is_right:
                    print(f"seed {seed}, round {number}: seq {seq} is {found.body!r:.80}")
                    wrong += 1
        wrong += wait([pid]) != [0]
        wrong += any(r.salt in log_of(core, session_id).read_bytes() for r in before[1:])
        core.delete(session_id)
    counts = {"sessions": rounds, "saw the record": old, "saw it erased": erased, "wrong": wrong}
    return counts, wrong


def _ways(core: FsCore, session_id: SessionId, seq: int, random: Random) -> Iterator[Record]:
    """Read one record in one way, and all of the log as `verify` does."""
    match random.randrange(4):
        case 0:
            yield records(core, session_id)[seq]
        case 1:
            yield core.record(session_id, seq)
        case 2:
            follower, given = core.follower(session_id, 0), list[Record]()
            while len(given) <= seq:
                given += follower.more()
            yield given[seq]
        case 3:
            with blocking.open_store(core.files.root, create=False) as opened:
                report = blocking.verify(opened, session_id)
            if {f.what for f in report.findings} - {"erased", "erasure-unfinished", "torn"}:
                raise AssertionError(report.findings)


def _erase_some(root: Path, session_id: SessionId, seed: float) -> None:
    random, core = Random(seed), store(root, lock_timeout_s=60)
    seqs = list(range(1, 6))
    random.shuffle(seqs)
    for seq in seqs:
        core.erase(session_id, [core.position(session_id, seq)], reason="asked for")


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    def polled() -> Row:
        found = poll(root / "polls", polls=2_000 if smoke else 100_000, seed=SEED)
        counts = asdict(found, filter=lambda each, _: not each.name.startswith("_"))
        return Row("reader beside long appends", counts, found.wrong, (56,))

    def repaired() -> Row:
        counts, wrong = repairs(root / "repairs", rounds=10 if smoke else 500, seed=SEED)
        return Row("reader beside a repair", counts, wrong, (57,))

    def erased() -> Row:
        counts, wrong = erasures(root / "erasures", rounds=5 if smoke else 500, seed=SEED)
        return Row("reader beside an erasure", counts, wrong, (57,))

    yield polled
    yield repaired
    yield erased
