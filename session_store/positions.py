"""Positions in JSON: how bodies and people name one record of one log."""

from typing import TypeGuard

from .entries import EntryHash, Json, Position
from .errors import InvalidId
from .ids import parse_session_id
from .values import parse


def parse_position(value: Json) -> Position | None:
    """Return the position in *value*, or None if it is not the JSON form of one."""
    if not isinstance(value, dict):
        return None
    session_id, seq, hash_ = (value.get(name) for name in ("session_id", "seq", "hash"))
    if type(seq) is not int or not 0 <= seq < 1 << 53 or not is_hash(hash_):
        return None
    if not isinstance(session_id, str):
        return None
    try:
        return Position(parse_session_id(session_id), seq, EntryHash(bytes.fromhex(hash_)))
    except InvalidId:
        return None


def position_from(body: bytes, field: str) -> Position | None:
    """Return the position that *field* of a JSON *body* names, or None."""
    try:
        value = parse(body)
    except ValueError:
        return None
    return parse_position(value.get(field)) if isinstance(value, dict) else None


def is_hash(text: object) -> TypeGuard[str]:
    """Return whether *text* is a hash in its outside form: 64 lower-case hex characters."""
    return isinstance(text, str) and len(text) == 64 and all(c in "0123456789abcdef" for c in text)
