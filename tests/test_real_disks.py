"""Disks that are really full, failing, forbidden or tampered with; the long forms are `make crash`."""

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from crash import disks, mischief, processes
from fs_tools import born, fork, kinds, note, records, start, store, tree
from real_tools import (
    NOBODY,
    WITHOUT_LOG,
    give_away,
    if_available,
    loop_ext4,
    resize,
    tmpfs,
)

from session_store.errors import Corrupt, DurabilityLost
from session_store.ids import new_session_id
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import FaultyMemory

SEED = 20261121


def test_a_full_tmpfs_refuses_all_work_and_then_lets_it_be_done() -> None:
    """Append, recovery, create, key, fork, whole copy; the level on a tmpfs is os."""
    with if_available():
        counts = disks.full(partial(tmpfs, "1m"), trials=2, seed=SEED)
        assert (2, 0) == (counts["short writes"], counts["wrong"])
        assert counts["refused"] > 0


def test_a_full_ext4_refuses_all_work_and_then_lets_it_be_done() -> None:
    """The same at level disk."""
    with if_available():
        counts = disks.full(disks.small_ext4, trials=1, seed=SEED)
        assert (1, 0) == (counts["short writes"], counts["wrong"])


@pytest.mark.parametrize("limit", [disks.small_files, disks.killed_by_the_limit])
def test_files_that_may_not_grow(tmp_path: Path, limit: Callable[..., Counter]) -> None:
    """RLIMIT_FSIZE in the middle of any work, SIGXFSZ ignored or deadly."""
    counts = limit(tmp_path, trials=2, seed=SEED)
    assert 0 == counts["wrong"]
    assert counts["refused"] + counts["killed"] > 0


def test_too_few_descriptors_refuse_work_and_nothing_is_half_done(tmp_path: Path) -> None:
    """RLIMIT_NOFILE, each number of descriptors that is too few."""
    counts = disks.few_files(tmp_path, range(0, 12, 3))
    assert 0 == counts["wrong"]
    assert counts["refused"] > 0


def test_no_descriptor_for_a_sync_is_no_failed_sync() -> None:
    """Nothing was lost: the same handle goes on, and finds what it has written."""
    files = FaultyMemory()
    core = FsCore(files)
    session_id = born(core)
    core = FsCore(files)
    cursor, drafts = core.open(session_id), [note()]
    files.plan = lambda call: (
        OSError(errno.EMFILE, os.strerror(errno.EMFILE)) if call.name == "sync_directory" else None
    )
    with pytest.raises(OSError, match="open files"):
        core.append(session_id, drafts, cursor=cursor)
    del files.plan
    assert 1 == core.append(session_id, drafts, cursor=cursor, floor=cursor.head).seq
    assert 2 == len(records(core, session_id))


@pytest.mark.parametrize("can_mark", [True, False], ids=["marked", "no room for the mark"])
def test_a_write_back_that_fails_is_lost_and_healed_from_the_device(*, can_mark: bool) -> None:
    """What the cache shows was never acknowledged, and goes; older handles are refused everywhere."""
    with if_available():
        counts = disks.thin(trials=1, can_mark=can_mark)
        assert (int(not can_mark), 0) == (counts["unmarked"], counts["wrong"])


def test_behind_a_loss_that_nobody_could_mark_damage_is_found_at_its_place() -> None:
    """Another process appends to what its cache shows. It is not stopped; it is found out."""
    with if_available(), disks.thin_disk() as (disk, device):
        core = store(disk.path / "store")
        session_id = born(core)
        core.append(session_id, disks.block_of(core, session_id), expected=ANY)
        disks.use_up(device)
        with pytest.raises(DurabilityLost, match="only this process"):
            core.append(session_id, disks.block_of(core, session_id), expected=ANY)
        core.close()
        resize(device, "64m")
        other = store(disk.path / "store")
        assert [3, 4] == [other.append(session_id, [note()], expected=ANY).seq for _ in range(2)]
        other.close()
        disk.reboot()
        core = store(disk.path / "store")
        try:
            found = kinds(core, session_id)
        except Corrupt as damage:
            assert 2 == damage.seq
        else:  # The system had let go of its cache: the other process saw the loss itself.
            assert "recovery" in found


READS: dict[str, Callable[[FsCore, str], object]] = {
    "head": lambda core, log: core.head(log),
    "open": lambda core, log: core.open(log),
    "read": records,
    "record": lambda core, log: core.record(log, 1),
    "list": lambda core, _: core.list(),
    "find": lambda core, _: core.find("test:1"),
    "is born": lambda core, log: core.is_born(log),
    "children": lambda core, log: core.children(log),
    "follow": lambda core, log: core.follower(log, 0).more(),
    "append": lambda core, log: core.append(log, [note()], expected=ANY),
    "create": lambda core, _: born(core),
    "repair": lambda core, log: core.repair(log),
    "delete": lambda core, log: core.delete(log),
}


def test_a_disk_that_cannot_be_read_is_no_end_of_a_log() -> None:
    """Every call, also of readers that had the file open, says EIO: nothing is absent, or damaged."""
    with if_available(), loop_ext4() as disk:
        core = store(disk.path / "store")
        session_id = born(core, 3, key="test:1")
        fork(core, core.head(session_id))
        reader, fresh = core.reader(session_id), store(disk.path / "store")
        disk.cut_power(WITHOUT_LOG)
        with pytest.raises(OSError, match="Input/output"):
            list(reader.records())
        for name, read in READS.items():
            for opened in (core, fresh):
                try:
                    found = read(opened, session_id)
                except OSError as error:
                    assert errno.EIO == error.errno, name
                else:
                    pytest.fail(f"{name}: {found}")
        core.close()
        fresh.close()
        del core, reader, fresh


