"""What a result was measured on."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .harness import SEED

_PACKAGES = (
    "attrs",
    "blake3",
    "orjson",
    "uuid-utils",
    "openai-agents",
    "langgraph-checkpoint-sqlite",
    "arcaeon-ledger",
    "eventsourcing",
    "claude-agent-sdk",
)


def describe(place: Path) -> dict[str, Any]:
    """Return what a reader needs to judge the numbers; no path and no host."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
        "file_system": file_system(place),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "gc": f"default, thresholds {gc.get_threshold()}; gc.collect() before each turn",
        "packages": {name: _version(name) for name in _PACKAGES},
        "seed": SEED,
        "commit": _commit(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def file_system(place: Path) -> str:
    """Return the type of the file system that *place* lies on."""
    mounts = Path("/proc/self/mountinfo")
    if not mounts.exists():
        return "unknown"
    device = place.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.read_text("utf-8").splitlines():
        left, _, right = line.partition(" - ")
        if left.split()[2] == wanted:
            return right.split()[0]
    return "unknown"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    here = Path(__file__).parent
    git = ["git", "-C", str(here)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, check=False
        )
        status = subprocess.run(
            [*git, "status", "--porcelain", "--", "../session_store"],
            capture_output=True,
            check=False,
        )
    except OSError:
        return "unknown"
    if head.returncode:
        return "unknown"
    return head.stdout.decode().strip() + (", with changes" if status.stdout.strip() else "")
