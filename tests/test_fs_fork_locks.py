"""A lock that a thread held when another one forked ends with the parent, not with the child."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from crash.processes import start as child
from fs_tools import start, store

from session_store.ids import SessionId, new_session_id
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files


class Stopped(Files):
    """Every thread but the main one stands still for ever before it gives a file a name."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.inside = threading.Event()

    def _stop(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            self.inside.set()
            threading.Event().wait()

    def rename(self, path: str, to: str) -> None:
        self._stop()
        super().rename(path, to)

    def link(self, path: str, to: str) -> None:
        self._stop()
        super().link(path, to)


def claims_a_key(core: FsCore, session_id: SessionId) -> None:
    core.create(session_id, start(session_id), key="k:1")


def makes_a_whole_log(core: FsCore, session_id: SessionId) -> None:
    birth = core.begin_whole(session_id)
    core.add_whole(birth, [start(session_id)])
    core.publish_whole(birth, None)


@pytest.mark.parametrize("work", [claims_a_key, makes_a_whole_log])
def test_a_lock_does_not_outlive_the_parent_in_its_child(
    tmp_path: Path, work: Callable[[FsCore, SessionId], None]
) -> None:
    """The parent is killed inside; its child lives on, and others do the same work."""
    store(tmp_path)
    session_id = new_session_id()
    reader, writer = os.pipe()

    def parent() -> None:
        files = Stopped(tmp_path)
        thread = threading.Thread(target=work, args=(FsCore(files), session_id), daemon=True)
        thread.start()
        assert files.inside.wait(30)
        if os.fork() == 0:
            os.write(writer, b"%d\n" % os.getpid())
        signal.pause()

    pid = child(parent)
    living = int(os.read(reader, 20))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    try:
        other = store(tmp_path, lock_timeout_s=0.5)
        work(other, session_id)
        assert 0 == other.head(session_id).seq
    finally:
        os.kill(living, signal.SIGKILL)
