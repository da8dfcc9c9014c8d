"""
Looking into a log that is locked: for drafts, for what follows a record, for losses and damage.

Rules of this module:
  * Wants the append lock; what wants a clean tip says so. Changes nothing.
  * A record is believed only when the scanner has verified it, from a record that is known.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from ...chain import Draft, Head, Record, root_head
from ...entries import MAINTENANCE_KINDS, Position
from ...errors import Corrupt, HeadMismatch, NotFound, Unsupported
from ...redacted import Named, find_redactions
from ...scan import Scanner, Tail
from .log import Log, Written
from .quarantine import SYNC_FAILED
from .tip import find_seq

_CHUNK = 1024 * 1024
_LOSS = b'"cause":"%b"' % SYNC_FAILED.encode()


def find_place(
    log: Log,
    drafts: Sequence[Draft],
    anchor: Position | None,
    *,
    strict: bool,
    floor: Position | None = None,
    hint: int | None = None,
) -> Written | None:
    """
    Find *drafts* in the log if they are there already. Wants a clean tip.

    Args:
        anchor: The head that the append is made for.
        strict: Nothing but maintenance may follow *anchor*.
        floor: Where to begin looking, if earlier than *anchor*.
        hint: Where *anchor* ends in the present file.

    Raises:
        HeadMismatch: The drafts are not there, and *strict* does not hold.
    """
    tip = log.tip
    assert tip is not None
    look, behind = anchor, None
    if floor is not None and (anchor is None or floor.seq < anchor.seq):
        look, behind = floor, records_behind(log, floor)
    if behind is None and floor is not None and (hint is None or floor != anchor):
        behind = _behind_lost(log, floor, drafts)
        look = look if behind is None else None
    if behind is None:  # No floor, or one of another log: the drafts cannot be before the anchor.
        if anchor is None or is_last(anchor, tip.head):
            return None
        # Digests are salted: bytes that do not hold one cannot hold its record.
        if not strict and hint is not None and not holds(log, drafts[0].digest, hint):
            return None
        look, behind = anchor, records_behind(log, anchor)
    fits = look == anchor and behind is not None
    for records in behind or ():
        if found := _find(drafts, records):
            return log.written(
                Head(log.session_id, found.seq, found.ts, found.hash),
                found.offset + len(found.line) + 1,
            )
        if anchor is not None:
            fits = _still_fits(records, anchor, fits=fits)
    if strict and not fits:
        expected = None if anchor is None else _shown(anchor)
        raise HeadMismatch(log.session_id, expected=expected, actual=_shown(tip.head.position))
    return None


def _behind_lost(
    log: Log, floor: Position, drafts: Sequence[Draft]
) -> Iterator[list[Record]] | None:
    """Return all records if *floor* was lost from this log: an earlier try may have put *drafts* anywhere."""
    assert log.tip is not None
    if floor.session_id != log.session_id or is_last(floor, log.tip.head):
        return None
    if records_behind(log, floor) is not None or not holds(log, drafts[0].digest, 0):
        return None
    return _verified(log, scanner_from_start(log), log.tip.tail.offset)


def is_last(anchor: Position, head: Head) -> bool:
    """Return whether *anchor* is the record that *head* names."""
    return (
        anchor.hash == head.hash and anchor.seq == head.seq and anchor.session_id == head.session_id
    )


def _find(drafts: Sequence[Draft], records: Sequence[Record]) -> Record | None:
    """Return the last record of *drafts* if they stand in *records* as one run inside one append."""
    wanted = [(d.kind, d.digest) for d in drafts]
    start = next((i for i, r in enumerate(records) if (r.kind, r.digest) == wanted[0]), None)
    if start is None:
        return None
    run = records[start : start + len(wanted)]
    if [(r.kind, r.digest) for r in run] != wanted or any(r.batch == 0 for r in run[:-1]):
        return None
    return run[-1]


def _still_fits(records: Sequence[Record], anchor: Position, *, fits: bool) -> bool:
    """Return whether *anchor* is there, and nothing of weight behind it, as far as *records* tell."""
    for record in records:
        if record.seq == anchor.seq:
            fits = record.hash == anchor.hash
        elif record.seq > anchor.seq and record.kind not in MAINTENANCE_KINDS:
            return False
    return fits


def records_behind(log: Log, known: Position) -> Iterator[list[Record]] | None:
    """Return the verified records behind *known*, or None if that is not in this log. Wants a clean tip."""
    tip = log.tip
    assert tip is not None
    end = tip.tail.offset
    if known.session_id != log.session_id or known.seq > tip.head.seq:
        return None
    try:
        record = find_seq(log.read, end, log.session_id, known.seq, log.name)
    except NotFound:
        return None
    if record.hash != known.hash:
        return None
    head = Head(log.session_id, record.seq, record.ts, record.hash)
    scanner = Scanner(
        log.name,
        head,
        offset=record.end,
        allow_masked=True,
        replacements=_redactions(log, record.end),
    )
    return _verified(log, scanner, end)


def _verified(log: Log, scanner: Scanner, end: int) -> Iterator[list[Record]]:
    for offset in range(scanner.end, end, _CHUNK):
        yield scanner.feed(log.read(min(_CHUNK, end - offset), offset))
    scanner.finish()


def holds(log: Log, digest: bytes, offset: int) -> bool:
    """Return whether the bytes *digest* stand behind byte *offset*. Wants a clean tip."""
    assert log.tip is not None
    end = log.tip.tail.offset
    overlap = len(digest) - 1
    return any(
        digest in log.read(min(_CHUNK, end - at) + overlap, at) for at in range(offset, end, _CHUNK)
    )


def losses_behind(log: Log, known: Position) -> int:
    """Return how often data was lost to a failed sync since *known* was the head. Wants a clean tip."""
    behind = records_behind(log, known)
    if behind is not None:
        return len(_losses(behind))
    if not holds(log, _LOSS, 0):
        return 0
    # Lost itself: by one of the losses up to its seq, and each behind that came later.
    assert log.tip is not None
    seqs = _losses(_verified(log, scanner_from_start(log), log.tip.tail.offset))
    later = sum(seq > known.seq for seq in seqs)
    return later + (later < len(seqs))


def _losses(batches: Iterable[Sequence[Record]]) -> list[int]:
    """Return the seqs of the records that tell of data that was lost to a failed sync."""
    return [
        record.seq
        for records in batches
        for record in records
        if record.kind == "recovery" and _LOSS in (record.body or b"")
    ]


def first_append(log: Log) -> list[Record]:
    """Return the records that a born log was born with. Wants a clean tip."""
    assert log.tip is not None
    end = log.tip.tail.offset
    verified = _verified(log, scanner_from_start(log), end)
    records = next(records for records in verified if records)
    ends = next(i for i, record in enumerate(records) if record.batch == 0)
    return records[: ends + 1]


def scanner_from_start(log: Log) -> Scanner:
    """Return a scanner for all of the log; a fork whose first record was erased is known by its replacement."""
    return Scanner(
        log.name,
        root_head(log.session_id),
        allow_masked=log.allow_masked,
        replacements=_redactions(log, 0),
    )


def _redactions(log: Log, offset: int) -> Named:
    """Return what redactions behind byte *offset* name: all that names a record there is among them."""
    assert log.file is not None
    size = log.files.size(log.file)
    chunks = (log.read(min(_CHUNK, size - at), at) for at in range(offset, size, _CHUNK))
    return find_redactions(chunks, log.session_id)


def scan(log: Log, end: int) -> tuple[Scanner, Tail | None]:
    """
    Verify all of the log up to byte *end*.

    Returns:
        The scanner, and what the log ends with; None where the scanner has an `error`.
    """
    scanner = scanner_from_start(log)
    for offset in range(0, end, _CHUNK):
        scanner.feed(log.read(min(_CHUNK, end - offset), offset))
        if scanner.error is not None:
            return scanner, None
    tail = None
    with suppress(Corrupt, Unsupported):
        tail = scanner.finish()
    return scanner, tail


def check_damage(log: Log) -> None:
    """
    Refuse a log in which a reader has found damage, until the damage is gone.

    Raises:
        Corrupt: It is still there.
    """
    if log.damage is None:
        return
    assert log.file is not None
    found = log.files.stat(log.path)
    if found != log.damage_at:  # Somebody may have repaired it.
        error = scan(log, log.files.size(log.file))[0].error
        log.damage = error.anew() if isinstance(error, Corrupt) else None
        log.damage_at = found
    if log.damage is not None:
        raise log.damage.anew()


def _shown(position: Position) -> str:
    return f"(seq {position.seq}, hash {position.hash.hex()[:12]})"
