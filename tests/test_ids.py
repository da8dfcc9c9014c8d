"""Session ids: what one looks like, what is refused, and that they only grow."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_store.errors import InvalidId
from session_store.ids import (
    id_bytes,
    id_ts_ms,
    new_session_id,
    parse_session_id,
    session_id_for,
)

GOOD = "019ab3d8-6c00-7a11-8b22-0000000000a1"


def test_ids_of_one_process_strictly_increase() -> None:
    """Also those of one millisecond: there are far more of them than milliseconds."""
    ids = [new_session_id() for _ in range(20_000)]

    assert sorted(set(ids)) == ids
    assert len({id_ts_ms(i) for i in ids}) < len(ids) / 2


def test_ids_of_several_threads_differ() -> None:
    """Every thread sees its own ids grow, and no id is given twice."""
    made: list[list[str]] = [[] for _ in range(4)]

    def make(mine: list[str]) -> None:
        mine.extend(new_session_id() for _ in range(5_000))

    threads = [threading.Thread(target=make, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(mine == sorted(mine) for mine in made)
    assert 20_000 == len({i for mine in made for i in mine})


def test_fresh_ids_are_canonical() -> None:
    """What is made is accepted."""
    made = new_session_id()

    assert made == parse_session_id(made)


@given(st.text(), st.integers(0, 2**48 - 1))
def test_ids_of_keys_are_canonical_and_always_the_same(key: str, ts_ms: int) -> None:
    """Importing twice finds the same session, at the time of its first event."""
    made = session_id_for(key, ts_ms)

    assert made == session_id_for(key, ts_ms)
    assert made == parse_session_id(made)
    assert ts_ms == id_ts_ms(made)


def test_ids_of_keys_are_fixed() -> None:
    """The rule never changes: ids of imported sessions are in other people's notes."""
    assert "0190a1b2-c300-77a8-a70a-7f3441daa381" == session_id_for("x:1", 0x0190A1B2C300)
    assert session_id_for("x:1", 0) != session_id_for("x:2", 0)


def test_lone_surrogates_in_a_key() -> None:
    """File names hold them; they are a key like any other."""
    assert session_id_for("\ud800", 0) != session_id_for("\ud801", 0)


REFUSED = {
    "empty": "",
    "braces": "{" + GOOD + "}",
    "urn": "urn:uuid:" + GOOD,
    "upper case": GOOD.upper(),
    "no hyphens": GOOD.replace("-", ""),
    "trailing newline": GOOD + "\n",
    "leading blank": " " + GOOD,
    "Arabic digits": GOOD.replace("0", "\u0660"),
    "full-width digits": GOOD.replace("1", "\uff11"),
    "version 4": GOOD.replace("-7a11", "-4a11"),
    "variant 11xx": GOOD.replace("-8b22", "-cb22"),
    "variant 0xxx": GOOD.replace("-8b22", "-7b22"),
    "a path": "../" + GOOD,
    "with suffix": GOOD + ".jsonl",
    "bytes": GOOD.encode(),
    "none": None,
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_is_no_id_is_refused(text: object) -> None:
    """Only the canonical text of a UUIDv7 becomes part of a path."""
    with pytest.raises(InvalidId, match="not a session id"):
        parse_session_id(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("variant", "89ab")
def test_every_variant_10xx_is_accepted(variant: str) -> None:
    """Two bits of the variant are free."""
    text = GOOD.replace("-8b22", f"-{variant}b22")

    assert text == parse_session_id(text)


def test_raw_bytes_are_those_of_the_text() -> None:
    """Sixteen bytes enter the hashes, in the order they are written."""
    assert bytes.fromhex("019ab3d86c007a118b220000000000a1") == id_bytes(parse_session_id(GOOD))
    assert 0x019AB3D86C00 == id_ts_ms(parse_session_id(GOOD))
