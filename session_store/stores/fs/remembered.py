"""
What an open store knows to have been verified; never on disk, never used by `verify`.

A log's prefix is known by its file, its length and the record that it ends with, and believed
as long as no pending mark is there: a sync may have failed. Whoever changes its bytes in place
behind the store's back is found by `verify`, or by the next store.
"""

from collections import OrderedDict

from attrs import frozen

from ...chain import Head
from ...ids import SessionId

_LOGS_MAX = 10_000


@frozen
class Verified:
    """
    The prefix of one log.

    Attributes:
        inode: (device, inode) of the file it was read from.
        head: Its last record, the end of an append.
        end: Its bytes.
        is_plain: No redaction stands in it.
    """

    inode: tuple[int, int]
    head: Head
    end: int
    is_plain: bool


NOTHING = Verified((-1, -1), Head(SessionId(""), -1, 0, b""), 0, is_plain=False)


class Remembered:
    """
    The verified prefixes of the logs read last.

    Concurrency: any threads, without a lock that os.fork could leave held; two that read
    one log at once may forget what one of them found.
    """

    def __init__(self, *, logs_max: int = _LOGS_MAX) -> None:
        self._logs_max = logs_max
        self._prefixes: OrderedDict[SessionId, Verified] = OrderedDict()

    def get(self, session_id: SessionId) -> Verified:
        return self._prefixes.get(session_id, NOTHING)

    def put(self, verified: Verified) -> None:
        """Remember *verified* in the place of what was known of its log."""
        self._prefixes[verified.head.session_id] = verified
        self._prefixes.move_to_end(verified.head.session_id)
        if len(self._prefixes) > self._logs_max:
            self._prefixes.popitem(last=False)
