"""Death, power loss and failing calls in an erasure: the old state or the erased one, never a third."""

from collections.abc import Iterator
from errno import EIO, ENOSPC

import pytest
from attrs import frozen
from doctor_tools import Soon
from erase_tools import LONG, erase, findings, given, left_of, with_secret
from fs_tools import fork, kinds, log_bytes, note, records

from session_store.chain import Invalid, Record, check_line
from session_store.entries import Receipt
from session_store.errors import DurabilityLost, StoreFull
from session_store.ids import SessionId
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.doctor import Examination
from session_store.testing.faults import (
    SYNCS,
    Call,
    Crash,
    FaultyMemory,
    Lost,
    Short,
    at,
    deaths,
    error,
    failing,
)


@frozen
class Scene:
    """A session on a disk of its own, and what is to be erased in it."""

    files: FaultyMemory
    session_id: SessionId
    secret: Record

    def erase(self) -> Receipt:
        return erase(FsCore(self.files), self.session_id, self.secret.seq)


def scene(payload: object = LONG) -> Scene:
    files = FaultyMemory()
    files.clock = Soon()  # To verify waits a moment for an erasure that may be under way.
    session_id, secret = with_secret(FsCore(files), payload)
    files.settle()
    return Scene(files, session_id, secret)


def dying(*, tear_at: int | None = None) -> Iterator[tuple[Call, Scene, list[Receipt]]]:
    """Erase again and again, dying in the first call, the second, …; give what had been told."""
    made: list[Scene] = []
    told: list[Receipt] = []

    def make() -> FaultyMemory:
        made.append(scene())
        told.clear()
        return made[-1].files

    for call, _ in deaths(make, lambda _: told.append(made[-1].erase()), tear_at=tear_at):
        yield call, made[-1], told


def check_readers(where: object, after: FaultyMemory, was: Scene) -> bool:
    """Nobody has finished anything: return whether the record is withheld; nothing else is wrong."""
    core = FsCore(after)
    body = given(core, was.session_id, was.secret)
    assert body in (was.secret.body, None), where
    assert records(core, was.session_id)[3].body is not None, where
    allowed = {"erasure-unfinished", "erased"} if body is None else set()
    told = {what for what, _ in findings(core, was.session_id)} - {"torn", "missing-lf"}
    assert told <= allowed, where
    return body is None


def is_begun(files: FaultyMemory, was: Scene) -> bool:
    """Return whether the erasure was promised, or is done."""
    return files.exists(layout.pending_path(was.session_id)) or not left_of(files, [was.secret])


def is_half_blank(files: FaultyMemory, was: Scene) -> bool:
    """Return whether a blank has begun and not ended, so that the line is of no form."""
    line = bytes(log_bytes(files, was.session_id)).splitlines()[was.secret.seq]
    try:
        check_line(line, was.session_id)
    except Invalid:
        return True
    return False


def check_finished(where: object, after: FaultyMemory, was: Scene, *, erased: bool) -> None:
    """The next append finishes what was begun, or there was nothing."""
    core = FsCore(after)
    promised = after.exists(layout.pending_path(was.session_id))
    core.append(was.session_id, [note()], expected=ANY)
    assert not after.exists(layout.pending_path(was.session_id)), where
    found = findings(core, was.session_id)
    if erased or promised:
        assert [("erased", 2)] == found, where
        assert [] == left_of(after, [was.secret]), where
    if not promised:
        assert erased == (("erased", 2) in found), where


def test_death_at_any_call_leaves_the_old_or_the_erased_state() -> None:
    """Readers see one of the two; the next append brings the erasure to its end."""
    withheld = finished = 0
    for call, was, told in dying():
        after = was.files.rebooted()
        erased = check_readers(call, after, was)
        check_finished(call, after, was, erased=erased)
        withheld += erased
        finished += bool(told)
    assert withheld > 4
    assert finished == 0


@pytest.mark.parametrize("tear_at", [1, 37, 4096, 6000])
def test_death_in_the_middle_of_any_write_leaves_nothing_corrupt(tear_at: int) -> None:
    """A body that is blank up to some byte is erased for every reader, and blanked to its end."""
    torn = []
    for call, was, _ in dying(tear_at=tear_at):
        after = was.files.rebooted()
        erased = check_readers(call, after, was)
        check_finished(call, after, was, erased=erased)
        torn.append(call.name)
    assert {"write", "write_at"} == set(torn)


def test_power_loss_at_any_call_leaves_the_old_or_the_erased_state() -> None:
    """Whatever pages and names of the unsynced survived."""
    tried = halves = 0
    for call, was, _ in dying():
        for after in was.files.power_losses(limit=100):
            halves += is_half_blank(after, was)
            erased = check_readers(call, after, was)
            check_finished(call, after, was, erased=erased)
            tried += 1
    assert tried > 200
    assert halves > 0


@pytest.mark.parametrize("settled", [True, False])
def test_power_loss_behind_the_receipt_brings_nothing_back(settled: bool) -> None:
    """What was told to be erased is erased on the device, and all before it is there."""
    was = scene()
    if not settled:
        files = FaultyMemory()
        files.clock = Soon()
        session_id, secret = with_secret(FsCore(files, durability="os"))
        was = Scene(files, session_id, secret)
    was.erase()
    for after in was.files.power_losses():
        assert [] == left_of(after, [was.secret])
        assert [("erased", 2)] == findings(FsCore(after), was.session_id)


