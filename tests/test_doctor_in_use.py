"""Examining a store while it is used: nothing is disturbed, nothing in flight is called wrong."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

import pytest
from doctor_tools import (
    Home,
    Quick,
    Soon,
    everything,
    examine,
    home,
    id_beside,
    kinds,
    problems,
    quick,
)
from fs_tools import born, fork, note, start

from session_store.entries import Receipt
from session_store.errors import Locked
from session_store.stores import ANY
from session_store.stores.fs import forks, layout, pending
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.doctor import Examination, mending
from session_store.stores.fs.files import FileStat


@pytest.fixture
def healthy(tmp_path: Path) -> Home:
    return home(tmp_path / "store")


def half_an_append(home: Home) -> Callable[[], object]:
    path = home.path(home.keyed)
    before = path.read_bytes()
    home.core.append(home.keyed, [note()], expected=ANY)
    after = path.read_bytes()
    path.write_bytes(after[:-90])
    assert len(before) < len(after) - 90
    return lambda: path.write_bytes(after)


def an_append_without_its_end(home: Home) -> Callable[[], object]:
    path = home.path(home.keyed)
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    return lambda: path.write_bytes(data)


def the_next_append(home: Home) -> Callable[[], object]:
    """The torn tail of another append stands at the second look."""
    path = home.path(home.keyed)
    data = path.read_bytes()
    path.write_bytes(data + b'{"v":1,"seq":2')
    return lambda: path.write_bytes(data + b'{"v":1,"seq":2,"ts":')


def a_birth(home: Home) -> Callable[[], object]:
    session_id = id_beside(home.parent)
    path = home.path(session_id)
    path.touch(0o600)
    return lambda: home.core.create(session_id, start(session_id))


def a_recovery(home: Home) -> Callable[[], object]:
    pending.save(home.core.files, home.keyed, [{"job": "cut"}])
    return lambda: pending.save(home.core.files, home.keyed, [])


def a_fork(home: Home) -> Callable[[], object]:
    child, point = id_beside(home.parent), home.core.head(home.parent)
    forks.mark_fork(home.core.files, home.parent, child)
    return lambda: home.core.create(child, start(child, point), parent=point)


def a_key(home: Home) -> Callable[[], object]:
    session_id = id_beside(home.parent)
    path = home.root / layout.key_path("tests:3")
    path.write_text(session_id)
    path.chmod(0o600)
    return lambda: home.core.create(session_id, start(session_id), key="tests:3")


def a_delete(home: Home) -> Callable[[], object]:
    path = home.path(home.child)
    data = path.read_bytes()
    home.core.delete(home.child)
    path.write_bytes(data)
    path.chmod(0o600)
    return path.unlink


def a_publication(home: Home) -> Callable[[], object]:
    temp = home.root / layout.temp_path(home.keyed)
    temp.hardlink_to(home.path(home.keyed))
    return temp.unlink


def a_new_mode(home: Home) -> Callable[[], object]:
    """Files of a group's store get their mode after they are made."""
    path = home.path(home.keyed)
    path.chmod(0o640)
    return lambda: path.chmod(0o600)


WORK = {
    work.__name__.replace("_", " "): work
    for work in (
        half_an_append,
        an_append_without_its_end,
        the_next_append,
        a_birth,
        a_recovery,
        a_fork,
        a_key,
        a_delete,
        a_publication,
        a_new_mode,
    )
}


@pytest.mark.parametrize("begin", WORK.values(), ids=WORK)
@pytest.mark.parametrize("fix", [False, True])
def test_work_in_progress_is_no_finding(
    healthy: Home, begin: Callable[[Home], Callable[[], object]], fix: bool
) -> None:
    """What goes on between two looks is left alone."""
    go_on = begin(healthy)
    assert [] == examine(healthy.root, fix=fix, meanwhile=go_on)


