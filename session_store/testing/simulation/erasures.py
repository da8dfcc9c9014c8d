"""What of one log was to be erased: how much of it may still be there, and who may still be given it."""

from collections.abc import Iterable, Iterator

from attrs import define, field

from ...chain import TRAIL_SIZE, Draft, Invalid, Record, check_named, erased_body, is_blank
from ...entries import Position
from ...ids import SessionId
from ...redacted import find_redactions, named_by
from ...stores.protocol import NEVER_ERASED


@define(eq=False)
class Erasures:
    """
    Attributes:
        asked: By digest: the draft of each record that somebody has tried to erase.
        done: Digests of those whose erasure was acknowledged.
        withheld: Of those of which a reader was told that they are erased.
    """

    _session_id: SessionId
    asked: dict[bytes, Draft] = field(factory=dict, init=False)
    done: set[bytes] = field(factory=set, init=False)
    withheld: set[bytes] = field(factory=set, init=False)

    def known(self) -> frozenset[bytes]:
        """Return the digests of what no reader may be given who begins now."""
        return frozenset(self.done | self.withheld)

    def give(self, records: Iterable[Record], erased: frozenset[bytes]) -> list[Record]:
        """
        Take it that a reader was given *records*.

        Args:
            erased: What was known when it began.

        Returns:
            What should have been withheld.
        """
        # What a failed sync or a loss of power has taken is known no more.
        still = erased & self.known()
        wrong = [r for r in records if r.digest in still and r.withheld != "erased"]
        self.withheld.update(r.digest for r in records if r.withheld == "erased")
        return wrong

    def begins(self, data: bytes, wanted: bytes) -> bool:
        """Return whether *data* begins with *wanted*, except for bodies that are being blanked."""
        if data.startswith(wanted):
            return True
        lines, found = wanted.split(b"\n"), data[: len(wanted)].split(b"\n")
        return len(found) == len(lines) and all(
            one == line or self._is_in_between(one, line)
            for one, line in zip(found, lines, strict=True)
        )

    def _is_in_between(self, found: bytes, line: bytes) -> bool:
        """Return whether every byte of a record is the one that was written, or blank."""
        record = self._record(line)
        if record is None or record.digest not in self.asked or record.digest in self.done:
            return False
        start, stop = record.head_size, len(line) - TRAIL_SIZE
        draft = self.asked[record.digest]
        written = b',"salt":"%b","body":%b' % (draft.salt, draft.body)
        each = zip(found[start:stop], written, erased_body(stop - start), strict=False)
        return (
            (found[:start], found[stop:], len(found)) == (line[:start], line[stop:], len(line))
        ) and all(byte in two for byte, *two in each)

    def blanked(self, data: bytes) -> bytes:
        """Return *data* with everything blank whose erasure was acknowledged."""
        lines = data.split(b"\n")
        for number, line in enumerate(lines):
            record = self._record(line)
            if record is not None and record.digest in self.done:
                blank = erased_body(len(line) - TRAIL_SIZE - record.head_size)
                lines[number] = line[: record.head_size] + blank + line[-TRAIL_SIZE:]
        return b"\n".join(lines)

    def erasable(self, data: bytes) -> list[tuple[Position, bytes]]:
        """Return what in *data* may be erased, and the digests."""
        return [
            (Position(self._session_id, record.seq, record.hash), record.digest)
            for record in self._records(data)
            if record.kind not in NEVER_ERASED
        ]

    def unfinished(self, data: bytes) -> list[Record]:
        """Return what redactions in *data* name and is not blank."""
        named = find_redactions([data], self._session_id)
        records = self._records(data)
        return [r for r in records if (r.seq, r.digest) in named and not is_blank(r)]

    def is_ours(self, record: Record) -> bool:
        """Return whether *record* is a redaction of what was to be erased, and of nothing else."""
        if record.kind != "redaction" or record.body is None:
            return False
        named = named_by(record.body, record.seq)
        return bool(named) and all(digest in self.asked for _, digest in named)

    def may_be_given(self, record: Record, draft: Draft) -> bool:
        """Return whether a reader may be given *record* of *draft* as it is."""
        if record.withheld is None:
            return record.body == draft.body
        return record.withheld == "erased" and record.digest in self.asked

    def salts(self, digests: Iterable[bytes]) -> list[bytes]:
        return [self.asked[digest].salt for digest in digests]

    def _records(self, data: bytes) -> Iterator[Record]:
        for line in data.split(b"\n"):
            if (record := self._record(line)) is not None:
                yield record

    def _record(self, line: bytes) -> Record | None:
        try:
            return check_named(line, self._session_id)
        except Invalid:
            return None
