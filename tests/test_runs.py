"""The quick way through a log: it takes only what the slow way takes, and the same."""

from collections.abc import Callable
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_store.chain import (
    Head,
    Invalid,
    Record,
    body_digest,
    check_line,
    check_link,
    compute_hash,
    root_head,
)
from session_store.limits import LINE_BYTES_MAX
from session_store.runs import Run, check_run, recall_run
from session_store.testing.story import ROOT, told

LINES = [line.removesuffix(b"\n") for line in told().lines]
OFFSETS = [0, *accumulate(len(line) + 1 for line in LINES)]


def joined(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def slowly(lines: list[bytes]) -> list[Record]:
    """Return what the slow way takes of a log, up to the first line that it refuses."""
    taken, before, batch, offset = [], root_head(ROOT), 0, 0
    for line in lines:
        try:
            record = check_line(line, ROOT, offset=offset)
            check_link(record, before, batch)
        except Invalid:
            break
        taken.append(record)
        before, batch = Head(ROOT, record.seq, record.ts, record.hash), record.batch
        offset = record.end
    return taken


def records(run: Run | None) -> list[Record]:
    return [] if run is None else run.records()


def quickly(lines: list[bytes]) -> list[Record]:
    """Return what the quick way takes behind the first record."""
    first = slowly(lines[:1])[0]
    before = Head(ROOT, first.seq, first.ts, first.hash)
    return records(check_run(joined(lines), first.end, before, first.batch, first.end))


def test_a_good_log_is_taken_whole_with_the_same_records() -> None:
    assert slowly(LINES)[1:] == quickly(LINES)
    assert len(LINES) - 1 == len(quickly(LINES))


def test_the_first_line_of_a_log_is_not_taken() -> None:
    """Nor one in the middle, when the hash before it is not known."""
    assert not check_run(joined(LINES), 0, root_head(ROOT), 0, 0)
    assert not check_run(joined(LINES), OFFSETS[3], Head(ROOT, 2, 0, b""), 0, OFFSETS[3])


def test_no_flipped_bit_of_a_line_is_taken() -> None:
    for bit in range(8 * len(LINES[3])):
        line = bytearray(LINES[3])
        line[bit // 8] ^= 1 << bit % 8
        lines = [*LINES[:3], bytes(line), *LINES[4:]]
        assert slowly(lines)[1:] == quickly(lines)
        assert 2 == len(quickly(lines)), f"bit {bit}"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda lines: lines[:2] + lines[3:], id="a line is missing"),
        pytest.param(lambda lines: lines[:3] + lines[2:], id="a line twice"),
        pytest.param(lambda lines: [*lines[:2], lines[3], lines[2]], id="two lines swapped"),
        pytest.param(lambda lines: [*lines[:2], b"", *lines[2:]], id="an empty line"),
        pytest.param(lambda lines: [*lines[:2], lines[2] + b"\r"], id="a carriage return"),
    ],
)
def test_what_does_not_follow_is_not_taken(change: Callable[[list[bytes]], list[bytes]]) -> None:
    lines = change(LINES)
    assert slowly(lines)[1:] == quickly(lines)


def forged(**changes: object) -> list[bytes]:
    """
    Return the first three lines and one that holds by itself, with *changes*.

    Its digest is that of *committed*, if there is one.
    """
    last = slowly(LINES)[2]
    fields = {"seq": 3, "ts": last.ts, "kind": b"turn_end", "batch": 0, "prev": last.hash}
    fields |= {"body": b'{"turn_count":1}', "salt": b"0" * 32, **changes}
    salt = fields["salt"]
    head = b'{"v":1,"seq":%d,"ts":%d,"kind":"%b","batch":%d,"prev_hash":"%b","digest":"%b"' % (
        fields["seq"],
        fields["ts"],
        fields["kind"],
        fields["batch"],
        fields["prev"].hex().encode(),
        body_digest(salt, fields.get("committed", fields["body"])),
    )
    hash_ = compute_hash(ROOT, head).hex().encode()
    return [
        *LINES[:3],
        b'%b,"salt":"%b","body":%b,"hash":"%b"}' % (head, salt, fields["body"], hash_),
    ]


def test_a_line_that_holds_and_follows_is_taken() -> None:
    assert 3 == len(quickly(forged()))
    assert slowly(forged())[1:] == quickly(forged())


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 4},
        {"ts": 1},
        {"ts": 10**15},
        {"kind": b"Turn"},
        {"prev": bytes(32)},
        {"salt": b"0" * 31 + b"G"},
        {"salt": b"0" * 31 + b"A"},
        {"salt": b"0" * 31 + b"?"},
        {"body": b'{"turn_count":1}\r'},
        {"body": b'{"a":\r1}'},
        {"body": b"[1]"},
        {"body": b"[1}"},
        {"body": b"[1}", "committed": b":[1}"},
        {"body": b"{"},
        {"body": b'{"a":1]'},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_a_line_that_holds_by_itself_alone_is_not_taken(changes: dict[str, object]) -> None:
    lines = forged(**changes)
    assert 2 == len(quickly(lines))
    assert len(slowly(lines)[1:]) == (3 if changes == {"ts": 10**15} else 2)


def test_a_run_does_not_begin_before_the_record_that_it_follows() -> None:
    """Though it rises, and ends behind it."""
    taken = slowly(LINES)
    before = Head(ROOT, 0, taken[-1].ts - 1, taken[0].hash)
    assert before.ts > taken[1].ts
    assert check_run(joined(LINES), taken[0].end, before, taken[0].batch, taken[0].end) is None


