"""Entries to bodies and back: what is written can be restored, nothing is converted."""

import enum
from collections.abc import Sequence
from typing import Any

import attrs
import orjson
import pytest
from attrs import frozen

import session_store as ss
from session_store.chain import check_line, root_head
from session_store.codec import (
    body_decoder,
    decode_body,
    draft,
    encode_body,
    hashed_entry,
    structure,
    typed,
)
from session_store.entries import KINDS
from session_store.errors import Corrupt, InvalidInput
from session_store.seeding import build_chain, build_lines
from session_store.testing.story import ROOT, begun, said

SALT = bytes(16)
START = ss.SessionStart(ROOT)

ENTRIES: dict[str, ss.LogEntry] = {
    "session_start": ss.SessionStart(ROOT, system_prompt="x", config={"a": 1}, history=[{}]),
    "history_continued": ss.HistoryContinued([{"a": 1}]),
    "run_started": ss.RunStarted("user_send"),
    "user_input": ss.UserInput([said("user", "hi")]),
    "assistant_items": ss.AssistantItems([]),
    "tool_results": ss.ToolResults([{}]),
    "hook_injected_items": ss.HookInjectedItems([{}]),
    "config_changed": ss.ConfigChanged({"model": "m"}),
    "turn_end": ss.TurnEnd(3, {"length": 1, "blake3": "00"}),
    "run_completed": ss.RunCompleted("finished"),
    "run_errored": ss.RunErrored("boom", interrupted=True),
    "llm_usage": ss.LlmUsage(1, 2, 3, 4, 5, "m"),
    "extension": ss.Extension("d", None),
    "labels_changed": ss.LabelsChanged({"a": None}),
    "recovery": ss.Recovery("cause", 1, 2, "00", "q"),
    "seal": ss.Seal("note"),
    "redaction": ss.Redaction([{"seq": 1, "digest": "00"}], "why", by="me"),
}


def test_every_kind_has_its_row() -> None:
    """A kind without a test here is not finished."""
    assert set(KINDS) == set(ENTRIES)


@pytest.mark.parametrize("kind", ENTRIES)
def test_entries_come_back(kind: str) -> None:
    """Encoding and `typed` undo each other."""
    entry = ENTRIES[kind]
    body = orjson.loads(encode_body(entry))

    assert entry == typed(kind, body)
    assert None not in body.values() or kind == "extension"


def test_unknown_kinds_and_fields_survive() -> None:
    """What a later version writes is kept, field for field."""
    later = ss.UnknownEntry("future", {"a": [None, {"$ss": 1}], "b": 2**70})
    (first, entry) = build_chain(ROOT, [START, later])

    assert later == typed(entry.kind, entry.body or {})
    assert ss.TurnEnd(1) == typed("turn_end", {"turn_count": 1, "mood": "new"})
    assert "session_start" == first.kind


@frozen
class Item:
    type: str
    text: str


class Result(enum.StrEnum):
    DONE = "done"


class Turn(enum.IntEnum):
    SECOND = 2


ACCEPTED = {
    "objects of an SDK": (
        ss.UserInput([Item("message", "x")]),
        b'{"items":[{"type":"message","text":"x"}]}',
    ),
    "a tuple of items": (ss.ToolResults(({},)), b'{"items":[{}]}'),
    "a config class": (ss.ConfigChanged(Item("a", "b")), b'{"config":{"type":"a","text":"b"}}'),  # type: ignore[arg-type]
    "a number enum": (ss.TurnEnd(Turn.SECOND), b'{"turn_count":2}'),
    "a text enum": (ss.RunCompleted(Result.DONE), b'{"result":"done","interrupted":false}'),
}


