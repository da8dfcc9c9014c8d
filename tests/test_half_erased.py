"""Records that an interrupted erasure left in no form of the grammar: read as erased, and reported."""

from pathlib import Path

import pytest
from verdicts import library, place, standalone

import session_store as ss
from session_store.chain import TRAIL_SIZE, Invalid, check_line, check_named, erased_body, is_blank
from session_store.limits import LINE_BYTES_MAX
from session_store.testing.story import ROOT, Story, told

SIZE = len(told().lines[2]) - 1 - told().record(2).head_size - TRAIL_SIZE
"""Bytes of the BODY of record 2."""


async def both(tmp_path: Path, story: Story) -> list[tuple[str, int]]:
    """Return what the library finds in a log; the stand-alone verifier finds the same."""
    place(tmp_path, {story.file: story.data})
    async with await ss.open_store(tmp_path) as store:
        found = await library(store, story.session_id)
    assert found == standalone(next(tmp_path.rglob(story.file)))
    return [(finding["what"], finding["seq"]) for finding in found[0]["findings"]]


@pytest.mark.parametrize("begin", [0, 1, 9, 40, SIZE - 1])
async def test_a_named_record_that_is_blank_in_part_is_unfinished(
    tmp_path: Path, begin: int
) -> None:
    """From any byte to any other; the records around it are as they were."""
    for end in sorted({begin + 1, begin + 8, begin + 24, SIZE // 2, SIZE - 1} - {0}):
        story = told().redact(2).erase(2, begin=begin, end=end)
        root = tmp_path / str(end)
        assert [("erasure-unfinished", 2)] == await both(root, story)
        async with await ss.open_store(root) as store:
            record = await store.record(ROOT, 2)
            state = await ss.restore(store, ROOT)
        assert (None, "erased", told().record(2).hash) == (
            record.body,
            record.withheld,
            record.hash,
        )
        assert ([2], 8) == ([p.seq for p in state.withheld], state.entries_count)


async def test_neighbours_that_are_blank_in_part_are_told_apart(tmp_path: Path) -> None:
    """A power cut may leave several; each is found by its seq."""
    story = told().redact(2, 3, 4).erase(2, end=20).erase(3, end=30).erase(4)
    assert [("erasure-unfinished", 2), ("erasure-unfinished", 3), ("erased", 4)] == await both(
        tmp_path, story
    )
    async with await ss.open_store(tmp_path) as store:
        for seq in (2, 3, 4):
            record = await store.record(ROOT, seq)
            assert (seq, told().record(seq).hash, None) == (record.seq, record.hash, record.body)
        with pytest.raises(ss.NotFound):
            await store.record(ROOT, 99)


async def test_a_record_blank_to_its_end_is_erased(tmp_path: Path) -> None:
    assert [("erased", 2)] == await both(tmp_path, told().redact(2).erase(2, end=SIZE))


async def test_a_flipped_bit_in_what_is_erased_is_found_and_hides_nothing(tmp_path: Path) -> None:
    """The erasure counts as unfinished; blanking it again mends it."""
    for at in range(SIZE):
        story = told().redact(2).erase(2)
        line = bytearray(story.lines[2])
        line[told().record(2).head_size + at] ^= 1 << at % 6
        story.lines[2] = bytes(line)
        if b"\r" in line or b"\n" in line[:-1]:
            continue
        assert [("erasure-unfinished", 2)] == await both(tmp_path / str(at), story)


@pytest.mark.parametrize("harm", ["nobody names it", "another digest", "a later seq", "no hash"])
async def test_what_no_redaction_names_is_corrupt_when_it_is_blank_in_part(
    tmp_path: Path, harm: str
) -> None:
    story = told()
    target = story.target(2)
    if harm == "another digest":
        story.append(ss.Redaction([target | {"digest": "00" * 32}], "x"))
    elif harm == "a later seq":
        story.append(ss.Redaction([target | {"seq": 3}], "x"))
    elif harm == "no hash":
        story.redact(2)
    story.erase(2, end=20)
    if harm == "no hash":
        story.lines[2] = story.lines[2].replace(b'"hash":"', b'"hash":"0')[:-2] + b"\n"
    assert ("corrupt", 2) in await both(tmp_path, story)


async def test_a_redaction_that_does_not_count_names_it_all_the_same(tmp_path: Path) -> None:
    """It stands in an append that is not whole: nobody is given the body, and that is reported."""
    story = told().redact(2).erase(2, end=20)
    story.append(ss.TurnEnd(2))
    torn = story.append(ss.Redaction([story.target(3)], "x"), ss.TurnEnd(3))
    torn.lines.pop()
    torn.erase(3, end=20)
    found = await both(tmp_path, torn)
    assert [("erasure-unfinished", 2), ("erased-without-redaction", 3), ("torn", 9)] == found


async def test_a_redaction_counts_though_its_line_has_no_end(tmp_path: Path) -> None:
    """It is the last thing that a reader sees, and concerns what came before."""
    story = told().redact(2)
    story.lines[-1] = story.lines[-1][:-1]
    assert [("erasure-unfinished", 2), ("missing-lf", 7)] == await both(tmp_path, story)


async def test_the_first_record_of_a_fork_may_be_blank_in_part(tmp_path: Path) -> None:
    """Its replacement tells the parent."""
    parent = told()
    child = parent.fork(4)
    kept = {
        "format": 1,
        "session_id": child.session_id,
        "forked_from": parent.position(4).to_json(),
    }
    child.redact(0, replacements={"0": kept}).erase(0, end=30)
    place(tmp_path, {parent.file: parent.data, child.file: child.data})
    async with await ss.open_store(tmp_path) as store:
        assert [parent.position(4)] == await ss.ancestors(store, child.session_id)
        report = await ss.verify(store, child.session_id)
        state = await ss.restore(store, child.session_id)
    assert [("erasure-unfinished", 0)] == [(f.what, f.seq) for f in report.findings]
    assert "Be brief." == state.system_prompt


def test_what_is_around_the_body_must_hold() -> None:
    """Head, hash, limits, no carriage return, and room for the erased form."""
    record = told().record(2)
    line, head = record.line, record.line[: record.head_size]
    trail = line[-TRAIL_SIZE:]
    assert check_named(head + erased_body(24) + trail, ROOT) == check_line(
        head + erased_body(24) + trail, ROOT
    )
    for wrong in (
        head + b" " * 23 + trail,
        head[:-200] + trail,
        head + b"\r" * 30 + trail,
        head + b" " * 30 + trail.replace(b'"hash":"', b'"hash":"0')[:-3] + b'"}',
        head.replace(b'"seq":2', b'"seq":3') + b" " * 30 + trail,
        head + b" " * LINE_BYTES_MAX + trail,
    ):
        with pytest.raises(Invalid):
            check_named(wrong, ROOT)


def test_only_the_exact_form_is_blank() -> None:
    record = told().redact(2).erase(2).record(2)
    assert is_blank(record)
    for form in (b'"', b"\0", b"null"):
        assert not is_blank(record._replace(line=record.line.replace(b"null ", b"null" + form)))
    assert not is_blank(told().record(2))
