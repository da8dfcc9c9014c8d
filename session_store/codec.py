"""
Entries to bodies and back.

The write side needs no converter; cattrs is imported when something is first
structured into a class, so that a worker which only appends does not pay for it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, get_args, get_origin

import attrs
import orjson

from . import values
from .chain import Draft, Record, make_draft
from .entries import KINDS, EntryHash, HashedEntry, Json, LogEntry, Position, UnknownEntry
from .errors import Corrupt, InvalidInput
from .ids import SessionId
from .kinds import KIND

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")


def encode_body(entry: LogEntry) -> bytes:
    """
    Return the body of *entry* as JSON bytes; fields that are None are absent.

    Raises:
        TypeError: A value has no JSON form, or is not what the kind says: what is
            written here can be restored.
        LimitExceeded: Nested too deeply, or an object with too many keys.
    """
    if isinstance(entry, UnknownEntry):
        return values.encode(dict(entry.body))
    body = {}
    cls: Any = type(entry)
    for name, exact, check, what in _fields(cls):
        value = getattr(entry, name)
        if type(value) is exact or exact is object:
            body[name] = value
        elif value is not None:
            body[name] = check(value, what)
    return values.encode(body)


def draft(entry: LogEntry, salt: bytes, ts: int | None = None) -> Draft:
    """
    Return the draft of *entry*.

    Args:
        salt: 16 bytes from the kernel, never used before.
        ts: Unix milliseconds to carry; None is the time of the append.
    """
    if entry.kind not in KINDS and KIND.fullmatch(entry.kind) is None:
        raise ValueError(f"not a kind: {entry.kind!r}")
    return make_draft(entry.kind, encode_body(entry), salt, ts)


def decode_body(record: Record, path: str) -> Mapping[str, Json] | None:
    """
    Return the body of a checked *record*, or None if it was erased.

    Raises:
        Corrupt: It is not a JSON object. Its hash holds, so it was written that way.
    """
    return _decode_body(values.decode, path, record)


def body_decoder(
    records: Sequence[Record], path: str
) -> Callable[[Record], Mapping[str, Json] | None]:
    """Return `decode_body` for *records* of one log, quicker where none of them needs much."""
    bodies = [record.body for record in records if record.body is not None]
    decode = orjson.loads if values.are_plain(bodies) else values.decode
    return partial(_decode_body, decode, path)


def _decode_body(
    decode: Callable[[bytes], Json], path: str, record: Record
) -> Mapping[str, Json] | None:
    if record.body is None:
        return None
    try:
        body = decode(record.body)
    except ValueError as error:
        raise unfit(record, path, f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise unfit(record, path, "the body is not an object")
    return body


def hashed_entry(record: Record, session_id: SessionId, path: str) -> HashedEntry:
    """Return *record* as a value; errors as for `decode_body`."""
    return HashedEntry(
        Position(session_id, record.seq, record.hash),
        record.ts,
        record.kind,
        record.batch,
        EntryHash(record.prev_hash),
        decode_body(record, path),
        record.withheld,
    )


def unfit(record: Record, path: str, why: str) -> Corrupt:
    """Return the error for a *record* that holds, but whose content cannot be used."""
    return Corrupt(path, line=record.seq + 1, offset=record.offset, seq=record.seq, why=why)


def typed(kind: str, body: Mapping[str, Json]) -> LogEntry:
    """
    Return the entry of *kind* with *body*, its types checked; unknown fields stay in the body only.

    Raises:
        InvalidInput: A field is missing or of another type.
    """
    cls = KINDS.get(kind)
    return UnknownEntry(kind, body) if cls is None else structure(body, cls, source=kind)


def structure(value: Json, cls: type[T], *, source: str, strict: bool = False) -> T:
    """
    Return *value* as an instance of *cls*, never converting (1.7 is no int, 1 no text).

    Args:
        strict: Refuse keys that *cls* does not have.

    Raises:
        InvalidInput: It does not fit.
    """
    try:
        return _converter(strict=strict).structure(value, cls)
    except Exception as error:  # cattrs lets whatever a hook raises pass: KeyError, TypeError, …
        raise InvalidInput(f"{type(error).__name__}: {error}", source=source) from error


_Check: TypeAlias = Callable[[Json, str], Json]


@cache
def _fields(cls: Any) -> tuple[tuple[str, Any, _Check, str], ...]:
    """Return of each field its name, the type that needs no look, the look at others, and words for it."""
    return tuple((a.name, *_check_of(a), f"{cls.kind}.{a.name}") for a in attrs.fields(cls))


def _check_of(field: "attrs.Attribute[Any]") -> tuple[Any, _Check]:
    if "nullable" in field.metadata:
        return object, values.to_object  # Whatever it is, None too, it needs no look.
    annotation: Any = field.type
    options = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    cls = next(option for option in options if option is not NoneType)
    cls = getattr(cls, "__supertype__", cls)
    if get_origin(cls) is Mapping:
        return dict, values.to_object
    if get_origin(cls) is Sequence:
        return Sequence, _to_objects
    return cls, partial(_exactly, cls)


def _to_objects(value: Json, what: str) -> list[Json]:
    return [item if type(item) is dict else values.to_object(item, what) for item in value]


def _exactly(cls: type, value: Json, what: str) -> Json:
    """Return a *value* whose type is not *cls* itself if it stands for one: a bool stands for no int."""
    if not isinstance(value, cls) or isinstance(value, bool):
        raise TypeError(f"{what}: {cls.__name__} expected, {type(value).__name__} found")
    return value


@cache
def _converter(*, strict: bool) -> "Converter":
    from cattrs import Converter  # noqa: PLC0415 - 0.2 s that a worker which only appends must not pay

    converter = Converter(forbid_extra_keys=strict, detailed_validation=False)

    def exactly(value: Json, cls: Any) -> Json:
        if type(value) is not cls and not (cls is float and type(value) is int):
            raise TypeError(f"{cls.__name__} expected, {type(value).__name__} found")
        return value

    def collection(value: Json, cls: Any) -> Any:
        # cattrs takes any iterable: a text would become its letters, an object its keys.
        if type(value) is not list:
            raise TypeError(f"list expected, {type(value).__name__} found")
        origin, inner = _bare(cls), get_args(cls) or (Any, ...)
        if origin is tuple and inner[-1] is not ...:
            return tuple(converter.structure(*pair) for pair in zip(value, inner, strict=True))
        found = [converter.structure(item, inner[0]) for item in value]
        return found if origin is Sequence else origin(found)

    exact: tuple[type[Any], ...] = (int, str, bool, float, bytes)
    for cls in exact:
        converter.register_structure_hook(cls, exactly)
    converter.register_structure_hook_func(lambda cls: _bare(cls) in _COLLECTIONS, collection)
    return converter


def _bare(annotation: Any) -> Any:
    return get_origin(annotation) or annotation


_COLLECTIONS = (list, tuple, set, frozenset, Sequence)
