"""Links, pipes, devices and directories in the place of any file of a store: refused, never followed."""

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest
from attrs import frozen
from cli_tools import Cli
from crash.processes import start as child_process
from crash.processes import wait
from fs_tools import born, fork, log_of, note, start, store

from session_store import blocking
from session_store.errors import InvalidId, SessionStoreError
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.face import InlineFace
from session_store.stores.fs import layout, pending
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files, OpenFile
from session_store.stores.fs.tip import find_seq
from session_store.stores.memory import MemoryFiles
from session_store.testing.story import ROOT, told

KEY = "tests:1"


@frozen
class World:
    """A store with a session, its trace and its fork; beside it what must stay as it is."""

    root: Path
    session_id: SessionId
    child: SessionId

    @property
    def outside(self) -> Path:
        return self.root.parent / "outside"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("template") / "store"
    core = store(root)
    session_id = born(core, 2, key=KEY)
    core.append_trace(session_id, b'{"ts":1,"turn":0,"kind":"dropped","data":1}\n')
    child = fork(core, core.head(session_id))
    core.delete(born(core))
    with log_of(core, session_id).open("ab") as log:
        log.write(b"torn")
    made = World(root, session_id, child)
    made.outside.mkdir()
    (made.outside / "file").write_bytes(b'{"store_id":"x","format":1,"jobs":[]}\n')
    (made.outside / "directory").mkdir()
    return made


@pytest.fixture
def world(template: World, tmp_path: Path) -> World:
    shutil.copytree(template.root.parent, tmp_path, dirs_exist_ok=True)
    return World(tmp_path / "store", template.session_id, template.child)


def _path(name: str) -> Callable[[World], str]:
    return lambda world: name


PLACES: dict[str, Callable[[World], str]] = {
    "the log": lambda w: layout.log_path(w.session_id),
    "the trace": lambda w: layout.trace_path(w.session_id),
    "a copy in the making": lambda w: layout.temp_path(w.session_id),
    "the mark": lambda w: layout.pending_path(w.session_id),
    "the mark in the making": lambda w: layout.pending_path(w.session_id) + layout.TEMP_SUFFIX,
    "a marker": lambda w: layout.marker_path(w.session_id, w.child),
    "the key": _path(layout.key_path(KEY)),
    "a key in the making": _path(layout.key_path("tests:2") + layout.TEMP_SUFFIX),
    "the lock of the keys": _path(f"{layout.KEYS}/lock"),
    "the flag of the markers": _path(layout.FORKS_COMPLETE),
    "the tombstones": _path(layout.TOMBSTONES),
    "store.json": _path(layout.STORE),
    "quarantine": _path(layout.QUARANTINE),
}


def _link(path: Path, world: World) -> None:
    path.symlink_to(world.outside / "file")


def _dangling(path: Path, world: World) -> None:
    path.symlink_to(world.outside / "not there")


def _to_directory(path: Path, world: World) -> None:
    path.symlink_to(world.outside / "directory")


def _hard_link(path: Path, world: World) -> None:
    os.link(world.outside / "file", path)


def _fifo(path: Path, world: World) -> None:
    os.mkfifo(path, 0o600)


def _directory(path: Path, world: World) -> None:
    path.mkdir()
    (path / "inside").write_bytes(b"x")


def _device(path: Path, world: World) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may make devices")
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero: no reading ends


def _of_another_user(path: Path, world: World) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    path.write_bytes(b'{"store_id":"x","format":1,"jobs":[]}\n')
    os.chown(path, 12345, -1)


SHAPES: dict[str, Callable[[Path, World], None]] = {
    "a link": _link,
    "a link to nothing": _dangling,
    "a link to a directory": _to_directory,
    "a hard link": _hard_link,
    "a pipe": _fifo,
    "a directory": _directory,
    "a device": _device,
    "another user's": _of_another_user,
}


def calls(world: World) -> Iterator[Callable[[FsCore], object]]:
    """Give what a program does with a store: everything that touches a file of it."""
    one, new = world.session_id, new_session_id()
    yield lambda core: core.head(one)
    yield lambda core: list(core.read(one))
    yield lambda core: core.list()
    yield lambda core: core.find(KEY)
    yield lambda core: core.children(one)
    yield lambda core: list(core.read_trace(one))
    yield lambda core: core.append_trace(one, b"{}\n")
    yield lambda core: core.append(one, [note()], expected=ANY)
    yield lambda core: core.flush(one)
    yield lambda core: core.repair(one)
    yield lambda core: fork(core, core.head(one))
    yield lambda core: core.create(one, start(one))
    yield lambda core: core.create(new, start(new), key="tests:2")
    yield lambda core: core.add_whole(core.begin_whole(one), [[note()]])
    yield lambda core: core.delete(world.child)
    yield lambda core: core.delete(one)


