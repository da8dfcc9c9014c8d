"""What a process holds, measured again and again, and whether it grows."""

import ctypes
import os
import time
from contextlib import suppress
from pathlib import Path

from attrs import frozen

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)


@frozen
class Sample:
    """What the process holds at one moment."""

    at_s: float
    descriptors: int
    memory_kib: int
    threads: int


def sample(began: float) -> Sample:
    if _TRIM is not None:  # What the C library keeps for later is not held by the store.
        _TRIM(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Sample(
        time.monotonic() - began,
        len(os.listdir("/proc/self/fd")),
        pages * os.sysconf("SC_PAGE_SIZE") // 1024,
        len(os.listdir("/proc/self/task")),
    )


def descriptors() -> list[str]:
    """Return what is open."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return found


def rises(samples: list[Sample]) -> dict[str, float]:
    """Return by how much the line through the last two thirds rises, for each of what is measured."""
    late = [s for s in samples if s.at_s >= samples[-1].at_s / 3]
    named = {"descriptors": "descriptors", "memory KiB": "memory_kib", "threads": "threads"}
    return {name: _rise([(s.at_s, getattr(s, what)) for s in late]) for name, what in named.items()}


def _rise(points: list[tuple[float, float]]) -> float:
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
    return slope * (points[-1][0] - points[0][0])
