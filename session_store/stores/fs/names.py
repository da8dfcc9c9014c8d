"""
Which names of logs are on the device, as far as this process has brought them there.

Rules of this module:
  * One sync of a directory serves every name that was seen in it before the sync began.
  * A name that a failed sync was for is lost: asked again, the system would say yes.
  * The directories above an hour are synced once: the store removes none of them.
"""

from . import layout
from .files import Files, SyncFailed


class _Hour:
    """
    A directory of logs.

    Attributes:
        begun: How many syncs were begun.
    """

    def __init__(self, files: Files, path: str) -> None:
        self.mutex = files.clock.mutex()
        self.begun = 0
        self._files = files
        self._path = path
        self._done = 0  # which of them was the newest that succeeded
        self._failed = 0
        self._why: tuple[int | None, str | None] = None, None
        self._is_reachable = False

    def sync(self, seen: int) -> None:
        """Bring to the device what was there before sync number *seen* + 1 was begun."""
        with self.mutex:
            if self._failed > seen:
                raise SyncFailed(*self._why)
            if self._done > seen:
                return
            self.begun += 1
            number = self.begun
            try:
                self._files.sync_directory(self._path)
                for above in () if self._is_reachable else layout.parents(self._path):
                    self._files.sync_directory(above)
            except SyncFailed as error:
                # The error itself would hold what its traceback holds: an open file.
                self._failed, self._why = number, (error.errno, error.strerror)
                raise
            self._done, self._is_reachable = number, True


class Names:
    """
    The names of one store's logs.

    Concurrency: any threads; whoever comes while a directory is synced shares the next sync.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._hours: dict[str, _Hour] = {}

    def link(self, path: str) -> "Link":
        """Return the name of the log at *path*."""
        above = path.rpartition("/")[0]
        hour = self._hours.get(above)
        if hour is None:
            hour = self._hours.setdefault(above, _Hour(self._files, above))
        return Link(hour)

    def after_fork(self) -> None:
        """Begin with free locks in the child of os.fork."""
        for hour in list(self._hours.values()):
            hour.mutex = self._files.clock.mutex()


class Link:
    """The name of one log, whatever file has it."""

    __slots__ = ("_hour", "_seen", "_synced")

    def __init__(self, hour: _Hour) -> None:
        self._hour = hour
        self._seen: tuple[tuple[int, int], int] | None = None  # inode, when it was seen first
        self._synced: tuple[int, int] | None = None  # inode

    def see(self, inode: tuple[int, int]) -> int:
        """Note that the file *inode* has the name; to be called behind the look that showed it."""
        seen = self._seen
        if seen is None or seen[0] != inode:
            seen = self._seen = inode, self._hour.begun
        return seen[1]

    def sync(self, inode: tuple[int, int]) -> None:
        """
        Bring the name of the file *inode* to the device.

        Raises:
            SyncFailed: This sync, or one since the name was seen, failed.
        """
        if self._synced != inode:
            self._hour.sync(self.see(inode))
            self._synced = inode
