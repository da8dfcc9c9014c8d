"""Data that is lost to failed syncs, twice, and behind lines of another store."""

import errno

import pytest
from fs_tools import born, kinds, note

from session_store.errors import DurabilityLost, HeadMismatch
from session_store.ids import SessionId
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import Call, FaultyMemory, Lost, error


def losing(call: Call) -> Lost | None:
    return Lost(error(errno.EIO, call)) if call.name == "sync_data" else None


def lose(core: FsCore, session_id: SessionId) -> None:
    """Append what the device does not take."""
    cursor = core.open(session_id, shared=True)
    core.files.plan = losing
    with pytest.raises(DurabilityLost):
        core.append(session_id, [note()], cursor=cursor)
    del core.files.plan


def heal(core: FsCore, session_id: SessionId) -> None:
    core.append(session_id, [note()], cursor=core.open(session_id, shared=True))


def test_a_handle_is_refused_behind_a_second_loss_though_it_was_opened_behind_the_first() -> None:
    """The record that it was opened at is gone with the first; the second came after it."""
    one = FsCore(FaultyMemory())
    session_id = born(one, 1)
    other = FsCore(one.files.another_process())
    lose(one, session_id)
    handle = other.open(session_id, shared=True)
    assert 2 == handle.head.seq
    heal(one, session_id)
    lose(one, session_id)
    heal(one, session_id)
    assert 2 == kinds(one, session_id).count("recovery")
    with pytest.raises(DurabilityLost):
        other.append(session_id, [note()], cursor=handle)


def test_a_replica_that_was_healed_behind_a_failed_sync_is_told_from_its_source() -> None:
    """Healing adds a recovery record, which its source does not have: no later line fits, and that is said."""
    source, replica = FsCore(FaultyMemory()), FsCore(FaultyMemory())
    session_id = born(source, 2)
    lines = b"".join(source.raw(session_id)).splitlines(keepends=True)
    replica.append_lines(session_id, lines[0])
    replica.files.plan = losing
    with pytest.raises(DurabilityLost):
        replica.append_lines(session_id, lines[1])
    del replica.files.plan
    with pytest.raises(HeadMismatch):
        replica.append_lines(session_id, b"".join(lines))
    assert ["session_start", "recovery"] == [
        record.kind for records in replica.read(session_id) for record in records
    ][:2]
