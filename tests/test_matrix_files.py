"""What happens to the files of a live writer: rows 45 to 47 of the fault matrix."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fs_tools import born, kinds, log_bytes, log_of, note, records, start, store, tree
from matrix_tools import log, put

from session_store.errors import HeadMismatch, NotFound
from session_store.ids import new_session_id
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore


def test_a_log_that_shrank_under_its_writer_is_not_appended_to() -> None:
    """Cut at any byte: refused where the writer's head is gone, and what is left stays a good log."""
    ends = [n + by for n in log().lines for by in (-2, -1, 0, 1)]
    for cut in sorted({0, *ends, *range(0, len(log().data), 29)} & set(range(len(log().data) + 1))):
        core = put(log().data)
        cursor = core.open(log().session_id)
        core.append(log().session_id, [note()], cursor=cursor)
        del log_bytes(core.files, log().session_id)[cut:]
        try:
            core.append(log().session_id, [note()], cursor=cursor)
        except (HeadMismatch, NotFound):
            assert 25 > len(list(whole(core)))
        else:
            pytest.fail(f"appended behind a record that is not there: {cut}")


def whole(core: FsCore) -> Iterator[bytes]:
    try:
        yield from (r.line for r in records(core, log().session_id))
    except NotFound:
        return


@pytest.mark.parametrize("what", ["log", "hour", "sessions", "store"])
def test_what_was_deleted_under_a_writer_is_not_made_anew(tmp_path: Path, what: str) -> None:
    """The log, its directories, all of the store: NotFound, and nothing comes back."""
    core = store(tmp_path / "store")
    session_id = born(core, 2)
    cursor = core.open(session_id)
    path = log_of(core, session_id)
    doomed = {
        "log": path,
        "hour": path.parent,
        "sessions": tmp_path / "store" / "sessions",
        "store": tmp_path / "store",
    }[what]
    doomed.unlink() if what == "log" else shutil.rmtree(doomed)
    before = tree(tmp_path)
    for _ in range(2):
        with pytest.raises((NotFound, FileNotFoundError)):
            core.append(session_id, [note()], cursor=cursor)
        with pytest.raises((NotFound, FileNotFoundError)):
            core.append(session_id, [note()], expected=ANY)
        with pytest.raises((NotFound, FileNotFoundError)):
            records(core, session_id)
    assert (before, False) == (tree(tmp_path), doomed.exists())


@pytest.mark.parametrize("directory", ["quarantine", "pending", "forks", "keys"])
def test_a_directory_that_went_away_is_made_again_when_needed(
    tmp_path: Path, directory: str
) -> None:
    """What a writer keeps beside the logs is no session's life."""
    core = store(tmp_path)
    session_id = born(core, 1, key="k")
    shutil.rmtree(tmp_path / directory, ignore_errors=True)
    with log_of(core, session_id).open("ab") as file:
        file.write(b'{"torn')
    core.append(session_id, [note()], expected=ANY)
    other = new_session_id()
    core.create(other, start(other), key="k2")
    assert ["session_start", "extension", "recovery", "extension"] == kinds(core, session_id)
