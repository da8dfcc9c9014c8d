"""
Many lines at once: the quick way through the complete records in the middle of a log.

Rules of this module:
  * Pure. It decides nothing: a line that it does not take is left to `check_line`.
  * What `check_run` takes, `check_line` and `check_link` take too, and give the same record.
    It is complete, and no redaction.
  * Lines become columns, and each column is compared with what it must be in one step, so
    that most of the time goes where it must: into the hashes.
"""

import re
from binascii import hexlify, unhexlify
from collections.abc import Iterable
from itertools import pairwise, repeat
from operator import add, gt, ne
from typing import NamedTuple, TypeVar

import orjson
from blake3 import blake3

from .chain import BODY_KEY, RECORD_KEY, TRAIL_SIZE, Head, Record
from .ids import SessionId, id_bytes

_USUAL = re.compile(
    rb'(\{"v":1,"seq":([1-9][0-9]{0,14}),"ts":(0|[1-9][0-9]{0,14})'
    rb',"kind":"((?!redaction")[a-z][a-z0-9_.-]{0,63})"'
    rb',"batch":(0|[1-9][0-9]{0,2}),"prev_hash":"(.{64})","digest":"(.{64})")'
    rb',"salt":"(.{32})","body":\{',
    re.DOTALL,
)
"""
HEAD and the beginning of BODY; hashes and salts are looked at as columns.

A redaction is nothing usual: whoever reads many lines at once need not look for one.
"""

_HEX = b"0123456789abcdef"
_LINE_BYTES_MAX = 1024 * 1024  # A longer line is not worth a copy of its body with the salt.
T = TypeVar("T")
_new_record = tuple.__new__  # What Record(…) does, in a third of the time.


class _Columns(NamedTuple):
    """
    Lines of the usual form, none of their hashes checked.

    Attributes:
        begins: Where in *buffer* each line begins, and where the one behind them does.
    """

    buffer: bytes
    begins: list[int]
    heads: list[bytes]
    seqs: list[int]
    times: list[int]
    kinds: list[bytes]
    batches: list[int]
    links: list[bytes]
    digests: list[bytes]
    salts: list[bytes]
    bodies: list[bytes]


class Run(NamedTuple):
    """
    Lines that hold and follow each other; they become records only where these are wanted.

    Attributes:
        taken: How many of the lines in *columns*; at least one.
        hashes: Of these lines at least.
        offset: Where in the log the first of them begins.
    """

    session_id: SessionId
    columns: _Columns
    taken: int
    hashes: list[bytes]
    offset: int

    @property
    def batch(self) -> int:
        """How many records of its append are still to follow the last line."""
        return self.columns.batches[self.taken - 1]

    @property
    def whole(self) -> int:
        """How many of the lines there are up to the last that ends an append."""
        whole, batches = self.taken, self.columns.batches
        while whole and batches[whole - 1]:
            whole -= 1
        return whole

    def place(self, lines: int) -> tuple[Head, int]:
        """Return what the log's head is behind the first so many *lines*, and where they end."""
        _, begins, _, seqs, times, *_ = self.columns
        last = lines - 1
        head = Head(self.session_id, seqs[last], times[last], self.hashes[last])
        return head, self.offset + begins[lines] - begins[0]

    def records(self) -> list[Record]:
        buffer, begins, heads, seqs, times, kinds, batches, _, _, _, bodies = self.columns
        fields = zip(
            seqs,
            times,
            map(bytes.decode, kinds),
            batches,
            self.hashes,
            bodies,
            repeat(None),
            map(add, begins, repeat(self.offset - begins[0])),
            [buffer[begin : end - 1] for begin, end in pairwise(begins)],
            map(len, heads),
        )
        return list(map(_new_record, repeat(Record, self.taken), fields))


