"""Bodies that a JSON parser alone reads as the library would: certain, or not said."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_store.limits import DEPTH_MAX
from session_store.values import are_plain, decode, encode

VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
DEEPEST = b'{"a":' + b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1) + b"}"
TOO_DEEP = b'{"a":' + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX + b"}"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(TOO_DEEP, id="too deep"),
        pytest.param(b'{"a":{"$ss":["float","nan"]}}', id="a wrapper"),
        pytest.param(b'{"a":{"\\u0024ss":["float","nan"]}}', id="a wrapper with an escape"),
        pytest.param(b'{"a":{"$\\u0073s":["float","nan"]}}', id="with another"),
        pytest.param(b'{"a":\n1}', id="two lines"),
    ],
)
def test_a_body_that_needs_a_second_look_is_not_plain(body: bytes) -> None:
    """Wherever it stands among others."""
    for place in range(3):
        bodies = [b'{"b":"$5"}'] * 2
        bodies.insert(place, body)
        assert not are_plain(bodies)


def test_usual_bodies_are_plain_however_many() -> None:
    assert are_plain([b'{"a":[{}]}'] * 1000)
    assert are_plain([DEEPEST, DEEPEST, b'{"price":"$5","other":"\\u001b"}'])
    assert not are_plain([])


BODIES = st.builds(encode, st.dictionaries(st.text(max_size=3), VALUES, max_size=3))


@given(st.lists(BODIES, min_size=1, max_size=3))
def test_plain_bodies_are_what_a_parser_says(bodies: list[bytes]) -> None:
    if are_plain(bodies):
        assert list(map(decode, bodies)) == list(map(orjson.loads, bodies))
