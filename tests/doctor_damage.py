"""Everything that can be wrong with a store, done to a healthy one."""

import os
import shutil
from collections.abc import Callable
from errno import EIO
from pathlib import Path

import pytest
from attrs import frozen
from doctor_tools import Home, Quick, id_beside
from fs_tools import note, start

from session_store.errors import DurabilityLost
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.fs import layout, pending
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import Crash, Faults, error

LONG_AGO = (1_700_000_000, 1_700_000_000)


class Failing(Faults, Quick):
    """Files with faults, and without syncs."""


def failing(root: Path, name: str, path: str, fault: Callable[[object], BaseException]) -> FsCore:
    """Return a store whose call *name* on *path* fails."""
    files = Failing(root)
    core = FsCore(files)
    files.plan = lambda call: fault(call) if (call.name, call.path) == (name, path) else None
    return core


# -- damage ------------------------------------------------------------------------------------


def no_description(home: Home) -> None:
    (home.root / "store.json").unlink()


def damaged_description(home: Home) -> None:
    (home.root / "store.json").write_bytes(b"{")


def place(home: Home, path: str) -> Path:
    return home.root if path == "." else min(home.root.glob(path))


def mode(path: str, mode: int) -> Callable[[Home], None]:
    return lambda home: place(home, path).chmod(mode)


def foreign(path: str) -> Callable[[Home], None]:
    def make(home: Home) -> None:
        (place(home, path) / "notes.txt").write_text("mine")

    return make


def log_becomes(make: Callable[[Path], object]) -> Callable[[Home], None]:
    def change(home: Home) -> None:
        path = home.path(home.keyed)
        path.unlink()
        make(path)

    return change


def linked_day(home: Home) -> None:
    day = next((home.root / "sessions").iterdir())
    day.rename(home.root.parent / "day")
    day.symlink_to(home.root.parent / "day")


def misplaced(home: Home) -> None:
    hour = home.root / "sessions" / "2001-01-01" / "00"
    hour.mkdir(parents=True, mode=0o700)
    hour.parent.chmod(0o700)
    path = home.path(home.keyed)
    path.rename(hour / path.name)


def misnamed(home: Home) -> None:
    path = home.path(home.keyed)
    path.rename(path.with_name("Untitled (2).jsonl"))


def misplaced_trace(home: Home) -> None:
    misplaced(home)
    name = f"{home.parent}.trace.jsonl"
    trace = home.path(home.parent).with_name(name)
    trace.rename(home.root / "sessions" / "2001-01-01" / "00" / name)


def torn(home: Home) -> None:
    home.append_bytes(home.keyed, b'{"v":1,"seq":2')


def no_line_end(home: Home) -> None:
    path = home.path(home.keyed)
    path.write_bytes(path.read_bytes()[:-1])


def wrong_line_end(home: Home) -> None:
    no_line_end(home)
    home.append_bytes(home.keyed, b"x")


def unborn(home: Home) -> None:
    home.path(home.keyed).write_bytes(b'{"v":1')


def flipped(where: float) -> Callable[[Home], None]:
    """Flip a bit of a log, at that share of its length."""

    def flip(home: Home) -> None:
        for _ in range(4):
            home.core.append(home.keyed, [note()], expected=ANY)
        path = home.path(home.keyed)
        data = bytearray(path.read_bytes())
        data[int(len(data) * where)] ^= 1
        path.write_bytes(data)

    return flip


def interrupted_cut(home: Home) -> None:
    torn(home)
    core = failing(home.root, "truncate", layout.log_path(home.keyed), lambda _: Crash())
    with pytest.raises(Crash):
        core.append(home.keyed, [note()], expected=ANY)


def interrupted_erasure(home: Home) -> None:
    core = failing(home.root, "write_at", layout.log_path(home.keyed), lambda _: Crash())
    with pytest.raises(Crash):
        core.erase(home.keyed, [core.position(home.keyed, 0)], reason="asked for")


def failed_sync(home: Home) -> None:
    path = layout.log_path(home.keyed)
    core = failing(home.root, "sync_data", path, lambda call: error(EIO, call))
    with pytest.raises(DurabilityLost):
        core.append(home.keyed, [note()], expected=ANY)


def delete_until(name: str, path: Callable[[SessionId], str]) -> Callable[[Home], None]:
    def delete(home: Home) -> None:
        core = failing(home.root, name, path(home.child), lambda _: Crash())
        with pytest.raises(Crash):
            core.delete(home.child)

    return delete


