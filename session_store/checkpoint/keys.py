"""
Ed25519 keys in the text forms of C2SP signed notes.

    <name>+<key id>+<base64>                    a public key, to be pinned by verifiers
    PRIVATE+KEY+<name>+<key id>+<base64>        a private one, to be kept by its signer

`cryptography` is imported when something is signed or verified (the extra `sign`).
"""

import base64
import binascii
import importlib
from hashlib import sha256
from secrets import token_bytes
from typing import Any, Self

from attrs import field, frozen

from ..errors import InvalidInput, MissingExtra

_ED25519 = b"\1"
_PRIVATE = "PRIVATE+KEY+"
_KEY_SIZE = 32


def _cryptography(module: str) -> Any:
    try:
        return importlib.import_module(f"cryptography.{module}")
    except ModuleNotFoundError as error:
        raise MissingExtra("signing, and verifying what was signed,", "sign") from error


def is_key_name(name: str) -> bool:
    """Return whether *name* may name a key: not empty, without blanks, controls and `+`."""
    return bool(name) and not any(c.isspace() or c == "+" or c < " " for c in name)


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of standard base64 in its one canonical form, else None."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


@frozen
class VerifierKey:
    """
    Whose signatures are believed.

    Attributes:
        name: Of the signer; a URL without its scheme is the custom.
        public: 32 bytes.
    """

    name: str
    public: bytes = field(repr=False)

    @property
    def key_id(self) -> bytes:
        """Four bytes that stand in front of every signature of the key."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        """Return the text form, which `parse` takes."""
        key = base64.b64encode(_ED25519 + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Return the key in *text*.

        Raises:
            InvalidInput: It is no public Ed25519 key, or its id is another key's.
        """
        name, key_id, data = _parts(text, "a public key")
        key = cls(name, data)
        if key.key_id.hex() != key_id:
            raise InvalidInput("its id is not that of the key", source="a public key")
        return key

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """
        Return whether *signature* is this key's, of *message*.

        Raises:
            MissingExtra: `cryptography` is not installed.
        """
        ed25519 = _cryptography("hazmat.primitives.asymmetric.ed25519")
        invalid = _cryptography("exceptions").InvalidSignature
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (invalid, ValueError):
            return False
        return True


@frozen
class SigningKey:
    """
    What seals are signed with. Whoever has it can sign any history.

    Attributes:
        seed: 32 bytes, never shown.
    """

    name: str
    seed: bytes = field(repr=False)
    verifier: VerifierKey

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> Self:
        """
        Return the key that *seed* stands for.

        Raises:
            InvalidInput: *name* may not name a key.
            MissingExtra: `cryptography` is not installed.
        """
        if not is_key_name(name) or not name.isprintable():
            why = f"{name[:80]!r} is no name: printable, without blanks and + is expected"
            raise InvalidInput(why, source="a key's name")
        ed25519 = _cryptography("hazmat.primitives.asymmetric.ed25519")
        public = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key()
        return cls(name, seed, VerifierKey(name, public.public_bytes_raw()))

    @classmethod
    def generate(cls, name: str) -> Self:
        """Return a new key; errors as for `from_seed`."""
        return cls.from_seed(name, token_bytes(_KEY_SIZE))

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Return the key in *text*, as `text` gives it; errors as for `from_seed`.

        Raises:
            InvalidInput: It is no private Ed25519 key, or its id is another key's.
        """
        if not text.startswith(_PRIVATE):
            raise InvalidInput(f"does not begin with {_PRIVATE}", source="a private key")
        name, key_id, seed = _parts(text.removeprefix(_PRIVATE), "a private key")
        key = cls.from_seed(name, seed)
        if key.verifier.key_id.hex() != key_id:
            raise InvalidInput("its id is not that of the key", source="a private key")
        return key

    def text(self) -> str:
        """Return the private key as text. Keep it where only the signer can read it."""
        key = base64.b64encode(_ED25519 + self.seed).decode()
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{key}"

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        ed25519 = _cryptography("hazmat.primitives.asymmetric.ed25519")
        signature = ed25519.Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)
        assert isinstance(signature, bytes)
        return signature


def _parts(text: str, source: str) -> tuple[str, str, bytes]:
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    data = decode_base64(encoded)
    if not is_key_name(name) or len(key_id) != 8 or data is None or not data:
        raise InvalidInput("NAME+ID+KEY is expected", source=source)
    if data[:1] != _ED25519 or len(data) != 1 + _KEY_SIZE:
        raise InvalidInput("no Ed25519 key of 32 bytes", source=source)
    return name, key_id, data[1:]
