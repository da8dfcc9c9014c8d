"""JSON bodies: byte for byte what they were, but for the secrets in them."""

import base64
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_tools import KEY, OTHER, RULES, TOKEN, masked

from session_store.redaction import custom_rule, default_rules
from session_store.redaction.bodies import find_in_json, mask_body, mask_json
from session_store.redaction.rules import Deadline, Rules
from session_store.redaction.walk import NotJson, edits_of

GITHUB = "[REDACTED:github-token]"
NAMED = "[REDACTED:named-password]"


def wrapped(tag: str, content: Any) -> dict[str, Any]:
    return {"$ss": [tag, content]}


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


CASES: dict[str, tuple[Any, Any]] = {
    "a value": ({"a": [TOKEN]}, {"a": [GITHUB]}),
    "under its name": ({"password": "tR0ub4dor"}, {"password": NAMED}),
    "a bare word under its name": ({"dbPassword": "correcthorse"}, {"dbPassword": NAMED}),
    "a number under its name": ({"password": 84736251, "port": 8473}, {"password": NAMED, "port": 8473}),
    "below its name": ({"token": {"value": TOKEN[4:]}}, {"token": {"value": "[REDACTED:named-secret]"}}),
    "a list under its name": ({"passwords": ["a1b2c3d4", "x"]}, {"passwords": [NAMED, "x"]}),
    "name and value": ([{"name": "DB_PASSWORD", "value": "a1b2c3"}], [{"name": "DB_PASSWORD", "value": NAMED}]),
    "name and value, apart": (
        {"key": "DB_PASSWORD", "type": "plain", "value": "a1b2c3"},
        {"key": "DB_PASSWORD", "type": "plain", "value": NAMED},
    ),
    "a key": ({TOKEN: 1}, {GITHUB: 1}),
    "two keys": ({TOKEN: 1, TOKEN[:-1] + "z": 2}, {GITHUB: 1, GITHUB + "#2": 2}),
    "JSON in a string": ({"a": json.dumps({"password": 84736251})}, {"a": json.dumps({"password": NAMED})}),
    "twice": ({"a": json.dumps([json.dumps({"x": TOKEN})])}, {"a": json.dumps([json.dumps({"x": GITHUB})])}),
    "wrapped text": ({"a": wrapped("str", in_base64(f"x {TOKEN}"))}, {"a": GITHUB}),
    "wrapped bytes": ({"a": wrapped("bytes", in_base64(TOKEN))}, {"a": GITHUB}),
    "wrapped bytes without one": ({"a": wrapped("bytes", in_base64("hello"))},) * 2,
    "a key beside a marker": ({GITHUB: 1, TOKEN: 2}, {GITHUB: 1, GITHUB + "#2": 2}),
    "a key before markers": (
        {TOKEN: 1, GITHUB: 2, GITHUB + "#2": 3},
        {GITHUB + "#3": 1, GITHUB: 2, GITHUB + "#2": 3},
    ),
    "a wrapped number": ({"password": wrapped("int", "84736251847362518473625")}, {"password": NAMED}),
    "a wrapped dict": (
        {"a": wrapped("dict", [["password", "a1b2c3"], [1, TOKEN], [[2], "x"]])},
        {"a": wrapped("dict", [["password", NAMED], [1, GITHUB], [[2], "x"]])},
    ),
    "what is no wrapper": ({"$ss": ["str", "no base64: " + TOKEN]}, {"$ss": ["str", "no base64: " + GITHUB]}),
    "a schema": ({"password": {"type": "string", "description": "Your Password1"}},) * 2,
    "probabilities": ({"token": "Hello", "logprob": -0.1},) * 2,
}  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), CASES.values(), ids=CASES)
def test_bodies(body: Any, expected: Any) -> None:
    """What stands where, and what is written in its place."""
    assert expected == masked(body)


def test_every_other_byte_stays() -> None:
    """Spaces, escapes, order, numbers no type can hold, keys given twice."""
    odd = b'{ "z":1e400,"a" : 12345678901234567890123,"a":"\\u00e9\\/<>&", "t":"x\\u00e9 %b \\/\\t" ,"b":1.0}'

    found = mask_json(odd % TOKEN.encode(), RULES)

    assert odd % GITHUB.encode() == found


