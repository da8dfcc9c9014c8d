"""
Lines and the hashes that link them: docs/FORMAT.md §3 to §5, and nothing else.

Rules of this module:
  * Pure: bytes in, bytes out.
  * A record is hashed as stored. Nothing is encoded again to check it.
  * Grammar, hash, link and commitment are checked before any JSON parser sees a body.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from blake3 import blake3

from .entries import EntryHash, Position
from .errors import LimitExceeded
from .ids import SessionId, id_bytes
from .limits import APPEND_BYTES_MAX, BATCH_MAX, LINE_BYTES_MAX

VERSION = 1
SAFE_INT_MAX = (1 << 53) - 1
TRAIL_SIZE = 75

_CONTEXT = "session-store 2026-11 log v1 "  # Domain separation. Never reuse it for anything else.


def _key(role: str) -> bytes:
    return blake3(b"", derive_key_context=_CONTEXT + role).digest()


_GENESIS, _FORK, BODY_KEY, RECORD_KEY, _MASK = map(
    _key, ("genesis", "fork", "body", "record", "mask")
)

_UINT = rb"(0|[1-9][0-9]{0,15})"
_HEAD = re.compile(
    rb'\{"v":1,"seq":' + _UINT + rb',"ts":' + _UINT + rb',"kind":"([a-z][a-z0-9_.-]{0,63})"'
    rb',"batch":' + _UINT + rb',"prev_hash":"([0-9a-f]{64})","digest":"([0-9a-f]{64})"'
)
_COMPLETE = re.compile(rb',"salt":"([0-9a-f]{32})","body":(?=\{)')
_MASKED = re.compile(rb',"salt":null,"mask":"([0-9a-f]{64})","body":(?=\{)')
_ERASED = re.compile(rb',"salt":null,"body":null *')
_TRAIL = re.compile(rb',"hash":"([0-9a-f]{64})"\}')
_SALT, _BODY, _HASH, _END = b',"salt":"', b'","body":', b',"hash":"', b'"}\n'
_ERASED_BODY = b',"salt":null,"body":null'
_VERSION = re.compile(rb'\{"v":' + _UINT + rb"(?![0-9])")

Withheld = Literal["erased", "masked"]


class Head(NamedTuple):
    """The newest record of a log, or what its first record links to (seq −1)."""

    session_id: SessionId
    seq: int
    ts: int
    hash: bytes

    @property
    def position(self) -> Position:
        return Position(self.session_id, self.seq, EntryHash(self.hash))


class Draft(NamedTuple):
    """
    One record before it has a place: made once, outside every lock.

    Attributes:
        body: JSON object as UTF-8.
        salt: 32 hex characters, fresh for every draft, as ASCII.
        digest: 64 hex characters: the commitment to salt and body.
        ts: Unix milliseconds the record shall carry; None is the time of the append.
    """

    kind: str
    body: bytes
    salt: bytes
    digest: bytes
    ts: int | None = None


class Record(NamedTuple):
    """
    One checked line.

    Attributes:
        offset: Byte at which the line starts in its log.
        line: The bytes of the line, without its LF.
        head_size: Bytes of HEAD in it.
        body: The JSON bytes; of a masked record the masked ones; None if erased.
    """

    seq: int
    ts: int
    kind: str
    batch: int
    hash: EntryHash
    body: bytes | None
    withheld: Withheld | None
    offset: int
    line: bytes
    head_size: int

    @property
    def digest(self) -> bytes:
        """The commitment, as 64 hex characters."""
        return self.line[self.head_size - 65 : self.head_size - 1]

    @property
    def prev_hash(self) -> EntryHash:
        return EntryHash(
            bytes.fromhex(self.line[self.head_size - 141 : self.head_size - 77].decode())
        )

    @property
    def salt(self) -> bytes | None:
        """The 32 hex characters, or None where the body is withheld."""
        start = self.head_size + len(b',"salt":"')
        return None if self.withheld else self.line[start : start + 32]

    @property
    def end(self) -> int:
        """Offset of the next line."""
        return self.offset + len(self.line) + 1


class Invalid(Exception):
    """A line does not hold. *link* tells a hash or link that fails from broken grammar."""

    def __init__(self, why: str, *, link: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.link = link


def root_head(session_id: SessionId) -> Head:
    """Return what the first record of a root, a copy or a compacted session links to."""
    return Head(session_id, -1, 0, blake3(id_bytes(session_id), key=_GENESIS).digest())


def fork_head(session_id: SessionId, parent: Position) -> Head:
    """Return what the first record of a fork by reference at *parent* links to."""
    message = (
        id_bytes(session_id) + id_bytes(parent.session_id) + parent.seq.to_bytes(8) + parent.hash
    )
    return Head(session_id, -1, 0, blake3(message, key=_FORK).digest())


def body_digest(salt: bytes, body: bytes) -> bytes:
    """Return the commitment to *body* under *salt* (32 hex characters), as hex."""
    hasher = blake3(salt, key=BODY_KEY)
    hasher.update(body)  # Not salt + body: a body may be 16 MiB.
    return hasher.hexdigest().encode()


def mask_digest(record_hash: bytes, body: bytes) -> bytes:
    """Return the check of a masked *body*, as hex."""
    return blake3(record_hash + body, key=_MASK).hexdigest().encode()


def compute_hash(session_id: SessionId, head: bytes) -> EntryHash:
    """Return the hash of the record whose HEAD bytes are *head*, in the log of *session_id*."""
    return EntryHash(blake3(id_bytes(session_id) + head, key=RECORD_KEY).digest())


def make_draft(kind: str, body: bytes, salt: bytes, ts: int | None = None) -> Draft:
    """
    Return the draft of one record.

    Args:
        salt: 16 bytes from the kernel, never used before.
    """
    hexed = salt.hex().encode()
    return Draft(kind, body, hexed, body_digest(hexed, body), ts)


def link(head: Head, ts: int, drafts: Sequence[Draft]) -> tuple[bytes, Head]:
    """
    Make the lines of one append after *head*.

    Args:
        ts: Unix milliseconds of the append. A clock that went back repeats the last value.

    Returns:
        The bytes to write, and the head once they are written.

    Raises:
        LimitExceeded: Too many records, or too many bytes in a line or in all.
    """
    if not 0 < len(drafts) <= BATCH_MAX + 1:
        raise LimitExceeded(f"{len(drafts)} records in one append, at most {BATCH_MAX + 1}")
    session_id, seq, last_ts, hash_ = head
    sid, hexed, batch = id_bytes(session_id), hash_.hex().encode(), len(drafts)
    lines: list[bytes] = []
    for kind, body, salt, digest, own_ts in drafts:
        seq, batch = seq + 1, batch - 1
        last_ts = max(last_ts, ts if own_ts is None else own_ts)
        if last_ts > SAFE_INT_MAX:
            raise LimitExceeded(f"{kind}: a time of {last_ts} ms, at most {SAFE_INT_MAX}")
        head_bytes = (
            b'{"v":1,"seq":%d,"ts":%d,"kind":"%b","batch":%d,"prev_hash":"%b","digest":"%b"'
            % (seq, last_ts, kind.encode(), batch, hexed, digest)
        )
        hash_ = blake3(sid + head_bytes, key=RECORD_KEY).digest()
        hexed = hash_.hex().encode()
        line = b"".join((head_bytes, _SALT, salt, _BODY, body, _HASH, hexed, _END))
        if len(line) > LINE_BYTES_MAX:
            raise LimitExceeded(f"{kind}: a line of {len(line)} bytes, at most {LINE_BYTES_MAX}")
        lines.append(line)
    if (size := sum(map(len, lines))) > APPEND_BYTES_MAX:
        raise LimitExceeded(f"an append of {size} bytes, at most {APPEND_BYTES_MAX}")
    return b"".join(lines), Head(session_id, seq, last_ts, hash_)


def check_line(line: bytes, session_id: SessionId, *, offset: int = 0) -> Record:
    """
    Return the record in *line* (without LF) if it is self-consistent (docs/FORMAT.md §4).

    Raises:
        Invalid: Grammar, hash or body commitment does not hold.
    """
    record = _check_around(line, session_id, offset)
    body, withheld = _check_body(line, record.head_size, record.digest, record.hash)
    return record._replace(body=body, withheld=withheld)


def check_named(line: bytes, session_id: SessionId, *, offset: int = 0) -> Record:
    """
    Return the record in *line* as erased, whatever its BODY is: only for one that a redaction names.

    An erasure that is under way, or was interrupted, leaves a BODY of no form (docs/FORMAT.md §7).

    Raises:
        Invalid: What is around BODY does not hold.
    """
    record = _check_around(line, session_id, offset)
    if len(line) - TRAIL_SIZE - record.head_size < len(_ERASED_BODY):
        raise Invalid("no room for a body between head and hash")
    return record


def _check_around(line: bytes, session_id: SessionId, offset: int) -> Record:
    """Check all of a line but its BODY; return its record as erased."""
    if len(line) >= LINE_BYTES_MAX:
        raise Invalid(f"longer than {LINE_BYTES_MAX} bytes")
    match = _HEAD.match(line)
    trail = _TRAIL.fullmatch(line, max(len(line) - TRAIL_SIZE, 0))
    if match is None or trail is None or b"\r" in line:
        raise Invalid(_explain_grammar(line, match, trail))
    seq, ts, kind, batch = match.group(1, 2, 3, 4)
    record_hash = compute_hash(session_id, match.group())
    if record_hash.hex().encode() != trail.group(1):
        raise Invalid("the record's hash does not hold", link=True)
    numbers = int(seq), int(ts), int(batch)
    if max(numbers) > SAFE_INT_MAX or numbers[2] > BATCH_MAX:
        raise Invalid("a number is out of range")
    return Record(
        numbers[0],
        numbers[1],
        kind.decode(),
        numbers[2],
        record_hash,
        None,
        "erased",
        offset,
        line,
        match.end(),
    )


def erased_body(size: int) -> bytes:
    """Return the erased form of a BODY of *size* bytes."""
    return _ERASED_BODY.ljust(size)


def is_blank(record: Record) -> bool:
    """Return whether nothing is left of the record's salt and body: BODY is exactly the erased form."""
    return record.line[record.head_size : -TRAIL_SIZE].rstrip(b" ") == _ERASED_BODY


