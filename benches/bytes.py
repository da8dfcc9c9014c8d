"""Bytes on disk: what an entry takes beyond its content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

import session_store as ss
from session_store import blocking

from . import workload
from .harness import Contest, Fact, Place
from .libraries import CLAUDE, NAMES, open_peers


def bench(place: Place) -> Iterator[Contest | Fact]:
    entries = workload.entries(place.count(5_000, 200))
    items = workload.items_of(entries)[: place.count(200, 10)]
    with place.directory() as root:
        ours = _beyond_content(root / "ours", entries)
        peers = _peers_beyond_content(root / "peers", items)
    yield Fact(
        "bytes on disk beyond the content, an entry",
        ours,
        "bytes",
        most=380,
        note="a salt, three hashes, a time and a kind in every line; for each of "
        f"{len(items)} items in the files of peers: "
        + ", ".join(f"{name} {size:,.0f}" for name, size in peers.items()),
    )


def _beyond_content(root: Path, entries: Sequence[ss.LogEntry]) -> float:
    content = sum(len(orjson.dumps(workload.body_of(entry))) for entry in entries)
    with blocking.open_store(root, durability="os") as store:
        session = blocking.create_session(store)
        path = Path(store.path(session.id))
        begin = path.stat().st_size
        for entry in entries:
            session.append(entry)
        return (path.stat().st_size - begin - content) / len(entries)


def _peers_beyond_content(root: Path, items: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    content = sum(len(orjson.dumps(item)) for item in items)
    found: dict[str, float] = {}
    for number, name in enumerate(NAMES):
        place = root / str(number)
        for peer in open_peers(place, [name]).there.values():
            if name == CLAUDE:
                peer.fill(items)
            else:
                peer.append_each(items)
            peer.close()
            found[name] = (_bytes_below(place) - content) / len(items)
    return found


def _bytes_below(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
