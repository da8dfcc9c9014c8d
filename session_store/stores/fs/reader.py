"""
Reading logs: verified, to the end they have when the reading begins, or on and on.

Rules of this module:
  * Never writes, never locks. An unfinished tail is in flight, not an error.
  * Damage is believed only when it is still there on a second look: a writer
    that rolls back and writes again can show a reader two halves.
"""

from collections.abc import Callable, Iterator, Sequence

from ...chain import Head, Record, root_head
from ...entries import Position, SessionOrigin
from ...errors import ChainBroken, Corrupt, NotFound, Unsupported
from ...ids import SessionId
from ...limits import APPEND_BYTES_MAX, LINE_BYTES_MAX
from ...positions import origin_from
from ...redacted import Named, RedactionSearch, find_redactions, withhold
from ...scan import Scanner
from . import layout
from .files import Files, FileStat, read_failed
from .opening import open_log
from .remembered import NOTHING, Remembered, Verified
from .tip import Tip, find_seq, read_tip

_CHUNK = 256 * 1024
_PIECE = 4 * 1024
_LOOKS = 3
_BATCH_BYTES = 4 * 1024 * 1024


class Reader:
    """
    One reader of one log.

    Args:
        allow_masked: The store is a masked replica.
        remembered: What was verified before, to read on from; None verifies everything.
    """

    def __init__(
        self,
        files: Files,
        session_id: SessionId,
        *,
        allow_masked: bool,
        remembered: Remembered | None = None,
    ) -> None:
        self.session_id = session_id
        self._remembered = remembered
        self.name = files.name(layout.log_path(session_id))
        self._mark_path = layout.pending_path(session_id)
        self._files = files
        self._allow_masked = allow_masked
        self._file = open_log(files, layout.log_path(session_id))

    @property
    def inode(self) -> tuple[int, int]:
        return self._file.inode

    def size(self) -> int:
        return self._files.size(self._file)

    def read(self, size: int, offset: int) -> bytes:
        try:
            return self._files.read(self._file, size, offset)
        except OSError as error:
            raise read_failed(error, self.name, offset) from error

    def check_place(self, head: Head, offset: int) -> None:
        """Raise ChainBroken if the record *head* does not end at byte *offset* any more."""
        if head.seq < 0:
            return
        end = b'"%b"}' % head.hash.hex().encode()
        if self.read(len(end), offset - 1 - len(end)) != end:
            why = "the log does not hold this record any more: it was cut off, or lost"
            line = head.seq + 1
            raise ChainBroken(self.name, line=line, offset=offset, seq=head.seq, why=why)

    def raw(self, start: int = 0) -> Iterator[bytes]:
        """Give the bytes as stored from *start* on, to the present end."""
        size = self.size()
        for offset in range(start, size, _CHUNK):
            yield self.read(min(_CHUNK, size - offset), offset)

    def _beginning(self) -> Iterator[bytes]:
        """Give the bytes as stored in pieces that grow: whoever asks wants the first append."""
        size, at, piece = self.size(), 0, _PIECE
        while at < size:
            yield self.read(min(piece, size - at), at)
            at, piece = at + piece, min(piece * 4, _CHUNK)

    def redactions(self, known: Verified = NOTHING) -> Named:
        return find_redactions(self.raw(known.end if known.is_plain else 0), self.session_id)

    def _known(self) -> Verified:
        """Return what is remembered of the log, if it is this file and still holds its end."""
        known = NOTHING if self._remembered is None else self._remembered.get(self.session_id)
        if known.inode != self.inode or known.end > self.size() or self._is_marked():
            return NOTHING
        try:
            self.check_place(known.head, known.end)
        except ChainBroken:
            return NOTHING
        return known

    def _is_marked(self) -> bool:
        """Return whether a sync may have failed, and what was verified be lost: the cache is dropped then."""
        return self._files.exists(self._mark_path)

    def head(self) -> Position:
        """Return the newest record that counts. Raises NotFound, Corrupt."""
        tip = self._tip()
        if not tip.is_born:
            raise NotFound(f"{self.name}: the session was never born")
        return tip.head.position

    def record(self, seq: int) -> Record:
        """Return the self-consistent record *seq*, withheld if a redaction names it."""
        end = self.size()
        found = find_seq(self.read, end, self.session_id, seq, self.name)
        return withhold(found, self.redactions())

    def position(self, seq: int) -> Position:
        """Return where the self-consistent record *seq* stands. Cost: O(log n) reads."""
        found = find_seq(self.read, self.size(), self.session_id, seq, self.name)
        return Position(self.session_id, seq, found.hash)

    def origin(self) -> SessionOrigin:
        """
        Return where the beginning of the log came from.

        Raises:
            NotFound: The log is unborn.
            Corrupt, Unsupported: Its first append does not hold.
        """
        try:
            first, parent = self._first({})
        except Corrupt:  # Or a fork whose first record was erased: its replacement tells.
            first, parent = self._first(self.redactions())
        if first.withheld == "erased":
            first = withhold(first, self.redactions())
        origin = origin_from(first.body or b"{}")
        if parent is None:
            return origin
        return SessionOrigin(parent, salvaged_from=origin.salvaged_from, by_reference=True)

    def _first(self, named: Named) -> tuple[Record, Position | None]:
        scanner = self.scanner(root_head(self.session_id), 0, named)
        for chunk in self._beginning():
            if records := scanner.feed(chunk):
                return records[0], scanner.origin
            if scanner.error is not None:
                break
        if records := list(scanner.finish().records):
            return records[0], scanner.origin
        raise NotFound(f"{self.name}: the session was never born")

    def first(self) -> Position | None:
        """Return the parent entry of a fork by reference, None for every other log."""
        scanner = self._begin({})
        if scanner.error is not None:  # Or a fork whose first record was erased, as for `origin`.
            scanner = self._begin(self.redactions())
        return scanner.origin

    def _begin(self, named: Named) -> Scanner:
        """Return a scanner that has seen the first append, or why there is none."""
        scanner = self.scanner(root_head(self.session_id), 0, named)
        for chunk in self._beginning():
            scanner.feed(chunk)
            if scanner.head.seq >= 0 or scanner.error is not None:
                break
        return scanner

    def _tip(self) -> Tip:
        looks = 0
        while True:
            size = self.size()
            try:
                return read_tip(
                    self.read, size, self.session_id, self.name, allow_masked=self._allow_masked
                )
            except Corrupt:
                looks += 1
                if looks == _LOOKS:
                    raise

    def records(self, start: int = 0, stop: int | None = None) -> Iterator[list[Record]]:
        """
        Give the verified records of complete appends, in batches.

        Raises:
            NotFound: The log is unborn.
            Corrupt: After everything before the damage was given.
        """
        known, searched = self._known(), self.size()
        named = self.redactions(known)
        any_born = start > 0
        for records in self._verified(*self.place_before(start), known, named, searched=searched):
            any_born = any_born or bool(records)
            inside = [
                withhold(r, named)
                for r in records
                if r.seq >= start and (stop is None or r.seq < stop)
            ]
            last_seq = records[-1].seq if records else -1
            del records  # What was given is not held while the next is read: a line may be 16 MiB.
            if inside:
                yield inside
            del inside
            if stop is not None and last_seq >= stop - 1:
                return
        if not any_born:
            raise NotFound(f"{self.name}: the session was never born")

    def place_before(self, start: int) -> tuple[Head, int]:
        """Return what stands before seq *start*, and where that seq begins."""
        if start == 0:
            return root_head(self.session_id), 0
        end = self.size()
        try:
            before = find_seq(self.read, end, self.session_id, start - 1, self.name)
        except NotFound:
            tip = self._tip()
            if not tip.is_born:
                raise NotFound(f"{self.name}: the session was never born") from None
            if tip.head.seq >= start - 1:
                # It is there, and does not hold: reading from the beginning says where.
                return root_head(self.session_id), 0
            return tip.head, tip.tail.offset + (tip.tail.state == "missing_lf")
        return Head(self.session_id, before.seq, before.ts, before.hash), before.end

    def _verified(
        self, head: Head, offset: int, known: Verified, named: Named, *, searched: int
    ) -> Iterator[list[Record]]:
        """
        Give the records from *offset* on as they stand in the log.

        Args:
            named: What its redactions name up to byte *searched*; it grows with the log.
        """
        looks = 0
        plain_to = 0 if named else searched
        goes_on = offset <= known.end
        while True:
            scanner = self.scanner(head, offset, named, trusted=known.end)
            size = self.size()
            try:
                for at in range(offset, size, _CHUNK):
                    data = self.read(min(_CHUNK, size - at), at)
                    if at < known.end and (self.size() != searched or self._is_marked()):
                        # What is in *data* may have been named, and half blanked, since; or lost.
                        scanner.distrust()
                    records = scanner.feed(data)
                    del data
                    if goes_on and scanner.end > known.end:
                        self._remember(scanner, is_plain=scanner.end <= plain_to)
                    yield records
                    del records
                    if scanner.error is not None:
                        break
                yield list(scanner.finish().records)
            except Corrupt:
                looks += 1
                if looks == _LOOKS:
                    raise
                head, offset = scanner.head, scanner.end
                grown = self.size()
                if grown != searched:
                    named.update(self.redactions())
                    searched, plain_to = grown, 0
            else:
                return

    def _remember(self, scanner: Scanner, *, is_plain: bool) -> None:
        if self._remembered is not None:
            self._remembered.put(Verified(self.inode, scanner.head, scanner.end, is_plain))

    def scanner(self, head: Head, offset: int, named: Named, *, trusted: int = 0) -> Scanner:
        return Scanner(
            self.name,
            head,
            offset=offset,
            trusted=trusted,
            allow_masked=self._allow_masked,
            replacements=named,
        )


