"""What a disk and its system calls can do to a store, call by call: rows 11 to 25 of the fault matrix."""

import errno
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import frozen
from cli_tools import Cli
from fs_scenes import SCENES
from fs_tools import born, fork, note, records
from matrix_tools import calls_of, go_on, held, with_fault

from session_store import blocking
from session_store.entries import Receipt
from session_store.errors import DurabilityLost, StoreFull
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import (
    NO_ROOM,
    SYNCS,
    Call,
    FaultyMemory,
    Short,
    error,
)

# -- rows 11 and 16: a sync that fails, once and for good ---------------------------------------


@frozen
class Script:
    """Sixty operations on two sessions and a fork, and the receipts of level disk."""

    core: FsCore
    acked: list[Receipt]

    def run(self) -> None:
        """Go on past every failure through the same handles; count an ack behind one as an error."""
        core = self.core
        cursors = [core.open(session_id) for session_id in self.ids()]
        lost: set[int] = set()
        for number in range(60):
            which = number % 2
            cursor = cursors[which]
            try:
                if number in (20, 40):
                    with suppress(DurabilityLost):  # Whose sync failed is not said to the handle.
                        fork(core, core.head(cursor.head.session_id))
                elif number % 7 == 6:
                    self.ack(core.flush(cursor.head.session_id, cursor=cursor), which, lost)
                else:
                    drafts = [note() for _ in range(1 + number % 3)]
                    level = "os" if number % 5 == 4 else "disk"
                    sid = cursor.head.session_id
                    receipt = core.append(sid, drafts, cursor=cursor, durability=level)
                    self.ack(receipt, which, lost)
            except DurabilityLost:
                lost.add(which)

    def ids(self) -> list[str]:
        return sorted(i.session_id for i in self.core.list())

    def ack(self, receipt: Receipt, which: int, lost: set[int]) -> None:
        assert which not in lost, "an ack through a handle that was told of a loss"
        if receipt.level == "disk":
            self.acked.append(receipt)


def script() -> tuple[FaultyMemory, Script]:
    files = FaultyMemory()
    core = FsCore(files)
    for _ in range(2):
        born(core)
    return files, Script(core, [])


def script_syncs() -> list[int]:
    files, run = script()
    before = len(files.calls)
    run.run()
    return [c.number for c in files.calls[before:] if c.name in SYNCS]


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_no_ack_of_a_handle_follows_its_failed_sync(for_good: bool) -> None:
    """EIO at every sync of a script: refused from there on; what was acked survives a power cut."""
    numbers = script_syncs()
    assert len(numbers) > 40
    for bad in numbers:
        files, run = script()
        files.plan = lambda call, bad=bad: (
            error(errno.EIO, call)
            if call.name in SYNCS and (call.number == bad or (for_good and call.number > bad))
            else None
        )
        run.run()
        for share in (0, 1):
            held(FsCore(files.after_power_loss(names_kept=False, share=share)), run.acked)


# -- rows 14, 16, 17, 18: no room -----------------------------------------------------------------


@pytest.mark.parametrize("code", NO_ROOM, ids=errno.errorcode.get)
@pytest.mark.parametrize("scene", SCENES)
def test_any_write_without_room_is_store_full(scene: str, code: int) -> None:
    """Nothing written and a piece written, at every write; the same work then succeeds."""
    for size in (0, 37):
        for number, call in writes_of(scene):
            world = with_fault(scene, number, Short(size, error(code, call)))
            with pytest.raises(StoreFull):
                SCENES[scene][1](world)
            go_on(scene, world)


@pytest.mark.parametrize("scene", SCENES)
def test_a_short_write_anywhere_is_finished_or_undone(scene: str) -> None:
    """Of a log it is rolled back; of a mark, a copy or a key the rest follows."""
    for number, call in writes_of(scene):
        fits = max(call.size - 2, 0)
        world = with_fault(scene, number, Short(fits))
        if call.path.endswith(layout.LOG_SUFFIX) and call.size > 1:
            with pytest.raises(StoreFull, match=f"{fits} of {call.size} bytes"):
                SCENES[scene][1](world)
        else:
            SCENES[scene][1](world)
        go_on(scene, world)


