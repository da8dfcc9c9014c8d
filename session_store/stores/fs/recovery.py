"""
Bringing a log back to a state that can be appended to.

Rules of this module:
  * Wants the append lock. Readers and opening change nothing.
  * Before a byte is cut it is copied, synced, and named in a pending mark.
  * Every step may be the last one: a redo finds what was done and does the rest.
"""

import logging
from collections.abc import Sequence
from os import urandom

from blake3 import blake3

from ...chain import Draft
from ...codec import draft
from ...entries import Recovery
from ...errors import DurabilityLost, NotFound, SessionStoreError
from ...scan import Tail
from . import layout, pending
from .blanking import erase_in_front, finish_erase
from .deletion import finish_delete
from .finding import check_damage, holds, scan
from .log import Log
from .quarantine import REPAIR, SYNC_FAILED, TORN, keep, write_all
from .tip import Tip

log = logging.getLogger("session_store")

_CHUNK = 1024 * 1024


def settle(target: Log, era: object = None, *, cuts: bool = True) -> Tip:
    """
    Finish pending jobs, mend the tail; return the clean tip.

    Args:
        era: The era of the handle that wants to append, None if it has none.
        cuts: Cut a torn tail, which leaves a record; else it may still be behind the tip.

    Raises:
        DurabilityLost: A sync failed since the handle was opened.
        Corrupt: The log is damaged; nothing was changed.
    """
    jobs: Sequence[pending.Job] = ()
    if target.files.exists(target.mark_path):
        jobs = pending.load(target.files, target.session_id)
        notice_mark(target, jobs)
    target.settled_era = target.era
    if era is not None:
        target.check_era(era)
    if jobs or target.heal_due:
        finish_jobs(target, jobs)
    check_damage(target)
    tip = target.refresh()
    erasures = _erasures(jobs)
    # A redaction of our own, which may have to be appended, does not stand behind a torn tail.
    cuts = cuts or any(job["drafts"] for job in erasures)
    if cuts and tip.is_born and tip.tail.state == "torn":
        cut(target, tip, TORN)
        tip = target.refresh()
        erasures = _erasures(pending.load(target.files, target.session_id))  # The cut may add some.
    tip = _mended(target, tip)  # Perhaps the very record of the cut.
    for job in erasures:
        finish_erase(target, job)
        tip = _mended(target, target.refresh())  # Or a redaction that was written just now.
    return tip


def _erasures(jobs: Sequence[pending.Job]) -> Sequence[pending.Job]:
    return [job for job in jobs if job["job"] == "erase"]


def _mended(target: Log, tip: Tip) -> Tip:
    if tip.tail.state == "missing_lf":
        _mend_line_end(target, tip.tail)
        tip = target.refresh()
    return tip


def finish_jobs(target: Log, jobs: Sequence[pending.Job]) -> None:
    """
    Do what the pending mark says was left to do; an erasure waits for a clean tail.

    Raises:
        NotFound: That was a delete.
        Corrupt: The log is damaged: it cannot be verified from the device.
    """
    job = {str(job["job"]): job for job in jobs}
    if "delete" in job:
        finish_delete(target.files, target.session_id)
        raise NotFound(f"{target.session_id}: deleted")
    if "cut" in job:
        _cut_bytes(target, job["cut"])
    # Before any record: what is appended now must not stand on a file that lost data.
    if "reopen" in job or target.heal_due:
        _heal(target, job.get("reopen"))
    if "cut" in job:
        _record(target, pending.drafts_from_json(job["cut"]["drafts"]), job["cut"]["offset"])
        _remove(target, "cut")


def notice_mark(target: Log, jobs: Sequence[pending.Job]) -> bool:
    """Begin a new era if a sync failed somewhere and this process did not know; return if one did."""
    mark = next((job["id"] for job in jobs if job["job"] == "reopen"), None)
    if mark is not None and mark != target.mark_seen:
        target.mark_seen = mark
        target.era += 1
    return mark is not None


def mark_lost(target: Log, lost: DurabilityLost, timeout_s: float) -> DurabilityLost:
    """Leave a mark of a failed sync for every other process; return the error to raise."""
    had_lock = target.is_held
    try:
        if not had_lock:
            target.lock(timeout_s)
        try:
            jobs = pending.load(target.files, target.session_id)
            job = next((j for j in jobs if j["job"] == "reopen"), None)
            if job is None:
                job = {**_REOPEN, "id": urandom(16).hex()}
                pending.save(target.files, target.session_id, [*jobs, job])
            target.mark_seen = str(job["id"])
        finally:
            if not had_lock:
                target.unlock()
    except (OSError, SessionStoreError) as error:
        return DurabilityLost(
            f"{lost}; the mark for other processes could not be written ({error}): "
            "only this process, and those whose own sync fails, are stopped"
        )
    return lost


def replace_mark(target: Log) -> Recovery:
    """
    Put a mark of a failed sync in the place of one that cannot be read, which is kept.

    It may have been one: the log is then verified from the device whatever it was.
    """
    files, session_id = target.files, target.session_id
    file = files.open(layout.pending_path(session_id))
    kept = keep(files, file, session_id, 0, files.size(file), cause=REPAIR)
    pending.save(files, session_id, [{**_REOPEN, "id": urandom(16).hex()}])
    log.warning("%s: a damaged pending mark, kept in %s", session_id, kept.quarantine)
    return kept


_REOPEN: pending.Job = {"job": "reopen", "id": "", "drafts": [], "inode": None}


