"""A sync that fails: nothing is claimed, every older handle is refused, a later one heals."""

import errno
from collections.abc import Callable

import pytest
from attrs import frozen
from fs_scenes import SCENES
from fs_tools import born, fork, kinds, log_bytes, note, start

from session_store.errors import DurabilityLost, HeadMismatch
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import OpenFile
from session_store.stores.protocol import Cursor
from session_store.testing.faults import SYNCS, Call, FaultyMemory, error


class Forgetful(FaultyMemory):
    """A device whose cache, once dropped, shows that what a failed sync should have brought is gone."""

    def drop_cache(self, file: OpenFile) -> None:
        node = self.node(file)
        node.data[:] = self.on_device(file)


@frozen
class World:
    files: FaultyMemory
    core: FsCore
    session_id: SessionId

    def append(self, cursor: Cursor, core: FsCore | None = None) -> int:
        return (core or self.core).append(self.session_id, [note()], cursor=cursor).seq

    def fail_sync(self, code: int = errno.EIO, where: str = ".jsonl") -> None:
        self.files.plan = lambda call: (
            error(code, call) if call.name in SYNCS and call.path.endswith(where) else None
        )

    def lose(self, cursor: Cursor) -> None:
        """Let an append of *cursor* fail at its sync."""
        self.fail_sync()
        with pytest.raises(DurabilityLost):
            self.append(cursor)
        del self.files.plan


def world(files: FaultyMemory | None = None, appends: int = 1) -> World:
    files = files or FaultyMemory()
    core = FsCore(files)
    return World(files, core, born(core, appends))


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.get)
def test_a_failed_sync_refuses_the_handle_for_good(code: int) -> None:
    """Whatever the errno; the head does not move, and no later call revives the handle."""
    w = world()
    cursor = w.core.open(w.session_id)
    w.fail_sync(code)
    with pytest.raises(DurabilityLost):
        w.append(cursor)
    del w.files.plan
    for _ in range(3):
        with pytest.raises(DurabilityLost):
            w.append(cursor)
    assert 1 == cursor.head.seq


OLDER: dict[str, Callable[[World], tuple[FsCore, Cursor]]] = {
    "same process": lambda w: (w.core, w.core.open(w.session_id)),
    "same process, shared": lambda w: (w.core, w.core.open(w.session_id, shared=True)),
    "other process": lambda w: _elsewhere(w, used=False),
    "other process, having appended": lambda w: _elsewhere(w, used=True),
    "other process, its file closed": lambda w: _elsewhere(w, used=True, closed=True),
}


def _elsewhere(w: World, *, used: bool, closed: bool = False) -> tuple[FsCore, Cursor]:
    core = FsCore(w.files)
    cursor = core.open(w.session_id, shared=True)
    if used:
        core.append(w.session_id, [note()], cursor=cursor)
    if closed:
        core.log(w.session_id).release_file()
    return core, cursor


@pytest.mark.parametrize("case", OLDER)
@pytest.mark.parametrize("healed", [False, True], ids=["marked", "healed"])
def test_every_older_handle_is_refused(case: str, healed: bool) -> None:
    """By era here, by the mark elsewhere, and by the recovery record once all is healed."""
    w = world()
    core, older = OLDER[case](w)
    w.lose(w.core.open(w.session_id, shared=True))
    if healed:
        w.append(w.core.open(w.session_id))
    for _ in range(2):
        with pytest.raises(DurabilityLost):
            w.append(older, core)


@pytest.mark.parametrize("process", ["this", "another"])
def test_a_handle_opened_later_heals_and_goes_on(process: str) -> None:
    """Verified, copied to another file, recorded, and the mark is gone."""
    w = world()
    w.lose(w.core.open(w.session_id))
    core = w.core if process == "this" else FsCore(w.files)
    before = w.files.stat(layout.log_path(w.session_id)).inode
    later = core.open(w.session_id)
    w.append(later, core)
    w.append(later, core)
    assert before != w.files.stat(layout.log_path(w.session_id)).inode
    assert ["session_start", "extension", "extension", "recovery"] == kinds(core, w.session_id)[:4]
    assert 1 == kinds(core, w.session_id).count("recovery")
    assert not w.files.exists(layout.pending_path(w.session_id))


