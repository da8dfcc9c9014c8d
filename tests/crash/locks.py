"""The lock of a log between processes: stopped holders, dead ones, their children, and a cleaner."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from mmap import mmap
from pathlib import Path
from random import Random

from fs_tools import born, log_of, note, records, store

from session_store.errors import Locked, NotFound
from session_store.ids import SessionId
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import Call, FaultyFiles

from .acks import Acks, look_after
from .processes import TIMEOUT_S, program, start, wait
from .subject import Row, Subject

SEED = 20261121
_SHORT_S = 0.05


def stopped_holders(root: Path, *, trials: int) -> tuple[dict[str, object], int]:
    """
    SIGSTOP a writer with the lock in its hand: others get Locked, and never its place.

    When it goes on it ends what it began, and so does everybody behind it.
    """
    core, hasty = store(root, lock_timeout_s=60), store(root, lock_timeout_s=_SHORT_S)
    session_id, locked, wrong = born(core), 0, 0
    for _ in range(trials):
        told, before = Acks(), core.head(session_id)
        pid = start(partial(_append_and_stop, root, session_id, told, "write"))
        _, status = os.waitpid(pid, os.WUNTRACED)
        wrong += not os.WIFSTOPPED(status)
        try:
            hasty.append(session_id, [note("hasty")], expected=ANY)
        except Locked as refused:
            locked += refused.waited_s == _SHORT_S
        wrong += core.head(session_id) != before
        os.kill(pid, signal.SIGCONT)
        receipt = core.append(session_id, [note("patient")], expected=ANY)
        wrong += wait([pid]) != [0] or len(told) != 1
        wrong += {receipt.seq, *(ack.seq for ack in told)} != {before.seq + 1, before.seq + 2}
    wrong += trials - locked + look_after(core, [], [session_id]).wrong
    return {"stopped": trials, "locked": locked, "wrong": wrong}, wrong


def stopped_syncs(root: Path, *, trials: int) -> tuple[dict[str, object], int]:
    """SIGSTOP a writer in its sync: nobody waits for it."""
    core = store(root, lock_timeout_s=60)
    session_id, wrong = born(core), 0
    for _ in range(trials):
        told, before = Acks(), core.head(session_id)
        pid = start(partial(_append_and_stop, root, session_id, told, "sync_data"))
        os.waitpid(pid, os.WUNTRACED)
        receipt = core.append(session_id, [note("meanwhile")], expected=ANY)
        wrong += receipt.seq != before.seq + 2 or len(told) != 0
        os.kill(pid, signal.SIGCONT)
        wrong += wait([pid]) != [0] or [ack.seq for ack in told] != [before.seq + 1]
    wrong += look_after(core, [], [session_id]).wrong
    return {"stopped": trials, "wrong": wrong}, wrong


def _append_and_stop(root: Path, session_id: SessionId, told: Acks, name: str) -> None:
    files = FaultyFiles(root)
    core = FsCore(files, lock_timeout_s=60)

    def plan(call: Call) -> None:
        if call.name == name:
            os.kill(os.getpid(), signal.SIGSTOP)

    files.plan = plan
    told.add(core.append(session_id, [note()], expected=ANY))


def orphans(root: Path, *, trials: int) -> tuple[dict[str, object], int]:
    """
    Kill the holder of a lock whose children live on: the lock dies with it.

    One child was forked, another runs a program of its own.
    """
    core = store(root, lock_timeout_s=60)
    session_id, wrong = born(core), 0
    for _ in range(trials):
        alive, ended = os.pipe()
        ready, said = os.pipe()
        pid = start(partial(_hold_with_children, root, session_id, alive, ended, said))
        os.close(alive)
        os.close(said)
        wrong += len(os.read(ready, 1)) != 1
        with suppress(Locked):
            store(root, lock_timeout_s=_SHORT_S).append(session_id, [note()], expected=ANY)
            wrong += 1
        os.kill(pid, signal.SIGKILL)
        wait([pid])
        try:
            core.append(session_id, [note()], expected=ANY)
        except Locked:
            wrong += 1
        os.close(ended)  # Which the children wait for.
        os.close(ready)
    wrong += look_after(core, [], [session_id]).wrong
    return {"killed": trials, "wrong": wrong}, wrong


def _hold_with_children(
    root: Path, session_id: SessionId, alive: int, ended: int, said: int
) -> None:
    os.close(ended)
    core = store(root)
    core.log(session_id).lock(60)
    if os.fork() == 0:
        while os.read(alive, 1):
            pass
        os._exit(0)
    subprocess.Popen(["cat"], stdin=alive, stdout=subprocess.DEVNULL, close_fds=False)
    os.write(said, b"x")
    signal.pause()


def closers(root: Path, *, trials: int) -> tuple[dict[str, object], int]:
    """Open and close a log in every other way while it is locked: the lock stays."""
    core, reader = store(root), store(root)
    session_id = born(core, 3)
    path, wrong = log_of(core, session_id), 0
    for _ in range(trials):
        core.log(session_id).lock(60)
        path.read_bytes()
        records(reader, session_id)
        reader.head(session_id)
        reader.close()
        reader = store(root)
        wrong += wait([start(partial(_find_it_locked, root, session_id))]) != [0]
        core.log(session_id).unlock()
    wrong += look_after(core, [], [session_id]).wrong
    return {"trials": trials, "wrong": wrong}, wrong


def _find_it_locked(root: Path, session_id: SessionId) -> None:
    assert not store(root).log(session_id).try_lock()


def cleaners(root: Path, *, trials: int, seed: int) -> tuple[dict[str, object], int]:
    """
    Delete sessions that somebody is writing to.

    While a writer has the lock the session stays. Behind the delete no append is
    acknowledged, and nothing is made anew.
    """
    random, wrong, acked, locked = Random(seed), 0, 0, 0
    core, hasty = store(root, lock_timeout_s=60), store(root, lock_timeout_s=_SHORT_S)
    for number in range(trials):
        session_id, told, gone = born(core), Acks(), mmap(-1, 1)
        pid = start(partial(_append_until_gone, root, session_id, told, gone))
        _await(lambda told=told: len(told) > 0)
        time.sleep(random.uniform(0, 0.003))
        core.delete(session_id)
        gone[0] = 1
        wrong += wait([pid]) != [0] or bool(list(root.glob(f"sessions/*/*/{session_id}*")))
        acked += len(told)
        locked += _is_kept_from(hasty, born(core))
        if wrong:
            print(f"seed {seed}, trial {number}")
    wrong += trials - locked
    return {"deleted": trials, "acked": acked, "locked": locked, "wrong": wrong}, wrong


def _append_until_gone(root: Path, session_id: SessionId, told: Acks, gone: mmap) -> None:
    core = store(root, lock_timeout_s=60)
    while True:
        was_gone = gone[0]
        try:
            receipt = core.append(session_id, [note()], expected=ANY, durability="os")
        except NotFound:
            return
        assert not was_gone, "acknowledged behind the delete"
        told.add(receipt)


def _is_kept_from(cleaner: FsCore, session_id: SessionId) -> bool:
    """Whether a writer that is stopped in its append is safe from *cleaner*."""
    root, told = Path(cleaner.files.root), Acks()
    pid = start(partial(_append_and_stop, root, session_id, told, "write"))
    os.waitpid(pid, os.WUNTRACED)
    try:
        cleaner.delete(session_id)
    except Locked:
        is_kept = True
    else:
        is_kept = False
    os.kill(pid, signal.SIGCONT)
    done = wait([pid]) == [0]
    return is_kept and done and [cleaner.head(session_id)] == list(told)


def _await(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.0005)


def forks(root: Path, *, trials: int) -> tuple[dict[str, object], int]:
    """Fork while other threads are inside the store; every child appends."""
    there = int(program("crash.busy_forks", str(root), str(trials)))
    return {"forks": trials, "appends of children": there}, trials - there


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    def row(name: str, matrix: int, work: Callable[[Path], tuple[dict[str, object], int]]) -> Row:
        counts, wrong = work(root / name)
        return Row(name, counts, wrong, (matrix,))

    def times(most: int) -> int:
        return 3 if smoke else most

    yield lambda: row("os.fork in the middle", 7, partial(forks, trials=20 if smoke else 500))
    yield lambda: row("unrelated close", 53, partial(closers, trials=times(50)))
    yield lambda: row("holder stopped", 54, partial(stopped_holders, trials=times(50)))
    yield lambda: row("stopped in its sync", 54, partial(stopped_syncs, trials=times(50)))
    yield lambda: row("holder killed, children live", 55, partial(orphans, trials=times(50)))
    yield lambda: row(
        "delete of a live session", 58, partial(cleaners, trials=times(50), seed=SEED)
    )
