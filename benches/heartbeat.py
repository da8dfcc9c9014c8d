"""How long others keep the event loop from its next turn."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from time import perf_counter_ns
from typing import Any


async def gaps_during(*tasks: Coroutine[Any, Any, object]) -> list[float]:
    """Return the seconds between two turns of a task that does nothing but take turns."""
    working = asyncio.gather(*tasks)
    gaps: list[float] = []
    last = perf_counter_ns()
    while not working.done():
        await asyncio.sleep(0)
        now = perf_counter_ns()
        gaps.append((now - last) / 1e9)
        last = now
    await working
    return sorted(gaps)
