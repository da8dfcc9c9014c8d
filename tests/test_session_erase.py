"""Erasing entries of sessions: chosen in any way, given out as their replacement, gone from copies too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from session_tools import add_turn, assistant, harm_line, log_path, talk, texts, user

import session_store as ss
from session_store import blocking

SECRET = "hunter2-hunter2"
ANSWER = {"items": [assistant("[withheld]")]}


async def told_secret(store: ss.Store, **start: Any) -> ss.Session:
    """Return a session of two turns; what the user says in the second is secret (seq 7)."""
    session = await talk(store, 1, **start)
    await session.save_delta([user(SECRET)])
    await session.save_delta([assistant("I see.")])
    await session.save_turn_end(2)
    return session


async def kinds(store: ss.Store, session_id: ss.SessionId) -> list[str]:
    return [entry.kind async for entry in ss.read_entries(store, session_id)]


async def found(store: ss.Store, session_id: ss.SessionId) -> list[tuple[str, int]]:
    report = await ss.verify(store, session_id, parse=True)
    assert report.level == "INTACT"
    return [(finding.what, finding.seq) for finding in report.findings]


async def raw(store: ss.Store, *ids: ss.SessionId) -> bytes:
    return b"".join([chunk for i in ids async for chunk in store.raw(i)])


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


# -- copies --------------------------------------------------------------------------------------


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
