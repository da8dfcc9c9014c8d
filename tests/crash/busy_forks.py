"""
Forks while other threads are inside the store: every mutex may be held in that moment.

A program of its own: measuring coverage takes locks that do not survive a fork.
"""

import sys
import threading
from pathlib import Path

from fs_tools import born, note, records, store

from session_store.stores import ANY

from .processes import start, wait

_AT_ONCE = 40


def main(root: str, children: int) -> int:
    """Return how many of the *children*'s appends are in the log."""
    core = store(Path(root))
    session_id = born(core)
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            core.append(session_id, [note()], expected=ANY, durability="os")
            core.list()

    def child() -> None:
        core.append(session_id, [note("child")], expected=ANY)

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    codes: list[int] = []
    try:
        while len(codes) < children:
            count = min(_AT_ONCE, children - len(codes))
            codes += wait([start(child) for _ in range(count)])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert [0] * children == codes
    return sum(b'"child"' in record.body for record in records(core, session_id))


if __name__ == "__main__":
    sys.stdout.write(str(main(sys.argv[1], int(sys.argv[2]))))
