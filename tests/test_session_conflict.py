"""Several writers: lost races, zombies, shared handles, retries, and going on as a fork."""

import asyncio
from pathlib import Path

import pytest
from attrs import evolve
from session_tools import (
    add_turn,
    carried,
    entries_of,
    harm_line,
    log_path,
    talk,
    texts,
    usage,
    user,
)

import session_store as ss
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import OpenFile
from session_store.stores.memory import MemoryFiles


async def two_handles(store: ss.Store) -> tuple[ss.Session, ss.Session]:
    first = await talk(store, 1)
    return first, await ss.open_session(store, first.id)


async def test_the_slower_of_two_writers_is_told(store: ss.Store) -> None:
    """HeadMismatch carries both heads; nothing of the slower one is in the log."""
    fast, slow = await two_handles(store)
    await fast.save_delta([user("fast")])

    with pytest.raises(ss.HeadMismatch) as lost:
        await slow.save_delta([user("slow")])

    assert fast.head == await store.head(fast.id)
    assert f"(seq {slow.head.seq}, hash {slow.head.hash.hex()[:12]})" == lost.value.expected
    assert f"(seq {fast.head.seq}, hash {fast.head.hash.hex()[:12]})" == lost.value.actual


async def test_every_save_checks_the_head(store: ss.Store) -> None:
    """None of them interleaves what a zombie has to say."""
    fast, slow = await two_handles(store)
    await fast.save_delta([user("fast")])
    for save in (
        slow.save_delta([user("x")]),
        slow.save_run_started("user"),
        slow.save_turn_end(2),
        slow.save_usage(usage()),
        slow.save_run_completed("finished"),
        slow.save_run_errored("boom"),
        slow.save_config_changed({}),
        slow.save_extension("x", 1),
        slow.append(ss.TurnEnd(2), durability="os"),
    ):
        with pytest.raises(ss.HeadMismatch):
            await save

    assert fast.head == await store.head(fast.id)


async def test_labels_of_another_writer_make_no_head_stale(store: ss.Store) -> None:
    """Maintenance stands beside the conversation."""
    writer, operator = await two_handles(store)
    await operator.save_labels({"a": 1})
    await writer.save_delta([user("x")])
    await operator.save_labels({"b": 2})

    assert await writer.ensure_head_or_fork() is None
    state = await ss.restore(store, writer.id)
    assert ({"a": 1, "b": 2}, "x") == (state.labels, texts(state)[-1])


async def test_setting_a_label_does_not_let_a_zombie_in(store: ss.Store) -> None:
    """The label is set; the handle still knows only what it has seen."""
    fast, zombie = await two_handles(store)
    await fast.save_delta([user("fast")])
    await zombie.save_labels({"a": 1})

    with pytest.raises(ss.HeadMismatch):
        await zombie.save_delta([user("late")])
    assert await zombie.ensure_head_or_fork() is not None


async def test_a_handle_whose_head_is_the_log_s_stays(store: ss.Store) -> None:
    """ensure_head_or_fork does nothing, and says so."""
    session = await talk(store, 1)

    assert await session.ensure_head_or_fork() is None
    assert [session.id] == [info.session_id for info in await store.list()]


async def test_the_slower_writer_goes_on_as_a_fork_by_reference(store: ss.Store) -> None:
    """At its own head, its lineage recorded; the winner's log stays as it is."""
    fast, slow = await two_handles(store)
    source, own = slow.id, slow.head
    await fast.save_delta([user("fast")])

    assert own == await slow.ensure_head_or_fork()
    await slow.save_delta([user("slow")])

    state = await ss.restore(store, slow.id)
    assert ss.SessionOrigin(own, by_reference=True) == state.origin
    assert ["question 1", "answer 1", "slow"] == texts(state)
    assert ([slow.id], fast.head) == (list(await store.children(source)), await store.head(source))


@pytest.mark.parametrize("turn", [1, 2])
async def test_a_handle_restored_in_the_inherited_part_goes_on_as_a_fork_there(
    store: ss.Store, turn: int
) -> None:
    """Its head is a record of the parent, perhaps its last; the fork is the parent's child."""
    parent = await talk(store, 2)
    child = await ss.fork(store, parent.id)
    state = await ss.restore(store, child.id, at=ss.Turn(turn))
    handle = await ss.open_session(store, child.id, head=state.head)
    with pytest.raises(ss.HeadMismatch):
        await handle.save_delta([user("x")])

    assert state.head == await handle.ensure_head_or_fork()

    assert turn == (await ss.restore(store, handle.id)).turn_count
    assert [state.head] == await ss.ancestors(store, handle.id)


