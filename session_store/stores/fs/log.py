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
import time
from collections.abc import Sequence

from attrs import define

from ...chain import Draft, Head, link
from ...entries import Durability, Receipt
from ...errors import Corrupt, DurabilityLost, Locked, StoreFull
from ...ids import SessionId
from ...scan import Tail
from . import layout
from .files import Files, FileStat, OpenFile
from .opening import open_log
from .tip import Tip, read_tip

log = logging.getLogger("session_store")

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says when there is no room."""

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
        position = self.head.position
        return Receipt(position.session_id, position.seq, position.hash, level)


class Log:
    """
    The log of one session.

    Concurrency: `lock` and `try_lock` give one thread of one process the log;
        methods that say so want it held. `sync` needs no lock.
    """

    def __init__(self, files: Files, session_id: SessionId, *, allow_masked: bool = False) -> None:
        self.files = files
        self.session_id = session_id
        self.path = layout.log_path(session_id)
        self.name = files.name(self.path)
        self.tip: Tip | None = None
        self.era = 0
        self.outstanding = 0
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
        self._lost: str | None = None
        self._clock_warned = False
        self._rewrites = 0  # How often bytes may have been cut, and written anew, by others.
        self._synced: tuple[OpenFile, int, int] | None = None  # file, rewrites, end
        self._entry_synced = False
        self.reset_locks()

    def reset_locks(self) -> None:
        """Begin with free locks and no open file; the file may be somebody else's, after os.fork."""
        self._mutex = threading.Lock()
        self._sync_mutex = threading.Lock()
        self._holder: int | None = None
        if self.file is not None:
            self.file.close()
        self.use(None)
        self.outstanding = 0

    # -- the lock ---------------------------------------------------------------------------

    def lock(self, timeout_s: float) -> None:
        """
        Take the log for this thread, waiting for other writers.

        Raises:
            Locked: It was not free within *timeout_s*.
            NotFound: There is no file.
        """
        deadline = time.monotonic() + timeout_s
        if not self._mutex.acquire(timeout=timeout_s):
            raise Locked(self.name, waited_s=timeout_s)
        try:
            pause_s = 0.00005
            while not self._try_flock():
                if time.monotonic() >= deadline:
                    raise Locked(self.name, waited_s=timeout_s)
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, 0.005)
        except BaseException:
            self._mutex.release()
            raise
        self._holder = threading.get_ident()

    def try_lock(self) -> bool:
        """Take the log if it is free; errors as for `lock`."""
        if not self._mutex.acquire(blocking=False):
            return False
        taken = False
        try:
            taken = self._try_flock()
        finally:
            if not taken:
                self._mutex.release()
        if taken:
            self._holder = threading.get_ident()
        return taken

    def unlock(self) -> None:
        self._holder = None
        try:
            if self.file is not None:
                self.files.unlock(self.file)
        finally:
            self._mutex.release()

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
            found = self.files.stat(self.path)
            if found is not None and found.inode == file.inode:
                return True
            self.files.unlock(file)
            self.use(None)

    def use(self, file: OpenFile | None) -> None:
        """Go on with another file (or none, until it is next needed)."""
        self.file, self.tip, self._synced = file, None, None
        self._entry_synced = False
        self.opened += 1

    def release_file(self) -> bool:
        """Close the descriptor if nobody needs it now; what is known of the log stays."""
        if self.outstanding or not self._mutex.acquire(blocking=False):
            return False
        try:
            self.use(None)
        finally:
            self._mutex.release()
        return True

    # -- under the lock ---------------------------------------------------------------------

    def read(self, size: int, offset: int) -> bytes:
        assert self.file is not None
        return self.files.read(self.file, size, offset)

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
        now_ms = time.time_ns() // 1_000_000
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
        return Written(head, end, self.file, self.era)

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
                    if not self._entry_synced:
                        for directory in layout.parents(self.path):
                            self.files.sync_directory(directory)
                        self._entry_synced = self.file is written.file
                except OSError as error:
                    raise self.lose(error) from error
                self._synced = (written.file, rewrites, reaches)
        found = self.files.stat(self.path)
        return found is not None and found.inode == written.file.inode

    def _is_synced(self, written: Written) -> bool:
        if self._synced is None:
            return False
        file, rewrites, end = self._synced
        return file is written.file and rewrites == self._rewrites and end >= written.end

    def lose(self, error: OSError) -> DurabilityLost:
        """Begin a new era after a failed sync; every handle of this one is refused."""
        self.era += 1
        self.tip = None
        self.heal_due = True
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
