"""Pending marks: what something interrupted left to do, and whether it can still be done."""

from collections.abc import Iterator
from functools import partial

from ....errors import Corrupt
from ....ids import SessionId
from .. import layout, pending
from . import mending
from .findings import FIX, Case, Check, Severity, StoreFinding, id_of
from .leftovers import foreign_check, temp_check
from .rights import file_check

_JOBS = {
    "cut": "interrupted",
    "reopen": "sync-failed",
    "delete": "delete-unfinished",
    "erase": "erasure-unfinished",
}
_SYNC_FAILED = (
    "a sync to the device failed: handles opened before are refused, and what was appended "
    "since the last one may be lost; the next append verifies the log from the device"
)
_WHY = {
    "cut": "a recovery or a repair was interrupted; the next append finishes it",
    "reopen": _SYNC_FAILED,
    "delete": "a delete was interrupted; its files may still be there",
    "erase": (
        "an erasure was interrupted: bytes of what it erases may still be there, and no reader "
        "is given them; the next append finishes it"
    ),
}


def mark_checks(case: Case) -> Iterator[Check]:
    """Give the checks of everything in `pending/`."""
    for name in case.names(layout.PENDING):
        path = f"{layout.PENDING}/{name}"
        session_id = id_of(name.removesuffix(layout.TEMP_SUFFIX))
        if session_id is None:
            yield foreign_check(case, path)
        elif name != session_id:
            yield temp_check(case, path, partial(mending.remove_mark_temp, session_id, path))
        else:
            yield file_check(case, path, session_id)
            yield Check(path, partial(_look, case, path, session_id), session_id)


def _look(case: Case, path: str, session_id: SessionId) -> Iterator[StoreFinding]:
    found = case.files.stat(path)
    if found is None or not found.is_regular:
        return
    if case.is_deleted(session_id):
        fix = partial(mending.finish_deletion, session_id)
        yield StoreFinding(
            "delete-unfinished", "warning", path, _WHY["delete"], FIX, session_id, fix
        )
        return
    try:
        jobs = [str(job["job"]) for job in pending.load(case.files, session_id)]
    except Corrupt as damage:
        yield _damaged(case, path, session_id, damage)
        return
    if case.files.stat(layout.log_path(session_id)) is None and jobs and "delete" not in jobs:
        why = (
            "the log that this mark of unfinished work belongs to is not there. Bring it back "
            "from a copy; if it is gone for good, the mark has no use"
        )
        mend = f"rm -- {case.shown(path)}"
        yield StoreFinding("mark-without-log", "error", path, why, mend, session_id)
        return
    for job in jobs:
        if job not in _JOBS:
            why = f"holds a job that this program does not know: {job[:40]!r}"
            yield StoreFinding("unsupported", "error", path, why, session_id=session_id)
            continue
        severity: Severity = "error" if job == "reopen" else "warning"
        finish = mending.finish_deletion if "delete" in jobs else mending.settle_log
        fix = partial(finish, session_id)
        yield StoreFinding(_JOBS[job], severity, path, _WHY[job], FIX, session_id, fix)


def _damaged(case: Case, path: str, session_id: SessionId, damage: Corrupt) -> StoreFinding:
    if case.files.stat(layout.log_path(session_id)) is None:
        mend = f"rm -- {case.shown(path)}"
    else:
        mend = f"session-store repair {session_id}"
    why = f"{damage.why}; until then the session refuses appends"
    return StoreFinding("mark-damaged", "error", path, why, mend, session_id)
