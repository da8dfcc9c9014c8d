"""`repair` of every class of damage: the original is kept, whenever it is killed."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from blake3 import blake3
from cli_tools import Cli
from damage_classes import (
    CASES,
    LINES,
    LOG,
    MARK,
    REPAIRED,
    SID,
    Case,
    every_case,
    every_repair,
    opened,
    poison,
    texts,
    tree,
    world,
)
from fs_tools import note, records

from session_store import blocking
from session_store.errors import Corrupt, NotFound
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import OpenFile
from session_store.testing.faults import Crash, FaultyMemory, Short, at


@every_repair
def test_repair_keeps_every_byte_and_leaves_a_good_log(case: Case) -> None:
    """Prefix and quarantine are the original; the log verifies, restores, takes appends."""
    files = world(case)
    core, before = FsCore(files), tree(files)
    done = core.repair(SID)
    quarantined = [data for path, data in tree(files).items() if path.startswith("quarantine/")]
    kept = b"".join(LINES[: case.kept])
    assert tree(files)[LOG].startswith(kept)
    expected = [case.data[len(kept) :]] if len(case.data) > len(kept) + 1 else []
    if case.mark is not None and case.mark != b"poison" and before[MARK]:
        expected.append(before[MARK])
    if "another byte for the last" not in name_of(case):
        assert sorted(expected) == sorted(quarantined)
    assert MARK not in tree(files)
    store = opened(files.rebooted())
    assert [] == blocking.verify(store, SID).problems
    assert "1234567"[: case.kept - 1] == texts(store, SID)
    assert done.head == store.head(SID)
    core.append(SID, [note()], expected=ANY)


def name_of(case: Case) -> str:
    return next(name for name, each in CASES.items() if each is case)


@every_repair
def test_a_second_repair_changes_nothing(case: Case) -> None:
    files = world(case)
    FsCore(files).repair(SID)
    before = tree(files)
    again = FsCore(files).repair(SID)
    assert (None, 0, None) == (again.cut_at, again.removed, again.quarantine)
    assert before == tree(files)


@pytest.mark.parametrize("name", [name for name in CASES if name not in REPAIRED])
def test_a_log_without_a_good_beginning_is_left_alone(name: str) -> None:
    """NotFound says what to do instead; not a byte changes."""
    files = world(CASES[name])
    before = tree(files)
    with pytest.raises(NotFound, match=r"salvage what is readable|nothing in it was ever ack"):
        FsCore(files).repair(SID)
    assert before == tree(files)


@every_repair
def test_a_repair_killed_at_any_call_ends_the_same_when_it_is_done_again(case: Case) -> None:
    """By death, by death in a write, and by power cuts that keep names and bytes, or not."""
    expected, calls = undisturbed(case)
    for number, fault in deaths(calls):
        files = killed(case, number, fault)
        for after_it in (files.rebooted(), after_a_power_cut(files, number)):
            FsCore(after_it).repair(SID)
            assert expected == summary(after_it), (number, fault)


def undisturbed(case: Case) -> tuple[object, list]:
    files = world(case)
    before = len(files.calls)
    FsCore(files).repair(SID)
    return summary(files), files.calls[before:]


def deaths(calls: list) -> Iterator[tuple[int, object]]:
    for number, call in enumerate(calls):
        yield number, Crash()
        if call.name == "write" and call.size > 1:
            yield number, Short(call.size // 2, Crash())


def killed(case: Case, number: int, fault: object) -> FaultyMemory:
    files = world(case)
    files.plan = at(len(files.calls) + number, fault)
    with pytest.raises(Crash):
        FsCore(files).repair(SID)
    return files


def after_a_power_cut(files: FaultyMemory, number: int) -> FaultyMemory:
    names_kept, share = ((True, 0), (False, 0.5), (True, 1), (False, 0), (False, 1))[number % 5]
    return files.after_power_loss(names_kept=names_kept, share=share)


def summary(files: FaultyMemory) -> object:
    """Return everything that is in the store, but the time and the salt of recovery records."""
    found = dict(tree(files))
    found.pop(LOG)
    core = FsCore(files)
    return found, [r.line if r.kind != "recovery" else (r.seq, r.body) for r in records(core, SID)]


@pytest.mark.parametrize(
    ("name", "step"), [("a bit in the middle", 1), ("a damaged mark, and damage", 9)]
)
def test_a_repair_killed_twice_ends_the_same(name: str, step: int) -> None:
    """Pairs of deaths, the second one in the redo of the first: all, or every *step*th first one."""
    expected, calls = undisturbed(CASES[name])
    for first in range(0, len(calls), step):
        dead = killed(CASES[name], first, Crash())
        second = 0
        while True:
            files = dead.rebooted()
            files.plan = at(second, Crash())
            try:
                FsCore(files).repair(SID)
            except Crash:
                again = files.rebooted()
                FsCore(again).repair(SID)
                assert expected == summary(again), (first, second)
                second += 1
            else:
                break


def test_a_damaged_mark_stops_appends_and_says_what_helps() -> None:
    """Whichever bit of it flipped; nothing is changed, and repair goes on from there."""
    whole = poison()
    for bit in range(0, 8 * len(whole), 3):
        mark = bytearray(whole)
        mark[bit // 8] ^= 1 << bit % 8
        files = world(Case(b"".join(LINES), mark=bytes(mark)))
        before = tree(files)
        with pytest.raises(Corrupt, match="`repair` keeps it") as raised:
            FsCore(files).append(SID, [note()], expected=ANY)
        assert (before, files.name(MARK)) == (tree(files), raised.value.path)
    done = FsCore(files).repair(SID)
    assert bytes(mark) == tree(files)[done.quarantine]
    assert (None, 8) == (done.cut_at, FsCore(files).append(SID, [note()], expected=ANY).seq - 1)


class Forgetful(FaultyMemory):
    """A device that has lost all but the beginning of the log, once its cache is dropped."""

    def drop_cache(self, file: OpenFile) -> None:
        del self.node(file).data[len(LINES[0]) + 9 :]


def test_what_the_device_lost_behind_a_failed_sync_is_cut_with_the_damage() -> None:
    """Repair looks at the device, not at the cache that shows what is not there."""
    files = world(CASES["a mark of a failed sync, and damage"])
    files.__class__ = Forgetful
    done = FsCore(files).repair(SID)
    assert (None, "sync_failed") == (done.cut_at, _recovery(files)["cause"])
    assert ["session_start", "recovery"] == [r.kind for r in records(FsCore(files), SID)]


def test_the_recovery_record_names_what_was_cut() -> None:
    """Where, how much, its digest and where it is kept: the chain tells of its own repair."""
    files = world(CASES["a bit in the middle"])
    done = FsCore(files).repair(SID)
    found = _recovery(files)
    assert ("repair", done.cut_at, done.removed, done.quarantine) == (
        found["cause"],
        found["offset"],
        found["length"],
        found["quarantine"],
    )
    assert blake3(tree(files)[done.quarantine]).hexdigest() == found["blake3"]


def _recovery(files: FaultyMemory) -> Mapping[str, object]:
    (body,) = [e.body for e in blocking.read_entries(opened(files), SID) if e.kind == "recovery"]
    return body


@every_case
def test_the_commands_say_what_they_did(tmp_path: Path, case: Case) -> None:
    """Exit code 0 and what was kept where; or 1, the file, and what else can be done."""
    cli = Cli(str(tmp_path / "store"))
    cli.ok("new")
    for path, data in tree(world(case)).items():
        if path in (LOG, MARK):
            there = Path(cli.store) / path
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(data)
            there.chmod(0o600)
    salvaged = cli("salvage", SID, "--json")
    assert (salvaged.code == 0) == (case.rescued is not None)
    if case.rescued is not None:
        assert len(case.missing) == sum(b - a + 1 for a, b in salvaged.json()["missing"])
    repaired = cli("repair", SID)
    if not case.kept:
        assert (1, "") == (repaired.code, repaired.out)
        assert SID in repaired.err
        return
    assert 0 == repaired.code
    kept = [line.removeprefix("kept as ") for line in repaired.lines if line.startswith("kept as ")]
    assert all((Path(cli.store) / path).is_file() for path in kept)
    assert "nothing to repair" in cli.ok("repair", SID).out
    cli.ok("verify", SID)
