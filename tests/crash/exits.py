"""Processes that run out of memory, or end without closing anything: what they were told stays."""

import asyncio
import faulthandler
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from mmap import mmap
from pathlib import Path
from random import Random

from fs_tools import bodies, born, note, store
from real_tools import Unavailable

from session_store.entries import EntryHash, Position
from session_store.errors import Locked
from session_store.ids import SessionId
from session_store.stores import ANY, FsStore

from .acks import Acks, look_after
from .processes import TIMEOUT_S, start, wait
from .subject import Row, Subject

SEED = 20261121
MIB = 1 << 20
_CGROUPS = Path("/sys/fs/cgroup")
_GROUP_MIB = 60
_ALLOCATIONS = 600
"""More than an append makes."""

Counted = tuple[dict[str, object], int]


@contextmanager
def memory_group(mebibytes: int) -> Iterator[Path]:
    """Make a control group whose processes are killed when they take more."""
    old, new = _CGROUPS / "memory", _CGROUPS / "cgroup.subtree_control"
    name = f"session-store-{os.getpid()}"
    if (old / "memory.limit_in_bytes").exists():
        group, limit = old / name, "memory.limit_in_bytes"
    elif new.exists() and "memory" in new.read_text():
        group, limit = _CGROUPS / name, "memory.max"
    else:
        raise Unavailable("there is no control group for memory here")
    try:
        group.mkdir()
    except OSError as error:
        raise Unavailable(f"no control group can be made: {error}") from error
    try:
        (group / limit).write_text(str(mebibytes * MIB))
        yield group
    finally:
        group.rmdir()


def out_of_memory(root: Path, *, rounds: int) -> Counted:
    """Let the kernel kill writers that take too much memory."""
    core, killed, total = store(root, lock_timeout_s=60), 0, 0
    session_id, wrong = born(core), 0
    with memory_group(_GROUP_MIB) as group:
        for number in range(rounds):
            told, level = Acks(), "os" if number % 2 else "disk"
            pid = start(partial(_eat, root, session_id, told, group, level))
            killed += wait([pid]) == [-signal.SIGKILL]
            wrong += look_after(core, told, [session_id]).wrong
            total += len(told)
    return {"rounds": rounds, "killed": killed, "acked": total, "wrong": wrong}, wrong + (
        not killed
    )


def _eat(root: Path, session_id: SessionId, told: Acks, group: Path, level: str) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))
    core, eaten = store(root, lock_timeout_s=60), []
    while len(eaten) < 10 * _GROUP_MIB:
        size = 100_000 if len(eaten) % 3 else 10
        told.add(core.append(session_id, [note("x" * size)], expected=ANY, durability=level))
        eaten.append(b"x" * MIB)


def no_address_space(root: Path, *, rounds: int, seed: int) -> Counted:
    """Append longer and longer entries below a limit of the address space (RLIMIT_AS)."""
    random, core = Random(seed), store(root, lock_timeout_s=60)
    wrong = refused = died = total = 0
    for _ in range(rounds):
        session_id, told, met = born(core), Acks(), Acks()
        room = random.randrange(2 * MIB, 40 * MIB)
        code = wait([start(partial(_grow, root, session_id, told, met, room))])[0]
        # SIGABRT or SIGSEGV: a library below Python may know no other answer.
        died += code < 0
        refused += len(met)
        bad = look_after(core, told, [session_id]).wrong + (code > 0)
        if bad:
            print(f"seed {seed}: {room} bytes of room, exit code {code}")
        wrong, total = wrong + bad, total + len(told)
    counts = {"rounds": rounds, "MemoryError": refused, "died": died, "acked": total}
    return {**counts, "wrong": wrong}, wrong + (not refused + died)


def _grow(root: Path, session_id: SessionId, told: Acks, met: Acks, room: int) -> None:
    faulthandler.disable()  # What a library does below Python is counted, not shown.
    core = store(root, lock_timeout_s=60)
    cursor = core.open(session_id)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + room
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    size = 100_000
    for _ in range(12):
        try:
            told.add(core.append(session_id, [note("x" * size)], cursor=cursor, durability="os"))
        except MemoryError:
            # It is the append that failed, and not the handle.
            receipt = core.append(session_id, [note("small")], cursor=cursor, durability="os")
            told.add(receipt)
            met.add(receipt)
            return
        size = size * 8 // 5


