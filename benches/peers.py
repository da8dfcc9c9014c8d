"""The same work by the peers: durable appends, and loading a whole history."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import session_store as ss
from session_store import blocking

from . import workload
from .append_disk import ready_lines
from .floors import RAW_DISK, RAW_DISK_TEXT, RawFile
from .harness import OURS, Contest, Fact, Goal, Place, each, once, together
from .libraries import (
    ARCAEON,
    CLAUDE,
    EVENTSOURCING,
    JSON_LINES,
    LANGGRAPH,
    OPENAI,
    OPENAI_ADVANCED,
    SESSION_LIBRARIES,
    SQLITE,
    AsyncPeer,
    Item,
    Peers,
    open_peers,
)

_APPENDING = (
    SQLITE,
    JSON_LINES,
    OPENAI,
    OPENAI_ADVANCED,
    LANGGRAPH,
    ARCAEON,
    EVENTSOURCING,
)
_LOADING = (
    SQLITE,
    JSON_LINES,
    OPENAI,
    OPENAI_ADVANCED,
    LANGGRAPH,
    EVENTSOURCING,
    CLAUDE,
)
_PEERS_LOADING = _LOADING[2:]
_TASKS = 64


def bench(place: Place) -> Iterator[Contest | Fact]:
    yield from _durable_append(place)
    yield from _load(place)


def _durable_append(place: Place) -> Iterator[Contest | Fact]:
    entries = [
        entry
        for entry in workload.entries(place.count(320, 24))
        if isinstance(entry, ss.UserInput | ss.AssistantItems | ss.ToolResults)
    ]
    items = [workload.body_of(entry)["items"][0] for entry in entries]
    yield from _one_by_one(place, entries, items)
    yield from _at_once(place, entries, items)


def _one_by_one(
    place: Place, entries: Sequence[ss.LogEntry], items: Sequence[Item]
) -> Iterator[Contest]:
    with place.directory() as root, ExitStack() as stack:
        store = stack.enter_context(blocking.open_store(root / "ours"))
        session = blocking.create_session(store)
        peers = _open(root, _APPENDING, stack)
        raw, lines = RawFile(root / "raw.jsonl"), ready_lines(entries)
        stack.callback(raw.close)
        goals = [
            Goal(
                "the same for raw write + fdatasync: what this device lets anybody reach",
                SESSION_LIBRARIES,
                by="speed",
                of=RAW_DISK,
            ),
            Goal(
                "durable append, one by one, best session library",
                SESSION_LIBRARIES,
                least=2,
                by="speed",
            ),
            *(
                Goal(f"durable append, {name}", name, by="speed")
                for name in (SQLITE, JSON_LINES, EVENTSOURCING, ARCAEON)
            ),
        ]
        yield Contest(
            goals,
            {
                OURS: lambda: each(session.append, entries),
                RAW_DISK: lambda: each(raw.write_and_sync, lines),
            }
            | {name: partial(peer.append_each, items) for name, peer in peers.there.items()},
            place.count(7, 1),
            RAW_DISK_TEXT,
            peers.absent,
            note="; ".join(f"{name}: {peer.durability}" for name, peer in peers.there.items())
            + f"; {LANGGRAPH} puts a checkpoint of one item, the kindest case",
        )


def _at_once(
    place: Place, entries: Sequence[ss.LogEntry], items: Sequence[Item]
) -> Iterator[Contest]:
    with place.directory() as root, ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        store = runner.run(ss.open_store(root / "ours"))
        stack.callback(lambda: runner.run(store.close()))
        session = runner.run(ss.create_session(store))
        peers = _open(root, SESSION_LIBRARIES, stack)
        shares = [[items[n % len(items)]] * 2 for n in range(_TASKS)]
        ours = [[entries[n % len(entries)]] * 2 for n in range(_TASKS)]
        yield Contest(
            [
                Goal(
                    f"durable append, {_TASKS} tasks, best session library",
                    SESSION_LIBRARIES,
                    least=2,
                    by="speed",
                )
            ],
            {OURS: lambda: runner.run(together(lambda _, entry: session.append(entry), ours))}
            | {
                name: partial(peer.append_together, shares)
                for name, peer in peers.there.items()
                if isinstance(peer, AsyncPeer)
            },
            place.count(9, 1),
            absent=peers.absent,
            note=f"{_TASKS} tasks of one process on one session",
        )


def _load(place: Place) -> Iterator[Contest | Fact]:
    count = place.count(100_000, 500)
    with place.directory() as root, ExitStack() as stack:
        session_id = ss.new_session_id()
        with blocking.open_store(root / "ours") as store:
            path = Path(store.path(session_id))
        workload.write_log(path, session_id, count)
        with blocking.open_store(root / "ours") as store:
            items = blocking.restore(store, session_id).history
        peers = _open(root, _LOADING, stack)
        for peer in peers.there.values():
            peer.fill(items)

        def ours() -> object:
            with blocking.open_store(root / "ours") as store:
                return blocking.restore(store, session_id)

        yield Contest(
            [
                Goal(
                    f"restore of {count:,} entries, best peer's load",
                    _PEERS_LOADING,
                    least=1,
                    by="speed",
                ),
                *(Goal(f"restore, {name}", name, by="speed") for name in (SQLITE, JSON_LINES)),
            ],
            {OURS: lambda: once(ours)}
            | {name: partial(once, peer.load) for name, peer in peers.there.items()},
            place.count(3, 1),
            absent=peers.absent,
            note=f"ours verifies {count:,} entries, usage and turns included; peers read their "
            f"{len(items):,} history items and check nothing",
        )


def _open(root: Path, names: tuple[str, ...], stack: ExitStack) -> Peers:
    peers = open_peers(root / "peers", names)
    for peer in peers.there.values():
        stack.callback(peer.close)
    return peers
