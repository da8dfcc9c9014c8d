"""The transcripts among the fixtures: whole conversations, with their sub-agents."""

import json
from pathlib import Path

import pytest
from parse_tools import (
    CLAUDE_CODE,
    CODEX,
    FIXTURES,
    HISTORY,
    SESSION,
    THREAD,
    Read,
    encoded,
    entries,
    history,
    is_accounted,
    kinds,
    objects,
    parsed,
    payloads,
    said,
    turn_ends,
    usages,
)

from session_store.entries import (
    ConfigChanged,
    Extension,
    HookInjectedItems,
)
from session_store.interop.claude_code import find_claude_code, read_claude_code
from session_store.interop.codex import find_codex, read_codex
from session_store.interop.fields import unix_ms


def test_claude_code_history_is_the_messages_of_the_transcript() -> None:
    """Role and content as found, in the order of the lines; no API error among them."""
    lines = [x for x in objects(CLAUDE_CODE) if "message" in x and "isApiErrorMessage" not in x]

    found = history(read_claude_code(CLAUDE_CODE)[0])

    assert [{k: x["message"][k] for k in ("role", "content")} for x in lines] == found
    assert "\u2028" in json.dumps(found, ensure_ascii=False)


def test_claude_code_lines_can_be_made_again_from_what_was_kept() -> None:
    found = []
    for group in read_claude_code(CLAUDE_CODE)[0].appends:
        items = [i for _, e in group if isinstance(e, HISTORY) for i in e.items]
        for payload in (e.payload for _, e in group if isinstance(e, Extension)):
            whole = {**payload, "message": {**payload["message"], **items[0]}} if items else payload
            found.append(whole)

    assert objects(CLAUDE_CODE) == found[:-1]
    assert found[-1]["text"] == CLAUDE_CODE.read_text().split("\n")[-1]


def test_codex_lines_can_be_made_again_from_what_was_kept() -> None:
    found = []
    for group in read_codex(CODEX)[0].appends:
        items = [i for _, e in group if isinstance(e, HISTORY) for i in e.items]
        configs = [dict(e.config) for _, e in group if isinstance(e, ConfigChanged)]
        for payload in (e.payload for _, e in group if isinstance(e, Extension)):
            extra = {"payload": items[0]} if items else {}
            if configs:
                del configs[0]["model_provider"]
                extra = {"payload": {**configs[0], **payload["payload"]}}
            found.append({**payload, **extra})

    assert objects(CODEX) == found


def test_claude_code_report_tells_of_every_line() -> None:
    report = read_claude_code(CLAUDE_CODE)[0].report

    assert (28, 21, (28,), 0) == (report.lines, report.mapped, report.unreadable, report.blank)
    kept = {"file-history-snapshot": 2, "system": 2, "api_error": 1, "summary": 1}
    assert kept == report.kept


def test_codex_report_tells_of_every_line() -> None:
    report = read_codex(CODEX)[0].report

    assert (29, 20, (), 0) == (report.lines, report.mapped, report.unreadable, report.blank)
    assert {"event_msg": 7, "compacted": 1, "turn_context": 1} == report.kept


def test_claude_code_session_starts_with_what_is_known() -> None:
    found = read_claude_code(CLAUDE_CODE)[0]

    assert (f"claude-code:{SESSION}", None) == (found.key, found.parent_key)
    assert found.ts == unix_ms("2026-11-20T09:00:00.000Z")
    assert {"model": "claude-sonnet-4-5-20250929"} == found.start.config
    assert found.start.labels == {
        "source": "claude-code",
        "session_id": SESSION,
        "cwd": "/home/dev/tinycal",
        "git_branch": "fix-weeks",
        "version": "2.1.34",
        "title": "Fix ISO week numbers in tinycal",
    }


def test_codex_session_starts_with_its_meta() -> None:
    found = read_codex(CODEX)[0]

    assert (f"codex:{THREAD}", None) == (found.key, found.parent_key)
    assert found.start.system_prompt == "You are Codex, a coding agent. Keep changes small."
    assert {"model_provider": "openai"} == found.start.config
    assert (found.start.labels["cwd"], found.start.labels["git_branch"]) == (
        "/home/dev/tinycal",
        "cli-errors",
    )


def test_claude_code_usage_counts_once_for_each_response() -> None:
    found = usages(read_claude_code(CLAUDE_CODE)[0])

    assert [1, 7, 10, 12, 14, 18, 20] == [u.history_len for u in found]
    assert [187, 143, 164, 58, 71, 176, 52] == [u.output_tokens for u in found]
    first = found[0]
    assert (14966, 11840, 3120) == (
        first.input_total_tokens,
        first.cache_read_tokens,
        first.cache_write_tokens,
    )


def test_codex_usage_counts_each_call_once() -> None:
    """A repeated token_count is kept, not counted; the input holds the cached part already."""
    found = usages(read_codex(CODEX)[0])

    assert [3, 8, 10] == [u.history_len for u in found]
    assert [(9120, 6400), (9560, 9088), (9790, 9472)] == [
        (u.input_total_tokens, u.cache_read_tokens) for u in found
    ]
    assert {"gpt-5.2-codex"} == {u.model for u in found}


