"""
Finishing an erasure: from its pending mark to a store that holds no byte of what was erased.

Rules of this module:
  * Wants the append lock. Nothing is blanked before the redaction that names it is on the device.
  * Copies go first: they are recognised by what the log still holds.
  * Every step may be the last one: a redo finds what was done and does the rest.
"""

import logging
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from os import urandom

from ...chain import SAFE_INT_MAX, TRAIL_SIZE, Invalid, Record, erased_body
from ...codec import draft
from ...entries import Json
from ...errors import NotFound, StoreFull
from ...ids import SessionId
from ...redacted import Named, find_redactions, named_by, redactions_of
from ...scan import check_origin
from ...values import decode
from ..protocol import NEVER_ERASED
from . import layout, pending
from .files import Files, OpenFile
from .finding import holds
from .log import FULL, Log
from .tip import find_named, find_seqs

log = logging.getLogger("session_store")

_CHUNK = 1024 * 1024
_OVERLAP = 128
_MARKS = re.compile(rb'"digest":"([0-9a-f]{64})"(?!}|,"seq":)|(?<="salt":")([0-9a-f]{32})"')
"""What shows a record: its digest, but where a redaction names it, and its salt."""
_EVENT = re.compile(rb'\{"ts":([0-9]{1,16}),"turn":([0-9]{1,16}),"kind":"')
_EVENT_BYTES_MAX = 64


def erase_job(offset: int, drafts: Sequence[Json], turns: Collection[int]) -> pending.Job:
    """
    Return the job of one erasure.

    Args:
        offset: Where its redactions will stand, or behind it.
        drafts: Those redactions, as a mark keeps them; none are ready lines of another store,
            which bring them along.
        turns: Turns whose events in the trace go too.
    """
    return {"job": "erase", "offset": offset, "drafts": list(drafts), "turns": sorted(turns)}


def finish_erase(target: Log, job: pending.Job) -> None:
    """
    Do what an erase *job* has left to do, and take it off the mark. Wants a clean tip.

    Raises:
        StoreFull: No room to blank; it goes on with the next append.

    Durability: the redaction, then what was blanked, then the mark's removal.
    """
    assert target.file is not None
    files = target.files
    drafts = pending.drafts_from_json(job["drafts"])
    if target.refresh().is_born:
        if drafts and not holds(target, drafts[0].digest, job["offset"]):
            target.append(drafts)
        files.sync_data(target.file)
        named = _promised([job])
        end = target.refresh().tail.offset
        if not drafts:
            named = find_redactions(_chunks(target, job["offset"], end), target.session_id)
        blank(target, named, end, turns=job["turns"])
    jobs = pending.load(files, target.session_id)
    pending.save(files, target.session_id, [each for each in jobs if each != job])


def finish_named(target: Log) -> None:
    """Blank whatever redactions in the log name and is not blank, mark or no mark."""
    assert target.file is not None
    target.files.sync_data(target.file)
    end = target.refresh().tail.offset
    blank(target, find_redactions(_chunks(target, 0, end), target.session_id), end)


def erase_in_front(target: Log, end: int, *, begun: bool) -> list[pending.Job]:
    """
    Blank what redactions behind byte *end* name in front of it: the log will be cut there.

    Args:
        begun: Only what is blank in part already. Nothing that is cut was ever acknowledged.

    Returns:
        The jobs that put these redactions behind the cut again, unless a job is there that does.
    """
    assert target.file is not None
    size = target.files.size(target.file)
    named = find_redactions(_chunks(target, end, size), target.session_id)
    wanted = sorted({seq for seq, _ in named})
    found = find_seqs(target.read, end, target.session_id, wanted, target.name, named=named)
    standing = {
        (record.seq, record.digest): named[record.seq, record.digest]
        for record in found
        if record is not None
        and (record.seq, record.digest) in named
        and (record.withheld == "erased" or not begun)
    }
    if not standing:
        return []
    target.files.sync_data(target.file)
    blank(target, standing, end)
    promised = _promised(pending.load(target.files, target.session_id))
    targets = [
        (seq, digest.decode(), None if body is None else decode(body))
        for (seq, digest), body in standing.items()
        if (seq, digest) not in promised
    ]
    if not targets:
        return []
    again = redactions_of(targets, "named by a redaction that was cut", None)
    drafts = ([draft(entry, urandom(16))] for entry in again)
    return [erase_job(end, pending.drafts_to_json(each), ()) for each in drafts]


