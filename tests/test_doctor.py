"""Examining as operators do: the command, the library, stores that cannot be opened."""

import gc
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from cli_tools import Cli
from doctor_tools import (
    OF_THE_MACHINE,
    Home,
    Quick,
    Soon,
    everything,
    examine,
    home,
    kinds,
    problems,
)
from fs_scenes import forked
from fs_tools import born, note, store
from verdicts import VECTORS

import session_store as ss
from session_store import blocking
from session_store.chain import link
from session_store.cli.text import escape, width
from session_store.ids import SessionId, new_session_id
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.doctor import Examination, StoreFinding
from session_store.stores.fs.doctor.findings import quoted
from session_store.stores.fs.files import Files, Room
from session_store.stores.memory import MemoryFiles


@pytest.fixture
def healthy(tmp_path: Path) -> Home:
    return home(tmp_path / "store")


@pytest.fixture
def cli(healthy: Home, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setattr(Files, "clock", Soon())
    return Cli(str(healthy.root))


# -- the command -------------------------------------------------------------------------------


def test_doctor_says_that_nothing_was_found(cli: Cli) -> None:
    """One line and exit code 0; no line of JSON."""
    last = cli.ok("doctor").lines[-1]
    assert last == "nothing found" or last.endswith("note")
    said = cli.ok("doctor", "--deep", "--json")
    assert OF_THE_MACHINE >= {line.split('"')[3] for line in said.lines}


def test_doctor_finds_mends_and_then_finds_nothing(cli: Cli, healthy: Home) -> None:
    """Exit code 1 with a command that mends it, then 0; --json has the same."""
    healthy.append_bytes(healthy.keyed, b"torn")
    (healthy.root / "sessions").chmod(0o755)
    said = cli("doctor")
    text = " ".join(said.out.split())
    command = f"$ session-store --store {healthy.root} repair {healthy.keyed}"

    assert 1 == said.code
    assert "warning: mode sessions has mode 0755 instead of 0700" in text
    assert command in text
    assert said.lines[-1].endswith("--fix mends 2")
    fixed = cli("doctor", "--fix", "--json")
    rows = [line for line in fixed.lines if '"mended":true' in line]
    assert (0, 2) == (fixed.code, len(rows))
    assert 0 == cli("doctor").code


def test_doctor_fits_80_columns_and_no_terminal_is_harmed(cli: Cli, healthy: Home) -> None:
    """Names are written out; only commands and long names are wider."""
    for name in ("\x1b[2J", "\u202efdp.exe", "line\nbreak"):
        (healthy.root / name).write_bytes(b"")
        (healthy.root / "sessions" / name).write_bytes(b"")
    said = cli("doctor")
    assert said.out == "".join(f"{escape(line)}\n" for line in said.out.split("\n")[:-1])
    assert all(width(line) <= 80 for line in said.lines if not line.startswith("  $ "))
    assert r"\x1b[2J" in said.out
    assert all(escape(line) == line for line in cli("doctor", "--json").lines)


def test_doctor_shows_some_of_many_alike(cli: Cli, healthy: Home) -> None:
    """The rest is counted; --json has them all."""
    for number in range(25):
        (healthy.root / f"{number}.txt").write_bytes(b"")
    said = cli("doctor")
    assert 20 == said.out.count("note: foreign\n")
    assert "note: foreign: 5 more like these; --json lists all" in said.lines
    assert 25 == cli("doctor", "--json").out.count('"foreign"')


def test_doctor_tells_what_stood_in_the_way(cli: Cli, healthy: Home) -> None:
    """A log that is held: exit code 1, and who holds it is not disturbed."""
    healthy.append_bytes(healthy.keyed, b"torn")
    holder = store(healthy.root)
    with holder.locked(holder.log(healthy.keyed)):
        said = cli("doctor", "--fix")
    assert 1 == said.code
    text = " ".join(said.out.split())
    assert "not mended: " in text
    assert "another writer has held the lock" in text


def test_a_store_of_another_version_is_exit_code_3(cli: Cli, healthy: Home) -> None:
    """Nothing below it is judged."""
    path = healthy.root / layout.STORE
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":2'))
    healthy.append_bytes(healthy.keyed, b"torn")
    said = cli("doctor", "--json")
    assert 3 == said.code
    assert ["unsupported"] == [
        line.split('"')[3] for line in said.lines if '"severity":"error"' in line
    ]
    assert "torn" not in said.out


def test_a_log_of_another_version_is_exit_code_3(cli: Cli, healthy: Home) -> None:
    """The rest of the store is examined."""
    healthy.path(healthy.keyed).write_bytes(b'{"v":2,"any":"thing"}\n')
    (healthy.root / "sessions" / "x").write_bytes(b"")
    said = cli("doctor")
    assert 3 == said.code
    assert "format version 2" in said.out
    assert "warning: foreign" in said.out


def test_a_damaged_description_is_said_with_the_next_step(cli: Cli, healthy: Home) -> None:
    """Where every other command ends, this one goes on, and names what to do."""
    (healthy.root / layout.STORE).write_bytes(b"\0" * 30)
    assert 3 == cli("ls").code
    said = cli("doctor", "--fix")
    (command,) = (line[4:] for line in said.lines if line.startswith("  $ "))
    assert 1 == said.code
    subprocess.run(["bash", "-c", command], check=True)
    assert 0 == cli("doctor", "--fix").code
    assert 2 + 1 == len(cli.ok("ls", "--json").json()["sessions"])


@pytest.mark.parametrize("make", [lambda _: None, Path.mkdir, Path.touch])
def test_no_store_is_no_store_to_examine(tmp_path: Path, make: object) -> None:
    """Exit code 3 and one line; nothing is made there, with --fix neither."""
    make(tmp_path / "there")
    before = everything(tmp_path)
    said = Cli(str(tmp_path / "there"))("doctor", "--fix")
    assert (3, "") == (said.code, said.out)
    assert "no store at" in said.err
    assert before == everything(tmp_path)
    assert 2 == Cli("ftp://x/y")("doctor").code


def test_a_bar_on_a_terminal_shows_how_far_it_is(healthy: Home) -> None:
    """Bytes of logs, of all there are; on standard error."""
    import pty

    master, slave = pty.openpty()
    command = [sys.executable, "-m", "session_store", "--store", str(healthy.root), "doctor"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=slave, check=False, timeout=60)
    os.close(slave)
    shown = os.read(master, 10_000).decode()
    os.close(master)
    assert 0 == done.returncode
    assert "examining" in shown
    assert "100%" in shown


# -- the library -------------------------------------------------------------------------------


async def test_the_same_from_asyncio_and_without(healthy: Home) -> None:
    """An iterator of findings, given as they are found."""
    (healthy.root / "x").write_bytes(b"")
    found = [one async for one in ss.examine(healthy.root, deep=True, fix=True)]
    assert found == list(blocking.examine(str(healthy.root)))
    assert "foreign" in kinds(found)
    assert isinstance(found[0], StoreFinding)
    with pytest.raises(ss.NotFound):
        await anext(ss.examine(healthy.root / "nothing"))
    with pytest.raises(ss.NotFound):
        await anext(ss.examine("memory:"))


def test_progress_goes_to_the_end(healthy: Home) -> None:
    """Bytes of logs looked at, of all."""
    told: list[tuple[int, int]] = []
    list(blocking.examine(healthy.root, progress=lambda *both: told.append(both)))
    size = sum(len(b"".join(healthy.core.raw(i.session_id))) for i in healthy.core.list())
    assert sorted(told) == told
    assert (0, size) == told[0]
    assert (size, size) == told[-1]


def test_an_examination_that_is_left_early_lets_go(cli: Cli, healthy: Home) -> None:
    """Closing the iterator closes what it had opened."""
    gc.collect()
    (healthy.root / "sessions").chmod(0o755)
    healthy.append_bytes(healthy.keyed, b"torn")
    before = len(os.listdir("/proc/self/fd"))
    found = blocking.examine(healthy.root, fix=True)
    assert next(found).is_mended
    found.close()
    assert before >= len(os.listdir("/proc/self/fd"))


RENAMED = {"parent-changed": "corrupt", "marker-missing": None}
"""What the two call differently, or only one of them looks at."""
VECTOR_NAMES = sorted(path.name for path in (VECTORS / "v1").iterdir() if path.is_dir())


def in_memory(logs: Mapping[str, bytes]) -> MemoryFiles:
    """Return a store in memory that holds *logs* by id."""
    files = MemoryFiles()
    FsCore(files)
    for name, data in logs.items():
        path = layout.log_path(SessionId(name))
        for above in reversed(layout.parents(path)[:-1]):
            files.make_directory(above)
        files.write(files.open(path, write=True, create=True), data)
    return files


class Hurried(ss.MemoryStore):
    """What is in flight here never lands: nobody waits for it."""

    async def pause(self, seconds: float) -> None:
        pass


@pytest.mark.parametrize("name", VECTOR_NAMES)
async def test_a_deep_look_sees_what_verify_sees(name: str) -> None:
    """Of every golden vector: the same findings of the session's own log."""
    paths = (VECTORS / "v1" / name).glob("*.jsonl")
    files = in_memory({path.stem: path.read_bytes() for path in paths})
    found = examine(files, deep=True)
    opened = Hurried(FsCore(files))
    for session_id in (SessionId(path.stem) for path in (VECTORS / "v1" / name).glob("*.jsonl")):
        mine = {one.what for one in found if one.session_id == session_id}
        try:
            report = await ss.verify(opened, session_id)
        except ss.Unsupported:
            assert "parent" in name or {"unsupported"} == mine
            continue
        own = {one.what for one in report.problems if one.session_id == session_id}
        assert own == {RENAMED.get(one, one) for one in mine} - {None}


# -- the machine -------------------------------------------------------------------------------


class Machine(Quick):
    """A machine on which something is scarce or strange."""

    kind = "ext4"
    free = Room(1 << 40, 1 << 20)
    limit = 1024

    def filesystem(self) -> str:
        return self.kind

    def room(self) -> Room:
        return self.free

    def descriptors_max(self) -> int:
        return self.limit


MACHINES = {
    "plenty": ({}, []),
    "no limit": ({"limit": -1}, []),
    "network": ({"kind": "nfs4"}, [("network", "warning")]),
    "sshfs": ({"kind": "fuse.sshfs"}, [("network", "warning")]),
    "memory disk": ({"kind": "tmpfs"}, [("volatile", "note")]),
    "no room": ({"free": Room(1 << 20, 1 << 20)}, [("room", "warning")]),
    "no names": ({"free": Room(1 << 40, 10)}, [("room", "warning")]),
    "few descriptors": ({"limit": 64}, [("descriptors", "warning")]),
}


@pytest.mark.parametrize(("machine", "wanted"), MACHINES.values(), ids=MACHINES)
def test_what_a_machine_lacks(
    healthy: Home, machine: Mapping[str, object], wanted: list[tuple[str, str]]
) -> None:
    """Network and memory file systems, room for an append, descriptors."""
    files = Machine(healthy.root)
    for name, value in machine.items():
        setattr(files, name, value)
    assert wanted == [(one.what, one.severity) for one in Examination(files).findings()]


def test_what_cannot_be_fixed_on_a_network_is_told(healthy: Home) -> None:
    """A store that does not open there is not written to."""
    healthy.append_bytes(healthy.keyed, b"torn")
    files = Machine(healthy.root)
    files.kind, files.clock = "nfs", Soon()
    before = everything(healthy.root)
    found = {one.what: one for one in Examination(files, fix=True).findings()}
    assert isinstance(found["torn"].failure, ss.UnsafePath)
    assert before == everything(healthy.root)


def test_this_machine_is_asked(tmp_path: Path) -> None:
    """Room, as the file system tells it; a memory store has no end."""
    room = Files(tmp_path).room()
    assert 0 < room.size < 1 << 60
    assert 0 < room.names
    assert MemoryFiles().room().size > 1 << 60


def test_a_clock_behind_the_newest_record(healthy: Home) -> None:
    """By more than an hour, which is when appends begin to repeat a timestamp for long."""
    path = healthy.path(healthy.keyed)
    head = healthy.core.log(healthy.keyed)
    with healthy.core.locked(head):
        ahead_ms = Files.clock.now_ms() + 7_500_000
        data, _ = link(head.refresh().head, ahead_ms, [note()])
    path.write_bytes(path.read_bytes() + data)
    (found,) = examine(healthy.root)
    assert ("clock", "warning") == (found.what, found.severity)
    assert "2 h behind" in found.why


# -- kinds of stores ---------------------------------------------------------------------------


def test_a_store_of_a_group_has_its_own_modes(tmp_path: Path) -> None:
    """0660 and 2770 are right there, and are put back where they are lost."""
    root = tmp_path / "store"
    core = FsCore(Quick(root, shared_group=True), shared_group=True)
    session_id = born(core, 1, key="k")
    assert [] == examine(root)
    log = root / layout.log_path(session_id)
    log.chmod(0o600)
    log.parent.chmod(0o770)
    assert {"mode"} == kinds(examine(root))
    assert 2 == len(examine(root, fix=True))
    assert [] == examine(root)
    assert (0o660, 0o2770) == (log.stat().st_mode & 0o7777, log.parent.stat().st_mode & 0o7777)
    (root / layout.STORE).unlink()
    assert {"description-missing"} == kinds(examine(root))


def test_a_masked_replica_may_hold_masked_records() -> None:
    """And an unmasked store may not."""
    name = next(name for name in VECTOR_NAMES if name.startswith("masked"))
    logs = {p.stem: p.read_bytes() for p in (VECTORS / "v1" / name).glob("*.jsonl")}
    files = in_memory(logs)
    assert "corrupt" in kinds(examine(files, deep=True))
    path = files.open(layout.STORE, write=True)
    data = files.read(path, 1000, 0).replace(b"}", b',"masked":"rules-1"}')
    files.truncate(path, 0)
    files.write(path, data)
    assert "corrupt" not in kinds(examine(files, deep=True))


class OneByOne(Examination):
    suspects_max = 1


def test_memory_does_not_grow_with_findings_or_sessions(tmp_path: Path) -> None:
    """More suspects than are held at once are looked at in groups."""
    files = forked().files
    for _ in range(3):
        path = layout.marker_path(new_session_id(), new_session_id())
        files.make_directory(layout.parents(path)[0])
        files.open(path, write=True, create=True)
    files.clock = Soon()
    found = OneByOne(files).findings()
    assert 3 == len(problems(list(found)))
    assert 3 == files.clock.waited_s


@pytest.mark.parametrize(
    "text", ["plain", "with blank", "it's", "-x", "\x1b[1m", "\udcff\n", "ü'\t"]
)
def test_a_quoted_word_is_what_the_shell_takes(text: str) -> None:
    """Byte for byte, and without a control character."""
    said = subprocess.run(
        ["bash", "-c", f"printf %s {quoted(text)}"], capture_output=True, check=True
    )
    assert text == said.stdout.decode("utf-8", "surrogateescape")
    assert quoted(text).isprintable()