@pytest.mark.parametrize(("entry", "body"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_stands_for_json_is_accepted(entry: ss.LogEntry, body: bytes) -> None:
    """The edge takes objects, the log holds JSON."""
    assert body == encode_body(entry)


MISUSE: dict[str, tuple[Any, str]] = {
    "an item that is text": (
        ss.UserInput(["hi"]),
        "user_input.items: an object expected, str found",
    ),
    "items that are text": (ss.UserInput("hi"), "user_input.items: an object expected"),
    "history of numbers": (ss.SessionStart(ROOT, history=[1]), "session_start.history"),
    "a config that is a list": (ss.ConfigChanged([1]), "config_changed.config"),  # type: ignore[arg-type]
    "a count that is text": (ss.TurnEnd("3"), "turn_end.turn_count: int expected, str found"),  # type: ignore[arg-type]
    "a count that is a bool": (ss.TurnEnd(True), "int expected, bool found"),
    "a flag that is a number": (ss.RunErrored("x", interrupted=1), "bool expected"),  # type: ignore[arg-type]
    "labels that are a list": (ss.LabelsChanged([]), "labels_changed.labels"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("entry", "why"), MISUSE.values(), ids=MISUSE)
def test_what_could_not_be_restored_is_not_written(entry: ss.LogEntry, why: str) -> None:
    """Misuse is told at the edge, not by a log that no one can replay."""
    with pytest.raises(TypeError, match=why):
        draft(entry, SALT)


@pytest.mark.parametrize("kind", ["", "Future", "1a", "a b", "é", "a" * 65, "a\n", 'a"'])
def test_kinds_of_another_grammar_are_refused(kind: str) -> None:
    """A kind stands in HEAD as it is."""
    with pytest.raises(ValueError, match="not a kind"):
        draft(ss.UnknownEntry(kind, {}), SALT)


TYPED: dict[str, tuple[str, Any]] = {
    "missing field": ("turn_end", {}),
    "text for a number": ("turn_end", {"turn_count": "1"}),
    "float for a number": ("turn_end", {"turn_count": 1.0}),
    "bool for a number": ("turn_end", {"turn_count": True}),
    "number for a flag": ("run_completed", {"result": "x", "interrupted": 0}),
    "text for items": ("user_input", {"items": "abc"}),
    "object for items": ("user_input", {"items": {"a": 1}}),
    "list for a config": ("config_changed", {"config": [["a", 1]]}),
    "no object": ("seal", ["note"]),
}


@pytest.mark.parametrize(("kind", "body"), TYPED.values(), ids=TYPED)
def test_bodies_of_other_types_are_refused(kind: str, body: Any) -> None:
    """1.7 is no integer, 1 no text, a text no list of its letters."""
    with pytest.raises(InvalidInput, match=kind):
        typed(kind, body)


@frozen
class Config:
    model: str
    temperature: float = 1.0
    stop: list[str] = attrs.field(factory=list)
    limits: dict[str, int] = attrs.field(factory=dict)
    pair: tuple[int, str] = (0, "")
    many: tuple[int, ...] = ()
    tags: frozenset[str] = frozenset()
    seen: Sequence[int] = ()
    anything: Any = None
    inner: "Config | None" = None


def config(**fields: Any) -> Config:
    return structure({"model": "m", **fields}, Config, source="config", strict=True)


def test_configs_are_structured() -> None:
    """Into the caller's own class, nested ones too."""
    found = config(
        temperature=1,
        stop=["a"],
        limits={"a": 1},
        pair=[1, "x"],
        many=[1, 2],
        tags=["t"],
        seen=[3],
        anything=[{"x": None}],
        inner={"model": "n"},
    )

    expected = Config("m", 1, ["a"], {"a": 1}, (1, "x"), (1, 2), frozenset("t"), [3], [{"x": None}])
    assert attrs.evolve(expected, inner=Config("n")) == found


NOT_CONFIGS: dict[str, dict[str, Any]] = {
    "unknown key": {"modle": "x"},
    "unknown key inside": {"inner": {"model": "n", "x": 1}},
    "text for a list": {"stop": "abc"},
    "numbers for text": {"stop": [1]},
    "float for int": {"limits": {"a": 1.7}},
    "text for a tuple": {"pair": "ab"},
    "tuple too short": {"pair": [1]},
    "text for a set": {"tags": "abc"},
    "object for a sequence": {"seen": {"1": 1}},
    "text for a float": {"temperature": "1"},
    "null": {"stop": None},
}


@pytest.mark.parametrize("fields", NOT_CONFIGS.values(), ids=NOT_CONFIGS)
def test_configs_are_structured_strictly(fields: dict[str, Any]) -> None:
    """Nothing is dropped and nothing is converted."""
    with pytest.raises(InvalidInput, match="config: "):
        config(**fields)


COLLECTIONS: dict[str, tuple[Any, Any]] = {
    "bare list": (list, [1, "a", [None]]),
    "bare tuple": (tuple, (1, "a")),
    "bare set": (set, {1, "a"}),
    "tuple of one": (tuple[int], (1,)),
    "tuple of two alike": (tuple[int, int], (1, 2)),
    "tuple of any length": (tuple[int, ...], (1, 2, 3)),
    "sequence of sequences": (Sequence[list[int]], [[1], []]),
}


@pytest.mark.parametrize(("cls", "value"), COLLECTIONS.values(), ids=COLLECTIONS)
def test_collections_come_back_as_they_are_annotated(cls: Any, value: Any) -> None:
    """From a JSON array, and from nothing else."""
    assert value == structure(list(value), cls, source="x")
    with pytest.raises(InvalidInput, match="x: TypeError: list expected, str found"):
        structure("abc", cls, source="x")


def test_what_does_not_fit_is_said_in_one_sentence() -> None:
    """What is wrong, not a tree of errors."""
    with pytest.raises(InvalidInput) as raised:
        typed("turn_end", {"turn_count": "3"})

    assert "turn_end: TypeError: int expected, str found" == str(raised.value)


def test_unknown_keys_may_be_passed_over() -> None:
    """Bodies of a later version have more fields."""
    assert Config("m") == structure({"model": "m", "x": 1}, Config, source="x")


def test_bodies_that_are_not_json_are_corrupt_with_their_place() -> None:
    """Their hashes hold: they were written that way."""
    story = begun().append_bodies(("future", b"{nonsense}"))

    with pytest.raises(Corrupt, match="not JSON") as caught:
        decode_body(story.record(1), "log.jsonl")

    assert ("log.jsonl", 2, 1) == (caught.value.path, caught.value.line, caught.value.seq)


def test_a_body_that_unwraps_to_no_object_is_corrupt() -> None:
    """A wrapper in its place is not an object of fields."""
    story = begun().append_bodies(("future", b'{"$ss":["bytes",""]}'))

    with pytest.raises(Corrupt, match="not an object"):
        decode_body(story.record(1), "log.jsonl")


@pytest.mark.parametrize("other", [b"{}", b'{"a":{"$ss":["float","inf"]}}'])
def test_many_bodies_are_decoded_as_each_by_itself(other: bytes) -> None:
    """Among plain ones and among wrapped ones: erased ones, and one that is no JSON."""
    story = begun().append_bodies(("a", other), ("b", b'{"n":1}'), ("c", b"{nonsense}"))
    records = [story.record(0), story.record(1), story.record(2), story.erase(2).record(2)]
    decode = body_decoder([*records, story.record(3)], "log.jsonl")

    assert [decode_body(r, "log.jsonl") for r in records] == list(map(decode, records))
    with pytest.raises(Corrupt, match="not JSON") as caught:
        decode(story.record(3))
    assert ("log.jsonl", 3) == (caught.value.path, caught.value.seq)


def test_erased_bodies_are_none() -> None:
    """There is nothing to decode, and that is no error."""
    story = begun().append(ss.TurnEnd(1)).erase(1)
    entry = hashed_entry(story.record(1), ROOT, "x")

    assert (None, "erased", 1) == (entry.body, entry.withheld, entry.seq)


def test_build_chain_links_each_entry_to_the_one_before() -> None:
    """As the seed's `build_chain`, and every append whole."""
    chain = build_chain(ROOT, [START, ss.TurnEnd(1), ss.TurnEnd(2)], ts_ms=5)

    assert [root_head(ROOT).hash, chain[0].hash, chain[1].hash] == [e.prev_hash for e in chain]
    assert [(0, 5, 0), (1, 5, 0), (2, 5, 0)] == [(e.seq, e.ts, e.batch) for e in chain]


def test_build_lines_takes_given_salts() -> None:
    """With known salts the bytes are always the same."""
    made = [
        build_lines(ROOT, [[START], [ss.Seal("a"), ss.Seal("b")]], salts=iter([SALT] * 3))
        for _ in "ab"
    ]

    assert made[0] == made[1]
    assert [0, 1, 0] == [check_line(line, ROOT).batch for line in made[0].splitlines()]
