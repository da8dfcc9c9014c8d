"""Conformance checks of one log: birth, appends, drafts, levels, reads."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from attrs import evolve

from ..chain import link, root_head
from ..entries import EntryHash, Position, Receipt
from ..errors import AlreadyExists, HeadMismatch, InvalidId, LimitExceeded, NotFound
from ..ids import SessionId, new_session_id
from ..limits import BATCH_MAX
from ..stores.protocol import ANY, Store
from .conformance_tools import (
    TS,
    UNICODE,
    born,
    bytes_of,
    label,
    note,
    raises,
    records_of,
    seqs,
    start_drafts,
)


async def create_gives_birth(store: Store) -> None:
    """A receipt of the last draft; again the same; other drafts are refused, naming the session."""
    session_id = new_session_id()
    drafts = [*start_drafts(session_id), note()]
    receipt = await store.create(session_id, drafts)
    assert (session_id, 1) == (receipt.session_id, receipt.seq)
    assert receipt.level in {"disk", "os"}
    assert receipt == await store.create(session_id, drafts)
    async with raises(AlreadyExists) as caught:
        await store.create(session_id, start_drafts(session_id))
    assert isinstance(caught[0], AlreadyExists)
    assert session_id == caught[0].session_id
    assert [0, 1] == seqs(await records_of(store, session_id))


async def bytes_are_those_of_the_format(store: Store) -> None:
    """Every backend writes what `chain.link` makes of the same drafts."""
    session_id = new_session_id()
    first = [d._replace(ts=TS) for d in (*start_drafts(session_id), note(UNICODE))]
    second = [d._replace(ts=TS + 1) for d in (note(1), note({"a": [1.5, None]}))]
    await store.create(session_id, first)
    await store.append(session_id, second, expected=ANY)
    lines, head = link(root_head(session_id), TS, first)
    more, head = link(head, TS + 1, second)
    assert lines + more == await bytes_of(store, session_id)
    assert head.position == await store.head(session_id)
    assert [r.body for r in await records_of(store, session_id)] == [d.body for d in first + second]


async def append_compares_the_head(store: Store) -> None:
    """A handle that is behind is refused, and writes nothing; a position is checked whole."""
    session_id = await born(store)
    zombie, writer = await store.open(session_id), await store.open(session_id)
    receipt = await store.append(session_id, [note()], cursor=writer)
    assert receipt.position == writer.head == await store.head(session_id)
    async with raises(HeadMismatch):
        await store.append(session_id, [note()], cursor=zombie)
    assert 0 == zombie.head.seq
    for wrong in (
        zombie.head,
        evolve(writer.head, hash=EntryHash(bytes(32))),
        evolve(writer.head, seq=7),
        evolve(writer.head, session_id=new_session_id()),
    ):
        async with raises(HeadMismatch):
            await store.append(session_id, [note()], expected=wrong)
    await store.append(session_id, [note()], expected=writer.head)
    assert [0, 1, 2] == seqs(await records_of(store, session_id))


async def maintenance_makes_no_head_stale(store: Store) -> None:
    """Labels in between are passed over; the append links to the real head."""
    session_id = await born(store)
    cursor = await store.open(session_id)
    await store.append(session_id, [label()], expected=ANY)
    receipt = await store.append(session_id, [note()], cursor=cursor)
    assert 2 == receipt.seq == cursor.head.seq
    await store.append(session_id, [note()], expected=ANY)
    async with raises(HeadMismatch):
        await store.append(session_id, [note()], cursor=cursor)


async def any_and_shared_append_after_whatever_is_last(store: Store) -> None:
    """Two shared handles take turns."""
    session_id = await born(store)
    handles = [await store.open(session_id, shared=True) for _ in range(2)]
    for turn in range(6):
        receipt = await store.append(session_id, [note()], cursor=handles[turn % 2])
        assert turn + 1 == receipt.seq
    assert 7 == (await store.append(session_id, [note()], expected=ANY)).seq


async def drafts_given_again_are_found(store: Store) -> None:
    """Whatever follows them, they are not written twice, and their receipt comes back."""
    session_id = await born(store)
    cursor = await store.open(session_id)
    drafts, floor = [note(), note()], cursor.head
    receipt = await store.append(session_id, drafts, cursor=cursor)
    await store.append(session_id, [note()], cursor=cursor)
    again: Sequence[Callable[[], Awaitable[Receipt]]] = (
        lambda: store.append(session_id, drafts, cursor=cursor, floor=floor),
        lambda: store.append(session_id, drafts, expected=floor),
        lambda: store.append(session_id, drafts, expected=ANY, floor=floor),
    )
    for call in again:
        found = await call()
        assert (receipt.seq, receipt.hash) == (found.seq, found.hash)
    assert 3 == cursor.head.seq
    assert [0, 1, 2, 3] == seqs(await records_of(store, session_id))


async def levels_are_claimed_when_reached(store: Store) -> None:
    """An os receipt says os; flush raises what was appended, and says what it reached."""
    session_id = await born(store)
    receipt = await store.append(session_id, [note()], expected=ANY, durability="os")
    assert "os" == receipt.level
    flushed = await store.flush(session_id)
    assert (receipt.seq, receipt.hash) == (flushed.seq, flushed.hash)
    async with raises(ValueError):
        await store.append(session_id, [note()], expected=ANY, durability="no")  # type: ignore[arg-type] # on purpose


async def appends_of_one_handle_keep_their_order(store: Store) -> None:
    """Also when they are all under way at once, and one of them is cancelled."""
    session_id = await born(store)
    cursor = await store.open(session_id)
    tasks = [
        asyncio.ensure_future(store.append(session_id, [note(n)], cursor=cursor)) for n in range(20)
    ]
    await asyncio.sleep(0)
    tasks[3].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.append(session_id, [note(20)], cursor=cursor)
    records = (await records_of(store, session_id))[1:]
    bodies = [record.body for record in records]
    assert bodies == sorted(bodies, key=lambda body: int((body or b"").split(b":")[-1][:-1]))
    assert len(records) in {20, 21}


async def an_append_is_all_or_nothing(store: Store) -> None:
    """Limits are checked before anything is written."""
    session_id = await born(store)
    assert 3 == (await store.append(session_id, [note(n) for n in range(3)], expected=ANY)).seq
    too_many = [note()] * (BATCH_MAX + 2)
    async with raises(LimitExceeded):
        await store.append(session_id, too_many, expected=ANY)
    async with raises(ValueError):
        await store.append(session_id, [], expected=ANY)
    assert [0, 2, 1, 0] == [r.batch for r in await records_of(store, session_id)]


async def reads_are_of_ranges(store: Store) -> None:
    """Half open, empty where there is nothing, NotFound where there is no session."""
    session_id = await born(store, 9)
    for start, stop in ((0, 10), (3, 7), (9, 10), (4, 4), (8, 99), (50, 60)):
        expected = [seq for seq in range(10) if start <= seq < stop]
        assert expected == seqs(await records_of(store, session_id, start, stop))
    assert list(range(4, 10)) == seqs(await records_of(store, session_id, 4))
    record = await store.record(session_id, 5)
    assert record == (await records_of(store, session_id, 5, 6))[0]
    async with raises(NotFound):
        await store.record(session_id, 10)


async def what_is_not_there_is_not_found(store: Store) -> None:
    """Every call that needs a session says so; what is no id is InvalidId."""
    calls: Sequence[Callable[[SessionId], Awaitable[object]]] = (
        store.head,
        store.open,
        store.flush,
        store.delete,
        store.repair,
        lambda i: store.record(i, 0),
        lambda i: store.append(i, [note()], expected=ANY),
        lambda i: records_of(store, i),
        lambda i: bytes_of(store, i),
        lambda i: anext(aiter(store.follow(i))),
        lambda i: store.append_trace(i, b"{}\n"),
        lambda i: store.erase(i, [Position(i, 0, EntryHash(bytes(32)))], reason="x"),
    )
    for call in calls:
        async with raises(NotFound):
            await call(new_session_id())
        for text in ("", "x", "../../x", str(new_session_id()).upper()):
            async with raises(InvalidId):
                await call(SessionId(text))
    assert [] == list(await store.list())
