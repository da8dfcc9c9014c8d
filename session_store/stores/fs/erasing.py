"""
Beginning an erasure: what is asked is checked, made ready, and promised in a pending mark.

What happens then is in blanking.py; whoever holds the lock next finishes it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from os import urandom
from typing import TYPE_CHECKING

from ...chain import Draft, Record, link
from ...codec import draft
from ...entries import FORMAT_VERSION, IDENTITY, Json, Position, Receipt
from ...errors import NotErasable, NotFound, StoreFull
from ...ids import SessionId
from ...redacted import Target, find_redactions, redactions_of
from ...values import parse
from ..protocol import NEVER_ERASED
from . import pending
from .blanking import erase_job
from .log import Log, Written
from .recovery import settle
from .tip import find_seqs

if TYPE_CHECKING:
    from .core import FsCore

_CHUNK = 1024 * 1024


def erase(
    core: "FsCore",
    session_id: SessionId,
    targets: Sequence[Position],
    *,
    reason: str,
    by: str | None = None,
    replacements: Mapping[int, Mapping[str, Json]] | None = None,
    turns: Collection[int] = (),
) -> Receipt:
    """Erase *targets*; see `Store.erase`."""
    if not targets:
        raise ValueError("an erasure has at least one target")
    target = core.log(core.check_id(session_id))
    with core.locked(target):
        tip = settle(target)
        if not tip.is_born:
            raise NotFound(f"{target.name}: the session was never born")
        named = _checked(target, targets, replacements or {})
        drafts = [draft(entry, urandom(16)) for entry in redactions_of(named, reason, by)]
        link(tip.head, 0, drafts)  # A limit is broken before anything is promised.
        # The redaction refers to records, which must not be less durable than it is.
        if not core.sync(target, target.written(tip.head, tip.tail.offset)):
            raise NotFound(f"{target.name}: another program replaced the file")
        return _record(target, drafts, tip.tail.offset, turns).receipt(core.info.best)


def _record(target: Log, drafts: list[Draft], offset: int, turns: Collection[int]) -> Written:
    jobs = pending.load(target.files, target.session_id)
    job = erase_job(offset, pending.drafts_to_json(drafts), turns)
    pending.save(target.files, target.session_id, [*jobs, job])
    try:
        written = target.append(drafts)
    except StoreFull:
        pending.save(target.files, target.session_id, jobs)
        raise
    settle(target)
    return written


def take_in(target: Log, lines: bytes, offset: int) -> bool:
    """
    Promise to blank what redactions among *lines* name, which are about to be written at *offset*.

    Returns:
        Whether there are any: behind the write the log wants to be settled.
    """
    if not find_redactions([lines], target.session_id):
        return False
    jobs = pending.load(target.files, target.session_id)
    pending.save(target.files, target.session_id, [*jobs, erase_job(offset, [], ())])
    return True


def _checked(
    target: Log, targets: Iterable[Position], replacements: Mapping[int, Mapping[str, Json]]
) -> list[Target]:
    """Return what a redaction says of *targets*, each of them checked."""
    wanted = {position.seq: position for position in sorted(targets, key=lambda p: p.seq)}
    tip = target.refresh()
    found = find_seqs(target.read, tip.tail.offset, target.session_id, wanted, target.name)
    named: list[Target] = []
    for position, record in zip(wanted.values(), found, strict=True):
        if record is None or position != Position(target.session_id, record.seq, record.hash):
            raise NotFound(f"{target.name}: no record {position}")
        if record.kind in NEVER_ERASED:
            raise NotErasable(target.session_id, seq=record.seq, kind=record.kind)
        replacement = replacements.get(record.seq)
        if record.seq == 0:
            replacement = _with_identity(target, record, replacement or {})
        named.append((record.seq, record.digest.decode(), replacement))
    return named


def _with_identity(
    target: Log, record: Record, replacement: Mapping[str, Json]
) -> Mapping[str, Json]:
    """Return *replacement* as a session_start that leads to the same sessions as *record* did."""
    body = record.body
    if record.withheld == "erased":
        end = target.refresh().tail.offset
        chunks = (target.read(min(_CHUNK, end - at), at) for at in range(0, end, _CHUNK))
        body = find_redactions(chunks, target.session_id).get((0, record.digest))
    known = {"format": FORMAT_VERSION, "session_id": target.session_id}
    with suppress(ValueError):  # A body that is no JSON tells no more than that.
        known |= parse(body or b"{}")
    identity = {name: known[name] for name in IDENTITY if name in known}
    return {**identity, **{n: v for n, v in replacement.items() if n not in IDENTITY}}