def cut(target: Log, tip: Tip, cause: str) -> Recovery:
    """
    Take what stands behind *tip* out of the log and record that.

    Durability: quarantine, cut and record are on disk.
    """
    assert target.file is not None
    offset = tip.tail.offset
    erasures = erase_in_front(target, offset, begun=cause == TORN)
    end = target.files.size(target.file)
    entry = keep(target.files, target.file, target.session_id, offset, end, cause=cause)
    drafts = [draft(entry, urandom(16))]
    job: pending.Job = {
        "job": "cut",
        "offset": offset,
        "length": entry.length,
        "blake3": entry.blake3,
        "drafts": pending.drafts_to_json(drafts),
    }
    jobs = [*pending.load(target.files, target.session_id), job, *erasures]
    pending.save(target.files, target.session_id, jobs)
    log.warning(
        "%s: %d bytes behind byte %d cut (%s), kept in %s",
        target.session_id,
        entry.length,
        offset,
        cause,
        entry.quarantine,
    )
    finish_jobs(target, jobs)
    return entry


def _cut_bytes(target: Log, job: pending.Job) -> None:
    """Cut what the job says, unless that was done."""
    assert target.file is not None
    offset, length = job["offset"], job["length"]
    size = target.files.size(target.file)
    if size == offset + length and _digest(target, offset, size) == job["blake3"]:
        target.tip = None
        target.files.truncate(target.file, offset)


def _heal(target: Log, job: pending.Job | None) -> None:
    """
    Go on from what the device holds after a failed sync.

    The cache cannot be trusted: the kernel marks pages clean whose write failed.
    So the log is verified from the device and copied to a new file, whose first
    sync says what is true.
    """
    assert target.file is not None
    job = job or _REOPEN
    # Another process may have died behind the copy because a sync failed once more.
    if target.heal_due or job["id"] != target.mark_verified:
        job = _copy_from_device(target, job)
    _record(target, pending.drafts_from_json(job["drafts"]), job["offset"])
    _remove(target, "reopen")


def _copy_from_device(target: Log, job: pending.Job) -> pending.Job:
    files, file = target.files, target.file
    assert file is not None
    files.drop_cache(file)
    size = files.size(file)
    # From the beginning: nothing that was known of this file counts any more.
    scanner, tail = scan(target, size)
    if tail is None:
        assert scanner.error is not None
        raise scanner.error
    end = scanner.end
    staged = {**job, "inode": list(file.inode)}
    # In a copy that an earlier try has put in place, nothing but the record stands behind the end.
    if job["inode"] is None or staged == job:
        entry = keep(files, file, target.session_id, end, size, cause=SYNC_FAILED)
        drafts = pending.drafts_to_json([draft(entry, urandom(16))])
        staged = {**staged, "drafts": drafts, "offset": end}
    others = [j for j in pending.load(files, target.session_id) if j["job"] != "reopen"]
    pending.save(files, target.session_id, [*others, staged])
    temp = layout.temp_path(target.session_id)
    files.unlink(temp)
    copy = files.open(temp, write=True, create=True)
    try:
        files.try_lock(copy)  # Ours alone so far; held on when it takes the log's place.
        for offset in range(0, end, _CHUNK):
            write_all(files, copy, target.read(min(_CHUNK, end - offset), offset))
        files.sync(copy)
        files.rename(temp, target.path)
    except BaseException:
        copy.close()  # Or its lock would last as long as somebody holds this exception.
        raise
    target.use(copy)
    target.heal_due, target.mark_verified = False, job["id"]
    files.unlock(file)
    files.sync_directory(layout.hour_directory(target.session_id))
    log.warning("%s: verified from the device and copied, %d bytes", target.session_id, end)
    return staged


def _record(target: Log, drafts: Sequence[Draft], offset: int) -> None:
    """Append the recovery entry if it is not there, and bring it to disk."""
    assert target.file is not None
    tip = target.refresh()
    if tip.tail.state == "torn":  # This very record, torn by a crash: nobody else appends now.
        target.tip = None
        target.files.truncate(target.file, tip.tail.offset)
    elif tip.tail.state == "missing_lf":
        _mend_line_end(target, tip.tail)
    tip = target.refresh()
    if tip.is_born and not holds(target, drafts[0].digest, offset):
        target.append(drafts)
    target.files.sync_data(target.file)


def _remove(target: Log, kind: str) -> None:
    jobs = pending.load(target.files, target.session_id)
    pending.save(target.files, target.session_id, [j for j in jobs if j["job"] != kind])


def _mend_line_end(target: Log, tail: Tail) -> None:
    """Put the LF where it belongs; at every step between, readers count the append."""
    assert target.file is not None
    target.tip = None
    if tail.size:
        target.files.truncate(target.file, tail.offset)
    write_all(target.files, target.file, b"\n")
    # Before anything stands behind it: of a hole there, its record would be a part.
    target.files.sync_data(target.file)
    log.warning("%s: put back the missing end of the last line", target.session_id)


def _digest(target: Log, offset: int, end: int) -> str:
    hasher = blake3()
    for at in range(offset, end, _CHUNK):
        hasher.update(target.read(min(_CHUNK, end - at), at))
    return hasher.hexdigest()


def quarantine_unborn(target: Log) -> None:
    """Make an empty file of a log that never was one. Wants the lock."""
    quarantine_tail(target, 0)


def quarantine_tail(target: Log, offset: int) -> None:
    """Take what stands behind byte *offset* out of the log, with no record of that in it. Wants the lock."""
    file = target.file
    assert file is not None
    if (size := target.files.size(file)) > offset:
        kept = keep(target.files, file, target.session_id, offset, size, cause=TORN)
        what = "unfinished" if offset else "unborn"
        log.warning(
            "%s: %s, %d bytes kept in %s", target.session_id, what, kept.length, kept.quarantine
        )
        target.files.truncate(file, offset)
    target.tip = None
