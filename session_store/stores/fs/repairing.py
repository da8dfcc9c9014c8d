"""Explicit repair: the log is cut at its first damage, the original is kept."""

from contextlib import suppress

from ...errors import Corrupt, NotFound
from ...scan import Tail
from ..protocol import Repair
from . import pending
from .finding import scan
from .log import Log
from .quarantine import REPAIR, TORN
from .recovery import cut, finish_jobs, replace_mark, settle
from .tip import Tip


def repair(target: Log) -> Repair:
    """
    Make *target* whole up to its first damage. Wants the append lock.

    Raises:
        NotFound: Not even the first append holds: there is nothing to repair to.

    Durability: on disk.
    """
    target.damage = None
    # A repair that was interrupted is finished, not begun a second time.
    mark = _readable_mark(target)
    with suppress(Corrupt):  # What stands in the way of healing is cut now.
        finish_jobs(target, pending.load(target.files, target.session_id))
    assert target.file is not None
    scanner, tail = scan(target, target.files.size(target.file))
    if scanner.error is not None:
        if not isinstance(scanner.error, Corrupt):
            raise scanner.error
        if scanner.head.seq < 0:
            raise NotFound(
                f"{target.name}: not even the first append holds; salvage what is readable"
            ) from scanner.error
        return _cut(target, Tip(scanner.head, Tail("torn", scanner.end, 0)), REPAIR)
    assert tail is not None
    if scanner.head.seq < 0:
        why = "the session was never born: nothing in it was ever acknowledged"
        raise NotFound(f"{target.name}: {why}")
    if tail.state == "torn":
        return _cut(target, Tip(scanner.head, tail), TORN)
    head = settle(target).head.position
    mended = tail.state == "missing_lf"
    return Repair(tail.offset if mended else None, tail.size, mark, head)


def _readable_mark(target: Log) -> str | None:
    """Replace the pending mark if it does not hold; return where it is kept."""
    try:
        pending.load(target.files, target.session_id)
    except Corrupt:
        return replace_mark(target).quarantine
    return None


def _cut(target: Log, tip: Tip, cause: str) -> Repair:
    entry = cut(target, tip, cause)
    head = settle(target).head.position
    return Repair(entry.offset, entry.length, entry.quarantine, head)