def test_doctor_sees_an_interrupted_erasure_and_finishes_it() -> None:
    """Wherever it died behind its promise."""
    mended = 0
    for call, was, _ in dying(tear_at=4096):
        after = was.files.rebooted()
        promised = after.exists(layout.pending_path(was.session_id))
        found = list(Examination(after).findings())
        assert promised == ("erasure-unfinished" in {f.what for f in found}), call
        mended += sum(f.is_mended for f in Examination(after, fix=True).findings())
        if promised:
            assert [] == left_of(after, [was.secret]), call
            assert [("erased", 2)] == findings(FsCore(after), was.session_id), call
    assert mended > 1


NEXT = {
    "append": lambda core, sid: core.append(sid, [note()], expected=ANY),
    "erase": lambda core, sid: erase(core, sid, 1),
    "fork": lambda core, sid: fork(core, core.head(sid)),
    "flush": lambda core, sid: core.flush(sid),
    "repair": lambda core, sid: core.repair(sid),
}


@pytest.mark.parametrize("name", NEXT)
def test_whoever_holds_the_lock_next_finishes_it(name: str) -> None:
    for call, was, _ in dying():
        after = was.files.rebooted()
        begun = is_begun(after, was)
        NEXT[name](FsCore(after), was.session_id)
        assert begun == (("erased", 2) in findings(FsCore(after), was.session_id)), call
        assert begun == (not left_of(after, [was.secret])), call


def test_a_delete_needs_no_erasure_to_be_finished() -> None:
    for call, was, _ in dying():
        after = was.files.rebooted()
        FsCore(after).delete(was.session_id)
        assert [] == left_of(after, [was.secret]), call
        assert not after.exists(layout.pending_path(was.session_id)), call


def test_death_in_the_redo_of_a_death_ends_the_same() -> None:
    """Every pair of deaths: one redaction, nothing left."""
    for call, was, _ in dying():
        if not was.files.rebooted().exists(layout.pending_path(was.session_id)):
            continue
        number = 0
        while True:
            files = was.files.rebooted()
            files.plan = at(number, Crash())
            try:
                FsCore(files).append(was.session_id, [note()], expected=ANY)
            except Crash:
                number += 1
            else:
                break
            after = files.rebooted()
            check_finished((call, number), after, was, erased=check_readers(call, after, was))
            assert 1 == kinds(FsCore(after), was.session_id).count("redaction"), (call, number)


@pytest.mark.parametrize("nth", range(5))
def test_a_failed_sync_is_told_and_the_erasure_finished_from_the_device(nth: int) -> None:
    """Whichever sync of the log or the mark it was, and whatever the device has kept."""
    for kept in (lambda _: False, lambda page: page % 2 == 0):
        was = scene()
        seen = iter(range(100))

        def plan(call: Call, seen=seen, kept=kept):
            is_it = call.name in ("sync", "sync_data") and next(seen) == nth
            return Lost(error(EIO, call), kept) if is_it else None

        was.files.plan = plan
        try:
            was.erase()
        except DurabilityLost:
            del was.files.plan
            FsCore(was.files).append(was.session_id, [note()], expected=ANY)
        else:
            assert nth == 4, "there are four syncs of files in an erasure"
        promised = ("erased", 2) in findings(FsCore(was.files), was.session_id)
        assert promised == (nth > 1)
        assert promised == (not left_of(was.files, [was.secret]))


def test_a_full_disk_withdraws_the_promise() -> None:
    """Nothing was done, and nothing is done later without being asked again."""
    was = scene()
    was.files.plan = lambda call: (
        error(ENOSPC, call) if call == was.files.calls[-1] and _is_log(call) else None
    )
    with pytest.raises(StoreFull, match="nothing was written"):
        was.erase()
    del was.files.plan
    assert not was.files.exists(layout.pending_path(was.session_id))
    FsCore(was.files).append(was.session_id, [note()], expected=ANY)
    assert [] == findings(FsCore(was.files), was.session_id)
    assert [("erased", 2)] == [was.erase() and ("erased", 2)]


def _is_log(call: Call) -> bool:
    return call.name == "write" and call.path.endswith(layout.LOG_SUFFIX)


def test_no_room_for_blanks_is_told_and_mended_by_the_next_append() -> None:
    """A file system that copies on write may have none; readers are given nothing meanwhile."""
    was = scene()
    was.files.plan = failing("write_at", code=ENOSPC)
    with pytest.raises(StoreFull, match="the next append goes on"):
        was.erase()
    assert check_readers("full", was.files, was)
    check_finished("full", was.files, was, erased=True)


def test_a_write_in_place_that_stops_early_goes_on() -> None:
    """A call may write less than it was given."""
    was = scene()
    was.files.plan = lambda call: (
        Short(100) if call.name == "write_at" and call.size > 100 else None
    )
    was.erase()
    assert [] == left_of(was.files, [was.secret])
    assert [("erased", 2)] == findings(FsCore(was.files), was.session_id)


@pytest.mark.parametrize("name", ["write_at", "open", "rename", "unlink", "sync_directory"])
def test_any_call_that_fails_once_leaves_an_erasure_that_can_be_finished(name: str) -> None:
    for nth in range(20):
        was = scene()
        was.files.watched = was.files.watched | {"open"}
        was.files.plan = failing(name, code=EIO, nth=nth)
        try:
            was.erase()
        except (OSError, DurabilityLost):
            assert name not in SYNCS or nth < 20
        else:
            break
        del was.files.plan
        check_readers((name, nth), was.files, was)
        was.erase()
        assert [] == left_of(was.files, [was.secret]), (name, nth)
        assert [("erased", 2)] == findings(FsCore(was.files), was.session_id)
    assert nth > 0
