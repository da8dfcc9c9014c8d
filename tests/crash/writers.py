"""Eight processes on one session: nothing lost, nothing twice, one chain."""

import json
from collections import Counter
from pathlib import Path

from attrs import frozen
from fs_tools import born, fork, note, records, store

from session_store.chain import Draft
from session_store.entries import Durability, Position
from session_store.errors import HeadMismatch
from session_store.ids import SessionId
from session_store.stores.fs.core import FsCore

from .processes import start, together, wait


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
