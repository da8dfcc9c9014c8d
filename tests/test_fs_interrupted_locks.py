"""A signal's handler that raises as a lock is taken: who keeps the exception does not keep the lock."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fs_tools import start, store

from session_store.ids import SessionId, new_session_id
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files, OpenFile


class Interrupted(Files):
    """Is interrupted when it has just taken the lock of a file that was made for it."""

    def try_lock(self, file: OpenFile) -> bool:
        taken = super().try_lock(file)
        if taken:
            raise KeyboardInterrupt
        return taken


def claim_a_key(core: FsCore, session_id: SessionId) -> None:
    core.create(session_id, start(session_id), key="k:1")


def make_a_whole_log(core: FsCore, session_id: SessionId) -> None:
    birth = core.begin_whole(session_id)
    core.add_whole(birth, [start(session_id)])
    core.publish_whole(birth, None)


@pytest.mark.parametrize("work", [claim_a_key, make_a_whole_log])
def test_a_lock_that_was_just_taken_is_free_behind_an_interrupt(
    tmp_path: Path, work: Callable[[FsCore, SessionId], None]
) -> None:
    """An interpreter at a prompt keeps the last traceback, and with it all that its frames hold."""
    session_id = new_session_id()
    with pytest.raises(KeyboardInterrupt) as kept:
        work(FsCore(Interrupted(tmp_path)), session_id)
    other = store(tmp_path, lock_timeout_s=0.1)
    work(other, session_id)
    assert 0 == other.head(session_id).seq
    assert kept.value.__traceback__ is not None
