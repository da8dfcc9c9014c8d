"""Lines and hashes: what a writer makes, and all that a reader refuses."""

import re
from collections.abc import Callable

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

import session_store as ss
from session_store.chain import (
    TRAIL_SIZE,
    Draft,
    Head,
    Invalid,
    Record,
    body_digest,
    check_line,
    check_link,
    compute_hash,
    fork_head,
    link,
    make_draft,
    other_version,
    root_head,
)
from session_store.ids import id_bytes
from session_store.limits import APPEND_BYTES_MAX, BATCH_MAX, LINE_BYTES_MAX
from session_store.testing.story import CHILD, MASKED, ROOT, Story, begun, told

SAFE = 2**53 - 1


def draft(body: bytes = b"{}", *, ts: int | None = None) -> Draft:
    return make_draft("future", body, bytes(16), ts)


def key(role: str) -> bytes:
    return blake3(b"", derive_key_context="session-store 2026-11 log v1 " + role).digest()


def test_hashes_are_those_of_the_format() -> None:
    """docs/FORMAT.md §4, spelled out once more."""
    record, sid = told().record(1), id_bytes(ROOT)
    head = record.line[: record.head_size]
    salt, body = record.salt or b"", record.body or b""

    assert blake3(sid, key=key("genesis")).digest() == root_head(ROOT).hash
    assert blake3(salt + body, key=key("body")).hexdigest().encode() == record.digest
    assert blake3(sid + head, key=key("record")).digest() == record.hash
    assert record.hash == compute_hash(ROOT, head)


def test_fork_link_binds_child_parent_seq_and_hash() -> None:
    """Change any of the four, and the link is another."""
    at = told().position(4)
    message = id_bytes(CHILD) + id_bytes(ROOT) + (4).to_bytes(8, "big") + at.hash

    assert blake3(message, key=key("fork")).digest() == fork_head(CHILD, at).hash


def test_lines_of_an_append_count_down() -> None:
    """All or nothing: only the last line says that the append is whole."""
    data, head = link(root_head(ROOT), 7, [draft(), draft(), draft()])
    records = [check_line(line, ROOT) for line in data.splitlines()]

    assert [(0, 2), (1, 1), (2, 0)] == [(r.seq, r.batch) for r in records]
    assert Head(ROOT, 2, 7, records[-1].hash) == head
    assert head.hash == head.position.hash
    assert data.endswith(b"\n")


def test_a_clock_that_went_back_repeats_the_last_value() -> None:
    """Time never decreases within a log."""
    data, head = link(Head(ROOT, 4, 100, bytes(32)), 50, [draft(), draft(ts=70), draft(ts=120)])

    assert [100, 100, 120] == [check_line(line, ROOT).ts for line in data.splitlines()]
    assert 120 == head.ts


@pytest.mark.parametrize("ts", [-1, 0, 1])
def test_time_begins_in_1970(ts: int) -> None:
    """A clock before that is one that went back."""
    for head in (root_head(ROOT), fork_head(CHILD, told().position(2))):
        assert (-1, max(ts, 0)) == (head.seq, link(head, ts, [draft()])[1].ts)


REFUSED = {
    "nothing": (list, "0 records"),
    "too many": (lambda: [draft()] * (BATCH_MAX + 2), "4097 records"),
    "line too long": (lambda: [draft(b'{"a":"%b"}' % bytes(LINE_BYTES_MAX))], "a line of"),
    "append too large": (lambda: [draft(b'{"a":"%b"}' % bytes(15 << 20))] * 5, "an append of"),
    "time beyond 2^53": (lambda: [draft(ts=SAFE + 1)], "a time of"),
}


@pytest.mark.parametrize(("drafts", "why"), REFUSED.values(), ids=REFUSED)
def test_limits_are_checked_before_anything_is_written(
    drafts: Callable[[], list[Draft]], why: str
) -> None:
    """A writer never makes what a reader refuses."""
    with pytest.raises(ss.LimitExceeded, match=why):
        link(root_head(ROOT), 0, drafts())