def _promised(jobs: Sequence[pending.Job]) -> Named:
    """Return what the redactions of erase *jobs* name."""
    named: Named = {}
    for job in jobs:
        for each in pending.drafts_from_json(job["drafts"]) if job["job"] == "erase" else ():
            named.update(named_by(each.body, SAFE_INT_MAX))
    return named


def _chunks(target: Log, begin: int, end: int) -> Iterator[bytes]:
    return (target.read(min(_CHUNK, end - at), at) for at in range(begin, end, _CHUNK))


def blank(target: Log, named: Named, end: int, *, turns: Collection[int] = ()) -> None:
    """
    Blank salt and body of what is *named* and stands in the log up to byte *end*, and every copy beside it.

    Durability: on disk. What is blank is written once more: it may be so in the cache alone,
        by an erasure whose sync failed where that could not be marked.
    """
    assert target.file is not None
    files, session_id = target.files, target.session_id
    _drop_temp(target)
    _blank_kept(target, named, end)
    if turns:
        _blank_events(files, session_id, frozenset(turns))
    file: OpenFile | None = None
    count = 0
    for record in _standing(target, named, end):
        if file is None:
            file = files.open_in_place(target.path)
            if file.inode != target.file.inode:
                raise NotFound(f"{target.name}: another program replaced the file")
        size = len(record.line) - TRAIL_SIZE - record.head_size
        _overwrite(files, file, record.offset + record.head_size, erased_body(size), target.name)
        count += 1
    if count:
        files.sync_data(target.file)
        log.info("%s: %d records erased", session_id, count)


def _standing(target: Log, named: Named, end: int) -> Iterator[Record]:
    """Give the records that are *named*, stand in the log up to byte *end*, and may be blanked."""
    for record in _found(target, named, end):
        why = _why_not(record, target.session_id, named[record.seq, record.digest])
        if why is None:
            yield record
        else:
            log.warning("%s: record %d is not erased: %s", target.name, record.seq, why)


def _why_not(record: Record, session_id: SessionId, replacement: bytes | None) -> str | None:
    """Say why *record* stays as it is, whatever another program's redaction wants: the log would not hold."""
    if record.withheld == "erased":
        return None  # It was begun: nothing is left of it to keep.
    if record.kind in NEVER_ERASED:
        return f"a {record.kind} never is"
    if record.seq == 0 and _leads(record, session_id, record.body):
        return None if _leads(record, session_id, replacement) else "its replacement does not do"
    return None


def _leads(first: Record, session_id: SessionId, body: bytes | None) -> bool:
    """Return whether a log is known to be what it is by this *body* of its *first* record."""
    try:
        check_origin(first.prev_hash, session_id, body)
    except Invalid:
        return False
    return True


def _found(target: Log, named: Named, end: int) -> Iterator[Record]:
    """Give the records that are *named*: by halves, and line by line what that does not find."""
    missing = set(named)
    seqs = sorted({seq for seq, _ in named})
    for record in find_seqs(target.read, end, target.session_id, seqs, target.name, named=named):
        if record is not None and (record.seq, record.digest) in missing:
            missing.remove((record.seq, record.digest))
            yield record
    if missing:  # It was cut off, or the lines are out of order.
        yield from find_named(target.read, end, target.session_id, missing)


def _overwrite(files: Files, file: OpenFile, offset: int, data: bytes, name: str) -> None:
    while data:
        try:
            size = files.write_at(file, data, offset)
        except OSError as error:
            if error.errno not in FULL:
                raise
            why = "what is to be erased is given out no more, the next append goes on"
            raise StoreFull(f"{name}: {error.strerror}; {why}") from error
        offset, data = offset + size, data[size:]


