"""System calls that are refused, interrupted, slow or wrong: rows 19 to 25 of the fault matrix."""

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_tools import Cli
from fs_scenes import SCENES
from fs_tools import born, log_of, note, records
from import_tools import ANSWERED, ASKED, parsed
from matrix_tools import WAIT_S, calls_of, go_on, held, with_fault

from session_store import blocking
from session_store.cli.failures import explain
from session_store.entries import Receipt
from session_store.errors import Corrupt, DurabilityLost, Locked, SessionStoreError
from session_store.stores import ANY
from session_store.stores.face import InlineFace
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import OpenFile
from session_store.testing.faults import CHANGES, SYNCS, FaultyFiles, FaultyMemory, error

# -- row 19: interrupted calls ------------------------------------------------------------------


def test_signals_in_any_call_disturb_nothing(tmp_path: Path) -> None:
    """A timer every half millisecond, until it has hit often: no error, no record lost or twice."""
    hits = 0

    def count(*_: object) -> None:
        nonlocal hits
        hits += 1

    core = FsCore(FaultyFiles(tmp_path))
    session_id = born(core)
    before = signal.signal(signal.SIGALRM, count)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    acked = []
    try:
        while hits < 200:
            acked.append(core.append(session_id, [note("x" * 3000)], expected=ANY))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert list(range(1, len(acked) + 1)) == [receipt.seq for receipt in acked]
    held(FsCore(FaultyFiles(tmp_path)), acked)


# -- row 21: no descriptors, no rights, no directory ---------------------------------------------

REFUSALS = (errno.EMFILE, errno.EACCES, errno.ENOENT, errno.EROFS)


@pytest.mark.parametrize("turn", [0, 2])
@pytest.mark.parametrize("scene", SCENES)
def test_a_call_that_is_refused_leaves_nothing_half_made(scene: str, turn: int) -> None:
    """An error of the system or of ours, at every call; the same work then succeeds."""
    for number, call in enumerate(calls_of(scene)):
        code = REFUSALS[(number + turn) % len(REFUSALS)]
        world = with_fault(scene, number, error(code, call))
        try:
            SCENES[scene][1](world)
        except (OSError, SessionStoreError) as refused:
            assert isinstance(refused, DurabilityLost) or call.name not in SYNCS, call
        go_on(scene, world)


def in_child(work: Callable[[], int]) -> int:
    """Return the exit code of a child process that does *work*."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_process_without_descriptors_is_told_so(tmp_path: Path) -> None:
    """Append and create are refused; both work when there are descriptors again."""
    core = FsCore(FaultyFiles(tmp_path))
    session_id = born(core)
    core.close()

    def work() -> int:
        core = FsCore(FaultyFiles(tmp_path))
        used = os.dup(0)
        os.close(used)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
        refused = 0
        for call in (
            lambda: born(core),
            lambda: core.append(session_id, [note()], expected=ANY),
            lambda: core.head(session_id),
        ):
            try:
                call()
            except OSError as error:
                refused += error.errno == errno.EMFILE
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        core.append(session_id, [note()], expected=ANY)
        born(core)
        return refused

    assert 3 == in_child(work)
    core = FsCore(FaultyFiles(tmp_path))
    assert [1, 2] == sorted(len(records(core, info.session_id)) for info in core.list())


def test_the_command_line_without_descriptors_is_no_traceback(tmp_path: Path) -> None:
    """Exit code 3 and one line."""
    cli = Cli(str(tmp_path / "store"))
    session_id = cli.ok("new").out.strip()
    program = (
        "import sys; from resource import *; from session_store.cli.app import main;"
        "setrlimit(RLIMIT_NOFILE, (4, getrlimit(RLIMIT_NOFILE)[1])); sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--store", cli.store, "label", session_id, "a=1"],
        capture_output=True,
        check=False,
    )
    assert (3, b"") == (done.returncode, done.stdout)
    assert b"session-store: error: too many open files\n" == done.stderr


# -- row 22: bytes that cannot be read -----------------------------------------------------------

PAGE = 4096


class BadPage(FaultyMemory):
    """A device with one page that gives EIO."""

    bad: tuple[str, int] | None = None

    def read(self, file: OpenFile, size: int, offset: int) -> bytes:
        path, page = self.bad or ("", 0)
        if self._paths[file] == path and offset < (page + 1) * PAGE and offset + size > page * PAGE:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(file, size, offset)


def test_a_page_that_cannot_be_read_is_never_the_end_of_the_log() -> None:
    """The error has the file and the place, nothing is cut or taken for torn, exit code 3."""
    files = BadPage()
    core = FsCore(files)
    session_id = born(core)
    for _ in range(12):
        core.append(session_id, [note("x" * 2000)], expected=ANY)
    path = layout.log_path(session_id)
    before = b"".join(core.raw(session_id))
    for page in range(len(before) // PAGE + 1):
        files.bad = (path, page)
        for look in (records, FsCore.repair):
            with pytest.raises(OSError, match="at byte") as raised:
                look(FsCore(files), session_id)
            assert (errno.EIO, files.name(path)) == (raised.value.errno, raised.value.filename)
            assert 3 == explain(raised.value).code
            assert files.name(path) in explain(raised.value).message
    with pytest.raises(OSError, match="at byte"):  # The last page: nobody can tell what is there.
        FsCore(files).append(session_id, [note()], expected=ANY)
    files.bad = None
    assert before == b"".join(core.raw(session_id))
    assert 13 == core.append(session_id, [note()], expected=ANY).seq


def test_verify_of_what_cannot_be_read_is_no_verdict() -> None:
    """Neither intact nor corrupt: the error itself."""
    files = BadPage()
    core = FsCore(files)
    session_id = born(core, 2)
    files.bad = (layout.log_path(session_id), 0)
    with pytest.raises(OSError, match="at byte 0"):
        blocking.verify(blocking.Store(InlineFace(core)), session_id)


# -- row 23: a slow disk ---------------------------------------------------------------------------


class SlowSync(FaultyFiles):
    """A disk whose syncs of logs wait until somebody lets them go."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.is_slow = False
        self.begun, self.go = threading.Event(), threading.Event()

    def sync_data(self, file: OpenFile) -> None:
        if self.is_slow:
            self.begun.set()
            assert self.go.wait(WAIT_S)
        super().sync_data(file)


