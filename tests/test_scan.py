"""The one reader: torn is not corrupt, nothing is skipped, and chunks do not matter."""

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

import session_store as ss
from session_store.chain import Head, Record, root_head
from session_store.limits import LINE_BYTES_MAX
from session_store.scan import Scanner
from session_store.testing.story import MASKED, ROOT, Story, begun, told

LINES = told().lines
GOOD = b"".join(LINES)
ENDS = [sum(map(len, LINES[:n])) for n in range(len(LINES) + 1)]
APPEND_ENDS = [0, ENDS[1], ENDS[3], ENDS[5], ENDS[6], ENDS[7]]
STEPS = (1, 7, 1 << 30)


@frozen
class Outcome:
    """What scanning gives: seqs given out, how it ends, and where."""

    seqs: list[int]
    state: str
    offset: int
    size: int = 0


def scan(data: bytes, step: int = 1 << 30, *, head: Head | None = None, offset: int = 0) -> Outcome:
    scanner = Scanner("log", head or root_head(ROOT), offset=offset)
    records: list[Record] = []
    for at in range(0, len(data), step):
        records += scanner.feed(data[at : at + step])
    try:
        tail = scanner.finish()
    except ss.Corrupt as error:
        return Outcome([r.seq for r in records], "corrupt", error.offset)
    except ss.Unsupported as error:
        return Outcome([], "unsupported", error.found)
    assert scanner.end == tail.offset
    seqs = [r.seq for r in (*records, *tail.records)]
    return Outcome(seqs, tail.state, tail.offset, tail.size)


def counted(end: int) -> list[int]:
    """Return the seqs of the appends that end at or before *end*."""
    whole = max(e for e in APPEND_ENDS if e <= end)
    return list(range(ENDS.index(whole)))


@pytest.mark.parametrize("step", STEPS)
def test_a_good_log_is_clean(step: int) -> None:
    """In any steps."""
    assert Outcome(list(range(7)), "clean", len(GOOD)) == scan(GOOD, step)


def test_every_cut_is_a_torn_tail_or_a_missing_lf() -> None:
    """A log cut anywhere is a prefix of appends, and never corrupt."""
    for size in range(len(GOOD)):
        outcome = scan(GOOD[:size])
        last = size + 1 in APPEND_ENDS
        seqs = counted(size + last)
        state = "missing_lf" if last else "clean" if size in APPEND_ENDS else "torn"
        end = size if last else max(e for e in APPEND_ENDS if e <= size)

        assert Outcome(seqs, state, end, size - end) == outcome


def test_every_prefix_of_appends_is_a_good_log() -> None:
    """Whoever stops after a whole append has a log."""
    for end in APPEND_ENDS:
        assert Outcome(counted(end), "clean", end) == scan(GOOD[:end])


