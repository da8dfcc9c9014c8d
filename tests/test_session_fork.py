"""Forks: by reference and as copies, at any record, nested, with overrides."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen
from session_tools import add_turn, carried, entries_of, harm_line, log_path, talk, texts, user

import session_store as ss
from session_store.session.points import Point

COPY = {"by reference": False, "copy": True}
copies = pytest.mark.parametrize("copy", COPY.values(), ids=COPY)


def content(state: ss.RestoredState) -> dict[str, Any]:
    """Return what a fork has of its source, wherever its records lie."""
    return {
        **carried(state),
        "turns": len(state.turns),
        "interrupted": state.last_run_interrupted,
        "is_open": state.open_run is not None,
        "unknown": state.unknown_kinds,
    }


@copies
async def test_a_fork_begins_with_the_state_of_its_source_at_every_record(
    store: ss.Store, copy: bool
) -> None:
    """Records inside an append included; the source is not changed."""
    source = await talk(store, 2, config={"n": 1}, labels={"a": 1}, system_prompt="p")
    for entry in await entries_of(store, source.id):
        there = await ss.restore(store, source.id, at=entry.position)

        fork = await ss.fork_at(store, source.id, entry.position, copy=copy)

        state = await ss.restore(store, fork.id)
        assert content(there) == content(state)
        assert ss.SessionOrigin(entry.position, by_reference=not copy) == state.origin
        assert (fork.head, len(there.usage_history)) == (state.head, state.inherited_usage)
    assert source.head == await store.head(source.id)


@copies
async def test_a_fork_goes_its_own_way(store: ss.Store, copy: bool) -> None:
    """Neither sees what the other does."""
    source = await talk(store, 1)
    fork = await ss.fork(store, source.id, copy=copy)
    await add_turn(fork, 2)
    await add_turn(source, 3)

    assert ["question 1", "answer 1", "question 2", "answer 2"] == texts(
        await ss.restore(store, fork.id)
    )
    assert ["question 1", "answer 1", "question 3", "answer 3"] == texts(
        await ss.restore(store, source.id)
    )


@frozen
class Override:
    given: dict[str, Any]
    prompt: str | None = "p"
    config: Any = None
    labels: Any = None


OVERRIDES = {
    "nothing": Override({}),
    "prompt": Override({"system_prompt": "q"}, prompt="q"),
    "empty prompt": Override({"system_prompt": ""}, prompt=""),
    "config": Override({"config": {"n": 2}}, config={"n": 2}),
    "empty config": Override({"config": {}}, config={}),
    "labels": Override({"labels": {"b": 2, "a": None}}, labels={"b": 2}),
    "all": Override(
        {"system_prompt": "q", "config": {"n": 3}, "labels": {"a": 9}},
        prompt="q",
        config={"n": 3},
        labels={"a": 9},
    ),
}


@copies
@pytest.mark.parametrize("case", OVERRIDES.values(), ids=OVERRIDES)
async def test_a_fork_overrides_what_it_is_given(
    store: ss.Store, case: Override, copy: bool
) -> None:
    """What is not given is inherited; None takes a label away."""
    source = await talk(store, 1, config={"n": 1}, labels={"a": 1}, system_prompt="p")
    fork = await ss.fork(store, source.id, copy=copy, **case.given)

    state = await ss.restore(store, fork.id)

    assert (case.prompt, case.config if case.config is not None else {"n": 1}) == (
        state.system_prompt,
        state.config,
    )
    assert (case.labels or {"a": 1}) == state.labels
    assert ["question 1", "answer 1"] == texts(state)


@copies
async def test_forks_nest(store: ss.Store, copy: bool) -> None:
    """Each generation adds to what it inherited, overrides included."""
    session = await talk(store, 1, system_prompt="0")
    for number in range(2, 12):
        session = await ss.fork(
            store, session.id, copy=copy, system_prompt=f"{number}", labels={f"{number}": True}
        )
        await add_turn(session, number)

    state = await ss.restore(store, session.id)

    assert [f"question {n}" for n in range(1, 12)] == texts(state)[::2]
    assert ("11", 11, 10) == (state.system_prompt, state.turn_count, len(state.labels))
    assert (11, sum(range(1, 11)) + 11) == (
        state.own_usage.output_tokens,
        state.total_usage.output_tokens,
    )


async def test_a_fork_at_an_inherited_record_refers_to_the_log_that_owns_it(
    store: ss.Store,
) -> None:
    """However deep: it is the grandparent's child, and lives when the middle one is deleted."""
    root = await talk(store, 2)
    middle = await ss.fork(store, root.id)
    leaf = await ss.fork(store, middle.id)
    turns = (await ss.restore(store, leaf.id)).turns

    fork = await ss.fork_at(store, leaf.id, turns[1])

    assert [turns[1]] == await ss.ancestors(store, fork.id)
    assert {middle.id, fork.id} == set(await ss.children(store, root.id))
    await ss.delete(store, middle.id, with_forks=True)
    assert 1 == (await ss.restore(store, fork.id)).turn_count


UNKNOWN: dict[str, Point] = {
    "seq": 99,
    "hash": bytes(32),
    "turn": ss.Turn(9),
    "position": ss.Position(ss.new_session_id(), 0, ss.EntryHash(bytes(32))),
}


