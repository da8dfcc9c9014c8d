"""
What can be read in the bytes of any log: records that hold by themselves, and the stretches between.

Rules of this module:
  * A record counts wherever it stands: behind half a line, before a wrong line end, in a
    file that was rewritten with CRLF. Its hashes vouch for every byte of it.
  * One pass, in memory for one line.
"""

import re
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator

from attrs import define, field, frozen

from ..chain import Invalid, Record, check_line, compute_hash
from ..ids import SessionId
from ..limits import LINE_BYTES_MAX
from ..stores.protocol import Store

_HEAD = re.compile(rb'\{"v":1,"seq":[^{}]{1,400}?"digest":"[0-9a-f]{64}"')
_HASH = re.compile(rb',"hash":"([0-9a-f]{64})"\}')
_LINE_ENDS = b"\r\n\xef\xbb\xbf "
"""What editors put around lines: nothing is lost with it."""


@frozen
class Gap:
    """Bytes that are no record: *length* of them, from *offset*."""

    offset: int
    length: int


async def read_pieces(store: Store, session_id: SessionId) -> AsyncIterator[Record | Gap]:
    """Give the records of a log that hold by themselves, and the stretches between them, in order."""
    pieces, rest = _Pieces(session_id), b""
    async for chunk in store.raw(session_id):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            for piece in pieces.take(line, b"\n"):
                yield piece
        if len(rest) > LINE_BYTES_MAX:
            pieces.leave_out(rest)
            rest = b""
    for piece in (*pieces.take(rest, b""), *pieces.gap()):
        yield piece


@define
class _Pieces:
    _session_id: SessionId
    _offset: int = field(default=0, init=False)
    _gap: Gap | None = field(default=None, init=False)

    def take(self, line: bytes, end: bytes) -> Iterator[Record | Gap]:
        """Give what stands in a line, and the gap before it."""
        begin = self._offset
        for record in _records_in(line, self._session_id, begin):
            self.leave_out(line[self._offset - begin : record.offset - begin])
            yield from self.gap()
            yield record
            self._offset = record.offset + len(record.line)
        self.leave_out(line[self._offset - begin :] + end)

    def leave_out(self, data: bytes) -> None:
        if data.strip(_LINE_ENDS):
            begin = self._offset if self._gap is None else self._gap.offset
            self._gap = Gap(begin, self._offset + len(data) - begin)
        self._offset += len(data)

    def gap(self) -> Iterator[Gap]:
        if self._gap is not None:
            yield self._gap
            self._gap = None


def _records_in(line: bytes, session_id: SessionId, offset: int) -> Iterator[Record]:
    try:
        yield check_line(line, session_id, offset=offset)
    except Invalid:
        yield from _records_within(line, session_id, offset)


def _records_within(line: bytes, session_id: SessionId, offset: int) -> Iterator[Record]:
    """Give the records of a line that is more than one: the hash that a HEAD has tells where it ends."""
    ends: dict[bytes, int] = {}
    for found in _HASH.finditer(line):
        ends.setdefault(found[1], found.end())
    done = 0
    for head in _HEAD.finditer(line):
        end = ends.get(compute_hash(session_id, head[0]).hex().encode(), 0)
        if head.start() < done or end <= head.end():
            continue
        try:
            record = check_line(line[head.start() : end], session_id, offset=offset + head.start())
        except Invalid:
            continue
        yield record
        done = end


@define
class Seqs:
    """
    Which seqs of a log were found.

    Attributes:
        missing: The ranges that were not, as far as a later one was.
    """

    missing: list[range] = field(factory=list, init=False)
    _next: int = field(default=0, init=False)

    def find(self, seq: int) -> bool:
        """Note that *seq* was found; return whether it was not before."""
        if seq >= self._next:
            if seq > self._next:
                self.missing.append(range(self._next, seq))
            self._next = seq + 1
            return True
        at = bisect_right(self.missing, seq, key=lambda gap: gap.start) - 1
        if at < 0 or seq not in self.missing[at]:
            return False
        gap = self.missing[at]
        left = range(gap.start, seq), range(seq + 1, gap.stop)
        self.missing[at : at + 1] = [part for part in left if part]
        return True
