"""Values an agent can meet, on every way into the log and out of it again."""

import dataclasses
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from session_tools import log_path, user

import session_store as ss
from session_store import blocking

Way = Callable[[ss.Store, Any], Awaitable[Any]]


async def by_history(store: ss.Store, value: Any) -> Any:
    start = ss.SessionStartState(history=[{"role": "user", "content": value}])
    session = await ss.create_session(store, start)
    return (await ss.restore(store, session.id)).history[0]["content"]


async def by_config(store: ss.Store, value: Any) -> Any:
    session = await ss.create_session(store, ss.SessionStartState(config={"x": value}))
    return (await ss.restore(store, session.id)).config["x"]


async def by_labels(store: ss.Store, value: Any) -> Any:
    session = await ss.create_session(store)
    await session.save_labels({"x": [value]})
    return (await ss.restore(store, session.id)).labels["x"][0]


async def by_items(store: ss.Store, value: Any) -> Any:
    session = await ss.create_session(store)
    await session.save_delta([{"role": "user", "content": value}])
    return (await ss.restore(store, session.id)).history[0]["content"]


async def by_extension(store: ss.Store, value: Any) -> Any:
    session = await ss.create_session(store)
    await session.save_extension("x", value)
    return (await ss.restore(store, session.id)).extensions[0][1]


async def by_unknown_kind(store: ss.Store, value: Any) -> Any:
    session = await ss.create_session(store)
    await session.append(ss.UnknownEntry("x", {"x": value}))
    entries = [entry async for entry in ss.read_entries(store, session.id)]
    assert entries[1].body is not None
    return entries[1].body["x"]


async def by_fork(store: ss.Store, value: Any) -> Any:
    session = await ss.create_session(store)
    fork = await ss.fork(store, session.id, config={"x": value})
    return (await ss.restore(store, fork.id)).config["x"]


async def by_copy(store: ss.Store, value: Any) -> Any:
    session = await ss.create_session(store, ss.SessionStartState(config={"x": value}))
    fork = await ss.flatten(store, session.id)
    return (await ss.restore(store, fork.id)).config["x"]


async def by_salvage(store: ss.Store, value: Any) -> Any:
    session = await ss.create_session(store)
    await session.save_extension("x", value)
    salvaged = await ss.salvage(store, session.id)
    return (await ss.restore(store, salvaged.id)).extensions[0][1]


async def by_trace(store: ss.Store, value: Any) -> Any:
    session = await ss.create_session(store)
    writer = ss.TraceWriter(store, session.id)
    writer.event(value)
    await writer.flush()
    reader = ss.TraceReader(store, session.id)
    (entry,) = [entry async for entry in reader.entries()]
    return entry.data


WAYS: dict[str, Way] = {
    way.__name__.removeprefix("by_"): way
    for way in (
        by_history,
        by_config,
        by_labels,
        by_items,
        by_extension,
        by_unknown_kind,
        by_fork,
        by_copy,
        by_salvage,
        by_trace,
    )
}
TRAPS: dict[str, Any] = {
    "infinities": [math.inf, -math.inf],
    "negative zero": [-0.0, 0.0],
    "integers of any size": [2**53 + 1, 2**64 - 1, 2**64, -(2**63) - 1, 10**400],
    "lone surrogates": ["\ud800", "a\udfffb", {"\ud83d": "\ude00"}],
    "bytes": [b"", b"\x00\xff\n"],
    "keys that are no text": {1: "a", None: "b", False: "c", 2.5: "d", b"k": "e"},
    "the wrapper's own key": [{"$ss": 1}, {"$ss": ["float", "nan"]}, {"$ss": [], "x": 1}],
    "line separators": ["\u2028\u2029\u0085\x0b\x0c\x1c\r\n"],
    "controls and bidi": ["\x00\x1b[31m\u202e\ufeff\U0001f600"],
    "lines of a log": ['{"v":1,"seq":0}\n', '"hash":"' + "0" * 64 + '"}'],
    "null": [None, {"x": None}],
    "empty": [{}, [], "", {"": ""}],
    "floats": [0.1, 1e308, 5e-324, 1.0],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("value", TRAPS.values(), ids=TRAPS)
async def test_a_value_comes_back_as_it_was(value: Any, way: Way) -> None:
    """Types included, through every call that takes one."""
    async with await ss.open_store("memory:") as store:
        found = await way(store, value)

    assert value == found
    assert repr(value) == repr(found)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_nan_comes_back_as_nan(way: Way) -> None:
    """orjson would have made it null without a word."""
    async with await ss.open_store("memory:") as store:
        assert ["nan"] == list(map(repr, await way(store, [math.nan])))


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters())),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.one_of(st.text(max_size=3), st.integers(), st.just("$ss")), inner),
        ),
        max_leaves=8,
    )
)
def test_no_value_is_changed_on_the_way(value: Any) -> None:
    """Whatever is saved: restored, copied and restored again."""
    with blocking.open_store("memory:") as store:
        session = blocking.create_session(store)
        session.save_extension("x", value)
        for session_id in (session.id, blocking.flatten(store, session.id).id):
            (found,) = blocking.restore(store, session_id).extensions
            assert repr(value) == repr(found[1])