class Follower:
    """
    A reader that goes on: each `more` gives what has arrived.

    It looks again from the last complete append that it gave, so a file that was
    replaced, or rolled back and written again, does not disturb it.

    Args:
        check: Raises NotFound once the session was deleted.
    """

    def __init__(
        self,
        files: Files,
        session_id: SessionId,
        start: int,
        *,
        allow_masked: bool,
        check: Callable[[], object],
    ) -> None:
        self._files = files
        self._check = check
        self._session_id = session_id
        self._allow_masked = allow_masked
        self._start = start
        self._reader: Reader | None = None
        self._place: tuple[Head, int] | None = None
        self._named: Named = {}
        self._searched = 0
        self._searched_at: FileStat | None = None
        self._seen: FileStat | None = None
        self._looks = 0

    def more(self) -> list[Record]:
        """
        Return the records that arrived since the last call, perhaps none.

        Raises:
            NotFound: The session is not there, or was deleted.
            Corrupt: The log is damaged behind what was given, or does not hold that any more.
        """
        self._check()
        found = self._files.stat(layout.log_path(self._session_id))
        if found is None:
            raise NotFound(f"{self._session_id}: no such session")
        if found == self._seen:
            return []
        reader = self._reader
        if reader is None or reader.inode != found.inode:
            reader = self._reader = Reader(
                self._files, self._session_id, allow_masked=self._allow_masked
            )
            self._searched = 0
        size = reader.size()
        place = self._place or reader.place_before(self._start)
        reader.check_place(*place)
        if found != self._searched_at:
            self._search(reader, place[1], size)
            self._searched_at = found
        scanner = reader.scanner(*place, self._named)
        records: list[Record] = []
        is_enough = False
        for at in range(place[1], size, _CHUNK):
            records += scanner.feed(reader.read(min(_CHUNK, size - at), at))
            is_enough = bool(records) and at - place[1] >= _BATCH_BYTES
            if is_enough or scanner.error is not None:
                break
        self._looks = self._looks + 1 if scanner.error is not None and not records else 0
        if scanner.error is not None and self._looks == _LOOKS:
            raise scanner.error
        end = scanner.end
        if not is_enough and scanner.error is None:
            last = _last_without_lf(scanner)
            records += last
            end = scanner.end + bool(last)  # Where its LF belongs; the next writer puts it there.
        self._place = scanner.head, end
        if end == found.size:
            self._seen = found
        return [withhold(r, self._named) for r in records if r.seq >= self._start]

    def _search(self, reader: Reader, offset: int, size: int) -> None:
        """Look up what redactions up to the end name, before anything before the end is given."""
        search = RedactionSearch(self._session_id)
        for at in range(max(offset, self._searched), size, _CHUNK):
            search.feed(reader.read(min(_CHUNK, size - at), at))
        self._named = {**self._named, **search.finish()}
        # Farther back nothing can be rolled back and written anew.
        self._searched = max(0, size - APPEND_BYTES_MAX - LINE_BYTES_MAX)


def _last_without_lf(scanner: Scanner) -> Sequence[Record]:
    """Return the append that counts though its last LF is not there; what else is unfinished is in flight."""
    try:
        return scanner.finish().records
    except (Corrupt, Unsupported):
        return ()
