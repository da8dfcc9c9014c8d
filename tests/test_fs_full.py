"""A disk without room: rolled back, said as StoreFull, and work goes on when there is room."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from fs_scenes import SCENES, plain
from fs_tools import born, log_bytes, log_of, note, records, store

from session_store.errors import DurabilityLost, StoreFull
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import NO_ROOM, SYNCS, FaultyFiles, Short, error


def fail_writes(files: FaultyFiles, fault: object) -> None:
    files.plan = lambda call: fault if call.name == "write" else None


def test_a_short_write_of_any_length_is_rolled_back(tmp_path: Path) -> None:
    """k of n bytes fit, for every k: StoreFull, the file as before, the next append links on."""
    files = FaultyFiles(tmp_path)
    core = FsCore(files)
    session_id = born(core)
    draft = note("x")
    size = len(core.record(session_id, 0).line)
    before = log_of(core, session_id).read_bytes()
    for k in range(size - 100):
        fail_writes(files, Short(k))
        with pytest.raises(StoreFull):
            core.append(session_id, [draft], expected=ANY)
        assert before == log_of(core, session_id).read_bytes()
    del files.plan
    assert 1 == core.append(session_id, [draft], expected=ANY).seq


@pytest.mark.parametrize("code", NO_ROOM, ids=errno.errorcode.get)
def test_no_room_is_store_full_whatever_the_system_calls_it(tmp_path: Path, code: int) -> None:
    """ENOSPC, EDQUOT and EFBIG, once and for good, after nothing and after a piece."""
    files = FaultyFiles(tmp_path)
    core = FsCore(files)
    session_id = born(core, 1)
    before = log_of(core, session_id).read_bytes()
    for fault in (OSError(code, "full"), Short(40, OSError(code, "full"))):
        fail_writes(files, fault)
        for _ in range(3):
            with pytest.raises(StoreFull):
                core.append(session_id, [note()], expected=ANY)
            assert before == log_of(core, session_id).read_bytes()
    del files.plan
    core.append(session_id, [note()], expected=ANY)
    assert 3 == len(records(core, session_id))


def test_a_handle_goes_on_after_a_full_disk(tmp_path: Path) -> None:
    """StoreFull leaves the handle where it was."""
    files = FaultyFiles(tmp_path)
    core = FsCore(files)
    cursor = core.open(born(core))
    fail_writes(files, Short(10))
    with pytest.raises(StoreFull):
        core.append(cursor.head.session_id, [note()], cursor=cursor)
    del files.plan
    assert 1 == core.append(cursor.head.session_id, [note()], cursor=cursor).seq
    assert 1 == cursor.head.seq


def test_an_error_that_is_not_about_room_passes_through(tmp_path: Path) -> None:
    """EIO in a write is no full disk; it is rolled back all the same."""
    files = FaultyFiles(tmp_path)
    core = FsCore(files)
    session_id = born(core)
    fail_writes(files, Short(50, OSError(errno.EIO, "io")))
    with pytest.raises(OSError, match="io"):
        core.append(session_id, [note()], expected=ANY)
    del files.plan
    assert 1 == core.append(session_id, [note()], expected=ANY).seq
    assert 2 == len(records(core, session_id))


def test_a_rollback_that_fails_leaves_a_torn_tail_for_the_next_append(tmp_path: Path) -> None:
    """What could not be cut back is cut, kept and recorded by the next writer."""
    files = FaultyFiles(tmp_path)
    core = FsCore(files)
    session_id = born(core)
    files.plan = lambda call: (
        Short(50)
        if call.name == "write"
        else error(errno.EIO, call)
        if call.name == "truncate"
        else None
    )
    with pytest.raises(StoreFull, match="a piece of it is left"):
        core.append(session_id, [note()], expected=ANY)
    del files.plan
    core.append(session_id, [note()], expected=ANY)
    assert ["session_start", "recovery", "extension"] == [r.kind for r in records(core, session_id)]


@pytest.mark.parametrize("scene", SCENES)
def test_no_room_at_any_call_loses_nothing_and_can_be_tried_again(scene: str) -> None:
    """ENOSPC in every call: StoreFull, or DurabilityLost in a sync; the same work then succeeds."""
    make, play = SCENES[scene]
    whole = make()
    first = len(whole.files.calls)
    play(whole)
    for number in range(len(whole.files.calls) - first):
        world = make()
        world.files.plan = at_full(len(world.files.calls) + number)
        try:
            play(world)
        except (StoreFull, DurabilityLost) as raised:
            failed = world.files.calls[len(whole.files.calls[:first]) + number]
            assert (failed.name in SYNCS) == isinstance(raised, DurabilityLost), failed
        del world.files.plan
        play(world)
        core = FsCore(world.files)
        for receipt in world.acked:
            assert receipt.hash == core.record(receipt.session_id, receipt.seq).hash


def at_full(number: int):
    return lambda call: error(errno.ENOSPC, call) if call.number == number else None


def test_a_disk_that_is_full_for_good_refuses_and_keeps_everything() -> None:
    """No call that needs room succeeds any more; what is there stays readable."""
    world = plain()
    core = world.core()
    world.files.plan = lambda call: (
        error(errno.ENOSPC, call) if call.name in {"write", "create", "make_directory"} else None
    )
    for _ in range(3):
        with pytest.raises(StoreFull):
            core.append(world.session_id, [note()], expected=ANY)
        with pytest.raises(StoreFull):
            born(core)
    assert 3 == len(records(core, world.session_id))
    assert 1 == len(core.list())


def test_a_torn_tail_is_not_cut_while_it_cannot_be_kept() -> None:
    """Without room for the quarantine copy the log stays as it is."""
    world = SCENES["append behind a torn tail"][0]()
    before = bytes(log_bytes(world.files, world.session_id))
    world.files.plan = lambda call: (
        Short(3, error(errno.ENOSPC, call)) if call.path.startswith("quarantine/") else None
    )
    with pytest.raises(StoreFull):
        world.core().append(world.session_id, [note()], expected=ANY)
    assert before == bytes(log_bytes(world.files, world.session_id))


def test_the_file_size_limit_of_a_process_is_store_full(tmp_path: Path) -> None:
    """RLIMIT_FSIZE: the kernel writes a piece, then says EFBIG."""
    core = store(tmp_path)
    session_id = born(core)
    size = log_of(core, session_id).stat().st_size
    pid = os.fork()
    if pid == 0:
        sys.dont_write_bytecode = True  # It would be cut short at the limit, for everybody.
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
        full = 0
        for _ in range(3):
            try:
                core.append(session_id, [note()], expected=ANY)
            except StoreFull:
                full += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        core.append(session_id, [note()], expected=ANY)
        os._exit(full)
    assert 3 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert 2 == len(records(core, session_id))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_a_real_file_system_that_fills_up(tmp_path: Path) -> None:
    """A small tmpfs: appended to the brim, then room is made, then it goes on."""
    room = tmp_path / "small"
    room.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(room)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount")
    try:
        _fill_and_go_on(room)
    finally:
        subprocess.run(["umount", str(room)], check=True)


def _fill_and_go_on(room: Path) -> None:
    ballast = room / "ballast"
    ballast.write_bytes(bytes(64 * 1024))
    core = store(room / "store")
    session_id = born(core)
    acked = 1
    with pytest.raises(StoreFull):
        while True:
            core.append(session_id, [note("x" * 3000)], expected=ANY)
            acked += 1
    assert acked == len(records(core, session_id))
    ballast.unlink()
    core.append(session_id, [note("x" * 3000)], expected=ANY)
    assert acked + 1 == len(records(core, session_id))
    core.close()
