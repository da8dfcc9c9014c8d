"""
Many lines at once: the quick way through the complete records in the middle of a log.

Rules of this module:
  * Pure. It decides nothing: a line that it does not take is left to `check_line`.
  * What `check_run` takes, `check_line` and `check_link` take too, and give the same record.
"""

import re
from collections.abc import Sequence

from blake3 import blake3

from .chain import BODY_KEY, RECORD_KEY, TRAIL_SIZE, Head, Record
from .entries import EntryHash
from .ids import id_bytes

_USUAL = re.compile(
    rb'\{"v":1,"seq":([1-9][0-9]{0,14}),"ts":(0|[1-9][0-9]{0,14}),"kind":"([a-z][a-z0-9_.-]{0,63})"'
    rb',"batch":(0|[1-9][0-9]{0,2}),"prev_hash":"(.{64})","digest":"(.{64})"'
    rb',"salt":"([0-9a-f]{32})","body":\{',
    re.DOTALL,
)
"""HEAD and the beginning of BODY; the hashes are compared with what they must be."""

_LINE_BYTES_MAX = 1024 * 1024  # A longer line is not worth a copy of its body with the salt.
_BEHIND_HEAD = len(b',"salt":"","body":{') + 32
_new_record = tuple.__new__  # What Record(…) does, in a third of the time.


def check_run(
    lines: Sequence[bytes], first: int, before: Head, batch: int, offset: int
) -> list[Record]:
    """
    Return the records of `lines[first:]`, up to the first line that is not taken.

    Args:
        before, batch: As for `check_link`.
        offset: Where the first line starts.
    """
    session_id, seq, ts, hash_ = before
    begun = blake3(id_bytes(session_id), key=RECORD_KEY).copy
    linked, usual, new = hash_.hex().encode(), _USUAL.match, _new_record
    records: list[Record] = []
    for index in range(first, len(lines)):
        line = lines[index]
        match = usual(line)
        if match is None or b"\r" in line or len(line) > _LINE_BYTES_MAX:
            break
        seq_, ts_, kind, batch_, linked_, digest, salt = match.groups()
        head_size = match.end() - _BEHIND_HEAD
        hasher = begun()
        hasher.update(line[:head_size])
        hash_ = hasher.digest()
        hexed = hash_.hex().encode()
        if linked_ != linked or not line.endswith(b'},"hash":"%b"}' % hexed):
            break
        body = line[match.end() - 1 : -TRAIL_SIZE]
        if blake3(salt + body, key=BODY_KEY).hexdigest().encode() != digest:
            break
        left, time = int(batch_), int(ts_)
        if int(seq_) != seq + 1 or time < ts or (batch and left != batch - 1):
            break
        seq, ts, linked, batch = seq + 1, time, hexed, left
        fields = (seq, ts, kind.decode(), left, hash_, body, None, offset, line, head_size)
        records.append(new(Record, fields))
        offset += len(line) + 1
    return records


def recall_run(
    lines: Sequence[bytes], first: int, before: Head, offset: int, end: int
) -> list[Record]:
    """
    Return the records of lines that were verified before: their bodies are not hashed again.

    Args:
        end: Where in the log the part ends that was verified.
    """
    seq, linked = before.seq, before.hash.hex().encode()
    usual, new = _USUAL.match, _new_record
    records: list[Record] = []
    for index in range(first, len(lines)):
        line = lines[index]
        match = usual(line) if offset < end else None
        if match is None or int(match.group(1)) != seq + 1 or match.group(5) != linked:
            break
        linked = line[-66:-2]
        try:
            hash_ = EntryHash(bytes.fromhex(linked.decode()))
        except ValueError:
            break
        seq += 1
        ts, kind, batch = match.group(2, 3, 4)
        body = line[match.end() - 1 : -TRAIL_SIZE]
        head_size = match.end() - _BEHIND_HEAD
        left, time = int(batch), int(ts)
        fields = (seq, time, kind.decode(), left, hash_, body, None, offset, line, head_size)
        records.append(new(Record, fields))
        offset += len(line) + 1
    return records