def test_no_flipped_bit_passes_for_a_torn_tail() -> None:
    """Damage is corrupt at its line, whichever bit it hits; only the last LF may be mended."""
    undetected, misclassified = [], []
    good = scan(GOOD)
    for bit in range(8 * len(GOOD)):
        bad = bytearray(GOOD)
        bad[bit // 8] ^= 1 << bit % 8
        outcome = scan(bytes(bad))
        line = max(n for n in range(7) if ENDS[n] <= bit // 8)
        if outcome == good:
            undetected.append(bit)
        elif bit // 8 == len(GOOD) - 1:
            assert Outcome(list(range(7)), "missing_lf", len(GOOD) - 1, 1) == outcome
        elif ("corrupt", ENDS[line]) != (outcome.state, outcome.offset):
            # A flipped LF glues two lines, and a flip that makes one splits a line.
            misclassified.append((bit, outcome))

    assert ([], []) == (undetected, misclassified)


@given(
    st.binary(max_size=40), st.integers(0, len(GOOD)), st.lists(st.integers(1, 400), max_size=20)
)
def test_the_verdict_does_not_depend_on_chunks(junk: bytes, at: int, sizes: list[int]) -> None:
    """Bytes from anywhere, put anywhere, fed in any pieces."""
    data = GOOD[:at] + junk + GOOD[at:]
    scanner = Scanner("log", root_head(ROOT))
    records, place = [], 0
    for size in [*sizes, len(data)]:
        records += scanner.feed(data[place : place + size])
        place += size
    try:
        tail = scanner.finish()
        found = Outcome(
            [r.seq for r in (*records, *tail.records)], tail.state, tail.offset, tail.size
        )
    except ss.Corrupt as error:
        found = Outcome([r.seq for r in records], "corrupt", error.offset)
    except ss.Unsupported as error:
        found = Outcome([], "unsupported", error.found)

    assert scan(data) == found


@given(st.binary(max_size=40), st.integers(0, len(GOOD)), st.integers(0, 200))
def test_the_verdict_does_not_depend_on_skimming(junk: bytes, at: int, left_out: int) -> None:
    """Nor do the head and the end of what holds; what is given out is a part of the same records."""
    data = GOOD[:at] + junk + GOOD[at + left_out :]
    read, skimmed = Scanner("log", root_head(ROOT)), Scanner("log", root_head(ROOT), skim=True)
    assert set(skimmed.feed(data)) <= set(read.feed(data))
    assert ending(read) == ending(skimmed)
    assert (read.head, read.end, read.origin) == (skimmed.head, skimmed.end, skimmed.origin)


def ending(scanner: Scanner) -> tuple[object, ...]:
    try:
        return scanner.finish()[:3]
    except (ss.Corrupt, ss.Unsupported) as error:
        return type(error), str(error)


def test_skimming_gives_out_what_may_need_a_second_look() -> None:
    """All that is withheld, and all redactions; else the first record alone."""
    story = told().redact(2).erase(2).erase(4).mask(5, b"{}")
    scanner = Scanner("log", root_head(ROOT), allow_masked=True, skim=True)
    records = scanner.feed(story.data)
    assert [0, 2, 4, 5, 7] == [record.seq for record in records]
    assert story.head == scanner.head


NULS = bytes(16)
ALL = list(range(7))
TAILS = {
    "piece": (b"x", "torn"),
    "NULs": (NULS, "torn"),
    "one NUL": (b"\0", "torn"),
    "15 NULs and LF": (NULS[1:] + b"\n", "corrupt"),
    "16 NULs and LF": (NULS + b"\n", "torn"),
    "16 NULs in two runs": (NULS[8:] + b"x" + NULS[8:] + b"\n", "corrupt"),
    "hole in a line": (b"{" + NULS + b"}\n", "torn"),
    "two holes": (NULS + b"\n" + NULS + b"\n", "torn"),
    "hole, then a piece": (NULS + b"\nrest", "torn"),
    "hole, then a bad line": (NULS + b"\nrest\n", "corrupt"),
    "hole, then an empty line": (NULS + b"\n\n", "corrupt"),
    "hole, then a record": (NULS + b"\n" + LINES[6], "corrupt"),
    "hole, then a record without LF": (NULS + b"\n" + LINES[6][:-1], "corrupt"),
    "hole, then a record but for a byte": (NULS + b"\n" + LINES[6][:-2], "torn"),
    "bad line, then a hole": (b"rest\n" + NULS + b"\n", "corrupt"),
    "empty line": (b"\n", "corrupt"),
    "a record again": (LINES[6], "corrupt"),
    "a record again, without LF": (LINES[6][:-1], "torn"),
    "version 2": (b'{"v":2}\n', "corrupt"),
    "version 2 without LF": (b'{"v":2,', "torn"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("tail", "state"), TAILS.values(), ids=TAILS)
def test_what_may_stand_behind_the_last_append(tail: bytes, state: str, step: int) -> None:
    """The table of docs/FORMAT.md §6."""
    size = len(tail) if state == "torn" else 0

    assert Outcome(ALL, state, len(GOOD), size) == scan(GOOD + tail, step)


@pytest.mark.parametrize("kept", range(1, 7))
def test_an_unfinished_append_and_what_follows_it(kept: int) -> None:
    """Its valid lines change nothing: torn from the end of the last whole append."""
    start = max(e for e in APPEND_ENDS if e <= ENDS[kept])
    for tail in (b"", b"x", NULS + b"\n", NULS + b"\nrest"):
        data = GOOD[: ENDS[kept]] + tail
        state = "torn" if len(data) > start else "clean"

        assert Outcome(counted(start), state, start, len(data) - start) == scan(data)


ENDED_WRONG = {
    "no LF": (b"", 0),
    "another byte": (b"J", 1),
    "a NUL": (b"\0", 1),
    "a brace": (b"}", 1),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("end", "size"), ENDED_WRONG.values(), ids=ENDED_WRONG)
def test_a_last_append_without_its_lf_counts(end: bytes, size: int, step: int) -> None:
    """Its records are given by `finish`, and the head is theirs."""
    outcome = Outcome(ALL, "missing_lf", len(GOOD) - 1, size)

    assert outcome == scan(GOOD[:-1] + end, step)
    assert Outcome(counted(ENDS[3]), "torn", ENDS[3], ENDS[4] - 1 - ENDS[3] + size) == scan(
        GOOD[: ENDS[4] - 1] + end, step
    )


def test_finish_moves_head_and_end_over_a_missing_lf() -> None:
    """Whoever appends next continues there."""
    scanner = Scanner("log", root_head(ROOT))
    scanner.feed(GOOD[:-1])
    tail = scanner.finish()

    assert (told().head, len(GOOD) - 1) == (scanner.head, scanner.end)
    assert [6] == [r.seq for r in tail.records]


FIRST = {
    "nothing": (b"", "clean", 0),
    "version 0": (b'{"v":0}\n', "unsupported", 0),
    "version 2": (b'{"v":2}\n', "unsupported", 2),
    "version 2, digits and LF": (b'{"v":2\n', "unsupported", 2),
    "version 2 without LF": (b'{"v":2,', "unsupported", 2),
    "version 0 without LF": (b'{"v":0,', "unsupported", 0),
    "digits only": (b'{"v":2', "torn", 0),
    "version 2, then ours": (b'{"v":2}\n' + GOOD, "unsupported", 2),
    "flipped": (GOOD.replace(b'"v":1', b'"v":3', 1), "corrupt", 0),
    "flipped, without LF": (LINES[0][:-1].replace(b'"v":1', b'"v":3'), "corrupt", 0),
    "flipped, a wrong LF": (LINES[0][:-1].replace(b'"v":1', b'"v":3') + b"J", "corrupt", 0),
    "leading zero": (b'{"v":01}\n', "corrupt", 0),
    "a byte-order mark": (b"\xef\xbb\xbf" + GOOD, "corrupt", 0),
    "only an LF": (b"\n", "corrupt", 0),
    "another kind": (Story().append(ss.TurnEnd(0)).data, "corrupt", 0),
    "a later line": (LINES[1], "corrupt", 0),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("data", "state", "place"), FIRST.values(), ids=FIRST)
def test_the_first_line_decides(data: bytes, state: str, place: int, step: int) -> None:
    """Another version is not damage, and damage is not another version."""
    outcome = scan(data, step)

    assert (state, place, []) == (outcome.state, outcome.offset, outcome.seqs)


LONG = LINE_BYTES_MAX + (2 << 20)
LONG_LINES = {
    "with LF": (b"", b"\n", "corrupt"),
    "without LF": (b"", b"", "torn"),
    "with a hole": (b"", NULS + b"\n", "torn"),
    "with a hole at its start": (NULS, b"\n", "torn"),
    "with a hole, then a bad line": (NULS, b"\nx\n", "corrupt"),
    "ends as a record": (b"", LINES[6], "corrupt"),
    "ends as a record, with a hole": (NULS, LINES[6][:-1], "torn"),
}
"""What stands before and behind too many bytes for a line."""


@pytest.mark.parametrize("step", [1 << 20, 4_000_037, 1 << 30])
@pytest.mark.parametrize(("begin", "end", "state"), LONG_LINES.values(), ids=LONG_LINES)
def test_lines_beyond_the_limit(begin: bytes, end: bytes, state: str, step: int) -> None:
    """They are no records, and do not have to fit into memory."""
    outcome = scan(GOOD + begin + b"x" * LONG + end, step)

    assert (state, len(GOOD)) == (outcome.state, outcome.offset)


def test_a_run_of_nuls_across_chunks_of_a_long_line() -> None:
    """Eight at the end of one, eight at the beginning of the next."""
    for cut in range(0, 17, 4):
        scanner = Scanner("log", root_head(ROOT))
        scanner.feed(GOOD + b"x" * LONG + bytes(cut))
        scanner.feed(bytes(16 - cut) + b"x\n")

        assert "torn" == scanner.finish().state


def test_the_rest_of_a_long_line_is_no_record() -> None:
    """Wherever the chunks happen to end."""
    for cut in range(0, 20, 5):
        scanner = Scanner("log", root_head(ROOT))
        scanner.feed(GOOD + NULS + b"x" * LONG + LINES[6][:cut])
        scanner.feed(LINES[6][cut:-1] + b"x" * LONG)
        scanner.feed(b"x" * LONG + LINES[6])

        assert "torn" == scanner.finish().state


def test_a_long_first_line_of_another_version() -> None:
    """Its version is read all the same."""
    for step in (1 << 20, 1 << 30):
        assert Outcome([], "unsupported", 2) == scan(b'{"v":2,' + b"x" * LONG + b"\n", step)


def test_a_line_of_the_full_size_with_a_wrong_lf() -> None:
    """One byte more than a line may have is not yet too long."""
    body = b'{"a":"%b"}'
    short = begun().append_bodies(("future", body % b"")).lines[1]
    line = begun().append_bodies(("future", body % (b"x" * (LINE_BYTES_MAX - len(short))))).lines[1]

    outcome = scan(begun().data + line[:-1] + b"J", 1 << 20)

    assert ("missing_lf", [0, 1]) == (outcome.state, outcome.seqs)


def test_scanning_goes_on_from_any_record() -> None:
    """A reader that trusts the record before needs only what follows."""
    for seq in (0, 2, 4):
        before = told().record(seq)
        head = Head(ROOT, seq, before.ts, before.hash)
        rest = scan(GOOD[ENDS[seq + 1] :], head=head, offset=ENDS[seq + 1])

        assert Outcome(list(range(seq + 1, 7)), "clean", len(GOOD)) == rest


def test_masked_records_need_permission() -> None:
    """Elsewhere the first one is corrupt, and nothing of its append counts."""
    data = told().mask(2, MASKED).data
    scanner = Scanner("log", root_head(ROOT), allow_masked=True)

    assert Outcome([0], "corrupt", ENDS[2]) == scan(data)
    assert ALL == [r.seq for r in scanner.feed(data)]


def test_links_and_grammar_are_told_apart() -> None:
    """A hash that fails is `ChainBroken`; both are `Corrupt`, with their place."""
    for harmed, error in (
        (GOOD.replace(b"2 + 3", b"2 + 4"), ss.ChainBroken),
        (b"{}\n", ss.Corrupt),
    ):
        scanner = Scanner("log", root_head(ROOT))
        scanner.feed(harmed)
        with pytest.raises(ss.Corrupt, match="log: line ") as caught:
            scanner.finish()

        assert error is type(caught.value)
        assert caught.value.line == caught.value.seq + 1


def test_nothing_is_given_out_behind_damage() -> None:
    """Not even what comes with later chunks."""
    scanner = Scanner("log", root_head(ROOT))
    scanner.feed(b"".join((*LINES[:3], b"x\n")))

    assert [] == scanner.feed(b"".join(LINES[3:]))
    assert 3 == scanner.error.seq if isinstance(scanner.error, ss.Corrupt) else pytest.fail("?")


def test_the_origin_of_a_fork_is_proven_by_its_link() -> None:
    """A root has none, whatever its body says."""
    parent = told()
    child = parent.fork(4)
    scanner = Scanner("log", root_head(child.session_id))
    scanner.feed(child.data)

    assert parent.position(4) == scanner.origin
    copy = Story(child.session_id).append(
        ss.SessionStart(child.session_id, forked_from=parent.position(4).to_json())
    )
    scanner = Scanner("log", root_head(child.session_id))
    scanner.feed(copy.data)
    assert scanner.origin is None


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_record_behind_a_hole_that_took_its_lf_is_damage_not_a_torn_tail(
    step: int, end: bytes
) -> None:
    glued = bytes(40) + LINES[5].removesuffix(b"\n")
    data = GOOD[: ENDS[5]] + bytes(20) + b"\n" + glued + end
    assert Outcome(counted(ENDS[5]), "corrupt", ENDS[5]) == scan(data, step)
    state = "corrupt" if end else "torn"  # One piece without any LF is torn, whatever it is.
    assert state == scan(GOOD[: ENDS[5]] + glued + end, step).state


@pytest.mark.parametrize("step", [1 << 20, LINE_BYTES_MAX, 1 << 30])
def test_behind_a_hole_over_the_limit_of_a_line_nothing_is_looked_for(step: int) -> None:
    line = LINES[5].removesuffix(b"\n")
    for size, verdict in ((LINE_BYTES_MAX, "corrupt"), (LINE_BYTES_MAX + 1, "torn")):
        data = GOOD[: ENDS[5]] + bytes(size - len(line)) + line + b"\n"
        found = scan(data, step)
        assert (verdict, ENDS[5]) == (found.state, found.offset), size
