"""
The one reader of log bytes: what holds, what is torn, what is corrupt (docs/FORMAT.md §6).

Rules of this module:
  * Pure and incremental: feed it chunks of any size, the verdict is the same.
  * A record is given out only when its whole append is verified.
  * Nothing is skipped: after the first line that does not hold, only the
    question "torn or corrupt" is left.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Literal, NamedTuple

from .chain import (
    VERSION,
    Head,
    Invalid,
    Record,
    check_line,
    check_link,
    check_named,
    fork_head,
    other_version,
    root_head,
)
from .entries import Position
from .errors import ChainBroken, Corrupt, SessionStoreError, Unsupported
from .ids import SessionId
from .limits import LINE_BYTES_MAX
from .positions import position_from
from .runs import Run, check_run, recall_run

NUL_RUN = 16
"""Fewer consecutive NULs are damage, not a hole: one flipped bit makes a NUL of a space."""

_LONG = 1024 * 1024
_HOLE = re.compile(rb"\0{16}")
EMPTY: Mapping[tuple[int, bytes], bytes | None] = MappingProxyType({})


class Tail(NamedTuple):
    """
    What stands at the end of a log.

    Attributes:
        state: clean, torn, or missing_lf (the last append counts, its LF is not there).
        offset: Where the last complete append ends, its missing LF not counted.
        size: Bytes behind *offset*: the torn piece, or the one wrong byte.
        records: The append that only the end of the log could confirm (missing_lf).
    """

    state: Literal["clean", "torn", "missing_lf"]
    offset: int
    size: int
    records: tuple[Record, ...] = ()


class Rest:
    """
    What was read of a line that has no end yet: joined once, however often it grew.

    One block that grows, for the pieces of a line of 16 MiB would leave holes of their size.
    """

    def __init__(self) -> None:
        self._data = bytearray()

    @property
    def size(self) -> int:
        return len(self._data)

    def add(self, data: bytes) -> None:
        self._data += data

    def take(self) -> bytes:
        """Return all of it, and forget it."""
        data, self._data = bytes(self._data), bytearray()
        return data


class Scanner:
    """
    Verify the bytes of one log from a known point on.

    Args:
        path: For errors: the file, or the session id.
        head: The record before the first byte; seq −1 at the beginning of a log.
            Its hash may be empty if only what follows shall be checked.
        offset: Where in the log the first byte stands.
        trusted: Where the part ends that was verified before and has not changed since.
        replacements: What redactions of the log give for (seq, digest), wherever they
            stand: an erased session_start of a fork is checked by its replacement,
            and what they name is read as erased, whatever an erasure has left of it.
        skim: Give out only what may need a second look: all records that are withheld, all
            redactions, and perhaps some others.

    `error` holds what was found wrong; the records before it were given out.
    """

    def __init__(
        self,
        path: str,
        head: Head,
        *,
        offset: int = 0,
        trusted: int = 0,
        allow_masked: bool = False,
        replacements: Mapping[tuple[int, bytes], bytes | None] = EMPTY,
        skim: bool = False,
    ) -> None:
        self.head = head
        """The last record of the last complete append."""
        self.end = offset
        """Where that append ends."""
        self.origin: Position | None = None
        """The parent entry, if the log proved to be a fork by reference."""
        self.error: SessionStoreError | None = None
        self._path = path
        self._session_id: SessionId = head.session_id
        self._trusted = trusted
        self._allow_masked = allow_masked
        self._replacements = replacements
        self._skim = skim
        self._last = head
        self._offset = offset
        self._batch = 0
        self._pending: list[Record] = []
        self._rest = Rest()
        self._damage: Corrupt | None = None
        self._hole = False  # the line in progress behind the damage holds a NUL run
        self._is_long = False  # and is over the limit, so that only its end was kept
        self._total = offset

    def feed(self, data: bytes) -> list[Record]:
        """Take the next bytes; return the records of the appends that they complete."""
        self._total += len(data)
        if b"\n" not in data and self._rest.size + len(data) <= LINE_BYTES_MAX:
            self._rest.add(data)
            return []
        if self._rest.size > _LONG:  # It grows where it is: joined, it would be there once more.
            self._rest.add(data)
            data = b""
        buffer = self._rest.take() + data
        done: list[Record] = []
        at = 0
        while self.error is None and (end := buffer.find(b"\n", at)) >= 0:
            if self._damage is not None:
                self._behind_damage(buffer[at:end])
            elif run := self._run(buffer, at):
                before = self._offset
                self._count(run, done)
                end = at + self._offset - before - 1
            else:
                line = buffer[at:end]
                if len(line) > _LONG:  # Not held beside its copy while that is checked.
                    buffer, end = buffer[end + 1 :], -1
                self._take(line, done)
            at = end + 1
        if self.error is None:
            self._rest.add(buffer[at:])
            # A line of the full size may still have one wrong byte in its LF's place.
            if self._rest.size > LINE_BYTES_MAX:
                self._rest.add(self._shortened(self._rest.take()))
        return done

    def distrust(self) -> None:
        """Trust nothing more: what was verified before may be in the course of being erased."""
        self._trusted = 0

    def finish(self) -> Tail:
        """
        Say what the bytes end with.

        Raises:
            Corrupt, ChainBroken, Unsupported: `error`, or what only the end shows.
        """
        if self.error is None and (rest := self._rest.take()):
            if self._damage is not None:
                if self._holds_record(rest):
                    self.error = self._damage
            elif last := self._unterminated(rest):
                return last
        if self.error is not None:
            raise self.error
        behind = self._total - self.end
        return Tail("torn" if behind else "clean", self.end, behind)

    def _run(self, buffer: bytes, at: int) -> Run | None:
        """Take the lines from *at* on that need no second look."""
        if self._offset < self._trusted:
            return recall_run(buffer, at, self._last, self._offset, self._trusted)
        return check_run(buffer, at, self._last, self._batch, self._offset)

    def _take(self, line: bytes, done: list[Record]) -> None:
        try:
            record = self._check(line)
        except Invalid as invalid:
            self._found_damage(line, invalid)
            return
        self._last = Head(self._session_id, record.seq, record.ts, record.hash)
        self._offset, self._batch = record.end, record.batch
        self._pending.append(record)
        if record.batch == 0:
            self._append_ends(self._last, record.end, done)

    def _count(self, run: Run, done: list[Record]) -> None:
        """Go on behind *run*; the appends that end in it are done."""
        self._last, self._offset = run.place(run.taken)
        self._batch, whole = run.batch, run.whole
        records = [] if self._skim else run.records()
        self._pending += records[:whole]
        if whole:
            self._append_ends(*run.place(whole), done)
        self._pending += records[whole:]

    def _append_ends(self, head: Head, end: int, done: list[Record]) -> None:
        self.head, self.end = head, end
        done += self._pending
        self._pending.clear()

    def _check(self, line: bytes) -> Record:
        try:
            record = check_line(line, self._session_id, offset=self._offset)
        except Invalid:
            if not self._replacements:
                raise
            record = check_named(line, self._session_id, offset=self._offset)
            if (record.seq, record.digest) not in self._replacements:
                raise
        check_link(record, self._last, self._batch)
        if record.seq == 0:
            self._check_origin(record)
        if record.withheld == "masked" and not self._allow_masked:
            raise Invalid("a masked record in a store that holds none")
        return record

    def _check_origin(self, record: Record) -> None:
        body = record.body or self._replacements.get((0, record.digest))
        self.origin = check_origin(record.prev_hash, self._session_id, body)

    def _found_damage(self, line: bytes, invalid: Invalid) -> None:
        if self._decide_version(line):
            return
        self._damage = self._corrupt(invalid)
        self._behind_damage(line)

    def _decide_version(self, *lines: bytes, ended: bool = True) -> bool:
        """Say of the first line, in any of its readings, whether its version settles the log."""
        if self._last.seq >= 0:
            return False
        try:
            found = [other_version(line, self._session_id, ended=ended) for line in lines]
        except Invalid as invalid:
            self.error = self._corrupt(invalid)
            return True
        if found[0] is None:
            return False
        self.error = Unsupported(self._path, found=found[0], supported=VERSION)
        return True

    def _corrupt(self, invalid: Invalid) -> Corrupt:
        kind = ChainBroken if invalid.link else Corrupt
        seq = self._last.seq + 1
        return kind(self._path, line=seq + 1, offset=self._offset, seq=seq, why=invalid.why)

    def _behind_damage(self, line: bytes) -> None:
        """Torn is only a stretch of holes: no line without one, no record that holds."""
        has_hole = self._hole or _HOLE.search(line) is not None
        holds_record = self._holds_record(line)
        self._hole = self._is_long = False
        if not has_hole or holds_record:
            self.error = self._damage

    def _holds_record(self, line: bytes) -> bool:
        """Return whether *line* is a record, or ends with one behind a hole that took an LF along."""
        if self._is_long or len(line) > LINE_BYTES_MAX:
            return False
        for piece in {line, line.rpartition(b"\0")[2]}:
            with suppress(Invalid):
                check_line(piece, self._session_id)
                return True
        return False

    def _shortened(self, rest: bytes) -> bytes:
        """A line beyond the limit is never a record: return only what the verdict needs."""
        if self._damage is None:
            if self._decide_version(rest):
                return rest
            self._damage = self._corrupt(Invalid(f"longer than {LINE_BYTES_MAX} bytes"))
        self._hole = self._hole or _HOLE.search(rest) is not None
        self._is_long = True
        # A run of NULs may lie across two chunks. The blank keeps what follows from
        # being taken for a record.
        return b" " + rest[-(NUL_RUN - 1) :]

    def _unterminated(self, rest: bytes) -> Tail | None:
        if self._decide_version(rest, rest[:-1], ended=False):
            return None
        for size, line in ((0, rest), (1, rest[:-1])):
            try:
                record = self._check(line)
            except Invalid:
                continue
            if record.batch == 0:
                records = (*self._pending, record)
                self.head = Head(self._session_id, record.seq, record.ts, record.hash)
                self.end = record.end - 1
                return Tail("missing_lf", self.end, size, records)
        return None


def check_origin(prev_hash: bytes, session_id: SessionId, start: bytes | None) -> Position | None:
    """
    Return the parent entry that the first record of a log is linked to; None for a root.

    Args:
        start: What there is of its body: its own, or its replacement.

    Raises:
        Invalid: It is linked to neither the session's id nor a parent that *start* names.
    """
    if prev_hash == root_head(session_id).hash:
        return None
    parent = position_from(start or b"{}", "forked_from")
    if parent is None or fork_head(session_id, parent).hash != prev_hash:
        raise Invalid("linked neither to the session's id nor to a parent entry", link=True)
    return parent