def test_two_later_handles_both_go_on() -> None:
    """One heals; the other was opened behind the failure too, here and elsewhere."""
    w = world()
    w.lose(w.core.open(w.session_id))
    other = FsCore(w.files)
    cursors = [(w.core, w.core.open(w.session_id, shared=True)) for _ in range(2)]
    cursors.append((other, other.open(w.session_id, shared=True)))
    for core, cursor in cursors:
        w.append(cursor, core)
    assert 1 == kinds(w.core, w.session_id).count("recovery")


def test_a_second_failure_refuses_those_that_the_first_one_pardoned() -> None:
    """A handle may see one loss healed, the one that it was opened behind."""
    w = world()
    w.lose(w.core.open(w.session_id))
    other = FsCore(w.files)
    pardoned = other.open(w.session_id, shared=True)
    later = w.core.open(w.session_id, shared=True)
    w.append(later)
    w.lose(later)
    w.append(w.core.open(w.session_id))
    with pytest.raises(DurabilityLost):
        w.append(pardoned, other)


def test_what_the_device_lost_is_gone_and_said() -> None:
    """The cache showed an append that the device never had: only the device counts."""
    w = world(Forgetful())
    lost = w.core.open(w.session_id)
    w.lose(lost)
    assert 2 == w.core.head(w.session_id).seq
    stale = w.core.open(w.session_id)
    with pytest.raises(HeadMismatch):
        w.append(stale)
    fresh = w.core.open(w.session_id)
    assert 3 == w.append(fresh)
    assert ["session_start", "extension", "recovery", "extension"] == kinds(w.core, w.session_id)
    with pytest.raises(DurabilityLost):
        w.append(lost)


def test_drafts_that_survived_a_failed_sync_are_not_written_twice() -> None:
    """The retry through a later handle finds them behind the floor."""
    w = world()
    cursor = w.core.open(w.session_id)
    drafts, floor = [note("once")], cursor.head
    w.fail_sync()
    with pytest.raises(DurabilityLost):
        w.core.append(w.session_id, drafts, cursor=cursor)
    del w.files.plan
    later = w.core.open(w.session_id)
    receipt = w.core.append(w.session_id, drafts, cursor=later, floor=floor)
    assert (2, "disk") == (receipt.seq, receipt.level)
    assert 1 == kinds(w.core, w.session_id).count("recovery")
    assert 2 == kinds(w.core, w.session_id).count("extension")


def syncs_after(calls: list[Call], number: int, path: str) -> list[str]:
    return [c.name for c in calls[number:] if c.path == path and c.name in {*SYNCS, "rename"}]


def test_a_failed_sync_is_never_tried_again() -> None:
    """The next sync of the path comes after another file was renamed there."""
    w = world()
    path = layout.log_path(w.session_id)
    w.lose(w.core.open(w.session_id))
    failed = len(w.files.calls)
    for _ in range(2):
        w.append(w.core.open(w.session_id, shared=True))
    assert "rename" == syncs_after(w.files.calls, failed, path)[0]


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def test_any_sync_that_fails_is_durability_lost(scene: str, code: int) -> None:
    """Of log, directory, mark, quarantine, key, marker and copy; the work succeeds afterwards."""
    make, play = SCENES[scene]
    whole = make()
    first = len(whole.files.calls)
    play(whole)
    for number, call in enumerate(whole.files.calls[first:]):
        if call.name not in SYNCS:
            continue
        w = make()
        at = len(w.files.calls) + number
        w.files.plan = lambda c, at=at: error(code, c) if c.number == at else None
        with pytest.raises(DurabilityLost):
            play(w)
        del w.files.plan
        play(w)
        core = FsCore(w.files)
        for receipt in w.acked:
            assert receipt.hash == core.record(receipt.session_id, receipt.seq).hash, call


