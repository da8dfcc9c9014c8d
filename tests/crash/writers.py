"""Many writers on one session, processes and threads: nothing lost, nothing twice, one chain."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import asdict, frozen
from fs_tools import born, fork, note, records, store

from session_store.chain import Draft
from session_store.entries import Durability, Position
from session_store.errors import HeadMismatch
from session_store.ids import SessionId
from session_store.stores.fs.core import FsCore

from .acks import Acks, look_after
from .processes import start, together, wait
from .subject import Row, Subject

PROCESSES = 8


@frozen
class Outcome:
    """Of `appends` that were acknowledged, how many are missing or there more than once."""

    appends: int
    lost: int
    duplicated: int
    logs: int


def run(root: Path, *, processes: int, appends: int, how: str, level: Durability) -> Outcome:
    """
    Let *processes* append to one session at the same time.

    Args:
        how: "shared": after whatever is last. "refresh": own heads, losers reopen and
            try the same drafts again. "fork": losers go on as forks at their own head.
    """
    core = store(root, lock_timeout_s=120)
    session_id = born(core)
    work = {"shared": _shared, "refresh": _refreshing, "fork": _forking}[how]
    with together(processes) as begin:

        def child(number: int) -> None:
            begin()
            work(core, session_id, number, appends, level)

        pids = [start(lambda n=n: child(n)) for n in range(processes)]
    assert [0] * processes == wait(pids)
    return _count(core, processes, appends)


def _draft(number: int, index: int) -> Draft:
    return note([number, index])


def _shared(core: FsCore, log: SessionId, number: int, appends: int, level: Durability) -> None:
    cursor = core.open(log, shared=True)
    for index in range(appends):
        core.append(log, [_draft(number, index)], cursor=cursor, durability=level)


def _refreshing(core: FsCore, log: SessionId, number: int, appends: int, level: Durability) -> None:
    cursor = core.open(log)
    for index in range(appends):
        drafts, floor = [_draft(number, index)], cursor.written
        while True:
            try:
                core.append(log, drafts, cursor=cursor, floor=floor, durability=level)
                break
            except HeadMismatch:
                cursor = core.open(log)


def _forking(core: FsCore, log: SessionId, number: int, appends: int, level: Durability) -> None:
    cursor = core.open(log)
    for index in range(appends):
        try:
            core.append(log, [_draft(number, index)], cursor=cursor, durability=level)
        except HeadMismatch:
            log = fork(core, cursor.head)
            cursor = core.open(log)
            core.append(log, [_draft(number, index)], cursor=cursor, durability=level)


def _count(core: FsCore, processes: int, appends: int) -> Outcome:
    """Read every log, verified, and its place under its parent."""
    logs = core.list(limit=processes + 2)
    seen: Counter[tuple[int, int]] = Counter()
    for info in logs:
        found = records(core, info.session_id)
        _check_parent(core, info.session_id)
        for record in found:
            if record.kind == "extension":
                seen[tuple(json.loads(record.body)["payload"])] += 1
    wanted = {(n, i) for n in range(processes) for i in range(appends)}
    return Outcome(
        sum(seen.values()),
        len(wanted - seen.keys()),
        sum(count - 1 for count in seen.values()),
        len(logs),
    )


def _check_parent(core: FsCore, session_id: SessionId) -> None:
    parent: Position | None = core.reader(session_id).first()
    if parent is not None:
        assert parent.hash == core.record(parent.session_id, parent.seq).hash


def crowd(
    root: Path, *, processes: int, threads: int, seconds: float, level: Durability
) -> tuple[dict[str, object], int]:
    """
    Let *processes* of *threads* each append to one session for so long.

    The threads of a process share one handle. Fairness is the appends of the slowest writer,
    as a share of the fastest's.
    """
    core = store(root, lock_timeout_s=120)
    session_id = born(core)
    receipts = [Acks(64 << 20) for _ in range(processes * threads)]
    with together(processes) as begin:

        def child(number: int) -> None:
            begin()
            end = time.monotonic() + seconds
            own = receipts[number * threads : (number + 1) * threads]
            _append_until(core, session_id, own, end, level)

        pids = [start(lambda n=n: child(n), timeout_s=600 + seconds) for n in range(processes)]
    broken = wait(pids) != [0] * processes
    acks = [ack for told in receipts for ack in told]
    twice = len(acks) - len(set(acks))
    extra = len(records(core, session_id)) - 1 - len(acks)
    found = look_after(core, acks)
    done = sorted(map(len, receipts))
    counts = {
        "appends": len(acks),
        "a second": round(len(acks) / seconds),
        "lost": found.lost,
        "twice": twice,
        "fairness": f"{done[0] / max(done[-1], 1):.2f}",
    }
    return counts, found.wrong + twice + abs(extra) + broken + (not acks)


def _append_until(
    core: FsCore, session_id: SessionId, receipts: list[Acks], end: float, level: Durability
) -> None:
    cursor = core.open(session_id, shared=True)

    def append(acks: Acks) -> None:
        while time.monotonic() < end:
            acks.add(core.append(session_id, [note()], cursor=cursor, durability=level))

    in_threads([lambda acks=acks: append(acks) for acks in receipts])


def in_threads(work: list[Callable[[], None]]) -> None:
    """Run *work* at the same time; raise what one of them raised."""
    raised: list[BaseException] = []

    def run(each: Callable[[], None]) -> None:
        try:
            each()
        except BaseException as error:  # noqa: BLE001 - raised by the caller
            raised.append(error)

    threads = [threading.Thread(target=run, args=(each,)) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    def row(how: str, level: Durability) -> Row:
        appends = 50 if smoke else 500
        outcome = run(
            root / f"{how}-{level}", processes=PROCESSES, appends=appends, how=how, level=level
        )
        wrong = outcome.lost + outcome.duplicated + (outcome.appends != PROCESSES * appends)
        return Row(f"{PROCESSES} writers, {how}, {level}", asdict(outcome), wrong, (1, 51))

    def crowded(name: str, matrix: int, processes: int, threads: int, level: Durability) -> Row:
        counts, wrong = crowd(
            root / f"{name}-{level}",
            processes=processes,
            threads=threads,
            seconds=0.3 if smoke else 20,
            level=level,
        )
        return Row(f"{name}, {level}", counts, wrong, (matrix,))

    for level in ("disk", "os"):
        for how in ("shared", "refresh", "fork"):
            yield lambda how=how, level=level: row(how, level)
        for processes in (8, 32) if smoke else (8, 32, 64):
            yield lambda n=processes, level=level: crowded(f"{n} writers, one log", 50, n, 1, level)
        yield lambda level=level: crowded("16 threads, one handle", 52, 1, 16, level)
        yield lambda level=level: crowded("4 × 4 threads, one log", 52, 4, 4, level)
