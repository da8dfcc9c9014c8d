"""
Truncation at every byte and every flipped bit of a log: each verdict against an oracle.

The oracle knows where the lines of a good log are, and nothing else of the code:
  * cut at byte n: the whole appends before n count; behind them clean, torn, or,
    one byte before the end of an append, a missing line end.
  * a flipped bit in line L: corrupt, at the place of line L, the whole appends
    before it readable; but in the last LF of the file a missing line end.
"""

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from os import urandom
from pathlib import Path
from random import Random

from attrs import asdict, frozen
from fs_tools import note

from session_store.chain import Head, link, root_head
from session_store.codec import draft
from session_store.entries import SessionStart, UnknownEntry
from session_store.errors import Corrupt, SessionStoreError
from session_store.ids import SessionId, new_session_id
from session_store.scan import Scanner
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.memory import MemoryFiles

from .subject import Row, Subject

SEED = 20261121
_SAMPLE = 1009
"""Of so many positions one is read whole, by the store; prime, so that every bit has its turn."""


@frozen
class Verdict:
    """What is at the end of a log: its state, and the newest seq that counts; or where it is corrupt."""

    state: str
    last: int
    seq: int | None = None
    offset: int | None = None


@frozen
class GoodLog:
    """
    A log that holds.

    Attributes:
        lines: Where each line begins, and at last where the file ends.
        ends: seq of the last record of each append.
        heads: The head behind each record.
    """

    session_id: SessionId
    data: bytes
    lines: list[int]
    ends: list[int]
    heads: list[Head]

    def whole_before(self, byte: int) -> int:
        """Return the seq of the last record of the last append that ends at or before *byte*."""
        line = bisect_right(self.lines, byte) - 1  # The line that *byte* is in.
        whole = bisect_right(self.ends, line - 1)
        return self.ends[whole - 1] if whole else -1

    def behind(self, seq: int) -> tuple[Head, int]:
        """Return the head behind record *seq*, and where that stands; −1 is the beginning."""
        head = self.heads[seq] if seq >= 0 else root_head(self.session_id)
        return head, self.lines[seq + 1]

    def after_cut(self, byte: int) -> Verdict:
        last = self.whole_before(byte)
        if byte == self.lines[last + 1]:
            return Verdict("clean", last)
        if (completed := self.whole_before(byte + 1)) > last:
            return Verdict("missing_lf", completed)
        return Verdict("torn", last)

    def after_flip(self, byte: int) -> Verdict:
        if byte == len(self.data) - 1:
            return Verdict("missing_lf", self.ends[-1])
        seq = bisect_right(self.lines, byte) - 1
        return Verdict("corrupt", self.whole_before(self.lines[seq]), seq, self.lines[seq])


def good_log(entries: int, seed: int) -> GoodLog:
    """Make a log of short entries in appends of one to three."""
    random, session_id = Random(seed), new_session_id()
    head, data, heads, ends, lines = root_head(session_id), b"", [], [], [0]
    appends = [[draft(SessionStart(session_id), urandom(16))]]
    while (made := sum(map(len, appends))) < entries:
        count = min(random.randint(1, 3), entries - made)
        appends.append([draft(UnknownEntry("x", {}), urandom(16)) for _ in range(count)])
    for drafts in appends:
        new, head = link(head, 1_700_000_000_000 + len(data), drafts)
        scanner = Scanner("good", heads[-1] if heads else root_head(session_id))
        for record in scanner.feed(new):
            heads.append(Head(session_id, record.seq, record.ts, record.hash))
            lines.append(lines[-1] + len(record.line) + 1)
        data += new
        ends.append(head.seq)
    return GoodLog(session_id, data, lines, ends, heads)


def judge(data: bytes, head: Head, offset: int) -> Verdict:
    """Return what the scanner says of *data*, which stands at *offset* behind the record *head*."""
    scanner = Scanner("log", head, offset=offset)
    scanner.feed(data)
    return _finish(scanner)


def _finish(scanner: Scanner) -> Verdict:
    try:
        tail = scanner.finish()
    except Corrupt as error:
        return Verdict("corrupt", scanner.head.seq, error.seq, error.offset)
    except SessionStoreError as error:
        return Verdict(type(error).__name__, scanner.head.seq)
    return Verdict(tail.state, scanner.head.seq)


class StoredLog:
    """A log in a store in memory, whose bytes are put there as they are."""

    def __init__(self, log: GoodLog) -> None:
        self._log = log
        self._files = MemoryFiles()
        self._core = FsCore(self._files)
        path = layout.log_path(log.session_id)
        self._node = self._files.new_node(b"")
        self._node.links = 1
        parents = [p for p in layout.parents(path) if p]
        self._files.fill({path: self._node}, parents)

    def read(self, data: bytes) -> Verdict:
        """Return what the store's reader says: the records it gives, and what it raises."""
        self._node.data[:] = data
        last = -1
        try:
            for batch in self._core.read(self._log.session_id):
                last = batch[-1].seq
        except Corrupt as error:
            return Verdict("corrupt", last, error.seq, error.offset)
        except SessionStoreError as error:
            return Verdict(type(error).__name__, last)
        return Verdict("holds", last)

    def append(self, data: bytes) -> tuple[Verdict, bytes]:
        """Append to *data*; return what that says, and the bytes of the log behind it."""
        self._node.data[:] = data
        core = FsCore(self._files)
        try:
            receipt = core.append(self._log.session_id, [note()], expected=ANY)
        except Corrupt as error:
            return Verdict("corrupt", -1, error.seq, error.offset), bytes(self._node.data)
        return Verdict("holds", receipt.seq), bytes(self._node.data)

    def head(self, data: bytes) -> Verdict:
        """Return what a read of the tail alone says."""
        self._node.data[:] = data
        try:
            return Verdict("holds", self._core.head(self._log.session_id).seq)
        except Corrupt as error:
            return Verdict("corrupt", -1, error.seq, error.offset)
        except SessionStoreError as error:
            return Verdict(type(error).__name__, -1)