async def test_tuples_come_back_as_lists(store: ss.Store) -> None:
    """The one conversion there is."""
    assert [1, [2, 3]] == await by_items(store, (1, (2, 3)))


class Model:
    """What objects of pydantic offer."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return self.fields


@frozen
class Attrs:
    role: str
    content: str


@dataclasses.dataclass
class Data:
    role: str
    content: str


OBJECTS = {
    "pydantic": Model(role="user", content="x"),
    "attrs": Attrs("user", "x"),
    "dataclass": Data("user", "x"),
}


@pytest.mark.parametrize("item", OBJECTS.values(), ids=OBJECTS)
async def test_objects_of_sdks_are_items(store: ss.Store, item: Any) -> None:
    """Taken as the objects that they describe, also as a config and in a first history."""
    start = ss.SessionStartState(config=item, history=[item])
    session = await ss.create_session(store, start)
    await session.save_delta([item])

    state = await ss.restore(store, session.id)

    plain = {"role": "user", "content": "x"}
    assert (plain, [plain, plain]) == (state.config, state.history)


@frozen
class Refused:
    value: Any
    error: type[Exception]
    says: str


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


REFUSED = {
    "a set": Refused({1}, TypeError, "set"),
    "an object": Refused(object(), TypeError, "object"),
    "too deep": Refused(nested(300), ss.LimitExceeded, "200"),
    "too many keys": Refused(dict.fromkeys(map(str, range(10_001))), ss.LimitExceeded, "10000"),
    "too long": Refused("x" * (1 << 24), ss.LimitExceeded, "16777216"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_written_is_refused_before_it_is(
    store: ss.Store, case: Refused
) -> None:
    """A typed error that names the limit; the log and the handle are as before."""
    session = await ss.create_session(store)

    for save in (
        lambda: session.save_extension("x", case.value),
        lambda: session.save_delta([user("before"), {"role": "user", "content": case.value}]),
        lambda: ss.create_session(store, ss.SessionStartState(config={"x": case.value})),
    ):
        with pytest.raises(case.error, match=case.says):
            await save()

    assert [session.id] == [info.session_id for info in await store.list()]
    assert 0 == (await store.head(session.id)).seq
    await session.save_delta([user("after")])


async def test_an_append_beyond_its_limit_is_refused_whole(store: ss.Store) -> None:
    """4,096 records go in one append, one more does not; nor do 64 MiB."""
    session = await ss.create_session(store)
    await session.append(*[ss.TurnEnd(1)] * 4096)

    with pytest.raises(ss.LimitExceeded, match="4097 records"):
        await session.append(*[ss.TurnEnd(1)] * 4097)
    with pytest.raises(ss.LimitExceeded, match="67108864"):
        await session.append(*[ss.Extension("x", "y" * 15_000_000)] * 5)

    assert 4096 == (await store.head(session.id)).seq


async def test_a_log_line_holds_no_line_end_but_its_own(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """What the values hold is escaped, or is not a line end for us."""
    session = await ss.create_session(fs_store)
    await session.save_delta([user("a\nb\r\nc\u2028d\u0085e\x0bf\x1cg")])

    data = log_path(tmp_path, session.id).read_bytes()

    assert (2, 0) == (data.count(b"\n"), data.count(b"\r"))