def test_a_turn_ends_before_the_next_prompt_and_with_the_file() -> None:
    names = [k for k in kinds(read_claude_code(CLAUDE_CODE)[0]) if k in ("user_input", "turn_end")]

    assert ["user_input", "turn_end", "user_input", "turn_end"] == names


def test_compaction_keeps_the_boundary_and_injects_the_summary() -> None:
    found = read_claude_code(CLAUDE_CODE)[0]

    injected = [e.items[0]["content"] for e in entries(found) if isinstance(e, HookInjectedItems)]

    assert injected[0].startswith("This session is being continued")
    assert payloads(found, "claude_code.system")[1]["subtype"] == "compact_boundary"


@pytest.mark.parametrize(("path", "read"), [(CLAUDE_CODE, read_claude_code), (CODEX, read_codex)])
def test_every_prefix_of_a_transcript_is_read(path: Path, read: Read, tmp_path: Path) -> None:
    """A file that is still being written: its history is the beginning of the whole one's."""
    data, whole = path.read_bytes(), history(read(path)[0])
    part = tmp_path / path.name
    for size in range(data.index(b"\n"), len(data), 293):
        part.write_bytes(data[:size])
        found = read(part)[0]
        items = history(found)
        assert whole[: len(items)] == items
        assert is_accounted(found)
        assert found.report.lines == data[:size].count(b"\n") + (data[size - 1] != 0x0A)


# Sub-agents and files.


def test_a_sub_agent_in_a_file_of_its_own_names_its_parent() -> None:
    main, agent = read_claude_code(CLAUDE_CODE)

    assert (f"{main.key}/agent-a7c31e9f", main.key) == (agent.key, agent.parent_key)
    assert (4, [1]) == (agent.report.mapped, turn_ends(agent))
    assert agent.start.labels["agent_id"] == "a7c31e9f"


def test_sidechain_lines_are_sessions_of_their_own() -> None:
    """Told apart by agentId or, before there was one, by the line that a chain starts with."""
    side = {"isSidechain": True}
    main, old, new = parsed(
        read_claude_code,
        said("user", "a", uuid="u1"),
        said("user", "b", uuid="u2", parentUuid=None, **side),
        said("user", "c", uuid="u3", agentId="x", **side),
        said("assistant", "d", uuid="u4", parentUuid="u2", **side),
    )

    assert [["a"], ["b", "d"], ["c"]] == [
        [i["content"] for i in history(x)] for x in (main, old, new)
    ]
    assert [f"{main.key}/agent-u2", f"{main.key}/agent-x"] == [old.key, new.key]


def test_one_agent_in_lines_and_in_a_file_has_two_keys(tmp_path: Path) -> None:
    main = tmp_path / f"{SESSION}.jsonl"
    main.write_bytes(encoded(said("user", "a", isSidechain=True, agentId="x")))
    (tmp_path / "agent-x.jsonl").write_bytes(encoded(said("user", "b")))

    keys = [found.key for found in read_claude_code(main)]

    assert [f"claude-code:{SESSION}/agent-x", f"claude-code:{SESSION}/agent-x-2"] == keys


def test_finding_leaves_sub_agents_to_their_session(tmp_path: Path) -> None:
    main, other = tmp_path / f"{SESSION}.jsonl", "0" * 8 + SESSION[8:]
    inside, outside = tmp_path / SESSION / "subagents", tmp_path / other / "subagents"
    inside.mkdir(parents=True)
    outside.mkdir(parents=True)
    orphan = outside / "agent-3.jsonl"
    for path in (main, tmp_path / "agent-1.jsonl", inside / "agent-2.jsonl", orphan):
        path.write_bytes(encoded(said("user", "a")))
    stranger = tmp_path / "agent-4.jsonl"
    stranger.write_bytes(encoded(said("user", "a", sessionId=other)))
    (tmp_path / "notes.jsonl").write_bytes(b"{}")

    assert [orphan, main, stranger] == list(find_claude_code([tmp_path, main]))
    assert ["agent-2", "agent-1"] == [x.key.split("/")[1] for x in read_claude_code(main)[1:]]
    assert read_claude_code(orphan)[0].parent_key == f"claude-code:{other}"


def test_finding_takes_a_file_as_given_and_a_directory_by_names() -> None:
    assert [CLAUDE_CODE] == list(find_claude_code([FIXTURES, CLAUDE_CODE]))
    assert [CODEX] == list(find_codex([FIXTURES, CODEX]))
    assert [CODEX] == list(find_claude_code([CODEX]))


def test_an_empty_sub_agent_file_is_no_session(tmp_path: Path) -> None:
    (tmp_path / SESSION / "subagents").mkdir(parents=True)
    (tmp_path / SESSION / "subagents" / "agent-1.jsonl").touch()
    main = tmp_path / f"{SESSION}.jsonl"
    main.write_bytes(encoded(said("user", "a")))

    assert len(read_claude_code(main)) == 1
