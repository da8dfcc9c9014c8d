"""What the tests of one log are written with: a clock that stands still, and the log elsewhere."""

from session_store.stores.fs.clock import Clock
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.log import Log


class Ticking(Clock):
    """Stands still but for the pauses that are made, and says which those were."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.ms = 2_000_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return sum(self.pauses)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def rival(log: Log) -> Log:
    """Return the log as another process has it."""
    return FsCore(log.files.another_process()).log(log.session_id)
