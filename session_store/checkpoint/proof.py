"""
Proof files: that a record is in a sealed log, and that one checkpoint continues another.

The first has the form of C2SP tlog-proof@v1, its `extra` being the record's HEAD or its whole
line; the second that of a request to a C2SP witness. docs/FORMAT.md §10 fixes both.
"""

import base64
from collections.abc import Iterable, Sequence

from attrs import frozen

from ..chain import SAFE_INT_MAX, Invalid, Record, check_line, compute_hash
from ..entries import Position
from ..errors import InvalidProof
from ..ids import SessionId
from .keys import VerifierKey, decode_base64
from .merkle import HASH_SIZE, is_consistent, leaf_hash, root_from_inclusion
from .note import Checkpoint, Note, open_checkpoint, parse_note

HEADER = "c2sp.org/tlog-proof@v1"
PATH_MAX = 63
_BARE = b',"salt":null,"body":null'


@frozen
class Proven:
    """
    What a proof has shown.

    Attributes:
        record: The record; withheld as "erased" where the proof carries its HEAD alone.
        checkpoint: The head that was signed.
        key: Who signed it.
    """

    position: Position
    record: Record
    checkpoint: Checkpoint
    key: VerifierKey


@frozen
class InclusionProof:
    """
    That a record is in the log that a note signs.

    Attributes:
        extra: The record's HEAD, or its line without LF.
        path: Hashes from the leaf's sibling to a child of the root.
    """

    index: int
    extra: bytes
    path: Sequence[bytes]
    note: Note

    def __str__(self) -> str:
        extra = base64.b64encode(self.extra).decode()
        return f"{HEADER}\nextra {extra}\nindex {self.index}\n{_lines(self.path)}\n{self.note}"

    def verify(self, trust: Iterable[VerifierKey]) -> Proven:
        """
        Return what the proof shows to those who trust *trust*.

        Raises:
            InvalidProof: Nothing.
        """
        checkpoint, key = open_checkpoint(self.note, trust)
        session_id = checkpoint.session_id
        record = read_record(self.extra, session_id)
        if record.seq != self.index:
            raise InvalidProof(f"index {self.index}, but the record is number {record.seq}")
        leaf = leaf_hash(record.hash)
        root = root_from_inclusion(self.index, checkpoint.size, leaf, self.path)
        if root != checkpoint.root:
            raise InvalidProof("the path does not lead from the record to the root that was signed")
        return Proven(Position(session_id, record.seq, record.hash), record, checkpoint, key)


def read_record(data: bytes, session_id: SessionId) -> Record:
    """
    Return the record whose line, or whose HEAD alone, is *data*.

    Raises:
        InvalidProof: It is neither.
    """
    line = data
    if not data.endswith(b"}"):
        line = b'%b%b,"hash":"%b"}' % (data, _BARE, compute_hash(session_id, data).hex().encode())
    try:
        return check_line(line, session_id)  # Its hash is that of a HEAD, and of nothing longer.
    except Invalid as error:
        raise InvalidProof(f"no record of {session_id}: {error.why}") from error


def parse_inclusion(text: str) -> InclusionProof:
    """
    Return the proof in *text*.

    Raises:
        InvalidProof: It is not of the form.
    """
    top, gap, note = text.partition("\n\n")
    header, *lines = top.split("\n")
    if header != HEADER or not gap or len(lines) < 2:
        raise InvalidProof(f"not a proof: {HEADER!r}, two lines and a path are expected")
    extra = decode_base64(lines[0].removeprefix("extra "))
    if not lines[0].startswith("extra ") or not extra:
        raise InvalidProof("not a proof: its second line carries no record")
    index = _number(lines[1], "index ")
    return InclusionProof(index, extra, _path(lines[2:]), parse_note(note))


@frozen
class ConsistencyProof:
    """That the tree which a note signs continues an earlier, smaller one."""

    old_size: int
    path: Sequence[bytes]
    note: Note

    def __str__(self) -> str:
        return f"old {self.old_size}\n{_lines(self.path)}\n{self.note}"

    def verify(self, old: Checkpoint, trust: Iterable[VerifierKey]) -> Checkpoint:
        """
        Return the later checkpoint, which continues *old*.

        Raises:
            InvalidProof: It is not shown to.
        """
        checkpoint, _ = open_checkpoint(self.note, trust)
        if checkpoint.origin != old.origin or self.old_size != old.size:
            raise InvalidProof(f"it is about {checkpoint.origin[:80]!r} from {self.old_size} on")
        if not is_consistent(old.size, old.root, checkpoint.size, checkpoint.root, self.path):
            raise InvalidProof("the path does not lead from the one root to the other")
        return checkpoint


def parse_consistency(text: str) -> ConsistencyProof:
    """
    Return the proof in *text*.

    Raises:
        InvalidProof: It is not of the form.
    """
    top, gap, note = text.partition("\n\n")
    first, *path = top.split("\n")
    if not gap:
        raise InvalidProof("not a proof: a size, a path and an empty line are expected")
    return ConsistencyProof(_number(first, "old "), _path(path), parse_note(note))


def _lines(path: Sequence[bytes]) -> str:
    return "".join(f"{base64.b64encode(one).decode()}\n" for one in path)


def _path(lines: Sequence[str]) -> Sequence[bytes]:
    path = [decode_base64(line) for line in lines]
    if len(path) > PATH_MAX or not all(one and len(one) == HASH_SIZE for one in path):
        raise InvalidProof(f"not a proof: its path is not of up to {PATH_MAX} hashes")
    return tuple(one for one in path if one)


def _number(line: str, name: str) -> int:
    text = line.removeprefix(name)
    if not line.startswith(name) or not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise InvalidProof(f"not a proof: {name!r} and a number are expected")
    if str(int(text)) != text or int(text) > SAFE_INT_MAX:
        raise InvalidProof(f"not a proof: {text} is no number of a record")
    return int(text)