async def lost_head(store: ss.FsStore, root: Path) -> tuple[ss.Session, ss.RestoredState]:
    """Return a handle whose head its log does not hold any more, and its state."""
    session = await talk(store, 2, system_prompt="p", config={"n": 1}, labels={"a": 1})
    await session.save_extension("mine", [1])
    state = await ss.restore(store, session.id)
    path = log_path(root, session.id)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:5]))
    return session, state


async def test_a_head_that_the_log_lost_is_copied_from_the_state(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """All of the state is in the new session, its source named, its usage inherited."""
    session, state = await lost_head(fs_store, tmp_path)
    own = session.head

    assert own == await session.ensure_head_or_fork(state)
    await session.save_usage(usage(7))

    copied = await ss.restore(fs_store, session.id)
    assert carried(state) == carried(evolve(copied, usage_history=copied.usage_history[:-1]))
    assert (ss.SessionOrigin(own), 7) == (copied.origin, copied.own_usage.output_tokens)


async def test_a_head_that_the_log_lost_needs_a_state(fs_store: ss.FsStore, tmp_path: Path) -> None:
    session, _ = await lost_head(fs_store, tmp_path)

    with pytest.raises(ss.HeadMismatch, match=f"{session.id}: expected head .*found"):
        await session.ensure_head_or_fork()


@pytest.mark.parametrize("lost", ["deleted", "damaged"])
async def test_a_log_that_is_gone_is_replaced_by_a_copy_of_the_state(
    fs_store: ss.FsStore, tmp_path: Path, lost: str
) -> None:
    """Deleted, or damaged before the head: the error without a state, the copy with one."""
    session = await talk(fs_store, 2)
    state = await ss.restore(fs_store, session.id)
    if lost == "deleted":
        await ss.delete(fs_store, session.id)
    else:
        harm_line(log_path(tmp_path, session.id), state.head.seq)

    with pytest.raises((ss.NotFound, ss.Corrupt), match=session.id):
        await session.ensure_head_or_fork()
    await session.ensure_head_or_fork(state)

    assert carried(state) == carried(await ss.restore(fs_store, session.id))


async def test_a_fork_keeps_the_handle_s_classifier_and_sharing(store: ss.Store) -> None:
    """What the handle was opened with goes along."""
    session = await talk(store, 1)
    slow = await ss.open_session(
        store, session.id, classifier=lambda _: ss.ItemClass.OTHER, head=session.head
    )
    await session.save_delta([user("fast")])
    await slow.ensure_head_or_fork()

    await slow.save_delta([user("x")])

    assert "hook_injected_items" == (await entries_of(store, slow.id))[-1].kind


async def test_shared_handles_append_after_whatever_is_last(store: ss.Store) -> None:
    """Of two writers both are heard, each append whole."""
    session = await ss.create_session(store, shared=True)
    other = await ss.open_session(store, session.id, shared=True)
    for number in range(5):
        await session.save_delta([user(f"a{number}")])
        await other.save_delta([user(f"b{number}")])

    state = await ss.restore(store, session.id)

    assert [f"{who}{n}" for n in range(5) for who in "ab"] == texts(state)


async def test_one_append_may_go_after_whatever_is_last(store: ss.Store) -> None:
    """expected=ANY for this append alone."""
    fast, slow = await two_handles(store)
    await fast.save_delta([user("fast")])

    receipt = await slow.append(ss.UserInput([user("anyway")]), expected=ss.ANY)

    assert receipt.position == await store.head(slow.id)


async def test_one_append_may_name_its_head(store: ss.Store) -> None:
    """An older handle goes on from a head that was read elsewhere."""
    fast, slow = await two_handles(store)
    await fast.save_delta([user("fast")])

    await slow.append(ss.TurnEnd(2), expected=fast.head)
    await slow.save_delta([user("on")])

    assert slow.head == await store.head(slow.id)


async def test_two_tasks_share_a_handle_without_racing(store: ss.Store) -> None:
    """Their appends are whole, in the order of the calls."""
    session = await ss.create_session(store)
    saves = [session.save_delta([user(f"{n}a"), user(f"{n}b")]) for n in range(40)]

    receipts = await asyncio.gather(*saves)

    assert [f"{n}{half}" for n in range(40) for half in "ab"] == texts(
        await ss.restore(store, session.id)
    )
    assert list(range(2, 82, 2)) == [r.seq for r in receipts if r is not None]


async def test_drafts_are_written_once_however_often_they_are_appended(store: ss.Store) -> None:
    """Again, after others have written, by another handle: the first receipt comes back."""
    session, other = await two_handles(store)
    drafts = session.draft(ss.UserInput([user("once")]), ss.TurnEnd(2))
    first = await session.append_drafts(drafts)
    await session.save_delta([user("behind")])
    head = session.head

    again = await session.append_drafts(drafts)
    elsewhere = await other.append_drafts(drafts)

    assert (first, first, head) == (again, elsewhere, await store.head(session.id))


async def test_equal_content_is_written_again_when_it_is_drafted_again(store: ss.Store) -> None:
    """A retry is told from a repetition by its drafts."""
    session = await ss.create_session(store)
    await session.save_delta([user("twice")])
    await session.save_delta([user("twice")])

    assert ["twice", "twice"] == texts(await ss.restore(store, session.id))


async def test_drafts_that_lost_the_race_are_still_unwritten(store: ss.Store) -> None:
    """After HeadMismatch the same drafts go behind the new head, once."""
    fast, slow = await two_handles(store)
    drafts = slow.draft(ss.UserInput([user("slow")]))
    await fast.save_delta([user("fast")])
    with pytest.raises(ss.HeadMismatch):
        await slow.append_drafts(drafts)

    receipts = [await slow.append_drafts(drafts, expected=ss.ANY) for _ in range(2)]

    assert receipts[0] == receipts[1]
    assert ["fast", "slow"] == texts(await ss.restore(store, slow.id))[-2:]


@pytest.mark.parametrize("waits", range(4))
async def test_a_cancelled_append_is_retried_without_doubt(
    fs_store: ss.FsStore, waits: int
) -> None:
    """Whether it was written or not, the drafts are there once, and the handle goes on."""
    session = await ss.create_session(fs_store)
    drafts = session.draft(ss.UserInput([user("x")]))
    task = asyncio.ensure_future(session.append_drafts(drafts))
    for _ in range(waits):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    await session.append_drafts(drafts)
    await session.save_delta([user("y")])

    assert ["x", "y"] == texts(await ss.restore(fs_store, session.id))


class Failing(MemoryFiles):
    """Writes what it can, then fails once."""

    fails = False

    def write(self, file: OpenFile, data: bytes) -> int:
        if self.fails:
            self.fails = False
            return super().write(file, data[: len(data) // 2])
        return super().write(file, data)


async def test_an_append_that_failed_can_be_retried() -> None:
    """Nothing is left of the first attempt, and the handle's head has not moved."""
    files = Failing()
    store = ss.MemoryStore(FsCore(files))
    session = await talk(store, 1)
    head = session.head
    drafts = session.draft(ss.UserInput([user("x")]))
    files.fails = True
    with pytest.raises(ss.StoreFull):
        await session.append_drafts(drafts)
    assert head == session.head == await store.head(session.id)

    await session.append_drafts(drafts)

    assert [] == (await ss.verify(store, session.id)).problems


async def test_a_handle_that_has_seen_damage_appends_nothing(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """Damage far from the end is found by a reader; after that the log takes nothing more."""
    session = await talk(fs_store, 2)
    path = log_path(tmp_path, session.id)
    harm_line(path, 3)
    with pytest.raises(ss.Corrupt):
        await ss.restore(fs_store, session.id)
    size = path.stat().st_size

    with pytest.raises(ss.Corrupt, match="line 4"):
        await session.save_delta([user("x")])

    assert size == path.stat().st_size
    await fs_store.repair(session.id)
    reopened = await ss.open_session(fs_store, session.id)
    await reopened.save_delta([user("after the repair")])
    assert "after the repair" == texts(await ss.restore(fs_store, session.id))[-1]


async def test_handles_of_two_stores_see_each_other(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """The log is the only truth, however many stores are open on it."""
    session = await talk(fs_store, 1)
    async with await ss.open_store(tmp_path / "store") as second:
        other = await ss.open_session(second, session.id)
        await add_turn(other, 2)
        with pytest.raises(ss.HeadMismatch):
            await session.save_delta([user("x")])
        await session.ensure_head_or_fork()
        await add_turn(session, 3)
        assert ["question 1", "answer 1", "question 3", "answer 3"] == texts(
            await ss.restore(second, session.id)
        )