def test_a_line_beyond_the_limit_is_not_taken() -> None:
    lines = forged(body=b"{" + b" " * LINE_BYTES_MAX + b"}")
    assert 2 == len(quickly(lines)) == len(slowly(lines)[1:])


@pytest.mark.parametrize(("more", "taken"), [(0, 3), (1, 2)])
def test_a_line_of_a_mebibyte_is_taken_and_no_longer_one(more: int, taken: int) -> None:
    """The slow way takes that one: a copy of its body with the salt is not worth it."""
    least = len(forged(body=b'{"a":""}')[3])
    lines = forged(body=b'{"a":"%b"}' % (b"x" * (2**20 - least + more)))
    assert taken == len(quickly(lines))
    assert slowly(lines)[1 : taken + 1] == quickly(lines)


def test_inside_an_append_the_number_of_records_left_must_fall() -> None:
    before = slowly(LINES)[2]
    head = Head(ROOT, before.seq, before.ts, before.hash)
    for batch, left, taken in ((2, 1, 1), (2, 0, 0), (2, 2, 0), (0, 5, 1), (0, 1000, 0)):
        line = forged(batch=left)[3]
        assert taken == len(records(check_run(line + b"\n", 0, head, batch, OFFSETS[3])))


def test_a_redaction_is_left_to_the_slow_way() -> None:
    """Whoever reads many lines at once misses none."""
    assert [1, 2] == [r.seq for r in quickly(forged(kind=b"redaction"))]
    assert 3 == len(quickly(forged(kind=b"redaction_")))


def test_a_run_knows_where_its_appends_end() -> None:
    first = slowly(LINES)[0]
    before = Head(ROOT, 0, first.ts, first.hash)
    for stop in range(2, len(LINES) + 1):
        run = check_run(joined(LINES[:stop]), OFFSETS[1], before, 0, OFFSETS[1])
        assert run is not None
        last = slowly(LINES)[stop - 1]
        ends = [0, *(r.seq for r in slowly(LINES)[1:stop] if r.batch == 0)]
        assert (last.batch, ends[-1]) == (run.batch, run.whole)
        assert (Head(ROOT, last.seq, last.ts, last.hash), last.end) == run.place(run.taken)


@given(st.data())
def test_any_damage_is_judged_as_the_slow_way_does(data: st.DataObject) -> None:
    """What the quick way takes is a beginning of what the slow way takes."""
    lines = list(LINES)
    index = data.draw(st.integers(1, len(lines) - 1))
    line = bytearray(lines[index])
    at = data.draw(st.integers(0, len(line)))
    line[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    lines[index] = bytes(line)
    quick = quickly(lines)
    assert slowly(lines)[1 : len(quick) + 1] == quick


def test_a_verified_part_is_recalled_as_it_was_checked() -> None:
    first = slowly(LINES)[0]
    before = Head(ROOT, 0, first.ts, first.hash)
    run = recall_run(joined(LINES), OFFSETS[1], before, OFFSETS[1], OFFSETS[-1])
    assert quickly(LINES) == records(run)


def test_a_line_without_its_end_is_not_taken() -> None:
    first = slowly(LINES)[0]
    before = Head(ROOT, 0, first.ts, first.hash)
    buffer = joined(LINES[:4])[:-1]
    checked = check_run(buffer, OFFSETS[1], before, 0, OFFSETS[1])
    recalled = recall_run(buffer, OFFSETS[1], before, OFFSETS[1], 1 << 40)
    assert [1, 2] == [r.seq for r in records(checked)] == [r.seq for r in records(recalled)]


def test_recalling_ends_where_the_verified_part_ends() -> None:
    before = Head(ROOT, 0, 0, slowly(LINES)[0].hash)
    run = recall_run(joined(LINES), OFFSETS[1], before, OFFSETS[1], OFFSETS[3])
    assert quickly(LINES)[:2] == records(run)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(LINES[3][:-4] + b'zz"}', id="no hash"),
        pytest.param(LINES[3][:-66] + LINES[3][-66:-2].upper() + b'"}', id="no lower case"),
        pytest.param(b"{" + LINES[3], id="no record"),
        pytest.param(LINES[4], id="another seq"),
        pytest.param(LINES[3].replace(b'"prev_hash":"', b'"prev_hash":"x', 1)[:-1], id="no head"),
        pytest.param(forged(prev=bytes(32))[3], id="another link"),
    ],
)
def test_recalling_leaves_a_changed_line_to_the_slow_way(line: bytes) -> None:
    lines = [*LINES[:3], line, *LINES[4:]]
    before = Head(ROOT, 0, 0, slowly(LINES)[0].hash)
    run = recall_run(joined(lines), OFFSETS[1], before, OFFSETS[1], OFFSETS[-1])
    assert [1, 2] == [record.seq for record in records(run)]


def test_where_the_first_line_is_not_of_the_usual_form_nothing_is_taken() -> None:
    before = Head(ROOT, 0, 0, slowly(LINES)[0].hash)
    for buffer in (b"", b"\n", b"\r\n", b"{}\n", LINES[1]):
        assert check_run(buffer, 0, before, 0, 0) is None
        assert recall_run(buffer, 0, before, 0, 1 << 40) is None
