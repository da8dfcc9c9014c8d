"""Copies of what is erased, in other sessions: found, told, and erased when asked."""

from pathlib import Path
from typing import Any

import pytest
from session_tools import (
    SECRET,
    entries_of,
    found,
    harm_line,
    log_path,
    raw,
    talk,
    texts,
    told_secret,
    user,
)

import session_store as ss


async def test_copies_are_reported_and_erased_when_asked(store: ss.Store) -> None:
    """Copies, copies of copies and of forks; not what a copy has added, nor an equal body elsewhere."""
    session = await told_secret(store)
    copy = await ss.fork(store, session.id, copy=True)
    flat = await ss.flatten(store, (await ss.fork(store, copy.id)).id)
    await copy.save_delta([user(SECRET)])
    stranger = await told_secret(store)
    early = await ss.fork_at(store, session.id, 6, copy=True)
    done = await ss.erase(store, session.id, 7, reason="leak")
    assert [copy.id, flat.id] == [p.session_id for p in done.copies]
    assert SECRET in texts(await ss.restore(store, copy.id))
    with pytest.raises(ss.NotFound):
        await ss.erase(store, session.id, lambda e: SECRET in str(e.body), reason="leak")

    other = await told_secret(store)
    copy = await ss.fork(store, other.id, copy=True)
    flat = await ss.flatten(store, (await ss.fork(store, copy.id)).id)
    await copy.save_delta([user(SECRET)])
    replacement = {"items": [user("gone")]}
    done = await ss.erase(
        store, other.id, 7, reason="leak", with_copies=True, replacement=replacement
    )
    assert {copy.id, flat.id} == {p.session_id for p in done.copies}
    for one in (other, copy, flat):
        state = await ss.restore(store, one.id)
        assert "gone" in texts(state)
        assert (one is copy) == (SECRET in texts(state))
    for one in (stranger, early):
        assert [] == await found(store, one.id)


