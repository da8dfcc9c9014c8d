"""
The thread that commits for asyncio: many appends, few locks, fewer syncs.

One thread writes; the logs that it has written are synced side by side, for a
device takes many syncs in the time of one.

Rules of this module:
  * It never waits for a lock: a log that is taken is tried again later, the others go on.
  * Appends of one log are written in the order in which they were handed in.
  * A request is settled exactly once, with its level reached or with an error.
"""

import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor, wait

from ...errors import Closed, Locked, SessionStoreError
from .log import Log, Written
from .requests import Request

_PAUSE_S = 0.0005
_PAUSE_MAX_S = 0.02
_SYNCS = 8
"""Logs that are synced at the same time."""


class Committer:
    """
    One per store. Begins its thread with the first request.

    Args:
        write: Makes one attempt under the lock.
        complete: Brings what was written to its level; False if it must be tried again.
        logs_max: Logs that are written before they are synced, each with its file open.
    """

    def __init__(
        self,
        write: Callable[[Request], Written],
        complete: Callable[[Request, Written], bool],
        lock_timeout_s: float,
        logs_max: int,
    ) -> None:
        self._write = write
        self._complete = complete
        self._lock_timeout_s = lock_timeout_s
        self._logs_max = logs_max
        self._wake = threading.Condition()
        self._queues: dict[Log, list[Request]] = {}
        self._thread: threading.Thread | None = None
        self._syncers = ThreadPoolExecutor(_SYNCS, thread_name_prefix="session-store-sync")
        self._closing = False

    def submit(self, request: Request) -> None:
        """
        Hand in an append; it is settled by the thread.

        Raises:
            Closed: The store was closed.
        """
        with self._wake:
            if self._closing:
                raise Closed("the store is closed")
            request.log.outstanding += 1
            self._queues.setdefault(request.log, []).append(request)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="session-store-committer", daemon=True
                )
                self._thread.start()
            self._wake.notify()

    def close(self) -> None:
        """Finish what was handed in, then end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
            thread = self._thread
        if thread is not None:
            thread.join()
        self._syncers.shutdown()

    def _run(self) -> None:
        busy: dict[Log, list[Request]] = {}
        pause_s = _PAUSE_S
        while True:
            with self._wake:
                while not self._queues and not busy:
                    if self._closing:
                        return
                    self._wake.wait()
                if busy and not self._queues:
                    self._wake.wait(pause_s)
                queues, self._queues = self._queues, {}
            for log, requests in queues.items():
                busy.setdefault(log, []).extend(requests)
            try:
                left = self._round(busy)
            except BaseException as error:  # A bug of ours: nobody may wait for ever for it.
                self._abandon(busy, error)
                raise
            progress = len(left) < len(busy)
            pause_s = _PAUSE_S if progress else min(pause_s * 2, _PAUSE_MAX_S)
            busy = left

    def _abandon(self, queues: dict[Log, list[Request]], error: BaseException) -> None:
        with self._wake:
            self._closing = True
            everything = [*queues.values(), *self._queues.values()]
        for request in (r for requests in everything for r in requests if not r.is_settled):
            request.fail(error)

    def _round(self, queues: dict[Log, list[Request]]) -> dict[Log, list[Request]]:
        """Commit what gathered, so many logs at once; return what is left."""
        left: dict[Log, list[Request]] = {}
        todo = list(queues.items())
        for begin in range(0, len(todo), self._logs_max):
            part = dict(todo[begin : begin + self._logs_max])
            left |= self._part(part)
            if len(todo) > self._logs_max:
                for log in part:  # Others need its descriptor before it does.
                    log.release_file(though_wanted=True)
        return left

    def _part(self, queues: dict[Log, list[Request]]) -> dict[Log, list[Request]]:
        """Write everything whose log is free, then sync once per log; return what is left."""
        left: dict[Log, list[Request]] = {}
        written: dict[Log, list[tuple[Request, Written]]] = {}
        for log, requests in queues.items():
            taken = self._take(log, requests)
            if taken:
                written[log] = self._write_all(log, requests)
            elif waiting := self._still_waiting(requests):
                left[log] = waiting
        each = zip(written, self._settle_each(written.values()), strict=True)
        return left | {log: again for log, again in each if again}

    def _take(self, log: Log, requests: list[Request]) -> bool:
        try:
            return log.try_lock()
        except (SessionStoreError, OSError) as error:
            for request in requests:
                self._fail(request, error)
            requests.clear()
            return False

    def _still_waiting(self, requests: list[Request]) -> list[Request]:
        for request in requests:
            if request.log.files.clock.monotonic_s() >= request.deadline:
                self._fail(request, Locked(request.log.name, waited_s=self._lock_timeout_s))
        return [request for request in requests if not request.is_settled]

    def _write_all(self, log: Log, requests: list[Request]) -> list[tuple[Request, Written]]:
        done: list[tuple[Request, Written]] = []
        try:
            for request in requests:
                try:
                    done.append((request, self._write(request)))
                except Exception as error:  # noqa: BLE001 - one bad request must not stop the other sessions
                    self._fail(request, error)
        finally:
            log.unlock()
        return done

    def _settle_each(
        self, written: Collection[list[tuple[Request, Written]]]
    ) -> list[list[Request]]:
        """Sync and settle log beside log; return what is left of each."""
        if len(written) == 1:  # A trip to another thread can take as long as the sync.
            return [self._settle_all(done) for done in written]
        futures = [self._syncers.submit(self._settle_all, done) for done in written]
        wait(futures)  # Also behind one that failed: what the others are at is not given up.
        return [future.result() for future in futures]

    def _settle_all(self, done: list[tuple[Request, Written]]) -> list[Request]:
        """In order, so that heads only move forward; the first sync serves all."""
        return [request for request, written in done if not self._try_complete(request, written)]

    def _try_complete(self, request: Request, written: Written) -> bool:
        """Return False if the append must be tried again."""
        try:
            complete = self._complete(request, written)
        except Exception as error:  # noqa: BLE001 - the same
            self._fail(request, error)
            return True
        if complete:
            self._let_go(request)
        return complete

    def _fail(self, request: Request, error: BaseException) -> None:
        self._let_go(request)
        request.fail(error)

    def _let_go(self, request: Request) -> None:
        with self._wake:  # Whoever hands in a request counts it at the same time.
            request.log.outstanding -= 1
