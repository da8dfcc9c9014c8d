"""Conformance checks of many logs: lists, keys, forks, deletes, followers, lines, traces."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from attrs import evolve

from ..chain import Draft, fork_head, link, root_head
from ..entries import EntryHash
from ..errors import (
    AlreadyExists,
    ChainBroken,
    HasForks,
    HeadMismatch,
    InvalidInput,
    NotFound,
    SessionStoreError,
)
from ..ids import SessionId, new_session_id
from ..stores.protocol import ANY, Store
from .conformance_tools import (
    TS,
    born,
    bytes_of,
    fork,
    note,
    raises,
    records_of,
    seqs,
    start_drafts,
)


async def sessions_are_listed_newest_first(store: Store) -> None:
    """In pages, and with facts of each."""
    ids = [await born(store) for _ in range(7)]
    assert ids[::-1] == [info.session_id for info in await store.list()]
    page = [info.session_id for info in await store.list(limit=3)]
    rest = [info.session_id for info in await store.list(before=page[-1], limit=10)]
    assert ids[::-1] == page + rest
    info = (await store.list(limit=1))[0]
    assert len(await bytes_of(store, ids[-1])) == info.size
    assert 0 == info.trace_size


async def keys_find_their_session(store: Store) -> None:
    """One session per key; whoever comes later is told which."""
    session_id, late = new_session_id(), new_session_id()
    assert await store.find("ns:1") is None
    await store.create(session_id, start_drafts(session_id), key="ns:1")
    assert session_id == await store.find("ns:1")
    async with raises(AlreadyExists) as caught:
        await store.create(late, start_drafts(late), key="ns:1")
    assert isinstance(caught[0], AlreadyExists)
    assert session_id == caught[0].session_id
    async with raises(NotFound):
        await store.head(late)


async def forks_refer_to_a_record(store: Store) -> None:
    """Linked by its hash; only to what is there; told by `children`, oldest first."""
    parent = await born(store, 2)
    head = await store.head(parent)
    children = [await fork(store, head) for _ in range(2)]
    assert children == list(await store.children(parent))
    first = await store.record(children[0], 0)
    assert fork_head(children[0], head).hash == first.prev_hash
    for wrong in (evolve(head, hash=EntryHash(bytes(32))), evolve(head, seq=9)):
        async with raises(NotFound):
            await fork(store, wrong)
    assert [] == list(await store.children(children[0]))


async def deletes_are_for_good(store: Store) -> None:
    """Not under a fork; gone for every call; the id is never used again."""
    parent = await born(store, 1)
    child = await fork(store, await store.head(parent))
    async with raises(HasForks) as caught:
        await store.delete(parent)
    assert isinstance(caught[0], HasForks)
    assert (child,) == caught[0].children
    for session_id in (child, parent):
        await store.delete(session_id)
        await store.delete(session_id)
        async with raises(NotFound):
            await store.head(session_id)
        async with raises(SessionStoreError):
            await store.create(session_id, start_drafts(session_id))
    assert [] == list(await store.list())


async def a_follower_sees_what_arrives(store: Store) -> None:
    """From any seq on, in order, each once."""
    session_id = await born(store, 3)
    seen: list[int] = []

    async def follow() -> None:
        async for batch in store.follow(session_id, 2):
            seen.extend(seqs(batch))
            if seen[-1] == 8:
                return

    task = asyncio.ensure_future(follow())
    for _ in range(5):
        await store.append(session_id, [note()], expected=ANY)
        await asyncio.sleep(0)
    await asyncio.wait_for(task, 30)
    assert list(range(2, 9)) == seen


async def lines_are_taken_as_they_are(store: Store) -> None:
    """A log made of another's bytes is that log; what does not fit or hold is refused."""
    session_id = new_session_id()
    first, head = link(root_head(session_id), TS, start_drafts(session_id))
    second, head = link(head, TS, [note(1), note(2)])
    third, head = link(head, TS, [note(3)])
    for lines in (b"", second, first[:-1], first + second[:-20]):
        async with raises(InvalidInput, HeadMismatch):
            await store.append_lines(session_id, lines)
    for lines in (first, first + second, second, second + third, first):
        await store.append_lines(session_id, lines)
    assert first + second + third == await bytes_of(store, session_id)
    assert head.position == await store.head(session_id)
    other, _ = link(head, TS, [note(4)])
    async with raises(ChainBroken):
        await store.append_lines(session_id, other.replace(b'"seq":4', b'"seq":5'))
    assert first + second + third == await bytes_of(store, session_id)


async def whole_logs_appear_at_once(store: Store) -> None:
    """Not before their last append; not at all if making them fails."""
    session_id, failed = new_session_id(), new_session_id()

    async def appends(which: SessionId) -> AsyncIterator[Sequence[Draft]]:
        yield start_drafts(which)
        for number in range(3):
            async with raises(NotFound):
                await store.head(which)
            yield [note(number), note()]
        if which == failed:
            raise KeyError

    receipt = await store.create_whole(session_id, appends(session_id), key="whole")
    assert receipt.position == await store.head(session_id)
    assert [0, 1, 0, 1, 0, 1, 0] == [r.batch for r in await records_of(store, session_id)]
    assert session_id == await store.find("whole")
    async with raises(KeyError):
        await store.create_whole(failed, appends(failed))
    async with raises(AlreadyExists):
        await store.create_whole(session_id, appends(new_session_id()))
    assert [session_id] == [info.session_id for info in await store.list()]


async def traces_stand_beside_the_log(store: Store) -> None:
    """Appended whole, read back, counted; they never touch the log."""
    session_id = await born(store)
    before = await bytes_of(store, session_id)
    assert b"" == b"".join([c async for c in store.read_trace(session_id)])
    assert 8 == await store.append_trace(session_id, b'{"a":1}\n')
    assert 16 == await store.append_trace(session_id, b'{"b":2}\n')
    assert 16 == await store.append_trace(session_id, b"")
    read = b"".join([c async for c in store.read_trace(session_id)])
    assert b'{"a":1}\n{"b":2}\n' == read
    assert before == await bytes_of(store, session_id)
    assert 16 == (await store.list())[0].trace_size


async def a_whole_log_needs_no_repair(store: Store) -> None:
    """Nothing is cut, nothing is written."""
    session_id = await born(store, 2)
    done = await store.repair(session_id)
    assert (None, 0, 2) == (done.cut_at, done.removed, done.head.seq)
    assert [0, 1, 2] == seqs(await records_of(store, session_id))
