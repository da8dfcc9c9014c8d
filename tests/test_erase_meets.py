"""Erasing where it meets everything else: copies beside the log, deletes, handles, other writers."""

import pytest
from doctor_tools import Soon
from erase_tools import erase, left_of, with_secret
from fs_tools import note
from hostile_stores import stored

from session_store.errors import HeadMismatch
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import FaultyMemory, deaths
from session_store.testing.story import ROOT, told


def disk() -> FaultyMemory:
    files = FaultyMemory()
    files.clock = Soon()
    return files


def put(files: FaultyMemory, path: str, data: bytes) -> None:
    files.write(files.open(path, write=True, create=True), data)


def holding(files: FaultyMemory, path: str) -> bytes:
    with files.frozen_names() as (nodes, _):
        return bytes(nodes[path].data)


def names(files: FaultyMemory) -> list[str]:
    with files.frozen_names() as (nodes, _):
        return list(nodes)


def with_temp() -> tuple[FaultyMemory, object, object]:
    """Return a disk with a copy of a log that never took its place, and what is to be erased."""
    files = disk()
    session_id, secret = with_secret(FsCore(files))
    put(files, layout.temp_path(session_id), holding(files, layout.log_path(session_id)))
    files.settle()
    return files, session_id, secret


def test_no_power_loss_brings_back_a_copy_that_never_took_its_place() -> None:
    files, session_id, secret = with_temp()
    erase(FsCore(files), session_id, secret.seq)
    assert all([] == left_of(after, [secret]) for after in files.power_losses(limit=50))


def test_nor_behind_a_death_between_its_removal_and_the_receipt() -> None:
    """Whoever finishes the erasure cannot see that the copy was there."""
    made: list = []

    def make() -> FaultyMemory:
        made.append(with_temp())
        return made[-1][0]

    for call, files in deaths(make, lambda f: erase(FsCore(f), made[-1][1], made[-1][2].seq)):
        _, session_id, secret = made[-1]
        files.is_dead, files.plan = False, FaultyMemory.plan
        FsCore(files).append(session_id, [note()], expected=ANY, durability="os")
        if FsCore(files).record(session_id, secret.seq).body is None:
            for after in files.power_losses(limit=10):
                assert [] == left_of(after, [secret]), call


def test_no_power_loss_brings_back_what_a_delete_took_from_quarantine() -> None:
    files = disk()
    core = FsCore(files)
    session_id, _ = with_secret(core)
    put(files, layout.log_path(session_id), b"torn")
    core.append(session_id, [note()], expected=ANY)
    kept = [name for name in names(files) if name.startswith(layout.QUARANTINE)]
    assert kept
    files.settle()
    core.delete(session_id)
    for after in files.power_losses(limit=50):
        assert not set(kept) & set(names(after))


@pytest.mark.parametrize("seqs", [(2,), (2, 3), (5,)])
def test_appends_find_their_place_behind_what_is_half_blank(seqs: tuple[int, ...]) -> None:
    """No mark tells of the erasure: the log came from a copy, or its mark was damaged."""
    story = told().redact(*seqs)
    known = story.position(1)
    for seq in seqs:
        story.erase(seq, end=20)
    files, core = stored(story.data)
    handle = core.open(ROOT, shared=True)
    FsCore(files).append(ROOT, [note()], expected=ANY)
    drafts = [note()]
    receipt = core.append(ROOT, drafts, cursor=handle, floor=known)
    assert receipt == core.append(ROOT, drafts, expected=ANY, floor=known)
    with pytest.raises(HeadMismatch):
        core.append(ROOT, [note()], expected=known)
