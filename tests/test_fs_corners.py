"""What only a crash in the middle, or another process at the wrong moment, leads to."""

import errno
import os
from pathlib import Path

import pytest
from fs_tools import born, log_of, note, records, store

from session_store.chain import TRAIL_SIZE, mask_digest
from session_store.entries import Position
from session_store.errors import Corrupt, HeadMismatch, NotFound
from session_store.ids import new_session_id
from session_store.stores import ANY
from session_store.stores.fs import layout, pending
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.deletion import begin_delete
from session_store.stores.fs.files import Files, OpenFile
from session_store.stores.fs.finding import find_place
from session_store.stores.fs.requests import Request
from session_store.stores.fs.tip import find_seq


class Vanishing(Files):
    """A pending mark is finished between the look and the opening."""

    def open(self, path: str, *, write: bool = False, create: bool = False) -> OpenFile:
        if path.startswith(layout.PENDING) and not write:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return super().open(path, write=write, create=create)

    def exists(self, path: str) -> bool:
        return path.startswith(layout.PENDING) or super().exists(path)


class CutsTheEnd(Files):
    """Writes a recovery record without its LF."""

    armed = True

    def write(self, file: OpenFile, data: bytes) -> int:
        if self.armed and b'"kind":"recovery"' in data and data.startswith(b'{"v":1'):
            return super().write(file, data[:-1])
        return super().write(file, data)


def test_a_mark_that_vanishes_is_no_mark(tmp_path: Path) -> None:
    """Opening looks for it without the lock."""
    core = FsCore(Vanishing(tmp_path / "store"))
    assert [] == pending.load(core.files, new_session_id())
    pending.save(Files(tmp_path / "store"), new_session_id(), [])


def test_a_delete_that_was_begun_is_finished_by_the_next_append(tmp_path: Path) -> None:
    """Also through a handle that was opened before."""
    core = store(tmp_path / "store")
    cursor = core.open(born(core))
    session_id = cursor.head.session_id
    begin_delete(core.files, session_id, None)
    with pytest.raises(NotFound, match="deleted"):
        core.append(session_id, [note()], cursor=cursor)
    assert not log_of(core, session_id).exists()


def test_a_recovery_record_without_its_end_is_not_written_twice(tmp_path: Path) -> None:
    """It counts for readers as it is; the caller's append puts the LF there first."""
    files = CutsTheEnd(tmp_path / "store")
    core = FsCore(files)
    session_id = born(core)
    path = log_of(core, session_id)
    path.write_bytes(path.read_bytes() + b'{"v":1,"torn')
    core.append(session_id, [note()], expected=ANY)
    files.armed = False
    core.append(session_id, [note()], expected=ANY)
    assert 1 == [r.kind for r in records(core, session_id)].count("recovery")


def test_drafts_that_are_older_than_the_head_are_looked_for_and_written(tmp_path: Path) -> None:
    """The anchor is met on the way; what follows it decides."""
    core = store(tmp_path / "store")
    cursor = core.open(born(core))
    session_id, floor = cursor.head.session_id, cursor.head
    core.append(session_id, [note()], cursor=cursor)
    receipt = core.append(session_id, [note()], cursor=cursor, floor=floor)
    assert floor.seq + 2 == receipt.seq
    log = core.log(session_id)
    log.lock(1)
    try:
        log.refresh()
        assert find_place(log, [note()], None, strict=False, floor=floor) is None
    finally:
        log.unlock()


def test_an_expected_record_that_rotted_is_no_head(tmp_path: Path) -> None:
    """It is not found, so nothing can be appended to it."""
    core = store(tmp_path / "store")
    session_id = born(core, 3)
    victim = core.record(session_id, 1)
    expected = Position(session_id, 1, victim.hash)
    path = log_of(core, session_id)
    data = bytearray(path.read_bytes())
    data[victim.offset + 40] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(HeadMismatch):
        store(tmp_path / "store").append(session_id, [note()], expected=expected)


def test_a_log_without_a_file_can_be_let_go(tmp_path: Path) -> None:
    """After os.fork, and when the file went away under the lock."""
    core = store(tmp_path / "store")
    log = core.log(born(core))
    log.lock(1)
    log.use(None)
    log.unlock()
    log.lock(1)
    log.unlock()
    log.reset_locks()
    assert log.file is None


def test_a_masked_end_is_corrupt_in_a_store_that_holds_none(tmp_path: Path) -> None:
    """The head is not read over it."""
    core = store(tmp_path / "store")
    session_id = born(core, 1)
    last = core.record(session_id, 1)
    mask = b',"salt":null,"mask":"%b","body":{}' % mask_digest(last.hash, b"{}")
    masked = last.line[: last.head_size] + mask + last.line[-TRAIL_SIZE:] + b"\n"
    path = log_of(core, session_id)
    path.write_bytes(path.read_bytes()[: last.offset] + masked)
    with pytest.raises(Corrupt, match="masked"):
        core.head(session_id)


def test_a_seq_is_not_found_where_nothing_can_be_read() -> None:
    """Neither in an empty file, nor in one without a line end."""
    session_id = new_session_id()
    for data in (b"", b"x" * 40_000):
        with pytest.raises(NotFound):
            find_seq(lambda size, at, d=data: d[at : at + size], 40_000, session_id, 3, "log")


def test_a_request_that_nobody_waits_for_fails_quietly(tmp_path: Path) -> None:
    """Its error is kept."""
    core = store(tmp_path / "store")
    request = Request(core.log(born(core)), [note()], "os", 0.0, expected=ANY)
    request.fail(Corrupt("log", line=1, offset=0, seq=0, why="test"))
    assert request.is_settled