@pytest.mark.parametrize("begin", WORK.values(), ids=WORK)
def test_work_that_does_not_go_on_is_a_finding(
    healthy: Home, begin: Callable[[Home], Callable[[], object]]
) -> None:
    """The same states, when nobody works on them any more."""
    begin(healthy)
    assert [] != examine(healthy.root)


def test_a_log_that_is_held_is_not_waited_for(healthy: Home) -> None:
    """--fix tries for a moment, says who is in the way, and mends the rest."""
    for session_id in (healthy.keyed, healthy.parent):
        healthy.append_bytes(session_id, b"torn")
    holder = quick(healthy.root)
    with holder.locked(holder.log(healthy.keyed)):
        files = Quick(healthy.root)
        files.clock = Soon()
        found = list(Examination(files, fix=True).findings())
        held, mended = sorted(
            (one for one in found if one.what == "torn"), key=lambda f: f.is_mended
        )
    assert (healthy.keyed, healthy.parent) == (held.session_id, mended.session_id)
    assert isinstance(held.failure, Locked)
    assert (False, True) == (held.is_mended, mended.is_mended)
    assert files.clock.waited_s < 3
    assert [healthy.keyed] == [one.session_id for one in problems(examine(healthy.root))]


def test_temporary_files_in_use_are_no_finding(healthy: Home) -> None:
    """Whoever makes one holds its lock, however long ago it was last written to."""
    temp = healthy.root / layout.temp_path(id_beside(healthy.parent))
    temp.write_bytes(b"half")
    temp.chmod(0o600)
    os.utime(temp, (1, 1))
    file = healthy.core.files.open(str(temp.relative_to(healthy.root)))
    assert healthy.core.files.try_lock(file)
    assert [] == examine(healthy.root, fix=True)
    healthy.core.files.unlock(file)
    assert {"temporary"} == kinds(examine(healthy.root))


def old_news(home: Home) -> list[Callable[[FsCore], object]]:
    """Return what would mend findings that do not hold any more."""
    temp = f"keys/{'0' * 64}.tmp"
    for path in (layout.temp_path(home.keyed), temp):
        (home.root / path).touch(0o600)
    return [
        partial(mending.remove_unborn, home.keyed),
        partial(mending.unmark_child, home.parent, home.child),
        partial(mending.settle_log, home.parent),
        partial(mending.put_in_place, layout.log_path(home.keyed), layout.log_path(home.child)),
        partial(mending.put_in_place, "sessions/gone.jsonl", layout.log_path(home.child)),
    ]


def test_nothing_is_mended_on_old_news(healthy: Home) -> None:
    """What was found is looked at again under the lock."""
    fixes = old_news(healthy)
    before = everything(healthy.root)
    for fix in fixes:
        with suppress(FileNotFoundError):
            fix(healthy.core)
        assert before == everything(healthy.root), fix


def test_temporary_files_that_are_held_again_stay(healthy: Home) -> None:
    """Somebody may have begun anew between the look and the mending."""
    old_news(healthy)
    files = quick(healthy.root).files
    lock = files.open("keys/lock", write=True, create=True)
    temp = files.open(layout.temp_path(healthy.keyed))
    assert files.try_lock(lock)
    assert files.try_lock(temp)
    before = everything(healthy.root)
    for fix, path in (
        (mending.remove_temp, layout.temp_path(healthy.keyed)),
        (mending.remove_key_temp, f"keys/{'0' * 64}.tmp"),
    ):
        with pytest.raises(Locked):
            fix(path, healthy.core)
    assert before == everything(healthy.root)


class Vanishing(Quick):
    """Files of which one goes away when it is looked at, or is put in another's place."""

    doomed = ""

    def stat(self, path: str) -> FileStat | None:
        found = super().stat(path)
        if path == self.doomed and found is not None:
            self.doomed = ""
            self.change(Path(self.name(path)))
        return found

    def change(self, path: Path) -> None:
        path.unlink()


