"""
Signed notes and checkpoints: the texts of C2SP signed-note and tlog-checkpoint.

Rules of this module:
  * Strict: what is not exactly of the form is refused, and means nothing.
  * A signature of a known key that fails spoils the whole note; those of unknown keys are ignored.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence

from attrs import field, frozen

from ..chain import SAFE_INT_MAX
from ..errors import InvalidProof
from ..ids import SessionId, parse_session_id
from .keys import SigningKey, VerifierKey, decode_base64, is_key_name
from .merkle import EMPTY_ROOT, HASH_SIZE

NOTE_BYTES_MAX = 1024 * 1024
SIGNATURES_MAX = 100

SESSION_ORIGIN = "session-store/session/"
STORE_ORIGIN = "session-store/store/"
_NEXT = "next "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_DASH = "\u2014 "


@frozen
class Signature:
    """One line of a note: whose, and the bytes behind the key's id."""

    name: str
    key_id: bytes
    data: bytes

    def line(self) -> str:
        encoded = base64.b64encode(self.key_id + self.data).decode()
        return f"{_DASH}{self.name} {encoded}\n"


@frozen
class Note:
    """A text and the signatures below it, none of them verified yet."""

    text: str
    signatures: Sequence[Signature]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(one.line() for one in self.signatures)}"

    def signers(self, trust: Iterable[VerifierKey]) -> list[VerifierKey]:
        """
        Return those keys of *trust* that have signed, in the order of their lines.

        Raises:
            InvalidProof: A signature of one of them does not hold.
            ValueError: Two of *trust* have the same name and id.
        """
        known = _by_name(trust)
        found: dict[VerifierKey, None] = {}
        for one in self.signatures:
            key = known.get((one.name, one.key_id))
            if key is None:
                continue
            if not key.verifies(self.text.encode(), one.data):
                raise InvalidProof(f"a signature of {key.name}+{key.key_id.hex()} does not hold")
            found[key] = None
        return list(found)


def _by_name(trust: Iterable[VerifierKey]) -> Mapping[tuple[str, bytes], VerifierKey]:
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in trust:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise ValueError(f"two keys are called {key.name}+{key.key_id.hex()}")
    return known


def parse_note(data: str | bytes) -> Note:
    """
    Return the note in *data*.

    Raises:
        InvalidProof: It is not a signed note, over 1 MiB, or has over 100 signatures.
    """
    if len(data) > NOTE_BYTES_MAX:
        raise InvalidProof(f"a note of {len(data)} bytes, at most {NOTE_BYTES_MAX}")
    try:
        message = data.decode() if isinstance(data, bytes) else data
        message.encode()
    except UnicodeError as error:
        raise InvalidProof("not a note: not UTF-8") from error
    if _CONTROL.search(message):
        raise InvalidProof("not a note: a control character")
    text, gap, block = message.rpartition("\n\n")
    if not gap or not block.endswith("\n"):
        raise InvalidProof("not a note: no signatures below an empty line")
    lines = block.removesuffix("\n").split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise InvalidProof(f"{len(lines)} signatures, at most {SIGNATURES_MAX}")
    return Note(text + "\n", tuple(map(_signature, lines)))


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    data = decode_base64(encoded)
    if not line.startswith(_DASH) or not is_key_name(name) or data is None or len(data) < 5:
        raise InvalidProof("not a note: a line below the text is no signature")
    return Signature(name, data[:4], data[4:])


def sign_note(text: str, *keys: SigningKey) -> Note:
    """
    Return *text* with a signature of each key.

    Raises:
        ValueError: *text* does not end with a newline, or holds a control character.
        MissingExtra: `cryptography` is not installed.
    """
    if not text.endswith("\n") or _CONTROL.search(text):
        raise ValueError("a note's text ends with a newline and has no control characters")
    message = text.encode()
    return Note(
        text, tuple(Signature(key.name, key.verifier.key_id, key.sign(message)) for key in keys)
    )


@frozen
class Checkpoint:
    """
    The head of a tree: what a note about it says.

    Attributes:
        origin: Which log: `session-store/session/<id>`, `session-store/store/<id>/<ms>`.
        size: Leaves: records of the session's own log, or sessions of a store.
        successor: The key that signs from here on, in a hand-over.
    """

    origin: str
    size: int
    root: bytes = field(repr=False)
    successor: VerifierKey | None = None

    def text(self) -> str:
        """Return the text of the note."""
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode()]
        if self.successor is not None:
            lines.append(f"{_NEXT}{self.successor}")
        return "".join(f"{line}\n" for line in lines)

    @property
    def session_id(self) -> SessionId:
        """The session that it is about. Raises InvalidProof: It is not about one."""
        if not self.origin.startswith(SESSION_ORIGIN):
            raise InvalidProof(f"not about a session: {self.origin[:80]!r}")
        try:
            return parse_session_id(self.origin.removeprefix(SESSION_ORIGIN))
        except ValueError as error:
            raise InvalidProof(f"not about a session: {self.origin[:80]!r}") from error


def session_checkpoint(
    session_id: SessionId, size: int, root: bytes, successor: VerifierKey | None = None
) -> Checkpoint:
    return Checkpoint(SESSION_ORIGIN + session_id, size, root, successor)


def parse_checkpoint(text: str) -> Checkpoint:
    """
    Return what the text of a note says of a tree.

    Lines behind the third that are no hand-over mean nothing here, as C2SP has it.

    Raises:
        InvalidProof: It is not the text of a checkpoint.
    """
    lines = text.removesuffix("\n").split("\n")
    if not text.endswith("\n") or len(lines) < 3 or not all(lines):
        raise InvalidProof("not a checkpoint: three lines are expected")
    origin, size, encoded, *more = lines
    if not _SIZE.fullmatch(size) or int(size) > SAFE_INT_MAX:
        raise InvalidProof("not a checkpoint: its second line is no size")
    root = decode_base64(encoded)
    if root is None or len(root) != HASH_SIZE:
        raise InvalidProof("not a checkpoint: its third line is no root")
    if size == "0" and root != EMPTY_ROOT:
        raise InvalidProof("not a checkpoint: no leaves, but a root")
    names = [line.removeprefix(_NEXT) for line in more if line.startswith(_NEXT)]
    if len(names) > 1:
        raise InvalidProof("not a checkpoint: more than one next key")
    try:
        successor = VerifierKey.parse(names[0]) if names else None
    except ValueError as error:
        raise InvalidProof(f"not a checkpoint: {error}") from error
    return Checkpoint(origin, int(size), root, successor)


def open_checkpoint(note: Note, trust: Iterable[VerifierKey]) -> tuple[Checkpoint, VerifierKey]:
    """
    Return what a signed *note* says, and the first of *trust* that has signed it.

    Raises:
        InvalidProof: It is no checkpoint, nobody of *trust* has signed it, or not truly.
    """
    signers = note.signers(trust)
    if not signers:
        names = ", ".join(f"{one.name}+{one.key_id.hex()}" for one in note.signatures[:3])
        raise InvalidProof(f"signed by no trusted key, but by {names}")
    return parse_checkpoint(note.text), signers[0]
