"""From the log to the state: at any point, from a base, with a typed config, beside damage."""

from pathlib import Path
from typing import Any

import pytest
from attrs import Factory, frozen
from session_tools import (
    add_turn,
    assistant,
    call,
    entries_of,
    harm_line,
    log_path,
    result,
    talk,
    texts,
    usage,
    user,
)

import session_store as ss
from session_store.session.points import Point


async def test_a_session_is_restored_at_every_record(store: ss.Store) -> None:
    """By position, by seq and by hash, the state is what the entries up to there make."""
    session = await talk(store, 3, config={"n": 0})
    entries = await entries_of(store, session.id)

    for number, entry in enumerate(entries):
        expected = ss.collect_state(entries[: number + 1])
        for point in (entry.position, entry.seq, bytes(entry.hash)):
            assert expected == await ss.restore(store, session.id, at=point)


@pytest.mark.parametrize("turn", range(4))
async def test_a_session_is_restored_at_every_turn(store: ss.Store, turn: int) -> None:
    """Turn 0 is the start; turn n holds n questions and answers."""
    session = await talk(store, 3)

    state = await ss.restore(store, session.id, at=ss.Turn(turn))

    assert [f"{w} {n}" for n in range(1, turn + 1) for w in ("question", "answer")] == texts(state)
    assert (turn, turn + 1) == (state.turn_count, len(state.turns))
    assert state == await ss.restore(store, session.id, at=state.turns[turn])


async def test_a_fork_is_restored_at_points_of_its_parents(store: ss.Store) -> None:
    """A position, a hash and a turn are looked for along the lineage; a seq is the fork's own."""
    parent = await talk(store, 2)
    third = (await ss.restore(store, parent.id)).turns[1]
    fork = await ss.fork_at(store, parent.id, third)
    await add_turn(fork, 2)

    for point in (third, bytes(third.hash), ss.Turn(1)):
        state = await ss.restore(store, fork.id, at=point)
        assert (fork.id, third, 1) == (state.session_id, state.head, state.turn_count)
    state = await ss.restore(store, fork.id, at=0)
    assert (fork.id, 1) == (state.head.session_id, state.turn_count)


UNKNOWN: dict[str, Point] = {
    "seq behind the end": 99,
    "seq before the beginning": -1,
    "half a hash": bytes(16),
    "hash": bytes(32),
    "turn": ss.Turn(9),
    "position of another session": ss.Position(ss.new_session_id(), 0, ss.EntryHash(bytes(32))),
}


@pytest.mark.parametrize("point", UNKNOWN.values(), ids=UNKNOWN)
async def test_an_unknown_point_is_not_found(store: ss.Store, point: Point) -> None:
    """It never means the end."""
    session = await talk(store, 1)

    with pytest.raises(ss.NotFound, match=session.id):
        await ss.restore(store, session.id, at=point)


async def test_a_position_with_another_hash_is_not_found(store: ss.Store) -> None:
    session = await talk(store, 1)
    wrong = ss.Position(session.id, 2, session.head.hash)

    with pytest.raises(ss.NotFound, match="no record"):
        await ss.restore(store, session.id, at=wrong)


async def test_what_the_parent_did_after_the_fork_is_no_point_of_the_fork(store: ss.Store) -> None:
    """Neither by position, nor by hash, nor by turn."""
    parent = await talk(store, 1)
    fork = await ss.fork(store, parent.id)
    await add_turn(parent, 2)

    for point in (parent.head, bytes(parent.head.hash), ss.Turn(2)):
        with pytest.raises(ss.NotFound):
            await ss.restore(store, fork.id, at=point)


@pytest.mark.parametrize("point", [True, "1", 1.0, None])
async def test_a_point_is_one_of_four_types(store: ss.Store, point: Any) -> None:
    """None is the head; a bool or a text is misuse."""
    session = await talk(store, 1)
    if point is None:
        assert session.head == (await ss.restore(store, session.id, at=None)).head
        return

    with pytest.raises(TypeError, match="a point is"):
        await ss.restore(store, session.id, at=point)