class Linked(Vanishing):
    def change(self, path: Path) -> None:
        path.rename(path.with_name("aside"))
        path.symlink_to("aside")


@pytest.mark.parametrize("path", ["log", "trace", "mark", "key", "marker"])
def test_what_goes_away_while_it_is_examined_is_no_finding(healthy: Home, path: str) -> None:
    """Between any look and the next."""
    paths = {
        "log": layout.log_path(healthy.child),
        "trace": layout.trace_path(healthy.parent),
        "mark": layout.pending_path(healthy.parent),
        "key": layout.key_path("tests:1"),
        "marker": layout.marker_path(healthy.parent, id_beside(healthy.parent)),
    }
    whole = healthy.root / paths[path]
    if not whole.exists():
        whole.touch(0o600)
    files = Vanishing(healthy.root)
    files.doomed = paths[path]
    assert [] == problems(examine(files)) or path == "log"
    assert files.doomed == ""


def test_a_log_that_becomes_a_link_while_it_is_examined_is_unsafe(healthy: Home) -> None:
    """It is not followed; what is not the same at the second look, the next examination finds."""
    files = Linked(healthy.root)
    files.doomed = layout.log_path(healthy.keyed)
    assert [] == examine(files)
    assert "unsafe" in kinds(examine(files))


class Workers:
    """Threads that work in rounds until they are stopped, and say what failed."""

    def __init__(self, count: int, work: Callable[[int], object]) -> None:
        self.rounds = [0] * count
        self._work = work
        self._failures: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(count)]

    def _run(self, number: int) -> None:
        try:
            while not self._stop.is_set():
                self._work(number)
                self.rounds[number] += 1
        except BaseException as error:  # noqa: BLE001 - raised by the test
            self._failures.append(error)

    def wait_for_rounds(self) -> None:
        """Return when everybody has finished what they were at."""
        wanted = [done + 2 for done in self.rounds]
        deadline = time.monotonic() + 60
        while any(a < b for a, b in zip(self.rounds, wanted, strict=True)):
            assert not self._failures
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert [] == self._failures


def test_a_busy_store_is_healthy(tmp_path: Path) -> None:
    """Looks at one where threads create, append, fork, recover and delete all the time."""
    root = tmp_path / "store"
    cores = [quick(root) for _ in range(3)]

    def work(number: int) -> None:
        core = cores[number]
        parent = born(core, 2, key=f"{number}")
        child = fork(core, core.head(parent))
        core.append_trace(child, b"{}\n")
        with core.locked(core.log(child)), (root / layout.log_path(child)).open("ab") as log:
            log.write(b"torn")
        core.append(child, [note(), note()], expected=ANY)
        core.delete(child)
        core.delete(parent)

    with Workers(3, work) as workers:
        for fix in (False, True, False):
            workers.wait_for_rounds()
            found = examine(root, fix=fix, meanwhile=workers.wait_for_rounds)
            assert [] == problems(found)
    assert [] == examine(root)


def test_fixing_disturbs_no_writer(tmp_path: Path) -> None:
    """Threads append to logs whose tails are torn again and again; nobody loses an entry."""
    root = tmp_path / "store"
    cores = [quick(root) for _ in range(3)]
    sessions = [born(core) for core in cores]
    receipts: list[Receipt] = []

    def work(number: int) -> None:
        core, session_id = cores[number], sessions[number]
        receipts.append(core.append(session_id, [note()], expected=ANY, durability="os"))
        path = root / layout.log_path(session_id)
        with core.locked(core.log(session_id)), path.open("ab") as log:
            log.write(b"torn")

    with Workers(3, work) as workers:
        for _ in range(5):
            workers.wait_for_rounds()
            found = examine(root, fix=True)
            assert all(isinstance(one.failure, Locked | None) for one in found)
    examine(root, fix=True)
    assert [] == problems(examine(root, deep=True))
    for receipt in receipts:
        assert receipt.hash == cores[0].record(receipt.session_id, receipt.seq).hash
