"""Values: whatever an agent can meet is recorded, and comes back as it was."""

import contextlib
import dataclasses
import datetime as dt
import enum
import json
import math
import struct
from collections import OrderedDict, UserDict, defaultdict, namedtuple
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import attrs
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from session_store.errors import InvalidInput, LimitExceeded
from session_store.limits import DEPTH_MAX, KEYS_MAX
from session_store.values import decode, depth, encode, parse, parse_outside, to_object

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(st.characters()),
    st.text(st.characters(categories=["Cs", "Lu", "Cc"])),
    st.binary(max_size=20),
)
KEYS = st.one_of(st.text(max_size=5), st.just("$ss"), SCALARS, st.tuples(SCALARS, SCALARS))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Return whether two values are alike in type and content, NaN being itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        pairs = zip(a.items(), b.items(), strict=True) if len(a) == len(b) else [(1, 2)]
        return all(same(list(x), list(y)) for x, y in pairs)
    return bool(a == b)


@given(VALUES)
@example({"$ss": ["float", "nan"]})
@example({"$ss": {"$ss": {"$ss": 1}}})
@example({1: {2.5: {None: {(1, "x"): b"y"}}}})
@example(["null", None, math.nan, "\ud83d", 2**64])
def test_decode_undoes_encode(value: Any) -> None:
    """Nothing an agent can meet is changed on the way through the log."""
    out = encode(value)

    assert same(value, decode(out))
    json.loads(out, parse_constant=pytest.fail)


def deep(levels: int, value: Any = 1) -> Any:
    for _ in range(levels):
        value = [value]
    return value


WRAPPED = {
    "nan beside null": ([None, float("nan")], b'[null,{"$ss":["float","nan"]}]'),
    "null and nothing else": ([None, [1, None]], b"[null,[1,null]]"),
    "nan": (math.nan, b'{"$ss":["float","nan"]}'),
    "inf": (math.inf, b'{"$ss":["float","inf"]}'),
    "-inf": (-math.inf, b'{"$ss":["float","-inf"]}'),
    "below int64": (-(2**63) - 1, b'{"$ss":["int","-9223372036854775809"]}'),
    "above uint64": (2**64, b'{"$ss":["int","18446744073709551616"]}'),
    "int64": (-(2**63), b"-9223372036854775808"),
    "uint64": (2**64 - 1, b"18446744073709551615"),
    "bytes": (b"\0\1\2", b'{"$ss":["bytes","AAEC"]}'),
    "surrogate": ("\ud800", b'{"$ss":["str","7aCA"]}'),
    "int key": ({1: 2}, b'{"$ss":["dict",[[1,2]]]}'),
    "tuple key": ({(1, "a"): 2}, b'{"$ss":["dict",[[[1,"a"],2]]]}'),
    "own key": ({"$ss": 1}, b'{"$ss":["dict",[["$ss",1]]]}'),
    "own key beside": ({"$ss": 1, "a": 2}, b'{"$ss":["dict",[["$ss",1],["a",2]]]}'),
}


@pytest.mark.parametrize(("value", "out"), WRAPPED.values(), ids=WRAPPED)
def test_wrappers_are_those_of_the_format(value: Any, out: bytes) -> None:
    """docs/FORMAT.md §7, both ways."""
    assert out == encode(value)
    assert same(value, decode(out))


STANDS = [
    '{"$ss":[[1],"x"]}',
    '{"$ss":[{},"x"]}',
    '{"$ss":["float","1"]}',
    '{"$ss":["float","NaN"]}',
    '{"$ss":["float",["nan"]]}',
    '{"$ss":["int","12"]}',
    '{"$ss":["int","018446744073709551616"]}',
    '{"$ss":["int","-0"]}',
    '{"$ss":["int","１８446744073709551616"]}',
    '{"$ss":["int",18]}',
    '{"$ss":["bytes","AAE"]}',
    '{"$ss":["bytes","A A="]}',
    '{"$ss":["bytes",7]}',
    '{"$ss":["str","gA=="]}',
    '{"$ss":["str",null]}',
    '{"$ss":["dict",{}]}',
    '{"$ss":["dict",[[1]]]}',
    '{"$ss":["dict",[[1,2],[1,3]]]}',
    '{"$ss":["dict",[[{},2]]]}',
    '{"$ss":["unknown","x"]}',
    '{"$ss":["float","nan"],"more":1}',
    '{"$ss":{"bytes":1,"AAEC":2}}',
    '{"$ss":["float"]}',
    '{"$ss":"ab"}',
    '{"$ss":null}',
]


@pytest.mark.parametrize("text", STANDS)
def test_what_is_no_wrapper_stands_for_itself(text: str) -> None:
    """Anything else under `$ss` comes back as it is, never as an error."""
    assert json.loads(text) == decode(text.encode())


def test_a_wrapper_spelled_with_escapes_is_one() -> None:
    """Another writer may escape what it likes."""
    for key in (b"\\u0024ss", b"$\\u0073s", b"$s\\u0073", b"\\u0024\\u0073\\u0073"):
        assert b"\0" == decode(b'{"' + key + b'":["bytes","AA=="]}')
    assert {"a": "\x1b$"} == decode(b'{"a":"\\u001b$"}')


