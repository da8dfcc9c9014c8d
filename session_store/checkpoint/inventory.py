"""
The heads of all sessions of a store, signed: a session that is gone is missed.

    session-store heads v1
    <session id> <seq> <hash>            one line a session, sorted by id
    …
    <empty line>
    <a checkpoint of origin session-store/store/<store id>/<Unix milliseconds>>

The tree's leaves are `sid ‖ u64be(seq) ‖ hash`, 56 bytes each.
"""

from collections.abc import Iterable, Sequence

from attrs import frozen

from ..chain import SAFE_INT_MAX
from ..entries import EntryHash, Position
from ..errors import InvalidId, InvalidProof
from ..ids import id_bytes, parse_session_id
from ..positions import is_hash
from .keys import SigningKey, VerifierKey
from .merkle import Tree
from .note import STORE_ORIGIN, Checkpoint, Note, open_checkpoint, parse_note, sign_note

HEADER = "session-store heads v1"


@frozen
class Inventory:
    """Heads, sorted by session, and the note that signs them."""

    heads: Sequence[Position]
    note: Note

    def __str__(self) -> str:
        lines = [f"{one.session_id} {one.seq} {one.hash.hex()}\n" for one in self.heads]
        return f"{HEADER}\n{''.join(lines)}\n{self.note}"

    def open(self, trust: Iterable[VerifierKey]) -> tuple[Checkpoint, VerifierKey]:
        """
        Return what was signed and who signed it.

        Raises:
            InvalidProof: Nobody of *trust* has, or it was about other heads.
        """
        checkpoint, key = open_checkpoint(self.note, trust)
        if not checkpoint.origin.startswith(STORE_ORIGIN):
            raise InvalidProof(f"not about a store: {checkpoint.origin[:80]!r}")
        if (checkpoint.size, checkpoint.root) != (len(self.heads), _root(self.heads)):
            raise InvalidProof("the heads are not those that were signed")
        return checkpoint, key


def _root(heads: Iterable[Position]) -> bytes:
    tree = Tree()
    for one in heads:
        tree.add(id_bytes(one.session_id) + one.seq.to_bytes(8) + one.hash)
    return tree.root()


def sign_heads(store_id: str, now_ms: int, heads: Iterable[Position], key: SigningKey) -> Inventory:
    """Return the signed inventory of *heads*. Each has an origin of its own: heads move."""
    found = sorted(heads, key=lambda one: one.session_id)
    checkpoint = Checkpoint(f"{STORE_ORIGIN}{store_id}/{now_ms}", len(found), _root(found))
    return Inventory(found, sign_note(checkpoint.text(), key))


def parse_inventory(text: str) -> Inventory:
    """
    Return the inventory in *text*.

    Raises:
        InvalidProof: It is none.
    """
    listed, gap, note = text.partition("\n\n")
    header, *lines = listed.split("\n")
    if header != HEADER or not gap:
        raise InvalidProof(f"not an inventory: {HEADER!r} and an empty line are expected")
    heads = [_head(line, number) for number, line in enumerate(lines, 2)]
    ids = [one.session_id for one in heads]
    if ids != sorted(set(ids)):
        raise InvalidProof("not an inventory: sessions out of order, or twice")
    return Inventory(heads, parse_note(note))


def _head(line: str, number: int) -> Position:
    session_id, _, rest = line.partition(" ")
    seq, _, hash_ = rest.partition(" ")
    is_number = seq.isascii() and seq.isdigit() and len(seq) <= 16 and str(int(seq)) == seq
    if not is_number or int(seq) > SAFE_INT_MAX or not is_hash(hash_):
        raise InvalidProof(f"not an inventory: line {number} is no head")
    try:
        return Position(parse_session_id(session_id), int(seq), EntryHash(bytes.fromhex(hash_)))
    except InvalidId as error:
        raise InvalidProof(f"not an inventory: line {number}: {error}") from error
