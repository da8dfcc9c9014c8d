"""Positions in JSON: how bodies and people name one record of one log."""

from collections.abc import Mapping
from typing import TypeGuard

from .entries import EntryHash, Json, Position, SessionOrigin
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


def parse_origin(body: Mapping[str, Json]) -> SessionOrigin:
    """Return where the *body* of a session_start says that it came from, as far as it says that in form."""
    forked_from, compacted_from = (
        parse_position(body.get(name)) for name in ("forked_from", "compacted_from")
    )
    try:
        salvaged_from = parse_session_id(body.get("salvaged_from", ""))
    except InvalidId:
        salvaged_from = None
    return SessionOrigin(forked_from, compacted_from, salvaged_from)


def origin_from(body: bytes) -> SessionOrigin:
    """Return what `parse_origin` finds in a JSON *body*, nothing if that does not parse."""
    try:
        value = parse(body)
    except ValueError:
        value = None
    return parse_origin(value) if isinstance(value, dict) else SessionOrigin()


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
