"""A process that dies, or power that goes, at every single call: what was promised is still there."""

from collections.abc import Iterator

import pytest
from fs_scenes import SCENES, World, append, forked, plain
from fs_tools import note, records, start

from session_store.entries import Position
from session_store.errors import Corrupt, NotFound
from session_store.ids import SessionId
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import Crash, FaultyMemory, Short, at


def crashes(scene: str, *, tear: bool = False) -> Iterator[tuple[str, World]]:
    """Play a scene again and again, dying in the first call, the second, …"""
    make, play = SCENES[scene]
    whole = make()
    first = len(whole.files.calls)
    play(whole)
    calls = whole.files.calls[first:]
    assert len(calls) > 5, "a scene that does nothing"
    for number, call in enumerate(calls):
        if tear and call.name != "write":
            continue
        world = make()
        fault = Short(37, Crash()) if tear else Crash()
        world.files.plan = at(len(world.files.calls) + number, fault)
        with pytest.raises(Crash):
            play(world)
        yield f"{scene}, call {number}: {call}", world


def check(where: str, world: World, after: FaultyMemory) -> None:
    """Hold what is found against what was acknowledged; then go on working."""
    core = FsCore(after)
    for info in core.list():
        try:
            list(core.read(info.session_id))
        except Corrupt:
            assert "repair" in where, where
            core.repair(info.session_id)
        core.append(info.session_id, [note()], expected=ANY)
        found = records(core, info.session_id)
        assert list(range(len(found))) == [r.seq for r in found], where
        recoveries = [r.body for r in found if r.kind == "recovery"]
        assert len(set(recoveries)) == len(recoveries), where
        assert "extension" == found[-1].kind, where
        assert not after.exists(layout.pending_path(info.session_id)), where
    for receipt in world.acked:
        record = core.record(receipt.session_id, receipt.seq)
        assert receipt.hash == record.hash, where


@pytest.mark.parametrize("scene", SCENES)
def test_death_at_any_call_loses_nothing_that_was_acknowledged(scene: str) -> None:
    """A process killed in any call leaves a store that opens, holds, and goes on."""
    for where, world in crashes(scene):
        check(where, world, world.files.rebooted())


@pytest.mark.parametrize("scene", SCENES)
def test_death_in_the_middle_of_any_write_is_mended(scene: str) -> None:
    """A write that stops after some bytes leaves a torn tail, a torn mark or a torn copy."""
    for where, world in crashes(scene, tear=True):
        check(where, world, world.files.rebooted())


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("names_kept", [True, False])
def test_power_loss_at_any_call_loses_nothing_that_was_acknowledged(
    scene: str, names_kept: bool
) -> None:
    """Whatever of the unsynced survived, receipts of level disk hold."""
    for where, world in crashes(scene):
        for share in (0, 0.5, 1):
            after = world.files.after_power_loss(names_kept=names_kept, share=share)
            check(f"{where}, {share} survived", world, after)


def test_death_in_recovery_and_again_in_its_redo_leaves_one_record() -> None:
    """Every pair of deaths, the second one while the first is mended."""
    for where, world in crashes("append behind a torn tail"):
        second = 0
        while True:
            files = world.files.rebooted()
            files.plan = at(second, Crash())
            try:
                append(World(files, world.session_id))
            except Crash:
                check(f"{where}, then {second}", world, files.rebooted())
                second += 1
            else:
                break


def test_the_state_after_a_mended_crash_is_always_the_same() -> None:
    """One torn tail, one recovery record, wherever the recovery was interrupted."""
    for where, world in crashes("append behind a torn tail"):
        core = FsCore(world.files.rebooted())
        core.append(world.session_id, [note()], expected=ANY)
        found = [r.kind for r in records(core, world.session_id)]
        assert 1 == found.count("recovery"), where
        assert 3 == found.index("recovery"), where


DELETES = {"of a root": plain, "of a fork": forked}


@pytest.mark.parametrize("case", DELETES)
def test_a_delete_that_died_anywhere_is_finished_by_the_next(case: str) -> None:
    """Deleting again after any crash leaves neither log, nor mark, nor marker."""
    number = 0
    while True:
        world = DELETES[case]()
        doomed, parent = _doomed(world)
        world.files.plan = at(len(world.files.calls) + number, Crash())
        try:
            world.core().delete(doomed)
        except Crash:
            number += 1
        else:
            assert number > 5
            return
        _check_deleted(world.files.rebooted(), doomed, parent)


def _doomed(world: World) -> tuple[SessionId, SessionId | None]:
    children = world.core().children(world.session_id)
    return (children[0], world.session_id) if children else (world.session_id, None)


def _check_deleted(files: FaultyMemory, doomed: SessionId, parent: SessionId | None) -> None:
    core = FsCore(files)
    core.delete(doomed)
    with pytest.raises(NotFound):
        core.head(doomed)
    with pytest.raises(NotFound):
        core.create(doomed, start(doomed))
    for path in (layout.log_path(doomed), layout.pending_path(doomed)):
        assert not files.exists(path)
    if parent is not None:
        assert [] == list(core.children(parent))
        core.delete(parent)


def test_power_loss_between_marker_and_child_leaves_no_child_without_marker() -> None:
    """A fork that survived has its marker, so its parent cannot be deleted under it."""
    for where, world in crashes("fork"):
        for names_kept in (True, False):
            after = world.files.after_power_loss(names_kept=names_kept, share=1)
            core = FsCore(after)
            forks = [i.session_id for i in core.list() if i.session_id != world.session_id]
            assert forks == list(core.children(world.session_id)), where
            assert all(core.head(f).seq == 0 for f in forks), where


def test_an_unborn_child_does_not_keep_its_parent() -> None:
    """A crash between marker and child leaves a marker that blocks nothing."""
    unborn = 0
    for _, world in crashes("fork"):
        core = FsCore(world.files.rebooted())
        if not core.children(world.session_id):
            unborn += after_has_marker(core, world.session_id)
            core.delete(world.session_id)
    assert unborn > 0


def after_has_marker(core: FsCore, parent: SessionId) -> bool:
    return bool(core.files.names(f"{layout.FORKS}/{parent}"))


def test_a_position_outlives_the_crash() -> None:
    """The head read after a crash is that of the last whole append."""
    for where, world in crashes("append"):
        last = [Position(world.session_id, r.seq, r.hash) for r in world.acked][-1:]
        head = FsCore(world.files.rebooted()).head(world.session_id)
        assert not last or head.seq >= last[0].seq, where