def _check_body(
    line: bytes, start: int, digest: bytes, record_hash: bytes
) -> tuple[bytes | None, Withheld | None]:
    end = len(line) - TRAIL_SIZE
    if found := _COMPLETE.match(line, start, end):
        body = line[found.end() : end]
        if body_digest(found.group(1), body) != digest:
            raise Invalid("the body does not match its digest", link=True)
        withheld: Withheld | None = None
    elif found := _MASKED.match(line, start, end):
        body = line[found.end() : end]
        if mask_digest(record_hash, body) != found.group(1):
            raise Invalid("the masked body does not match its mask", link=True)
        withheld = "masked"
    elif _ERASED.fullmatch(line, start, end):
        return None, "erased"
    else:
        raise Invalid("salt and body are not as the format says")
    if not body.endswith(b"}"):
        raise Invalid("the body is not an object")
    return body, withheld


def check_link(record: Record, before: Head, batch: int) -> None:
    """
    Check that *record* continues the log after *before*.

    Args:
        before: Its `hash` may be empty where the reader started in the middle.
        batch: Records that the append before still announced; 0 if it is complete.

    Raises:
        Invalid: It does not.
    """
    if record.seq != before.seq + 1:
        raise Invalid(f"seq {record.seq} where {before.seq + 1} must follow", link=True)
    if before.hash and before.seq >= 0 and record.prev_hash != before.hash:
        raise Invalid("prev_hash is not the hash of the record before", link=True)
    if record.ts < before.ts:
        raise Invalid("ts is smaller than that of the record before", link=True)
    if batch and record.batch != batch - 1:
        raise Invalid(f"batch {record.batch} where {batch - 1} must follow", link=True)
    if record.seq == 0 and record.kind != "session_start":
        raise Invalid(f"the first record is of kind {record.kind}, not session_start")


