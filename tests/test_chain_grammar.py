"""Bytes of a line that a looser grammar would let go: each by itself, under hashes that hold."""

import pytest

from session_store.chain import TRAIL_SIZE, Invalid, check_line, compute_hash, other_version
from session_store.testing.story import MASKED, ROOT, told

LINE = told().lines[2][:-1]
RECORD = told().record(2)
HEAD, BODY = LINE[: RECORD.head_size], LINE[RECORD.head_size : -TRAIL_SIZE]


def rehashed(head: bytes, body: bytes = BODY) -> bytes:
    return head + body + b',"hash":"%b"}' % compute_hash(ROOT, head).hex().encode()


LOOSE = {
    "no colon behind seq": (b'"seq":', b'"seq"'),
    "no colon behind ts": (b'"ts":', b'"ts"'),
    "no colon behind batch": (b'"batch":', b'"batch"'),
    "no quote behind the digest": (HEAD[-8:], HEAD[-8:-1]),
}


@pytest.mark.parametrize(("old", "new"), LOOSE.values(), ids=LOOSE)
def test_every_sign_of_a_head_must_be_there(old: bytes, new: bytes) -> None:
    """JSON would not parse, and nobody looks at that here."""
    assert 1 == HEAD.count(old)
    assert RECORD.line == check_line(rehashed(HEAD), ROOT).line
    with pytest.raises(Invalid):
        check_line(rehashed(HEAD.replace(old, new)), ROOT)


def test_a_masked_body_begins_and_ends_as_an_object() -> None:
    """Though its mask holds."""
    assert "masked" == told().mask(2, MASKED).record(2).withheld
    for body in (b"[" + MASKED[1:], MASKED[1:], MASKED[:-1] + b"]"):
        with pytest.raises(Invalid):
            check_line(told().mask(2, body).lines[2][:-1], ROOT)


def test_a_version_stands_behind_a_colon() -> None:
    assert 2 == other_version(b'{"v":2}', ROOT)
    assert other_version(b'{"v"2}', ROOT) is None
    assert 12 == other_version(b'{"v":12', ROOT)
