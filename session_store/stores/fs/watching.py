"""
Being woken when a file changes: inotify, on Linux.

Rules of this module:
  * What it tells is a hint. Whoever is woken looks, and looks now and then unwoken.
  * A watch is on a file, not on its name: it is renewed before each look.
"""

import ctypes
import errno
import os
import select
import struct
import sys

_MODIFY, _ATTRIB, _DELETE_SELF, _MOVE_SELF = 0x2, 0x4, 0x400, 0x800
_DONT_FOLLOW = 0x2000000
# A file that another one is renamed over loses a link, which counts as an attribute.
_MASK = _MODIFY | _ATTRIB | _DELETE_SELF | _MOVE_SELF | _DONT_FOLLOW
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name behind it
_BUFFER = 64 * 1024


class Notifier:
    """
    Tells which of the watched files have changed.

    Raises:
        OSError: The system has no such thing, or this user has enough of them.

    Concurrency: any threads; what one of them was told the others are not.
    """

    def __init__(self) -> None:
        self._fd = -1
        if sys.platform != "linux":
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._checked(self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))

    def fileno(self) -> int:
        return self._fd

    def watch(self, path: str) -> int:
        """
        Watch the file at *path*; return the watch, the same one if the file is watched already.

        Raises:
            OSError: There is no file, or no more watches.
        """
        return self._checked(self._libc.inotify_add_watch(self._fd, os.fsencode(path), _MASK))

    def forget(self, watch: int) -> None:
        """End a watch; nothing happens if it has ended with its file."""
        self._libc.inotify_rm_watch(self._fd, watch)

    def changed(self) -> set[int]:
        """Return the watches whose files have changed since the last call; a negative one means any."""
        found: set[int] = set()
        while True:
            try:
                events = os.read(self._fd, _BUFFER)
            except BlockingIOError:
                return found
            at = 0
            while at < len(events):
                watch, _, _, length = _EVENT.unpack_from(events, at)
                found.add(watch)
                at += _EVENT.size + length

    def wait(self, seconds: float) -> bool:
        """Wait for a change; return whether there was one. A signal's handler may raise."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.poll(seconds * 1000)
        return bool(self.changed())

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