def test_the_lock_is_not_held_while_the_disk_is_slow(tmp_path: Path) -> None:
    """Others append meanwhile, at level os at once; the slow one is acknowledged behind its sync."""
    files = SlowSync(tmp_path)
    slow, other = FsCore(files), FsCore(FaultyFiles(tmp_path), lock_timeout_s=WAIT_S)
    session_id = born(slow)
    files.is_slow = True
    acked: list[Receipt] = []
    writer = threading.Thread(
        target=lambda: acked.append(slow.append(session_id, [note()], expected=ANY))
    )
    writer.start()
    assert files.begun.wait(WAIT_S)
    seqs = [
        other.append(session_id, [note()], expected=ANY, durability=level).seq
        for level in ("os", "disk")
    ]
    assert ([2, 3], []) == (seqs, acked)
    files.go.set()
    writer.join(WAIT_S)
    assert [1] == [receipt.seq for receipt in acked]


def test_a_lock_that_is_held_too_long_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    """The time that it waited is the time that it says."""
    core = FsCore(FaultyFiles(tmp_path))
    impatient = FsCore(FaultyFiles(tmp_path), lock_timeout_s=0.05)
    session_id = born(core)
    before = log_of(core, session_id).read_bytes()
    with core.locked(core.log(session_id)), pytest.raises(Locked, match=r"0\.05 s") as raised:
        impatient.append(session_id, [note()], expected=ANY)
    assert 3 == explain(raised.value).code
    assert before == log_of(core, session_id).read_bytes()


# -- row 24: bits that change on their way to the disk --------------------------------------------


class Rotting(FaultyMemory):
    """Flips one bit of what is written to logs."""

    bit: int | None = None

    def write(self, file: OpenFile, data: bytes) -> int:
        if self.bit is not None and self._paths[file].endswith(layout.LOG_SUFFIX):
            changed = bytearray(data)
            changed[self.bit // 8] ^= 1 << self.bit % 8
            data = bytes(changed)
        return super().write(file, data)


def test_a_bit_that_changed_in_the_write_is_found_by_the_next_reader() -> None:
    """Every seventh bit of a line: Corrupt at that line, whatever was appended behind it."""
    files = Rotting()
    core = FsCore(files)
    probe = born(core)
    core.append(probe, [note("probe")], expected=ANY)
    size = len(core.record(probe, 1).line)
    for bit in range(0, 8 * size, 7):
        session_id = born(core)
        files.bit = bit
        core.append(session_id, [note("probe")], expected=ANY)
        files.bit = None
        try:
            core.append(session_id, [note()], expected=ANY)
        except Corrupt:
            assert bit // 8 > size - 70, "only in what the next append looks at"
        with pytest.raises(Corrupt) as raised:
            records(FsCore(files), session_id)
        assert 1 == raised.value.seq, bit


# -- row 25: names that cannot be made or removed -------------------------------------------------

NAMES = CHANGES - SYNCS - {"write", "truncate"}


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES], ids=errno.errorcode.get)
def test_an_import_that_is_refused_a_name_leaves_all_or_nothing(tmp_path: Path, code: int) -> None:
    """Every call about a name: no session or the whole one; the next import ends as if alone."""
    item = parsed(tmp_path, ASKED, ANSWERED)
    whole = FaultyMemory()
    expected = imported(whole, item)
    numbers = [call.number for call in whole.calls if call.name in NAMES]
    assert len(numbers) > 8
    for bad in numbers:
        files = FaultyMemory()
        files.plan = lambda call, bad=bad: error(code, call) if call.number == bad else None
        with pytest.raises((OSError, SessionStoreError)):
            imported(files, item)
        del files.plan
        core = FsCore(files)
        assert [1 + len(expected)] * len(core.list()) == [
            len(records(core, i.session_id)) for i in core.list()
        ]
        assert expected == imported(files, item)
        assert 1 == len(core.list())


def imported(files: FaultyMemory, item: object) -> list[bytes]:
    store = blocking.Store(InlineFace(FsCore(files)))
    session_id = blocking.import_transcript(store, item).session_id
    return [r.body for r in records(store.inner.core, session_id)][1:]
