"""Errors carry facts as attributes and put them into the message."""

from typing import Any

import pytest

import session_store as ss
from session_store.errors import InvalidInput
from session_store.testing.story import CHILD, ROOT, told

AT = told().position(4)

ERRORS: dict[str, tuple[ss.SessionStoreError, dict[str, Any], str]] = {
    "already exists": (
        ss.AlreadyExists("taken", session_id=ROOT),
        {"session_id": ROOT},
        "taken",
    ),
    "input": (InvalidInput("bad"), {"source": "input", "line": None, "why": "bad"}, "input: bad"),
    "input with a line": (
        InvalidInput("bad", source="f", line=3),
        {"source": "f", "line": 3},
        "f, line 3: bad",
    ),
    "a log that is too new": (
        ss.Unsupported("p", found=2, supported=1),
        {"path": "p", "found": 2, "supported": 1},
        "p: format version 2, supported is 1: this program is too old",
    ),
    "a log that is too old": (
        ss.Unsupported("p", found=0, supported=1),
        {},
        "p: format version 0, supported is 1: the file is too old",
    ),
    "a lost race": (
        ss.HeadMismatch(ROOT, expected="a", actual="b"),
        {"session_id": ROOT, "expected": "a", "actual": "b"},
        f"{ROOT}: expected head a, found b",
    ),
    "locked": (
        ss.Locked("p", waited_s=5.0),
        {"path": "p", "waited_s": 5.0},
        "p: another writer has held the lock for 5 s",
    ),
    "unsafe": (ss.UnsafePath("p", "a link"), {"path": "p", "why": "a link"}, "p: a link"),
    "corrupt": (
        ss.Corrupt("p", line=3, offset=70, seq=2, why="bad"),
        {"path": "p", "line": 3, "offset": 70, "seq": 2, "why": "bad", "state": None},
        "p: line 3, byte 70, seq 2: bad",
    ),
    "one fork": (
        ss.HasForks(ROOT, children=[CHILD]),
        {"session_id": ROOT, "children": (CHILD,)},
        f"{ROOT}: 1 forks depend on it ({CHILD})",
    ),
    "many forks": (ss.HasForks("p", children="abcd"), {}, "p: 4 forks depend on it (a, b, c, …)"),
    "missing extra": (
        ss.MissingExtra("search", "index"),
        {"extra": "index"},
        "search needs an extra: pip install 'session-store[index]'",
    ),
}


@pytest.mark.parametrize(("error", "facts", "message"), ERRORS.values(), ids=ERRORS)
def test_facts_are_attributes_and_message(error: Any, facts: dict[str, Any], message: str) -> None:
    """Nobody has to parse text."""
    assert facts == {name: getattr(error, name) for name in facts}
    assert message == str(error)
    assert isinstance(error, ss.SessionStoreError)


def test_misuse_can_be_caught_as_python_does() -> None:
    """Bad values are also `ValueError`, a missing extra also `ImportError`."""
    assert issubclass(ss.InvalidId, ValueError)
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(ss.LimitExceeded, ValueError)
    assert issubclass(ss.MissingExtra, ImportError)
    assert issubclass(ss.ChainBroken, ss.Corrupt)
    assert ss.StoreError is ss.SessionStoreError


def test_a_receipt_tells_the_position() -> None:
    """Where the append ended."""
    receipt = ss.Receipt(AT.session_id, AT.seq, AT.hash, "os")

    assert AT == receipt.position
    assert AT.hash.hex()[:12] in repr(receipt)
