"""Several processes on one session, and processes killed in the middle; the long form is `make crash`."""

from pathlib import Path

import pytest
from crash import kills, writers

SEED = 20261121


@pytest.mark.parametrize("how", ["shared", "refresh", "fork"])
def test_eight_processes_append_to_one_session(tmp_path: Path, how: str) -> None:
    """500 appends each: none lost, none twice, every chain intact."""
    outcome = writers.run(tmp_path, processes=8, appends=500, how=how, level="os")
    print(how, outcome)
    assert (4000, 0, 0) == (outcome.appends, outcome.lost, outcome.duplicated)


def test_eight_processes_at_level_disk(tmp_path: Path) -> None:
    """The same through fdatasync, in short."""
    outcome = writers.run(tmp_path, processes=8, appends=60, how="shared", level="disk")
    assert (480, 0, 0) == (outcome.appends, outcome.lost, outcome.duplicated)


@pytest.mark.parametrize("level", ["disk", "os"])
def test_killed_writers_lose_nothing_that_was_acknowledged(tmp_path: Path, level: str) -> None:
    """SIGKILL at random, four writers on two sessions: every ack is there, every log opens."""
    print("seed", SEED)
    outcome = kills.run(tmp_path, rounds=15, writers=4, level=level, seed=SEED)
    print(level, outcome)
    assert (15, 0, 0) == (outcome.rounds, outcome.lost, outcome.unopened)
    assert outcome.acked > 0
