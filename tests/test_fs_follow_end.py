"""Following to the very last record, its line end missing or another byte."""

from pathlib import Path

import pytest
from fs_tools import born, log_of, note, records, store

from session_store.stores import ANY


@pytest.mark.parametrize("end", [b"", b"x", b"\r"])
def test_the_last_record_is_followed_though_its_line_end_is_missing(
    tmp_path: Path, end: bytes
) -> None:
    """It counts as committed for every reader; it is given once, also when the next append mends it."""
    core = store(tmp_path)
    session_id = born(core, 1)
    core.append(session_id, [note(), note()], expected=ANY)
    path = log_of(core, session_id)
    path.write_bytes(path.read_bytes()[:-1] + end)
    core = store(tmp_path)
    follower = core.follower(session_id, 0)
    assert [0, 1, 2, 3] == [r.seq for r in follower.more()]
    assert [] == follower.more()
    core.append(session_id, [note()], expected=ANY)
    assert [4] == [r.seq for r in follower.more()]
    assert 5 == len(records(core, session_id))


def test_an_append_without_its_last_record_is_in_flight_for_a_follower(tmp_path: Path) -> None:
    """A line end that is missing in the middle of a batch confirms nothing."""
    core = store(tmp_path)
    session_id = born(core)
    core.append(session_id, [note(), note()], expected=ANY)
    path = log_of(core, session_id)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rstrip(b"\n").rfind(b"\n")])
    follower = store(tmp_path).follower(session_id, 0)
    assert [0] == [r.seq for r in follower.more()]
    path.write_bytes(whole)
    assert [1, 2] == [r.seq for r in follower.more()]
