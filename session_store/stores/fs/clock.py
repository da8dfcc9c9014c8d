"""Time, and waiting for it or for another thread: what a simulation replaces."""

import threading
import time
from types import TracebackType
from typing import Protocol


class Mutex(Protocol):
    """A lock between the threads of one process; RuntimeError for who lets go of another's."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...  # noqa: FBT001, FBT002 - as threading.Lock

    def release(self) -> None: ...

    def __enter__(self) -> bool: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


class Clock:
    """The time of the machine. A store asks `files.clock`, and nothing else, what time it is."""

    def now_ms(self) -> int:
        """Return Unix milliseconds; they may go back."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def mutex(self) -> Mutex:
        """Return a free lock, for what is held while files are waited for."""
        return threading.RLock()