def test_a_directory_that_cannot_be_synced_is_durability_lost() -> None:
    """The name of a log is part of what level disk claims."""
    files = FaultyMemory()
    core = FsCore(files)
    session_id = new_session_id()
    files.plan = lambda call: error(errno.EIO, call) if call.name == "sync_directory" else None
    with pytest.raises(DurabilityLost):
        core.create(session_id, start(session_id))
    with pytest.raises(DurabilityLost):
        core.create(session_id, start(session_id))
    del files.plan
    assert "disk" == core.create(session_id, start(session_id)).level


def test_a_mark_that_cannot_be_written_is_said() -> None:
    """Only this process is stopped then; the error tells."""
    w = world()
    other = FsCore(w.files)
    elsewhere = other.open(w.session_id, shared=True)
    here = w.core.open(w.session_id, shared=True)
    w.files.plan = lambda call: (
        error(errno.EIO, call)
        if call.name == "sync_data" or call.path.startswith("pending")
        else None
    )
    with pytest.raises(DurabilityLost, match="mark for other processes could not be written"):
        w.append(here)
    del w.files.plan
    with pytest.raises(DurabilityLost):
        w.append(here)
    assert w.append(elsewhere, other) > 1


def test_an_unmarked_loss_is_not_forgotten_when_the_file_is_closed() -> None:
    """Nobody holds the log, its descriptor gave way to others: the next append heals all the same."""
    files = FaultyMemory()
    core = FsCore(files, open_files_max=1)
    w = World(files, core, born(core, 1))
    files.plan = lambda call: (
        error(errno.EIO, call)
        if call.name == "sync_data" or call.path.startswith("pending")
        else None
    )
    with pytest.raises(DurabilityLost):
        core.append(w.session_id, [note()], expected=ANY)
    del files.plan
    for _ in range(3):
        born(core)
    core.append(w.session_id, [note()], expected=ANY)
    assert "recovery" in kinds(core, w.session_id)


def test_flush_through_an_older_handle_is_refused() -> None:
    """It would claim for lost os appends what only a sync could."""
    w = world()
    older, other = w.core.open(w.session_id), FsCore(w.files)
    elsewhere = other.open(w.session_id)
    w.core.append(w.session_id, [note()], cursor=older, durability="os")
    w.lose(w.core.open(w.session_id))
    for _ in range(2):
        with pytest.raises(DurabilityLost):
            w.core.flush(w.session_id, cursor=older)
        w.append(w.core.open(w.session_id, shared=True))
        with pytest.raises(DurabilityLost):
            other.flush(w.session_id, cursor=elsewhere)


def test_flush_that_fails_is_durability_lost() -> None:
    """And it poisons like any other sync."""
    w = world()
    cursor = w.core.open(w.session_id)
    w.core.append(w.session_id, [note()], cursor=cursor, durability="os")
    w.fail_sync()
    with pytest.raises(DurabilityLost):
        w.core.flush(w.session_id, cursor=cursor)
    del w.files.plan
    with pytest.raises(DurabilityLost):
        w.append(cursor)


def test_a_fork_whose_parent_cannot_be_synced_is_not_born() -> None:
    """Nothing refers to what is less durable than itself; the parent is poisoned, at once."""
    w = world()
    core = FsCore(w.files, lock_timeout_s=60)
    core.append(w.session_id, [note()], expected=ANY, durability="os")
    w.fail_sync()
    with pytest.raises(DurabilityLost) as raised:
        fork(core, core.head(w.session_id))
    assert "could not be written" not in str(raised.value)
    del w.files.plan
    assert [] == list(core.children(w.session_id))
    assert 1 == len(core.list())


def test_a_log_without_its_line_end_is_healed_whole() -> None:
    """The missing LF is put back in the copy: no record is glued to the one before."""
    w = world()
    older = w.core.open(w.session_id)
    w.lose(older)
    log_bytes(w.files, w.session_id).pop()
    w.append(w.core.open(w.session_id))
    expected = ["session_start", "extension", "extension", "recovery", "extension"]
    assert expected == kinds(w.core, w.session_id)
