"""A plugin of pytest: the package under test is the one beside these tests, and failing is quick."""

from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

import session_store

HERE = Path(__file__).parents[2]


def pytest_configure() -> None:
    if HERE not in Path(session_store.__file__).parents:
        raise RuntimeError(f"{session_store.__file__} would be tested, not what is in {HERE}")
    # The first example that fails says enough: it is neither made smaller nor kept.
    settings.register_profile(
        "mistaken",
        phases=(Phase.explicit, Phase.generate),
        database=None,
        deadline=None,
        derandomize=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("mistaken")
