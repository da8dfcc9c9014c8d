"""Opening a session and its head: the size of the log shall not matter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import session_store as ss
from session_store import blocking

from . import workload
from .harness import OURS, Contest, Fact, Goal, Place, Turn, each

_SMALL = "a log of 1 MB"


def bench(place: Place) -> Iterator[Contest | Fact]:
    big, small, count = place.count(800_000, 8_000), 800, place.count(300, 20)
    with place.directory() as root:
        with blocking.open_store(root) as store:
            ids = [ss.new_session_id(), ss.new_session_id()]
            paths = [Path(store.path(session_id)) for session_id in ids]
        for path, session_id, size in zip(paths, ids, (big, small), strict=True):
            workload.write_log(path, session_id, size)

        def open_and_head(session_id: ss.SessionId) -> None:
            with blocking.open_store(root) as store:
                blocking.open_session(store, session_id)
                store.head(session_id)

        def turn(session_id: ss.SessionId) -> Turn:
            return each(open_and_head, [session_id] * count)

        megabytes = [path.stat().st_size / 1e6 for path in paths]
        yield Contest(
            [Goal("open + head, 1 GB log against 1 MB log", _SMALL, most=1.3)],
            {OURS: lambda: turn(ids[0]), _SMALL: lambda: turn(ids[1])},
            place.count(11, 2),
            note=f"a fresh store each time; {megabytes[0]:,.0f} MB and {megabytes[1]:.1f} MB",
        )