async def test_what_was_salvaged_is_a_copy_too(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """Of a session and of a fork of it, salvaged once or again, with a beginning or without."""
    session = await told_secret(fs_store, system_prompt=SECRET)
    child = await ss.fork(fs_store, session.id)
    await child.save_delta([user(SECRET)])
    harm_line(log_path(tmp_path, session.id), 9)
    first = await ss.salvage(fs_store, session.id)
    assert session.id == (await ss.origin(fs_store, first.id)).salvaged_from
    harm_line(log_path(tmp_path, first.id), 0)
    second = await ss.salvage(fs_store, first.id)
    harm_line(log_path(tmp_path, child.id), 0)
    third = await ss.salvage(fs_store, child.id)
    assert [first.id, child.id] == [
        (await ss.origin(fs_store, one.id)).salvaged_from for one in (second, third)
    ]
    await ss.delete(fs_store, child.id)
    await ss.delete(fs_store, first.id)
    await fs_store.repair(session.id)

    done = await ss.erase(fs_store, session.id, 7, reason="leak", with_copies=True)

    assert {second.id} == {position.session_id for position in done.copies}
    assert SECRET not in texts(await ss.restore(fs_store, second.id))
    assert SECRET in texts(await ss.restore(fs_store, third.id))  # An entry of the fork's own.


async def test_a_salvaged_fork_goes_on_from_its_parent(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """And it holds copies of the damaged fork's own entries; who is whose is drawn so."""
    session = await talk(fs_store, 1)
    child = await ss.fork(fs_store, session.id)
    await child.save_delta([user(SECRET)])
    await child.save_turn_end(2)
    harm_line(log_path(tmp_path, child.id), 2)
    salvaged = await ss.salvage(fs_store, child.id)
    await fs_store.repair(child.id)
    seq = next(e.seq for e in await entries_of(fs_store, child.id) if SECRET in str(e.body))

    done = await ss.erase(fs_store, child.id, seq, reason="leak", with_copies=True)

    assert {salvaged.id} == {position.session_id for position in done.copies}
    assert SECRET not in texts(await ss.restore(fs_store, salvaged.id))
    origin = (await ss.restore(fs_store, salvaged.id)).origin
    assert ss.SessionOrigin(session.head, None, child.id, by_reference=True) == origin
    assert origin == await ss.origin(fs_store, salvaged.id)
    (root,) = await ss.tree(fs_store)
    assert [salvaged.id] == [family.session_id for family in root.children[0].children]


async def test_an_erased_beginning_still_tells_what_was_salvaged(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    session = await talk(fs_store, 1, system_prompt=SECRET)
    harm_line(log_path(tmp_path, session.id), 3)
    salvaged = await ss.salvage(fs_store, session.id)
    await fs_store.repair(session.id)

    await ss.erase(fs_store, session.id, 0, reason="leak", with_copies=True)

    assert ss.SessionOrigin(salvaged_from=session.id) == await ss.origin(fs_store, salvaged.id)
    assert (await ss.restore(fs_store, salvaged.id)).system_prompt is None


async def test_a_compaction_loses_the_items_and_keeps_the_others(store: ss.Store) -> None:
    """Its first record is given out without them; a copy of it too."""
    session = await told_secret(store)
    state = await ss.restore(store, session.id)
    short = ss.SessionStartState(history=state.history[-2:], system_prompt="Be brief.")
    compacted = await ss.create_compacted_session(store, short, session.head)
    copy = await ss.flatten(store, compacted.id)
    done = await ss.erase(store, session.id, 7, reason="leak", with_copies=True)
    assert [(compacted.id, 0), (copy.id, 0)] == [(p.session_id, p.seq) for p in done.copies]
    for one in (compacted, copy):
        after = await ss.restore(store, one.id)
        assert (["I see."], "Be brief.") == (texts(after), after.system_prompt)
        assert [("erased", 0)] == await found(store, one.id)
    assert SECRET.encode() not in await raw(store, session.id, compacted.id, copy.id)
    assert session.head == (await ss.origin(store, compacted.id)).compacted_from


async def test_a_prompt_is_erased_from_copies_of_the_session(store: ss.Store) -> None:
    """It stands in their own first records; so do a config and a seed history."""
    session = await told_secret(
        store, system_prompt=SECRET, config={"key": SECRET}, history=[user(SECRET), user("kept")]
    )
    copy = await ss.fork(store, session.id, copy=True)
    fork = await ss.fork(store, session.id, config={"key": SECRET + "2"}, labels={"a": SECRET})
    flat = await ss.flatten(store, fork.id)
    done = await ss.erase(store, session.id, 0, reason="leak", with_copies=True)
    assert {(copy.id, 0), (flat.id, 0)} == {(p.session_id, p.seq) for p in done.copies}
    await ss.erase(store, session.id, 7, reason="leak", with_copies=True)
    assert SECRET.encode() not in await raw(store, session.id, copy.id)
    done = await ss.erase(store, fork.id, 0, reason="leak", with_copies=True)
    assert {flat.id} == {p.session_id for p in done.copies}
    assert SECRET.encode() not in await raw(store, fork.id, flat.id)
    assert (await ss.restore(store, flat.id)).session_id == flat.id
    assert "kept" not in texts(await ss.restore(store, copy.id))


async def test_a_long_history_is_searched_beyond_the_first_record(store: ss.Store) -> None:
    """A compaction whose history takes more than one line."""
    session = await told_secret(store)
    long = [user(str(n) * (5 << 20)) for n in range(4)]
    short = ss.SessionStartState(history=[*long, user(SECRET)])
    compacted = await ss.create_compacted_session(store, short, session.head)
    done = await ss.erase(store, session.id, 7, reason="leak", with_copies=True)
    assert [compacted.id] == [p.session_id for p in done.copies]
    assert done.copies[0].seq > 0
    assert 4 == len((await ss.restore(store, compacted.id)).history)


async def test_a_copy_that_cannot_be_read_is_named(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """Asked to erase it too, nothing is done before it is repaired."""
    session = await told_secret(fs_store)
    copies = [await ss.flatten(fs_store, session.id) for _ in range(3)]
    for copy, seq in zip(copies, (0, 9, 3), strict=True):
        harm_line(log_path(tmp_path, copy.id), seq)
    with pytest.raises(ss.Corrupt, match=copies[1].id):
        await ss.erase(fs_store, session.id, 7, reason="leak", with_copies=True)
    assert SECRET in texts(await ss.restore(fs_store, session.id))
    await fs_store.repair(copies[1].id)
    await fs_store.delete(copies[2].id)
    done = await ss.erase(fs_store, session.id, 7, reason="leak", with_copies=True)
    assert [copies[0].id] == done.unsearched
    assert [(copies[1].id, 7)] == [(p.session_id, p.seq) for p in done.copies]


async def test_copies_are_found_though_a_session_in_between_was_deleted(store: ss.Store) -> None:
    """By time and bytes; an equal prompt alone proves nothing then."""
    session = await told_secret(store, system_prompt=SECRET)
    between = await ss.fork(store, session.id)
    flat = await ss.flatten(store, between.id)
    await ss.delete(store, between.id)
    done = await ss.erase(store, session.id, range(8), reason="leak", with_copies=True)
    assert list(range(1, 8)) == [p.seq for p in done.copies]
    assert {flat.id} == {p.session_id for p in done.copies}
    assert SECRET == (await ss.restore(store, flat.id)).system_prompt


class Ghosts(ss.MemoryStore):
    """Lists sessions that somebody deletes in this moment, and one whose source is itself."""

    gone: tuple[ss.SessionId, ...] = ()
    ring: tuple[ss.SessionId, ...] = ()

    async def origin(self, session_id: ss.SessionId) -> ss.SessionOrigin:
        if session_id in self.gone[:1]:
            raise ss.NotFound("deleted")
        if session_id in self.ring:
            return ss.SessionOrigin(await self.head(session_id))
        return await super().origin(session_id)

    async def read(self, session_id: ss.SessionId, *limits: Any) -> Any:
        if session_id in self.gone:
            raise ss.NotFound("deleted")
        async for batch in super().read(session_id, *limits):
            yield batch


async def test_copies_that_are_deleted_meanwhile_are_passed_over() -> None:
    """Nor does a walk along claimed sources go on for ever."""
    store = Ghosts()
    session = await told_secret(store)
    copies = [(await ss.flatten(store, session.id)).id for _ in range(4)]
    store.gone, store.ring = tuple(copies[:2]), (copies[2],)
    done = await ss.erase(store, session.id, 7, reason="leak", with_copies=True)
    assert [copies[3]] == [p.session_id for p in done.copies]


async def test_an_interrupted_erasure_of_copies_finds_the_rest_again(store: ss.Store) -> None:
    """The entry itself goes last: by its body the copies are found."""
    session = await told_secret(store)
    copies = [await ss.flatten(store, session.id) for _ in range(2)]

    async def dying(*args: object, **options: object) -> None:
        store.erase = erase
        raise KeyboardInterrupt

    erase = store.erase

    async def first(*args: Any, **options: Any) -> ss.Receipt:
        store.erase = dying
        return await erase(*args, **options)

    store.erase = first
    with pytest.raises(KeyboardInterrupt):
        await ss.erase(store, session.id, 7, reason="leak", with_copies=True)
    assert SECRET in texts(await ss.restore(store, session.id))
    done = await ss.erase(store, session.id, 7, reason="leak", with_copies=True)
    assert [copies[1].id] == [p.session_id for p in done.copies]
    assert SECRET.encode() not in await raw(store, session.id, *(c.id for c in copies))
