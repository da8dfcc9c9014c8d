"""
Finding places in a log without reading all of it: its end, and a seq.

Rules of this module:
  * Reads only; whoever calls holds the lock or can live with a moving end.
  * O(1) and O(log n) reads on a log that holds; more only where something is wrong.
"""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple, TypeAlias

from ...chain import Head, Invalid, Record, check_line, check_named, root_head
from ...errors import Corrupt, NotFound
from ...ids import SessionId
from ...limits import APPEND_BYTES_MAX, BATCH_MAX, LINE_BYTES_MAX
from ...redacted import RedactionSearch, find_redactions
from ...scan import Scanner, Tail

Read: TypeAlias = Callable[[int, int], bytes]
"""(size, offset) -> bytes, fewer only at the end of the file."""

_BLOCK = 16 * 1024
_BEGIN = b'\n{"v":1,"seq":'
_CHUNK = 1024 * 1024


class Tip(NamedTuple):
    """
    The end of a log.

    Attributes:
        head: The newest record that counts; seq −1 if the log is unborn.
        tail: What stands behind it.
    """

    head: Head
    tail: Tail

    @property
    def is_born(self) -> bool:
        return self.head.seq >= 0


def read_tip(
    read: Read, size: int, session_id: SessionId, path: str, *, allow_masked: bool = False
) -> Tip:
    """
    Return the end of a log of *size* bytes.

    Raises:
        Corrupt: What follows the last complete append is neither an append in
            progress nor a torn tail.
        Unsupported: The log is of another version.

    Cost: one read of the last line, if that ends an append.
    """
    last = _last_append_end(read, size, session_id)
    if last is not None and last.withheld == "masked" and not allow_masked:
        why = "a masked record in a store that holds none"
        raise Corrupt(path, line=last.seq + 1, offset=last.offset, seq=last.seq, why=why)
    # Where no append ends in reach, all is read, in bounded memory.
    head = root_head(session_id) if last is None else _head(last, session_id)
    end = 0 if last is None else last.end
    if last is not None and end == size:
        return Tip(head, Tail("clean", end, 0))
    scanner = Scanner(path, head, offset=end, allow_masked=allow_masked)
    search = RedactionSearch(session_id)
    for data in _chunks(read, end, size):
        search.feed(data)
        if scanner.error is None:
            scanner.feed(data)
    # What is half blank is named by what stands behind it: a redaction without its LF, at the most.
    if named := search.finish():
        scanner = Scanner(path, head, offset=end, allow_masked=allow_masked, replacements=named)
        for data in _chunks(read, end, size):
            scanner.feed(data)
    tail = scanner.finish()
    return Tip(scanner.head, tail)


def _last_append_end(read: Read, size: int, session_id: SessionId) -> Record | None:
    """Return the last line that is a whole record and ends an append; None if it is out of reach."""
    for count, (begin, line) in enumerate(_lines_back(read, size)):
        # An unfinished append reaches no farther back than this.
        if count > BATCH_MAX + 1 or begin < size - APPEND_BYTES_MAX - LINE_BYTES_MAX:
            return None
        record = _checked(line, session_id, begin)
        if record is not None and record.batch == 0:
            return record
    return None


def _lines_back(read: Read, size: int) -> Iterator[tuple[int, bytes]]:
    """Give the lines that end with LF, and where they begin, the last one first; none too long for a record."""
    start, data, block = size, b"", _BLOCK
    is_line = False  # What is in *data* ends with the LF of a line.
    while start > 0:
        begin = max(start - block, 0)
        data, start = read(start - begin, begin) + data, begin
        block = min(block * 4, _CHUNK)
        end = len(data) if is_line else data.rfind(b"\n") + 1
        is_line = end > 0
        while is_line:
            at = data.rfind(b"\n", 0, end - 1) + 1
            if at == 0 and start > 0:
                break
            yield start + at, data[at : end - 1]
            end, is_line = at, at > 0
        is_line = is_line and end <= LINE_BYTES_MAX
        data = data[:end] if is_line else b""


def _checked(line: bytes, session_id: SessionId, offset: int) -> Record | None:
    try:
        return check_line(line, session_id, offset=offset)
    except Invalid:
        return None


def _head(record: Record, session_id: SessionId) -> Head:
    return Head(session_id, record.seq, record.ts, record.hash)


