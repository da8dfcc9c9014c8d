"""Hostile bytes for everything that reads: a little of what tests/crash/fuzz.py does at length."""

from random import Random

import hostile_targets
import pytest
from hostile_targets import Target
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAMES = ["lines", "logs", "recovery", "erasing", "traces", "importers", "command line"]
EXAMPLES = {"lines": 200, "logs": 60, "traces": 60}


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    return hostile_targets.targets(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("name", NAMES)
def test_hostile_input_gives_documented_errors_only(targets: dict[str, Target], name: str) -> None:
    """Nothing else is raised, nothing is accepted that docs/verify_log.py refuses, nothing is lost."""
    target = targets[name]

    @settings(
        max_examples=EXAMPLES.get(name, 40), deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.randoms(use_true_random=False))
    def holds(rng: Random) -> None:
        target.run(target.make(rng))

    holds()


@pytest.mark.parametrize("name", NAMES)
def test_random_input_gives_documented_errors_only(targets: dict[str, Target], name: str) -> None:
    """The same from a seed, which reaches deeper than what is made to be small."""
    first = Random().randrange(1 << 32)
    for seed in range(first, first + EXAMPLES.get(name, 40)):
        made = targets[name].make(Random(seed))
        try:
            targets[name].run(made)
        except Exception as error:
            error.add_note(f"seed {seed}, input {made!r}")
            raise
