"""The ids of deleted sessions, one JSON line each; an id is never used again."""

import orjson

from ...ids import SessionId
from . import layout
from .files import Files
from .opening import open_log
from .quarantine import write_all


class Tombstones:
    """What `tombstones.jsonl` says, read again only when it has grown."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._mutex = self._files.clock.mutex()
        self._ids: set[str] = set()
        self._read = 0

    def __contains__(self, session_id: SessionId) -> bool:
        found = self._files.stat(layout.TOMBSTONES)
        if found is not None and found.size != self._read:
            with self._mutex:
                self._refresh()
        return session_id in self._ids

    def after_fork(self) -> None:
        self._mutex = self._files.clock.mutex()

    def _refresh(self) -> None:
        file = open_log(self._files, layout.TOMBSTONES)
        size = self._files.size(file)
        if size < self._read:  # Another file, from a backup: what is deleted here stays deleted.
            self._read = 0
        data = self._files.read(file, size - self._read, self._read)
        whole = data.rfind(b"\n") + 1
        for line in data[:whole].split(b"\n"):
            # A line that a crash cut short was never a promise: the delete is done again.
            try:
                self._ids.add(orjson.loads(line)["session_id"])
            except (ValueError, KeyError, TypeError):
                continue
        self._read += whole


def bury(files: Files, session_id: SessionId, ts_ms: int) -> None:
    """
    Add the tombstone of a session.

    Durability: on disk.
    """
    file = open_log(files, layout.TOMBSTONES, write=True, create=True)
    line = orjson.dumps({"session_id": session_id, "ts": ts_ms})
    size = files.size(file)
    torn = size > 0 and files.read(file, 1, size - 1) != b"\n"
    # O_APPEND and one write: two processes that bury at the same time do not mix their lines.
    write_all(files, file, (b"\n" if torn else b"") + line + b"\n")
    files.sync(file)
    files.sync_directory("")