def writes_of(scene: str) -> Iterator[tuple[int, Call]]:
    return ((n, call) for n, call in enumerate(calls_of(scene)) if call.name == "write")


def test_an_append_of_many_lines_that_stops_at_any_byte_is_undone() -> None:
    """Three lines in one write, never two; whatever fitted is cut off again."""
    files = FaultyMemory()
    core = FsCore(files)
    session_id = born(core, 1)
    drafts = [note("x"), note("y" * 40), note("z")]
    before = b"".join(core.raw(session_id))
    core.append(session_id, drafts, expected=ANY)
    size = files.calls[-2].size
    assert ["write", "sync_data"] == [c.name for c in files.calls[-2:]]
    for k in range(size - 1):
        drafts = [note("x"), note("y" * 40), note("z")]
        files.plan = lambda call, k=k: Short(k) if call.name == "write" else None
        grown = b"".join(core.raw(session_id))
        with pytest.raises(StoreFull):
            core.append(session_id, drafts, expected=ANY)
        assert grown == b"".join(core.raw(session_id))
        assert ["write", "truncate"] == [c.name for c in files.calls[-2:]]
    assert grown.startswith(before)


def test_an_append_that_lacks_only_its_last_line_end_is_acknowledged() -> None:
    """Every reader counts it, so it cannot be undone; the next append puts the line end there."""
    files = FaultyMemory()
    core = FsCore(files)
    session_id = born(core, 1)
    files.plan = lambda call: Short(call.size - 1) if call.name == "write" else None
    receipt = core.append(session_id, [note(), note()], expected=ANY)
    del files.plan
    for share in (0, 1):
        after = FsCore(files.after_power_loss(names_kept=False, share=share))
        held(after, [receipt])
        assert 4 == len(records(after, session_id))
    assert 4 == core.append(session_id, [note()], expected=ANY).seq
    assert 5 == len(records(FsCore(files), session_id))


def test_a_write_that_fails_with_all_its_bytes_there_is_not_repeated() -> None:
    """Neither rolled back nor acknowledged: the retry of the drafts finds them."""
    files = FaultyMemory()
    core = FsCore(files)
    session_id = born(core)
    floor, drafts = core.head(session_id), [note("once")]
    files.plan = lambda call: {
        "write": Short(10_000, OSError(errno.EIO, "io")),
        "truncate": OSError(errno.EIO, "io"),
    }.get(call.name)
    with pytest.raises(OSError, match="io"):
        core.append(session_id, drafts, expected=ANY, floor=floor)
    del files.plan
    receipt = core.append(session_id, drafts, expected=ANY, floor=floor)
    assert (1, "disk") == (receipt.seq, receipt.level)
    assert 2 == len(records(core, session_id))


def test_the_command_line_says_that_the_disk_is_full(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for the disk: exit code 3, the file, what to do, and nothing was written."""
    cli = Cli(str(tmp_path / "store"))
    session_id = cli.ok("new").out.strip()
    with blocking.open_store(cli.store) as store:
        path = Path(store.path(session_id))
    before = path.read_bytes()
    # -B: Python would leave bytecode that was cut short at the limit behind, for everybody.
    line = [sys.executable, "-B", "-m", "session_store", "--store", cli.store]
    done = subprocess.run(
        [*line, "append", session_id, "--any"],
        input=b'{"kind":"user_input","body":{"items":[{"content":"%b"}]}}\n' % (b"x" * 5000),
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    err = done.stderr.decode().splitlines()
    assert (3, b"") == (done.returncode, done.stdout), err
    assert f"session-store: error: {path}: " in err[1]
    assert "session-store: hint: make room, then run it again" == err[2]
    assert before == path.read_bytes()