def test_the_longest_line_and_append_are_whole() -> None:
    """The limit itself is allowed, its LF included."""
    short, _ = link(root_head(ROOT), 0, [draft(b'{"a":""}')])
    body = b'{"a":"%b"}' % (b"x" * (LINE_BYTES_MAX - len(short)))
    data, _ = link(root_head(ROOT), 0, [draft(body)])

    assert LINE_BYTES_MAX == len(data)
    assert body == check_line(data[:-1], ROOT).body
    with pytest.raises(Invalid, match="longer than"):
        check_line(data[:-1] + b" ", ROOT)
    assert APPEND_BYTES_MAX == len(link(root_head(ROOT), 0, [draft(body)] * 4)[0])
    with pytest.raises(ss.LimitExceeded, match=r"an append of 671\d{5} bytes, at most 67108864"):
        link(root_head(ROOT), 0, [*[draft(body)] * 4, draft()])


def test_the_longest_batch_is_whole() -> None:
    """4,096 records in one append."""
    data, head = link(root_head(ROOT), 0, [draft()] * (BATCH_MAX + 1))

    assert BATCH_MAX == head.seq == check_line(data[: data.index(b"\n")], ROOT).batch


def test_a_record_tells_where_its_parts_are() -> None:
    """Slices of the line, no parser."""
    record = told().record(2)

    assert record.line[: record.head_size].endswith(b'"digest":"%b"' % record.digest)
    assert record.prev_hash == told().record(1).hash
    assert 32 == len(record.salt or b"")
    assert len(record.line) + 1 == record.end
    assert told().mask(2, MASKED).record(2).salt is None


def rehashed(head: bytes) -> bytes:
    """Return a line with *head*, its hash made to hold."""
    line = begun().lines[0]
    rest = line[line.index(b',"salt"') : -76]
    return head + rest + b',"hash":"%b"}' % compute_hash(ROOT, head).hex().encode()


GOOD_HEAD = begun().lines[0][: begun().record(0).head_size]
HEADS = {
    "seq with leading zero": (b'"seq":0', b'"seq":00'),
    "seq negative": (b'"seq":0', b'"seq":-0'),
    "seq with plus": (b'"seq":0', b'"seq":+0'),
    "seq as float": (b'"seq":0', b'"seq":0.0'),
    "seq of 17 digits": (b'"seq":0', b'"seq":10000000000000000'),
    "seq beyond 2^53": (b'"seq":0', b'"seq":9007199254740992'),
    "seq as text": (b'"seq":0', b'"seq":"0"'),
    "seq in other digits": (b'"seq":0', '"seq":٠'.encode()),
    "ts beyond 2^53": (b'"ts":1764000000000', b'"ts":9007199254740992'),
    "batch beyond 4,095": (b'"batch":0', b'"batch":4096'),
    "hex in upper case": (b'"prev_hash":"55f', b'"prev_hash":"55F'),
    "hex of 63": (b'"prev_hash":"5', b'"prev_hash":"'),
    "no hex": (b'"prev_hash":"5', b'"prev_hash":"g'),
    "another order": (
        b'"ts":1764000000000,"kind":"session_start"',
        b'"kind":"session_start","ts":1764000000000',
    ),
    "a field more": (b',"batch"', b',"x":0,"batch"'),
    "a field less": (b',"batch":0', b""),
    "a blank": (b'"seq":0', b'"seq": 0'),
    "a blank before": (b'{"v"', b' {"v"'),
    "kind empty": (b'"session_start"', b'""'),
    "kind with a capital": (b'"session_start"', b'"Session_start"'),
    "kind with a blank": (b'"session_start"', b'"session start"'),
    "kind beyond ASCII": (b'"session_start"', '"séssion"'.encode()),
    "kind of 65": (b'"session_start"', b'"' + b"k" * 65 + b'"'),
    "kind beginning with a digit": (b'"session_start"', b'"1session"'),
    "version 2": (b'"v":1', b'"v":2'),
    "version as text": (b'"v":1', b'"v":"1"'),
}


@pytest.mark.parametrize(("old", "new"), HEADS.values(), ids=HEADS)
def test_head_has_one_grammar(old: bytes, new: bytes) -> None:
    """A line whose hash holds is refused all the same if one byte of HEAD is not as it must be."""
    assert old in GOOD_HEAD
    check_line(rehashed(GOOD_HEAD), ROOT)

    with pytest.raises(Invalid):
        check_line(rehashed(GOOD_HEAD.replace(old, new, 1)), ROOT)


@pytest.mark.parametrize("number", [0, 9, 10, SAFE])
def test_numbers_up_to_2_53_are_read(number: int) -> None:
    """The largest is one that every JSON parser keeps."""
    head = GOOD_HEAD.replace(b'"seq":0', b'"seq":%d' % number)

    assert number == check_line(rehashed(head), ROOT).seq


