"""Replay: entries in, the agent's state out; nothing reset, nothing guessed, nothing shared."""

from collections import Counter
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import pytest
from attrs import evolve

import session_store as ss
from session_store.codec import hashed_entry
from session_store.scan import Scanner
from session_store.state import COPY_END, Replay, usage_totals
from session_store.testing.story import CHILD, GRANDCHILD, MASKED, ROOT, Story, begun, said, told
from session_store.values import encode

HI, YO = said("user", "hi"), said("assistant", "yo")
USAGE = ss.LlmUsage(1, 100, 40, 10, 7, "m-1")


def entries(story: Story) -> list[ss.HashedEntry]:
    records = (story.record(seq) for seq in range(len(story.lines)))
    return [hashed_entry(record, story.session_id, "log") for record in records]


def state_of(*stories: Story) -> ss.RestoredState:
    """Return the state of a lineage, oldest log first, each up to where the next was forked."""
    found: list[ss.HashedEntry] = []
    for story, child in zip(stories, [*stories[1:], None], strict=True):
        stop = None if child is None or child.parent is None else child.parent.seq + 1
        found += entries(story)[:stop]
    return ss.collect_state(found)


KINDS: dict[str, tuple[ss.LogEntry, dict[str, Any]]] = {
    "history_continued": (ss.HistoryContinued([HI]), {"history": [HI]}),
    "user_input": (ss.UserInput([HI]), {"history": [HI]}),
    "assistant_items": (ss.AssistantItems([HI, YO]), {"history": [HI, YO]}),
    "tool_results": (ss.ToolResults([HI]), {"history": [HI]}),
    "hook_injected_items": (ss.HookInjectedItems([HI]), {"history": [HI]}),
    "config_changed": (ss.ConfigChanged({"model": "m-2"}), {"config": {"model": "m-2"}}),
    "turn_end": (ss.TurnEnd(4), {"turn_count": 4}),
    "run_completed": (ss.RunCompleted("paused", interrupted=True), {"last_run_interrupted": True}),
    "run_errored": (ss.RunErrored("x", interrupted=False), {"last_run_interrupted": False}),
    "llm_usage": (USAGE, {"usage_history": [USAGE]}),
    "extension": (ss.Extension("d", {"a": [None]}), {"extensions": [("d", {"a": [None]})]}),
    "labels_changed": (ss.LabelsChanged({"a": 1, "b": None}), {"labels": {"a": 1}}),
    "recovery": (ss.Recovery("c", 0, 0, "", "q"), {}),
    "seal": (ss.Seal("note"), {}),
    "redaction": (ss.Redaction([], "why"), {}),
    "unknown": (ss.UnknownEntry("future", {"x": 1}), {"unknown_kinds": Counter(future=1)}),
}


@pytest.mark.parametrize(("entry", "changes"), KINDS.values(), ids=KINDS)
def test_what_each_kind_does(entry: ss.LogEntry, changes: dict[str, Any]) -> None:
    """One field or none; and every entry moves the head."""
    story = begun().append(entry)
    before = state_of(begun())
    turns = [story.position(1)] if isinstance(entry, ss.TurnEnd) else []
    after = evolve(
        before,
        **changes,
        head=story.position(1),
        entries_count=2,
        last_ts=story.record(1).ts,
        turns=before.turns + turns,
    )

    assert after == state_of(story)


def test_a_session_begins_with_what_its_start_says() -> None:
    """Prompt, config, history, labels; the first turn ends with the first append."""
    start = ss.SessionStart(
        ROOT, system_prompt="p", config={"a": 1}, history=[HI], labels={"x": 1, "y": None}
    )
    story = Story().append(start, ss.HistoryContinued([YO]))
    state = state_of(story)

    assert ("p", {"a": 1}, [HI, YO], {"x": 1}) == (
        state.system_prompt,
        state.config,
        state.history,
        state.labels,
    )
    assert [story.position(1)] == state.turns
    assert (story.record(0).ts, ss.SessionOrigin()) == (state.started_ts, state.origin)


