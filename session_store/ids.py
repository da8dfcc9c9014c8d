"""
Session ids: UUIDv7 as canonical lower-case text.

Text inside, 16 raw bytes in hashes. Ids order sessions of one process by
creation; between processes only the seq of a log orders anything.
"""

import re
from typing import NewType

import uuid_utils
from blake3 import blake3

from .errors import InvalidId

SessionId = NewType("SessionId", str)

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_session_id() -> SessionId:
    """Return a fresh id, greater than every earlier one of this process."""
    return SessionId(str(uuid_utils.uuid7()))


def session_id_for(key: str, ts_ms: int) -> SessionId:
    """
    Return the id that belongs to the external *key*, always the same one.

    Args:
        ts_ms: Unix milliseconds of the session's first event; places the id in time.
    """
    bits = int.from_bytes(blake3(key.encode("utf-8", "surrogatepass")).digest(length=10))
    value = (ts_ms & (1 << 48) - 1) << 80 | bits
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return SessionId("-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])))


def parse_session_id(text: str) -> SessionId:
    """
    Return *text* as an id.

    Raises:
        InvalidId: It is not exactly a canonical lower-case UUIDv7; braces,
            urn:, upper case and other digits are not accepted.
    """
    # fullmatch, not match with $: the latter would let a final newline through.
    if not isinstance(text, str) or _CANONICAL.fullmatch(text) is None:
        raise InvalidId(f"not a session id: {str(text)[:80]!r} (a lower-case UUIDv7 is expected)")
    return SessionId(text)


def id_bytes(session_id: SessionId) -> bytes:
    """Return the 16 raw bytes that enter the hashes."""
    return bytes.fromhex(session_id.replace("-", ""))


def id_ts_ms(session_id: SessionId) -> int:
    """Return the Unix milliseconds that the id carries."""
    return int(session_id[:8] + session_id[9:13], 16)