def rebodied(body: bytes, digest: bytes | None = None) -> bytes:
    """Return a line with BODY *body*; its hash holds, and *digest* is what it commits to."""
    old = re.search(rb'"digest":"([0-9a-f]{64})"', GOOD_HEAD)
    assert old is not None
    head = GOOD_HEAD.replace(old.group(1), digest or old.group(1))
    return head + body + b',"hash":"%b"}' % compute_hash(ROOT, head).hex().encode()


SALT = b"0" * 32
BODIES = {
    "an array": b"[]",
    "text": b'"{}"',
    "half an object": b"{",
    "nothing": b"",
    "a blank before": b" {}",
    "a blank behind": b"{} ",
    "a CR": b"{\r}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_begins_and_ends_as_an_object(body: bytes) -> None:
    """Even if its digest holds."""
    with pytest.raises(Invalid):
        check_line(
            rebodied(b',"salt":"%b","body":%b' % (SALT, body), body_digest(SALT, body)), ROOT
        )


FORMS = {
    "no salt": b',"body":{}',
    "salt of 31": b',"salt":"%b","body":{}' % SALT[1:],
    "salt in upper case": b',"salt":"%b","body":{}' % (b"A" * 32),
    "salt and mask": b',"salt":"%b","mask":"%b","body":{}' % (SALT, b"0" * 64),
    "a body without salt or mask": b',"salt":null,"body":{}',
    "null with salt": b',"salt":"%b","body":null' % SALT,
    "null and a tab": b',"salt":null,"body":null\t',
    "blanks before null": b',"salt":null,"body": null',
    "a field behind": b',"salt":null,"body":null,"x":1',
    "body before salt": b',"body":null,"salt":null',
    "mask of 63": b',"salt":null,"mask":"%b","body":{}' % (b"0" * 63),
    "nothing": b"",
}


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS)
def test_body_has_three_forms(body: bytes) -> None:
    """Complete, masked, erased, and nothing else."""
    with pytest.raises(Invalid):
        check_line(rebodied(body), ROOT)


@pytest.mark.parametrize("blanks", [0, 1, 1000])
def test_an_erased_body_may_be_padded(blanks: int) -> None:
    """With spaces, to the old length or not at all."""
    record = check_line(rebodied(b',"salt":null,"body":null' + b" " * blanks), ROOT)

    assert (None, "erased") == (record.body, record.withheld)


def test_a_forged_mask_is_found() -> None:
    """The mask's check covers every byte of the masked object."""
    line = told().mask(2, MASKED).lines[2][:-1]
    record = check_line(line, ROOT)

    assert (MASKED, "masked") == (record.body, record.withheld)
    with pytest.raises(Invalid, match="does not match its mask") as raised:
        check_line(line.replace(b"***", b"**!"), ROOT)
    assert raised.value.link