def test_a_story_is_told_whole() -> None:
    """Items in order, and each turn's end is a point to go back to."""
    story = told()
    state = state_of(story)

    types = ["message", "function_call", "function_call_output"]
    assert types == [item["type"] for item in state.history]
    assert [story.position(0), story.position(6)] == state.turns
    assert (7, 1, story.position(6)) == (state.entries_count, state.turn_count, state.head)


def test_a_crash_leaves_a_run_and_a_call_open() -> None:
    """Both are named; closing them is for the provider only."""
    story = told()
    state = ss.collect_state(entries(story)[:5])

    assert (story.position(1), True, ["c1"]) == (
        state.open_run,
        state.last_run_interrupted,
        state.open_calls,
    )
    closed = state.history_for_provider("lost")
    assert {"type": "function_call_output", "call_id": "c1", "output": "lost"} == closed[-1]
    assert len(state.history) + 1 == len(closed)


def test_a_run_that_ended_is_not_open() -> None:
    """By itself or with an error."""
    for end in (ss.RunCompleted("finished"), ss.RunErrored("x")):
        state = state_of(begun().append(ss.RunStarted("t")).append(end))

        assert (None, False) == (state.open_run, state.last_run_interrupted)


def test_labels_are_set_and_taken_away() -> None:
    """A null takes one away; others stay."""
    story = begun().append(ss.LabelsChanged({"a": 1, "b": 2}))

    assert {"b": 3} == state_of(story.append(ss.LabelsChanged({"a": None, "b": 3}))).labels


def test_a_fork_goes_on_where_its_parent_was_left() -> None:
    """Its session_start resets nothing."""
    parent = told().append(USAGE)
    child = parent.fork(3).append(ss.UserInput([HI]))
    state = state_of(parent, child)

    call = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a":2,"b":3}'}
    assert [said("user", "2 + 3?"), call, HI] == state.history
    assert ("Be brief.", {"model": "m-1", "top_p": 0.9}) == (state.system_prompt, state.config)
    assert (CHILD, parent.position(1)) == (state.session_id, state.open_run)
    assert ss.SessionOrigin(parent.position(3), None, by_reference=True) == state.origin
    assert child.record(0).ts == state.started_ts
    assert [parent.position(0)] == state.turns


def test_a_fork_overrides_only_what_it_names() -> None:
    """Absent means inherited."""
    parent = begun().append(ss.UserInput([HI])).append(ss.LabelsChanged({"a": 1, "b": 1}))
    at = parent.position(2)
    overrides: dict[str, tuple[dict[str, Any], Any]] = {
        "system_prompt": ({"system_prompt": "q"}, "q"),
        "config": ({"config": {}}, {}),
        "history": ({"history": [YO]}, [YO]),
        "labels": ({"labels": {"b": None, "c": 1}}, {"a": 1, "c": 1}),
    }
    inherited = state_of(parent, parent.fork(2))
    for name, (fields, value) in overrides.items():
        child = Story(CHILD, at).append(ss.SessionStart(CHILD, forked_from=at.to_json(), **fields))
        state = state_of(parent, child)

        for other in overrides:
            expected = value if other == name else getattr(inherited, other)
            assert expected == getattr(state, other), (name, other)


def test_usage_of_parents_is_not_ours() -> None:
    """What a fork paid for itself is told apart from what the lineage paid."""
    parent = begun().append(USAGE).append(USAGE)
    child = parent.fork(2).append(USAGE)
    state = state_of(parent, child, child.fork(1, GRANDCHILD).append(USAGE))

    assert (1, 100, 40, 10, 7) == tuple(vars_of(state.own_usage))
    assert (4, 400, 160, 40, 28) == tuple(vars_of(state.total_usage))
    assert 3 == state.inherited_usage


def vars_of(totals: ss.UsageTotals) -> Iterable[int]:
    names = (
        "calls",
        "input_total_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "output_tokens",
    )
    return (getattr(totals, name) for name in names)


def test_usage_before_the_end_of_a_copy_is_not_ours() -> None:
    """The mark itself is no extension of the agent's."""
    source = told().position(3).to_json()
    story = begun().append(USAGE).append(ss.Extension(COPY_END, source)).append(USAGE)
    state = state_of(story)

    assert (1, 2, []) == (state.own_usage.calls, state.total_usage.calls, state.extensions)