def test_escapes_hide_nothing() -> None:
    """Each letter of a token written as a number."""
    spelled = "".join(f"\\u{ord(char):04x}" for char in TOKEN)

    assert b'{"a":"%b"}' % GITHUB.encode() == mask_json(b'{"a":"%b"}' % spelled.encode(), RULES)


SPELLED = {
    "its tag": ("\\u0062ytes", ""),
    "its key": ("bytes", "\\u0024"),
    "its slash": ("bytes", "/"),
    "its letters": ("str", "Z"),
}


@pytest.mark.parametrize(("tag", "letter"), SPELLED.values(), ids=SPELLED)
def test_escapes_hide_no_wrapped_value(tag: str, letter: str) -> None:
    """Writers of other languages spell a slash `\\/`, and may spell any letter."""
    content = base64.b64encode(b"\xff\xff\xff" + TOKEN.encode()).decode()
    spelled = {"/": content.replace("/", "\\/"), "Z": f"\\u{ord(content[0]):04x}{content[1:]}"}
    key = "\\u0024ss" if letter == "\\u0024" else "$ss"
    body = f'{{"a":{{"{key}":["{tag}","{spelled.get(letter, content)}"]}}}}'

    assert {"a": GITHUB} == orjson.loads(mask_json(body.encode(), RULES))


@pytest.mark.parametrize(
    "odd", [b'"\\ud800"', b"NaN", b"[" * 1_500 + b"]" * 1_500], ids=["surrogate", "NaN", "deep"]
)
def test_escapes_hide_nothing_where_one_parser_gives_up(odd: bytes) -> None:
    """Others read a lone surrogate, NaN and deep nesting, and what is spelled beside it."""
    spelled = b"".join(b"\\u%04x" % byte for byte in TOKEN.encode())

    out = mask_body("custom", b'{"b":%b,"a":"%b"}' % (odd, spelled), RULES)

    assert spelled not in out


def test_what_is_no_json_is_masked_as_text() -> None:
    """Also if it breaks off, or is no UTF-8."""
    data = b'{"a": "\xff %b", ' % TOKEN.encode()

    assert data.replace(TOKEN.encode(), GITHUB.encode()) == mask_json(data, RULES)


START = {
    "format": 1,
    "session_id": "x",
    "forked_from": {"session_id": TOKEN, "seq": 1, "hash": TOKEN},
    "system_prompt": TOKEN,
}
KEPT: dict[str, tuple[str, Any, Any]] = {
    "identity": ("session_start", START, START | {"system_prompt": GITHUB}),
    "targets": (
        "redaction",
        {"targets": [{"seq": 1, "digest": TOKEN}], "reason": TOKEN},
        {"targets": [{"seq": 1, "digest": TOKEN}], "reason": GITHUB},
    ),
    "identity of a replacement": (
        "redaction",
        {"replacements": {"0": START, "1": START}},
        {
            "replacements": {
                "0": START | {"system_prompt": GITHUB},
                "1": masked(START),
            }
        },
    ),
    "recoveries": ("recovery", {"cause": TOKEN}, {"cause": TOKEN}),
    "seals": ("seal", {"note": TOKEN}, {"note": TOKEN}),
}


@pytest.mark.parametrize(("kind", "body", "expected"), KEPT.values(), ids=KEPT)
def test_what_the_chain_needs_is_kept(kind: str, body: Any, expected: Any) -> None:
    assert expected == orjson.loads(mask_body(kind, orjson.dumps(body), RULES))


def test_findings_say_where() -> None:
    """Through strings that hold JSON; a key that is a secret is not repeated."""
    body = {
        "items": [{"content": TOKEN}, {"arguments": json.dumps({"env": {"password": "a1b2c3"}})}]
    }
    found = find_in_json(orjson.dumps(body | {OTHER: {"x": TOKEN}}), RULES)

    assert [
        ("github-token", ("items", 0, "content")),
        ("named-password", ("items", 1, "arguments", "env", "password")),
        ("stripe-key", ("[REDACTED]",)),
        ("github-token", ("[REDACTED]", "x")),
    ] == [(one.rule, one.path) for one in found]


