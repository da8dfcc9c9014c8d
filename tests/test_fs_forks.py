"""Forks by reference, external keys, deletes, whole births: what one session owes another."""

import threading
from pathlib import Path

import pytest
from attrs import evolve
from crash.processes import start as child_process
from crash.processes import together, wait
from fs_tools import born, fork, log_of, note, start, store

from session_store.errors import AlreadyExists, Corrupt, HasForks, Locked, NotFound
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files, OpenFile
from session_store.testing.faults import FaultyMemory


@pytest.fixture
def core(tmp_path: Path) -> FsCore:
    return store(tmp_path / "store")


def test_the_marker_and_the_prefix_are_on_disk_before_the_child() -> None:
    """In that order, whatever level was asked for the parent."""
    files = FaultyMemory()
    core = FsCore(files)
    parent = born(core)
    core.append(parent, [note()], expected=ANY, durability="os")
    begin = len(files.calls)
    child = fork(core, core.head(parent))
    calls = [(c.name, c.path) for c in files.calls[begin:]]
    steps = [
        ("sync_data", layout.log_path(parent)),
        ("sync_directory", f"{layout.FORKS}/{parent}"),
        ("sync_directory", layout.FORKS),
        ("write", layout.log_path(child)),
        ("sync_data", layout.log_path(child)),
    ]
    places = [calls.index(step) for step in steps]
    assert sorted(places) == places


def test_a_fork_needs_a_record_of_a_whole_append(core: FsCore) -> None:
    """Of that very hash; a torn append has none."""
    parent = born(core, 2)
    head = core.head(parent)
    log = log_of(core, parent)
    log.write_bytes(log.read_bytes() + b'{"v":1,"seq":3')
    for wrong in (
        evolve(head, hash=b"x" * 32),
        evolve(head, seq=3),
        evolve(head, session_id=new_session_id()),
    ):
        with pytest.raises(NotFound):
            fork(core, wrong)
    assert [] == list(core.children(parent))
    assert 0 == core.head(fork(core, head)).seq


@pytest.mark.parametrize("seq", [1, 2])
def test_a_record_that_rotted_since_it_was_written_is_not_forked(core: FsCore, seq: int) -> None:
    """Also the last one, which its writer remembers as it was."""
    parent = born(core, 2)
    head = core.position(parent, seq)
    path = Path(log_of(core, parent))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[seq] = lines[seq].replace(b'"salt":"', b'"salt":"0', 1)[:-2] + b"}\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises((NotFound, Corrupt)):
        fork(core, head)


def test_a_parent_with_a_born_child_is_not_deleted(core: FsCore) -> None:
    """HasForks names it; once the child is gone, it may go too."""
    parent = born(core, 1)
    child = fork(core, core.head(parent))
    with pytest.raises(HasForks) as raised:
        core.delete(parent)
    assert (child,) == raised.value.children
    core.delete(child)
    core.delete(parent)
    assert [] == list(core.list())


def test_markers_are_rebuilt_where_they_are_not_said_to_be_complete(core: FsCore) -> None:
    """A store that lost its forks directory still refuses to delete a parent."""
    import shutil

    parent = born(core, 1)
    child = fork(core, core.head(parent))
    shutil.rmtree(Path(core.files.name(layout.FORKS)))
    with pytest.raises(HasForks):
        core.delete(parent)
    assert [child] == list(core.children(parent))
    assert core.files.exists(layout.FORKS_COMPLETE)


def test_a_deleted_id_is_gone_at_once_and_for_good(core: FsCore) -> None:
    """For readers, writers and creators, in every process; what it left behind is gone too."""
    session_id = born(core, 1)
    core.append_trace(session_id, b"{}\n")
    log = log_of(core, session_id)
    log.write_bytes(log.read_bytes() + b"torn")
    core.append(session_id, [note()], expected=ANY)
    cursor = core.open(session_id)
    other = store(Path(core.files.root))
    elsewhere = other.open(session_id)
    core.delete(session_id)
    core.delete(session_id)
    for call in (
        lambda: core.head(session_id),
        lambda: core.append(session_id, [note()], cursor=cursor),
        lambda: other.append(session_id, [note()], cursor=elsewhere),
        lambda: other.append(session_id, [note()], expected=ANY),
        lambda: core.create(session_id, start(session_id)),
        lambda: core.begin_whole(session_id),
        lambda: other.append_lines(session_id, b"x\n" * 9),
        lambda: core.append_trace(session_id, b"{}\n"),
        lambda: list(other.read_trace(session_id)),
        lambda: core.repair(session_id),
        lambda: core.flush(session_id),
    ):
        with pytest.raises(
            (NotFound, Exception), match=r"deleted|no session|no such|session was"
        ) as raised:
            call()
        assert not isinstance(raised.value, OSError)
    assert [] == list(Path(core.files.root).rglob(f"{session_id}*"))


def test_a_torn_tombstone_hides_no_other(core: FsCore) -> None:
    """A line that a crash cut short is ended by the next; it buried nobody."""
    first, second, third = born(core), born(core), born(core)
    core.delete(first)
    tombstones = Path(core.files.name(layout.TOMBSTONES))
    tombstones.write_bytes(tombstones.read_bytes() + f'{{"session_id":"{second}'.encode())
    assert 0 == core.head(second).seq
    core.delete(third)
    other = store(Path(core.files.root))
    for reader in (core, other):
        assert [second] == [i.session_id for i in reader.list()]
        for buried in (first, third):
            with pytest.raises(NotFound):
                reader.head(buried)