POINTS = {
    "7": 7,
    "turn:2": ss.Turn(2),
    "ab" * 32: b"\xab" * 32,
    f"0190b1d2-7f5f-7abc-8def-0123456789ab:4:{'cd' * 32}": ss.Position(
        ss.SessionId("0190b1d2-7f5f-7abc-8def-0123456789ab"), 4, ss.EntryHash(b"\xcd" * 32)
    ),
}


@pytest.mark.parametrize(("text", "point"), POINTS.items())
def test_people_write_points_as_text(text: str, point: Point) -> None:
    assert point == ss.parse_point(text)


@pytest.mark.parametrize(
    "text", ["", "-1", "turn:", "turn:-1", "turn:x", "٣", "9" * 17, "AB" * 32, "a:1:b", "1:2:3"]
)
def test_any_other_text_is_no_point(text: str) -> None:
    with pytest.raises(ss.InvalidInput, match="not a point"):
        ss.parse_point(text)


async def test_branches_share_the_state_they_begin_with(store: ss.Store) -> None:
    """What the base stands for is not replayed again; the base stays as it is."""
    parent = await talk(store, 2)
    base = await ss.restore(store, parent.id)
    before = base.copy()
    for number in (3, 4):
        fork = await ss.fork(store, parent.id)
        await add_turn(fork, number)

        state = await ss.restore(store, fork.id, base=base)

        assert await ss.restore(store, fork.id) == state
        assert base.history[0] is state.history[0]
    assert before == base


async def test_a_base_is_good_anywhere_on_the_lineage(store: ss.Store) -> None:
    """On a grandparent, a parent or the session itself, up to the point that is asked for."""
    root = await talk(store, 2)
    middle = await ss.fork(store, root.id)
    await add_turn(middle, 3)
    leaf = await ss.fork(store, middle.id)
    await add_turn(leaf, 4)
    whole = await ss.restore(store, leaf.id)

    for owner in (root.id, middle.id, leaf.id):
        for entry in await entries_of(store, owner):
            base = await ss.restore(store, leaf.id, at=entry.position)
            assert whole == await ss.restore(store, leaf.id, base=base)


