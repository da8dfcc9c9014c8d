"""The logs that a process knows, and which of them have an open file."""

import threading
import weakref
from collections import OrderedDict

from ...ids import SessionId, parse_session_id
from .files import Files
from .log import Log
from .names import Names

_OPEN_MAX = 128
_SHARE = 4  # One descriptor in so many may be the store's.


class Logs:
    """
    One `Log` per session of a process, however many handles; few of them with an open file.

    A log lives as long as a handle or the list of open files knows it: what it
    knows of failed syncs must not be forgotten before.

    Concurrency: any threads.
    """

    def __init__(self, files: Files, *, allow_masked: bool, open_max: int | None = None) -> None:
        self._files = files
        self._allow_masked = allow_masked
        self._names = Names(files)
        limit = files.descriptors_max()
        share = _OPEN_MAX if limit < 0 else max(limit // _SHARE, 1)
        self.open_max = min(_OPEN_MAX, share) if open_max is None else open_max
        self._known: weakref.WeakValueDictionary[SessionId, Log] = weakref.WeakValueDictionary()
        self._open: OrderedDict[SessionId, Log] = OrderedDict()
        self._unhealed: set[Log] = set()
        self._newest: Log | None = None
        self._mutex = threading.Lock()

    def get(self, session_id: SessionId) -> Log:
        """
        Return the view of a log, whether the log exists or not. It is about to be used.

        Raises:
            InvalidId.
        """
        with self._mutex:
            found = self._known.get(session_id)
            if found is None:
                session_id = parse_session_id(session_id)
                found = Log(
                    self._files, session_id, allow_masked=self._allow_masked, names=self._names
                )
                self._known[session_id] = found
        self.use(found)
        return found

    def use(self, log: Log) -> None:
        """Count *log* among those with an open file; the longest unused one closes its."""
        if log is self._newest:
            return
        with self._mutex:
            self._newest = log
            self._open[log.session_id] = log
            self._open.move_to_end(log.session_id)
            self._unhealed.discard(log)
            excess = len(self._open) - self.open_max
            for session_id, other in list(self._open.items()) if excess > 0 else ():
                # One that is at work keeps its file; the next one gives way.
                if excess > 0 and other is not log and other.release_file():
                    del self._open[session_id]
                    excess -= 1
                    if other.heal_due:
                        self._unhealed.add(other)

    def drop(self, log: Log) -> None:
        """Let go of what is held for a log that was deleted: its file keeps its bytes on the disk."""
        with self._mutex:
            self._open.pop(log.session_id, None)
            self._unhealed.discard(log)
            if self._newest is log:
                self._newest = None
        log.release_file()

    def close(self) -> None:
        """Close every file that nobody needs."""
        with self._mutex:
            for log in self._open.values():
                log.release_file()
            self._open.clear()
            self._newest = None

    def after_fork(self) -> None:
        """Begin anew in the child of os.fork, with files and locks of its own."""
        self._mutex = threading.Lock()
        self._names.after_fork()
        for log in list(self._known.values()):
            log.reset_locks()
