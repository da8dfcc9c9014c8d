"""Healing behind a failed sync: who is told of it when, what a second try finds, what it may believe."""

import errno

import pytest
from fs_tools import born, log_bytes, note, records

from session_store.chain import Draft
from session_store.codec import decode_body
from session_store.errors import DurabilityLost, StoreFull
from session_store.stores import ANY
from session_store.stores.fs import layout, pending
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.log import Log
from session_store.stores.fs.recovery import mark_lost
from session_store.testing.faults import Call, Crash, FaultyMemory, Lost, error


@pytest.fixture
def core() -> FsCore:
    return FsCore(FaultyMemory())


@pytest.fixture
def log(core: FsCore) -> Log:
    return core.log(born(core, 1))


def lose(core: FsCore, log: Log, draft: Draft | None = None) -> None:
    """Let an append fail at its sync."""
    core.files.plan = lambda call: error(errno.EIO, call) if call.name == "sync_data" else None
    with pytest.raises(DurabilityLost):
        core.append(log.session_id, [draft or note()], expected=ANY)
    del core.files.plan


def losses(core: FsCore, log: Log) -> list[dict]:
    found = records(core, log.session_id)
    return [dict(decode_body(r, log.name)) for r in found if r.kind == "recovery"]


def kept(log: Log, path: str) -> bytes:
    return log.files.read(log.files.open(path), 1 << 30, 0)


def test_a_handle_that_is_refused_heals_nothing(core: FsCore, log: Log) -> None:
    """The mark is looked at before anything is done: what is to be done is left to whoever may."""
    other = FsCore(core.files.another_process())
    older = other.open(log.session_id)
    lose(core, log)
    inode = core.files.stat(log.path).inode
    for _ in range(2):
        with pytest.raises(DurabilityLost):
            other.append(log.session_id, [note()], cursor=older)
    assert inode == core.files.stat(log.path).inode
    assert core.files.exists(layout.pending_path(log.session_id))


def test_a_handle_opened_before_the_mark_is_written_goes_on(core: FsCore, log: Log) -> None:
    """The loss that this process marks itself is none that it did not know."""
    lost = log.lose(OSError(errno.EIO, "io"))
    later = core.open(log.session_id)
    assert lost is mark_lost(log, lost, 0)
    assert 3 == core.append(log.session_id, [note()], cursor=later).seq


class Alarm(Exception):
    """What somebody's handler of a signal may raise, anywhere."""


def test_what_a_signals_handler_raises_is_no_failure_to_write_the_mark(log: Log) -> None:
    """It passes through, and leaves nothing locked."""

    def plan(call: Call) -> Alarm | None:
        return Alarm() if call.path.startswith(layout.PENDING) else None

    lost = log.lose(OSError(errno.EIO, "io"))
    log.files.plan = plan
    with pytest.raises(Alarm):
        mark_lost(log, lost, 0)
    assert not log.is_held


def staged(core: FsCore, log: Log) -> FsCore:
    """Die when the copy of a healing is whole, and not yet in its place; return the next process."""
    lose(core, log)
    core.files.plan = lambda call: (
        Crash() if (call.name, call.path) == ("rename", log.path) else None
    )
    with pytest.raises(Crash):
        core.append(log.session_id, [note()], expected=ANY)
    return FsCore(core.files.rebooted())


def test_a_copy_that_was_not_put_in_place_is_made_anew(core: FsCore, log: Log) -> None:
    """From what the log is then: what stands behind its end by now is kept, and is what is recorded."""
    size = len(log_bytes(log.files, log.session_id))
    later = staged(core, log)
    [job] = pending.load(later.files, log.session_id)
    target = later.log(log.session_id)
    end = len(log_bytes(target.files, target.session_id))
    assert size < end == job["offset"]
    del log_bytes(target.files, target.session_id)[size + 5 :]
    piece = bytes(log_bytes(target.files, target.session_id)[size:])
    later.append(log.session_id, [note()], expected=ANY)
    [loss] = losses(later, target)
    assert (size, 5) == (loss["offset"], loss["length"])
    assert piece == kept(target, loss["quarantine"])


def test_a_healing_that_was_only_not_taken_off_the_list_is_recorded_once(
    core: FsCore, log: Log
) -> None:
    """The next process makes a copy once more, and finds the record that it was ready to write."""
    lose(core, log)
    mark = layout.pending_path(log.session_id)
    core.files.plan = lambda call: Crash() if (call.name, call.path) == ("unlink", mark) else None
    with pytest.raises(Crash):
        core.append(log.session_id, [note()], expected=ANY)
    later = FsCore(core.files.rebooted())
    later.append(log.session_id, [note()], expected=ANY)
    assert 1 == len(losses(later, log))


def test_the_mark_goes_when_the_copy_is_on_the_device_under_its_name(
    core: FsCore, log: Log
) -> None:
    """With its record; until then a power loss may bring back the file that lost data."""
    lose(core, log)
    mark, found = layout.pending_path(log.session_id), []

    def plan(call: Call) -> None:
        if (call.name, call.path) == ("unlink", mark):
            found.append(core.files.at_the_least(log.path))

    core.files.plan = plan
    core.append(log.session_id, [note()], expected=ANY)
    del core.files.plan
    [data] = found
    assert b'"kind":"recovery"' in data.splitlines()[-1]


def fill_page(core: FsCore, log: Log, *, left: int) -> None:
    """Let an append fail at its sync that ends so many bytes before a page does."""
    core.append(log.session_id, [note("")], expected=ANY)
    size = log.files.size(log.file)
    core.append(log.session_id, [note("")], expected=ANY)
    line = log.files.size(log.file) - size
    core.append(log.session_id, [note("x" * (2 * 4096 - left - size - 3 * line))], expected=ANY)
    lose(core, log, note(""))
    assert 2 * 4096 - left == len(log_bytes(log.files, log.session_id))


def test_what_another_process_lost_of_a_copy_is_not_believed(core: FsCore, log: Log) -> None:
    """
    Two had the same loss to heal, and the sync of the second one's record failed.

    Its copy is not the one that the first has verified: the record is in the cache alone,
    and what is appended behind it brings only one of its two pages.
    """
    fill_page(core, log, left=100)
    core.files.plan = lambda call: (
        OSError(errno.ENOSPC, "no room") if (call.name, call.path) == ("write", log.path) else None
    )
    with pytest.raises(StoreFull):
        core.append(log.session_id, [note()], expected=ANY)
    del core.files.plan
    other = FsCore(core.files.another_process())
    other.files.plan = lambda call: (
        Lost(error(errno.EIO, call)) if (call.name, call.path) == ("sync_data", log.path) else None
    )
    with pytest.raises(DurabilityLost):
        other.append(log.session_id, [note()], expected=ANY)
    receipt = core.append(log.session_id, [note()], expected=ANY)
    assert "disk" == receipt.level
    after = FsCore(core.files.after_power_loss(names_kept=False, share=0))
    assert receipt.hash == records(after, log.session_id)[-1].hash