def find_seq(
    read: Read,
    end: int,
    session_id: SessionId,
    seq: int,
    path: str,
    *,
    named: Collection[tuple[int, bytes]] | None = None,
) -> Record:
    """
    Return the self-consistent record *seq* of a log whose last append ends at *end*.

    Damage elsewhere in the log does not matter. What an erasure has begun to blank is erased.

    Args:
        named: What redactions name, by seq and digest; None looks it up when it is wanted.

    Raises:
        NotFound: The log has no such record, or it does not hold.

    Cost: O(log n) reads; all of the log where the record is half blanked and *named* is None.
    """
    low, high = 0, end
    while low < high:
        middle = (low + high) // 2
        record = _first_record(read, middle, high, session_id)
        if record is None or record.seq > seq:
            high = middle
        elif record.seq < seq:
            low = record.end
        else:
            return record
    half = _half_blanked(read, low, end, session_id, seq)
    if half is not None:
        if named is None:
            # To the end that the log has now: what names the record may be behind *end*.
            named = find_redactions(_chunks(read), session_id)
        if (seq, half.digest) in named:
            return half
    raise NotFound(f"{path}: no record with seq {seq}")


def _chunks(read: Read, at: int = 0, end: int = sys.maxsize) -> Iterator[bytes]:
    while at < end and (data := read(min(_CHUNK, end - at), at)):
        yield data
        at += len(data)


def find_seqs(
    read: Read,
    end: int,
    session_id: SessionId,
    seqs: Iterable[int],
    path: str,
    *,
    named: Collection[tuple[int, bytes]] | None = None,
) -> Iterator[Record | None]:
    """Give the records *seqs*, which rise, as `find_seq` does; None for one that is not there."""
    before: Record | None = None
    for seq in seqs:
        found: Record | None = None
        if before is not None and before.seq == seq - 1:
            found = _first_record(read, before.end, before.end + 1, session_id)
        if found is None or found.seq != seq:
            try:
                found = find_seq(read, end, session_id, seq, path, named=named)
            except NotFound:
                found = None
        before = found
        yield found


def find_named(
    read: Read, end: int, session_id: SessionId, named: Collection[tuple[int, bytes]]
) -> Iterator[Record]:
    """
    Give what is *named* by seq and digest and stands up to byte *end*, in any order, holding or not.

    Cost: reads all of it.
    """
    for begin, line, _ in _lines_from(read, 0, end):
        with suppress(Invalid):
            record = check_named(line, session_id, offset=begin)
            if (record.seq, record.digest) in named:
                yield _checked(line, session_id, begin) or record


def _half_blanked(read: Read, at: int, end: int, session_id: SessionId, seq: int) -> Record | None:
    """Return record *seq* as erased if it stands among the lines from *at* on, but for its body."""
    for begin, line, _ in _lines_from(read, at, end):
        try:
            record = check_named(line, session_id, offset=begin)
        except Invalid:
            return None
        if record.seq >= seq:
            return record if record.seq == seq else None
    return None


def _first_record(read: Read, at: int, stop: int, session_id: SessionId) -> Record | None:
    """Return the first record that holds and begins in [*at*, *stop*)."""
    for begin, line, is_last in _lines_from(read, at, stop):
        record = _checked(line, session_id, begin)
        if record is None and is_last:
            # The last line counts with one wrong byte in its LF's place, too.
            record = _checked(line[:-1], session_id, begin)
        if record is not None:
            return record
    return None


def _lines_from(read: Read, at: int, stop: int) -> Iterator[tuple[int, bytes, bool]]:
    """Give where lines in [*at*, *stop*) begin as records do, these lines, and whether they have no LF."""
    before = b"\n" if at == 0 else b""  # The first line of a log has no LF in front of it.
    at -= 1
    while at < stop:
        block = before + read(_BLOCK - len(before), at + len(before))
        before, found = b"", block.find(_BEGIN)
        while 0 <= found < stop - at - 1:
            begin = found + 1
            end = block.find(b"\n", begin)
            line = block[begin:end] if end >= 0 else _line_at(read, at + begin)
            yield at + begin, line, end < 0 and not read(1, at + begin + len(line))
            found = block.find(_BEGIN, begin)
        if len(block) < len(_BEGIN):
            return
        at += len(block) - len(_BEGIN) + 1


def _line_at(read: Read, begin: int) -> bytes:
    size = _BLOCK
    while True:
        block = read(size, begin)
        found = block.find(b"\n")
        if found >= 0:
            return block[:found]
        if len(block) < size or size > LINE_BYTES_MAX:
            return block
        size = min(size * 8, LINE_BYTES_MAX + 1)