class Unsynced(Files):
    """Syncs nothing: what is on disk is not what is looked at here."""

    def sync_data(self, file: OpenFile) -> None:
        pass

    def sync(self, file: OpenFile) -> None:
        pass

    def sync_directory(self, path: str) -> None:
        pass


def work(world: World) -> None:
    """Do everything; nothing but documented errors may come of it."""
    for call in calls(world):
        with contextlib.suppress(SessionStoreError, OSError):
            call(FsCore(Unsynced(world.root)))


def state(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return mode, owner and bytes of everything below *directory*, and how many files it has."""
    return {
        str(path.relative_to(directory)): (
            path.lstat().st_mode,
            path.lstat().st_uid,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(directory.rglob("*"))
    }


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("place", PLACES)
def test_what_stands_for_a_file_of_the_store_leads_nowhere(
    world: World, place: str, shape: str
) -> None:
    """Whatever is done then: it ends, with documented errors, and nothing outside changes."""
    path = world.root / PLACES[place](world)
    path.parent.mkdir(exist_ok=True, mode=0o700)
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    SHAPES[shape](path, world)
    before = state(world.outside)

    assert [0] == wait([child_process(lambda: work(world))])
    assert before == state(world.outside)


def test_a_forged_mark_reaches_nothing_outside_the_store(world: World) -> None:
    """A parent in the job of a delete is an id, or no path is made of it."""
    core = store(world.root)
    victim = world.outside / "directory" / world.child
    victim.write_bytes(b"x")
    job = {"job": "delete", "parent": "../../outside/directory"}
    pending.save(core.files, world.child, [job])

    with pytest.raises(InvalidId):
        core.append(world.child, [note()], expected=ANY)
    assert victim.exists()


LOGS = {"a hard link": "UNSAFE", "another version": "UNSUPPORTED", "damage": "DAMAGED"}


@pytest.mark.parametrize("harm", LOGS)
def test_one_bad_log_does_not_hide_the_others_on_the_command_line(
    tmp_path: Path, harm: str
) -> None:
    """It is listed with what is wrong with it; so are its neighbours, with exit code 0."""
    cli = Cli(str(tmp_path / "store"))
    core = store(tmp_path / "store")
    good, bad, last = (born(core, 1) for _ in range(3))
    log = log_of(core, bad)
    if harm == "a hard link":
        os.link(log, tmp_path / "second")
    else:
        data = {
            "another version": b'{"v":9}\n',
            "damage": log.read_bytes().replace(b"kind", b"kinD"),
        }
        log.write_bytes(data[harm])
    listed = cli.ok("ls").out

    assert all(one[:13] in listed for one in (good, bad, last))
    assert 1 == listed.count(LOGS[harm])
    assert 3 == len(cli.ok("ls", "--json").json()["sessions"])
    assert 1 == cli.ok("tree").out.count("DAMAGED")
    assert bad in cli("verify", "--all").err + cli("verify", "--all").out


JUNK = {
    "line ends": b"\n" * (1 << 18),
    "blank lines": b" \n" * (1 << 17),
    "lines with holes": (bytes(16) + b"\n") * (1 << 14),
    "lines that begin as records": b'{"v":1,"seq":3,\n' * (1 << 14),
    "one line without end": b"x" * (1 << 18),
    "one line without end that begins as a record": b'{"v":1,' + b"x" * (1 << 18),
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_a_record_is_found_beside_any_junk_in_few_reads(junk: bytes) -> None:
    """Neither one for each line of it, nor the same bytes again and again."""
    data = told().data + junk
    calls = read = 0

    def counted(size: int, offset: int) -> bytes:
        nonlocal calls, read
        found = data[offset : offset + size]
        calls, read = calls + 1, read + len(found)
        assert calls <= 200
        return found

    assert 3 == find_seq(counted, len(data), ROOT, 3, "a log").seq
    assert read <= 5 * len(data)


def test_verify_looks_at_a_tail_in_flight_again_for_a_second_all_in_all() -> None:
    """What it takes to read the log is part of that: a large one is not read twenty times."""
    reads = 0

    class Slow(MemoryFiles):
        """Has a log that takes 0.3 s to read."""

        def size(self, file: OpenFile) -> int:
            nonlocal reads
            if len(self.node(file).data) > 1000:
                reads += 1
                deadline = monotonic() + 0.3
                while monotonic() < deadline:
                    pass
            return super().size(file)

    files = Slow()
    face = InlineFace(FsCore(files))
    data = told().data + b"torn"
    node = files.new_node(data)
    node.links = 1
    files.fill({layout.log_path(ROOT): node}, layout.parents(layout.log_path(ROOT)))
    report = blocking.verify(blocking.Store(face), ROOT)

    assert ["torn"] == [finding.what for finding in report.findings]
    assert 2 <= reads <= 8