def as_readers_see(verdict: Verdict) -> Verdict:
    """Return *verdict* as a reader tells it: torn and clean are the same, nothing at all is NotFound."""
    if verdict.state == "corrupt":
        return verdict
    return Verdict("NotFound" if verdict.last < 0 else "holds", verdict.last)


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@frozen
class Counts:
    """
    What was tried, and what came out wrong.

    Attributes:
        undetected: A flipped bit that nothing reported.
        misclassified: Another verdict than the oracle's, or another place.
    """

    tried: int = 0
    sampled: int = 0
    undetected: int = 0
    misclassified: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.tried + other.tried,
            self.sampled + other.sampled,
            self.undetected + other.undetected,
            self.misclassified + other.misclassified,
        )


def truncations(log: GoodLog, cuts: range, *, sample: int) -> Counts:
    """
    Cut at every byte of *cuts*.

    Each is scanned from the append before; one in *sample* by a reading of the
    whole file through the store.
    """
    stored, counts = StoredLog(log), Counts()
    for byte in cuts:
        expected = log.after_cut(byte)
        before = log.whole_before(byte)
        found = judge(log.data[log.lines[before + 1] : byte], *log.behind(before))
        counts += Counts(1, misclassified=found != expected)
        if byte % sample == 0:
            seen, data = as_readers_see(expected), log.data[:byte]
            is_wrong = stored.read(data) != seen or stored.head(data).last != seen.last
            counts += Counts(sampled=1, misclassified=is_wrong)
    return counts


def flips(log: GoodLog, bits: range, *, sample: int) -> Counts:
    """
    Flip every bit of *bits*, one at a time.

    Each is scanned from the append before its line to two lines behind it; what follows
    cannot change a verdict of "corrupt", and one in *sample* shows that by a
    reading of the whole file through the store.
    """
    stored, counts = StoredLog(log), Counts()
    for bit in bits:
        expected = log.after_flip(bit // 8)
        data, head, offset = _around(log, bit)
        found = judge(data, head, offset)
        whole = bit % sample == 0
        if whole:
            seen = as_readers_see(expected)
            changed = flip(log.data, bit)
            at_end = stored.head(changed)
            is_wrong = stored.read(changed) != seen or not _fits(at_end, expected, log)
            counts += Counts(sampled=1, misclassified=is_wrong)
        undetected = found.state in {"clean", "torn"}
        counts += Counts(1, 0, undetected, found != expected)
    return counts


def last_line(log: GoodLog) -> Counts:
    """
    Flip every bit of the last line, and append to each.

    Damage is refused and nothing is cut; only the last line end is put back.
    """
    stored, counts = StoredLog(log), Counts()
    for bit in range(8 * log.lines[-2], 8 * len(log.data)):
        expected, changed = log.after_flip(bit // 8), flip(log.data, bit)
        seen, after = stored.append(changed)
        if expected.state == "corrupt":
            where = Verdict("corrupt", -1, expected.seq, expected.offset)
            is_right = (seen, after) == (where, changed)
        else:
            is_right = seen.state == "holds" and after.startswith(log.data)
        counts += Counts(1, 1, seen.state != expected.state == "corrupt", not is_right)
    return counts


def _around(log: GoodLog, bit: int) -> tuple[bytes, Head, int]:
    line = log.after_flip(bit // 8).seq
    line = len(log.lines) - 2 if line is None else line
    before = log.whole_before(log.lines[line])
    head, begin = log.behind(before)
    end = log.lines[min(line + 3, len(log.lines) - 1)]
    return flip(log.data[begin:end], bit - 8 * begin), head, begin


def _fits(at_end: Verdict, expected: Verdict, log: GoodLog) -> bool:
    """A read of the tail sees damage of the last line only; nowhere does it give another head."""
    if at_end.state == "corrupt":
        return (at_end.seq, at_end.offset) == (expected.seq, expected.offset)
    in_last_line = expected.state == "corrupt" and expected.offset == log.lines[-2]
    return at_end == Verdict("holds", log.ends[-1]) and not in_last_line


def shares(total: int, parts: int) -> Iterator[range]:
    """Split 0 … *total* into *parts* ranges."""
    borders = [total * n // parts for n in range(parts + 1)]
    for begin, end in pairwise(borders):
        yield range(begin, end)


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    log = good_log(15 if smoke else 1000, SEED)
    cuts, bits, cores = len(log.data) + 1, 8 * len(log.data), os.cpu_count() or 1

    def spread(name: str, work: Callable[..., Counts], total: int, matrix: tuple[int, ...]) -> Row:
        with ProcessPoolExecutor(cores) as pool:
            jobs = [
                pool.submit(work, log, part, sample=_SAMPLE) for part in shares(total, 16 * cores)
            ]
            counts = sum((job.result() for job in jobs), Counts())
        return _row(name, log, counts, matrix)

    yield lambda: spread("cut at every byte", truncations, cuts, (36,))
    yield lambda: spread("every flipped bit", flips, bits, (37,))
    yield lambda: _row("flips of the last line", log, last_line(log), (38,))


def _row(name: str, log: GoodLog, counts: Counts, matrix: tuple[int, ...]) -> Row:
    said = {"entries": len(log.heads), "bytes": len(log.data), **asdict(counts)}
    return Row(name, said, counts.undetected + counts.misclassified, matrix)
