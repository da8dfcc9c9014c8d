"""The same calls without await: same results, no event loop, any thread."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from session_tools import call, harm_line, log_path, result, usage, user

import session_store as ss
from session_store import blocking
from session_store.stores.face import InlineFace


@pytest.fixture(params=["fs", "memory"])
def inline(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[blocking.Store]:
    where = "memory:" if request.param == "memory" else tmp_path / "store"
    with blocking.open_store(where) as opened:
        yield opened


def add_turn(session: blocking.Session, number: int) -> None:
    items = [user(f"q{number}"), call(f"c{number}"), result(f"c{number}")]
    session.save_run_started("user")
    session.save_delta(items)
    session.save_usage(usage(number))
    session.save_turn_end(number)
    session.save_run_completed("finished")


def test_a_session_lives_without_an_event_loop(inline: blocking.Store) -> None:
    """Create, save, restore, fork, list, delete."""
    session = blocking.create_session(inline, ss.SessionStartState("p", {"n": 1}), key="k:1")
    add_turn(session, 1)
    session.save_config_changed({"n": 2})
    session.save_extension("x", 1)
    session.save_labels({"a": 1})
    session.save_run_errored("boom", interrupted=True)
    session.append(ss.TurnEnd(2))
    assert session.head == session.flush().position == inline.head(session.id)

    state = blocking.restore(inline, session.id)
    fork = blocking.fork_at(inline, session.id, state.turns[1])
    flat = blocking.flatten(inline, fork.id)

    assert (2, {"n": 2}, {"a": 1}, True) == (
        state.turn_count,
        state.config,
        state.labels,
        state.last_run_interrupted,
    )
    assert 3 == len(blocking.restore(inline, flat.id).history)
    assert (session.id, [fork.id]) == (inline.find("k:1"), list(inline.children(session.id)))
    assert 3 == len(list(blocking.sessions(inline))) == len(inline.list())
    assert {session.id, fork.id} == set(blocking.delete(inline, session.id, with_forks=True))
    session.close()
    with pytest.raises(ss.Closed):
        session.save_turn_end(3)


async def test_it_works_inside_a_running_loop(inline: blocking.Store) -> None:
    """A library that cannot await may be called from one that does."""
    session = blocking.create_session(inline)
    add_turn(session, 1)

    assert 1 == blocking.restore(inline, session.id).turn_count


def test_both_faces_write_the_same_log(inline: blocking.Store) -> None:
    """What one writes the other reads, on the same core."""
    session = blocking.create_session(inline)
    add_turn(session, 1)

    state = asyncio.run(ss.restore(inline.inner, session.id))

    assert blocking.restore(inline, session.id) == state


def test_relatives_are_told(inline: blocking.Store) -> None:
    """Ancestors, children, descendants, origin and tree."""
    parent = blocking.create_session(inline)
    child = blocking.fork(inline, parent.id)
    leaf = blocking.fork(inline, child.id)
    compacted = blocking.create_compacted_session(inline, ss.SessionStartState(), parent.head)

    assert [parent.head, child.head] == blocking.ancestors(inline, leaf.id)
    assert [child.id, leaf.id] == blocking.descendants(inline, parent.id)
    assert [child.id] == list(blocking.children(inline, parent.id))
    assert parent.head == blocking.origin(inline, child.id).forked_from
    assert [parent.id] == [family.session_id for family in blocking.tree(inline)]
    assert parent.head == blocking.origin(inline, compacted.id).compacted_from


def test_a_lost_race_and_the_way_on(inline: blocking.Store) -> None:
    """HeadMismatch, drafts again, a fork, a shared handle."""
    fast = blocking.create_session(inline)
    slow = blocking.open_session(inline, fast.id)
    drafts = slow.draft(ss.TurnEnd(1))
    fast.save_turn_end(1)
    with pytest.raises(ss.HeadMismatch):
        slow.append_drafts(drafts)

    first = slow.append_drafts(drafts, expected=ss.ANY)
    again = slow.append_drafts(drafts, expected=ss.ANY)
    assert slow.ensure_head_or_fork() is None or slow.id != fast.id

    assert first == again
    assert repr(slow.head) in repr(slow) or str(slow.head) in repr(slow)


def test_damage_is_reported_and_salvaged(tmp_path: Path) -> None:
    with blocking.open_store(tmp_path) as store:
        session = blocking.create_session(store)
        add_turn(session, 1)
        harm_line(log_path(tmp_path, session.id), 2)

        assert ["corrupt"] == [f.what for f in blocking.verify(store, session.id).problems]
        assert blocking.Verifier(store).verify(session.id).level is None
        with pytest.raises(ss.Corrupt):
            list(blocking.read_entries(store, session.id))
        salvaged = blocking.salvage(store, session.id)
        assert 1 == blocking.restore(store, salvaged.id).turn_count
        assert store.repair(session.id).cut_at is not None
        assert 0 == blocking.restore(store, session.id).turn_count


def test_a_trace_is_written_read_and_proven(inline: blocking.Store) -> None:
    session = blocking.create_session(inline)
    writer = blocking.TraceWriter(inline, session.id, turn=1)
    writer.event({"n": 1})
    writer.turn = 2
    writer.lifecycle("end")
    mark = writer.mark()
    session.save_turn_end(1, trace=mark)
    reader = blocking.TraceReader(inline, session.id)

    assert [1, 2] == [entry.turn for entry in reader.entries()]
    assert (0, False, []) == (writer.dropped, writer.wants_flush, reader.damage)
    assert mark is not None
    assert mark["blake3"] == blocking.trace_digest(inline, session.id, mark["length"])
    assert mark["length"] == writer.flush() == sum(map(len, inline.read_trace(session.id)))
    assert 2 == len(list(blocking.replay_trace(inline, session.id, speed=float("inf"))))


def test_following_goes_on_as_the_log_grows(inline: blocking.Store) -> None:
    """From a seq, or from what comes next; live, from another thread."""
    session = blocking.create_session(inline)
    entries = session.follow(0)
    assert "session_start" == next(entries).kind
    following = session.follow()
    writer = threading.Thread(target=add_turn, args=(session, 1))
    writer.start()

    kinds = [entry.kind for entry in islice(following, 5)]

    writer.join()
    assert ["run_started", "user_input"] == kinds[:2]
    assert kinds == [entry.kind for entry in islice(entries, 5)]


class Leaving(InlineFace):
    """Notes whether what it began to give was let go of."""

    left = False

    async def read(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        try:
            async for batch in super().read(*args, **kwargs):
                yield batch
        finally:
            self.left = True


def test_an_iteration_that_is_left_early_lets_go() -> None:
    """A break, or an error in the loop, ends the reading at once."""
    inner = Leaving(ss.MemoryStore().core)
    store = blocking.Store(inner)
    session = blocking.create_session(store)
    batches = store.read(session.id)
    next(batches)
    assert not inner.left

    batches.close()  # type: ignore[attr-defined]

    assert inner.left


def test_threads_share_a_handle(inline: blocking.Store) -> None:
    """Every append is whole and there once."""
    session = blocking.create_session(inline, shared=True)

    def write(name: str) -> None:
        for number in range(50):
            session.save_delta([user(f"{name}{number}a"), user(f"{name}{number}b")])

    threads = [threading.Thread(target=write, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    said = [item["content"] for item in blocking.restore(inline, session.id).history]
    for name in "xyz":
        expected = [f"{name}{n}{half}" for n in range(50) for half in "ab"]
        assert expected == [text for text in said if text[0] == name]
    assert all(one[:-1] == two[:-1] for one, two in zip(said[::2], said[1::2], strict=True))


def test_every_call_has_its_blocking_form() -> None:
    """What awaits in session_store does not in session_store.blocking."""
    missing = [
        name
        for name in ss.__all__
        if (inspect.iscoroutinefunction(f := getattr(ss, name)) or inspect.isasyncgenfunction(f))
        and not callable(getattr(blocking, name, None))
    ]
    methods = [
        name
        for name, method in vars(ss.Session).items()
        if not name.startswith("_") and not hasattr(blocking.Session, name)
    ]

    assert ([], ["store"]) == (missing, methods)


def test_what_a_call_does_is_said_where_it_is_called() -> None:
    """The documentation is that of the call that awaits."""
    assert ss.restore.__doc__ == blocking.restore.__doc__
    assert "save_delta" == blocking.Session.save_delta.__name__
