"""Secrets that come in pieces, event by event."""

import json
from itertools import zip_longest
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_tools import KEY, OTHER, RULES, TOKEN

from session_store.redaction.rules import Rules
from session_store.redaction.stream import count_closed, mask_events


def events(pieces: list[str], index: int = 0) -> list[bytes]:
    return [
        json.dumps({"ts": n, "event": {"index": index, "delta": {"text": piece}}}).encode()
        for n, piece in enumerate(pieces)
    ]


def said(found: list[bytes]) -> str:
    return "".join(orjson.loads(one)["event"]["delta"]["text"] for one in found)


def cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 2, 7, 39])
@pytest.mark.parametrize("secret", [TOKEN, KEY, OTHER, 'password="tR0ub4 dor9x"'[:9] + "tR0ub4dor"])
def test_a_secret_in_pieces_is_found(secret: str, size: int) -> None:
    """However it is cut; the text around it stays, and each event is one."""
    given = events(cut(f"take {secret} now", size))

    found = mask_events(given, RULES)

    assert RULES.mask_text(f"take {secret} now".encode()).decode() == said(found)
    assert [orjson.loads(e)["ts"] for e in given] == [orjson.loads(e)["ts"] for e in found]


def test_streams_side_by_side_are_told_apart() -> None:
    """By their index."""
    one, other = events(cut(TOKEN, 8)), events(cut(OTHER, 8), 1)
    pairs = zip_longest(one, other, fillvalue=b"{}")

    found = b"".join(mask_events([event for pair in pairs for event in pair], RULES))

    assert 1 == found.count(b"[REDACTED:github-token]") == found.count(b"[REDACTED:stripe-key]")


def test_events_without_a_secret_stay_as_they_are() -> None:
    """To the byte, those that are no JSON included."""
    given = [b"no json", b"", *events(["a", "é", "\n"])]

    assert given == mask_events(given, RULES)


PIECES = st.sampled_from(
    [" ", "x", "\n", TOKEN[:20], TOKEN[20:], "password: ", "a1b2c3", *cut(KEY, 90)]
)


@given(st.lists(PIECES, min_size=1))
def test_what_is_written_early_is_masked_as_if_it_were_not(pieces: list[str]) -> None:
    """The events that may go are those that the later ones say nothing about."""
    given_events = events(pieces)
    count = count_closed(given_events)
    early, late = (
        mask_events(part, RULES) for part in (given_events[:count], given_events[count:])
    )

    assert said(mask_events(given_events, RULES)) == said(early + late)


def streamed(pieces: list[str], name: str) -> list[bytes]:
    return [json.dumps({"event": {"index": 0, name: piece}}).encode() for piece in pieces]


BEFORE = {
    "prose on one line": "word " * 600,
    "arguments on one line": '{"path":"a.py","lines":[' + '"x = 1",' * 400 + '"',
    "an image": "QUJD" * 700 + " ",
}


@pytest.mark.parametrize("secret", [TOKEN, f"password={OTHER[8:24]}"])
@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_half_of_a_secret_is_not_written_far_out_in_a_line(before: str, secret: str) -> None:
    """Arguments of a tool call are one line, however long; wherever a flush falls."""
    pieces = [before, *cut(secret, 6), " end"]
    given = streamed(pieces, "partial_json")
    whole = mask_events(given, RULES)

    for size in range(1, len(given) + 1):
        count = count_closed(given[:size])
        assert whole == mask_events(given[:count], RULES) + mask_events(given[count:], RULES)


def test_a_long_line_does_not_wait_for_its_end() -> None:
    """What is behind the last word, and has no name for a secret near it, may go."""
    for before in BEFORE.values():
        assert 2 <= count_closed(streamed([before, *["more, words, "] * 40, "ghp"], "text"))
    assert 1 <= count_closed(streamed(["QUJD" * 2_000] * 3, "text"))


GROWING = ["reasoning_content", "reasoning", "response", "transcript", "completion", "input"]


@pytest.mark.parametrize("name", GROWING)
def test_texts_of_other_providers_grow_too(name: str) -> None:
    """OpenAI-compatible servers, Ollama, realtime voices."""
    assert 0 == count_closed(streamed(cut(TOKEN, 12), name))


def test_what_takes_too_long_is_closed() -> None:
    """Of a trace's entry its place stays."""
    entry: dict[str, Any] = {"ts": 1, "turn": 2, "kind": "lifecycle", "label": TOKEN, "data": TOKEN}
    found = mask_events([orjson.dumps(entry), b"no json"], Rules(seconds_per_mib=-1e9))

    closed = "[REDACTED:unscanned]"
    assert entry | {"label": closed, "data": closed} == orjson.loads(found[0])
    assert closed.encode() == found[1]
