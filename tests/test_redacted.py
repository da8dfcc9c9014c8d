"""Redactions: what they name, what a reader gives out instead, and how both are found."""

import math
from collections.abc import Callable
from typing import Any

import pytest

import session_store as ss
from session_store.limits import LINE_BYTES_MAX
from session_store.positions import is_hash, origin_from, parse_position, position_from
from session_store.redacted import find_redactions, redaction_targets, withhold
from session_store.search import KindSearch
from session_store.testing.story import MASKED, ROOT, Story, told
from session_store.values import encode

STEPS = (1, 7, 1 << 30)


def chunks(data: bytes, step: int) -> list[bytes]:
    return [data[at : at + step] for at in range(0, len(data), step)]


def found(story: Story, *, data: bytes | None = None, step: int = 1 << 30) -> Any:
    data = story.data if data is None else data
    return find_redactions(chunks(data, step), story.session_id)


def key(seq: int) -> tuple[int, bytes]:
    return seq, told().record(seq).digest


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("end", [b"\n", b"", b"J"], ids=["LF", "no LF", "another byte"])
def test_redactions_are_found_wherever_the_log_ends(end: bytes, step: int) -> None:
    """A last line without its LF counts, so its redaction does, too."""
    story = told().redact(2, 4)

    assert {key(2): None, key(4): None} == found(story, data=story.data[:-1] + end, step=step)


@pytest.mark.parametrize("step", STEPS)
def test_the_last_replacement_given_stands(step: int) -> None:
    """A redaction that gives none takes none away."""
    story = told().redact(2).redact(2, replacements={"2": {"a": 1}})
    story.redact(2, replacements={"2": {"a": math.nan}}).redact(2)

    assert {key(2): b'{"a":{"$ss":["float","nan"]}}'} == found(story, step=step)


HARMLESS: dict[str, Callable[[Story], Story]] = {
    "erased redaction": lambda s: s.redact(2).erase(7),
    "body that does not parse": lambda s: s.append_bodies(("redaction", b"{nonsense}")),
    "no targets": lambda s: s.append_bodies(("redaction", b"{}")),
    "targets of another type": lambda s: s.append_bodies(("redaction", b'{"targets":{}}')),
    "wrapped targets": lambda s: s.append_bodies(
        ("redaction", b'{"$ss":["dict",[["targets",[%b]]]]}' % encode(s.target(2)))
    ),
    "another kind": lambda s: s.append_bodies(("future", encode({"targets": [s.target(2)]}))),
    "the mark in a body": lambda s: s.append_bodies(
        ("future", b'{"v":1,"x":"","kind":"redaction","batch":0,"targets":[]}')
    ),
}


@pytest.mark.parametrize("add", HARMLESS.values(), ids=HARMLESS)
def test_what_names_nothing(add: Callable[[Story], Story]) -> None:
    """Only a redaction whose body can be read, as it stands."""
    assert {} == found(add(told()))


TARGETS: dict[str, Any] = {
    "not an object": "2",
    "seq as text": {"seq": "2", "digest": "00" * 32},
    "seq as float": {"seq": 2.0, "digest": "00" * 32},
    "seq as bool": {"seq": True, "digest": "00" * 32},
    "seq missing": {"digest": "00" * 32},
    "digest missing": {"seq": 2},
    "digest in upper case": {"seq": 2, "digest": "AB" * 32},
    "digest too short": {"seq": 2, "digest": "ab" * 31},
    "itself": {"seq": 7, "digest": "00" * 32},
    "later": {"seq": 8, "digest": "00" * 32},
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_malformed_targets_name_nothing(target: Any) -> None:
    """The others of the same redaction do."""
    targets = [target, told().target(3)]
    story = told().append_bodies(("redaction", encode({"targets": targets, "replacements": 7})))

    assert {key(3): None} == redaction_targets(story.record(7))


def test_damaged_redactions_name_nothing() -> None:
    """A line is believed when it holds by itself, not because of a word in it."""
    story = told().redact(2)
    harmed = story.data.replace(b"asked for", b"asked fur")

    assert {} == found(story, data=harmed)


def test_redactions_of_another_session_name_nothing() -> None:
    """The id enters the hash."""
    story = told().redact(2)

    assert {} == find_redactions([story.data], ss.new_session_id())


@pytest.mark.parametrize("step", [1 << 20, 1 << 30])
def test_a_line_without_end_does_not_fill_the_memory(step: int) -> None:
    """Nor does its end pass for a record."""
    story = told().redact(2)
    long = b"x" * (LINE_BYTES_MAX + (2 << 20))

    assert {key(2): None} == found(story, data=long + b"\n" + story.data, step=step)
    assert {} == found(story, data=story.lines[0] + long + story.lines[7], step=step)


def test_of_a_line_too_long_for_a_record_nothing_is_held() -> None:
    """Neither its bytes, nor that it ended where the next ones begin."""
    line = told().redact(2).lines[7]
    search = KindSearch(ROOT, "redaction")
    for _ in range(LINE_BYTES_MAX // (1 << 20) + 1):
        assert [] == search.feed(b"x" * (1 << 20))
        assert search._rest.size <= LINE_BYTES_MAX

    assert [] == search.feed(line)
    assert [7] == [record.seq for record in search.feed(line)]


def test_named_records_are_given_out_as_erased() -> None:
    """Even while their bodies still hold, masked ones included."""
    for story in (told(), told().mask(2, MASKED)):
        record = story.record(2)
        for replacement in (None, b'{"items":[]}'):
            given = withhold(record, {key(2): replacement})

            assert (replacement, "erased") == (given.body, given.withheld)


def test_other_records_are_given_out_as_they_are() -> None:
    """Seq and digest must both be named."""
    record = told().record(2)

    assert record is withhold(record, {})
    assert record is withhold(record, {key(3): None, (2, b"0" * 64): None})


POSITION = {"session_id": ROOT, "seq": 4, "hash": "ab" * 32}
NO_POSITIONS: dict[str, Any] = {
    "null": None,
    "text": f"{ROOT}:4",
    "seq as text": POSITION | {"seq": "4"},
    "seq as bool": POSITION | {"seq": True},
    "seq negative": POSITION | {"seq": -1},
    "seq beyond 2^53": POSITION | {"seq": 2**53},
    "hash in upper case": POSITION | {"hash": "AB" * 32},
    "hash of 63": POSITION | {"hash": "a" * 63},
    "hash in other digits": POSITION | {"hash": "٠" * 64},
    "hash missing": {"session_id": ROOT, "seq": 4},
    "id in upper case": POSITION | {"session_id": ROOT.upper()},
    "id of another type": POSITION | {"session_id": 4},
}


@pytest.mark.parametrize("value", NO_POSITIONS.values(), ids=NO_POSITIONS)
def test_what_is_no_position(value: Any) -> None:
    """A reader never guesses which record was meant."""
    assert parse_position(value) is None


def test_positions_are_read_as_they_are_written() -> None:
    """From JSON and back, and from a field of a body."""
    position = parse_position(POSITION)

    assert position is not None
    assert POSITION == position.to_json()
    assert position == position_from(encode({"forked_from": POSITION}), "forked_from")
    assert f"{ROOT}:4:abababababab" == str(position)
    assert is_hash("ab" * 32)


@pytest.mark.parametrize("body", [b"{nonsense}", b"[]", b"{}", b'{"forked_from":[]}'])
def test_bodies_without_a_position(body: bytes) -> None:
    """Not JSON, no object, no field, no position."""
    assert position_from(body, "forked_from") is None
    assert ss.SessionOrigin() == origin_from(body)
