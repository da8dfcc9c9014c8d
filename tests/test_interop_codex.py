"""Codex, line by line: what becomes history, what is kept."""

from collections.abc import Mapping
from typing import Any

import pytest
from parse_tools import (
    ANSWER,
    PROMPT,
    ROLLOUT,
    THREAD,
    counted,
    history,
    is_accounted,
    is_writable,
    item,
    kinds,
    parsed,
    payloads,
    rolled,
    turn_ends,
    usages,
)

from session_store.interop.codex import read_codex

CODEX_LINES: Mapping[str, tuple[object, list[str]]] = {
    "prompt": (rolled("response_item", PROMPT), ["user_input", "codex.meta"]),
    "answer": (rolled("response_item", ANSWER), ["assistant_items", "codex.meta", "turn_end"]),
    "developer": (item("message", role="developer"), ["hook_injected_items", "codex.meta"]),
    "environment": (
        item("message", role="user", content=[{"text": "<environment_context>…"}]),
        ["hook_injected_items", "codex.meta"],
    ),
    "reasoning": (item("reasoning", content=None), ["assistant_items", "codex.meta"]),
    "call": (item("local_shell_call", call_id="c"), ["assistant_items", "codex.meta"]),
    "output": (item("tool_search_output", call_id="c"), ["tool_results", "codex.meta"]),
    "no role": (item("message"), ["codex.response_item"]),
    "item of the future": (item("ghost_snapshot", x=1), ["codex.response_item"]),
    "item without type": (rolled("response_item", {}), ["codex.response_item"]),
    "payload is a list": (rolled("response_item", [PROMPT]), ["codex.response_item"]),
    "second meta": (ROLLOUT, ["codex.session_meta"]),
    "context": (rolled("turn_context", {"model": "m"}), ["config_changed", "codex.meta"]),
    "context without change": (rolled("turn_context", {"turn_id": "t"}), ["codex.turn_context"]),
    "turn's end": (
        rolled("event_msg", {"type": "task_complete"}),
        ["turn_end", "codex.event_msg"],
    ),
    "usage": (counted(35), ["codex.event_msg", "llm_usage"]),
    "usage of nothing": (counted(0, last={"input_tokens": 0}), ["codex.event_msg"]),
    "usage is a text": (counted(0, last={"input_tokens": "9"}), ["codex.event_msg"]),
    "other event": (rolled("event_msg", {"type": ["x"]}), ["codex.event_msg"]),
    "compaction": (rolled("compacted", {"replacement_history": [PROMPT]}), ["codex.compacted"]),
    "line of the future": (rolled("world_state", {}), ["codex.world_state"]),
    "old state": ({"record_type": "state"}, ["codex.state"]),
    "old item": (PROMPT, ["user_input"]),
    "type is an object": ({"type": {}}, ["codex.other"]),
    "number": (7, ["codex.other"]),
    "torn": (b'{"timestamp":"2026-', ["codex.unparsed"]),
    "blank": (b"", []),
}


@pytest.mark.parametrize("name", CODEX_LINES)
def test_codex_line(name: str) -> None:
    """What each kind of line becomes."""
    line, expected = CODEX_LINES[name]

    found = parsed(read_codex, ROLLOUT, line)[0]

    assert ["codex.session_meta", *expected] == kinds(found)
    assert (is_accounted(found), is_writable(found)) == (True, True)


def test_codex_before_september_2025() -> None:
    """Bare items after a bare header; one time for all, turns by prompts."""
    head = {"id": "abc", "timestamp": "2025-08-18T01:16:13.522Z", "instructions": "Be brief."}

    found = parsed(read_codex, head, {"record_type": "state"}, PROMPT, ANSWER, PROMPT, ANSWER)[0]

    assert ("codex:abc", "Be brief.") == (found.key, found.start.system_prompt)
    assert [PROMPT, ANSWER, PROMPT, ANSWER] == history(found)
    assert ([1, 2], {found.ts}) == (turn_ends(found), {ts for g in found.appends for ts, _ in g})


def test_codex_turn_events_rule_out_guesses() -> None:
    started, prompt = rolled("event_msg", {"type": "task_started"}), rolled("response_item", PROMPT)
    answer = rolled("response_item", ANSWER)

    found = parsed(read_codex, ROLLOUT, started, prompt, answer, prompt, answer)[0]

    assert [] == turn_ends(found)


def test_codex_usage_needs_a_moving_total() -> None:
    """Equal calls count each; an unmoved total counts nothing; one that falls does."""
    found = parsed(read_codex, ROLLOUT, counted(35), counted(35), counted(70), counted(35))[0]

    assert len(usages(found)) == 3


def test_codex_usage_is_for_the_history_before_the_response() -> None:
    """The tools of a response may have answered by the time its usage is told."""
    call, output = {"type": "x_call", "call_id": "c"}, {"type": "x_call_output", "call_id": "c"}

    found = parsed(read_codex, PROMPT, call, output, ANSWER, ANSWER, counted(35), counted(70))[0]

    assert [3, 5] == [u.history_len for u in usages(found)]
    found = parsed(read_codex, PROMPT, call, output, counted(35))[0]
    assert [1] == [u.history_len for u in usages(found)]


def test_codex_meta_of_a_parent_is_not_this_session() -> None:
    found = parsed(read_codex, ROLLOUT, rolled("session_meta", {"id": "parent"}))[0]

    assert (f"codex:{THREAD}", {"session_meta": 1}) == (found.key, found.report.kept)


def test_codex_compaction_does_not_shorten_the_history() -> None:
    line = rolled("compacted", {"message": "so far", "replacement_history": [PROMPT]})

    found = parsed(read_codex, ROLLOUT, PROMPT, ANSWER, line)[0]

    assert [PROMPT, ANSWER] == history(found)
    assert [line] == payloads(found, "codex.compacted")


PARENTS: Mapping[str, tuple[dict[str, Any], str | None]] = {
    "none": ({"source": "cli"}, None),
    "spawned": ({"source": {"subagent": {"thread_spawn": {"parent_thread_id": "p"}}}}, "codex:p"),
    "spawned, older": (
        {"source": {"sub_agent": {"thread_spawn": {"parent_thread_id": "p"}}}},
        "codex:p",
    ),
    "review": ({"source": {"subagent": "review"}, "parent_thread_id": "p"}, "codex:p"),
    "a fork is no child": ({"forked_from_id": "p"}, None),
    "not a name": ({"parent_thread_id": "p q"}, None),
}


@pytest.mark.parametrize("name", PARENTS)
def test_codex_parent(name: str) -> None:
    """A rollout that was forked says from which."""
    meta, expected = PARENTS[name]

    found = parsed(read_codex, rolled("session_meta", {"id": THREAD, **meta}))[0]

    assert expected == found.parent_key


def test_codex_id_is_of_the_meta_or_else_of_the_file() -> None:
    line = rolled("session_meta", {"id": ["x"]})

    found = parsed(read_codex, line, name=f"rollout-2026-11-20T10-00-00-{THREAD}.jsonl")[0]

    assert found.key == f"codex:{THREAD}"
