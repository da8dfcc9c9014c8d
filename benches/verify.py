"""Verification: of one log, and of a whole store on two cores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import session_store as ss
from session_store import blocking

from . import workload
from .floors import PARSE, PARSE_TEXT, parse
from .harness import OURS, Contest, Fact, Goal, Place, once

_TWO_CORES = "ours, two processes"


def bench(place: Place) -> Iterator[Contest | Fact]:
    yield from _one_log(place)
    yield from _whole_store(place)


def _one_log(place: Place) -> Iterator[Contest | Fact]:
    count = place.count(100_000, 1_000)
    with place.directory() as root, blocking.open_store(root) as store:
        session_id = ss.new_session_id()
        path = Path(store.path(session_id))
        workload.write_log(path, session_id, count)
        yield Contest(
            [Goal(f"verify only, {count:,} entries", PARSE, most=0.9)],
            {
                OURS: lambda: once(lambda: verify_all(root, [session_id]), unit=count),
                PARSE: lambda: once(lambda: parse(path), unit=count),
            },
            place.count(9, 1),
            PARSE_TEXT,
        )


def _whole_store(place: Place) -> Iterator[Contest | Fact]:
    sessions, count = place.count(200, 4), place.count(500, 100)
    with place.directory() as root, blocking.open_store(root) as store:
        ids = [ss.new_session_id() for _ in range(sessions)]
        paths = [Path(store.path(session_id)) for session_id in ids]
        for path, session_id in zip(paths, ids, strict=True):
            workload.write_log(path, session_id, count)
        halves = [ids[::2], ids[1::2]]
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            roots = [root, root]
            list(pool.map(verify_all, roots, [[], []]))  # Let the processes begin.
            yield Contest(
                [
                    Goal(f"verify {sessions} sessions of {count}, one core", PARSE),
                    Goal("the same on two cores", OURS, of=_TWO_CORES),
                ],
                {
                    OURS: lambda: once(lambda: verify_all(root, ids), unit=sessions * count),
                    _TWO_CORES: lambda: once(
                        lambda: list(pool.map(verify_all, roots, halves)), unit=sessions * count
                    ),
                    PARSE: lambda: once(lambda: parse_all(paths), unit=sessions * count),
                },
                place.count(5, 1),
                PARSE_TEXT,
            )


def parse_all(paths: Iterable[Path]) -> None:
    for path in paths:
        parse(path)


def verify_all(root: Path, ids: list[ss.SessionId]) -> None:
    with blocking.open_store(root) as store:
        verifier = blocking.Verifier(store)
        for session_id in ids:
            report = verifier.verify(session_id)
            assert report.level == "INTACT", report
