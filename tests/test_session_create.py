"""Beginning sessions, opening them, and everything that a handle saves."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import frozen
from session_tools import assistant, call, entries_of, result, usage, user

import session_store as ss
from session_store.testing.story import ROOT

PROMPT = ss.SessionStartState("be brief", {"model": "m"}, [user("before")], {"team": "a"})


async def test_a_session_begins_with_what_it_was_given(store: ss.Store) -> None:
    """Prompt, config, history and labels come back from the log alone."""
    session = await ss.create_session(store, PROMPT)

    state = await ss.restore(store, session.id)

    assert ("be brief", {"model": "m"}) == (state.system_prompt, state.config)
    assert ([user("before")], {"team": "a"}) == (state.history, state.labels)
    assert (session.head, [session.head], 0) == (state.head, state.turns, state.turn_count)
    assert ss.SessionOrigin() == state.origin


async def test_an_empty_session_is_whole(store: ss.Store) -> None:
    """One record, session_start, and a state without anything in it."""
    session = await ss.create_session(store)

    state = await ss.restore(store, session.id)

    assert (0, [], None, None) == (state.head.seq, state.history, state.config, state.system_prompt)
    assert ["session_start"] == [entry.kind for entry in await entries_of(store, session.id)]


async def test_an_id_can_be_reserved_before_the_session_begins(store: ss.Store) -> None:
    """The id is taken from then on; what is there stays as it is."""
    session_id = ss.new_session_id()
    session = await ss.create_session_with_id(store, session_id, PROMPT)

    with pytest.raises(ss.AlreadyExists, match=session_id):
        await ss.create_session_with_id(store, session_id)

    assert session_id == session.id
    assert "be brief" == (await ss.restore(store, session_id)).system_prompt


@pytest.mark.parametrize("bad", ["", "../x", "0" * 36, ROOT.upper(), 7])
async def test_only_a_canonical_id_names_a_session(store: ss.Store, bad: Any) -> None:
    """Nothing else reaches a path, whichever call it comes in through."""
    position = ss.Position(bad, 0, ss.EntryHash(bytes(32)))
    for attempt in (
        ss.create_session_with_id(store, bad),
        ss.open_session(store, bad),
        ss.restore(store, bad),
        ss.fork_at(store, bad, None),
        ss.flatten(store, bad),
        ss.verify(store, bad),
        ss.salvage(store, bad),
        ss.delete(store, bad),
        ss.origin(store, bad),
        ss.children(store, bad),
        ss.create_compacted_session(store, ss.SessionStartState(), position),
    ):
        with pytest.raises(ss.InvalidId, match="lower-case UUIDv7"):
            await attempt


async def test_a_key_finds_the_session_that_was_created_with_it(store: ss.Store) -> None:
    """A second session under the key is refused, and the error names the first."""
    session = await ss.create_session(store, key="ticket:1")

    with pytest.raises(ss.AlreadyExists) as refused:
        await ss.create_session(store, key="ticket:1")

    assert session.id == await store.find("ticket:1") == refused.value.session_id
    assert await store.find("ticket:2") is None


async def test_a_compacted_session_names_its_source(store: ss.Store) -> None:
    """Its history is the short one; the source is information, not history."""
    source = await ss.create_session(store, PROMPT)
    await source.save_delta([user("long"), assistant("longer")])
    short = ss.SessionStartState("be brief", history=[user("in short")])

    compacted = await ss.create_compacted_session(store, short, source.head)

    state = await ss.restore(store, compacted.id)
    assert ss.SessionOrigin(compacted_from=source.head) == state.origin
    assert [user("in short")] == state.history
    assert [] == await ss.ancestors(store, compacted.id)


@pytest.mark.parametrize("seq", [0, 99])
async def test_a_session_cannot_be_compacted_from_what_is_not_there(
    store: ss.Store, seq: int
) -> None:
    """A record of another hash is another record: NotFound, and no session."""
    source = await ss.create_session(store)
    wrong = ss.Position(source.id, seq, ss.EntryHash(bytes(32)))

    with pytest.raises(ss.NotFound, match=source.id):
        await ss.create_compacted_session(store, ss.SessionStartState(), wrong)

    assert [source.id] == [info.session_id for info in await store.list()]


async def test_a_first_history_of_any_length_restores(store: ss.Store) -> None:
    """What one line cannot hold goes on in records of the same append."""
    history = [user("x" * 6_000_000 + str(n)) for n in range(4)]
    session = await ss.create_session(store, ss.SessionStartState(history=history))

    found = await entries_of(store, session.id)

    assert history == (await ss.restore(store, session.id)).history
    assert [4, 3, 2, 1, 0] == [entry.batch for entry in found]
    assert {"session_start", "history_continued"} == {entry.kind for entry in found}


@frozen
class Saved:
    """A call of the handle, and what it leaves in the log and in the state."""

    save: Callable[[ss.Session], Awaitable[object]]
    kinds: tuple[str, ...]
    restored: Callable[[ss.RestoredState], object]
    expected: object


ITEMS = [user("q"), call("1"), call("2"), result("1"), result("2"), assistant("a"), {"x": 1}]
KINDS = ("user_input", "assistant_items", "tool_results", "assistant_items", "hook_injected_items")
SAVED = {
    "delta": Saved(lambda s: s.save_delta(ITEMS), KINDS, lambda r: r.history, ITEMS),
    "empty delta": Saved(lambda s: s.save_delta([]), (), lambda r: r.history, []),
    "run started": Saved(
        lambda s: s.save_run_started("user"),
        ("run_started",),
        lambda r: (r.last_run_interrupted, r.open_run is not None),
        (True, True),
    ),
    "turn end": Saved(
        lambda s: s.save_turn_end(3), ("turn_end",), lambda r: (r.turn_count, len(r.turns)), (3, 2)
    ),
    "usage": Saved(
        lambda s: s.save_usage(usage(7)), ("llm_usage",), lambda r: r.usage_history, [usage(7)]
    ),
    "run completed": Saved(
        lambda s: s.save_run_completed("paused", interrupted=True),
        ("run_completed",),
        lambda r: (r.last_run_interrupted, r.open_run),
        (True, None),
    ),
    "run errored": Saved(
        lambda s: s.save_run_errored("boom"),
        ("run_errored",),
        lambda r: (r.last_run_interrupted, r.open_run),
        (False, None),
    ),
    "config": Saved(
        lambda s: s.save_config_changed({"model": "n"}),
        ("config_changed",),
        lambda r: r.config,
        {"model": "n"},
    ),
    "extension": Saved(
        lambda s: s.save_extension("mine", [None, 1]),
        ("extension",),
        lambda r: r.extensions,
        [("mine", [None, 1])],
    ),
    "extension of nothing": Saved(
        lambda s: s.save_extension("mine", None),
        ("extension",),
        lambda r: r.extensions,
        [("mine", None)],
    ),
    "labels": Saved(
        lambda s: s.save_labels({"a": 1}), ("labels_changed",), lambda r: r.labels, {"a": 1}
    ),
    "unknown kind": Saved(
        lambda s: s.append(ss.UnknownEntry("x.later", {"y": 1})),
        ("x.later",),
        lambda r: dict(r.unknown_kinds),
        {"x.later": 1},
    ),
}


@pytest.mark.parametrize("case", SAVED.values(), ids=SAVED)
async def test_what_is_saved_is_restored(store: ss.Store, case: Saved) -> None:
    """Each call leaves its kinds in the log, moves the head, and comes back in the state."""
    session = await ss.create_session(store)
    await case.save(session)

    state = await ss.restore(store, session.id)

    assert case.kinds == tuple(e.kind for e in (await entries_of(store, session.id))[1:])
    assert case.expected == case.restored(state)
    assert session.head == state.head


@pytest.mark.parametrize("durability", ["disk", "os"])
async def test_every_save_takes_a_level_and_says_what_was_reached(
    fs_store: ss.FsStore, durability: Any
) -> None:
    """The receipt names the record and the level."""
    session = await ss.create_session(fs_store)
    for save in (
        session.save_delta([user("x")], durability=durability),
        session.save_run_started("user", durability=durability),
        session.save_turn_end(1, durability=durability),
        session.save_usage(usage(), durability=durability),
        session.save_run_completed("finished", durability=durability),
        session.save_run_errored("boom", durability=durability),
        session.save_config_changed({}, durability=durability),
        session.save_extension("x", 1, durability=durability),
        session.save_labels({"x": 1}, durability=durability),
    ):
        receipt = await save
        assert (session.head, durability) == (receipt.position, receipt.level)


async def test_a_caller_s_own_items_are_classified_by_the_caller(store: ss.Store) -> None:
    """None from the classifier leaves an item to the built-in shapes."""

    def own(item: Any) -> ss.ItemClass | None:
        return ss.ItemClass.ASSISTANT if "mine" in item else None

    session = await ss.create_session(store, classifier=own)
    await session.save_delta([{"mine": 1}, user("q")])

    assert ["assistant_items", "user_input"] == [
        entry.kind for entry in (await entries_of(store, session.id))[1:]
    ]


async def test_an_append_of_nothing_is_misuse(store: ss.Store) -> None:
    session = await ss.create_session(store)

    with pytest.raises(ValueError, match="at least one"):
        await session.append()


BAD_ENTRIES: dict[str, ss.LogEntry] = {
    "items are no list of objects": ss.UserInput(["text"]),
    "a turn of half": ss.TurnEnd(1.5),  # type: ignore[arg-type]
    "a true count": ss.LlmUsage(True, 1),
    "no kind": ss.UnknownEntry("Not A Kind", {}),
    "no JSON": ss.Extension("x", {1, 2}),
}


@pytest.mark.parametrize("entry", BAD_ENTRIES.values(), ids=BAD_ENTRIES)
async def test_what_could_not_be_restored_is_not_written(
    store: ss.Store, entry: ss.LogEntry
) -> None:
    """A typed error before anything is in the log."""
    session = await ss.create_session(store)

    with pytest.raises((TypeError, ValueError)):
        await session.append(user_input(), entry)

    assert 0 == (await store.head(session.id)).seq


def user_input() -> ss.UserInput:
    return ss.UserInput([user("x")])


async def test_a_handle_is_opened_on_the_head(store: ss.Store) -> None:
    """It goes on where the log ends; no such session is NotFound."""
    first = await ss.create_session(store)
    second = await ss.open_session(store, first.id)

    await second.save_delta([user("x")])

    assert second.head == await store.head(first.id)
    with pytest.raises(ss.NotFound):
        await ss.open_session(store, ss.new_session_id())


async def test_a_handle_on_a_restored_state_is_refused_once_the_log_went_on(
    store: ss.Store,
) -> None:
    """What happened between restore and open is not overlooked."""
    session = await ss.create_session(store)
    state = await ss.restore(store, session.id)
    await session.save_delta([user("meanwhile")])

    late = await ss.open_session(store, session.id, head=state.head)

    with pytest.raises(ss.HeadMismatch, match=f"{session.id}: expected head .*seq 0"):
        await late.save_delta([user("x")])


async def test_a_closed_handle_appends_nothing(store: ss.Store) -> None:
    session = await ss.create_session(store)
    await session.close()

    for attempt in (session.save_delta([user("x")]), session.ensure_head_or_fork()):
        with pytest.raises(ss.Closed, match=session.id):
            await attempt


async def test_a_handle_outlives_its_store_only_to_say_so(tmp_path: Any) -> None:
    """Every call on a closed store is Closed, never a traceback of something else."""
    store = await ss.open_store(tmp_path)
    session = await ss.create_session(store)
    await store.close()

    for attempt in (
        session.save_delta([user("x")]),
        session.save_delta([user("x")], durability="os"),
        session.flush(),
        session.ensure_head_or_fork(),
        anext(session.follow(0)),
        ss.restore(store, session.id),
        ss.open_session(store, session.id),
        ss.create_session(store),
        ss.fork_at(store, session.id, None),
        ss.flatten(store, session.id),
        ss.delete(store, session.id),
        ss.verify(store, session.id),
        ss.salvage(store, session.id),
        ss.tree(store),
        store.find("x"),
        store.list(),
        store.children(session.id),
        ss.TraceReader(store, session.id).entries().__anext__(),
    ):
        with pytest.raises(ss.Closed):
            await attempt
