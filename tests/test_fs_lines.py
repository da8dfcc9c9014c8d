"""Ready lines of another store, and the limits of what is written."""

from pathlib import Path

import pytest
from fs_tools import born, fork, log_of, note, records, store

from session_store.chain import link
from session_store.errors import ChainBroken, Corrupt, HeadMismatch, InvalidInput, LimitExceeded
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore


@pytest.fixture
def core(tmp_path: Path) -> FsCore:
    return store(tmp_path)


def lines_of(core: FsCore, session_id: str) -> bytes:
    return b"".join(core.raw(session_id))


def test_lines_of_another_store_give_birth_and_continue(tmp_path: Path) -> None:
    """Exact bytes; given again, or with an overlap, only what is missing is added."""
    source, target = store(tmp_path / "a"), store(tmp_path / "b")
    session_id = born(source, 4)
    all_lines = lines_of(source, session_id)
    cuts = [i + 1 for i, b in enumerate(all_lines) if b == 10]
    assert 1 == target.append_lines(session_id, all_lines[: cuts[1]]).seq
    assert 1 == target.append_lines(session_id, all_lines[: cuts[1]]).seq
    assert 3 == target.append_lines(session_id, all_lines[cuts[0] : cuts[3]]).seq
    assert 4 == target.append_lines(session_id, all_lines[cuts[3] :]).seq
    assert 2 == target.append_lines(session_id, all_lines[: cuts[2]]).seq
    assert 4 == target.append_lines(session_id, all_lines).seq
    assert all_lines == lines_of(target, session_id)


def test_lines_that_hold_a_head_in_a_body_are_not_misled(tmp_path: Path) -> None:
    """A body that looks like the end or the link of a line is only a body."""
    source, target = store(tmp_path / "a"), store(tmp_path / "b")
    session_id = born(source)
    head = source.head(session_id).hash.hex()
    target.append_lines(session_id, lines_of(source, session_id))
    source.append(session_id, [note()], expected=ANY)
    source.append(session_id, [note({"prev_hash": head}), note({"hash": head})], expected=ANY)
    assert 3 == target.append_lines(session_id, lines_of(source, session_id)).seq


def test_lines_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """Nothing of them is written, whatever is wrong."""
    source, target = store(tmp_path / "a"), store(tmp_path / "b")
    session_id = born(source, 3)
    good = lines_of(source, session_id)
    cut = good.index(b"\n") + 1
    target.append_lines(session_id, good[:cut])
    target.append(session_id, [note()], expected=ANY)
    before = lines_of(target, session_id)
    for lines, error in (
        (b"", InvalidInput),
        (good[:-1], InvalidInput),
        (good[: cut + 50], InvalidInput),
        (good, HeadMismatch),
        (good[cut:], HeadMismatch),
        (good[:-200] + b"!" + good[-199:], Corrupt),
        (b"what\n", Corrupt),
        (b'{"v":1,"seq":99999999999999999,\n', Corrupt),
        (good[cut:] + good[:cut], ChainBroken),
        (bytes(64 * 1024 * 1024 + 1), InvalidInput),
    ):
        with pytest.raises(error):
            target.append_lines(session_id, lines)
        assert before == lines_of(target, session_id)
    empty = store(tmp_path / "c")
    with pytest.raises(HeadMismatch):
        empty.append_lines(session_id, good[cut:])
    assert [] == list(empty.list())


def test_lines_that_go_back_in_time_are_refused(core: FsCore) -> None:
    """A ts below that of the head breaks the format, though every hash holds."""
    session_id = born(core)
    head = core.log(session_id)
    core.append(session_id, [note()._replace(ts=5_000_000_000_000)], expected=ANY)
    tip = head.tip.head
    early, _ = link(tip._replace(ts=0), 1, [note()])
    with pytest.raises(Corrupt, match="ts"):
        core.append_lines(session_id, early)


def test_lines_of_a_fork_mark_their_parent(tmp_path: Path) -> None:
    """Whether the parent is there already or not: it cannot be deleted under its child."""
    source, target = store(tmp_path / "a"), store(tmp_path / "b")
    parent = born(source, 2)
    child = fork(source, source.head(parent))
    target.append_lines(child, lines_of(source, child))
    target.append_lines(parent, lines_of(source, parent))
    assert [child] == list(target.children(parent))
    other = fork(source, source.head(parent))
    target.append_lines(other, lines_of(source, other))
    assert {child, other} == set(target.children(parent))


def test_limits_are_checked_before_anything_is_written(core: FsCore) -> None:
    """A line of 16 MiB fits, one byte more does not; 4096 records fit, 4097 do not."""
    session_id = born(core)
    size = 16 * 1024 * 1024
    spare = size - _line_size(core, session_id, "")
    before = log_of(core, session_id).stat().st_size
    with pytest.raises(LimitExceeded, match="a line of"):
        core.append(session_id, [note("x" * (spare + 1))], expected=ANY)
    assert before == log_of(core, session_id).stat().st_size
    core.append(session_id, [note("x" * spare)], expected=ANY)
    assert size == len(core.record(session_id, 2).line) + 1
    assert 3 == len(records(core, session_id))
    many = [note(0)] * 4097
    with pytest.raises(LimitExceeded, match="4097 records"):
        core.append(session_id, many, expected=ANY)
    assert 4098 == core.append(session_id, many[:4096], expected=ANY).seq
    assert 4098 == core.head(session_id).seq


def _line_size(core: FsCore, session_id: str, text: str) -> int:
    core.append(session_id, [note(text)], expected=ANY)
    # seq and ts keep their widths: seq 1 becomes 2.
    return len(core.record(session_id, 1).line) + 1


def test_an_append_of_64_mib_is_the_most(core: FsCore) -> None:
    """Refused before, written at it, read back, and cut as one if it is torn."""
    session_id = born(core)
    drafts = [note("x" * (15 * 1024 * 1024)) for _ in range(4)]
    with pytest.raises(LimitExceeded, match="an append of"):
        core.append(session_id, [*drafts, note("x" * (5 * 1024 * 1024))], expected=ANY)
    assert 4 == core.append(session_id, drafts, expected=ANY, durability="os").seq
    log = log_of(core, session_id)
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 100)
    assert 0 == core.head(session_id).seq
    assert 2 == core.append(session_id, [note()], expected=ANY, durability="os").seq
