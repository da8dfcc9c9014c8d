"""A machine in one process: the store holds on it, and a broken store is found out."""

import threading
from collections.abc import Callable, Sequence

import pytest
from attrs import frozen

from session_store.entries import Receipt
from session_store.ids import SessionId
from session_store.stores.face import InlineFace
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files, OpenFile, SyncFailed
from session_store.stores.fs.log import Log, Written
from session_store.stores.fs.reader import Reader
from session_store.stores.fs.requests import Request
from session_store.stores.protocol import Store
from session_store.testing.simulation import FAULTS, Violation, open_fs, simulate

STEPS = 1500


@pytest.mark.parametrize("seed", range(6))
def test_the_store_holds_whatever_the_seed_says(seed: int) -> None:
    outcome = simulate(seed, steps=STEPS)
    assert outcome.steps >= STEPS
    assert outcome.acked > 0


def test_every_kind_of_fault_comes() -> None:
    outcomes = [simulate(seed, steps=2 * STEPS, faults=FAULTS) for seed in range(4)]
    assert set(FAULTS) <= set().union(*(outcome.counts for outcome in outcomes))


def test_without_faults_nothing_fails_but_for_a_reason() -> None:
    """Races are lost, deletes are met, keys are taken; the disk and the locks are fine."""
    outcome = simulate(1, steps=2 * STEPS, faults=[])
    assert set(outcome.counts) <= {"HeadMismatch", "NotFound", "AlreadyExists", "HasForks"}


def test_the_same_seed_is_the_same_run() -> None:
    assert simulate(3, steps=STEPS) == simulate(3, steps=STEPS)


def test_a_failure_comes_again_with_its_seed() -> None:
    """To the letter, with the steps that led there."""
    texts = {failure(BROKEN["no fsync"], range(9)) for _ in range(2)}
    assert 1 == len(texts)
    assert "faults power: " in texts.pop()


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    failure(BROKEN["no fsync"], range(9))
    assert before == threading.active_count()


# -- stores that are broken on purpose ---------------------------------------------------------


def on_core(core: type[FsCore]) -> Callable[[Files], Store]:
    return lambda files: InlineFace(core(files, lock_timeout_s=0.5))


class WithoutSync(FsCore):
    """Acknowledges what is in the cache."""

    def sync(self, target: Log, written: Written) -> bool:
        return True


without_sync = on_core(WithoutSync)


def without_directory_sync(files: Files) -> Store:
    """A log is on disk, its name is not."""
    files.sync_directory = lambda path: None
    return open_fs(files)


def with_retried_sync(files: Files) -> Store:
    """The second fsync returns 0, and has done nothing."""
    sync = files.sync_data

    def sync_again(file: OpenFile) -> None:
        try:
            sync(file)
        except SyncFailed:
            sync(file)

    files.sync_data = sync_again
    return open_fs(files)


def without_lock(files: Files) -> Store:
    files.try_lock = lambda file: True
    return open_fs(files)


def without_rollback(files: Files) -> Store:
    """What a short write has left stays, also when the next append cuts it."""
    files.truncate = lambda file, size: None
    return open_fs(files)


def written_by(request: Request) -> Written:
    """Write a request behind whatever the log is thought to end with, and move its handle."""
    written = request.log.append(request.drafts)
    request.position, request._moves = written.head.position, request.cursor is not None
    request._move(written, was_there=False)
    return written


class HeadOutsideTheLock(FsCore):
    """Looks where the log ends, lets go of it, and writes there."""

    def write(self, request: Request) -> Written:
        log, tip = request.log, request._settled_tip()
        log.unlock()
        log.lock(self.lock_timeout_s)
        log.tip = tip
        return written_by(request)


class HeadNotCompared(FsCore):
    """Appends after whatever is last, whatever was expected."""

    def write(self, request: Request) -> Written:
        request._settled_tip()
        return written_by(request)


class ForksNotSeen(FsCore):
    """Deletes a parent under its forks."""

    def children(self, session_id: SessionId) -> Sequence[SessionId]:
        return []


class OsForDisk(FsCore):
    """Says of what it made that it is on disk, and never syncs a birth."""

    def create(self, *args, durability=None, **kwargs) -> Receipt:
        receipt = super().create(*args, durability="os", **kwargs)
        return Receipt(receipt.session_id, receipt.seq, receipt.hash, durability)


def without_sync_of_blanks(files: Files) -> Store:
    """What was erased is blank in the cache."""
    write_at, sync_data, fresh = files.write_at, files.sync_data, []

    def blank(file: OpenFile, data: bytes, offset: int) -> int:
        fresh.append(file)
        return write_at(file, data, offset)

    def sync(file: OpenFile) -> None:
        if fresh:
            fresh.clear()
        else:
            sync_data(file)

    files.write_at, files.sync_data = blank, sync
    return open_fs(files)


def with_blanks_in_part(files: Files) -> Store:
    """Of what is to be erased the end stays."""
    write_at = files.write_at
    files.write_at = lambda file, data, at: write_at(file, data[:40], at) + max(len(data) - 40, 0)
    return open_fs(files)


class NamesNotLookedUp(FsCore):
    """Gives out what a redaction names, as long as it stands there; a fork's beginning is known."""

    def reader(self, session_id: SessionId) -> Reader:
        reader = super().reader(session_id)
        redactions = reader.redactions
        reader.redactions = lambda *args: {k: v for k, v in redactions(*args).items() if k[0] == 0}
        return reader


@frozen
class Broken:
    """A store that is broken on purpose, the faults under which that shows, and what is said."""

    open_store: Callable[[Files], Store]
    faults: str = ""
    says: str = ""


BROKEN = {
    "no fsync": Broken(without_sync, "power", "was said to be on disk, and is not"),
    "no fsync of directories": Broken(without_directory_sync, "power", "and is not"),
    "a failed fsync is tried again": Broken(with_retried_sync, "power sync", "and is not"),
    "no lock": Broken(without_lock),
    "no rollback": Broken(without_rollback, "short"),
    "the head is read outside the lock": Broken(on_core(HeadOutsideTheLock)),
    "the head is not compared": Broken(on_core(HeadNotCompared), "", "was made for"),
    "forks are not seen": Broken(on_core(ForksNotSeen), "", "was deleted under its forks"),
    "blanks are not synced": Broken(without_sync_of_blanks, "power", "any more"),
    "a body is blanked in part": Broken(with_blanks_in_part, "", "any more"),
    "what is named is given out": Broken(on_core(NamesNotLookedUp), "full blank", "is erased"),
    "os is called disk": Broken(on_core(OsForDisk), "power", "and is not"),
}


def failure(broken: Broken, seeds: range) -> str:
    """Return what the first seed that finds something says."""
    for seed in seeds:
        try:
            simulate(seed, steps=STEPS, open_store=broken.open_store, faults=broken.faults.split())
        except Violation as found:
            return str(found)
    return "nothing was found"


@pytest.mark.parametrize("name", BROKEN)
def test_a_store_that_is_broken_is_found_out(name: str) -> None:
    """Within a few thousand steps, whatever is broken, and for the right reason."""
    found = failure(BROKEN[name], range(40))
    assert found.startswith("seed ")
    assert BROKEN[name].says in found
