"""Memory of a restore, by the size of what it returns."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import orjson

import session_store as ss
from session_store import blocking

from . import workload
from .harness import Contest, Fact, Place


def bench(place: Place) -> Iterator[Contest | Fact]:
    count = place.count(50_000, 2_000)
    with place.directory() as root:
        session_id = ss.new_session_id()
        with blocking.open_store(root) as store:
            path = Path(store.path(session_id))
        workload.write_log(path, session_id, count)
        # In a process of its own, where nothing was freed before that could be used again.
        command = [sys.executable, "-m", "benches.memory", str(root), session_id]
        found = orjson.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        yield Fact(
            f"memory of restoring {count:,} entries",
            found["peak"] / found["state"],
            "× state",
            most=2,
            note=f"greatest growth of the resident size {found['peak'] / 1e6:.0f} MB, the state "
            f"{found['state'] / 1e6:.0f} MB by sys.getsizeof of all its objects, the log "
            f"{path.stat().st_size / 1e6:.0f} MB",
        )


def size_of(value: object) -> int:
    """Return the bytes of *value* and of everything in it, each object once."""
    seen: set[int] = set()
    total, todo = 0, [value]
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        if isinstance(one, dict):
            todo += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            todo += one
        else:
            cls: Any = type(one)
            todo += [getattr(one, a.name) for a in attrs.fields(cls)] if attrs.has(cls) else []
    return total


def main() -> None:
    from .resident import forget_peak, peak_bytes, resident_bytes  # noqa: PLC0415 - Linux

    root, session_id = sys.argv[1:]
    with blocking.open_store(root) as store:
        before = resident_bytes()
        forget_peak()
        state = blocking.restore(store, ss.parse_session_id(session_id))
        peak = peak_bytes() - before
    sys.stdout.buffer.write(orjson.dumps({"peak": peak, "state": size_of(state)}))


if __name__ == "__main__":
    main()
