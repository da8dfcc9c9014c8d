"""Real power cuts of ext4 on a loop device, a handful; hundreds, and XFS, in `make crash`."""

import pytest
from crash import power
from real_tools import if_available

SEED = 20261121


def test_power_cuts_under_busy_writers_lose_nothing_that_was_acknowledged() -> None:
    """Appends, forks, keys, deletes, repairs and recoveries at level disk; the store goes on."""
    with if_available():
        outcome = power.run("ext4", cuts=3, writers=4, level="disk", seed=SEED)
        print("seed", SEED, outcome)
        assert (3, 0, 0) == (outcome.cuts, outcome.lost, outcome.broken)
        assert outcome.acked > 0


def test_power_cuts_at_level_os_leave_a_prefix_and_take_back_no_claim() -> None:
    """What is missing was never said to be on disk; what is there is what was written."""
    with if_available():
        outcome = power.run("ext4", cuts=2, writers=4, level="os", seed=SEED)
        print("seed", SEED, outcome)
        assert (2, 0, 0) == (outcome.cuts, outcome.lost, outcome.broken)
        assert outcome.os_acked > 0


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_session_is_there_after_a_power_cut_right_behind_its_creation(kind: power.Kind) -> None:
    """Alone, as a fork, and whole, in directories that were made for it; with its key."""
    with if_available():
        outcome = power.created(kind, cuts=3, seed=SEED)
        assert (3, 0, 0) == (outcome.cuts, outcome.lost, outcome.wrong)
