"""Taking in ready lines: exact bytes of another store, verified against the log they continue."""

from typing import TYPE_CHECKING

from ...chain import Head, Invalid, Record, check_link, root_head
from ...codec import unfit
from ...entries import Position, Receipt
from ...errors import HeadMismatch, InvalidInput, NotFound
from ...ids import SessionId
from ...limits import APPEND_BYTES_MAX
from ...redacted import find_redactions
from ...scan import Scanner
from .erasing import take_in
from .log import Log, Written
from .parents import born_fork
from .recovery import quarantine_tail, settle
from .tip import find_seq

if TYPE_CHECKING:
    from .core import FsCore

_FIRST = b'{"v":1,"seq":'


def append_lines(core: "FsCore", session_id: SessionId, lines: bytes) -> Receipt:
    """
    Append whole appends as they stand in another store, or give birth to a log with them.

    Records that are in the log already are passed over, so a repeated call adds nothing.

    What redactions among them name is blanked before they are acknowledged.

    Raises:
        InvalidInput: They do not end with a whole append, or are none or too many bytes.
        HeadMismatch: They neither continue the log nor are part of it.
        ChainBroken, Corrupt: They do not hold.

    Durability: on disk.
    """
    if not 0 < len(lines) <= APPEND_BYTES_MAX:
        raise InvalidInput(f"{len(lines)} bytes, 1 to {APPEND_BYTES_MAX} in one call")
    target = core.log(session_id)
    records, origin = _verify(lines, session_id, allow_masked=core.allow_masked)
    while True:
        with born_fork(core, origin, session_id), core.made(target):
            written = _append(target, lines, records)
        if core.sync(target, written):
            return written.receipt(core.info.best)


def _verify(
    lines: bytes, session_id: SessionId, *, allow_masked: bool
) -> tuple[list[Record], Position | None]:
    """Return the records in *lines*, verified against one another, and the parent if they begin a fork."""
    digits = lines[len(_FIRST) :][:16].split(b",")[0]
    seq = int(digits) if digits.isdigit() else 0
    # Whether they continue the log is seen under its lock; here they need only hold together.
    head = Head(session_id, seq - 1, 0, b"") if seq else root_head(session_id)
    scanner = Scanner(
        f"lines for {session_id}",
        head,
        allow_masked=allow_masked,
        replacements=find_redactions([lines], session_id),
    )
    records = scanner.feed(lines)
    if scanner.finish().state != "clean":
        raise InvalidInput("the lines do not end with a whole append", source=session_id)
    return records, scanner.origin


def _append(target: Log, lines: bytes, records: list[Record]) -> Written:
    tip = settle(target, cuts=False)
    head = tip.head
    last = Head(target.session_id, records[-1].seq, records[-1].ts, records[-1].hash)
    if last.seq <= head.seq:
        return _known(target, last, head)
    fresh = next((r for r in records if r.seq == head.seq + 1), None)
    if fresh is None or (tip.is_born and fresh.prev_hash != head.hash):
        raise _mismatch(target, records[0].seq, head)
    try:
        check_link(fresh, head if tip.is_born else head._replace(hash=b""), 0)
    except Invalid as invalid:
        raise unfit(fresh, f"lines for {target.session_id}", invalid.why) from invalid
    if tip.tail.state == "torn":
        # No recovery record: with one, no line of the other store would ever fit again.
        quarantine_tail(target, tip.tail.offset)
        target.refresh()
    data = lines[fresh.offset :]
    erases = take_in(target, data, tip.tail.offset)
    written = target.write(data, last)
    if erases:
        settle(target, cuts=False)
    return written


def _known(target: Log, last: Head, head: Head) -> Written:
    """Return the note of lines that are in the log already."""
    try:
        record = find_seq(target.read, _end(target), target.session_id, last.seq, target.name)
    except NotFound:
        record = None
    if record is None or record.hash != last.hash:
        raise _mismatch(target, last.seq, head)
    return target.written(last, record.end)


def _end(target: Log) -> int:
    assert target.tip is not None
    return target.tip.tail.offset


def _mismatch(target: Log, seq: int, head: Head) -> HeadMismatch:
    return HeadMismatch(
        target.session_id,
        expected=f"the log that the lines from seq {seq} on belong to",
        actual=head.position,
    )
