"""Writers killed with SIGKILL at random: what they were told is in the logs, and every log opens."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from os import urandom
from pathlib import Path
from random import Random

from attrs import asdict, evolve, frozen
from fs_tools import born, log_of, note, records, store
from fs_tools import start as start_drafts

from session_store.chain import Head, link
from session_store.codec import draft
from session_store.entries import Durability, LabelsChanged
from session_store.errors import AlreadyExists
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import Call, FaultyFiles

from .acks import Acks, Aftermath, look_after, not_intact
from .processes import start, wait
from .subject import Row, Subject

SEED = 20261121
_ROUNDS_PER_STORE = 10
_PATIENCE_S = 10.0
_SIZES = [10, 100, 1000, 5000, 70_000]
_KEYS = 5
_RECOVERY_CALLS = 28
"""That change or sync something, in an append behind the first torn tail of a store."""


@frozen
class Outcome:
    """
    What was counted.

    Attributes:
        lost: Acknowledged records that are not in their log.
        torn: Logs that ended in the middle of an append.
        recovering: Logs whose recovery was under way: the pending mark was left.
        unopened: Logs that did not open, hold, or take one more append.
    """

    rounds: int = 0
    acked: int = 0
    lost: int = 0
    torn: int = 0
    recovering: int = 0
    unopened: int = 0

    @property
    def wrong(self) -> int:
        return self.lost + self.unopened + (self.acked == 0)

    def after(self, found: Aftermath) -> "Outcome":
        return evolve(
            self,
            rounds=self.rounds + 1,
            acked=self.acked + found.acked,
            lost=self.lost + found.lost,
            unopened=self.unopened + found.broken,
        )


def run(root: Path, *, rounds: int, writers: int, level: Durability, seed: int) -> Outcome:
    """
    Let *writers* work on two sessions, kill them all, hold the logs against their acks; again.

    Every second log gets a torn tail before a round, so that its writers are killed in
    recovery too. After each tenth round every session is verified, and a store begun anew.
    """
    random, total = Random(seed), Outcome()
    receipts = [Acks() for _ in range(writers)]
    for number in range(rounds):
        if number % _ROUNDS_PER_STORE == 0:
            where = root / str(number)
            core = store(where, lock_timeout_s=60)
            sessions = [born(core) for _ in range(2)]
        _tear(core, sessions[number % 2], random)
        _round(where, sessions, receipts, level, random)
        torn = sum(_is_torn(core, session_id) for session_id in sessions)
        recovering = sum(layout.pending_path(s) in _marks(core) for s in sessions)
        acks = [ack for told in receipts for ack in told]
        total = total.after(look_after(core, acks, sessions))
        total = evolve(total, torn=total.torn + torn, recovering=total.recovering + recovering)
        if (number + 1) % _ROUNDS_PER_STORE == 0 or number + 1 == rounds:
            total = evolve(total, unopened=total.unopened + not_intact(where))
            core.close()
            shutil.rmtree(where)
        if total.lost or total.unopened:
            print(f"seed {seed}, round {number}")
    return total


def _marks(core: FsCore) -> set[str]:
    return {f"{layout.PENDING}/{name}" for name in core.files.names(layout.PENDING)}


def _is_torn(core: FsCore, session_id: SessionId) -> bool:
    return (
        core.record(session_id, core.head(session_id).seq).end
        != log_of(core, session_id).stat().st_size
    )


def _tear(core: FsCore, session_id: SessionId, random: Random) -> None:
    """Leave what a write that was cut short would have left."""
    last = core.record(session_id, core.head(session_id).seq)
    head = Head(session_id, last.seq, last.ts, last.hash)
    lines, _ = link(head, last.ts, [note("x" * random.choice(_SIZES)) for _ in range(2)])
    with log_of(core, session_id).open("ab") as log:
        log.write(lines[: random.randrange(1, len(lines) - 1)])


def _round(
    root: Path, sessions: list[SessionId], receipts: list[Acks], level: Durability, random: Random
) -> None:
    pids = []
    for number, acks in enumerate(receipts):
        acks.clear()
        session_id, seed = sessions[number % len(sessions)], random.random()
        pids.append(start(lambda s=session_id, a=acks, r=seed: _write(root, s, a, level, r)))
    if random.random() < 0.5:  # Else killed as they begin: on a busy machine that would be all.
        _await_one(receipts)
    time.sleep(random.uniform(0, 0.05))
    for pid in random.sample(pids, len(pids)):
        os.kill(pid, signal.SIGKILL)
        time.sleep(random.uniform(0, 0.001))
    assert {-signal.SIGKILL} == set(wait(pids)), "a writer ended before it was killed"


def _await_one(receipts: list[Acks]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not any(map(len, receipts)) and time.monotonic() < end:
        time.sleep(0.001)


def _write(root: Path, session_id: SessionId, acks: Acks, level: Durability, seed: float) -> None:
    random, core = Random(seed), store(root, lock_timeout_s=60)
    cursor = core.open(session_id, shared=True)
    while True:
        match random.choices(("append", "label", "create", "key", "fork"), (88, 4, 2, 3, 3))[0]:
            case "append":
                drafts = [note("x" * random.choice(_SIZES)) for _ in range(random.randint(1, 3))]
                acks.add(core.append(session_id, drafts, cursor=cursor, durability=level))
            case "label":
                labels = draft(LabelsChanged({"n": random.random()}), urandom(16))
                acks.add(core.append(session_id, [labels], expected=ANY, durability=level))
            case "create":
                child = new_session_id()
                acks.add(core.create(child, start_drafts(child), durability=level))
            case "key":
                _create_with_key(core, acks, f"k:{random.randrange(_KEYS)}", level)
            case "fork":
                child, parent = new_session_id(), core.head(session_id)
                drafts = start_drafts(child, parent)
                acks.add(core.create(child, drafts, parent=parent, durability=level))


def _create_with_key(core: FsCore, acks: Acks, key: str, level: Durability) -> None:
    child = new_session_id()
    try:
        acks.add(core.create(child, start_drafts(child), key=key, durability=level))
    except AlreadyExists as taken:
        assert core.is_born(SessionId(taken.session_id))
    else:
        assert child == core.find(key)


def recoveries(root: Path, *, rounds: int, seed: int) -> tuple[dict[str, object], int]:
    """
    Kill a recovery at one of its calls, kill the redo at another, and let a third finish.

    However often it began: the log has what it had, one record of each cut and the
    append; the bytes that were cut are kept.
    """
    random, wrong, killed, marked = Random(seed), 0, 0, 0
    for number in range(rounds):
        where = root / str(number)
        core = store(where)
        session_id = born(core, 3)
        path, good = log_of(core, session_id), log_of(core, session_id).read_bytes()
        _tear(core, session_id, random)
        tail = path.read_bytes()[len(good) :]
        deaths = [random.randrange(_RECOVERY_CALLS), random.randrange(_RECOVERY_CALLS)]
        for at in deaths:
            codes = wait([start(lambda r=where, s=session_id, n=at: _recover(r, s, n))])
            killed += codes == [-signal.SIGKILL]
            marked += layout.pending_path(session_id) in _marks(core)
        core.append(session_id, [note("last")], expected=ANY)
        if _is_mended_otherwise(core, session_id, good, tail):
            print(f"seed {seed}, round {number}: killed at calls {deaths}")
            wrong += 1
        core.close()
        shutil.rmtree(where)
    return {"rounds": rounds, "killed": killed, "left a mark": marked, "wrong": wrong}, wrong


def _recover(root: Path, session_id: SessionId, at: int) -> None:
    files = FaultyFiles(root)
    core = FsCore(files)
    first = len(files.calls)

    def plan(call: Call) -> None:
        if call.number == first + at:
            os.kill(os.getpid(), signal.SIGKILL)

    files.plan = plan
    core.append(session_id, [note("child")], expected=ANY)


def _is_mended_otherwise(core: FsCore, session_id: SessionId, good: bytes, tail: bytes) -> bool:
    log, found = log_of(core, session_id).read_bytes(), records(core, session_id)
    recovered = [record for record in found if record.kind == "recovery"]
    quarantine = Path(core.files.name(layout.QUARANTINE))
    # A redo that was killed in its own first append tears the log again, and cuts that.
    kept = [p.read_bytes() for p in sorted(quarantine.glob(f"{session_id}-{len(good)}-*"))]
    return not (
        log.startswith(good)
        and found[4].kind == "recovery"
        and tail in kept
        and len(recovered) == len(list(quarantine.glob(f"{session_id}-*")))
        and found[-1].body is not None
        and b'"last"' in found[-1].body
        and layout.pending_path(session_id) not in _marks(core)
    )


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    def row(level: Durability, rounds: int) -> Row:
        outcome = run(root / level, rounds=rounds, writers=8, level=level, seed=SEED)
        matrix = (1, 5) if level == "disk" else (2, 5)
        return Row(f"kill -9 of 8 writers, {level}", asdict(outcome), outcome.wrong, matrix)

    def twice() -> Row:
        counts, wrong = recoveries(root / "twice", rounds=10 if smoke else 500, seed=SEED)
        return Row("kill -9 of a recovery, twice", counts, wrong, (5,))

    yield lambda: row("disk", 10 if smoke else 3000)
    yield lambda: row("os", 10 if smoke else 1000)
    yield twice
