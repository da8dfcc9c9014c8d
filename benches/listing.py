"""Listing the newest sessions: their number shall not matter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import session_store as ss
from session_store import blocking
from session_store.ids import session_id_for

from . import workload
from .harness import OURS, Contest, Fact, Goal, Place, each
from .libraries import CLAUDE, Claude, open_peers

_FEW = "the same of few sessions"
_HOURS = 100
_BEGIN_MS = 1_790_000_000_000


def bench(place: Place) -> Iterator[Contest | Fact]:
    many, few = place.count(100_000, 1_000), place.count(1_000, 100)
    with place.directory() as root, ExitStack() as stack:
        stores = []
        for name, count in (("many", many), ("few", few)):
            store = stack.enter_context(blocking.open_store(root / name))
            _populate(store, count)
            stores.append(store)
        ways = {
            OURS: lambda: each(lambda _: _newest(stores[0]), range(5)),
            _FEW: lambda: each(lambda _: _newest(stores[1]), range(5)),
        }
        peers = open_peers(root / "peers", [CLAUDE])
        claude = peers.there.get(CLAUDE)
        if isinstance(claude, Claude):
            messages = workload.items_of(workload.entries(10))
            for number in range(few):
                claude.write_transcript(f"{number:08x}-0000-4000-8000-000000000000", messages)
            ways[CLAUDE] = lambda: each(lambda _: claude.list(20), range(1))
        yield Contest(
            [
                Goal(f"list the newest 20 of {many:,} sessions, not {few:,}", _FEW, most=1.5),
                Goal(f"list the newest 20 of {few:,}", CLAUDE, by="speed", of=_FEW),
            ],
            ways,
            place.count(9, 2),
            absent=peers.absent,
            note=f"spread over {_HOURS} hours; the claude-agent-sdk lists {few:,}",
        )


def _newest(store: blocking.Store) -> None:
    found = store.list(limit=20)
    assert len(found) == 20, found


def _populate(store: blocking.Store, count: int) -> None:
    for number in range(count):
        ts_ms = _BEGIN_MS + number * (_HOURS * 3_600_000 // count)
        session_id = session_id_for(f"bench:{number}", ts_ms)
        workload.write_log(Path(store.path(session_id)), ss.SessionId(session_id), 1)
