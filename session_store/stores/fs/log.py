"""
One log in this process: its lock, its end, and the append.

Rules of this module:
  * Everything that changes the file happens under the flock of the file that is at the path.
  * Bookkeeping is forgotten before a write and set after it: what interrupts
    the write leaves nothing wrong behind, the file is read again.
  * A failed sync is never tried again; it begins a new era, and every handle
    of an older one is refused.
"""

import errno
import logging
import threading
from collections.abc import Sequence
from contextlib import suppress

from attrs import define

from ...chain import Draft, Head, link
from ...entries import Durability, EntryHash, Receipt
from ...errors import Corrupt, DurabilityLost, Locked, StoreFull
from ...ids import SessionId
from ...scan import Tail
from . import layout
from .files import Files, FileStat, OpenFile, SyncFailed, read_failed
from .names import Names
from .nested import is_nested
from .opening import open_log
from .tip import Tip, read_tip

log = logging.getLogger("session_store")

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says when there is no room."""

_NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE}
_CLOCK_BACK_MS = 3_600_000


@define(eq=False)
class Written:
    """An append that is in the file, not yet at its level."""

    head: Head
    end: int
    file: OpenFile
    era: int

    def receipt(self, level: Durability) -> Receipt:
        """Return the receipt, once *level* is reached."""
        session_id, seq, _, hash_ = self.head
        return Receipt(session_id, seq, EntryHash(hash_), level)


class Log:
    """
    The log of one session.

    Concurrency: `lock` and `try_lock` give one thread of one process the log;
        methods that say so want it held. `sync` needs no lock.
    """

    def __init__(
        self, files: Files, session_id: SessionId, *, allow_masked: bool = False, names: Names
    ) -> None:
        self.files = files
        self.session_id = session_id
        self.path = layout.log_path(session_id)
        self.mark_path = layout.pending_path(session_id)
        self.name = files.name(self.path)
        self.link = names.link(self.path)
        self.tip: Tip | None = None
        self.era = 0
        self.settled_era = 0
        """The era in which whoever holds the lock found the log settled: what it writes belongs to that."""
        self.file: OpenFile | None = None
        self.opened = 0
        """Which file of this log is open, counted; offsets noted for an earlier one mean nothing."""
        self.allow_masked = allow_masked
        self.damage: Corrupt | None = None
        """What a reader of this store found; appends are refused until it is repaired."""
        self.damage_at: FileStat | None = None
        """The file in which *damage* was last confirmed."""
        self.heal_due = False
        """A sync failed here and nothing has been verified from the device since."""
        self.mark_seen: str | None = None
        """The failed sync whose pending mark began the present era."""
        self.mark_verified: str | None = None
        """The one for which this process has put the present file in place, a copy from the device."""
        self._lost: str | None = None
        self._clock_warned = False
        self._rewrites = 0  # How often bytes may have been cut, and written anew, by others.
        self._synced: tuple[OpenFile, int, int] | None = None  # file, rewrites, end
        self.reset_locks()

    def reset_locks(self) -> None:
        """Begin with free locks and no open file; the file may be somebody else's, after os.fork."""
        self._mutex = self.files.clock.mutex()
        self._sync_mutex = self.files.clock.mutex()
        self._holder: int | None = None
        self._inside: set[int] = (
            set()
        )  # Threads that have the log, are about to, or were interrupted so.
        if self.file is not None:
            self.file.close()
        self.use(None)
        self.outstanding = 0

    # -- the lock ---------------------------------------------------------------------------

    def lock(self, timeout_s: float) -> None:
        """
        Take the log for this thread, waiting for other writers.

        Raises:
            Locked: It was not free within *timeout_s*, or this very thread is at work with it:
                a signal's handler must not append in the middle of an append.
            NotFound: There is no file.
        """
        if self.try_lock():
            return
        thread = threading.get_ident()
        if thread in self._inside:
            raise Locked(self.name, waited_s=0.0)
        clock = self.files.clock
        deadline = clock.monotonic_s() + timeout_s
        pause_s = 0.00005
        while not self._take(thread, max(deadline - clock.monotonic_s(), 0.0)):
            if clock.monotonic_s() >= deadline:
                raise Locked(self.name, waited_s=timeout_s)
            clock.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.005)

    def try_lock(self) -> bool:
        """Take the log if it is free; errors as for `lock`."""
        thread = threading.get_ident()
        if thread in self._inside:
            if is_nested():
                return False
            # A signal's handler has raised in the middle of an earlier call of this thread.
            self._holder = None
            with suppress(RuntimeError):  # This thread has it no more.
                while True:
                    self._mutex.release()
        return self._take(thread, 0.0)

    def unlock(self) -> None:
        self._holder = None
        try:
            if self.file is not None:
                self.files.unlock(self.file)
        finally:
            self._mutex.release()
            self._inside.discard(threading.get_ident())

    def _take(self, thread: int, timeout_s: float) -> bool:
        """Take the mutex, and the flock if it is free; both or none."""
        taken = False
        self._inside.add(thread)
        try:
            if self._mutex.acquire(timeout=timeout_s):
                try:
                    taken = self._try_flock()
                finally:
                    if not taken:
                        self._mutex.release()
        finally:
            if not taken:
                self._inside.discard(thread)
        if taken:
            self._holder = thread
        return taken

    @property
    def is_held(self) -> bool:
        """Whether this very thread has the lock."""
        return self._holder == threading.get_ident()

    def _try_flock(self) -> bool:
        while True:
            if self.file is None:
                self.use(open_log(self.files, self.path, write=True))
            file = self.file
            assert file is not None
            if not self.files.try_lock(file):
                return False
            # A lock on a file that was renamed away or deleted protects nothing.
            try:
                if self.files.is_at(self.path, file):
                    return True
            except BaseException:  # Or what a signal's handler raised would keep others out.
                self.files.unlock(file)
                raise
            self.files.unlock(file)
            self.use(None)

    def use(self, file: OpenFile | None) -> None:
        """Go on with another file (or none, until it is next needed)."""
        self.file, self.tip, self._synced, self.mark_verified = file, None, None, None
        self.opened += 1
        if file is not None:
            self.link.see(file.inode)

    def release_file(self, *, though_wanted: bool = False) -> bool:
        """
        Close the descriptor if nobody needs it now; what is known of the log stays.

        Args:
            though_wanted: Appends that wait for their turn will open it anew.
        """
        if (
            (self.outstanding and not though_wanted)
            or self.is_held
            or not self._mutex.acquire(blocking=False)
        ):
            return False
        try:
            self.use(None)
        finally:
            self._mutex.release()
        return True

    # -- under the lock ---------------------------------------------------------------------

    def read(self, size: int, offset: int) -> bytes:
        assert self.file is not None
        try:
            return self.files.read(self.file, size, offset)
        except OSError as error:
            raise read_failed(error, self.name, offset) from error

    def refresh(self) -> Tip:
        """
        Return the end of the log, reading the tail only if another writer was here.

        Wants the lock. Raises Corrupt, Unsupported.
        """
        assert self.file is not None
        size = self.files.size(self.file)
        tip = self.tip
        if tip is None or not self._is_at(tip, size):
            # What was synced up to some byte may have been cut and written anew since.
            self._rewrites += 1
            tip = read_tip(
                self.read, size, self.session_id, self.name, allow_masked=self.allow_masked
            )
            self.tip = tip
        return tip

    def _is_at(self, tip: Tip, size: int) -> bool:
        """Return whether the log still ends with the record that *tip* knows."""
        if tip.tail.state != "clean" or tip.tail.offset != size:
            return False
        # The size alone would miss a log that was cut and grew to the same length.
        end = b'"%b"}\n' % tip.head.hash.hex().encode()
        return not tip.is_born or self.read(len(end), size - len(end)) == end

    def append(self, drafts: Sequence[Draft], *, after: Head | None = None) -> Written:
        """
        Write *drafts* behind the tip in one write.

        Wants the lock and a clean tip.

        Args:
            after: What the first record of an unborn log links to.

        Raises:
            LimitExceeded: Nothing was written.
            StoreFull: Rolled back.
        """
        tip = self.tip
        assert tip is not None
        base = tip.head if after is None else after
        now_ms = self.files.clock.now_ms()
        if now_ms < base.ts - _CLOCK_BACK_MS and not self._clock_warned:
            self._clock_warned = True
            log.warning(
                "%s: the clock is %d s behind the log; timestamps repeat until it catches up",
                self.session_id,
                (base.ts - now_ms) // 1000,
            )
        data, head = link(base, now_ms, drafts)
        return self.write(data, head)

    def write(self, data: bytes, head: Head) -> Written:
        """Write ready lines behind the tip; *head* is the record that they end with. Wants the lock."""
        tip, self.tip = self.tip, None
        assert tip is not None
        assert self.file is not None
        offset = tip.tail.offset
        try:
            size = self.files.write(self.file, data)
        except OSError as error:
            left = self._roll_back(offset)
            if error.errno in FULL:
                raise StoreFull(f"{self.name}: {error.strerror}; {left}") from error
            raise
        if size == len(data) - 1:
            # All but the last LF counts for every reader (FORMAT.md §6): it cannot be taken back.
            return self.written(head, offset + size)
        if size != len(data):
            left = self._roll_back(offset)
            raise StoreFull(f"{self.name}: {size} of {len(data)} bytes fitted; {left}")
        self.tip = Tip(head, Tail("clean", offset + size, 0))
        return self.written(head, offset + size)

    def _roll_back(self, offset: int) -> str:
        """Cut off what an append that failed has written; return what is left of it, in words."""
        assert self.file is not None
        log.warning("%s: an append failed, rolled back to %d", self.session_id, offset)
        try:
            self.files.truncate(self.file, offset)
        except OSError:
            # What was written is an unfinished append: the next writer cuts it as a torn tail.
            log.exception("%s: could not roll back to %d", self.session_id, offset)
            return "a piece of it is left for the next append to cut"
        return "nothing was written"

    def written(self, head: Head, end: int) -> Written:
        """Return the note of an append that ends at byte *end* of the present file."""
        assert self.file is not None
        return Written(head, end, self.file, self.settled_era)

    # -- durability -------------------------------------------------------------------------

    def sync(self, written: Written) -> bool:
        """
        Bring the log up to *written* to the device.

        Returns:
            False if the file was replaced meanwhile: look for the drafts in the new one.

        Raises:
            DurabilityLost: This sync, or one since *written*, failed.
        """
        with self._sync_mutex:
            self.check_era(written.era)
            if not self._is_synced(written):
                # Whoever wrote before this moment is served by the same sync.
                tip, rewrites = self.tip, self._rewrites
                reaches = written.end if tip is None else max(written.end, tip.tail.offset)
                try:
                    self.files.sync_data(written.file)
                    self.link.sync(written.file.inode)
                except OSError as error:
                    # A directory that there was no descriptor for was not synced, and nothing failed.
                    if not isinstance(error, SyncFailed) and error.errno in _NO_DESCRIPTOR:
                        raise
                    raise self.lose(error) from error
                self._synced = (written.file, rewrites, reaches)
        return self.files.is_at(self.path, written.file)

    def _is_synced(self, written: Written) -> bool:
        if self._synced is None:
            return False
        file, rewrites, end = self._synced
        return file is written.file and rewrites == self._rewrites and end >= written.end

    def lose(self, error: OSError) -> DurabilityLost:
        """Begin a new era after a failed sync; every handle of this one is refused."""
        self.era += 1
        self.heal_due = True
        if self.is_held:  # Else somebody is at work with it, whose append this era refuses.
            self.tip = None
        self._lost = (
            f"{self.name}: a sync to the device failed ({error.strerror}); "
            "what was appended since the last one may be lost: open the session anew"
        )
        log.error("%s: sync failed: %s", self.session_id, error)
        return DurabilityLost(self._lost)

    def check_era(self, era: object) -> None:
        """Raise DurabilityLost if a sync failed since *era*."""
        if era != self.era:
            raise self.lost()

    def lost(self) -> DurabilityLost:
        """Return the error for a handle that is older than a failed sync."""
        return DurabilityLost(
            self._lost
            or f"{self.name}: a sync failed since this handle was opened: open the session anew"
        )
