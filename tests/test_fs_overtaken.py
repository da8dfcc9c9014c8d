"""A delete between two calls of somebody else: what was on its way leaves nothing behind."""

from contextlib import suppress
from pathlib import Path

import pytest
from fs_tools import born, fork, start, store

from session_store.errors import NotFound
from session_store.ids import SessionId, new_session_id
from session_store.stores.fs import deletion
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import LOOKS, Call, FaultyFiles


@pytest.mark.parametrize("number", range(20))
def test_no_trace_is_left_behind_a_delete(tmp_path: Path, number: int) -> None:
    """Whichever call of the writer of the trace it comes before."""
    files = FaultyFiles(tmp_path)
    core, rival = FsCore(files), store(tmp_path)
    session_id = born(core)
    files.calls.clear()
    files.watched = files.watched | LOOKS

    def plan(call: Call) -> None:
        if call.number == number:
            rival.delete(session_id)

    files.plan = plan
    with suppress(NotFound):
        core.append_trace(session_id, b"{}\n")
    if session_id not in rival._tombstones:
        rival.delete(session_id)
    assert [] == list(tmp_path.rglob("*.trace.jsonl"))


def test_a_follower_is_told_at_once_of_a_session_that_is_buried(tmp_path: Path) -> None:
    """Its log may stand until the delete is done again: the process died behind the tombstone."""
    core = store(tmp_path)
    session_id = born(core)
    follower = core.follower(session_id, 0)
    assert 1 == len(follower.more())
    deletion.begin_delete(store(tmp_path).files, session_id, None)
    with pytest.raises(NotFound):
        follower.more()


def test_a_whole_log_is_not_published_under_an_id_that_was_buried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made and deleted by another process while this one began; nothing is acknowledged."""
    core, rival, session_id = store(tmp_path), store(tmp_path), new_session_id()

    def overtaken(which: SessionId) -> bool:
        monkeypatch.undo()
        rival.create(session_id, start(session_id))
        rival.delete(session_id)
        return core.is_born(which)

    monkeypatch.setattr(core, "is_born", overtaken)
    birth = core.begin_whole(session_id)
    core.add_whole(birth, [start(session_id)])
    with pytest.raises(NotFound):
        core.publish_whole(birth, None)
    birth.abort()
    assert [] == list(tmp_path.rglob(f"{session_id}*"))


@pytest.mark.parametrize("number", range(60))
def test_a_fork_is_born_while_its_last_sibling_is_deleted(tmp_path: Path, number: int) -> None:
    """The directory of the markers may go and come between any two calls."""
    files = FaultyFiles(tmp_path)
    core, rival = FsCore(files), store(tmp_path)
    parent = born(core)
    sibling = fork(core, core.head(parent))
    at_head = core.head(parent)
    files.calls.clear()
    files.watched = files.watched | LOOKS

    def plan(call: Call) -> None:
        if call.number == number:
            rival.delete(sibling)

    files.plan = plan
    child = fork(core, at_head)
    assert [child] == [c for c in core.children(parent) if c != sibling]
