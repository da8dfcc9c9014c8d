"""Taking in lines behind a crash: a replica stays a replica."""

from pathlib import Path

import pytest
from fs_tools import born, log_of, note, store

from session_store.errors import HeadMismatch
from session_store.ids import SessionId
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore


@pytest.fixture
def source(tmp_path: Path) -> FsCore:
    return store(tmp_path / "source")


@pytest.fixture
def replica(tmp_path: Path) -> FsCore:
    return store(tmp_path / "replica")


def tear(replica: FsCore, session_id: SessionId, piece: bytes) -> Path:
    path = log_of(replica, session_id)
    with path.open("ab") as file:
        file.write(piece)
    return path


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.6, 0.99])
def test_a_replica_that_was_killed_in_a_write_goes_on_with_the_same_bytes(
    source: FsCore, replica: FsCore, share: float
) -> None:
    """Without a recovery record of its own: with one it would differ from its source for ever."""
    session_id = born(source)
    begin = log_of(source, session_id).read_bytes()
    source.append(session_id, [note(), note()], expected=ANY)
    lines = log_of(source, session_id).read_bytes()
    replica.append_lines(session_id, begin)
    rest = lines[len(begin) :]
    path = tear(replica, session_id, rest[: int(len(rest) * share)])
    assert 2 == replica.append_lines(session_id, lines).seq
    assert lines == path.read_bytes()


def test_what_a_torn_piece_held_is_kept(
    source: FsCore, replica: FsCore, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is ever cut that was not copied first, and where to is said."""
    session_id = born(source)
    replica.append_lines(session_id, log_of(source, session_id).read_bytes())
    source.append(session_id, [note()], expected=ANY)
    tear(replica, session_id, b"a torn piece")
    replica.append_lines(session_id, log_of(source, session_id).read_bytes())
    [kept] = Path(replica.files.root, "quarantine").iterdir()
    assert b"a torn piece" == kept.read_bytes()
    said = f"{session_id}: unfinished, 12 bytes kept in quarantine/{kept.name}"
    assert [said] == caplog.messages


def test_lines_that_do_not_fit_leave_a_torn_log_as_it_is(source: FsCore, replica: FsCore) -> None:
    """HeadMismatch says that nothing was written; known lines write nothing either."""
    session_id = born(source)
    begin = log_of(source, session_id).read_bytes()
    replica.append_lines(session_id, begin)
    source.append(session_id, [note()], expected=ANY)
    replica.append(session_id, [note()], expected=ANY)
    path = tear(replica, session_id, b"a torn piece")
    before = path.read_bytes()
    with pytest.raises(HeadMismatch):
        replica.append_lines(session_id, log_of(source, session_id).read_bytes())
    assert 0 == replica.append_lines(session_id, begin).seq
    assert before == path.read_bytes()
