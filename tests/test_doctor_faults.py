"""An examination that fails, dies, or meets a tree that somebody made to harm it."""

import os
import random
from collections.abc import Callable
from errno import EACCES, EIO
from pathlib import Path

import pytest
from doctor_tools import Home, Quick, everything, examine, home, id_beside, kinds, problems
from fs_scenes import TORN, forked, poisoned, torn, without_lf
from fs_tools import log_bytes, note, start

from session_store.ids import new_session_id
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import OpenFile
from session_store.testing.faults import (
    CHANGES,
    LOOKS,
    Call,
    Crash,
    Fault,
    FaultyMemory,
    deaths,
    error,
    no_fault,
)


def settled(files: FaultyMemory) -> FaultyMemory:
    files.settle()
    return files


def write(files: FaultyMemory, path: str, data: bytes) -> None:
    files.write(files.open(path, write=True, create=True), data)


def unborn() -> FaultyMemory:
    files = torn().files
    session_id = new_session_id()
    FsCore(files).create(session_id, start(session_id))
    log_bytes(files, session_id)[:] = TORN
    return settled(files)


def half_deleted() -> FaultyMemory:
    files = forked().files
    core = FsCore(files)
    (child,) = (i.session_id for i in core.list() if core.parent_of(i.session_id))
    files.plan = lambda call: Crash() if call.path == layout.log_path(child) else None
    with pytest.raises(Crash):
        core.delete(child)
    return settled(files.rebooted())


def deleted_and_brought_back() -> FaultyMemory:
    world = torn()
    data = b"".join(world.core().raw(world.session_id))
    world.core().delete(world.session_id)
    write(world.files, layout.log_path(world.session_id), data)
    return settled(world.files)


def without_marker() -> FaultyMemory:
    world = forked()
    (child,) = world.core().children(world.session_id)
    world.files.unlink(layout.marker_path(world.session_id, child))
    return settled(world.files)


def with_markers_of_nobody() -> FaultyMemory:
    world = forked()
    write(world.files, layout.marker_path(world.session_id, new_session_id()), b"")
    return settled(world.files)


def misplaced() -> FaultyMemory:
    world = forked()
    world.files.make_directory("sessions/2001-01-01")
    world.files.make_directory("sessions/2001-01-01/00")
    log = layout.log_path(world.session_id)
    world.files.rename(log, "sessions/2001-01-01/00/" + log.rpartition("/")[2])
    return settled(world.files)


def without_description() -> FaultyMemory:
    world = forked()
    world.files.unlink(layout.STORE)
    return settled(world.files)


BROKEN: dict[str, Callable[[], FaultyMemory]] = {
    "torn": lambda: torn().files,
    "no line end": lambda: without_lf().files,
    "a failed sync": lambda: poisoned().files,
    "unborn": unborn,
    "half deleted": half_deleted,
    "deleted and brought back": deleted_and_brought_back,
    "no marker": without_marker,
    "a marker of nobody": with_markers_of_nobody,
    "misplaced": misplaced,
    "no description": without_description,
}


@pytest.mark.parametrize("make", BROKEN.values(), ids=BROKEN)
def test_fixing_that_died_anywhere_is_finished_by_the_next(
    make: Callable[[], FaultyMemory],
) -> None:
    """Killed, or without power: what was acknowledged is there, and nothing is left to find."""
    whole = make()
    assert [] != problems(examine(whole.rebooted()))
    examine(whole, fix=True)
    wanted = positions(whole)
    for call, files in deaths(make, lambda files: examine(files, fix=True)):
        for after in (
            files.rebooted(),
            files.after_power_loss(names_kept=False, share=0),
            files.after_power_loss(names_kept=True, share=0.5),
        ):
            examine(after, fix=True)
            assert [] == problems(examine(after, deep=True)), call
            assert len(wanted) == len(positions(after)), call


def positions(files: FaultyMemory) -> list[object]:
    core = FsCore(files)
    return [core.head(info.session_id) for info in core.list()]


@pytest.mark.parametrize("names", [CHANGES, LOOKS], ids=["changes", "looks"])
@pytest.mark.parametrize("scene", BROKEN)
def test_an_error_of_the_system_in_any_call_is_told(scene: str, names: frozenset[str]) -> None:
    """No exception comes of it, and the rest is examined; without it, all is mended."""
    step = 1 if names is CHANGES else 5  # There are many looks.
    number = list(BROKEN).index(scene) % step
    while True:
        files = BROKEN[scene]()
        files.watched = names - {"unlock"}
        bad = len(files.calls) + number
        files.plan = lambda call, bad=bad: error(EIO, call) if call.number == bad else None
        examine_bravely(files, bad)
        if len(files.calls) <= bad:
            break
        files.plan = no_fault
        examine(files, fix=True)
        assert [] == problems(examine(files)), number
        number += step
    assert number > step


ROOT = {"", ".", layout.STORE, layout.SESSIONS, layout.TOMBSTONES}


def examine_bravely(files: FaultyMemory, number: int) -> None:
    """Fix what can be; a root that cannot be read ends the examination."""
    try:
        examine(files, fix=True)
    except OSError:
        assert files.calls[number].path in ROOT


