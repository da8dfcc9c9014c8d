"""
The floors: the least that any correct program must do, in straight code.

Nothing here can be left out by a faster store with the same format and the same
promises; the log that `WorkFloor` writes is a valid one (tests/test_benches.py).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path
from time import time_ns
from typing import Any

import orjson
from blake3 import blake3

from session_store import SessionId
from session_store.chain import root_head
from session_store.ids import id_bytes

WORK = "work floor"
PARSE = "parse floor"
RAW_DISK = "raw write + fdatasync"

WORK_TEXT = (
    "orjson.dumps of the body, 16 bytes of os.urandom, two keyed BLAKE3 hashes, the line put "
    "together, flock, fstat, one write, unlock; straight code, one open file"
)
PARSE_TEXT = "for line in open(log, 'rb'): orjson.loads(line); nothing is checked, nothing is kept"
RAW_DISK_TEXT = "os.write of ready-made lines of the same sizes, then os.fdatasync; nothing else"

_BODY, _RECORD = (
    blake3(b"", derive_key_context=f"session-store 2026-11 log v1 {role}").digest()
    for role in ("body", "record")
)

KindAndBody = tuple[str, dict[str, Any]]


class WorkFloor:
    """Appends valid records to a log of its own."""

    def __init__(self, path: Path, session_id: SessionId) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._sid = id_bytes(session_id)
        self._seq = -1
        self._hash = root_head(session_id).hash.hex()

    def append(self, entry: KindAndBody) -> None:
        line = self._line(entry, 0, time_ns() // 1_000_000)
        fd = self._fd
        flock(fd, LOCK_EX | LOCK_NB)
        os.fstat(fd)
        os.write(fd, line)
        flock(fd, LOCK_UN)

    def append_all(self, entries: Sequence[KindAndBody]) -> None:
        """Append *entries* as one batch."""
        ts, left = time_ns() // 1_000_000, range(len(entries) - 1, -1, -1)
        lines = [self._line(entry, batch, ts) for entry, batch in zip(entries, left, strict=True)]
        data = b"".join(lines)
        fd = self._fd
        flock(fd, LOCK_EX | LOCK_NB)
        os.fstat(fd)
        os.write(fd, data)
        flock(fd, LOCK_UN)

    def _line(self, entry: KindAndBody, batch: int, ts: int) -> bytes:
        kind, value = entry
        body = orjson.dumps(value)
        salt = os.urandom(16).hex().encode()
        digest = blake3(salt + body, key=_BODY).hexdigest()
        self._seq += 1
        head = (
            f'{{"v":1,"seq":{self._seq},"ts":{ts},"kind":"{kind}","batch":{batch},'
            f'"prev_hash":"{self._hash}","digest":"{digest}"'
        ).encode()
        self._hash = blake3(self._sid + head, key=_RECORD).hexdigest()
        return b'%b,"salt":"%b","body":%b,"hash":"%b"}\n' % (
            head,
            salt,
            body,
            self._hash.encode(),
        )

    def close(self) -> None:
        os.close(self._fd)


class RawFile:
    """Ready-made lines to a file, and nothing else."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, line: bytes) -> None:
        os.write(self._fd, line)

    def write_and_sync(self, line: bytes) -> None:
        os.write(self._fd, line)
        os.fdatasync(self._fd)

    def lock_write_sync(self, line: bytes) -> None:
        """Sync under the lock."""
        flock(self._fd, LOCK_EX)
        os.write(self._fd, line)
        os.fdatasync(self._fd)
        flock(self._fd, LOCK_UN)

    def lock_write_unlock_sync(self, line: bytes) -> None:
        """Sync behind the lock: whoever comes next need not wait for the device."""
        flock(self._fd, LOCK_EX)
        os.write(self._fd, line)
        flock(self._fd, LOCK_UN)
        os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


def parse(path: Path) -> None:
    """Parse a log as fast as Python can."""
    loads = orjson.loads
    with path.open("rb") as file:
        for line in file:
            loads(line)
