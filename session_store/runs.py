"""
Many lines at once: the quick way through the complete records in the middle of a log.

Rules of this module:
  * Pure. It decides nothing: a line that it does not take is left to `check_line`.
  * What `check_run` takes, `check_line` and `check_link` take too, and give the same record.
  * Lines become columns, and each column is compared with what it must be in one step, so
    that most of the time goes where it must: into the hashes.
"""

import re
from binascii import hexlify, unhexlify
from collections.abc import Iterable, Sequence
from itertools import accumulate, count, pairwise, repeat, takewhile
from operator import add, eq
from typing import NamedTuple

import orjson
from blake3 import blake3

from .chain import BODY_KEY, RECORD_KEY, TRAIL_SIZE, Head, Record
from .ids import id_bytes

_USUAL = re.compile(
    rb'(\{"v":1,"seq":([1-9][0-9]{0,14}),"ts":(0|[1-9][0-9]{0,14}),"kind":"([a-z][a-z0-9_.-]{0,63})"'
    rb',"batch":(0|[1-9][0-9]{0,2}),"prev_hash":"(.{64})","digest":"(.{64})")'
    rb',"salt":"(.{32})","body":\{',
    re.DOTALL,
)
"""HEAD and the beginning of BODY; hashes and salts are looked at as columns."""

_HEX = b"0123456789abcdef"
_LINE_BYTES_MAX = 1024 * 1024  # A longer line is not worth a copy of its body with the salt.
_new_record = tuple.__new__  # What Record(…) does, in a third of the time.


class _Columns(NamedTuple):
    """Lines of the usual form, none of their hashes checked."""

    lines: list[bytes]
    heads: tuple[bytes, ...]
    seqs: list[int]
    times: list[int]
    kinds: list[str]
    batches: list[int]
    links: tuple[bytes, ...]
    digests: tuple[bytes, ...]
    salts: tuple[bytes, ...]
    bodies: list[bytes]

    def records(self, taken: int, hashes: Iterable[bytes], offset: int) -> list[Record]:
        """Return the first *taken* lines as records; they stand at *offset* in their log."""
        offsets = accumulate((len(line) + 1 for line in self.lines), initial=offset)
        fields = zip(
            self.seqs,
            self.times,
            self.kinds,
            self.batches,
            hashes,
            self.bodies,
            repeat(None),
            offsets,
            self.lines,
            map(len, self.heads),
        )
        return list(map(_new_record, repeat(Record, taken), fields))


def check_run(buffer: bytes, at: int, before: Head, batch: int, offset: int) -> list[Record]:
    """
    Return the records of the lines from byte *at* of *buffer* on, up to the first not taken.

    Args:
        before, batch: As for `check_link`.
        offset: Where in the log that byte stands.
    """
    columns = _columns(buffer, at, len(buffer))
    if columns is None:
        return []
    lines, heads, seqs, times, _, batches, links, digests, salts, bodies = columns
    hashes = _hashes(RECORD_KEY, map(add, repeat(id_bytes(before.session_id)), heads))
    hexes = list(map(hexlify, hashes))
    ends = [line[-TRAIL_SIZE - 1 :] for line in lines]
    taken = min(
        _agreeing(links, [hexlify(before.hash), *hexes]),
        _agreeing(ends, [b'},"hash":"%b"}' % text for text in hexes]),
        _agreeing(digests, map(hexlify, _hashes(BODY_KEY, map(add, salts, bodies)))),
        _agreeing(seqs, count(before.seq + 1)),
        _agreeing(times, map(max, times, [before.ts, *times])),
        _agreeing(
            batches,
            [was - 1 if was else left for was, left in pairwise([batch, *batches])],
        ),
        _hex(salts),
    )
    return columns.records(taken, hashes, offset)


def recall_run(buffer: bytes, at: int, before: Head, offset: int, end: int) -> list[Record]:
    """
    Return the records of lines that were verified before: their bodies are not hashed again.

    Args:
        end: Where in the log the part ends that was verified.
    """
    columns = _columns(buffer, at, min(len(buffer), at + end - offset))
    if columns is None:
        return []
    hexes = [line[-66:-2] for line in columns.lines]
    taken = min(
        _agreeing(columns.seqs, count(before.seq + 1)),
        _agreeing(columns.links, [hexlify(before.hash), *hexes]),
        _hex(hexes),
    )
    return columns.records(taken, map(unhexlify, hexes), offset)


def _columns(buffer: bytes, at: int, stop: int) -> _Columns | None:
    """Return the lines of the usual form that end before *stop*; None if the first is of another."""
    lines: list[bytes] = []
    groups: list[tuple[bytes, ...]] = []
    bodies: list[bytes] = []
    usual, find, begin = _USUAL.match, buffer.find, at
    while (end := find(b"\n", begin, stop)) <= begin + _LINE_BYTES_MAX:
        match = usual(buffer, begin, end)
        if match is None:  # Also where there is no LF: nothing ends before −1.
            break
        lines.append(buffer[begin:end])
        groups.append(match.groups())
        bodies.append(buffer[match.end() - 1 : end - TRAIL_SIZE])
        begin = end + 1
    if (wrong := buffer.find(b"\r", at, begin)) != -1:
        good = buffer.count(b"\n", at, wrong)
        del lines[good:], groups[good:], bodies[good:]
    if not lines:
        return None
    heads, seqs, times, kinds, batches, links, digests, salts = zip(*groups, strict=True)
    return _Columns(
        lines,
        heads,
        _ints(seqs),
        _ints(times),
        list(map(bytes.decode, kinds)),
        _ints(batches),
        links,
        digests,
        salts,
        bodies,
    )


def _hashes(key: bytes, messages: Iterable[bytes]) -> list[bytes]:
    # Making a hasher takes as long as hashing a short message.
    hasher = blake3(key=key)
    reset, update, digest = hasher.reset, hasher.update, hasher.digest
    found: list[bytes] = []
    for message in messages:
        reset()
        update(message)
        found.append(digest())
    return found


def _agreeing(found: Iterable[object], wanted: Iterable[object]) -> int:
    """Return how many of *found* are as *wanted*, up to the first that is not."""
    return sum(takewhile(bool, map(eq, found, wanted)))


def _hex(texts: Sequence[bytes]) -> int:
    """Return how many of *texts* are lower-case hex, up to the first that is not."""
    if not b"".join(texts).translate(None, _HEX):
        return len(texts)
    return next(index for index, text in enumerate(texts) if text.translate(None, _HEX))


def _ints(texts: Iterable[bytes]) -> list[int]:
    # Three times as fast as int() of each.
    found: list[int] = orjson.loads(b"[%b]" % b",".join(texts))
    return found
