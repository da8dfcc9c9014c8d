"""
One log beside what was signed of it: its tree, its seals, and which of them hold.

Pure: verified records in, a verdict out. A seal says what the root was at an earlier size, so
the sizes are looked up in the bytes first, and the records are then read once.
"""

from collections.abc import Iterable, Sequence

from attrs import define, field, frozen

from ..chain import Record
from ..errors import InvalidProof
from ..ids import SessionId
from ..values import parse
from .keys import VerifierKey
from .merkle import Tree
from .note import Checkpoint, Note, parse_checkpoint, parse_note, session_checkpoint


@frozen
class StoredSeal:
    """A seal as it stands in its log; *note* is None where there is no text."""

    seq: int
    offset: int
    note: str | None

    def read(self) -> tuple[Note, Checkpoint]:
        """Return the note and what it says, believed by nobody yet. Raises InvalidProof."""
        note = parse_note(self.note or "")
        return note, parse_checkpoint(note.text)


def stored_seal(record: Record) -> StoredSeal:
    """Return the seal in a *record* of that kind."""
    try:
        body = parse(record.body or b"{}")
    except ValueError:
        body = {}
    note = body.get("note") if isinstance(body, dict) else None
    return StoredSeal(record.seq, record.offset, note if isinstance(note, str) else None)


def sizes_of(seals: Iterable[StoredSeal]) -> set[int]:
    """Return the sizes that readable *seals* speak of."""
    sizes = set()
    for seal in seals:
        try:
            sizes.add(seal.read()[1].size)
        except InvalidProof:
            continue
    return sizes


@frozen
class Sealed:
    """
    What a trusted key has signed of a log.

    Attributes:
        size: Records from the first one on that the signature covers.
        seq: Where the seal stands.
        key: Who signed it.
        note: The seal's text.
    """

    size: int
    seq: int
    key: VerifierKey
    note: str


@frozen
class BadSeal:
    """
    A seal that does not hold, with its place.

    Attributes:
        key: The trusted key that did sign it, but signed something else than the log holds.
    """

    seq: int
    offset: int
    why: str
    key: VerifierKey | None


@frozen
class Verdict:
    """
    The newest seal that holds, and those that do not; seals of unknown keys are neither.

    Attributes:
        trust: Who signs from here on: the keys given, or those they handed over to.
    """

    sealed: Sealed | None
    bad: Sequence[BadSeal]
    trust: Sequence[VerifierKey]


@define
class Audit:
    """
    Takes the verified records of one log, in order.

    Args:
        sizes: Where the roots are wanted.

    Attributes:
        roots: By size.
        plain: Records that are no seals.
    """

    session_id: SessionId
    sizes: set[int] = field(factory=set)
    tree: Tree = field(factory=Tree)
    roots: dict[int, bytes] = field(factory=dict)
    seals: list[StoredSeal] = field(factory=list)
    plain: int = 0
    _plain_at: dict[int, int] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self._note()

    def take(self, records: Sequence[Record]) -> None:
        tree, sizes = self.tree, self.sizes
        for record in records:
            if record.kind == "seal":
                self.seals.append(stored_seal(record))
                self._note()  # What a seal signs ends here, if nobody else wrote meanwhile.
            else:
                self.plain += 1
            tree.add(record.hash)
            if tree.size in sizes:
                self._note()

    def _note(self) -> None:
        self.roots[self.tree.size] = self.tree.root()
        self._plain_at[self.tree.size] = self.plain

    def unsealed(self, sealed: Sealed | None) -> int:
        """Return how many records but seals *sealed* does not cover."""
        return self.plain - (0 if sealed is None else self._plain_at[sealed.size])

    def checkpoint(self, successor: VerifierKey | None = None) -> Checkpoint:
        """Return what there is to be signed."""
        return session_checkpoint(self.session_id, self.tree.size, self.tree.root(), successor)

    def judge(self, trust: Iterable[VerifierKey]) -> Verdict:
        """
        Return which seals hold, and which do not, for those who trust *trust*.

        A hand-over replaces its signer by the key that it names, from there on. Seals that were
        appended while the log was read are passed over, unless they sign all that stood before.
        """
        keys, sealed, bad = list(dict.fromkeys(trust)), None, list[BadSeal]()
        for seal in self.seals:
            signers: list[VerifierKey] = []
            try:
                note = parse_note(seal.note or "")
                signers = note.signers(keys)
                if not signers:
                    continue
                checkpoint = parse_checkpoint(note.text)
                if not self._check(seal, checkpoint):
                    continue
            except InvalidProof as error:
                signer = signers[0] if signers else None
                bad.append(BadSeal(seal.seq, seal.offset, str(error), signer))
                continue
            sealed = Sealed(checkpoint.size, seal.seq, signers[0], str(note))
            if checkpoint.successor is not None:
                rest = [key for key in keys if key not in signers]
                keys = list(dict.fromkeys([*rest, checkpoint.successor]))
        return Verdict(sealed, bad, keys)

    def _check(self, seal: StoredSeal, checkpoint: Checkpoint) -> bool:
        """Return whether a seal can be judged, and holds then. Raises InvalidProof."""
        size = checkpoint.size
        if checkpoint.session_id != self.session_id:
            raise InvalidProof(f"it is of session {checkpoint.session_id}")
        if size > seal.seq:
            raise InvalidProof(f"it signs {size} records, but {seal.seq} stand before it")
        if size not in self.roots and size not in self.sizes:
            return False
        if self.roots.get(size) != checkpoint.root:
            raise InvalidProof(f"the first {size} records are not those that were signed")
        return True