def test_copies_and_compactions_say_where_they_come_from() -> None:
    """As information: they hold their history themselves."""
    at = told().position(3)
    start = ss.SessionStart(CHILD, forked_from=at.to_json(), compacted_from=at.to_json())
    state = state_of(Story(CHILD).append(start))

    assert ss.SessionOrigin(at, at, by_reference=False) == state.origin


def test_no_usage_is_zero() -> None:
    """Sums of nothing."""
    assert ss.UsageTotals() == usage_totals([])


def test_withheld_records_are_named_and_passed_over() -> None:
    """Erased ones change nothing; masked ones count with what is left of them."""
    story = told().mask(2, MASKED).erase(5).erase(6)
    state = state_of(story)

    assert [story.position(n) for n in (2, 5, 6)] == state.withheld
    assert "***" == state.history[0]["content"]
    assert (2, 0, story.position(6)) == (len(state.history), state.turn_count, state.head)


def test_an_erased_start_leaves_a_state_all_the_same() -> None:
    """Without prompt and config, and its history begins with what came later."""
    state = state_of(told().erase(0))

    assert (None, None, 3) == (state.system_prompt, state.config, len(state.history))


MISFITS: dict[str, tuple[str, Any]] = {
    "start of another session": ("session_start", {"session_id": CHILD}),
    "start with a prompt of numbers": ("session_start", {"session_id": ROOT, "system_prompt": 1}),
    "start with a config of text": ("session_start", {"session_id": ROOT, "config": "x"}),
    "start with a history of text": ("session_start", {"session_id": ROOT, "history": "x"}),
    "start with labels of text": ("session_start", {"session_id": ROOT, "labels": "x"}),
    "items missing": ("user_input", {}),
    "items of text": ("user_input", {"items": "abc"}),
    "an item of text": ("tool_results", {"items": [{}, "x"]}),
    "config missing": ("config_changed", {}),
    "config of text": ("config_changed", {"config": "x"}),
    "count as float": ("turn_end", {"turn_count": 1.0}),
    "count as bool": ("turn_end", {"turn_count": True}),
    "run without a flag": ("run_completed", {"result": "x"}),
    "usage with text": ("llm_usage", {"history_len": "1"}),
    "usage of a model of numbers": (
        "llm_usage",
        {**dict.fromkeys(("history_len", "input_total_tokens", "output_tokens"), 0)}
        | {"cache_read_tokens": 0, "cache_write_tokens": 0, "model": 1},
    ),
    "domain of numbers": ("extension", {"domain": 1}),
    "labels of text": ("labels_changed", {"labels": "x"}),
}


@pytest.mark.parametrize(("kind", "body"), MISFITS.values(), ids=MISFITS)
def test_a_body_that_does_not_fit_is_corrupt_and_changes_nothing(kind: str, body: Any) -> None:
    """Its seq is told, and the state is the one before."""
    is_start = kind == "session_start"
    story = (Story() if is_start else told()).append_bodies((kind, encode(body)))
    replay = Replay()
    for entry in entries(story)[:-1]:
        replay.apply(ROOT, entry, entry.body)
    last = entries(story)[-1]
    with pytest.raises(ValueError, match=r"\w"):
        replay.apply(ROOT, last, last.body)

    assert (None if is_start else state_of(told())) == replay.state
    with pytest.raises(ss.Corrupt) as caught:
        state_of(story)
    assert (0 if is_start else 7) == caught.value.seq


def test_a_fork_whose_start_does_not_fit_leaves_its_parents_state() -> None:
    """Which is what the error then tells."""
    parent = told()
    body = {"session_id": CHILD, "system_prompt": "new", "labels": 7}
    child = Story(CHILD, parent.position(6)).append_bodies(("session_start", encode(body)))
    replay = Replay(state_of(parent))
    entry = entries(child)[0]
    with pytest.raises(ValueError, match="labels"):
        replay.apply(CHILD, entry, entry.body)

    assert state_of(parent) == replay.state


