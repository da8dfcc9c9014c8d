"""The lock of a log: who has it, how long one waits for it, and that it is let go."""

import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Thread

import pytest
from attrs import define
from fs_tools import born, note, records
from log_tools import Ticking, rival

from session_store.errors import Locked
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.log import Log
from session_store.stores.fs.names import Names
from session_store.testing.faults import CHANGES, LOOKS, Call, FaultyMemory, error, no_fault


@pytest.fixture
def files() -> FaultyMemory:
    files = FaultyMemory()
    files.clock = Ticking()
    return files


@pytest.fixture
def core(files: FaultyMemory) -> FsCore:
    return FsCore(files)


@pytest.fixture
def log(core: FsCore) -> Log:
    return core.log(born(core, 1))


def test_waiting_begins_with_short_pauses_and_ends_in_time(log: Log) -> None:
    """Each is twice the one before, none longer than 5 ms; Locked at the deadline, not behind it."""
    other = rival(log)
    assert other.try_lock()
    pauses = log.files.clock.pauses
    with pytest.raises(Locked) as raised:
        log.lock(0.05)
    assert 0.05 == raised.value.waited_s
    assert [min(0.00005 * 2**n, 0.005) for n in range(len(pauses))] == pauses
    assert sum(pauses[:-1]) < 0.05 <= sum(pauses)
    pauses.clear()
    with pytest.raises(Locked):
        log.lock(0.00005)
    assert [0.00005] == pauses
    other.unlock()
    log.lock(0)
    log.unlock()


@define
class Asked:
    """A mutex that is always free, and notes how long one would have waited for it."""

    timeouts: list[float]
    taken: int = 0

    def acquire(self, timeout: float) -> bool:
        self.timeouts.append(round(timeout, 6))
        self.taken += 1
        return True

    def release(self) -> None:
        if not self.taken:
            raise RuntimeError("nobody has it")
        self.taken -= 1


def test_other_threads_are_waited_for_as_long_as_there_is_time(log: Log) -> None:
    """Never when the lock is only tried; and when the time is over, for no time."""
    assert rival(log).try_lock()
    timeouts: list[float] = []
    clock = log.files.clock
    clock.mutex = lambda: Asked(timeouts)
    clock.sleep = lambda _: clock.pauses.append(0.4)
    tried = Log(log.files, log.session_id, names=Names(log.files))
    assert not tried.try_lock()
    assert [0] == timeouts
    with pytest.raises(Locked):
        tried.lock(1)
    assert [0, 0, 1, 0.6, 0.2, 0] == timeouts


def test_a_lock_that_was_waited_for_belongs_to_the_thread_that_waited(log: Log) -> None:
    """As one that was free at once does; and to nobody once it is let go."""
    other = rival(log)
    assert other.try_lock()
    log.files.clock.sleep = lambda _: other.unlock()
    log.lock(1)
    assert log.is_held
    with ThreadPoolExecutor(1) as another:
        assert not another.submit(lambda: log.is_held).result(timeout=30)
    log.unlock()
    assert not log.is_held
    assert log.try_lock()
    assert log.is_held
    log.unlock()
    assert not log.is_held


@pytest.mark.parametrize("where", ["try_lock", "is_at", "exists", "size", "write", "unlock"])
def test_a_signals_handler_does_not_append_in_the_middle_of_an_append(
    where: str, files: FaultyMemory, core: FsCore, log: Log
) -> None:
    """Refused at once, wherever it comes; the append that it came in goes on."""
    refused = []

    def handler(call: Call) -> None:
        if call.name == where and not refused:
            refused.append(where)
            with pytest.raises(Locked) as raised:
                core.append(log.session_id, [note("handler")], expected=ANY)
            assert 0 == raised.value.waited_s
            assert not log.try_lock()

    files.watched, files.plan = CHANGES | LOOKS, handler
    core.append(log.session_id, [note("first")], expected=ANY)
    core.append(log.session_id, [note("second")], expected=ANY)
    assert [where] == refused
    assert [0, 1, 2, 3] == [r.seq for r in records(core, log.session_id)]


