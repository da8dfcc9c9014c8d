"""Following a log: live, from any seq, across rollbacks, repairs and the end of a handle's log."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from session_tools import add_turn, entries_of, harm_line, log_path, talk, user

import session_store as ss

TIMEOUT_S = 10


async def take(entries: AsyncIterator[ss.HashedEntry], count: int) -> list[ss.HashedEntry]:
    async with asyncio.timeout(TIMEOUT_S):
        return [await anext(entries) for _ in range(count)]


@pytest.mark.parametrize("start", [0, 1, 3, 6])
async def test_a_follower_begins_at_any_seq(store: ss.Store, start: int) -> None:
    """Inside an append too; what is there comes at once."""
    session = await talk(store, 1)

    found = await take(session.follow(start), 7 - start)

    assert (await entries_of(store, session.id))[start:] == found


async def test_a_follower_waits_for_what_comes(fs_store: ss.FsStore) -> None:
    """Each append arrives whole, in order, from a handle of its own."""
    session = await ss.create_session(fs_store)
    writer = await ss.open_session(fs_store, session.id)
    following = asyncio.ensure_future(take(session.follow(), 12))
    await add_turn(writer, 1)
    await add_turn(writer, 2)

    assert (await entries_of(fs_store, session.id))[1:] == await following


async def test_what_comes_next_is_what_comes_after_the_call(store: ss.Store) -> None:
    """Not what comes after the first look."""
    session = await ss.create_session(store)
    entries = session.follow()
    await session.save_turn_end(1)

    (found,) = await take(entries, 1)

    assert session.head == found.position


async def test_a_follower_can_begin_behind_the_end(fs_store: ss.FsStore) -> None:
    """What lies before is not given when it comes."""
    session = await ss.create_session(fs_store)
    following = asyncio.ensure_future(take(session.follow(3), 1))
    for number in range(1, 5):
        await session.save_turn_end(number)

    assert [3] == [entry.seq for entry in await following]


async def test_a_handle_that_moved_to_a_fork_leaves_its_followers(fs_store: ss.FsStore) -> None:
    """An earlier call goes on with the old log, a later one is of the new."""
    session = await ss.create_session(fs_store)
    old, source = session.follow(0), session.id
    other = await ss.open_session(fs_store, source)
    await other.save_turn_end(1)
    await session.ensure_head_or_fork()
    await session.save_turn_end(2)

    assert [source, source] == [e.position.session_id for e in await take(old, 2)]
    assert [session.id] * 2 == [e.position.session_id for e in await take(session.follow(0), 2)]


async def test_a_torn_tail_is_in_flight_until_it_is_cut(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """A follower gives what was acknowledged, and goes on behind the recovery."""
    session = await talk(fs_store, 1)
    path = log_path(tmp_path, session.id)
    with path.open("ab") as log:
        log.write(path.read_bytes().splitlines(keepends=True)[-1][:100])
    entries = session.follow(6)
    await take(entries, 1)
    reopened = await ss.open_session(fs_store, session.id)
    await reopened.save_turn_end(2)

    assert ["recovery", "turn_end"] == [entry.kind for entry in await take(entries, 2)]


async def test_an_append_that_was_rolled_back_is_never_given(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """Half an append was there, is gone, and another one stands in its place."""
    session = await talk(fs_store, 1)
    path = log_path(tmp_path, session.id)
    entries = session.follow(6)
    await take(entries, 1)
    size = path.stat().st_size
    with path.open("ab") as log:
        log.write(b'{"v":1,"seq":7,"ts":1')
    following = asyncio.ensure_future(take(entries, 1))
    await asyncio.sleep(0)
    with path.open("ab") as log:
        log.truncate(size)
    await session.save_delta([user("x")])

    assert [session.head] == [entry.position for entry in await following]


async def test_a_follower_goes_on_in_a_file_that_was_put_in_place(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """Healing copies the log to a new file; followers notice."""
    session = await talk(fs_store, 1)
    path = log_path(tmp_path, session.id)
    entries = session.follow(6)
    await take(entries, 1)
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o600)
    copy.rename(path)
    await session.save_turn_end(2)

    assert [session.head] == [entry.position for entry in await take(entries, 1)]


async def test_damage_ends_the_following_with_its_place(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """After everything before it was given."""
    session = await talk(fs_store, 2)
    harm_line(log_path(tmp_path, session.id), 8)
    entries = session.follow(0)

    assert list(range(7)) == [entry.seq for entry in await take(entries, 7)]
    with pytest.raises(ss.Corrupt, match="line 9"):
        await take(entries, 1)


async def test_a_log_that_was_cut_is_not_followed_into_another_history(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """What was given is not in the log any more: the follower says so."""
    session = await talk(fs_store, 2)
    entries = session.follow(0)
    await take(entries, 13)
    path = log_path(tmp_path, session.id)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:7]))

    with pytest.raises(ss.Corrupt, match="does not hold this record any more"):
        await take(entries, 1)
