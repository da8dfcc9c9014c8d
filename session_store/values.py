"""
JSON values to bytes and back, nothing lost on the way.

Rules of this module:
  * What JSON cannot carry is wrapped as {"$ss": [tag, content]} (docs/FORMAT.md §7).
  * A value is walked only where the bytes say that it may be needed.
  * Tuples come back as lists; enumerations as their values; UUIDs as text.
"""

import base64
import dataclasses
import enum
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NoReturn
from uuid import UUID

import attrs
import orjson

from .entries import Json
from .errors import InvalidInput, LimitExceeded
from .limits import DEPTH_MAX, KEYS_MAX

_OPTIONS = (
    orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_INT_MIN, _INT_MAX = -(1 << 63), (1 << 64) - 1
# A string without an end takes the rest, so that each byte is looked at once.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = b"[]{}"
_STEP = bytes.maketrans(_BRACKETS, b"\x02\x00\x02\x00")
_ESCAPED = re.compile(rb"\\u00(?:24|73)")
"""Another writer may have spelled a wrapper's key with escapes."""
_KEYS_BYTES = len(b'"":0,') * KEYS_MAX
_SMALL = 2 * DEPTH_MAX
"""Bytes in which no limit can be broken: every level takes two brackets."""
# `bytes in bytes` first raises and catches an error: these take a third of its time.
_find_null = re.compile(rb"null").search
_DOLLAR = ord("$")
_DECIMAL = re.compile(r"-?[1-9][0-9]{0,4299}")


def encode(value: Json) -> bytes:
    """
    Return *value* as JSON bytes.

    Raises:
        TypeError: Something in it has no JSON form and no wrapper (a date, a set, …).
        LimitExceeded: Nested too deeply, or an object with too many keys.
    """
    try:
        out = orjson.dumps(value, default=to_plain, option=_OPTIONS)
    except TypeError:
        # A wide integer, a lone surrogate, a key that is not text, or misuse: the walk tells.
        return _encode_walked(value)
    # orjson writes null for NaN without a word, and nothing equals NaN; "$ss" may be the caller's own key.
    if (_find_null(out) and orjson.loads(out) != value) or (_DOLLAR in out and b'"$ss"' in out):
        return _encode_walked(value)
    if len(out) > _SMALL and (_may_be_deep(out) or len(out) > _KEYS_BYTES):
        _check_limits(out)
    return out


def decode(data: bytes) -> Json:
    """
    Return the value that `encode` was given.

    Raises:
        ValueError: Not JSON, or nested too deeply.
    """
    value = parse(data)
    return _unwrap(value) if _may_be_wrapped(data) else value


def are_plain(bodies: Sequence[bytes]) -> bool:
    """
    Return whether a JSON parser alone gives for each of *bodies* what `decode` does.

    True is certain, False is not. Cost: linear, half of asking each body by itself.
    """
    text = b"\n".join(bodies)
    opening = text.translate(None, _NOT_OPENING_NOR_LF).split(b"\n")
    is_flat = len(opening) == len(bodies) and max(map(len, opening)) <= DEPTH_MAX
    return is_flat and not _may_be_wrapped(text)


def parse(data: bytes) -> Json:
    """
    Return the JSON value in *data* as it stands, wrappers included.

    Raises:
        ValueError: Not JSON, or nested too deeply.
    """
    if _may_be_deep(data) and depth(data) > DEPTH_MAX:
        raise ValueError(f"nested deeper than {DEPTH_MAX}")
    return orjson.loads(data)


def parse_outside(data: bytes, *, source: str = "input", line: int | None = None) -> Json:
    """
    Parse JSON that did not come from this library, losing nothing silently.

    Raises:
        InvalidInput: Not UTF-8, a byte-order mark, not JSON, a key given twice,
            a number that no type can hold, or a limit broken.
    """
    outside = _Outside(source, line)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        outside.refuse(f"not UTF-8 at byte {error.start}")
    if text.startswith("\ufeff"):
        outside.refuse("begins with a byte-order mark")
    if _may_be_deep(data) and depth(data) > DEPTH_MAX:
        outside.refuse(f"nested deeper than {DEPTH_MAX}")
    try:
        return json.loads(
            text,
            object_pairs_hook=outside.pairs,
            parse_float=outside.number,
            parse_constant=outside.constant,
        )
    except InvalidInput:
        raise
    except json.JSONDecodeError as error:
        outside.refuse(f"not JSON: {error.msg} (character {error.pos})")
    except ValueError:  # int() refuses more digits than sys.get_int_max_str_digits()
        outside.refuse("an integer with too many digits")


@attrs.frozen
class _Outside:
    source: str
    line: int | None

    def refuse(self, why: str) -> NoReturn:
        raise InvalidInput(why, source=self.source, line=self.line)

    def pairs(self, items: list[tuple[str, Json]]) -> dict[str, Json]:
        if len(items) > KEYS_MAX:
            self.refuse(f"more than {KEYS_MAX} keys in one object")
        value: dict[str, Json] = {}
        for name, content in items:
            if name in value:
                self.refuse(f"key {name!r} is given twice")
            value[name] = content
        return value

    def number(self, text: str) -> float:
        value = float(text)
        return value if math.isfinite(value) else self.constant(text[:40])

    def constant(self, text: str) -> NoReturn:
        self.refuse(f"{text} is not a number that JSON can carry")


def depth(data: bytes) -> int:
    """Return how deeply the JSON in *data* is nested, without parsing it. Cost: linear."""
    steps = _STRING.sub(b"", data).translate(_STEP, delete=_NOT_BRACKETS)
    return max(accumulate(step - 1 for step in steps), default=0)


_NOT_BRACKETS = bytes(b for b in range(256) if b not in _BRACKETS)
_NOT_OPENING = bytes(b for b in range(256) if b not in b"[{")
_NOT_OPENING_NOR_LF = bytes(b for b in _NOT_OPENING if b != 0x0A)


def to_plain(value: object) -> Json:  # noqa: PLR0911 - one for each kind of object
    """
    Return the JSON value for an object of an SDK or a container's subclass.

    Raises:
        TypeError: It has none.
    """
    dump: Callable[[], Any] | None = getattr(type(value), "model_dump", None)
    if dump is not None:
        given = value.model_dump(exclude_unset=True)  # type: ignore[attr-defined]
        return _without_unset_nulls(value.model_dump(), given)  # type: ignore[attr-defined]
    cls: type = type(value)
    if attrs.has(cls):
        return {a.name: getattr(value, a.name) for a in attrs.fields(cls)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$ss": ["bytes", base64.b64encode(value).decode()]}
    bases: tuple[type[Any], ...] = (str, int, float, list, tuple)
    for base in bases:
        if isinstance(value, base):
            return base(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(
        f"cannot record a {type(value).__module__}.{type(value).__qualname__}: make it JSON first"
    )


def to_object(value: object, what: str) -> dict[str, Json]:
    """
    Return the JSON object for *value*.

    Raises:
        TypeError: It is none; *what* names it.
    """
    plain = value if isinstance(value, dict) else to_plain(value)
    if not isinstance(plain, dict):
        raise TypeError(f"{what}: an object expected, {type(value).__name__} found")
    return plain


def _without_unset_nulls(full: Json, given: Json) -> Json:
    """Defaults belong to the record; a None that nobody set is what providers refuse."""
    if isinstance(full, dict) and isinstance(given, dict):
        return {
            name: _without_unset_nulls(value, given.get(name))
            for name, value in full.items()
            if value is not None or name in given
        }
    if isinstance(full, list) and isinstance(given, list) and len(full) == len(given):
        return [_without_unset_nulls(*pair) for pair in zip(full, given, strict=True)]
    return full


def _may_be_wrapped(data: bytes) -> bool:
    # One byte is found ten times as fast as three.
    return (b"$" in data and b"$ss" in data) or _ESCAPED.search(data) is not None


def _may_be_deep(data: bytes) -> bool:
    """The quick look."""
    return len(data) > _SMALL and len(data.translate(None, _NOT_OPENING)) > DEPTH_MAX


def _check_limits(out: bytes) -> None:
    if _may_be_deep(out) and depth(out) > DEPTH_MAX:
        raise LimitExceeded(f"nested deeper than {DEPTH_MAX}")
    if len(out) > _KEYS_BYTES and out.count(b'":') > KEYS_MAX:
        todo = [orjson.loads(out)]
        while todo:
            value = todo.pop()
            if isinstance(value, dict):
                if len(value) > KEYS_MAX:
                    raise LimitExceeded(f"{len(value)} keys in one object, at most {KEYS_MAX}")
                todo.extend(value.values())
            elif isinstance(value, list):
                todo.extend(value)


def _encode_walked(value: Json) -> bytes:
    wrapped = _wrap(value, 1)
    try:
        out = orjson.dumps(wrapped)
    except TypeError as error:  # all that is left is orjson's own depth, 254
        raise LimitExceeded(f"nested deeper than {DEPTH_MAX}") from error
    _check_limits(out)
    return out


def _wrap(value: Json, level: int) -> Json:  # noqa: PLR0911 - one for each type
    if level > DEPTH_MAX + 1:
        raise LimitExceeded(f"nested deeper than {DEPTH_MAX}, or inside itself")
    kind = type(value)
    if kind is str:
        return value if _is_text(value) else _wrapper("str", _surrogates_to_base64(value))
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if _INT_MIN <= value <= _INT_MAX else _wrapper("int", _decimal(value))
    if kind is float:
        return value if math.isfinite(value) else _wrapper("float", str(value))
    if kind is dict:
        if "$ss" not in value and all(type(k) is str and _is_text(k) for k in value):
            return {k: _wrap(v, level + 1) for k, v in value.items()}
        keys = [_wrap(k, level + 1) for k in value]
        _check_keys(keys)
        pairs = zip(keys, (_wrap(v, level + 1) for v in value.values()), strict=True)
        return _wrapper("dict", [list(pair) for pair in pairs])
    if kind is list or kind is tuple:
        return [_wrap(v, level + 1) for v in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return to_plain(value)
    return _wrap(to_plain(value), level + 1)


def _wrapper(tag: str, content: Json) -> dict[str, Json]:
    return {"$ss": [tag, content]}


def _check_keys(wrapped: list[Json]) -> None:
    try:
        distinct = set(map(_unwrap_key, wrapped))
    except TypeError as error:
        raise TypeError("cannot record an object as the key of another") from error
    if len(distinct) < len(wrapped):
        raise TypeError("cannot record two keys that are the same as JSON")


def _is_text(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _surrogates_to_base64(value: str) -> str:
    return base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()


def _decimal(value: int) -> str:
    try:
        return str(value)
    except ValueError as error:
        raise LimitExceeded("an integer with too many digits") from error


def _unwrap(value: Json) -> Json:
    if type(value) is list:
        return [_unwrap(v) for v in value]
    if type(value) is not dict:
        return value
    content = value.get("$ss")
    if len(value) == 1 and type(content) is list and len(content) == 2:
        try:
            return _UNWRAP[content[0]](content[1])
        except (ValueError, TypeError, KeyError):
            pass  # Not one of ours: it stands for itself.
    return {k: _unwrap(v) for k, v in value.items()}


def _unwrap_float(text: Json) -> float:
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[_known(text, "nan inf -inf")]


def _unwrap_int(text: Json) -> int:
    if type(text) is not str or _DECIMAL.fullmatch(text) is None:
        raise ValueError(text)
    value = int(text)
    if _INT_MIN <= value <= _INT_MAX:
        raise ValueError(text)
    return value


def _unwrap_bytes(text: Json) -> bytes:
    return base64.b64decode(text, validate=True)


def _unwrap_str(text: Json) -> str:
    return base64.b64decode(text, validate=True).decode("utf-8", "surrogatepass")


def _unwrap_dict(pairs: Json) -> dict[Any, Json]:
    if type(pairs) is not list or not all(type(p) is list and len(p) == 2 for p in pairs):
        raise ValueError(pairs)
    # Keys first: values that were unwrapped for nothing are unwrapped again, at each level.
    keys = [_unwrap_key(key) for key, _ in pairs]
    if len(set(keys)) < len(keys):
        raise ValueError("a key is given twice")
    return dict(zip(keys, (_unwrap(value) for _, value in pairs), strict=True))


def _unwrap_key(key: Json) -> Json:
    if type(key) is list:
        return tuple(map(_unwrap_key, key))
    if type(key) is dict:
        content = key.get("$ss")
        is_flat = type(content) is list and all(type(part) is str for part in content)
        if len(key) != 1 or not is_flat:
            raise TypeError("an object is no key")
    return _unwrap(key)


def _known(text: Json, words: str) -> str:
    if type(text) is not str or text not in words.split():
        raise ValueError(text)
    return text


_UNWRAP: Mapping[str, Callable[[Json], Json]] = {
    "float": _unwrap_float,
    "int": _unwrap_int,
    "bytes": _unwrap_bytes,
    "str": _unwrap_str,
    "dict": _unwrap_dict,
}