def check_run(buffer: bytes, at: int, before: Head, batch: int, offset: int) -> Run | None:
    """
    Return the lines from byte *at* of *buffer* on, up to the first not taken, if there are any.

    Args:
        before, batch: As for `check_link`.
        offset: Where in the log that byte stands.
    """
    columns = _columns(buffer, at, len(buffer))
    if columns is None:
        return None
    _, begins, heads, seqs, times, _, batches, links, digests, salts, bodies = columns
    hashes = _hashes(RECORD_KEY, map(add, repeat(id_bytes(before.session_id)), heads))
    hexes = list(map(hexlify, hashes))
    commitments = _hashes(BODY_KEY, map(add, salts, bodies))
    taken = min(
        _agreeing(links, [hexlify(before.hash), *hexes[:-1]]),
        _agreeing(
            [buffer[end - TRAIL_SIZE - 2 : end - 1] for end in begins[1:]],
            [b'},"hash":"%b"}' % text for text in hexes],
        ),
        _agreeing(digests, list(map(hexlify, commitments))),
        _agreeing(seqs, list(range(before.seq + 1, before.seq + 1 + len(seqs)))),
        _rising(times, before.ts),
        _agreeing(
            batches,
            [was - 1 if was else left for was, left in pairwise([batch, *batches])],
        ),
        _hex(salts),
    )
    return Run(before.session_id, columns, taken, hashes, offset) if taken else None


def recall_run(buffer: bytes, at: int, before: Head, offset: int, end: int) -> Run | None:
    """
    Return lines that were verified before, as `check_run` does: their bodies are not hashed again.

    Args:
        end: Where in the log the part ends that was verified.
    """
    columns = _columns(buffer, at, min(len(buffer), at + end - offset))
    if columns is None:
        return None
    hexes = [buffer[end - 67 : end - 3] for end in columns.begins[1:]]
    taken = min(
        _agreeing(columns.seqs, list(range(before.seq + 1, before.seq + 1 + len(hexes)))),
        _agreeing(columns.links, [hexlify(before.hash), *hexes[:-1]]),
        _hex(hexes),
    )
    hashes = list(map(unhexlify, hexes[:taken]))
    return Run(before.session_id, columns, taken, hashes, offset) if taken else None


def _columns(buffer: bytes, at: int, stop: int) -> _Columns | None:
    """Return the lines of the usual form that end before *stop*; None if the first is of another."""
    begins = [at]
    groups: list[tuple[bytes, ...]] = []
    bodies: list[bytes] = []
    usual, find, begin = _USUAL.match, buffer.find, at
    while (end := find(b"\n", begin, stop)) <= begin + _LINE_BYTES_MAX:
        match = usual(buffer, begin, end)
        if match is None:  # Also where there is no LF: nothing ends before −1.
            break
        begin = end + 1
        begins.append(begin)
        groups.append(match.groups())
        bodies.append(buffer[match.end() - 1 : end - TRAIL_SIZE])
    if (wrong := buffer.find(b"\r", at, begin)) != -1:
        good = buffer.count(b"\n", at, wrong)
        del begins[good + 1 :], groups[good:], bodies[good:]
    if not groups:
        return None
    heads, seqs, times, kinds, batches, links, digests, salts = map(list, zip(*groups, strict=True))
    return _Columns(
        buffer,
        begins,
        heads,
        _ints(seqs),
        _ints(times),
        kinds,
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


def _agreeing(found: list[T], wanted: list[T]) -> int:
    """Return how many of *found* are as *wanted*, up to the first that is not."""
    if found == wanted:
        return len(found)
    return next(index for index, pair in enumerate(zip(found, wanted, strict=True)) if ne(*pair))


def _rising(numbers: list[int], least: int) -> int:
    """Return how many of *numbers* are not smaller than what is before, up to the first that is."""
    if least <= numbers[0] and numbers == sorted(numbers):
        return len(numbers)
    return next(index for index, pair in enumerate(pairwise([least, *numbers])) if gt(*pair))


def _hex(texts: list[bytes]) -> int:
    """Return how many of *texts* are lower-case hex, up to the first that is not."""
    if not b"".join(texts).translate(None, _HEX):
        return len(texts)
    return next(index for index, text in enumerate(texts) if text.translate(None, _HEX))


def _ints(texts: Iterable[bytes]) -> list[int]:
    # Three times as fast as int() of each.
    found: list[int] = orjson.loads(b"[%b]" % b",".join(texts))
    return found
