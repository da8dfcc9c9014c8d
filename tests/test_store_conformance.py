"""The conformance suite that ships, run against the stores that ship; and that it can fail."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from os import urandom
from pathlib import Path

import pytest

from session_store.chain import Draft, Record
from session_store.codec import draft
from session_store.entries import Position, Receipt, Redaction
from session_store.ids import SessionId
from session_store.stores import ANY, MemoryStore, Store, open_store
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files
from session_store.stores.memory import MemoryFiles
from session_store.stores.opening import FsStore
from session_store.testing.store_conformance import CHECKS, Check, MakeStore, check_store

Makers = dict[str, MakeStore]


@pytest.fixture
def makers(tmp_path: Path) -> Makers:
    """Every shipped store, empty each time."""
    numbers = count()

    def root() -> Path:
        return tmp_path / str(next(numbers))

    @asynccontextmanager
    async def threads() -> AsyncIterator[Store]:
        async with await open_store(root()) as store:
            yield store

    @asynccontextmanager
    async def inline() -> AsyncIterator[Store]:
        async with MemoryStore(FsCore(Files(root()))) as store:
            yield store

    @asynccontextmanager
    async def memory() -> AsyncIterator[Store]:
        async with await open_store("memory:") as store:
            yield store

    @asynccontextmanager
    async def memory_threads() -> AsyncIterator[Store]:
        async with FsStore(FsCore(MemoryFiles())) as store:
            yield store

    @asynccontextmanager
    async def one_descriptor() -> AsyncIterator[Store]:
        async with FsStore(FsCore(Files(root()), open_files_max=1)) as store:
            yield store

    return {
        "files": threads,
        "files, inline": inline,
        "files, one open": one_descriptor,
        "memory": memory,
        "memory, threads": memory_threads,
    }


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "which", ["files", "files, inline", "files, one open", "memory", "memory, threads"]
)
async def test_a_shipped_store_conforms(makers: Makers, which: str, check: Check) -> None:
    """Each check on each store."""
    async with makers[which]() as store:
        await check(store)


async def test_the_suite_is_one_call(makers: Makers) -> None:
    """As a store's author would run it."""
    await check_store(makers["memory"])


async def test_the_bytes_of_a_session_are_the_same_in_every_store(makers: Makers) -> None:
    """Given the same drafts with the same times."""
    from fs_tools import note, start

    from session_store.ids import new_session_id
    from session_store.stores import ANY

    session_id = new_session_id()
    first = [d._replace(ts=1_000) for d in start(session_id)]
    second = [note(n)._replace(ts=2_000) for n in range(3)]
    found = set()
    for make in makers.values():
        async with make() as store:
            await store.create(session_id, first)
            await store.append(session_id, second, expected=ANY)
            found.add(b"".join([chunk async for chunk in store.raw(session_id)]))
    assert 1 == len(found)


class Forgetful(MemoryStore):
    """Does not look for drafts that are there already."""

    async def append(
        self, session_id: SessionId, drafts: Sequence[Draft], **options: object
    ) -> Receipt:
        options["floor"] = None
        return await super().append(session_id, drafts, **options)


class Hurried(MemoryStore):
    """Claims level disk for everything."""

    async def append(
        self, session_id: SessionId, drafts: Sequence[Draft], **options: object
    ) -> Receipt:
        receipt = await super().append(session_id, drafts, **options)
        return Receipt(receipt.session_id, receipt.seq, receipt.hash, "disk")


class OffByOne(MemoryStore):
    """Gives one record too many."""

    async def read(
        self, session_id: SessionId, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        async for batch in super().read(session_id, start, None if stop is None else stop + 1):
            yield batch


class Undead(MemoryStore):
    """Deletes nothing."""

    async def delete(self, session_id: SessionId) -> None:
        await self.head(session_id)


class Elephant(MemoryStore):
    """Records an erasure, and blanks nothing."""

    async def erase(
        self, session_id: SessionId, targets: Sequence[Position], *, reason: str, **_: object
    ) -> Receipt:
        digests = [(t.seq, (await self.record(session_id, t.seq)).digest.decode()) for t in targets]
        redaction = Redaction([{"seq": seq, "digest": digest} for seq, digest in digests], reason)
        return await self.append(session_id, [draft(redaction, urandom(16))], expected=ANY)


BROKEN = {
    "erased_bodies_are_gone": Elephant,
    "drafts_given_again_are_found": Forgetful,
    "levels_are_claimed_when_reached": Hurried,
    "reads_are_of_ranges": OffByOne,
    "deletes_are_for_good": Undead,
}


@pytest.mark.parametrize("name", BROKEN)
async def test_the_suite_finds_a_store_that_does_not_conform(name: str) -> None:
    """And names the check."""

    @asynccontextmanager
    async def make() -> AsyncIterator[Store]:
        async with BROKEN[name]() as store:
            yield store

    with pytest.raises(AssertionError, match=name):
        await check_store(make)
