"""The names of logs on the device: one sync of a directory for all that were seen in it before."""

import errno
import gc
import logging
import threading
from collections.abc import Iterator

import pytest
from crash.processes import start as child_process
from crash.processes import wait
from fs_tools import note, records, start

from session_store.errors import DurabilityLost
from session_store.ids import SessionId, session_id_for
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.names import Names
from session_store.testing.faults import FaultyMemory, error

_HOUR_MS = 1_780_000_000_000


def ids(count: int) -> list[SessionId]:
    """Return ids of one hour."""
    return [session_id_for(f"session {number}", _HOUR_MS) for number in range(count)]


@pytest.fixture
def files() -> FaultyMemory:
    """A store with three sessions whose names are in no directory on the device."""
    files = FaultyMemory()
    core = FsCore(files, durability="os")
    for session_id in ids(3):
        core.create(session_id, start(session_id))
    return files


@pytest.fixture
def core(files: FaultyMemory) -> FsCore:
    """The store as a process has it that came later."""
    return FsCore(files.another_process())


def test_a_failed_sync_of_a_directory_holds_no_file(
    core: FsCore, caplog: pytest.LogCaptureFixture
) -> None:
    """What is remembered of it is why; its traceback would keep the log open."""
    caplog.set_level(logging.CRITICAL, "session_store")  # A record that is kept holds the error.
    core.files.plan = lambda call: error(errno.EIO, call) if call.name == "sync_directory" else None
    with pytest.raises(DurabilityLost):
        core.append(ids(1)[0], [note()], expected=ANY, durability="disk")
    core.close()
    gc.collect()
    assert [] == list(core.files._paths.values())


def synced(core: FsCore) -> list[str]:
    return [call.path for call in core.files.calls if call.name == "sync_directory"]


def append_all(core: FsCore) -> Iterator[list[str]]:
    """Append to each session; give which directories were synced for it."""
    for session_id in ids(3):
        before = len(synced(core))
        core.append(session_id, [note()], expected=ANY)
        yield synced(core)[before:]


def test_one_sync_serves_all_that_were_opened_before(core: FsCore) -> None:
    """A pod that opened its sessions syncs their hour once, and what is above it."""
    for session_id in ids(3):
        core.open(session_id)
    above = layout.parents(layout.log_path(ids(1)[0]))
    assert [above, [], []] == list(append_all(core))


def test_a_name_that_was_seen_later_is_synced_again(core: FsCore) -> None:
    """What the sync found in the directory is not known; what is above was there."""
    hour, *above = layout.parents(layout.log_path(ids(1)[0]))
    assert [[hour, *above], [hour], [hour]] == list(append_all(core))


def test_what_one_sync_served_survives_the_loss_of_power(core: FsCore) -> None:
    """All three are found again, though the directory was synced for the first of them."""
    for session_id in ids(3):
        core.open(session_id)
    list(append_all(core))
    for found in core.files.power_losses():
        after = FsCore(found)
        assert [2, 2, 2] == [len(records(after, session_id)) for session_id in ids(3)]


def test_a_failed_sync_of_a_directory_loses_every_name_that_it_was_for(core: FsCore) -> None:
    """The device would say yes to a second one; who opens the session anew heals it."""
    cursors = [core.open(session_id, shared=True) for session_id in ids(2)]
    core.files.plan = lambda call: error(errno.EIO, call) if call.name == "sync_directory" else None
    with pytest.raises(DurabilityLost):
        core.append(ids(1)[0], [note()], cursor=cursors[0])
    del core.files.plan
    before = len(synced(core))
    with pytest.raises(DurabilityLost):
        core.append(ids(2)[1], [note()], cursor=cursors[1])
    assert layout.hour_directory(ids(1)[0]) not in synced(core)[before:]
    for session_id in ids(2):
        later = core.open(session_id, shared=True)
        assert "disk" == core.append(session_id, [note()], cursor=later).level


def test_a_name_that_only_an_append_has_seen_is_lost_as_well(core: FsCore) -> None:
    """What was written under it may be found under no name."""
    first, second = ids(2)
    core.append(second, [note()], expected=ANY, durability="os")
    core.files.plan = lambda call: error(errno.EIO, call) if call.name == "sync_directory" else None
    with pytest.raises(DurabilityLost):
        core.append(first, [note()], expected=ANY)
    del core.files.plan
    with pytest.raises(DurabilityLost):
        core.flush(second)


def test_who_waits_for_a_sync_that_was_begun_before_asks_for_another(core: FsCore) -> None:
    """The name may have come too late for the first one."""
    names = Names(core.files)
    one, other = (names.link(layout.log_path(session_id)) for session_id in ids(2))
    hour = layout.hour_directory(ids(1)[0])
    one.see((0, 1))

    def seen_meanwhile(call) -> None:
        if call.path == hour:
            other.see((0, 2))

    core.files.plan = seen_meanwhile
    one.sync((0, 1))
    before = len(synced(core))
    other.sync((0, 2))
    assert [hour] == synced(core)[before:]


def test_a_child_of_os_fork_has_free_locks(core: FsCore) -> None:
    """Another thread of the parent is at a sync in that moment."""
    names = Names(core.files)
    link = names.link(layout.log_path(ids(1)[0]))
    begun, go_on = threading.Event(), threading.Event()

    def held(_) -> None:
        begun.set()
        assert go_on.wait(30)

    def work() -> None:
        del core.files.plan
        names.after_fork()
        link.sync((0, 1))

    core.files.plan = held
    thread = threading.Thread(target=link.sync, args=((0, 1),))
    thread.start()
    assert begun.wait(30)
    pid = child_process(work)
    go_on.set()
    thread.join()
    assert [0] == wait([pid])