def test_wrappers_are_found_inside_what_stands_for_itself() -> None:
    """Only the object itself is no wrapper."""
    assert {"$ss": {"a": b""}} == decode(b'{"$ss":{"a":{"$ss":["bytes",""]}}}')


Point = namedtuple("Point", "x y")  # noqa: PYI024 - what SDKs have, typed or not


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Name(str):
    __slots__ = ()


class Ratio(float):
    __slots__ = ()


@attrs.frozen
class Attrs:
    a: int
    _b: Any = None


@dataclasses.dataclass
class Data:
    a: int
    b: Any = None


class Model:
    """What pydantic's models offer, as far as we use it."""

    def __init__(self, full: Any, given: Any) -> None:
        self.full, self.given = full, given

    def model_dump(self, *, exclude_unset: bool = False) -> Any:
        return self.given if exclude_unset else self.full


OBJECTS = {
    "tuple": ((1, (2,)), [1, [2]]),
    "namedtuple": (Point(1, 2), [1, 2]),
    "ordered dict": (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    "default dict": (defaultdict(int, a=1), {"a": 1}),
    "mapping": (UserDict(a=math.nan), {"a": math.nan}),
    "enum": (Colour.RED, "red"),
    "int enum": (Level.LOW, 1),
    "enum as key": ({Colour.RED: 1}, {"red": 1}),
    "text subclass": (Name("x"), "x"),
    "text subclass as key": ({Name("x"): 1}, {"x": 1}),
    "float subclass": (Ratio(0.5), 0.5),
    "nan subclass": ([Ratio("nan")], [math.nan]),
    "uuid": (UUID(int=1), str(UUID(int=1))),
    "uuid as key": ({UUID(int=1): 1}, {str(UUID(int=1)): 1}),
    "bytearray": (bytearray(b"x"), b"x"),
    "memoryview": ([memoryview(b"x")], [b"x"]),
    "attrs": (Attrs(1, (2,)), {"a": 1, "_b": [2]}),
    "dataclass": (Data(1, Data(2)), {"a": 1, "b": {"a": 2, "b": None}}),
    "dataclass that needs wrapping": (Data(2**64), {"a": 2**64, "b": None}),
    "model": (Model({"a": 1}, {"a": 1}), {"a": 1}),
    "model with a default": (Model({"type": "t", "a": 1}, {"a": 1}), {"type": "t", "a": 1}),
    "model with an unset null": (Model({"a": 1, "b": None}, {"a": 1}), {"a": 1}),
    "model with a null that was set": (Model({"a": None}, {"a": None}), {"a": None}),
    "model in a model": (
        Model({"l": [{"t": 1, "n": None}, 2], "m": [1]}, {"l": [{"t": 1}, 2], "m": []}),
        {"l": [{"t": 1}, 2], "m": [1]},
    ),
}


@pytest.mark.parametrize(("given_", "plain"), OBJECTS.values(), ids=OBJECTS)
def test_objects_of_sdks_are_recorded(given_: Any, plain: Any) -> None:
    """They come back as the JSON values they stand for."""
    assert same([plain], decode(encode([given_])))


REFUSED = {
    "date": dt.date(2026, 1, 1),
    "datetime": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    "time": dt.time(1),
    "set": {1},
    "object": object(),
    "class": Data,
    "function": len,
    "date as key": {dt.date(2026, 1, 1): 1},
    "date beside what is wrapped": [math.nan, dt.date(2026, 1, 1)],
    "object as key": {Attrs(1): 1},
    "keys that become the same": {UUID(int=1): 1, str(UUID(int=1)): 2},
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_what_has_no_json_form_is_refused(value: Any) -> None:
    """Nothing is converted silently: the caller says what it means."""
    with pytest.raises(TypeError, match="cannot record"):
        encode(value)


def ring() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def dict_ring() -> dict[Any, Any]:
    value: dict[Any, Any] = {"x": math.nan}
    value[1] = value
    return value


TOO_MUCH = {
    "depth 201": deep(DEPTH_MAX + 1),
    "depth 199 and a wrapper": deep(DEPTH_MAX - 1, math.nan),
    "depth 201 beside a wrapper": [math.nan, deep(DEPTH_MAX)],
    "wrappers that nest too deep": json.loads('{"$ss":' * 120 + "1" + "}" * 120),
    "depth 5,000": deep(5_000),
    "a list in itself": ring(),
    "an object in itself": dict_ring(),
    "10,001 keys": dict.fromkeys(map(str, range(KEYS_MAX + 1)), 0),
    "10,001 keys inside": [[{"a": dict.fromkeys(map(str, range(KEYS_MAX + 1)), 0)}]],
    "an integer of 5,000 digits": 10**5_000,
}


@pytest.mark.parametrize("value", TOO_MUCH.values(), ids=TOO_MUCH)
def test_limits_are_kept_before_anything_is_written(value: Any) -> None:
    """docs/FORMAT.md §8, with a typed error."""
    with pytest.raises(LimitExceeded):
        encode(value)


WITHIN = {
    "depth 200": deep(DEPTH_MAX),
    "depth 198 and a wrapper": deep(DEPTH_MAX - 2, 2**64),
    "10,000 keys": dict.fromkeys(map(str, range(KEYS_MAX)), 0),
    "20,000 keys in two": [dict.fromkeys(map(str, range(KEYS_MAX)), 0)] * 2,
    "10,001 colons in text": ['":' * (KEYS_MAX + 1)],
    "brackets in text": ["[{" * 500 + '"\\', {"a": "]"}],
    "an integer of 4,300 digits": 10**4_299,
}


@pytest.mark.parametrize("value", WITHIN.values(), ids=WITHIN)
def test_what_is_just_within_the_limits_is_written(value: Any) -> None:
    """The limit itself is allowed."""
    assert value == decode(encode(value))


NOT_JSON = {
    "words": b"{nonsense}",
    "nan": b"[NaN]",
    "infinite": b"1e999",
    "lone surrogate": b'"\\ud800"',
    "not UTF-8": b'"\xff"',
    "byte-order mark": b"\xef\xbb\xbf{}",
    "depth 201": b"[" * 201 + b"]" * 201,
    "two values": b"{}{}",
    "nothing": b"",
}


@pytest.mark.parametrize("data", NOT_JSON.values(), ids=NOT_JSON)
@pytest.mark.parametrize("read", [parse, decode])
def test_bodies_that_do_not_parse(read: Any, data: bytes) -> None:
    """One error for all of them; nothing is guessed."""
    with pytest.raises(ValueError, match=r"\w"):
        read(data)


def test_parse_leaves_wrappers_alone() -> None:
    """Positions, targets and replacements are read as they stand."""
    assert {"$ss": ["bytes", ""]} == parse(b'{"$ss":["bytes",""]}')


OUTSIDE = {
    "not UTF-8": (b'{"a":"\xff"}', "not UTF-8 at byte 6"),
    "byte-order mark": (b"\xef\xbb\xbf{}", "byte-order mark"),
    "key twice": (b'{"a":{"b":1,"\\u0062":2}}', "key 'b' is given twice"),
    "nan": (b"[NaN]", "NaN"),
    "-infinity": (b"[-Infinity]", "-Infinity"),
    "float out of range": (b"1e999", "1e999"),
    "integer of 5,000 digits": (b"1" * 5_000, "too many digits"),
    "depth 201": (b"[" * 201 + b"]" * 201, "nested deeper"),
    "10,001 keys": (orjson.dumps(dict.fromkeys(map(str, range(10_001)))), "keys in one object"),
    "broken": (b'{"a":', "not JSON"),
    "trailing": (b"{} x", "not JSON"),
    "empty": (b"", "not JSON"),
}


@pytest.mark.parametrize(("data", "why"), OUTSIDE.values(), ids=OUTSIDE)
def test_json_from_outside_is_refused_with_a_reason(data: bytes, why: str) -> None:
    """What another program would silently drop or change is an error that says where."""
    with pytest.raises(InvalidInput, match=why) as caught:
        parse_outside(data, source="file.jsonl", line=3)

    assert ("file.jsonl", 3) == (caught.value.source, caught.value.line)
    assert "file.jsonl, line 3: " in str(caught.value)


@given(VALUES.filter(lambda v: b"$ss" not in encode(v)))
def test_json_from_outside_is_read_as_it_is(value: Any) -> None:
    """Good JSON of any spelling is taken."""
    assert same(decode(encode(value)), parse_outside(json.dumps(value).encode()))


def test_wide_integers_and_surrogates_from_outside_survive() -> None:
    """The two things that fast parsers lose."""
    value = parse_outside(b'[18446744073709551616, "\\ud800"]')

    assert [2**64, "\ud800"] == value == decode(encode(value))


@given(st.binary(max_size=60))
def test_any_bytes_from_outside_give_a_value_or_a_typed_error(data: bytes) -> None:
    """Never another exception."""
    with contextlib.suppress(InvalidInput):
        parse_outside(data)


def test_depth_is_linear_in_hostile_bytes() -> None:
    """A megabyte of unfinished strings takes as long as any megabyte."""
    assert 201 == depth(b"[" * 201 + b'\\"' * 500_000)


@given(
    st.recursive(
        st.just(0),
        lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text('[]{}"\\'), v, max_size=3),
    )
)
def test_depth_counts_as_the_format_says(value: Any) -> None:
    """The outermost object or array counts as 1; brackets in text do not count."""

    def levels(v: Any) -> int:
        inside = v.values() if isinstance(v, Mapping) else v if isinstance(v, list) else None
        return 0 if inside is None else 1 + max(map(levels, inside), default=0)

    assert levels(value) == depth(orjson.dumps(value))


def test_to_object_names_what_is_none() -> None:
    """The caller learns which argument was meant."""
    assert {"a": 1, "_b": None} == to_object(Attrs(1), "item")
    with pytest.raises(TypeError, match="item: an object expected, list found"):
        to_object([1], "item")
