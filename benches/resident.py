"""Memory of this process, as the kernel counts it."""

from __future__ import annotations

import gc
import resource
from pathlib import Path

_STATM = Path("/proc/self/statm")
_STATUS = Path("/proc/self/status")


def resident_bytes() -> int:
    """Return the resident size now, garbage collected."""
    gc.collect()
    return int(_STATM.read_text("ascii").split()[1]) * resource.getpagesize()


def forget_peak() -> None:
    """Let `peak_bytes` begin anew."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def peak_bytes() -> int:
    """Return the greatest resident size since `forget_peak`."""
    for line in _STATUS.read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM in /proc/self/status")
