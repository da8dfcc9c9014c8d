"""Patterns of a team's own: linear whatever they are, in RE2's syntax, closed when their time is over."""

import base64
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest
from attrs import evolve
from cli_tools import Cli
from mask_tools import RULES, TOKEN, alnum, bytes_below, masked, masked_text

import session_store as ss
from session_store import InvalidInput, blocking
from session_store.redaction import Rules, custom_rule, default_rules, load_rules
from session_store.redaction.bodies import find_in_body, mask_body
from session_store.redaction.documents import mask_document
from session_store.redaction.patterns import Pattern, compile_pattern
from session_store.redaction.rules import Deadline, OutOfTime
from session_store.redaction.stream import mask_events

SIZE = 1 << 18
CPU_SECONDS_MAX = 0.75
"""A third of it is the promise for a quarter of a MiB; machines that test are shared."""
CLOSED = "[REDACTED:unscanned]"


def in_time() -> None:
    """There is enough of it."""


def is_in(pattern: Pattern, text: str) -> bool:
    return pattern.is_in(text.encode(), in_time)


SLOW_ELSEWHERE = {
    "cubic": "[a-z]+[a-z0-9]+[a-z_]+!",
    "quadratic": "x+y!",
    "exponential": "(?:a+)+!",
    "exponential alternatives": "(?:a|aa)+!",
    "empty rounds": "(?:a*)*b?!",
    "optional letters": "(?:a?){30}a{30}!",
    "a name far in front": r"(?i)[\w.-]{0,50}?(?:key|secret|aa)[ \t\w.-]{0,20}[\s'\"]{0,3}(?:=|!)",
    "two names": r".*key.*secret.*!",
}
TEXTS = {
    "one letter": "a",
    "another letter": "x",
    "two letters": "ax",
    "names": "secret.",
    "two names": "secret key of ",
    "base64": base64.b64encode(bytes(range(251))).decode(),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("pattern", SLOW_ELSEWHERE.values(), ids=SLOW_ELSEWHERE)
def test_what_is_slow_elsewhere_is_linear(pattern: str, text: str) -> None:
    """A quarter of a MiB, and nothing of it is there."""
    rule = custom_rule("slow", pattern)
    data = (text.encode() * (SIZE // len(text) + 1))[:SIZE]
    start = time.thread_time()

    found = list(rule.find(data, data, in_time))

    assert time.thread_time() - start < CPU_SECONDS_MAX
    assert [] == found


@pytest.mark.parametrize("name", ["cubic", "exponential", "exponential alternatives"])
def test_what_is_slow_elsewhere_finds_what_it_means(name: str) -> None:
    """At the end of what it would not get through."""
    rules = Rules((custom_rule("slow", SLOW_ELSEWHERE[name]),))

    assert f"{'-' * SIZE}[REDACTED:slow]" == masked_text("-" * SIZE + "a" * 4000 + "!", rules)


NONE = {
    "lookahead": "(?=a)b",
    "no lookahead": "(?!a)b",
    "lookbehind": "(?<=a)b",
    "no lookbehind": "(?<!a)b",
    "backreference": r"(a)\1",
    "backreference by name": "(?P<a>a)(?P=a)",
    "possessive": "a++",
    "atomic": "(?>a)",
    "conditional": "(a)(?(1)b|c)",
    "Python's end of text": r"a\Z",
    "more rounds than a thousand": "a{1001}",
    "half a group": "(a",
    "a surrogate": "[\ud800-a]",
}


@pytest.mark.parametrize("pattern", NONE.values(), ids=NONE)
def test_what_cannot_be_linear_is_refused(pattern: str) -> None:
    """When the rule is made, with the reason."""
    with pytest.raises(InvalidInput, match=r"rule 'x': not a pattern of RE2 \(no lookaround"):
        custom_rule("x", pattern)


def test_a_pattern_too_large_to_be_fast_is_refused() -> None:
    """One search of it takes seconds, and cannot be interrupted; half of it is taken."""
    start = time.thread_time()
    assert custom_rule("x", "[a-z]{1,1000}" * 4 + "!")
    with pytest.raises(InvalidInput, match="repeats need smaller bounds"):
        custom_rule("x", "[a-z]{1,1000}" * 8 + "!")
    with pytest.raises(InvalidInput, match="repeats need smaller bounds"):
        default_rules(allow=["[a-z]{1,1000}" * 8 + "!"])
    with pytest.raises(InvalidInput, match="too large"):
        custom_rule("x", "[a-z]{1,1000}" * 200)
    assert time.thread_time() - start < 10


GO = {
    r"[[:alnum:]]+\z": ("a1", True),
    "[[:punct:]]{3}": ("$|~", True),
    "a(?i)bc": ("aBC", True),
    "a(?i)bc|X": ("x", True),
    "(?:a(?i)b)c": ("aBC", False),
    "a(?i)b|c[|)]": ("C|", True),
    "a(?-i:b)(?i)c": ("abC", True),
    "a(?s).b(?-s)": ("a\nb", True),
    "(?m)^b$": ("a\nb\nc", True),
    "^b": ("a\nb", False),
    "a$": ("a\n", False),
    "[[a-z]": ("[", True),
    "[a&&b]": ("&", True),
    r"\Qa+b\E": ("a+b", True),
    "x{e}": ("x{e}", True),
    "(?P<name>a)(?<other>b)": ("ab", True),
    "é.": ("éa", True),
    "\udc80": ("a", False),
}


@pytest.mark.parametrize("pattern", GO)
def test_patterns_of_gitleaks_mean_what_they_mean_there(pattern: str) -> None:
    """Ends, classes, and flags that hold from the middle on."""
    text, matches = GO[pattern]

    assert matches is is_in(compile_pattern(pattern, "x"), text)


def test_no_byte_hides_a_secret() -> None:
    """A pattern goes over bytes that are no UTF-8: a lone surrogate, and any other."""
    rules = Rules((custom_rule("acme", r"acme_\S{8,}"),))
    wrapped = base64.b64encode(b"acme_x7k2\xffq9w4m1").decode()

    out = mask_body("run_errored", rb'{"message":"acme_x7k2\ud800q9w4m1"}', rules)

    assert b'{"message":"[REDACTED:acme]"}' == out
    assert ["[REDACTED:acme]"] == masked([{"$ss": ["bytes", wrapped]}], rules)


def test_an_allowed_place_is_seen_wherever_it_stands() -> None:
    """In secrets longer than a window, at every offset around its middle and its end."""
    rules = default_rules(allow=["^own", "fine[0-9]{20}", "end$"])

    assert all(rules.is_allowed(value, FAR) for value in long_values())
    assert not rules.is_allowed(b"x" * 20_000 + b"own end fine", FAR)
    assert not rules.is_allowed(b"", FAR)


FAR = Deadline(0, 600)


def long_values() -> list[bytes]:
    middle = [b" " * at + b"fine" + b"7" * 20 for at in [*range(4060, 4100), *range(8160, 8200)]]
    return [b"own" + b"x" * 20_000, b"x" * 20_000 + b"end", *(one + b"x" * 9000 for one in middle)]


SLOW = Rules(
    (
        custom_rule("slow", "z.*!|z"),  # A match for each letter, and each looks for the end.
        custom_rule("acme", "acme_[a-z0-9]{8}"),
    ),
    seconds_per_mib=0.1,
)
LONG = "z" * (1 << 16)
CLOSED_IN_SECONDS = 1.0
"""Nine tenths of it are for one search, and for machines that test."""

PLACES: dict[str, Callable[[str], object]] = {
    "a text": lambda text: text,
    "behind a secret": lambda text: f"{TOKEN} {text}",
    "in front of a secret": lambda text: f"{text} {TOKEN}",
    "a key": lambda text: {text: 1},
    "JSON in a string": lambda text: orjson.dumps({"a": [text]}).decode(),
    "JSON in that": lambda text: orjson.dumps([orjson.dumps({"a": text}).decode()]).decode(),
    "wrapped bytes": lambda text: {"$ss": ["bytes", base64.b64encode(text.encode()).decode()]},
    "wrapped pairs": lambda text: {"$ss": ["dict", [[text, 1]]]},
    "under a secret's name": lambda text: {"password": {"deep": {"deeper": text}}},
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_what_takes_too_long_is_closed(place: Callable[[str], object]) -> None:
    """Wherever it stands; nothing of it is passed on, and closed again it is the same."""
    body = orjson.dumps({"message": place(LONG), "interrupted": False})
    start = time.thread_time()

    out = mask_body("run_errored", body, SLOW)

    assert time.thread_time() - start < CLOSED_IN_SECONDS
    assert {"message", "interrupted"} == orjson.loads(out).keys()
    assert CLOSED.encode() in out
    assert len(out) < 100
    assert out == mask_body("run_errored", out, SLOW) == mask_body("run_errored", out, RULES)


def test_a_look_says_what_could_not_be_looked_through() -> None:
    """One finding, of the whole body."""
    body = orjson.dumps({"message": LONG})

    assert [("unscanned", "definite", (), len(body))] == find_in_body("run_errored", body, SLOW)


def test_time_is_looked_at_in_each_window_and_behind_each_match() -> None:
    """Matches that each look as far as the window's end may be many, windows too."""
    rule = custom_rule("slow", "z")
    looks: list[None] = []

    found = list(rule.find(b"z" * 50, b"z" * 50, lambda: looks.append(None)))
    assert len(found) == 50 < len(looks)
    looks.clear()
    assert [] == list(rule.find(b"a" * 90_000, b"a" * 90_000, lambda: looks.append(None)))
    assert len(looks) > 90_000 // 8192


def test_one_set_of_rules_serves_any_threads() -> None:
    """At once, each with a text of its own."""
    rules = Rules((custom_rule("acme", "acme_([a-z0-9]{8})"),))
    texts = [f"{'-' * n}acme_x7k2q9w{n % 10} {TOKEN}" for n in range(400)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: masked_text(text, rules), texts))

    expected = "acme_[REDACTED:acme] [REDACTED:github-token]"
    assert ["-" * n + expected for n in range(400)] == found


def test_an_allow_list_takes_its_time_from_the_same_body() -> None:
    """A secret that could not be compared with it is not let through."""
    rules = evolve(default_rules(allow=["x"]), seconds_per_mib=60)

    with pytest.raises(OutOfTime):
        rules.is_allowed(b"a" * 100, Deadline(100, -1e9))


def test_a_stream_that_takes_too_long_is_closed_event_by_event() -> None:
    """Each keeps its time and its turn."""
    given = [orjson.dumps({"ts": n, "delta": {"text": LONG[:512]}}) for n in range(128)]
    start = time.thread_time()

    found = mask_events(given, SLOW)

    assert time.thread_time() - start < CLOSED_IN_SECONDS
    assert [{"ts": n, "delta": CLOSED} for n in range(128)] == list(map(orjson.loads, found))


def test_what_stands_beside_it_is_masked_by_all_rules() -> None:
    """One line of a document is closed; the built-in rules and the team's others hold elsewhere."""
    own = f"acme_{alnum(8).lower()}"
    lines = [f'["{TOKEN} {own}"]\n', orjson.dumps([LONG]).decode(), f"no JSON: {own} {TOKEN}\n"]

    found = dict(mask_document([line.encode() for line in lines], SLOW))

    assert b'["[REDACTED:github-token] [REDACTED:acme]"]' == found[0].strip()
    assert CLOSED.encode() == found[1]
    assert b"no JSON: [REDACTED:acme] [REDACTED:github-token]" == found[2].strip()


def test_what_takes_too_long_does_not_reach_the_disk(tmp_path: Path) -> None:
    """A store that masks at write keeps the record, closed, and goes on."""
    with blocking.open_store(tmp_path / "store", mask=SLOW) as store:
        session = blocking.create_session(store)
        session.save_delta([{"role": "user", "content": LONG}, {"role": "user", "content": "hi"}])
        session.save_delta([{"role": "user", "content": "so long"}])
        items = [item.get("content") for item in blocking.restore(store, session.id).history]

    assert "so long" == items[-1]
    assert CLOSED.encode() in bytes_below(tmp_path / "store")
    assert b"zzzzzzzz" not in bytes_below(tmp_path / "store")


@pytest.fixture
def without_re2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)


NEED_IT: dict[str, Callable[[], object]] = {
    "a rule": lambda: custom_rule("x", "acme_[a-z]{8}"),
    "a file of rules": lambda: load_rules("[[rules]]\nid='x'\nregex='acme'"),
    "an allow-list": lambda: default_rules(allow=["^test"]),
}


@pytest.mark.usefixtures("without_re2")
@pytest.mark.parametrize("made", NEED_IT.values(), ids=NEED_IT)
def test_patterns_of_one_s_own_need_their_extra(made: Callable[[], object]) -> None:
    """The error names the command; nothing is masked by half of the rules."""
    with pytest.raises(ss.MissingExtra, match=r"pip install 'session-store\[mask\]'"):
        made()


@pytest.mark.usefixtures("without_re2")
def test_the_built_in_rules_need_nothing() -> None:
    """Nor does a file without a pattern."""
    assert default_rules() == load_rules("title = 'ours'")
    assert "[REDACTED:github-token]" == masked_text(TOKEN, default_rules())


@pytest.mark.usefixtures("without_re2")
def test_the_command_line_says_what_to_install(tmp_path: Path) -> None:
    """As something that is missing here, not as a mistake in the file."""
    rules = tmp_path / "team.toml"
    rules.write_text("[[rules]]\nid='x'\nregex='acme'")

    said = Cli(str(tmp_path))("mask", "--test", str(rules), "--rules", str(rules))

    assert 3 == said.code
    assert "pip install 'session-store[mask]'" in said.err
