"""
How followers wait: until the system says that their log has changed, or for a while.

Rules of this module:
  * Nobody waits longer than a pause, which is short when something has just come and
    grows while nothing does: a change that nobody was told of is seen all the same.
  * Where the system does not tell (a network, another system, no more watches), the
    pauses are all there is, and stay shorter.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from .fs.files import Files
from .fs.root import is_network

if TYPE_CHECKING:
    from .fs.watching import Notifier

_PAUSE_S = 0.005
_PAUSE_MAX_S = 0.1
_PAUSE_MAX_TOLD_S = 1.0


def begin_notifier(files: Files) -> Notifier | None:
    """Return what tells of changes below the root of *files*; None if nothing does, for all writers."""
    if is_network(files.filesystem()):
        return None
    with suppress(OSError):
        return files.notifier()
    return None


class Waiting(ABC):
    """How one follower waits for the log at *path*."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_told = False
        """Whether a change ends the wait."""
        self._pause_s = _PAUSE_S

    @abstractmethod
    def renew(self) -> None:
        """Watch the file that is at the path now. To be called before each look, in any thread."""

    @abstractmethod
    async def wait(self) -> None:
        """Wait for the next look."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what tells of changes."""

    def came(self) -> None:
        """Note that something came: more may follow at once."""
        self._pause_s = _PAUSE_S

    def _nothing_came(self) -> None:
        longest_s = _PAUSE_MAX_TOLD_S if self.is_told else _PAUSE_MAX_S
        self._pause_s = min(self._pause_s * 2, longest_s)


class PauseWait(Waiting):
    """
    Waits for its pause.

    Args:
        pause: How the store waits.
    """

    def __init__(self, path: str, pause: Callable[[float], Awaitable[None]]) -> None:
        super().__init__(path)
        self._pause = pause

    def renew(self) -> None:
        """Nothing tells."""

    async def wait(self) -> None:
        await self._pause(self._pause_s)
        self._nothing_came()

    def close(self) -> None:
        """Nothing is held."""


class BlockingWait(PauseWait):
    """Waits in the thread that follows. A signal's handler may raise in between."""

    def __init__(self, files: Files, path: str, pause: Callable[[float], Awaitable[None]]) -> None:
        super().__init__(path, pause)
        self._notifier = begin_notifier(files)

    def renew(self) -> None:
        if self._notifier is None:
            return
        try:
            self._notifier.watch(self.path)
            self.is_told = True
        except OSError:  # No file, which the look will tell, or no more watches.
            self.close()

    async def wait(self) -> None:
        if self._notifier is None:
            await super().wait()
        elif self._notifier.wait(self._pause_s):
            self.came()
        else:
            self._nothing_came()

    def close(self) -> None:
        self.is_told = False
        if self._notifier is not None:
            self._notifier.close()
            self._notifier = None


class LoopWait(Waiting):
    """Waits as a task does, in the loop in which it was made."""

    def __init__(self, watches: Watches, path: str) -> None:
        super().__init__(path)
        self.loop = asyncio.get_running_loop()
        self._watches = watches
        self._changed = asyncio.Event()
        watches.join(self)

    def renew(self) -> None:
        self.is_told = self._watches.renew(self)

    async def wait(self) -> None:
        try:
            async with asyncio.timeout(self._pause_s):
                await self._changed.wait()
        except TimeoutError:
            self._nothing_came()
        else:
            self._changed.clear()
            self.came()

    def wake(self) -> None:
        """End the wait; from any thread."""
        with suppress(RuntimeError):  # A loop that was closed has no follower left.
            self.loop.call_soon_threadsafe(self._changed.set)

    def close(self) -> None:
        self._watches.leave(self)


class Watches:
    """
    What the followers of one store wait for; one notifier serves them all.

    Concurrency: any threads and loops; `join` and `leave` are called in the follower's loop.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._notifier: Notifier | None = None
        self._is_begun = self._is_closed = False
        self._watching: dict[int, set[LoopWait]] = {}
        self._watched: dict[LoopWait, int | None] = {}
        self._joined: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()

    def begin(self, files: Files) -> None:
        """Ask the system for a notifier, once."""
        with self._mutex:
            if not self._is_begun:
                self._is_begun = True
                self._notifier = begin_notifier(files)

    def join(self, waiting: LoopWait) -> None:
        with self._mutex:
            self._watched[waiting] = None
            count = self._joined.get(waiting.loop, 0)
            self._joined[waiting.loop] = count + 1
            if count == 0 and self._notifier is not None:
                waiting.loop.add_reader(self._notifier.fileno(), self._tell)

    def renew(self, waiting: LoopWait) -> bool:
        """Watch the file at the follower's path; return whether that was possible."""
        with self._mutex:
            if self._notifier is None or waiting not in self._watched:
                return False
            try:
                watch = self._notifier.watch(waiting.path)
            except OSError:  # No file, which the look will tell, or no more watches.
                return False
            if self._watched[waiting] != watch:
                self._forget(waiting)
                self._watched[waiting] = watch
                self._watching.setdefault(watch, set()).add(waiting)
            return True

    def leave(self, waiting: LoopWait) -> None:
        with self._mutex:
            if waiting not in self._watched:
                return
            self._forget(waiting)
            del self._watched[waiting]
            count = self._joined[waiting.loop] = self._joined[waiting.loop] - 1
            if count == 0 and self._notifier is not None and not waiting.loop.is_closed():
                waiting.loop.remove_reader(self._notifier.fileno())
            self._let_go()

    def _forget(self, waiting: LoopWait) -> None:
        watch = self._watched[waiting]
        if watch is None:
            return
        others = self._watching[watch]
        others.discard(waiting)
        if not others:
            del self._watching[watch]
            if self._notifier is not None:
                self._notifier.forget(watch)

    def _tell(self) -> None:
        with self._mutex:
            changed = set() if self._notifier is None else self._notifier.changed()
            if any(watch < 0 for watch in changed):  # The system lost count: it may be any.
                changed = set(self._watching)
            woken = [w for watch in changed for w in self._watching.get(watch, ())]
        for waiting in woken:
            waiting.wake()

    def close(self) -> None:
        """Wake everybody: the store is closed."""
        with self._mutex:
            self._is_closed = True
            woken = list(self._watched)
            self._let_go()
        for waiting in woken:
            waiting.wake()

    def _let_go(self) -> None:
        """Close the notifier behind the last follower: their loops must not read it any more."""
        if self._is_closed and not self._watched and self._notifier is not None:
            self._notifier.close()
            self._notifier = None
