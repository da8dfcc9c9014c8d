"""Erasing entries of sessions: chosen in any way, given out as their replacement, gone from copies too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from session_tools import SECRET, add_turn, assistant, found, raw, talk, texts, told_secret, user

import session_store as ss
from session_store import blocking

ANSWER = {"items": [assistant("[withheld]")]}


async def kinds(store: ss.Store, session_id: ss.SessionId) -> list[str]:
    return [entry.kind async for entry in ss.read_entries(store, session_id)]


async def test_an_entry_is_gone_and_the_session_lives_on(store: ss.Store) -> None:
    """Restored without it, and appended to by the handle that was open."""
    session = await told_secret(store)
    done = await ss.erase(store, session.id, 7, reason="leak", by="me")
    assert ([7], 10) == ([p.seq for p in done.erased], done.receipt.seq)
    assert ([], []) == (done.copies, done.unsearched)
    state = await ss.restore(store, session.id)
    assert ["question 1", "answer 1", "I see."] == texts(state)
    assert [7] == [p.seq for p in state.withheld]
    assert [("erased", 7)] == await found(store, session.id)
    assert SECRET.encode() not in await raw(store, session.id)
    await session.save_turn_end(3)


WAYS: dict[str, Callable[[ss.Position], Any]] = {
    "seq": lambda at: at.seq,
    "position": lambda at: at,
    "hash": lambda at: bytes(at.hash),
    "range": lambda at: range(at.seq, at.seq + 1),
    "range beyond the end": lambda at: range(at.seq, 10_000, 1_000),
    "range backwards": lambda at: range(at.seq, at.seq - 1, -1),
    "predicate": lambda _: lambda entry: SECRET in str(entry.body),
}


@pytest.mark.parametrize("way", WAYS)
async def test_entries_are_chosen_in_any_way(store: ss.Store, way: str) -> None:
    session = await told_secret(store)
    at = await store.position(session.id, 7)
    done = await ss.erase(store, session.id, WAYS[way](at), reason="leak")
    assert [at] == list(done.erased)


async def test_ranges_and_predicates_pass_over_what_is_never_erased(store: ss.Store) -> None:
    """And over what is erased already; named alone, it is refused."""
    session = await told_secret(store)
    await ss.erase(store, session.id, 7, reason="leak")
    done = await ss.erase(store, session.id, range(6, 100), reason="leak")
    assert [6, 8, 9] == [p.seq for p in done.erased]
    again = await ss.erase(store, session.id, lambda e: e.seq > 5, reason="leak")
    assert ([], None) == (again.erased, again.receipt)
    assert 12 == (await store.head(session.id)).seq + 1
    with pytest.raises(ss.NotErasable):
        await ss.erase(store, session.id, 10, reason="leak")


@pytest.mark.parametrize("nothing", [range(0), range(50, 60), range(10, 11), lambda _: False])
async def test_to_choose_nothing_is_an_error(store: ss.Store, nothing: Any) -> None:
    session = await told_secret(store)
    await ss.erase(store, session.id, 7, reason="leak")
    with pytest.raises(ss.NotFound, match="no entry there"):
        await ss.erase(store, session.id, nothing, reason="leak")


async def test_what_names_no_entry_is_refused(store: ss.Store) -> None:
    session = await told_secret(store)
    other = await talk(store, 1)
    for wrong in (99, bytes(32), other.head, ss.Turn(9)):
        with pytest.raises(ss.NotFound):
            await ss.erase(store, session.id, wrong, reason="leak")
    for wrong in (True, "7"):
        with pytest.raises(TypeError):
            await ss.erase(store, session.id, wrong, reason="leak")
    with pytest.raises(ValueError, match="count from 0"):
        await ss.erase(store, session.id, range(-1, 3), reason="leak")


async def test_one_replacement_may_stand_for_many(store: ss.Store) -> None:
    session = await told_secret(store)
    await session.save_delta([user(SECRET)])
    replacement = {"items": [user("gone")]}
    await ss.erase(
        store,
        session.id,
        lambda entry: entry.kind == "user_input",
        reason="leak",
        replacement=replacement,
    )
    assert 3 == texts(await ss.restore(store, session.id)).count("gone")


async def test_a_replacement_is_replayed(store: ss.Store) -> None:
    """It must be a body of the kind; what it leaves out is written down as its absence means."""
    session = await told_secret(store)
    for wrong in ({"items": "text"}, {"item": []}, {"items": [1]}):
        with pytest.raises(ss.InvalidInput, match="replacement: no body of a user_input"):
            await ss.erase(store, session.id, 7, reason="leak", replacement=wrong)
    replacement = {"items": [user("[withheld]")]}
    await ss.erase(store, session.id, 7, reason="leak", replacement=replacement)
    expected = ["question 1", "answer 1", "[withheld]", "I see."]
    assert expected == texts(await ss.restore(store, session.id))
    await session.save_run_completed(SECRET)
    await ss.erase(store, session.id, 11, reason="leak", replacement={"result": "done"})
    state = await ss.restore(store, session.id)
    assert (False, 2) == (state.last_run_interrupted, len(state.withheld))


async def test_an_erased_beginning_leaves_a_session_that_can_be_restored(store: ss.Store) -> None:
    """Without its prompt and history, or with what is given instead; forks of it likewise."""
    session = await told_secret(store, system_prompt=SECRET, history=[user(SECRET)])
    fork = await ss.fork(store, session.id)
    await ss.erase(store, session.id, 0, reason="leak")
    for one in (session.id, fork.id):
        state = await ss.restore(store, one)
        assert (None, "question 1") == (state.system_prompt, texts(state)[0])
    replacement = {"system_prompt": "Be brief.", "history": []}
    done = await ss.erase(store, session.id, 0, reason="leak", replacement=replacement)
    assert [0] == [p.seq for p in done.erased]
    assert "Be brief." == (await ss.restore(store, fork.id)).system_prompt
    assert [("erased", 0)] == await found(store, session.id)


async def test_an_inherited_entry_is_erased_in_the_log_that_owns_it(store: ss.Store) -> None:
    """Through any fork; all of its forks see it at once."""
    session = await told_secret(store)
    forks = [await ss.fork(store, session.id) for _ in range(2)]
    grandchild = await ss.fork(store, forks[0].id)
    target = await store.position(session.id, 7)
    done = await ss.erase(store, grandchild.id, target, reason="leak")
    assert (session.id, [target]) == (done.receipt.session_id, list(done.erased))
    for one in (session, *forks, grandchild):
        assert SECRET not in texts(await ss.restore(store, one.id))
        assert [("erased", 7)] == await found(store, one.id)
    assert ["session_start"] == await kinds(store, grandchild.id)


async def test_events_of_the_turns_go_on_request(store: ss.Store) -> None:
    """Of the turn that ends behind the entry, or has not ended."""
    session = await told_secret(store)
    await session.save_delta([user(SECRET + "3")])
    for turn in (1, 2, 3):
        writer = ss.TraceWriter(store, session.id, turn)
        writer.event({"delta": f"event {turn}"})
        await writer.flush()
    await ss.erase(store, session.id, 7, reason="leak")
    expected = ["event 1", "event 2", "event 3"]
    assert expected == await events(store, session.id)
    for seq, left in ((7, ["event 1", "event 3"]), (10, ["event 1"]), (2, [])):
        await ss.erase(
            store, session.id, seq, reason="leak", with_trace=True, replacement={"items": []}
        )
        assert left == await events(store, session.id)


async def events(store: ss.Store, session_id: ss.SessionId) -> list[str]:
    reader = ss.TraceReader(store, session_id)
    found = [entry.data async for entry in reader.entries() if entry.kind == "stream_event"]
    assert [] == reader.damage
    return [event["delta"] for event in found]


def test_the_same_without_await(tmp_path: Path) -> None:
    with blocking.open_store(tmp_path / "store") as store:
        session = blocking.create_session(store)
        session.save_delta([user(SECRET)])
        done = blocking.erase(store, session.id, 1, reason="leak", replacement=ANSWER)
        assert [1] == [p.seq for p in done.erased]
        store.erase(session.id, [done.erased[0]], reason="again")
        assert ["[withheld]"] == texts(blocking.restore(store, session.id))


async def test_two_turns_of_talk_go_on_after_all_of_it_was_erased(store: ss.Store) -> None:
    """Every record of a session, one by one; it is still a session."""
    session = await told_secret(store)
    for seq in range(10):
        await ss.erase(store, session.id, seq, reason="leak")
    state = await ss.restore(store, session.id)
    assert ([], 10) == (state.history, len(state.withheld))
    await add_turn(session, 3)
    assert ["question 3", "answer 3"] == texts(await ss.restore(store, session.id))
