"""The file layer with faults: what it makes of calls, of deaths, and of a loss of power."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from fs_tools import born, note

from session_store.entries import Position
from session_store.errors import Corrupt
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import OpenFile, SyncFailed
from session_store.testing.faults import (
    CHANGES,
    LOOKS,
    PAGE,
    Crash,
    Faults,
    FaultyFiles,
    FaultyMemory,
    Lost,
    Short,
    at,
    deaths,
    failing,
)

CALLS: dict[str, Callable[[Faults, OpenFile], object]] = {
    "open": lambda files, _: files.open("a"),
    "create": lambda files, _: files.open("new", write=True, create=True),
    "read": lambda files, file: files.read(file, 1, 0),
    "write": lambda files, file: files.write(file, b"x"),
    "write_at": lambda files, _: files.write_at(files.open_in_place("a"), b"x", 0),
    "truncate": lambda files, file: files.truncate(file, 0),
    "size": lambda files, file: files.size(file),
    "sync": lambda files, file: files.sync(file),
    "sync_data": lambda files, file: files.sync_data(file),
    "sync_directory": lambda files, _: files.sync_directory(""),
    "drop_cache": lambda files, file: files.drop_cache(file),
    "try_lock": lambda files, file: files.try_lock(file),
    "unlock": lambda files, file: files.unlock(file),
    "stat": lambda files, _: files.stat("a"),
    "exists": lambda files, _: files.exists("a"),
    "is_at": lambda files, file: files.is_at("a", file),
    "names": lambda files, _: files.names(""),
    "make_directory": lambda files, _: files.make_directory("d"),
    "rename": lambda files, _: files.rename("a", "b"),
    "link": lambda files, _: files.link("a", "b"),
    "unlink": lambda files, _: files.unlink("a"),
    "remove_directory": lambda files, _: files.remove_directory("d"),
}


def with_file(files: Faults) -> tuple[Faults, OpenFile]:
    files.watched = CHANGES | LOOKS
    return files, files.open("a", write=True, create=True)


@pytest.fixture(params=["memory", "directory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Faults, OpenFile]:
    return with_file(FaultyMemory() if request.param == "memory" else FaultyFiles(tmp_path))


def test_every_kind_of_call_has_a_case() -> None:
    assert set(CALLS) == CHANGES | LOOKS


@pytest.mark.parametrize("name", CALLS)
def test_any_call_can_fail_with_any_errno(opened: tuple[Faults, OpenFile], name: str) -> None:
    """The nth of its kind, once; the others happen."""
    files, file = opened
    files.plan = failing(name, code=errno.EIO)
    with pytest.raises(OSError, match="Input/output error") as raised:
        CALLS[name](files, file)
    assert errno.EIO == raised.value.errno
    assert name.startswith("sync") == isinstance(raised.value, SyncFailed)
    CALLS[name](files, file)


@pytest.mark.parametrize("name", CALLS)
def test_any_call_can_be_the_last_one(opened: tuple[Faults, OpenFile], name: str) -> None:
    """Behind a death every call dies, so nothing is cleaned up that a killed process had not."""
    files, file = opened
    files.plan = at(len(files.calls), Crash())
    with pytest.raises(Crash):
        CALLS[name](files, file)
    for call in CALLS.values():
        with pytest.raises(Crash):
            call(files, file)


def test_the_nth_call_fails_once_or_for_good() -> None:
    """Counted from where the plan was made, over all kinds that it names."""
    files, file = with_file(FaultyMemory())
    for for_good, expected in ((False, "ok EIO ok ok"), (True, "ok EIO EIO EIO")):
        files.plan = failing("sync", "sync_data", code=errno.EIO, nth=1, for_good=for_good)
        assert expected.split() == [outcome(files, file, n) for n in range(4)]


def outcome(files: Faults, file: OpenFile, number: int) -> str:
    try:
        (files.sync if number % 2 else files.sync_data)(file)
    except SyncFailed as error:
        return errno.errorcode[error.errno]
    return "ok"


def test_a_write_in_place_overwrites_and_never_appends(opened: tuple[Faults, OpenFile]) -> None:
    """What is appended at the same time goes to the end; a short one says how far it came."""
    files, file = opened
    files.write(file, b"0123456789")
    in_place = files.open_in_place("a")
    assert (3, 2) == (files.write_at(in_place, b"abc", 2), files.write(file, b"XY"))
    files.plan = lambda call: Short(1)
    assert 1 == files.write_at(in_place, b"zz", 8)
    assert b"01abc567z9XY" == files.read(file, 99, 0)


def test_a_write_stops_after_any_number_of_bytes(opened: tuple[Faults, OpenFile]) -> None:
    """And says so; or dies there, or fails there."""
    files, file = opened
    for size in (0, 3, 4):
        files.plan = at(len(files.calls), Short(size))
        assert size == files.write(file, b"abcd")
    files.plan = at(len(files.calls), Short(2, OSError(errno.EIO, "")))
    with pytest.raises(OSError, match="5"):
        files.write(file, b"abcd")
    del files.plan
    assert b"abcabcdab" == files.read(file, 99, 0)


def test_what_nobody_watches_gets_no_number(tmp_path: Path) -> None:
    files = FaultyFiles(tmp_path)
    files.exists("a")
    files.make_directory("d")
    assert ["make_directory"] == [call.name for call in files.calls]


def test_two_processes_share_the_files_and_not_the_locks() -> None:
    """A death frees the locks of the one that died."""
    one, file = with_file(FaultyMemory())
    assert isinstance(one, FaultyMemory)
    other = one.another_process()
    same = other.open("a", write=True)
    one.write(file, b"x")
    assert b"x" == other.read(same, 1, 0)
    assert [True, False] == [one.try_lock(file), other.try_lock(same)]
    one.die()
    assert other.try_lock(same)


# -- what a failed sync leaves -----------------------------------------------------------------


def shaken(kept: Callable[[int], bool]) -> tuple[FaultyMemory, OpenFile, bytes]:
    """Return a file of one synced and two lost pages, the last one not full."""
    files, file = with_file(FaultyMemory())
    files.write(file, b"a" * PAGE)
    files.sync(file)
    files.write(file, b"b" * (PAGE + 10))
    files.plan = at(len(files.calls), Lost(SyncFailed(errno.EIO, ""), kept))
    with pytest.raises(SyncFailed):
        files.sync(file)
    assert isinstance(files, FaultyMemory)
    return files, file, b"a" * PAGE + b"b" * (PAGE + 10)


def test_what_a_failed_sync_lost_no_later_one_brings() -> None:
    """The cache goes on to show it, until it is dropped: then there are NULs."""
    files, file, data = shaken(lambda _: False)
    assert data == files.read(file, 1 << 20, 0)
    files.sync(file)
    assert data[:PAGE] + bytes(PAGE + 10) == files.on_device(file)
    files.drop_cache(file)
    assert data[:PAGE] + bytes(PAGE + 10) == files.read(file, 1 << 20, 0)


def test_a_failed_sync_may_have_brought_some_pages() -> None:
    files, file, data = shaken(lambda page: page == 2)
    assert data[:PAGE] + bytes(PAGE) + b"b" * 10 == files.on_device(file)


def test_a_page_that_is_written_again_is_brought_by_the_next_sync() -> None:
    """With what was lost in it; a page that was not touched stays lost, and dropped pages only."""
    files, file, data = shaken(lambda _: False)
    files.write(file, b"c")
    files.drop_cache(file)
    lost = data[:PAGE] + bytes(PAGE) + b"b" * 10 + b"c"
    assert lost == files.read(file, 1 << 20, 0)
    files.sync(file)
    assert lost == files.on_device(file)


def test_everybody_with_the_file_open_is_told_once_of_a_failed_sync() -> None:
    """Whoever opens it later is not."""
    files, file = with_file(FaultyMemory())
    other = files.open("a", write=True)
    files.plan = at(len(files.calls), Lost(SyncFailed(errno.EIO, "")))
    with pytest.raises(SyncFailed):
        files.sync(file)
    late = files.open("a", write=True)
    with pytest.raises(SyncFailed):
        files.sync(other)
    for told in (file, other, late):
        files.sync(told)


# -- what a loss of power leaves ---------------------------------------------------------------


def found(after: FaultyMemory, path: str = "a") -> bytes | None:
    return after.read(after.open(path), 1 << 20, 0) if after.exists(path) else None


def states(files: FaultyMemory, limit: int = 1 << 20) -> list[bytes | None]:
    return [found(after) for after in files.power_losses(limit=limit)]


def synced(data: bytes) -> tuple[FaultyMemory, OpenFile]:
    files = FaultyMemory()
    file = files.open("a", write=True, create=True)
    files.write(file, data)
    files.settle()
    return files, file


def test_what_is_synced_is_all_that_is_found() -> None:
    files, _ = synced(b"abc")
    assert [b"abc"] == states(files)


def test_any_prefix_of_what_is_not_synced_may_be_found() -> None:
    """With NULs where the length came, and the bytes did not."""
    files, file = synced(b"abc")
    files.write(file, b"de")
    assert {b"abc", b"abcd", b"abcde", b"abc\0", b"abc\0\0"} == set(states(files))


def test_any_subset_of_pages_may_be_found() -> None:
    """A hole, and what was written behind it."""
    files, file = synced(b"a" * PAGE)
    files.write(file, b"b" * (2 * PAGE))
    whole = {data for data in states(files, 300) if data is not None and len(data) == 3 * PAGE}
    a, b, hole = b"a" * PAGE, b"b" * PAGE, bytes(PAGE)
    assert {a + x + y for x in (b, hole) for y in (b, hole)} == whole


def test_bytes_that_were_cut_and_written_anew_may_be_either() -> None:
    """Old ones within the new length, too; nothing that was never in the file."""
    files, file = synced(b"abcd")
    files.truncate(file, 2)
    files.write(file, b"XYZ")
    present = set(states(files))
    assert {b"abcd", b"ab", b"abX", b"abXYZ", b"abcd\0", b"ab\0"} <= present
    assert all(data is not None and data[:2] == b"ab" for data in present)


def test_a_name_that_is_not_synced_is_there_or_not() -> None:
    files = FaultyMemory()
    files.sync(files.open("a", write=True, create=True))
    assert [None, b""] == states(files)
    files.sync_directory("")
    files.unlink("a")
    assert [b"", None] == states(files)


def test_what_lies_in_a_lost_directory_is_lost() -> None:
    """Even if its own name was synced."""
    files = FaultyMemory()
    files.make_directory("d")
    files.sync(files.open("d/a", write=True, create=True))
    files.sync_directory("d")
    assert {None, b""} == {found(after, "d/a") for after in files.power_losses()}
    files.sync_directory("")
    assert {b""} == {found(after, "d/a") for after in files.power_losses()}


class Opening(str):
    """A path whose comparison opens a file, as another thread does at the worst moment."""

    __slots__ = ("files",)
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        self.files.open("other", write=True, create=True).close()
        return super().__eq__(other)


def test_a_file_opened_in_the_middle_of_a_rename_is_no_error(tmp_path: Path) -> None:
    """Where it was opened is known from then on, as of all others."""
    files = FaultyFiles(tmp_path)
    kept = [files.open(name, write=True, create=True) for name in ("t", "other")]
    path = Opening("t")
    path.files = files

    files.rename(path, "a")

    files.write(kept[0], b"x")
    assert "a" == files.calls[-1].path


def test_a_rename_has_happened_or_not() -> None:
    """One name or the other holds the new file; the old one is never gone without it."""
    files, _ = synced(b"old")
    new = files.open("t", write=True, create=True)
    files.write(new, b"new")
    files.sync(new)
    files.sync_directory("")
    files.rename("t", "a")
    assert [(b"old", b"new"), (b"new", None)] == [
        (found(after), found(after, "t")) for after in files.power_losses()
    ]


def test_too_many_states_are_sampled_with_a_seed() -> None:
    """The oldest and the newest are among them; the same seed gives the same ones."""
    files, file = synced(b"")
    for _ in range(9):
        files.write(file, b"x" * PAGE)
    samples = states(files, 20)
    assert (22, b"", b"x" * 9 * PAGE) == (len(samples), samples[0], samples[1])
    assert samples == states(files, 20)
    by_chance = [found(after) for after in files.power_losses(limit=20, seed=1)]
    assert samples[2:] != by_chance[2:]


def test_one_state_by_chance_is_one_of_all() -> None:
    files, file = synced(b"ab")
    files.write(file, b"cd")
    random = Random(7)
    chosen = {found(files.a_power_loss(random)) for _ in range(200)}
    assert set(states(files)) == chosen


# -- a store on it -----------------------------------------------------------------------------


def store_of_two() -> FaultyMemory:
    files = FaultyMemory()
    born(FsCore(files), 1)
    files.settle()
    return files


def append_twice(files: FaultyMemory) -> None:
    core = FsCore(files)
    session_id = core.list()[0].session_id
    core.append(session_id, [note("x" * PAGE)], expected=ANY, durability="os")
    core.append(session_id, [note()], expected=ANY)


def test_a_process_dies_in_every_call_of_its_work() -> None:
    """Ends with the call behind the last one; each state can be worked on."""
    met = []
    for call, files in deaths(store_of_two, append_twice):
        met.append(call.name)
        append_twice(files.rebooted())
    assert ["write", "write", "sync_data", *["sync_directory"] * 4] == met


def test_a_process_dies_in_the_middle_of_every_write() -> None:
    torn = [call.name for call, _ in deaths(store_of_two, append_twice, tear_at=100)]
    assert ["write", "write"] == torn


def acked_and_lost() -> Iterator[tuple[Position, FaultyMemory]]:
    """Give what may be found of a log of which the last three pages are not synced."""
    files = FaultyMemory()
    core = FsCore(files)
    session_id = born(core, 1)
    head = core.head(session_id)
    for _ in range(2):
        core.append(session_id, [note("x" * 5000), note()], expected=ANY, durability="os")
    for after in files.power_losses(limit=300):
        yield head, after


def test_whatever_pages_the_power_leaves_what_was_on_disk_is_read() -> None:
    """Torn, corrupt behind it, or whole: never less, never something else."""
    endings = set()
    for head, after in acked_and_lost():
        core, seqs = FsCore(after), []
        try:
            for batch in core.read(head.session_id):
                seqs += [record.seq for record in batch]
            endings.add("whole" if seqs == list(range(6)) else "cut")
        except Corrupt as damage:
            assert damage.seq > head.seq
            endings.add("corrupt")
        assert head == core.position(head.session_id, head.seq)
        assert seqs in (list(range(n)) for n in (2, 4, 6))
    assert {"whole", "cut", "corrupt"} == endings
