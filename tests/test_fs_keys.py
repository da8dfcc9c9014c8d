"""Keys name the sessions that were made with them, and no others."""

from pathlib import Path

import pytest
from fs_tools import born, start, store

from session_store.errors import AlreadyExists
from session_store.ids import new_session_id
from session_store.stores.fs.core import FsCore


def test_no_key_is_given_to_a_session_that_was_born_without_it(tmp_path: Path) -> None:
    """AlreadyExists says that nothing was changed: the key is free for who comes next."""
    core = store(tmp_path)
    there, new = born(core), new_session_id()
    with pytest.raises(AlreadyExists):
        core.create(there, start(there), key="k:1")
    assert core.find("k:1") is None
    core.create(new, start(new), key="k:1")
    assert new == core.find("k:1")


def test_a_key_whose_session_is_born_meanwhile_without_it_stays_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process was faster, between the claim and the birth."""
    core, rival, session_id = store(tmp_path), store(tmp_path), new_session_id()

    def overtaken(*args: object) -> object:
        monkeypatch.undo()
        rival.create(session_id, start(session_id))
        return FsCore._give_birth(core, *args)

    monkeypatch.setattr(core, "_give_birth", overtaken)
    with pytest.raises(AlreadyExists):
        core.create(session_id, start(session_id), key="k:1")
    assert core.find("k:1") is None


def test_a_creation_with_a_key_that_is_tried_again_keeps_its_key(tmp_path: Path) -> None:
    """Its own drafts are found; other drafts are refused, and the key stays."""
    core, session_id = store(tmp_path), new_session_id()
    drafts = start(session_id)
    core.create(session_id, drafts, key="k:1")
    core.create(session_id, drafts, key="k:1")
    with pytest.raises(AlreadyExists):
        core.create(session_id, start(session_id), key="k:1")
    assert session_id == core.find("k:1")


def test_a_creation_that_is_tried_again_may_add_a_key(tmp_path: Path) -> None:
    """The drafts are found, and the key is given."""
    core, session_id = store(tmp_path), new_session_id()
    drafts = start(session_id)
    core.create(session_id, drafts)
    assert 0 == core.create(session_id, drafts, key="k:1").seq
    assert session_id == core.find("k:1")
