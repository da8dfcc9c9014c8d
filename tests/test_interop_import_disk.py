"""What an import says that it added is on disk."""

import errno
from pathlib import Path

import pytest
from fs_tools import note
from import_tools import ANSWERED, ASKED, parsed

import session_store as ss
from session_store.entries import Receipt
from session_store.errors import DurabilityLost
from session_store.ids import SessionId
from session_store.interop.importing import import_transcript
from session_store.stores.fs.core import FsCore
from session_store.stores.protocol import Cursor
from session_store.testing.faults import FaultyMemory, Lost, error


class Watched(ss.MemoryStore):
    """Has something happen before its next flush."""

    async def flush(self, session_id: SessionId, *, cursor: Cursor | None = None) -> Receipt:
        await self.meanwhile()
        return await super().flush(session_id, cursor=cursor)

    async def meanwhile(self) -> None:
        pass


async def test_records_that_are_lost_before_their_sync_are_not_called_imported(
    tmp_path: Path,
) -> None:
    """Another process syncs first, fails, and the device has none of them."""
    files = FaultyMemory()
    store, rival = Watched(FsCore(files)), FsCore(files.another_process())
    first = await import_transcript(store, parsed(tmp_path, ASKED))

    async def lose() -> None:
        rival.files.plan = lambda c: Lost(error(errno.EIO, c)) if c.name == "sync_data" else None
        with pytest.raises(DurabilityLost):
            rival.append(first.session_id, [note()], cursor=rival.open(first.session_id))

    store.meanwhile = lose
    with pytest.raises(DurabilityLost):
        await import_transcript(store, parsed(tmp_path, ASKED, ANSWERED))
    del store.meanwhile, rival.files.plan
    assert 0 < (await import_transcript(store, parsed(tmp_path, ASKED, ANSWERED))).added


async def test_an_import_syncs_what_one_that_was_killed_has_written(tmp_path: Path) -> None:
    """It has nothing to add, and says that all is there: a power cut must not make that untrue."""
    files = FaultyMemory()
    store = Watched(FsCore(files))
    await import_transcript(store, parsed(tmp_path, ASKED))

    async def die() -> None:
        raise KeyboardInterrupt

    store.meanwhile = die
    with pytest.raises(KeyboardInterrupt):
        await import_transcript(store, parsed(tmp_path, ASKED, ANSWERED))
    del store.meanwhile
    again = await import_transcript(store, parsed(tmp_path, ASKED, ANSWERED))
    written = await store.head(again.session_id)
    after = FsCore(files.after_power_loss(names_kept=False, share=0))
    assert written == after.head(again.session_id)
