"""Writers killed with SIGKILL at random: what they were told is in the logs, and every log opens."""

import fcntl
import os
import signal
import struct
import time
from pathlib import Path
from random import Random

from attrs import frozen
from fs_tools import born, note, store

from session_store.entries import Durability
from session_store.ids import SessionId
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore

from .processes import start, wait

_ACK = struct.Struct("<QQ32s")
_PIPE = 1024 * 1024
_ROUNDS_PER_SESSION = 10


@frozen
class Outcome:
    """
    What was counted.

    Attributes:
        lost: Acknowledged entries that are not in their log.
        torn: Logs that ended in the middle of an append.
        unopened: Logs that did not open or take an append.
    """

    rounds: int = 0
    acked: int = 0
    lost: int = 0
    torn: int = 0
    unopened: int = 0


def run(root: Path, *, rounds: int, writers: int, level: Durability, seed: int) -> Outcome:
    """Let *writers* work on two sessions, kill them all, hold the logs against their acks; again."""
    random, total = Random(seed), Outcome()
    for number in range(rounds):
        if number % _ROUNDS_PER_SESSION == 0:
            sessions = [born(store(root)) for _ in range(2)]
        acks = _round(root, sessions, writers, level, random)
        total = _add(total, _check(store(root, lock_timeout_s=30), sessions, acks))
    return total


def _round(
    root: Path, sessions: list[SessionId], writers: int, level: Durability, random: Random
) -> list[tuple[SessionId, int, bytes]]:
    pipes, pids = [], []
    for number in range(writers):
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE)
        os.set_blocking(reader, False)
        session_id, seed = sessions[number % len(sessions)], random.random()
        pids.append(start(lambda s=session_id, w=writer, r=seed: _write(root, s, w, level, r)))
        os.close(writer)
        pipes.append((session_id, reader))
    time.sleep(random.uniform(0.005, 0.06))
    for pid in random.sample(pids, len(pids)):
        os.kill(pid, signal.SIGKILL)
        time.sleep(random.uniform(0, 0.002))
    assert {-signal.SIGKILL} == set(wait(pids)), "a writer ended before it was killed"
    return [ack for session_id, reader in pipes for ack in _acks(session_id, reader)]


def _write(root: Path, session_id: SessionId, pipe: int, level: Durability, seed: float) -> None:
    random, core = Random(seed), store(root, lock_timeout_s=30)
    cursor = core.open(session_id, shared=True)
    while True:
        size = random.choice([10, 100, 1000, 200_000])
        drafts = [note("x" * size) for _ in range(random.randint(1, 3))]
        receipt = core.append(session_id, drafts, cursor=cursor, durability=level)
        os.write(pipe, _ACK.pack(receipt.seq, len(drafts), receipt.hash))


def _acks(session_id: SessionId, reader: int) -> list[tuple[SessionId, int, bytes]]:
    data = b""
    while chunk := os.read(reader, _PIPE):
        data += chunk
    os.close(reader)
    return [(session_id, seq, hash_) for seq, _, hash_ in _ACK.iter_unpack(data)]


def _check(
    core: FsCore, sessions: list[SessionId], acks: list[tuple[SessionId, int, bytes]]
) -> Outcome:
    torn = unopened = 0
    found: dict[tuple[SessionId, int], bytes] = {}
    for session_id in sessions:
        try:
            for batch in core.read(session_id):
                found.update({(session_id, r.seq): r.hash for r in batch})
            torn += len(b"".join(core.raw(session_id))) != _end(core, session_id)
            core.append(session_id, [note()], expected=ANY)
        except Exception as error:  # noqa: BLE001 - counted, told
            print(f"{session_id}: {error!r}")
            unopened += 1
    lost = [ack for ack in acks if found.get(ack[:2]) != ack[2]]
    return Outcome(1, len(acks), len(lost), torn, unopened)


def _end(core: FsCore, session_id: SessionId) -> int:
    return core.record(session_id, core.head(session_id).seq).end


def _add(a: Outcome, b: Outcome) -> Outcome:
    return Outcome(
        a.rounds + b.rounds,
        a.acked + b.acked,
        a.lost + b.lost,
        a.torn + b.torn,
        a.unopened + b.unopened,
    )
