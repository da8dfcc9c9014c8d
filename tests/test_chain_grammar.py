"""Bytes of a line that a looser grammar would let go: each by itself, under hashes that hold."""

import pytest

from session_store.chain import (
    SAFE_INT_MAX,
    TRAIL_SIZE,
    Head,
    Invalid,
    check_line,
    check_link,
    check_named,
    compute_hash,
    is_blank,
    link,
    make_draft,
    other_version,
    root_head,
)
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


def test_the_end_of_a_record_alone_does_not_begin_as_one() -> None:
    """Nothing stands before it: its place is the beginning of the line."""
    with pytest.raises(Invalid, match=r"^the line does not begin as a record$"):
        check_line(LINE[-TRAIL_SIZE:], ROOT)


def test_the_largest_time_is_written_and_read() -> None:
    data, head = link(root_head(ROOT), 0, [make_draft("future", b"{}", bytes(16), SAFE_INT_MAX)])
    assert SAFE_INT_MAX == head.ts == check_line(data[:-1], ROOT).ts


def test_the_second_record_links_to_the_first() -> None:
    """To its hash; only what a first record links to is checked elsewhere."""
    first, second = told().record(0), told().record(1)
    before = Head(ROOT, 0, first.ts, first.hash)
    check_link(second, before, first.batch)
    with pytest.raises(Invalid, match="prev_hash"):
        check_link(second, before._replace(hash=bytes(32)), first.batch)
    check_link(first, root_head(ROOT)._replace(hash=bytes(32)), 0)


ERASED = b',"salt":null,"body":null'


def test_a_line_that_a_redaction_names_has_room_for_the_erased_form() -> None:
    """Whatever stands there; one byte less, and no erasure can have left it."""
    record = check_named(rehashed(HEAD, b"?" * len(ERASED)), ROOT)
    assert (None, "erased", 0) == (record.body, record.withheld, record.offset)
    with pytest.raises(Invalid, match="no room"):
        check_named(rehashed(HEAD, b"?" * (len(ERASED) - 1)), ROOT)


@pytest.mark.parametrize(("more", "blank"), [(b"", True), (b"  ", True), (b"?", False)])
def test_only_blanks_stand_behind_the_erased_form(more: bytes, blank: bool) -> None:
    assert blank is is_blank(check_named(rehashed(HEAD, ERASED + more), ROOT))