async def test_a_base_where_the_fork_begins_spares_reading_the_parent(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """What it stands for is not read again, whatever has become of it; without it, it is."""
    parent = await talk(fs_store, 2)
    fork = await ss.fork(fs_store, parent.id)
    base = await ss.restore(fs_store, parent.id)
    whole = await ss.restore(fs_store, fork.id)
    harm_line(log_path(tmp_path, parent.id), 3)

    assert whole == await ss.restore(fs_store, fork.id, base=base)
    async with await ss.open_store(tmp_path / "store") as other:
        with pytest.raises(ss.Corrupt):
            await ss.restore(other, fork.id)


async def test_a_base_beside_the_lineage_is_misuse(store: ss.Store) -> None:
    """Of another session, behind the fork, or behind the point."""
    parent = await talk(store, 1)
    fork = await ss.fork(store, parent.id)
    await add_turn(parent, 2)
    base = await ss.restore(store, parent.id)

    for session_id, at in ((fork.id, None), (parent.id, 3)):
        with pytest.raises(ValueError, match="not on the lineage"):
            await ss.restore(store, session_id, at=at, base=base)


@pytest.mark.parametrize("lines", [3, 5])
async def test_a_base_that_the_log_lost_is_refused(
    fs_store: ss.FsStore, tmp_path: Path, lines: int
) -> None:
    """The log was put back to an older copy, and perhaps went on from there."""
    session = await ss.create_session(fs_store)
    for number in range(4):
        await session.save_delta([user(f"{number}")])
    base = await ss.restore(fs_store, session.id)
    path = log_path(tmp_path, session.id)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    rewound = await ss.open_session(fs_store, session.id)
    for number in range(3, lines + 1):
        await rewound.save_delta([user(f"other {number}")])

    with pytest.raises(ValueError, match="not in the log any more"):
        await ss.restore(fs_store, session.id, base=base)


@frozen
class Config:
    model: str
    depth: int = 0
    stop: list[str] = Factory(list)


TYPED: dict[str, tuple[Any, Config | None]] = {
    "fits": ({"model": "m", "depth": 2, "stop": ["x"]}, Config("m", 2, ["x"])),
    "defaults": ({"model": "m"}, Config("m")),
    "a float is no int": ({"model": "m", "depth": 1.7}, None),
    "a whole float is no int": ({"model": "m", "depth": 1.0}, None),
    "a bool is no int": ({"model": "m", "depth": True}, None),
    "a number is no text": ({"model": 1}, None),
    "a text is no list": ({"model": "m", "stop": "x"}, None),
    "unknown key": ({"model": "m", "top_k": 1}, None),
    "missing key": ({"depth": 1}, None),
}


@pytest.mark.parametrize(("config", "expected"), TYPED.values(), ids=TYPED)
async def test_a_config_is_structured_strictly(
    store: ss.Store, config: Any, expected: Config | None
) -> None:
    """What does not fit is refused with the session's name, never converted or dropped."""
    session = await ss.create_session(store, ss.SessionStartState(config=config))
    if expected is not None:
        state = await ss.restore(store, session.id, config_type=Config)
        assert expected == state.config
        return

    with pytest.raises(ss.InvalidInput, match=f"config of {session.id}"):
        await ss.restore(store, session.id, config_type=Config)


async def test_a_session_without_config_has_none_of_any_type(store: ss.Store) -> None:
    session = await ss.create_session(store)

    assert (await ss.restore(store, session.id, config_type=Config)).config is None


async def test_restored_state_names_what_a_crash_left_open(store: ss.Store) -> None:
    """A call without result, a run without end; the history can be closed for a provider."""
    session = await ss.create_session(store)
    started = await session.save_run_started("user")
    await session.save_delta([user("q"), call("1"), call("2"), result("1")])

    state = await ss.restore(store, session.id)

    assert (["2"], started.position, True) == (
        state.open_calls,
        state.open_run,
        state.last_run_interrupted,
    )
    closed = state.history_for_provider("lost")
    assert [user("q"), call("1"), call("2"), result("1")] == state.history
    assert {"type": "function_call_output", "call_id": "2", "output": "lost"} in closed


async def test_usage_of_parents_is_inherited_not_own(store: ss.Store) -> None:
    """Totals tell the session's own tokens from those that its parents paid for."""
    parent = await talk(store, 2)
    fork = await ss.fork(store, parent.id)
    await fork.save_usage(usage(10))

    state = await ss.restore(store, fork.id)

    assert (10, 13) == (state.own_usage.output_tokens, state.total_usage.output_tokens)


async def test_damage_comes_with_the_verified_prefix(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """Corrupt names file, line, byte and seq; its state is that of everything before."""
    session = await talk(fs_store, 2)
    entries = await entries_of(fs_store, session.id)
    harm_line(log_path(tmp_path, session.id), 7)

    with pytest.raises(ss.Corrupt, match=rf"{session.id}\.jsonl: line 8, byte \d+, seq 7: ") as e:
        await ss.restore(fs_store, session.id)

    assert ss.collect_state(entries[:7]) == e.value.state


async def test_damage_in_the_first_record_leaves_no_state(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    session = await talk(fs_store, 1)
    harm_line(log_path(tmp_path, session.id), 0)

    with pytest.raises(ss.Corrupt) as damage:
        await ss.restore(fs_store, session.id)

    assert damage.value.state is None


async def test_a_fork_whose_parent_is_gone_is_not_found(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """The error names the parent that is missing."""
    parent = await talk(fs_store, 1)
    fork = await ss.fork(fs_store, parent.id)
    log_path(tmp_path, parent.id).unlink()

    with pytest.raises(ss.NotFound, match=parent.id):
        await ss.restore(fs_store, fork.id)


async def test_a_session_is_restored_while_it_grows(store: ss.Store) -> None:
    """What comes in behind the reading is not in the state, or wholly in it."""
    session = await talk(store, 1)
    writer = await ss.open_session(store, session.id)
    for _ in range(30):
        await writer.save_delta([user("a"), assistant("b")], durability="os")
        state = await ss.restore(store, session.id)
        assert writer.head == state.head
