"""Stores to test on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import session_store as ss


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