def brought_back(home: Home) -> None:
    data = home.path(home.child).read_bytes()
    home.core.delete(home.child)
    home.path(home.child).write_bytes(data)
    home.path(home.child).chmod(0o600)


def damaged_mark(home: Home) -> None:
    failed_sync(home)
    mark = home.root / layout.pending_path(home.keyed)
    mark.write_bytes(mark.read_bytes()[:-9])


def mark_without_log(home: Home) -> None:
    failed_sync(home)
    home.path(home.keyed).unlink()


def damaged_mark_without_log(home: Home) -> None:
    damaged_mark(home)
    home.path(home.keyed).unlink()


def unknown_job(home: Home) -> None:
    pending.save(home.core.files, home.keyed, [{"job": "polish"}])


def no_parent(home: Home) -> None:
    home.path(home.parent).unlink()
    home.path(home.parent).with_suffix(".trace.jsonl").unlink()


def another_parent(home: Home) -> None:
    home.path(home.parent).unlink()
    quick = FsCore(Quick(home.root))
    quick.create(home.parent, [*start(home.parent), note(), note()])


def no_marker(home: Home) -> None:
    (home.root / layout.marker_path(home.parent, home.child)).unlink()


def marker(child: Callable[[Home], SessionId]) -> Callable[[Home], None]:
    def mark(home: Home) -> None:
        path = home.root / layout.marker_path(home.parent, child(home))
        path.touch(0o600)

    return mark


def no_markers(home: Home) -> None:
    shutil.rmtree(home.root / layout.FORKS)


def damaged_key(home: Home) -> None:
    (home.root / layout.key_path("tests:1")).write_bytes(b"\xff" * 36)


def lost_log(home: Home) -> None:
    home.path(home.keyed).unlink()


def lone_trace(home: Home) -> None:
    trace = home.path(home.keyed).with_suffix(".trace.jsonl")
    trace.write_bytes(b"{}\n")
    trace.chmod(0o600)
    lost_log(home)


def left(path: Callable[[Home], str]) -> Callable[[Home], None]:
    def leave(home: Home) -> None:
        temp = home.root / path(home)
        temp.parent.mkdir(mode=0o700, exist_ok=True)
        temp.write_bytes(b"half")
        temp.chmod(0o600)
        os.utime(temp, LONG_AGO)

    return leave


def second_name(home: Home) -> None:
    (home.root / layout.temp_path(home.keyed)).hardlink_to(home.path(home.keyed))


def unreadable_tombstone(home: Home) -> None:
    with (home.root / layout.TOMBSTONES).open("ab") as tombstones:
        tombstones.write(b'{"session_id":"0\n')


def recovered(home: Home) -> None:
    torn(home)
    home.core.append(home.keyed, [note()], expected=ANY)


@frozen
class Damage:
    """
    What is done to a healthy store.

    found: What is then found, notes included.
    is_left: --fix mends nothing of it.
    is_mended_by_hand: The command that the finding names makes the finding go away.
    """

    make: Callable[[Home], object]
    found: set[str]
    is_left: bool = False
    is_mended_by_hand: bool = True


LEFT = {"is_left": True}
TOLD = {"is_left": True, "is_mended_by_hand": False}
"""The command tells more, or a person has to do it."""

