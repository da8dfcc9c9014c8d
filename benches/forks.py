"""Forks by reference: what they cost, and what they take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import session_store as ss
from session_store import blocking

from . import workload
from .harness import OURS, Contest, Fact, Goal, Place, Turn, each
from .libraries import CLAUDE, Claude, open_peers

_SHORT = "a parent of 100 entries"


def bench(place: Place) -> Iterator[Contest | Fact]:
    with place.directory() as root:
        yield from _length_of_the_parent(place, root)
    with place.directory() as root:
        yield from _against_claude(place, root)
    with place.directory() as root:
        yield _a_thousand(place, root)


def _length_of_the_parent(place: Place, root: Path) -> Iterator[Contest | Fact]:
    long, short, count = place.count(100_000, 1_000), 100, place.count(20, 3)
    with blocking.open_store(root) as store:
        points = []
        for size in (long, short):
            session_id = ss.new_session_id()
            workload.write_log(Path(store.path(session_id)), session_id, size)
            middle = store.inner.core.position(session_id, size // 2)
            points.append(middle)
        blocking.fork_at(store, points[1].session_id, points[1])
        before = _bytes_below(root)
        blocking.fork_at(store, points[1].session_id, points[1])
        written = _bytes_below(root) - before

        def turn(point: ss.Position) -> Turn:
            return each(lambda at: blocking.fork_at(store, at.session_id, at), [point] * count)

        yield Contest(
            [Goal(f"fork_at by reference, parent of {long:,} entries", _SHORT, most=1.3)],
            {OURS: lambda: turn(points[0]), _SHORT: lambda: turn(points[1])},
            place.count(11, 2),
            note="at a Position in the middle of the log, level disk",
        )
        yield Fact("written by a fork by reference", written, "bytes", most=2048)


def _against_claude(place: Place, root: Path) -> Iterator[Contest | Fact]:
    entries = place.count(5_000, 200)
    with blocking.open_store(root / "ours") as store, ExitStack() as stack:
        session_id = ss.new_session_id()
        workload.write_log(Path(store.path(session_id)), session_id, entries)
        middle = store.head(session_id)
        ways = {
            OURS: lambda: each(
                lambda at: blocking.fork_at(store, session_id, at), [middle] * place.count(20, 2)
            )
        }
        peers = open_peers(root / "peers", [CLAUDE])
        claude = peers.there.get(CLAUDE)
        if isinstance(claude, Claude):
            stack.callback(claude.close)
            messages = workload.items_of(workload.entries(entries * 2))[:entries]
            claude.fill(messages)
            ways[CLAUDE] = lambda: each(lambda _: claude.fork(), range(place.count(2, 1)))
        yield Contest(
            [Goal(f"fork of {entries:,} entries", CLAUDE, least=50, by="speed")],
            ways,
            place.count(5, 1),
            absent=peers.absent,
            note="ours at level disk: parent, marker and child are synced; theirs copies, without",
        )


def _a_thousand(place: Place, root: Path) -> Fact:
    forks, entries = place.count(1_000, 20), place.count(8_000, 500)
    with blocking.open_store(root, durability="os") as store:
        session_id = ss.new_session_id()
        start = ss.SessionStart(session_id, system_prompt="You are careful. " * 3_600)
        path = Path(store.path(session_id))
        workload.write_log(path, session_id, entries, start=start)
        head = store.head(session_id)
        before = _bytes_below(root), _blocks_below(root)
        for _ in range(forks):
            blocking.fork_at(store, session_id, head)
        size, blocks = _bytes_below(root) - before[0], _blocks_below(root) - before[1]
        return Fact(
            f"{forks:,} forks of one {path.stat().st_size / 1e6:.0f} MB session",
            size / 1e6,
            "MB",
            most=2,
            note=f"bytes of all files; in blocks of the file system, directories included: "
            f"{blocks / 1e6:.1f} MB, for a file takes at least one",
        )


def _bytes_below(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def _blocks_below(root: Path) -> int:
    return sum(path.stat().st_blocks for path in root.rglob("*")) * 512