class Unreadable(Quick):
    """Files of which one gives an error."""

    bad = ""

    def open(self, path: str, *, write: bool = False, create: bool = False) -> OpenFile:
        if path == self.bad:
            raise OSError(EIO, os.strerror(EIO), path)
        return super().open(path, write=write, create=create)

    def names(self, path: str) -> list[str]:
        if path == self.bad:
            raise PermissionError(EACCES, os.strerror(EACCES), path)
        return super().names(path)


@pytest.fixture
def healthy(tmp_path: Path) -> Home:
    return home(tmp_path / "store")


@pytest.mark.parametrize("what", ["log", "sessions", "keys", "forks", "pending"])
def test_what_cannot_be_read_is_a_finding(healthy: Home, what: str) -> None:
    """With its reason; the rest is examined."""
    files = Unreadable(healthy.root)
    files.bad = layout.log_path(healthy.keyed) if what == "log" else what
    (healthy.root / layout.marker_path(healthy.parent, id_beside(healthy.parent))).touch(0o600)
    found = examine(files)
    unreadable = [one for one in found if one.what == "unreadable"]
    assert files.bad in [one.path for one in unreadable]
    assert "cannot be read: " in unreadable[0].why
    assert (what == "forks") == ("marker-stale" not in kinds(found))


NAMES = [
    "\x1b[2Jwiped.jsonl",
    "\u202eevil.jsonl",
    "line\nbreak.jsonl",
    "x" * 255,
    "$(touch owned).jsonl",
    "-rf",
    "'; rm -rf ~; '.jsonl",
    "a\\b'c\x07.tmp",
    "\udcff\udcfe.jsonl",
    "..\u2028.jsonl",
    " ",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_one_word_of_the_command(healthy: Home, name: str) -> None:
    """Printable whatever it holds; the shell takes away just that file."""
    import subprocess

    hour = healthy.path(healthy.keyed).parent
    path = hour / name
    path.write_bytes(b"x")
    before = sorted(p.name for p in hour.iterdir())
    (found,) = examine(healthy.root)
    assert ("foreign", found.mend.isprintable()) == (found.what, True)
    subprocess.run(["bash", "-c", found.mend], check=True, cwd=healthy.root.parent)
    assert sorted({*before} - {name}) == sorted(p.name for p in hour.iterdir())
    assert [] == examine(healthy.root)


def test_a_hostile_tree_is_walked_nowhere_else(healthy: Home) -> None:
    """Links, loops, pipes and devices in every place: all are named, none is followed."""
    root, outside = healthy.root, healthy.root.parent / "outside"
    outside.mkdir()
    (outside / "secret.jsonl").write_text("secret")
    hour = healthy.path(healthy.keyed).parent
    for place in ("", "sessions", "forks", "keys", "pending", "quarantine", hour):
        directory = root / place
        directory.mkdir(mode=0o700, exist_ok=True)
        (directory / "loop").symlink_to(directory)
        (directory / "out").symlink_to(outside)
        (directory / f"{id_beside(healthy.parent)}.jsonl").symlink_to(outside / "secret.jsonl")
        os.mkfifo(directory / f"{id_beside(healthy.parent)}.tmp")
        os.mkfifo(directory / str(id_beside(healthy.parent)))
        (directory / f"{id_beside(healthy.parent)}.trace.jsonl").symlink_to("/dev/zero")
    before = everything(root.parent)
    found = examine(root, deep=True)
    assert {"unsafe", "foreign", "trace-without-log"} == kinds(found)
    assert not any("secret" in f"{one}" for one in found)
    assert before == everything(root.parent)
    assert not any(one.is_mended for one in examine(root, fix=True))
    assert {"secret.jsonl"} == {path.name for path in outside.iterdir()}


def test_a_tree_of_noise_is_examined_to_its_end(healthy: Home) -> None:
    """Random bytes in random files of the store, in any combination, raise nothing."""
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    for _ in range(60):
        paths = [path for path in healthy.root.rglob("*") if path.is_file()]
        path = rng.choice(paths)
        data = bytearray(path.read_bytes() or b"\0")
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(rng.choice((data, data[: len(data) // 2], rng.randbytes(99), b"[]", b"")))
        found = examine(healthy.root, fix=rng.random() < 0.3, deep=rng.random() < 0.3)
        assert all(one.why for one in found), seed


def test_an_examination_of_memory(tmp_path: Path) -> None:
    """The same checks, on a store that lies in a dictionary."""
    files = forked().files
    assert [] == examine(files)
    core = FsCore(files)
    write(files, layout.log_path(core.list()[0].session_id), b"torn")
    assert {"torn", "quarantine"} == kinds(examine(files, fix=True))
    assert "disk" == core.append(core.list()[0].session_id, [note()], expected=ANY).level


def test_an_error_between_lock_and_look_leaves_no_lock() -> None:
    """A log whose file cannot be looked at once it is locked is not kept from other processes."""
    world = torn()
    files, core = world.files, world.core()
    files.watched = frozenset({"try_lock", "is_at"})

    def plan(call: Call) -> Fault:
        is_locked = files.calls[-2:-1] and files.calls[-2].name == "try_lock"
        return error(EIO, call) if is_locked and call.name == "is_at" else None

    files.plan = plan
    with pytest.raises(OSError, match="Input/output"):
        core.append(world.session_id, [note()], expected=ANY)
    assert FsCore(files.another_process()).append(world.session_id, [note()], expected=ANY)
    assert not core.is_closed