def other_version(line: bytes, session_id: SessionId, *, ended: bool = True) -> int | None:
    """
    Return the foreign format version of a log whose first line is *line*, if it has one.

    Args:
        ended: An LF follows. Where none does, the version's digits may not be all there.

    Raises:
        Invalid: Its hash holds once its version reads 1: it is damaged, not foreign.
    """
    match = _VERSION.match(line)
    if match is None or not (ended or match.end() < len(line)):
        return None
    version = int(match.group(1))
    if version == VERSION or version > SAFE_INT_MAX:
        return None
    head = _HEAD.match(b'{"v":1' + line[match.end() :])
    trail = _TRAIL.fullmatch(line, max(len(line) - TRAIL_SIZE, 0))
    if head is None or trail is None or len(line) >= LINE_BYTES_MAX:
        return version
    if compute_hash(session_id, head.group()).hex().encode() == trail.group(1):
        raise Invalid(f"version {version}, but its hash holds for version 1")
    return version


def _explain_grammar(line: bytes, head: object, trail: object) -> str:  # noqa: PLR0911 - one for each cause
    if not line:
        return "an empty line"
    if b"\r" in line:
        return "a carriage return: was the file rewritten with other line ends?"
    if line.startswith(b"\xef\xbb\xbf"):
        return "a byte-order mark: was the file rewritten by an editor?"
    if b"\0" in line:
        return "NUL bytes"
    if (version := _VERSION.match(line)) and version.group(1) != b"1":
        return f"format version {version.group(1).decode()} inside a log of version 1"
    if head is None and trail is None:
        return "not a record: was the file written by another program?"
    return (
        "the line does not begin as a record"
        if head is None
        else "the line does not end as a record"
    )
