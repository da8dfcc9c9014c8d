"""What the simulation has found, each by the shortest way to it."""

import errno
import threading
from collections.abc import Callable
from itertools import count

import pytest
from fs_tools import born, kinds, log_bytes, note, records

from session_store.entries import EntryHash, Position, Receipt
from session_store.errors import DurabilityLost, StoreFull
from session_store.ids import SessionId
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import SyncFailed
from session_store.testing.faults import (
    CHANGES,
    LOOKS,
    PAGE,
    Call,
    Crash,
    Fault,
    FaultyMemory,
    Lost,
    Short,
    error,
)


def world(appends: int = 0) -> tuple[FaultyMemory, FsCore, SessionId]:
    files = FaultyMemory()
    core = FsCore(files)
    return files, core, born(core, appends)


def once(
    files: FaultyMemory, name: str, fault: Callable[[Call], Fault], end: str = ".jsonl"
) -> None:
    """Give the next call *name* about a log its *fault*."""

    def plan(call: Call) -> Fault:
        if call.name != name or not call.path.endswith(end):
            return None
        del files.plan
        return fault(call)

    files.plan = plan


def last_byte(call: Call) -> Fault:
    return Short(call.size - 1)


def lost(_: Call) -> Fault:
    return Lost(SyncFailed(errno.EIO, "Input/output error"))


def test_an_append_that_lacks_its_line_end_alone_is_not_taken_back() -> None:
    """Readers count it from the moment it is there, so it is acknowledged; the next one mends it."""
    files, core, session_id = world()
    once(files, "write", last_byte)
    receipt = core.append(session_id, [note()], expected=ANY)
    assert receipt.position == core.head(session_id)
    core.append(session_id, [note()], expected=receipt.position)
    assert ["session_start", "extension", "extension"] == kinds(core, session_id)


def test_a_recovery_record_that_lacks_its_line_end_is_mended_before_the_append() -> None:
    files, core, session_id = world()
    log_bytes(files, session_id).extend(b'{"v":1,"seq":1')
    once(files, "write", last_byte)
    core.append(session_id, [note()], expected=ANY)
    assert ["session_start", "recovery", "extension"] == kinds(core, session_id)


def test_a_recovery_that_died_before_its_line_end_is_recorded_once() -> None:
    files, core, session_id = world()
    log_bytes(files, session_id).extend(b'{"v":1,"seq":1')
    once(files, "write", lambda call: Short(call.size - 1, Crash()))
    with pytest.raises(Crash):
        core.append(session_id, [note()], expected=ANY)
    core = FsCore(files.rebooted())
    core.append(session_id, [note()], expected=ANY)
    assert ["session_start", "recovery", "extension"] == kinds(core, session_id)


def test_a_line_end_is_on_disk_before_anything_stands_behind_it() -> None:
    """A record of level disk does not become torn by a hole behind it."""
    files, core, session_id = world()
    once(files, "write", last_byte)
    receipt = core.append(session_id, [note()], expected=ANY)
    once(files, "write", lambda _: once(files, "write", lambda _: once(files, "sync_data", Crash)))
    with pytest.raises(Crash):
        core.append(session_id, [note()], expected=receipt.position)
    for after in files.power_losses(limit=50):
        assert receipt.hash == records(FsCore(after), session_id)[receipt.seq].hash


def overlapping(number: int) -> tuple[FaultyMemory, SessionId, Receipt | None]:
    """Append while the sync of an earlier append fails, in call *number*, in another thread."""
    files, core, session_id = world(1)
    cursor = core.open(session_id, shared=True)
    first = core.request(session_id, [note()], expected=ANY)
    first.log.lock(1)
    written = core.write(first)
    first.log.unlock()

    def fail() -> None:
        files.plan = lambda call: lost(call) if call.name == "sync_data" else None
        with pytest.raises(DurabilityLost):
            first.log.sync(written)
        del files.plan

    def plan(call: Call) -> None:
        if call.name == "sync_data":
            raise StopIteration
        if call.number == number:
            thread = threading.Thread(target=fail)
            thread.start()
            thread.join()

    files.watched, files.plan = CHANGES | LOOKS, plan
    number += len(files.calls)
    try:
        return files, session_id, core.append(session_id, [note()], cursor=cursor)
    except DurabilityLost:
        return files, session_id, None


def test_an_append_during_which_a_sync_fails_is_refused() -> None:
    """Whatever it is at: what it stands on may be lost, and its own sync would say nothing of that."""
    for number in count():
        try:
            _, _, receipt = overlapping(number)
        except StopIteration:
            break
        assert receipt is None
    assert number > 5


def test_drafts_are_found_although_what_they_were_made_behind_was_lost() -> None:
    """By every later try, through whatever handle."""
    _, core, session_id = world(2)
    floor, drafts = Position(session_id, 9, EntryHash(bytes(32))), [note(), note()]
    receipt = core.append(session_id, drafts, expected=ANY, floor=floor)
    core.append(session_id, [note()], expected=ANY)
    cursor = core.open(session_id)
    for again in (
        core.append(session_id, drafts, expected=ANY, floor=floor),
        core.append(session_id, drafts, cursor=cursor, floor=floor),
    ):
        assert receipt == again
    assert 6 == len(records(core, session_id))


def test_a_floor_in_another_log_is_no_lost_one() -> None:
    _, core, session_id = world(2)
    floor = core.head(born(core, 1))
    assert 3 == core.append(session_id, [note()], expected=ANY, floor=floor).seq


def fill_page(core: FsCore, session_id: SessionId) -> None:
    """Let the log end so that the next record lies in two pages."""
    sizes = [core.list()[0].size]
    for payload in ("", "x"):
        core.append(session_id, [note(payload)], expected=ANY)
        sizes.append(core.list()[0].size)
    wanted = PAGE - 100 - sizes[2] - (sizes[1] - sizes[0])
    core.append(session_id, [note("x" * wanted)], expected=ANY)
    assert PAGE - 100 == core.list()[0].size


@pytest.mark.parametrize("by", ["the same process", "another process"])
def test_the_record_of_a_recovery_is_not_believed_behind_a_failed_sync(by: str) -> None:
    """What is appended next would stand on a record that the device does not have."""
    files, core, session_id = world()
    fill_page(core, session_id)
    for _ in range(2):  # of the append, then of the record of its recovery
        once(files, "sync_data", lost)
        with pytest.raises(DurabilityLost):
            core.append(session_id, [note()], expected=ANY)
    core = core if by == "the same process" else FsCore(files)
    receipt = core.append(session_id, [note()], expected=ANY)
    after = FsCore(next(files.power_losses(limit=0)))
    assert ["recovery", "extension"] == kinds(after, session_id)[-2:]
    assert receipt.position == after.head(session_id)


def test_a_recovery_that_found_no_room_for_its_record_copies_no_second_time() -> None:
    """What this process has verified from the device, and put in place, is not in doubt."""
    files, core, session_id = world(1)
    once(files, "sync_data", lost)
    with pytest.raises(DurabilityLost):
        core.append(session_id, [note()], expected=ANY)
    once(files, "write", lambda call: error(errno.ENOSPC, call))
    with pytest.raises(StoreFull):
        core.append(session_id, [note()], expected=ANY)
    before = len(files.calls)
    core.append(session_id, [note()], expected=ANY)
    assert "rename" not in [c.name for c in files.calls[before:] if c.path.endswith(".jsonl")]
    assert 1 == kinds(core, session_id).count("recovery")