LEAVES = st.sampled_from(
    [TOKEN, KEY, OTHER, "DB_PASSWORD", "a1b2c3d4", "x", "héllo", 84736251, None, 1.5, True]
)
KEYS = st.sampled_from(["password", "token", "name", "value", "a", "$ss", TOKEN, OTHER, "é"])
VALUES = st.recursive(
    LEAVES | st.text(max_size=6) | st.just(["str", in_base64(TOKEN)]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=4)
        | inner.map(json.dumps)
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.dictionaries(KEYS, VALUES, max_size=4), st.booleans(), st.sampled_from([None, 1]))
def test_any_document_stays_one_and_settles(
    document: dict[str, Any], is_ascii: bool, indent: int | None
) -> None:
    """Valid JSON comes out, masked again it is the same, and no token is left in it."""
    text = json.dumps(document, ensure_ascii=is_ascii, indent=indent)
    out = mask_json(text.encode("utf-8", "surrogatepass"), RULES)

    json.loads(out)
    assert out == mask_json(out, RULES)
    assert TOKEN.encode() not in out
    assert OTHER.encode() not in out


@settings(max_examples=300)
@given(st.dictionaries(KEYS, VALUES, max_size=4), st.booleans(), st.sampled_from([None, 1]))
def test_the_quick_look_overlooks_nothing(
    document: dict[str, Any], is_ascii: bool, indent: int | None
) -> None:
    """Whatever a walk over the document finds, the look at its bytes has seen a sign of."""
    data = json.dumps(document, ensure_ascii=is_ascii, indent=indent).encode(
        "utf-8", "surrogatepass"
    )
    try:
        edits = edits_of(data, RULES, Deadline(len(data), 60), None)
    except NotJson:
        return

    assert not edits or mask_json(data, RULES) != data


# Of few characters: else Hypothesis puts in words that it has found in the code, SECRET among them.
PLAIN = st.text('xyzé漢\x80 .:;"\\\n', max_size=20)


@settings(max_examples=200)
@given(st.dictionaries(PLAIN, PLAIN | st.floats() | st.integers()))
def test_what_holds_none_is_the_same_object(document: dict[str, Any]) -> None:
    """Not a copy: nothing was looked at twice."""
    data = json.dumps(document).encode()

    assert mask_json(data, RULES) is data


def slow() -> Rules:
    """Rules that have no time: the first look at the clock is too late."""
    rule = custom_rule("never", "(?:a{1,40}){1,16}b")
    return Rules((rule,), seconds_per_mib=-1e9)


CLOSED = "[REDACTED:unscanned]"
SHUT = {
    "user_input": ({"items": [{"content": TOKEN}]}, {"items": [{"redacted": CLOSED}]}),
    "run_errored": ({"message": TOKEN, "interrupted": 1}, {"message": CLOSED, "interrupted": 1}),
    "extension": ({"payload": {"a": TOKEN}}, {"payload": {"redacted": CLOSED}}),
    "session_start": (START, START | {"system_prompt": CLOSED}),
    "redaction": (
        {"targets": [], "reason": TOKEN, "replacements": {"0": START, "2": {"a": TOKEN}}},
        {"targets": [], "reason": CLOSED, "replacements": {"0": {k: START[k] for k in list(START)[:3]}}},
    ),
    "of_others": ({TOKEN: TOKEN}, {"redacted": CLOSED}),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHUT)
def test_what_takes_too_long_is_closed(kind: str) -> None:
    """Its fields stay, and what the chain needs; nothing else is passed on."""
    body, expected = SHUT[kind]

    assert expected == orjson.loads(mask_body(kind, orjson.dumps(body), slow()))


def test_rules_are_values() -> None:
    """Made twice, they are equal."""
    assert default_rules() == RULES