DAMAGE = {
    "no description": Damage(no_description, {"description-missing"}),
    "a damaged description": Damage(damaged_description, {"description-damaged"}, **LEFT),
    "an open root": Damage(mode(".", 0o755), {"mode"}),
    "an open log": Damage(mode("sessions/*/*/*.jsonl", 0o644), {"mode"}),
    "a log that cannot be written": Damage(mode("sessions/*/*/*.jsonl", 0o400), {"mode"}),
    "an open hour": Damage(mode("sessions/*/*", 0o711), {"mode"}),
    "an open key": Damage(mode("keys/*[0-9a-f]", 0o666), {"mode"}),
    "open tombstones": Damage(mode("tombstones.jsonl", 0o640), {"mode"}),
    "a linked log": Damage(
        log_becomes(lambda path: path.symlink_to("/etc/passwd")), {"unsafe"}, **LEFT
    ),
    "a pipe": Damage(log_becomes(os.mkfifo), {"unsafe"}, **LEFT),
    "a directory for a log": Damage(log_becomes(Path.mkdir), {"unsafe"}, **LEFT),
    "a linked day": Damage(linked_day, {"unsafe"}, **LEFT),
    "a second name": Damage(
        lambda home: (home.root.parent / "second").hardlink_to(home.path(home.keyed)),
        {"hard-link"},
        **TOLD,
    ),
    "a foreign file": Damage(foreign("."), {"foreign"}, **TOLD),
    "a foreign file for a day": Damage(foreign("sessions"), {"foreign"}, **LEFT),
    "a foreign file for an hour": Damage(foreign("sessions/*"), {"foreign"}, **LEFT),
    "a foreign file among logs": Damage(foreign("sessions/*/*"), {"foreign"}, **LEFT),
    "a foreign file among marks": Damage(foreign("pending"), {"foreign"}, **LEFT),
    "a foreign file among keys": Damage(foreign("keys"), {"foreign"}, **LEFT),
    "a foreign file among parents": Damage(foreign("forks"), {"foreign"}, **LEFT),
    "a foreign file among children": Damage(foreign("forks/*-*"), {"foreign"}, **LEFT),
    "a misplaced log": Damage(misplaced, {"misplaced", "key-without-session"}),
    "a misnamed log": Damage(misnamed, {"misplaced", "key-without-session"}),
    "a misplaced trace": Damage(misplaced_trace, {"misplaced", "key-without-session"}),
    "a torn tail": Damage(torn, {"torn"}),
    "no line end": Damage(no_line_end, {"missing-lf"}),
    "a wrong line end": Damage(wrong_line_end, {"missing-lf"}),
    "an unborn log": Damage(unborn, {"unborn", "key-without-session"}),
    "an empty log": Damage(
        lambda home: home.path(home.keyed).write_bytes(b""), {"unborn", "key-without-session"}
    ),
    "damage in the last record": Damage(flipped(0.99), {"corrupt"}, **LEFT),
    "damage in the first record": Damage(flipped(0.02), {"corrupt"}, **LEFT),
    "an interrupted cut": Damage(interrupted_cut, {"interrupted", "torn", "quarantine"}),
    "an interrupted erasure": Damage(interrupted_erasure, {"erasure-unfinished"}),
    "a failed sync": Damage(failed_sync, {"sync-failed"}),
    "a delete that did not begin": Damage(
        delete_until("write", lambda _: layout.TOMBSTONES), {"delete-unfinished"}
    ),
    "a delete half done": Damage(
        delete_until("unlink", layout.log_path), {"delete-unfinished", "marker-stale"}
    ),
    "a deleted log brought back": Damage(brought_back, {"delete-unfinished"}),
    "a damaged mark": Damage(damaged_mark, {"mark-damaged"}, **LEFT),
    "a mark without a log": Damage(
        mark_without_log, {"mark-without-log", "key-without-session"}, **LEFT
    ),
    "a damaged mark without a log": Damage(
        damaged_mark_without_log, {"mark-damaged", "key-without-session"}, **LEFT
    ),
    "an unknown job": Damage(unknown_job, {"unsupported"}, **TOLD),
    "a lost parent": Damage(no_parent, {"parent-missing"}, **LEFT),
    "another parent": Damage(another_parent, {"parent-changed"}, **LEFT),
    "a lost marker": Damage(no_marker, {"marker-missing"}),
    "a marker of nobody": Damage(marker(lambda _: new_session_id()), {"marker-stale"}),
    "a marker of another's child": Damage(marker(lambda home: home.keyed), {"marker-stale"}),
    "lost markers": Damage(no_markers, {"markers-incomplete"}),
    "a damaged key": Damage(damaged_key, {"key-damaged"}, **LEFT),
    "a lost log": Damage(lost_log, {"key-without-session"}, **TOLD),
    "a trace alone": Damage(lone_trace, {"trace-without-log", "key-without-session"}, **LEFT),
    "a copy left half done": Damage(
        left(lambda home: layout.temp_path(id_beside(home.parent))), {"temporary"}
    ),
    "a mark left half done": Damage(left(lambda h: f"pending/{h.keyed}.tmp"), {"temporary"}),
    "a mark of nobody half done": Damage(
        left(lambda _: f"pending/{new_session_id()}.tmp"), {"temporary"}
    ),
    "a key left half done": Damage(left(lambda _: f"keys/{'0' * 64}.tmp"), {"temporary"}),
    "a description left half done": Damage(left(lambda _: "store.json.tmp0"), {"temporary"}),
    "the second name of a whole birth": Damage(second_name, {"temporary"}),
    "an unreadable tombstone": Damage(unreadable_tombstone, {"tombstones"}, **TOLD),
    "something in quarantine": Damage(recovered, {"quarantine"}, **TOLD),
}
