"""
What `--fix` does, by the same steps as the next writer would.

Rules of this module:
  * Everything happens under the lock that belongs to it, which is only tried for a moment.
  * What was found is looked at again under the lock; nothing is done on old news.
  * Bytes that may be somebody's are kept in quarantine, never thrown away.
  * What is only removed is not brought to the device: if it comes back, it is found again.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ....errors import Corrupt, Locked, NotFound, UnsafePath, Unsupported
from ....ids import SessionId
from .. import forks, layout, pending
from ..blanking import finish_named
from ..core import FsCore
from ..deletion import begin_delete, finish_delete
from ..directories import ensure_directory
from ..listing import session_ids
from ..reading import FsReading
from ..recovery import quarantine_unborn, settle


def settle_log(session_id: SessionId, core: FsCore) -> None:
    """Finish what is pending and mend the tail, on disk."""
    core.flush(session_id)


def finish_erasures(session_id: SessionId, core: FsCore) -> None:
    """Blank what redactions in the log name, whoever has left it there."""
    target = core.log(session_id)
    with core.locked(target):
        if settle(target).is_born:
            finish_named(target)


def finish_deletion(session_id: SessionId, core: FsCore) -> None:
    """Take away all that a deleted session left."""
    target = core.log(session_id)
    try:
        target.lock(core.lock_timeout_s)
    except NotFound:  # The log is gone already, and so is everybody who would want its lock.
        _delete(session_id, core)
        return
    try:
        _delete(session_id, core)
    finally:
        target.unlock()


def _delete(session_id: SessionId, core: FsCore) -> None:
    jobs = pending.load(core.files, session_id)
    if all(job["job"] != "delete" for job in jobs):  # The tombstone is all that is left of it.
        begin_delete(core.files, session_id, None)
    finish_delete(core.files, session_id)


def remove_unborn(session_id: SessionId, core: FsCore) -> None:
    """Take away a log that never was one; its bytes are kept."""
    target = core.log(session_id)
    with core.locked(target):
        if settle(target).is_born:
            return
        quarantine_unborn(target)
        core.files.unlink(target.path)


@contextmanager
def _held(session_id: SessionId, core: FsCore) -> Iterator[None]:
    """Hold the lock of a log, if there is a log."""
    target = core.log(session_id)
    try:
        target.lock(core.lock_timeout_s)
    except NotFound:
        yield
        return
    try:
        with core.judged(target):
            yield
    finally:
        target.unlock()


def mark_child(parent: SessionId, child: SessionId, core: FsCore) -> None:
    """Make the marker of a fork."""
    with _held(parent, core):
        forks.mark_fork(core.files, parent, child)


def lives_on(reading: FsReading, child: SessionId, parent: SessionId) -> bool:
    """Return whether *child* is a fork of *parent*, or may be one: its beginning is damaged."""
    try:
        origin = reading.origin(child)
    except NotFound:
        return False
    except (Corrupt, Unsupported, UnsafePath):
        return True
    found = origin.forked_from
    return origin.by_reference and found is not None and found.session_id == parent


def unmark_child(parent: SessionId, child: SessionId, core: FsCore) -> None:
    """Remove the marker of a fork that is not born, or not of this parent."""
    files = core.files
    with _held(parent, core):
        if lives_on(core, child, parent):
            return
        files.unlink(layout.marker_path(parent, child))
        files.remove_directory(f"{layout.FORKS}/{parent}")


def rebuild_markers(core: FsCore) -> None:
    """Make the markers of all forks."""
    forks.rebuild(core.files, list(session_ids(core.files)), core.parent_of)


def put_in_place(path: str, to: str, core: FsCore) -> None:
    """Move a file to where it belongs; what is there already stays."""
    files = core.files
    above, new_above = (layout.parents(one)[0] for one in (path, to))
    ensure_directory(files, new_above)
    with suppress(FileExistsError):  # Perhaps half of this was done before.
        files.link(path, to)
    files.sync_directory(new_above)
    first, second = files.stat(path), files.stat(to)
    if first is not None and second is not None and first.inode == second.inode:
        files.unlink(path)
        files.sync_directory(above)


def remove_temp(path: str, core: FsCore) -> None:
    """Remove a temporary file that its maker has left."""
    files = core.files
    file = files.open(path)
    if not files.try_lock(file):
        raise Locked(files.name(path), waited_s=0)
    try:
        found = files.stat(path)
        if found is not None and found.inode == file.inode:
            files.unlink(path)
    finally:
        files.unlock(file)


def remove_mark_temp(session_id: SessionId, path: str, core: FsCore) -> None:
    """Remove the temporary file of a mark; who makes one holds the lock of the log."""
    with _held(session_id, core):
        core.files.unlink(path)


def remove_key_temp(path: str, core: FsCore) -> None:
    """Remove the temporary file of a key; who makes one holds the lock of the keys."""
    files = core.files
    lock = files.open(f"{layout.KEYS}/lock", write=True, create=True)
    if not files.try_lock(lock):
        raise Locked("the keys", waited_s=0)
    try:
        files.unlink(path)
    finally:
        files.unlock(lock)
