"""Bringing a log back, step by step: what is kept, what is cut, what is said, and what a redo finds."""

import errno

import pytest
from blake3 import blake3
from fs_tools import born, kinds, log_bytes, note, records, start

from session_store.codec import decode_body
from session_store.errors import Corrupt, DurabilityLost, NotFound
from session_store.ids import new_session_id
from session_store.stores import ANY
from session_store.stores.fs import layout, pending
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.log import Log
from session_store.stores.fs.quarantine import TORN, write_all
from session_store.stores.fs.recovery import replace_mark, settle
from session_store.testing.faults import CHANGES, LOOKS, Crash, FaultyMemory, error

LARGE = 2_500_000
"""More than two of the chunks in which logs are read and copied."""


@pytest.fixture
def files() -> FaultyMemory:
    return FaultyMemory()


@pytest.fixture
def core(files: FaultyMemory) -> FsCore:
    return FsCore(files)


@pytest.fixture
def log(core: FsCore) -> Log:
    return core.log(born(core, 1))


def torn(log: Log, size: int = LARGE) -> bytes:
    """Put a piece of an append behind the log; return it."""
    piece = (b'{"v":1,"seq":2,' + b"0123456789" * (size // 10))[:size]
    log_bytes(log.files, log.session_id).extend(piece)
    return piece


def quarantined(log: Log) -> dict[str, bytes]:
    files = log.files
    paths = [f"{layout.QUARANTINE}/{name}" for name in files.names(layout.QUARANTINE)]
    return {path: files.read(files.open(path), 1 << 30, 0) for path in paths}


def bodies(core: FsCore, log: Log, kind: str) -> list[dict]:
    found = records(core, log.session_id)
    return [dict(decode_body(r, log.name)) for r in found if r.kind == kind]


def fail_syncs(files: FaultyMemory, path: str = ".jsonl") -> None:
    files.plan = lambda call: (
        error(errno.EIO, call) if call.name == "sync_data" and call.path.endswith(path) else None
    )


def lose(core: FsCore, log: Log) -> None:
    """Let an append fail at its sync."""
    fail_syncs(core.files)
    with pytest.raises(DurabilityLost):
        core.append(log.session_id, [note()], expected=ANY)
    del core.files.plan


# -- the torn tail -------------------------------------------------------------------------------


def test_a_torn_tail_is_kept_whole_and_recorded(
    core: FsCore, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    """Place, length, digest and name of the copy are in the record, in the log of the program, too."""
    offset = len(log_bytes(log.files, log.session_id))
    piece = torn(log)
    core.append(log.session_id, [note()], expected=ANY)
    [(path, kept)] = quarantined(log).items()
    assert piece == kept
    expected = {
        "cause": TORN,
        "offset": offset,
        "length": LARGE,
        "blake3": blake3(piece).hexdigest(),
        "quarantine": path,
    }
    assert [expected] == bodies(core, log, "recovery")
    assert ["session_start", "extension", "recovery", "extension"] == kinds(core, log.session_id)
    said = f"{LARGE} bytes behind byte {offset} cut ({TORN}), kept in {path}"
    assert [("session_store", f"{log.session_id}: {said}")] == [
        (record.name, record.message) for record in caplog.records
    ]


def crash_at_cut(log: Log) -> FsCore:
    """Die when the mark is there and nothing was cut; return the store of the next process."""
    log.files.plan = lambda call: Crash() if call.name == "truncate" else None
    with pytest.raises(Crash):
        FsCore(log.files).append(log.session_id, [note()], expected=ANY)
    return FsCore(log.files.rebooted())


def test_a_redo_cuts_what_its_mark_says(log: Log) -> None:
    """Once, with one record, the one that was ready when the process died."""
    piece = torn(log)
    core = crash_at_cut(log)
    target = core.log(log.session_id)
    [job] = pending.load(core.files, log.session_id)
    assert log_bytes(target.files, target.session_id).endswith(piece)
    core.append(log.session_id, [note()], expected=ANY)
    assert ["session_start", "extension", "recovery", "extension"] == kinds(core, log.session_id)
    assert job["drafts"][0][3] == records(core, log.session_id)[2].digest.decode()
    assert not core.files.exists(layout.pending_path(log.session_id))


@pytest.mark.parametrize("length", ["the same", "less"])
def test_a_redo_cuts_nothing_that_was_appended_since(log: Log, length: str) -> None:
    """A mark that was not removed in time, and whole records where it says that there is a piece."""
    offset = len(log_bytes(log.files, log.session_id))
    torn(log, 40)
    core = crash_at_cut(log)
    [job] = pending.load(core.files, log.session_id)
    core.append(log.session_id, [note("kept")], expected=ANY)
    size = len(log_bytes(core.files, log.session_id))
    pending.save(
        core.files,
        log.session_id,
        [{**job, "length": size - offset} if length == "the same" else job],
    )
    core.append(log.session_id, [note()], expected=ANY)
    expected = ["session_start", "extension", "recovery", "extension", "extension"]
    assert expected == kinds(core, log.session_id)
    assert not core.files.exists(layout.pending_path(log.session_id))


@pytest.mark.parametrize("end", [b"", b"#"])
def test_a_missing_line_end_is_put_back_and_synced(
    core: FsCore, log: Log, caplog: pytest.LogCaptureFixture, end: bytes
) -> None:
    """Before anything stands behind it; the wrong byte in its place is cut first."""
    data = log_bytes(log.files, log.session_id)
    data[-1:] = end
    first = len(log.files.calls)
    core.append(log.session_id, [note()], expected=ANY)
    made = [call.name for call in log.files.calls[first:] if call.path == log.path]
    assert [*(["truncate"] if end else []), "write", "sync_data", "write", "sync_data"] == made
    assert ["session_start", "extension", "extension"] == kinds(core, log.session_id)
    said = f"{log.session_id}: put back the missing end of the last line"
    assert [said] == caplog.messages


def test_what_was_never_born_is_kept_and_said(
    core: FsCore, caplog: pytest.LogCaptureFixture
) -> None:
    """An empty file needs no words."""
    for size in (0, LARGE):
        session_id = new_session_id()
        core.create(session_id, start(session_id))
        target = core.log(session_id)
        del log_bytes(target.files, target.session_id)[:]
        piece = torn(target, size)
        caplog.clear()
        core.create(session_id, start(session_id))
        kept = quarantined(target)
        assert ([piece] if size else []) == list(kept.values())
        said = [f"{session_id}: unborn, {LARGE} bytes kept in {path}" for path in kept]
        assert said == caplog.messages


# -- the failed sync -----------------------------------------------------------------------------


def test_a_log_is_healed_byte_for_byte(
    core: FsCore, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    """Longer than a chunk, in the place of a copy that an earlier try has left half done."""
    files = log.files
    core.append(log.session_id, [note("x" * LARGE)], expected=ANY)
    lose(core, log)
    before = bytes(log_bytes(log.files, log.session_id))
    temp_path = layout.temp_path(log.session_id)
    write_all(files, files.open(temp_path, write=True, create=True), b"junk")
    piece = torn(log, 100)
    caplog.clear()
    first = len(files.calls)
    core.append(log.session_id, [note()], expected=ANY)
    pieces = [c.size for c in files.calls[first:] if c.name == "write" and c.path == temp_path]
    assert [1 << 20, 1 << 20, len(before) - (2 << 20)] == pieces
    assert log_bytes(log.files, log.session_id).startswith(before)
    assert [piece] == list(quarantined(log).values())
    [recovery] = bodies(core, log, "recovery")
    assert ("sync_failed", len(before), 100) == (
        recovery["cause"],
        recovery["offset"],
        recovery["length"],
    )
    said = f"{log.session_id}: verified from the device and copied, {len(before)} bytes"
    assert [said] == caplog.messages
    assert not files.exists(temp_path)
    assert not files.exists(layout.pending_path(log.session_id))


def test_a_healed_log_is_not_healed_again(core: FsCore, log: Log) -> None:
    """One copy for one failure."""
    lose(core, log)
    inodes = set()
    for _ in range(3):
        core.append(log.session_id, [note()], expected=ANY)
        inodes.add(log.files.stat(log.path).inode)
    assert 1 == len(inodes)
    assert 1 == kinds(core, log.session_id).count("recovery")


def test_the_copy_is_locked_when_it_takes_the_logs_place(core: FsCore, log: Log) -> None:
    """From the rename on nobody else gets in before the record is there."""
    lose(core, log)
    rival = FsCore(log.files.another_process()).log(log.session_id)
    files = log.files
    files.watched = CHANGES | LOOKS
    taken: list[str] = []

    def plan(call) -> None:
        if rival.try_lock():
            rival.unlock()
            taken.append(f"{call.name} {call.path}")

    log.lock(0)
    first = len(files.calls)
    files.plan = plan
    settle(log)
    del files.plan
    assert "rename" in {call.name for call in files.calls[first:]}
    assert [] == taken


def test_a_log_that_is_damaged_on_the_device_is_not_healed(core: FsCore, log: Log) -> None:
    """Nothing is copied, nothing is renamed; the mark stays for `repair`."""
    core.append(log.session_id, [note()], expected=ANY)
    lose(core, log)
    log_bytes(log.files, log.session_id)[700] ^= 1
    before = bytes(log_bytes(log.files, log.session_id))
    for _ in range(2):
        with pytest.raises(Corrupt):
            core.append(log.session_id, [note()], expected=ANY)
    assert before == bytes(log_bytes(log.files, log.session_id))
    assert log.files.exists(layout.pending_path(log.session_id))
    core.repair(log.session_id)
    core.append(log.session_id, [note()], expected=ANY)
    assert 2 == kinds(core, log.session_id).count("recovery")


def test_a_copy_that_could_not_be_renamed_is_let_go(core: FsCore, log: Log) -> None:
    """Though somebody keeps the exception, with all that it holds on to; the next append heals."""
    lose(core, log)
    files = log.files
    files.plan = lambda call: OSError(errno.EIO, "io") if call.path == log.path else None
    with pytest.raises(OSError, match="io") as kept:
        core.append(log.session_id, [note()], expected=ANY)
    del files.plan
    rival = files.another_process()
    assert rival.try_lock(rival.open(layout.temp_path(log.session_id), write=True))
    core.append(log.session_id, [note()], expected=ANY)
    assert 1 == kinds(core, log.session_id).count("recovery")
    del kept


def test_a_loss_that_could_not_be_marked_is_healed_all_the_same(core: FsCore, log: Log) -> None:
    """By the process that knows of it, with the record, and without a mark."""
    core.files.plan = lambda call: (
        error(errno.EIO, call)
        if call.name == "sync_data" or call.path.startswith("pending")
        else None
    )
    with pytest.raises(DurabilityLost):
        core.append(log.session_id, [note()], expected=ANY)
    del core.files.plan
    assert not core.files.exists(layout.pending_path(log.session_id))
    core.append(log.session_id, [note()], expected=ANY)
    assert ["sync_failed"] == [body["cause"] for body in bodies(core, log, "recovery")]
    assert not log.heal_due


def test_a_mark_of_another_job_begins_no_era(core: FsCore, log: Log) -> None:
    """A handle that was opened behind a healed failure goes on though a cut is left to do."""
    lose(core, log)
    cursor = core.open(log.session_id)
    core.append(log.session_id, [note()], cursor=cursor)
    torn(log, 40)
    log.files.plan = lambda call: OSError(errno.EIO, "io") if call.name == "truncate" else None
    with pytest.raises(OSError, match="io"):
        core.append(log.session_id, [note()], cursor=cursor)
    del log.files.plan
    assert ["cut"] == [job["job"] for job in pending.load(core.files, log.session_id)]
    era = log.era
    core.append(log.session_id, [note()], cursor=cursor)
    assert era == log.era


def test_a_mark_that_cannot_be_read_is_replaced_by_one_of_a_failed_sync(
    core: FsCore, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    """It is kept, and the log is verified from the device whatever it was."""
    pending.save(core.files, log.session_id, [{"job": "delete", "parent": None}])
    with core.files.frozen_names() as (nodes, _):
        nodes[layout.pending_path(log.session_id)].data[5] ^= 1
    log.lock(0)
    kept = replace_mark(log)
    [job] = pending.load(core.files, log.session_id)
    assert ("reopen", 32, [], None) == (job["job"], len(job["id"]), job["drafts"], job["inode"])
    assert [
        f"{log.session_id}: a damaged pending mark, kept in {kept.quarantine}"
    ] == caplog.messages
    log.unlock()
    core.append(log.session_id, [note()], expected=ANY)
    assert 1 == kinds(core, log.session_id).count("recovery")


def test_two_jobs_are_done_and_removed_each(core: FsCore, log: Log) -> None:
    """A cut whose record could not be synced: both are recorded, once."""
    torn(log, 40)
    fail_syncs(core.files)
    with pytest.raises(DurabilityLost):
        core.append(log.session_id, [note()], expected=ANY)
    del core.files.plan
    assert ["cut", "reopen"] == [j["job"] for j in pending.load(core.files, log.session_id)]
    core.append(log.session_id, [note()], expected=ANY)
    causes = [body["cause"] for body in bodies(core, log, "recovery")]
    assert ["sync_failed", TORN] == sorted(causes)
    assert not core.files.exists(layout.pending_path(log.session_id))


def test_a_mark_that_nobody_can_write_in_time_is_said(core: FsCore, log: Log) -> None:
    """Another process has the lock: this one is stopped, and says who is not."""
    core.append(log.session_id, [note()], expected=ANY, durability="os")
    other = FsCore(log.files.another_process()).log(log.session_id)
    core.lock_timeout_s = 0
    log.lock(0)
    log.refresh()
    written = log.append([note()])
    log.unlock()
    assert other.try_lock()
    fail_syncs(core.files)
    with pytest.raises(
        DurabilityLost, match=r"could not be written \(.*has held the lock.*only this process"
    ):
        core.sync(log, written)
    other.unlock()
    assert not log.is_held
    assert not core.files.exists(layout.pending_path(log.session_id))


def test_a_second_failure_keeps_the_mark_of_the_first(core: FsCore, log: Log) -> None:
    """One mark, one id: handles that have seen it know it."""
    lose(core, log)
    [first] = pending.load(core.files, log.session_id)
    other = FsCore(core.files.another_process())
    fail_syncs(other.files)
    with pytest.raises(DurabilityLost):
        other.append(log.session_id, [note()], expected=ANY)
    marks = pending.load(core.files, log.session_id)
    assert [first["id"]] == [mark["id"] for mark in marks if mark["job"] == "reopen"]
    assert 32 == len(first["id"])


def test_a_delete_that_was_begun_ends_every_append(core: FsCore, log: Log) -> None:
    """It is finished first, and the append is told."""
    job = {"job": "delete", "parent": None}
    pending.save(core.files, log.session_id, [job])
    with pytest.raises(NotFound, match=f"^{log.session_id}: deleted$"):
        core.append(log.session_id, [note()], expected=ANY)
    assert not log.files.exists(log.path)
    assert not log.files.exists(layout.pending_path(log.session_id))