def test_tombstones_from_a_backup_bring_nobody_back(core: FsCore) -> None:
    """A shorter file is read from its beginning; what this process knows stays deleted."""
    first, second = born(core), born(core)
    core.delete(first)
    shorter = Path(core.files.name(layout.TOMBSTONES)).read_bytes()
    core.delete(second)
    assert [] == list(core.list())
    with pytest.raises(NotFound):
        core.head(second)
    Path(core.files.name(layout.TOMBSTONES)).write_bytes(shorter)
    for buried in (first, second):
        with pytest.raises(NotFound):
            core.create(buried, start(buried))


def test_a_delete_waits_for_the_append_that_is_under_way(core: FsCore) -> None:
    """And every append behind it finds no session; nothing comes back to life."""
    session_id = born(core)
    outcomes: list[object] = []

    def work() -> None:
        try:
            while True:
                core.append(session_id, [note()], expected=ANY, durability="os")
        except NotFound as error:
            outcomes.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    store(Path(core.files.root)).delete(session_id)
    for thread in threads:
        thread.join()
    assert 3 == len(outcomes)
    assert not log_of(core, session_id).exists()


class DeletedOnTheWay(Files):
    """Lets another process delete a session just before its file is opened to be made."""

    doomed: SessionId | None = None

    def open(self, path: str, *, write: bool = False, create: bool = False) -> OpenFile:
        doomed = self.doomed
        if create and doomed is not None and path == layout.log_path(doomed):
            self.doomed = None
            store(Path(self.root)).delete(doomed)
        return super().open(path, write=write, create=create)


@pytest.mark.parametrize("how", ["create", "lines"])
def test_a_creator_that_is_overtaken_by_a_delete_makes_nothing(tmp_path: Path, how: str) -> None:
    """The tombstone is looked for again under the lock."""
    files = DeletedOnTheWay(tmp_path)
    core = FsCore(files)
    session_id = born(core)
    lines = b"".join(core.raw(session_id))
    files.doomed = session_id
    with pytest.raises(NotFound):
        if how == "create":
            core.create(session_id, start(session_id))
        else:
            core.append_lines(session_id, lines)
    assert files.doomed is None
    assert not log_of(core, session_id).exists()


def test_eight_processes_race_for_one_key(core: FsCore) -> None:
    """One session is born; everybody else is told which."""
    root = Path(core.files.root)
    results = root.parent / "results"
    results.mkdir()
    with together(8) as begin:

        def work(number: int) -> None:
            begin()
            mine = new_session_id()
            try:
                core.create(mine, start(mine), key="ns:one")
                holder = mine
            except AlreadyExists as taken:
                holder = taken.session_id
            (results / str(number)).write_text(holder)

        pids = [child_process(lambda n=n: work(n)) for n in range(8)]
    assert [0] * 8 == wait(pids)
    holders = {p.read_text() for p in results.iterdir()}
    assert [core.find("ns:one")] == list(holders)
    assert 1 == len(core.list())


def test_a_key_whose_session_was_never_born_is_taken_over(core: FsCore) -> None:
    """Its holder crashed before the first append."""
    unborn, session_id = new_session_id(), new_session_id()
    core.create(unborn, start(unborn), key="k")
    log_of(core, unborn).write_bytes(b"torn")
    assert core.find("k") is None
    core.create(session_id, start(session_id), key="k")
    assert session_id == core.find("k")
    with pytest.raises(AlreadyExists) as raised:
        core.create(unborn, start(unborn), key="k")
    assert session_id == raised.value.session_id
    assert core.find("other") is None


@pytest.mark.parametrize("key", ["", "a/b", "../x", "ü" * 5000, "\0", "\udc80", "lock"])
def test_any_text_may_be_a_key(core: FsCore, key: str) -> None:
    """It never becomes a name."""
    session_id = born(core, key=key)
    assert session_id == core.find(key)
    assert 2 == len(list(Path(core.files.name(layout.KEYS)).iterdir()))


def test_a_damaged_key_names_nobody(core: FsCore) -> None:
    """And can be claimed anew."""
    born(core, key="k")
    Path(core.files.name(layout.key_path("k"))).write_bytes(b"\xff junk")
    assert core.find("k") is None
    assert born(core, key="k") == core.find("k")


def test_keys_that_are_held_too_long_are_locked(tmp_path: Path) -> None:
    """Another process that stopped inside a creation does not stop this one for ever."""
    core = store(tmp_path, lock_timeout_s=0.05)
    born(core, key="k")
    lock = core.files.open(f"{layout.KEYS}/lock", write=True)
    assert core.files.try_lock(lock)
    with pytest.raises(Locked, match="keys"):
        born(core, key="k2")
    core.files.unlock(lock)


def test_a_deleted_log_holds_no_file_and_so_no_room(tmp_path: Path) -> None:
    core = store(tmp_path)
    session_id = born(core, 1)
    log = core.log(session_id)
    assert log.file is not None
    core.delete(session_id)
    assert log.file is None
    other = born(core, 1)
    core.log(session_id)
    core.delete(other)
