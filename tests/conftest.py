"""Stores to test on, and what holds for all tests."""

import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import session_store as ss

# Machines that test are shared: how long an example takes says nothing.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


def pytest_collection_finish() -> None:
    """What has been collected stays to the end: no garbage is looked for in it, in forks neither."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=["fs", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ss.Store]:
    """Both stores, through the asynchronous face."""
    where = "memory:" if request.param == "memory" else tmp_path / "store"
    async with await ss.open_store(where) as opened:
        yield opened


@pytest.fixture
async def fs_store(tmp_path: Path) -> AsyncIterator[ss.FsStore]:
    """The file store alone, for what needs its files."""
    async with await ss.open_store(tmp_path / "store") as opened:
        assert isinstance(opened, ss.FsStore)
        yield opened