def no_allocation(root: Path, *, step: int) -> Counted:
    """Let every *step*-th allocation of an append fail, one at a time, and try the same drafts again."""
    try:
        import _testcapi  # noqa: F401 - not every Python has it
    except ImportError:
        raise Unavailable("this Python was built without its module _testcapi") from None
    core, told, place = store(root, lock_timeout_s=60), Acks(), mmap(-1, 32)
    session_id, died, wrong = born(core), 0, 0
    while int.from_bytes(place[:8]) < _ALLOCATIONS:
        code = wait([start(partial(_starve, root, session_id, told, place, step))])[0]
        died += code < 0  # Of the very allocation: Python itself does not survive every one.
        if code > 0:
            print(f"allocation {int.from_bytes(place[:8])}: exit code {code}")
            wrong += 1
    refused, stuck = int.from_bytes(place[8:16]), int.from_bytes(place[16:24])
    found = [body for body in bodies(core, session_id) if b'"n-' in body]
    numbers = [int(body.split(b'"n-')[1].split(b'"')[0]) for body in found]
    wrong += len(numbers) - len(set(numbers)) + (numbers != sorted(numbers)) + stuck
    wrong += look_after(core, told, [session_id]).wrong
    counts = {"allocations": _ALLOCATIONS // step, "MemoryError": refused, "died": died}
    return {**counts, "acked": len(told), "wrong": wrong}, wrong + (not refused)


def _starve(root: Path, session_id: SessionId, told: Acks, place: mmap, step: int) -> None:
    from _testcapi import remove_mem_hooks, set_nomemory

    core = store(root, lock_timeout_s=2)
    number, refused, stuck = (int.from_bytes(place[n : n + 8]) for n in (0, 8, 16))
    while number < _ALLOCATIONS:
        drafts, floor = [note(f"n-{number}")], core.head(session_id)
        append = partial(
            core.append, session_id, drafts, expected=ANY, floor=floor, durability="os"
        )
        place[:8] = (number + step).to_bytes(8)
        try:
            set_nomemory(number, number + 1)
            append()
        except MemoryError:
            refused += 1
        finally:
            remove_mem_hooks()
        try:
            told.add(append())
        except Locked:
            stuck += 1
            core = store(root, lock_timeout_s=2)
        place[8:24] = refused.to_bytes(8) + stuck.to_bytes(8)
        number += step


def exits(root: Path, *, rounds: int, seed: int) -> Counted:
    """os._exit in the middle of the work of an asyncio program, its store open."""
    random, core, wrong, total = Random(seed), store(root, lock_timeout_s=60), 0, 0
    session_id = born(core)
    for number in range(rounds):
        told, level = Acks(), "os" if number % 2 else "disk"
        after_s = random.uniform(0, 0.02)
        pid = start(partial(_leave, root, session_id, told, level, after_s))
        wrong += wait([pid]) != [0]
        wrong += look_after(core, told, [session_id]).wrong
        total += len(told)
    return {"rounds": rounds, "acked": total, "wrong": wrong}, wrong + (not total)


def _leave(root: Path, session_id: SessionId, told: Acks, level: str, after_s: float) -> None:
    asyncio.run(_work(root, session_id, told.add, level, after_s))
    raise AssertionError("came back")


async def _work(
    root: Path, session_id: SessionId, tell: Callable, level: str, after_s: float
) -> None:
    face, end = FsStore(store(root, lock_timeout_s=60)), time.monotonic() + after_s

    async def append() -> None:
        cursor = await face.open(session_id, shared=True)
        while True:
            tell(await face.append(session_id, [note()], cursor=cursor, durability=level))
            if time.monotonic() > end:
                os._exit(0)

    await asyncio.gather(*(append() for _ in range(4)))


def ends(root: Path, *, rounds: int) -> Counted:
    """End the interpreter with a store open and appends on their way: nothing lost, no complaint."""
    core, wrong, total = store(root, lock_timeout_s=60), 0, 0
    session_id = born(core)
    paths = os.pathsep.join(path for path in sys.path if path)
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "crash.exits", str(root), session_id],
            capture_output=True,
            text=True,
            timeout=10 * TIMEOUT_S,
            check=False,
            env={**os.environ, "PYTHONPATH": paths},
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        acks = [Position(session_id, seq, EntryHash(bytes.fromhex(h))) for seq, h in lines]
        if done.returncode or done.stderr:
            print(f"exit code {done.returncode}: {done.stderr}")
            wrong += 1
        wrong += look_after(core, acks, [session_id]).wrong
        total += len(acks)
    return {"rounds": rounds, "acked": total, "wrong": wrong}, wrong + (not total)


def _main(root: str, session_id: SessionId) -> None:
    """Append with a sync core and an asyncio store; close neither."""
    core = store(Path(root))
    face = FsStore(store(Path(root)))

    async def run() -> None:
        receipts = [
            core.append(session_id, [note()], expected=ANY),
            await face.append(session_id, [note()], expected=ANY),
            await face.append(session_id, [note()], expected=ANY, durability="os"),
        ]
        for each in receipts:
            sys.stdout.write(json.dumps([each.seq, each.hash.hex()]) + "\n")
        for _ in range(20):
            task = asyncio.ensure_future(face.append(session_id, [note()], expected=ANY))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    def row(name: str, matrix: int, count: Callable[[Path], Counted]) -> Row:
        try:
            counts, wrong = count(root / name)
        except Unavailable as why:
            return Row(name, {}, 0, (matrix,), str(why))
        return Row(name, counts, wrong, (matrix,))

    def rounds(few: int, many: int) -> int:
        return few if smoke else many

    memory = partial(out_of_memory, rounds=rounds(2, 100))
    space = partial(no_address_space, rounds=rounds(5, 200), seed=SEED)
    exit_ = partial(exits, rounds=rounds(5, 200), seed=SEED)
    yield lambda: row("killed for lack of memory", 8, memory)
    yield lambda: row("no address space", 9, space)
    yield lambda: row("every allocation fails", 9, partial(no_allocation, step=rounds(41, 1)))
    yield lambda: row("os._exit with an open store", 10, exit_)
    yield lambda: row("end with an open store", 10, partial(ends, rounds=rounds(1, 20)))


if __name__ == "__main__":
    _main(*sys.argv[1:])  # type: ignore[arg-type] # a session id is text