@copies
@pytest.mark.parametrize("point", UNKNOWN.values(), ids=UNKNOWN)
async def test_an_unknown_point_makes_no_fork(store: ss.Store, point: Point, copy: bool) -> None:
    """It is NotFound, never the end of the source."""
    source = await talk(store, 1)

    with pytest.raises(ss.NotFound):
        await ss.fork_at(store, source.id, point, copy=copy)

    assert [source.id] == [info.session_id for info in await store.list()]


@copies
async def test_a_record_of_another_hash_is_no_point(store: ss.Store, copy: bool) -> None:
    """Another record stands at that seq: the caller's view of the log is not the log."""
    source = await talk(store, 1)
    wrong = evolve(source.head, seq=source.head.seq - 1)

    with pytest.raises(ss.NotFound):
        await ss.fork_at(store, source.id, wrong, copy=copy)


async def test_turn_zero_is_right_after_the_start(store: ss.Store) -> None:
    """A first history is inherited, a first question is not."""
    source = await talk(store, 1, history=[user("before")])

    fork = await ss.fork_at(store, source.id, ss.Turn(0))

    assert ["before"] == texts(await ss.restore(store, fork.id))


async def test_a_turn_that_ended_twice_is_its_later_end(store: ss.Store) -> None:
    source = await talk(store, 1)
    await source.save_delta([user("more")])
    await source.save_turn_end(1)

    fork = await ss.fork_at(store, source.id, ss.Turn(1))

    assert ["question 1", "answer 1", "more"] == texts(await ss.restore(store, fork.id))


async def test_a_hundred_forks_at_once(store: ss.Store) -> None:
    """Made and written to by a hundred tasks, all are there and hold."""
    source = await talk(store, 2)
    turn = (await ss.restore(store, source.id)).turns[1]

    async def branch(number: int) -> ss.Session:
        fork = await ss.fork_at(store, source.id, turn, durability="os")
        await fork.save_delta([user(f"branch {number}")], durability="os")
        return fork

    forks = await asyncio.gather(*(branch(number) for number in range(100)))

    base = await ss.restore(store, source.id, at=turn)
    assert sorted(fork.id for fork in forks) == list(await ss.children(store, source.id))
    for number, fork in enumerate(forks):
        state = await ss.restore(store, fork.id, base=base)
        assert ["question 1", "answer 1", f"branch {number}"] == texts(state)


async def test_forking_costs_a_few_reads_however_long_the_source(store: ss.Store) -> None:
    """By a position the source is bisected, not read."""
    source = await ss.create_session(store)
    for _ in range(40):
        await source.append(*[ss.Extension("x", "y" * 10_000)] * 40, durability="os")
    points = [entry.position for entry in await entries_of(store, source.id)][::400]
    core = store.core  # type: ignore[attr-defined]
    size = (await store.list())[0].size
    read = 0
    inner = core.files.read

    def counted(file: Any, length: int, offset: int) -> bytes:
        nonlocal read
        data: bytes = inner(file, length, offset)
        read += len(data)
        return data

    core.files.read = counted
    for point in points:
        await ss.fork_at(store, source.id, point)

    assert read / len(points) < size / 8, f"{read} bytes read of a log of {size}"


@pytest.mark.parametrize("harmed", range(1, 13))
async def test_every_record_before_the_damage_can_be_forked(
    fs_store: ss.FsStore, tmp_path: Path, harmed: int
) -> None:
    """By position, hash and turn; the fork holds, though its source does not."""
    source = await talk(fs_store, 2)
    entries = await entries_of(fs_store, source.id)
    ends = [e.seq for e in entries if e.batch == 0 and e.seq < harmed]
    harm_line(log_path(tmp_path, source.id), harmed)

    for entry in entries[: ends[-1] + 1]:
        for point in (entry.position, bytes(entry.hash)):
            fork = await ss.fork_at(fs_store, source.id, point)
            state = await ss.restore(fs_store, fork.id)
            assert entry.seq + 2 == state.entries_count
            assert [] == (await ss.verify(fs_store, fork.id)).problems
        copy = await ss.fork_at(fs_store, source.id, entry.position, copy=True)
        assert content(state) == content(await ss.restore(fs_store, copy.id))


async def test_damage_behind_a_fork_point_does_not_touch_the_fork(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """It stands on whole appends of its parent, up to the one it was forked in."""
    source = await talk(fs_store, 2)
    entries = await entries_of(fs_store, source.id)
    forks = [await ss.fork_at(fs_store, source.id, entry.position) for entry in entries[:-1]]
    for number, fork in reversed(list(enumerate(forks))):
        if entries[number].batch == 0:
            harm_line(log_path(tmp_path, source.id), number + 1)

        state = await ss.restore(fs_store, fork.id)
        report = await ss.verify(fs_store, fork.id)

        assert (number + 2, "INTACT", []) == (state.entries_count, report.level, report.problems)


async def test_damage_before_a_fork_point_breaks_the_fork(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """The error names the parent's file; the state before the damage comes along."""
    source = await talk(fs_store, 1)
    fork = await ss.fork(fs_store, source.id)
    harm_line(log_path(tmp_path, source.id), 5)

    with pytest.raises(ss.Corrupt, match=f"{source.id}.jsonl: line 6") as damage:
        await ss.restore(fs_store, fork.id)

    assert ["question 1", "answer 1"] == texts(damage.value.state)  # type: ignore[arg-type]
    assert (await ss.verify(fs_store, fork.id)).level is None
