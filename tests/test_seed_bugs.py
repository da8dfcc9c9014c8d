"""
The faults of the system that this one descends from, each with what must be true here instead.

Numbers are sections of the notes on that system:
1 its calls, 2 its format, 3 its conflicts, 5 what it met in use.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from attrs import evolve
from seed_tools import Watched
from session_tools import assistant, entries_of, log_path, talk, texts, usage, user

import session_store as ss
from session_store.stores.fs.core import FsCore


@pytest.fixture
def files() -> Watched:
    return Watched()


@pytest.fixture
def watched(files: Watched) -> ss.MemoryStore:
    return ss.MemoryStore(FsCore(files))


# 1: what its calls did


async def test_replay_verifies_the_chain(store: ss.Store) -> None:
    """1: collect_state folded whatever it was given; here a changed entry is found."""
    session = await talk(store, 1)
    entries = await entries_of(store, session.id)
    entries[2] = evolve(entries[2], prev_hash=entries[2].hash)

    with pytest.raises(ss.ChainBroken, match="seq 2"):
        ss.collect_state(entries)


async def test_an_append_is_one_write_and_then_a_sync(
    files: Watched, watched: ss.MemoryStore
) -> None:
    """1: body and line end were written apart, and never synced."""
    session = await ss.create_session(watched)
    files.done.clear()

    await session.save_delta([user("x"), assistant("y")])

    assert ["write", "sync"] == files.done


async def test_a_bad_line_does_not_cost_the_session(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """1: any bad line made the whole session unreadable; here its verified prefix comes along."""
    session = await talk(fs_store, 3)
    path = log_path(tmp_path, session.id)
    path.write_bytes(path.read_bytes()[:-200] + b"\xff\xfe not UTF-8\n" * 20)

    with pytest.raises(ss.Corrupt) as damage:
        await ss.restore(fs_store, session.id)

    assert isinstance(damage.value.state, ss.RestoredState)
    assert 2 == damage.value.state.turn_count


async def test_the_head_is_read_from_the_tail(files: Watched, watched: ss.MemoryStore) -> None:
    """1: reading the head read the whole file."""
    session = await ss.create_session(watched)
    for _ in range(40):
        await session.save_extension("x", "y" * 100_000)
    files.read_bytes = 0

    assert session.head == await watched.head(session.id)
    await ss.open_session(watched, session.id)

    assert files.read_bytes < 1_000_000


async def test_creating_overwrites_nothing(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """1: create_session wrote over the session that had the id."""
    session = await talk(fs_store, 1)
    before = log_path(tmp_path, session.id).read_bytes()

    with pytest.raises(ss.AlreadyExists):
        await ss.create_session_with_id(fs_store, session.id)

    assert before == log_path(tmp_path, session.id).read_bytes()


async def test_a_fork_of_a_loser_knows_where_it_came_from(store: ss.Store) -> None:
    """1: ensure_head_or_fork recorded no lineage."""
    session = await talk(store, 1)
    own, slow = session.head, await ss.open_session(store, session.id)
    await session.save_turn_end(2)

    await slow.ensure_head_or_fork(await ss.restore(store, session.id, at=own))

    assert own == (await ss.origin(store, slow.id)).forked_from


@pytest.mark.parametrize("copy", [False, True])
async def test_every_fork_knows_where_it_came_from(store: ss.Store, copy: bool) -> None:
    """1: fork recorded no lineage."""
    session = await talk(store, 1)

    fork = await ss.fork(store, session.id, copy=copy)

    assert session.head == (await ss.origin(store, fork.id)).forked_from


@pytest.mark.parametrize("point", [bytes(32), ss.Turn(7), 99], ids=repr)
async def test_an_unknown_point_does_not_fork_the_end(
    store: ss.Store, point: bytes | ss.Turn | int
) -> None:
    """1, 3: an unknown hash or turn silently meant the end, and the bogus point was recorded."""
    session = await talk(store, 1)

    with pytest.raises(ss.NotFound):
        await ss.fork_at(store, session.id, point)

    assert [session.id] == [info.session_id for info in await store.list()]


SAVES: dict[str, Callable[[ss.Session], Awaitable[object]]] = {
    "delta": lambda s: s.save_delta([user("x")]),
    "turn end": lambda s: s.save_turn_end(2),
    "usage": lambda s: s.save_usage(usage()),
    "run completed": lambda s: s.save_run_completed("finished"),
    "run errored": lambda s: s.save_run_errored("boom"),
    "config": lambda s: s.save_config_changed({}),
    "extension": lambda s: s.save_extension("x", 1),
}


@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
async def test_the_head_is_checked_at_every_append(
    store: ss.Store, save: Callable[[ss.Session], Awaitable[object]]
) -> None:
    """1: it was checked once a run; what came between was interleaved."""
    session = await talk(store, 1)
    zombie = await ss.open_session(store, session.id)
    await session.save_delta([user("meanwhile")])

    with pytest.raises(ss.HeadMismatch):
        await save(zombie)

    assert session.head == await store.head(session.id)


async def test_an_error_names_file_line_byte_and_record(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """5.5: the error said only "stream did not contain valid UTF-8"."""
    session = await talk(fs_store, 1)
    path = log_path(tmp_path, session.id)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:5], b"\xe3\n", *lines[5:]]))
    offset = len(b"".join(lines[:5]))

    with pytest.raises(ss.Corrupt) as damage:
        await ss.restore(fs_store, session.id)

    assert str(damage.value).startswith(f"{path}: line 6, byte {offset}, seq 5: ")


# 2: what its format lost


async def test_items_are_kept_as_given(store: ss.Store) -> None:
    """2, 5.6: ids and status of the provider were dropped; a renamed field broke every log."""
    item = {"type": "message", "role": "user", "content": [], "id": "msg_1", "status": "done"}
    session = await ss.create_session(store)
    await session.save_delta([item | {"a_field_of_tomorrow": {"x": None}}])

    assert [item | {"a_field_of_tomorrow": {"x": None}}] == (
        await ss.restore(store, session.id)
    ).history


async def test_kinds_of_tomorrow_are_counted_and_kept(store: ss.Store) -> None:
    """5.6: readers that matched only old variants silently returned nothing."""
    session = await talk(store, 1)
    await session.append(ss.UnknownEntry("thought.v2", {"x": 1}))
    flat = await ss.flatten(store, session.id)

    for session_id in (session.id, flat.id):
        assert {"thought.v2": 1} == (await ss.restore(store, session_id)).unknown_kinds
    assert {"x": 1} == (await entries_of(store, session.id))[-1].body


async def test_traces_are_not_listed_as_sessions(store: ss.Store) -> None:
    """1, 5.11: whatever else lies beside the logs."""
    session = await talk(store, 1)
    writer = ss.TraceWriter(store, session.id)
    writer.event(1)
    await writer.flush()

    assert [session.id] == [info.session_id for info in await store.list()]


# 3: how it told that somebody else was faster


async def test_another_history_of_the_same_length_is_another_head(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """3, 5.4: entries were counted, so a rewrite of the same length went unseen."""
    session = await ss.create_session(fs_store)
    await session.save_delta([user("mine")])
    path = log_path(tmp_path, session.id)
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    async with await ss.open_store(tmp_path / "store") as second:
        other = await ss.open_session(second, session.id)
        await other.save_delta([user("theirs")])

    with pytest.raises(ss.HeadMismatch):
        await session.save_delta([user("on mine")])


async def test_a_log_shorter_than_the_writer_remembers_takes_nothing(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """5.11: untested there: a count smaller than the tally."""
    session = await talk(fs_store, 1)
    path = log_path(tmp_path, session.id)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:5]))

    with pytest.raises(ss.HeadMismatch):
        await session.save_turn_end(2)


async def test_turn_zero_is_the_start_not_the_end(store: ss.Store) -> None:
    """3, 5.11: the boundary that nobody had tested."""
    session = await talk(store, 2, history=[user("before")])

    fork = await ss.fork_at(store, session.id, ss.Turn(0))

    assert ["before"] == texts(await ss.restore(store, fork.id))


async def test_a_loser_leaves_no_mark_in_the_winner_s_log(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """3: the source of a fork is never written to."""
    session = await talk(fs_store, 1)
    slow = await ss.open_session(fs_store, session.id)
    await session.save_turn_end(2)
    before = log_path(tmp_path, session.id).read_bytes()

    await slow.ensure_head_or_fork()
    await slow.save_turn_end(3)

    assert before == log_path(tmp_path, session.id).read_bytes()
