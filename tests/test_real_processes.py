"""Real processes that are killed, stopped, interrupted, starved and forked; in full in `make crash`."""

from pathlib import Path

import pytest
from crash import deaths, exits, interrupts, kills, locks, races, readers, samples, signals
from crash import strace as calls
from crash.processes import start, wait
from crash.writers import crowd
from real_tools import if_available

SEED = 20261121


def test_a_recovery_that_is_killed_twice_is_finished_by_the_third(tmp_path: Path) -> None:
    """One record for each cut, and what was cut is kept."""
    counts, wrong = kills.recoveries(tmp_path, rounds=3, seed=SEED)
    print(counts)
    assert 0 == wrong
    assert counts["killed"]


def test_one_of_eight_processes_wins_each_head(tmp_path: Path) -> None:
    """The others are told of the winner's."""
    counts, wrong = races.run(tmp_path, races=40, processes=8, seed=SEED)
    print(counts)
    assert 0 == wrong


def test_processes_of_threads_that_share_a_handle_lose_nothing(tmp_path: Path) -> None:
    """Each receipt is of one record, and each record has its receipt."""
    counts, wrong = crowd(tmp_path, processes=3, threads=3, seconds=0.2, level="os")
    print(counts)
    assert 0 == wrong


@pytest.mark.parametrize(("level", "torn"), [("disk", False), ("os", False), ("disk", True)])
def test_an_exception_at_any_step_of_an_append_leaves_nothing_wrong(
    tmp_path: Path, level: str, torn: bool
) -> None:
    """Wherever a signal's handler raises: the second try works, also behind a torn tail."""

    def interrupt() -> None:
        found = interrupts.run(tmp_path, every=61 if torn else 7, level=level, torn=torn)
        print(found)
        assert (0, 0) == (found.failed, found.wrong)
        assert found.interrupted > 15

    # In a child, for it takes the place of whatever else traces this process.
    assert [0] == wait([start(interrupt)])


def test_signals_in_an_append_change_nothing(tmp_path: Path) -> None:
    """Each draft is there once, in order, whatever came in between; no lock stays taken."""
    counts, wrong = signals.run(tmp_path, signals=100, level="disk", seed=SEED)
    print(counts)
    assert 0 == wrong


def test_a_stopped_writer_keeps_its_lock_and_its_place(tmp_path: Path) -> None:
    """Others get Locked at their deadline; when it goes on, everything goes on."""
    assert 0 == locks.stopped_holders(tmp_path, trials=2)[1]


def test_nobody_waits_for_a_sync_of_another(tmp_path: Path) -> None:
    """The lock is not held while the device is busy."""
    assert 0 == locks.stopped_syncs(tmp_path, trials=2)[1]


def test_a_lock_dies_with_its_holder_though_children_live(tmp_path: Path) -> None:
    """Forked or executed, they have no share in it."""
    assert 0 == locks.orphans(tmp_path, trials=2)[1]


def test_a_lock_survives_that_the_log_is_opened_and_closed(tmp_path: Path) -> None:
    """In the same process, by anybody: it is no POSIX lock."""
    assert 0 == locks.closers(tmp_path, trials=2)[1]


def test_a_delete_spares_a_writer_in_its_append(tmp_path: Path) -> None:
    """Behind it nothing is acknowledged, and nothing is made anew."""
    assert 0 == locks.cleaners(tmp_path, trials=3, seed=SEED)[1]


def test_a_reader_sees_whole_appends_that_stay(tmp_path: Path) -> None:
    """However long they are, and however many are rolled back."""
    found = readers.poll(tmp_path, polls=40, seed=SEED)
    print(found)
    assert 0 == found.wrong


def test_a_reader_beside_a_repair_says_the_truth(tmp_path: Path) -> None:
    """It tells of the damage, or reads the log as it was repaired."""
    assert 0 == readers.repairs(tmp_path, rounds=3, seed=SEED)[1]


def test_a_reader_beside_an_erasure_gets_the_old_or_the_erased(tmp_path: Path) -> None:
    """In whatever way it reads, and never damage."""
    counts, wrong = readers.erasures(tmp_path, rounds=4, seed=SEED)
    print(counts)
    assert 0 == wrong


def test_an_exit_with_an_open_store_loses_nothing(tmp_path: Path) -> None:
    """os._exit, appends of several tasks on their way."""
    assert 0 == exits.exits(tmp_path, rounds=4, seed=SEED)[1]


def test_an_append_without_room_in_memory_leaves_the_handle_usable(tmp_path: Path) -> None:
    """Below a limit of the address space; or the process dies, and the log does not."""
    assert 0 == exits.no_address_space(tmp_path, rounds=2, seed=SEED)[1]


def test_any_allocation_of_an_append_may_fail(tmp_path: Path) -> None:
    """MemoryError, and the same drafts can be tried again."""
    with if_available():
        counts, wrong = exits.no_allocation(tmp_path, step=5)
        print(counts)
        assert 0 == wrong


@pytest.mark.parametrize("scene", ["append behind a torn tail", "erase"])
def test_death_at_a_call_to_the_system_loses_nothing(tmp_path: Path, scene: str) -> None:
    """Under strace, at a few calls; doing it again ends the same."""
    with if_available():
        counts, wrong = deaths.run(tmp_path, scene, step=101)
        print(counts)
        assert 0 == wrong


def test_a_rollback_that_the_system_refuses_is_mended_later(tmp_path: Path) -> None:
    """The write stopped in the middle, and ftruncate fails: the next append cuts the piece."""
    with if_available():
        assert 0 == calls.failed_rollbacks(tmp_path, trials=1)[1]


def test_bytes_altered_between_store_and_disk_are_found(tmp_path: Path) -> None:
    """By whoever reads them, at their place."""
    with if_available():
        assert 0 == calls.rotten_writes(tmp_path, trials=1)[1]


def test_a_soak_tells_what_grows_from_what_is_large() -> None:
    """A rise in the last two thirds counts, the beginning does not."""
    flat = [samples.Sample(s, min(s, 20), 50_000, 9) for s in range(90)]
    assert {"descriptors": 0, "memory KiB": 0, "threads": 0} == samples.rises(flat)
    grown = samples.rises([samples.Sample(s, s, 50_000 + 100 * s, 9) for s in range(90)])
    assert [59, 5900, 0] == [round(rise) for rise in grown.values()]