# -- copies beside the log --------------------------------------------------------------------


def _drop_temp(target: Log) -> None:
    """
    Remove a copy of the log that never took its place, unless somebody is at work with it.

    Durability: on disk, also what an earlier try has removed.
    """
    assert target.file is not None
    files, temp = target.files, layout.temp_path(target.session_id)
    found = files.stat(temp)
    if found is not None and found.is_regular and found.inode != target.file.inode:
        with suppress(FileNotFoundError):
            file = files.open(temp)
            if files.try_lock(file):
                files.unlink(temp)
                files.unlock(file)
    files.sync_directory(layout.hour_directory(target.session_id))


def _blank_kept(target: Log, named: Named, end: int) -> None:
    """Blank what is *named* in the pieces that were taken out of the log, by digest or salt."""
    files, session_id = target.files, target.session_id
    names = [name for name in files.names(layout.QUARANTINE) if name.startswith(session_id)]
    kept = [path for name in names if _is_file(files, path := f"{layout.QUARANTINE}/{name}")]
    if not kept:
        return
    marks = {digest for _, digest in named}
    marks.update(record.salt for record in _standing(target, named, end) if record.salt is not None)
    for path in kept:
        file = files.open_in_place(path)
        places = list(_marked(files, file, marks))
        for offset in places:
            line_end = _line_end(files, file, offset)
            for at in range(offset, line_end, _CHUNK):
                blanks = b" " * min(_CHUNK, line_end - at)
                _overwrite(files, file, at, blanks, files.name(path))
        if places:
            files.sync(file)


def _is_file(files: Files, path: str) -> bool:
    """Return whether a file is at *path*: what else may be put there is not followed, nor waited for."""
    found = files.stat(path)
    return found is not None and found.is_regular


def _marked(files: Files, file: OpenFile, marks: Collection[bytes]) -> Iterator[int]:
    """Give where a salt begins, or a digest ends, that is one of *marks*."""
    size = files.size(file)
    for at in range(0, size, _CHUNK):
        data = files.read(file, min(_CHUNK + _OVERLAP, size - at), at)
        for found in _MARKS.finditer(data):
            if found[1] in marks:
                yield at + found.end()
            elif found[2] in marks:
                yield at + found.start()


def _line_end(files: Files, file: OpenFile, offset: int) -> int:
    size = files.size(file)
    for at in range(offset, size, _CHUNK):
        found = files.read(file, min(_CHUNK, size - at), at).find(b"\n")
        if found >= 0:
            return at + found
    return size


def _blank_events(files: Files, session_id: SessionId, turns: Collection[int]) -> None:
    """Put a note of a missing event in the place of every event of *turns*, at the same length."""
    path = layout.trace_path(session_id)
    if not _is_file(files, path):
        return
    file = files.open_in_place(path)
    for begin, end, head in _lines(files, file):
        event = _EVENT.match(head)
        if event is not None and int(event[2]) in turns:
            note = b'{"ts":%b,"turn":%b,"kind":"dropped","data":1}' % event.groups()
            data = note.ljust(end - begin) if len(note) <= end - begin else b" " * (end - begin)
            _overwrite(files, file, begin, data, files.name(path))
    files.sync(file)


def _lines(files: Files, file: OpenFile) -> Iterator[tuple[int, int, bytes]]:
    """Give where each line begins and ends, its LF not counted, and what it begins with."""
    size, begin, head = files.size(file), 0, b""
    for at in range(0, size, _CHUNK):
        data, start = files.read(file, min(_CHUNK, size - at), at), 0
        while (end := data.find(b"\n", start)) >= 0:
            yield begin, at + end, _beginning(head, data[start:end])
            begin, start, head = at + end + 1, end + 1, b""
        head = _beginning(head, data[start:])
    if begin < size:
        yield begin, size, head


def _beginning(head: bytes, more: bytes) -> bytes:
    return head + more[: _EVENT_BYTES_MAX - len(head)]
