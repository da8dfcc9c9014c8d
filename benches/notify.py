"""inotify, as little of it as the floor of following needs."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_MODIFY = 0x2


class Notifier:
    """Wakes when a file was modified. Linux."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_CLOEXEC)
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(path), _MODIFY) < 0:
            raise OSError(ctypes.get_errno(), "inotify", str(path))

    def wait(self) -> None:
        os.read(self._fd, 4096)

    def close(self) -> None:
        os.close(self._fd)
