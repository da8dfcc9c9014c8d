"""Imports that are interrupted, and imports of the same transcript at the same time."""

import errno
import multiprocessing as mp
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from import_tools import ANSWERED, ASKED, ASKED_AGAIN, parsed, reply

import session_store as ss
from session_store import blocking
from session_store.interop.claude_code import read_claude_code
from session_store.interop.importing import import_transcript
from session_store.stores.face import InlineFace
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import OpenFile
from session_store.stores.memory import MemoryFiles

FIXTURES = Path(__file__).parent / "fixtures"
CLAUDE_CODE = next((FIXTURES / "claude-code").glob("*.jsonl"))


class FullDisk(MemoryFiles):
    """Has room for *writes_left* more writes, then for none."""

    writes_left = 1 << 30

    def write(self, file: OpenFile, data: bytes) -> int:
        if self.writes_left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.writes_left -= 1
        return super().write(file, data)


@pytest.mark.parametrize("room", range(8))
async def test_an_interrupted_import_goes_on_at_the_next(tmp_path: Path, room: int) -> None:
    """Wherever the growth stopped, the next import writes just what is missing."""
    files = FullDisk()
    store = ss.MemoryStore(FsCore(files))
    await import_transcript(store, parsed(tmp_path, ASKED))
    grown = parsed(tmp_path, ASKED, ANSWERED, ASKED_AGAIN, reply("x", 3, "msg_2"))

    files.writes_left = room
    for _ in range(2):
        try:
            imported = await import_transcript(store, grown)
        except ss.StoreFull:
            files.writes_left = 1 << 30
    state = await ss.restore(store, imported.session_id)

    assert [ASKED, ANSWERED, ASKED_AGAIN] == [
        {**whole, "message": whole["message"] | {"content": item["content"]}}
        for whole, item in zip((ASKED, ANSWERED, ASKED_AGAIN), state.history, strict=False)
    ]
    assert (4, 2, 18) == (len(state.history), state.turn_count, state.own_usage.output_tokens)


async def test_a_first_import_that_fails_leaves_no_session(tmp_path: Path) -> None:
    """The log is invisible until it is whole."""
    files = FullDisk()
    store = ss.MemoryStore(FsCore(files))
    item = parsed(tmp_path, ASKED, ANSWERED)
    files.writes_left = 2
    with pytest.raises(ss.StoreFull):
        await import_transcript(store, item)
    files.writes_left = 1 << 30

    assert [] == list(await store.list())
    assert (await import_transcript(store, item)).is_new


def import_at_once(root: str, paths: list[str], barrier: Any, results: Any) -> None:
    with blocking.open_store(root) as store:
        found = []
        for path in paths:
            item = read_claude_code(Path(path))[0]
            barrier.wait(10)
            found.append(blocking.import_transcript(store, item))
    results.put([(each.session_id, each.is_new, each.added) for each in found])


def test_two_processes_import_the_same_transcript_as_it_grows(tmp_path: Path) -> None:
    """One session, nothing twice: what both say they added is what is in the log."""
    lines = CLAUDE_CODE.read_bytes().splitlines(keepends=True)
    paths = []
    for count in (*range(5, len(lines), 7), len(lines)):
        paths.append(tmp_path / f"{count}" / CLAUDE_CODE.name)
        paths[-1].parent.mkdir()
        paths[-1].write_bytes(b"".join(lines[:count]))
    context = mp.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    args = (str(tmp_path / "store"), list(map(str, paths)), barrier, results)
    workers = [context.Process(target=import_at_once, args=args) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join(30)

    with blocking.open_store(tmp_path / "store") as store:
        head = store.head(found[0][0][0])
        state = blocking.restore(store, head.session_id)
        item = read_claude_code(CLAUDE_CODE)[0]
        assert 0 == blocking.import_transcript(store, item).added
    told = [e.items for group in item.appends for _, e in group if hasattr(e, "items")]
    assert [item for items in told for item in items] == state.history
    assert 1 == sum(is_new for each in found for _, is_new, _ in each)
    assert head.seq + 1 == sum(added for each in found for _, _, added in each)


class Overtaken(MemoryFiles):
    """Lets *meanwhile* happen once, between the opening of a file and its lock."""

    meanwhile: Callable[[], object] | None = None

    def try_lock(self, file: OpenFile) -> bool:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().try_lock(file)


def test_an_importer_that_is_overtaken_harms_nothing(tmp_path: Path) -> None:
    """It had opened the file that became the log; the log stays whole."""
    files = Overtaken()
    store = blocking.Store(InlineFace(FsCore(files)))
    item = parsed(tmp_path, ASKED, ANSWERED)
    heads: list[ss.Position] = []

    def meanwhile() -> None:
        heads.append(store.head(blocking.import_transcript(store, item).session_id))

    files.meanwhile = meanwhile

    slower = blocking.import_transcript(store, item)

    assert not slower.is_new
    assert heads == [store.head(slower.session_id)]