@given(st.integers(0, 8 * len(begun().lines[0][:-1]) - 1))
def test_no_flipped_bit_passes(bit: int) -> None:
    """Every byte of a complete line is covered by a check."""
    line = bytearray(begun().lines[0][:-1])
    line[bit // 8] ^= 1 << bit % 8

    with pytest.raises(Invalid):
        check_line(bytes(line), ROOT)


@given(st.binary(max_size=700))
def test_any_bytes_are_a_record_or_invalid(data: bytes) -> None:
    """Never another exception."""
    with pytest.raises(Invalid, match=r"\w"):
        check_line(data, ROOT)


def test_a_record_of_another_session_is_none_here() -> None:
    """The id enters every hash."""
    with pytest.raises(Invalid, match="hash does not hold"):
        check_line(begun().lines[0][:-1], CHILD)


FIRST = begun().lines[0][:-1]
EXPLAINED = {
    "an empty line": b"",
    "a carriage return: was the file rewritten with other line ends?": FIRST + b"\r",
    "a byte-order mark: was the file rewritten by an editor?": b"\xef\xbb\xbf" + FIRST,
    "NUL bytes": bytes(40),
    "format version 7 inside a log of version 1": FIRST.replace(b'"v":1', b'"v":7'),
    "not a record: was the file written by another program?": b'{"type":"user"}',
    "the line does not begin as a record": FIRST[3:],
    "the line does not end as a record": FIRST[:-2],
}


@pytest.mark.parametrize(("why", "line"), EXPLAINED.items(), ids=EXPLAINED)
def test_broken_grammar_is_explained(why: str, line: bytes) -> None:
    """People learn what the file looks like; programs only need that it is not valid."""
    with pytest.raises(Invalid) as raised:
        check_line(line, ROOT)

    assert (why, why, False) == (str(raised.value), raised.value.why, raised.value.link)


def record(**changes: object) -> Record:
    return told().record(4)._replace(**changes)  # type: ignore[arg-type]


BEFORE = Head(ROOT, 3, told().record(3).ts, told().record(3).hash)
LINKS = {
    "seq gap": (record(seq=5), BEFORE, 0, "seq 5 where 4"),
    "seq again": (record(seq=3), BEFORE, 0, "seq 3 where 4"),
    "another hash before": (record(), BEFORE._replace(hash=bytes(32)), 0, "prev_hash"),
    "older": (record(ts=BEFORE.ts - 1), BEFORE, 0, "ts is smaller"),
    "batch does not count down": (record(batch=0), BEFORE, 2, "batch 0 where 1"),
    "batch counts up": (record(batch=3), BEFORE, 2, "batch 3 where 1"),
    "first kind": (record(seq=0), root_head(ROOT), 0, "not session_start"),
}


@pytest.mark.parametrize(("found", "before", "batch", "why"), LINKS.values(), ids=LINKS)
def test_what_does_not_continue_the_log(found: Record, before: Head, batch: int, why: str) -> None:
    """Each rule of docs/FORMAT.md §4 by itself."""
    with pytest.raises(Invalid, match=why) as raised:
        check_link(found, before, batch)

    assert raised.value.link is (why != "not session_start")


def test_what_continues_the_log() -> None:
    """Any batch after a whole append; without a known hash, only the rest is checked."""
    check_link(record(), BEFORE, 1)
    check_link(record(batch=7), BEFORE, 0)
    check_link(record(), BEFORE._replace(hash=b""), 0)


VERSIONS: dict[str, tuple[bytes, bool, int | None]] = {
    "ours": (FIRST, True, None),
    "2": (b'{"v":2,"x":0}', True, 2),
    "0": (b'{"v":0}', True, 0),
    "digits only": (b'{"v":12', True, 12),
    "digits only, more may come": (b'{"v":12', False, None),
    "and one byte": (b'{"v":12,', False, 12),
    "leading zero": (b'{"v":02}', True, None),
    "2^53": (b'{"v":9007199254740992}', True, None),
    "2^53-1": (b'{"v":9007199254740991}', True, 2**53 - 1),
    "17 digits": (b'{"v":10000000000000000}', True, None),
    "text": (b'{"v":"2"}', True, None),
    "negative": (b'{"v":-1}', True, None),
    "not at the beginning": (b' {"v":2}', True, None),
    "another hash": (FIRST.replace(b'"v":1', b'"v":2').replace(b'"seq":0', b'"seq":1'), True, 2),
}


@pytest.mark.parametrize(("line", "ended", "version"), VERSIONS.values(), ids=VERSIONS)
def test_versions_of_first_lines(line: bytes, ended: bool, version: int | None) -> None:
    """The first line decides."""
    assert version == other_version(line, ROOT, ended=ended)


@pytest.mark.parametrize("version", [b"0", b"2", b"31", b"9007199254740991"])
def test_a_flipped_version_is_damage(version: bytes) -> None:
    """A hash that holds once the version reads 1 was made by a writer of version 1."""
    line = FIRST.replace(b'"v":1', b'"v":' + version)
    harmed = line.replace(b"Be brief", b"Be Brief")

    for damaged in (line, harmed):
        with pytest.raises(Invalid, match="its hash holds for version 1"):
            other_version(damaged, ROOT)


def test_what_is_too_long_for_a_line_is_no_flipped_version() -> None:
    """Though its hash would hold: no writer of version 1 made it."""
    line = FIRST.replace(b'"v":1', b'"v":2')
    longest = line[:-TRAIL_SIZE].ljust(LINE_BYTES_MAX - 1 - TRAIL_SIZE) + line[-TRAIL_SIZE:]
    with pytest.raises(Invalid, match="its hash holds"):
        other_version(longest, ROOT)

    assert 2 == other_version(longest[:-TRAIL_SIZE] + b" " + line[-TRAIL_SIZE:], ROOT)


def test_a_head_is_the_same_whoever_counts() -> None:
    """`Story` and `link` agree, so the vectors' bytes are the writer's."""
    story = Story()
    data, head = link(root_head(ROOT), 1_764_000_000_000, [story.draft("session_start", b"{}")])

    assert [data] == story.append_bodies(("session_start", b"{}")).lines
    assert head == story.head