def test_a_signals_handler_may_append_where_the_lock_is_let_go(
    files: FaultyMemory, core: FsCore, log: Log
) -> None:
    """While the append that it came in waits for the device."""
    receipts: list[int] = []

    def handler(call: Call) -> None:
        if call.name == "sync_data" and not receipts:
            receipt = core.append(log.session_id, [note()], expected=ANY, durability="os")
            receipts.append(receipt.seq)

    files.plan = handler
    assert 2 == core.append(log.session_id, [note()], expected=ANY).seq
    assert [3] == receipts


def test_what_an_interruption_left_taken_is_let_go_by_its_thread(core: FsCore) -> None:
    """As if a handler had raised behind the taking, or at the door of the letting go."""
    session_id = born(core)
    log = core.log(session_id)
    log.lock(1)
    core.append(session_id, [note()], expected=ANY)
    assert 2 == core.append(session_id, [note()], expected=ANY).seq
    with ThreadPoolExecutor(1) as another:
        assert another.submit(log.try_lock).result(timeout=30)


def test_a_lock_whose_file_cannot_be_looked_at_is_let_go(log: Log, files: FaultyMemory) -> None:
    """The error passes through; nobody else is kept waiting for it."""
    files.watched = frozenset({"is_at"})
    files.plan = lambda call: error(errno.EIO, call)
    for take in (log.try_lock, lambda: log.lock(0)):
        with pytest.raises(OSError, match="Input/output"):
            take()
        other = rival(log)
        assert other.try_lock()
        other.unlock()
    del files.plan
    assert log.try_lock()


def in_another_thread(call: Callable[[], object]) -> object:
    with ThreadPoolExecutor(1) as another:
        return another.submit(call).result(timeout=60)


def took_and_let_go(log: Log) -> bool:
    taken = log.try_lock()
    if taken:
        log.unlock()
    return taken


def test_a_log_that_another_thread_has_is_not_waited_for(log: Log) -> None:
    """`try_lock` says so at once, and `lock` when the time is over."""
    log.lock(0)
    others: list[object] = []
    another = Thread(target=lambda: others.append(log.try_lock()), daemon=True)
    another.start()
    another.join(60)
    log.unlock()
    assert [False] == others
    assert in_another_thread(lambda: took_and_let_go(log))


@pytest.mark.parametrize("how", ["try_lock", "lock"])
@pytest.mark.parametrize("why", ["taken", "error"])
def test_a_thread_that_did_not_get_the_log_leaves_it_to_others(
    log: Log, files: FaultyMemory, how: str, why: str
) -> None:
    """Taken by another process, or not to be looked at: the threads of this one stay free to try."""
    other = rival(log)
    if why == "taken":
        assert other.try_lock()
    else:
        files.watched = frozenset({"is_at"})
        files.plan = lambda call: error(errno.EIO, call)
    with suppress(Locked, OSError):
        assert not (log.try_lock() if how == "try_lock" else log.lock(0))
    assert not log.is_held
    if why == "taken":
        other.unlock()
    files.plan = no_fault
    assert in_another_thread(lambda: took_and_let_go(log))


def test_what_was_left_taken_and_is_lost_since_is_not_held(log: Log) -> None:
    """An interruption left it taken, then another process got it: Locked, and nobody here has it."""
    other = rival(log)
    log.lock(0)
    log.files.unlock(log.file)
    assert other.try_lock()
    with pytest.raises(Locked):
        log.lock(0)
    assert not log.is_held
    other.unlock()
    assert in_another_thread(lambda: took_and_let_go(log))


def test_a_file_that_is_needed_is_not_closed(log: Log) -> None:
    """Not while an append is queued, or the lock is held, here or by another thread."""
    assert log.file is not None
    log.outstanding += 1
    assert log.release_file() is False
    assert log.release_file(though_wanted=True) is True
    assert log.file is None
    assert took_and_let_go(log)
    log.outstanding -= 1
    log.lock(0)
    assert log.release_file() is False
    with ThreadPoolExecutor(1) as another:
        assert another.submit(log.release_file).result(timeout=30) is False
    assert log.file is not None
    log.unlock()
    assert log.release_file() is True
    assert log.file is None
    assert in_another_thread(lambda: took_and_let_go(log))
