"""The faults that the ancestor of this system met in use (section 5 of the notes on it)."""

from pathlib import Path

import pytest
from seed_tools import Watched
from session_tools import add_turn, assistant, log_path, talk, texts, usage, user

import session_store as ss
from session_store.stores.fs.core import FsCore


@pytest.fixture
def files() -> Watched:
    return Watched()


@pytest.fixture
def watched(files: Watched) -> ss.MemoryStore:
    return ss.MemoryStore(FsCore(files))


@pytest.mark.parametrize("torn", range(1, 400, 7))
async def test_a_torn_record_is_not_glued_to_the_next(
    fs_store: ss.FsStore, tmp_path: Path, torn: int
) -> None:
    """5.5: cut inside a multi-byte character, continued on the same line, and never read again."""
    session = await talk(fs_store, 1)
    path = log_path(tmp_path, session.id)
    whole = path.stat().st_size
    await session.save_delta([user("— — — " * 40)])
    with path.open("r+b") as file:
        file.truncate(whole + torn)

    reopened = await ss.open_session(fs_store, session.id)
    await reopened.save_delta([user("next")])

    assert ["question 1", "answer 1", "next"] == texts(await ss.restore(fs_store, session.id))
    assert [] == (await ss.verify(fs_store, session.id)).problems


@pytest.mark.parametrize("room", [0, 1, 100, 500])
async def test_a_full_disk_leaves_not_a_byte(
    files: Watched, watched: ss.MemoryStore, room: int
) -> None:
    """5.5: it left one byte of a character behind, and the session was lost."""
    session = await talk(watched, 1)
    before = b"".join([chunk async for chunk in watched.raw(session.id)])
    files.room = room
    with pytest.raises(ss.StoreFull):
        await session.save_delta([user("— " * 500)])
    files.room = 1 << 60

    assert before == b"".join([chunk async for chunk in watched.raw(session.id)])
    await session.save_delta([user("there is room")])
    assert "there is room" == texts(await ss.restore(watched, session.id))[-1]


async def test_memory_does_not_run_ahead_of_the_log(
    files: Watched, watched: ss.MemoryStore
) -> None:
    """5.5: errors of the store were logged and dropped; here they are raised, the head stays."""
    session = await talk(watched, 1)
    head, files.room = session.head, 0

    with pytest.raises(ss.StoreFull):
        await session.save_turn_end(2)

    assert head == session.head == await watched.head(session.id)


async def test_damage_with_a_line_end_is_no_torn_tail(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """5.5: what was committed is never cut away as if it had been unfinished."""
    session = await talk(fs_store, 1)
    path = log_path(tmp_path, session.id)
    data = path.read_bytes()
    path.write_bytes(data[:-2] + b"\n")

    with pytest.raises(ss.Corrupt):
        await ss.open_session(fs_store, session.id)
    with pytest.raises(ss.Corrupt):
        await session.save_turn_end(2)

    assert data[:-2] + b"\n" == path.read_bytes()


async def test_nuls_inside_a_log_cut_nothing_off(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """5.12: others resume with a shortened context and say nothing."""
    session = await talk(fs_store, 2)
    path = log_path(tmp_path, session.id)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:8], bytes(4096), *lines[8:]]))

    with pytest.raises(ss.Corrupt, match="line 9"):
        await ss.restore(fs_store, session.id)


async def test_a_run_without_an_end_is_restored_as_interrupted(store: ss.Store) -> None:
    """5.5: its side effects were run again."""
    session = await ss.create_session(store)
    started = await session.save_run_started("user")
    await session.save_delta([user("x")])

    state = await ss.restore(store, session.id)

    assert (True, started.position) == (state.last_run_interrupted, state.open_run)


async def test_a_run_that_errored_is_not_open(store: ss.Store) -> None:
    """5.11: replay of run_errored was untested."""
    session = await ss.create_session(store)
    await session.save_run_started("user")
    await session.save_run_errored("boom", interrupted=True)

    state = await ss.restore(store, session.id)

    assert (True, None) == (state.last_run_interrupted, state.open_run)


async def test_two_resumes_do_not_write_into_one_history(store: ss.Store) -> None:
    """5.7: a session resumed twice was appended to by both."""
    session = await talk(store, 1)
    state = await ss.restore(store, session.id)
    resumed = [await ss.open_session(store, session.id, head=state.head) for _ in range(2)]
    await add_turn(resumed[0], 2)

    with pytest.raises(ss.HeadMismatch):
        await resumed[1].save_delta([user("x")])
    await resumed[1].ensure_head_or_fork()
    await add_turn(resumed[1], 3)

    assert ["question 1", "question 2"] == texts(await ss.restore(store, session.id))[::2]
    assert ["question 1", "question 3"] == texts(await ss.restore(store, resumed[1].id))[::2]


async def test_usage_is_told_for_a_prefix_of_the_history(store: ss.Store) -> None:
    """5.8: occupancy is no increment, and a fork's tokens were paid once."""
    session = await talk(store, 2)
    fork = await ss.fork(store, session.id)

    state = await ss.restore(store, fork.id)

    assert [usage(1), usage(2)] == state.usage_history
    assert (0, 3) == (state.own_usage.input_total_tokens, state.total_usage.input_total_tokens)


async def test_compactions_and_forks_stay_one_family(store: ss.Store) -> None:
    """5.9: each of them was a session of its own in every list."""
    session = await talk(store, 1)
    compacted = await ss.create_compacted_session(store, ss.SessionStartState(), session.head)
    fork = await ss.fork(store, compacted.id)

    (family,) = await ss.tree(store)

    assert session.id == family.session_id
    assert compacted.id == family.children[0].session_id
    assert fork.id == family.children[0].children[0].session_id


async def test_what_lives_on_a_session_keeps_it(store: ss.Store) -> None:
    """5.10: deletion never touches what is referred to."""
    session = await talk(store, 1)
    fork = await ss.fork(store, session.id)

    with pytest.raises(ss.HasForks):
        await ss.delete(store, session.id)

    assert 1 == (await ss.restore(store, fork.id)).turn_count


async def test_who_attaches_sees_whole_appends(store: ss.Store) -> None:
    """5.10: attaching in the middle lost what was unfinished; here it comes when it is whole."""
    session = await ss.create_session(store)
    entries = session.follow(0)
    await session.save_delta([user("x"), assistant("y")])

    kinds = [(await anext(entries)).kind for _ in range(3)]

    assert ["session_start", "user_input", "assistant_items"] == kinds