def test_a_place_that_cannot_be_looked_at_is_not_empty(tmp_path: Path) -> None:
    """Keys and marks that the system will not show are an error, not absent."""
    core = store(tmp_path)
    session_id = born(core, key="test:1")
    for directory in (layout.KEYS, layout.PENDING):
        path = tmp_path / directory
        with suppress(FileNotFoundError):
            path.rename(tmp_path / f"{directory}-aside")
        path.symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        core.find("test:1")
    with pytest.raises(OSError, match="symbolic links"):
        core.append(session_id, [note()], expected=ANY)


def test_a_read_only_disk_is_read_and_takes_nothing() -> None:
    """EROFS, nothing half made; writable again, the same store goes on."""
    with if_available(), loop_ext4() as disk:
        core = store(disk.path / "store")
        session_id, child = born(core, 2, key="test:1"), new_session_id()
        core.close()
        disk.remount("ro")
        before, core = tree(disk.path / "store"), store(disk.path / "store")
        assert 3 == len(records(core, session_id))
        assert session_id == core.find("test:1")
        for work in (
            lambda: core.append(session_id, [note()], expected=ANY),
            lambda: core.create(child, start(child), key="test:2"),
            lambda: core.repair(session_id),
            lambda: core.delete(session_id),
        ):
            with pytest.raises(OSError, match="Read-only"):
                work()
        assert before == tree(disk.path / "store")
        disk.remount("rw")
        core.append(session_id, [note()], expected=ANY)
        core.create(child, start(child), key="test:2")
        core.close()


def test_a_disk_that_turns_read_only_under_a_writer_refuses_and_is_read() -> None:
    """As ext4 does when it meets an error of its own; mounted again, all that was told is there."""
    with if_available(), loop_ext4() as disk:
        disk.remount("errors=remount-ro")
        core = store(disk.path / "store")
        session_id = born(core, 2)
        disk.fail()
        refuse_to_write(core, session_id)
        assert [0, 1, 2] == [r.seq for r in records(core, session_id)][:3]
        core.close()
        del core
        disk.reboot()
        core = store(disk.path / "store")
        core.append(session_id, [note()], expected=ANY)
        assert [0, 1, 2, 3] == [r.seq for r in records(core, session_id)][:4]
        core.close()


def refuse_to_write(core: FsCore, session_id: str) -> None:
    cursor = core.open(session_id)
    for work in (
        lambda: core.append(session_id, [note()], cursor=cursor),
        lambda: core.append(session_id, [note()], expected=ANY, durability="os"),
        lambda: born(core),
        lambda: fork(core, core.head(session_id)),
    ):
        with pytest.raises((OSError, DurabilityLost)):
            work()


@pytest.mark.parametrize("directory", ["", "sessions", "pending", "forks", "keys", "quarantine"])
def test_a_directory_that_may_not_be_entered_is_an_error(directory: str) -> None:
    """As another user than root: EACCES, nothing half done; allowed again, all of it is done."""

    def work(root: Path) -> None:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        trial = disks.Trial(root)
        (root / directory).mkdir(exist_ok=True)
        (root / directory).chmod(0)
        trial.attempt(lambda error: getattr(error, "errno", None) == errno.EACCES)
        (root / directory).chmod(stat.S_IRWXU)
        assert trial.counts["refused"] > 0
        assert 0 == trial.finish()["wrong"]

    with if_available(), tmpfs("4m") as where:
        disks.Trial(where / "warm").finish()  # What is imported late, nobody may import.
        home = where / "home"
        home.mkdir()
        give_away(home)
        assert [0] == processes.wait([processes.start(lambda: work(home / "store"))])


def test_a_log_cut_under_its_writer_refuses_it(tmp_path: Path) -> None:
    """Its head is gone: HeadMismatch; or the cut fell into a write, and verification finds it."""
    assert 0 == mischief.shrunk(tmp_path, trials=3, seed=SEED)["wrong"]


def test_a_log_replaced_under_its_writer_is_followed(tmp_path: Path) -> None:
    """Twenty times, under the lock, while appends go on: each acknowledged one is in the last file."""
    counts = mischief.replaced(tmp_path, trials=20)
    assert 0 == counts["wrong"]
    assert counts["acked"] > 0


def test_a_log_replaced_by_an_older_one_refuses_its_writer(tmp_path: Path) -> None:
    """HeadMismatch, and the older one is not appended to."""
    assert 0 == mischief.replaced_by_older(tmp_path, trials=2)["wrong"]


def test_a_log_deleted_under_its_writer_is_not_made_anew(tmp_path: Path) -> None:
    """The file, its directory, the whole day: NotFound, from another process too."""
    assert 0 == mischief.deleted(tmp_path / "store", trials=3)["wrong"]


def test_a_page_lost_from_a_log_is_corrupt_at_its_place(tmp_path: Path) -> None:
    """A hole where data was: everything before its line is read, nothing behind it."""
    with if_available():
        assert 0 == mischief.holes(tmp_path, trials=5, seed=SEED)["wrong"]