def test_unknown_fields_are_passed_over() -> None:
    """A later version has more of them."""
    assert 3 == state_of(begun().append_bodies(("turn_end", b'{"turn_count":3,"x":{}}'))).turn_count


def test_the_repr_of_a_state_does_not_grow_with_its_log() -> None:
    """asyncio.run() makes it, twice, of a state that is returned; and logs hold no histories."""
    story, text = told(), "what nobody wants in a traceback"
    few = repr(state_of(story))
    many = repr(state_of(story.append(*[ss.UserInput([said("user", text)])] * 90, USAGE)))
    assert "history=<3>" in few
    assert "history=<93>" in many
    assert text not in many
    assert len(few) + 10 > len(many)


def test_an_initial_state_may_be_shared_by_many_branches() -> None:
    """Going on from it changes nothing in it."""
    parent = told()
    shared = state_of(parent)
    before = deepcopy(shared)
    branches: dict[str, Callable[[Story], Story]] = {
        "history": lambda s: s.append(ss.UserInput([HI])),
        "everything": lambda s: s.append(
            USAGE, ss.TurnEnd(2), ss.Extension("d", 1), ss.LabelsChanged({"a": 1})
        ).append(ss.UnknownEntry("x", {}), ss.ConfigChanged({}), ss.RunStarted("t")),
        "erased": lambda s: s.append(ss.TurnEnd(2)).erase(1),
    }
    for grow in branches.values():
        child = grow(parent.fork(6))

        assert state_of(parent, child) == ss.collect_state(entries(child), initial=shared)
        assert before == shared
    more = told().append(ss.UserInput([HI]))
    assert state_of(more) == ss.collect_state(entries(more)[7:], initial=shared)


BROKEN: dict[str, Callable[[list[ss.HashedEntry]], list[ss.HashedEntry]]] = {
    "an entry missing": lambda e: [*e[:3], *e[4:]],
    "two swapped": lambda e: [*e[:3], e[4], e[3], *e[5:]],
    "one twice": lambda e: [*e[:4], *e[3:]],
    "the beginning missing": lambda e: e[3:],
    "of another log": lambda e: [*e[:3], *entries(told(seed="other"))[3:]],
    "a changed link": lambda e: [*e[:3], evolve(e[3], prev_hash=ss.EntryHash(bytes(32)))],
}


@pytest.mark.parametrize("harm", BROKEN.values(), ids=BROKEN)
def test_links_are_checked_while_collecting(harm: Any) -> None:
    """The seed replayed a chain that nobody had verified."""
    with pytest.raises(ss.ChainBroken, match="not the hash of the entry before") as caught:
        ss.collect_state(harm(entries(told())))

    assert caught.value.seq >= 3


def test_a_fork_needs_its_own_parent() -> None:
    """Neither alone nor behind another entry does it stand."""
    parent = told()
    child = entries(parent.fork(4))
    for before in ([], entries(parent), entries(told(seed="other"))[:5]):
        with pytest.raises(ss.ChainBroken):
            ss.collect_state([*before, *child])

    assert 6 == ss.collect_state([*entries(parent)[:5], *child]).entries_count


def test_nothing_to_collect() -> None:
    """No entries make no state; with an initial one they make that."""
    shared = state_of(told())

    assert shared == ss.collect_state([], initial=shared)
    with pytest.raises(ValueError, match="no entries"):
        ss.collect_state([])


def test_a_log_begins_with_its_start() -> None:
    """Whoever feeds records is told."""
    story = Story().append(ss.TurnEnd(1)).append(ss.TurnEnd(2))
    with pytest.raises(ss.Corrupt, match="begins with a turn_end"):
        ss.collect_state(entries(story)[:1])
    with pytest.raises(ValueError, match="does not begin with a session_start"):
        Replay().apply(ROOT, entries(story)[1], {"turn_count": 2})


def test_records_and_entries_replay_alike() -> None:
    """`restore` feeds records, `collect_state` entries."""
    story = told()
    replay = Replay()
    scanner = Scanner("log", Story().head)
    for record, entry in zip(scanner.feed(story.data), entries(story), strict=True):
        replay.apply(ROOT, record, entry.body)

    assert state_of(story) == replay.state
