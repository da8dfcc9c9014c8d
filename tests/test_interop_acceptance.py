"""
Half a megabyte of transcript: imported, restored, forked at every turn, verified.

The transcript is made by `transcripts`; SESSION_STORE_TRANSCRIPT may name a real one
of Claude Code to be tested too.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transcripts import transcript

from session_store import blocking
from session_store.interop.claude_code import read_claude_code
from session_store.interop.importing import Imported

SIZE = 500_000
SEED = 20_261_120
REAL = os.environ.get("SESSION_STORE_TRANSCRIPT")


@pytest.fixture(params=["made", *([REAL] if REAL else [])])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param != "made":
        return Path(request.param)
    path = tmp_path / "transcript.jsonl"
    path.write_bytes(transcript(SIZE, SEED))
    print(f"seed {SEED}, {path.stat().st_size} bytes")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[blocking.Store]:
    with blocking.open_store(tmp_path / "store", durability="os") as opened:
        yield opened


@pytest.fixture
def imported(store: blocking.Store, source: Path) -> Imported:
    return blocking.import_transcript(store, read_claude_code(source)[0])


def messages(source: Path) -> list[dict[str, Any]]:
    """Return the messages of a transcript, read without the importer."""
    seen: set[str] = set()
    found = []
    for raw in source.read_bytes().split(b"\n"):
        line = json.loads(raw or b"{}")
        is_message = line.get("type") in ("user", "assistant") and "message" in line
        if not is_message or line.get("isSidechain") or line.get("isApiErrorMessage"):
            continue
        if line.get("uuid") not in seen:
            found.append({key: line["message"][key] for key in ("role", "content")})
        seen.add(line.get("uuid", ""))
    return found


def test_the_history_is_the_messages(
    store: blocking.Store, source: Path, imported: Imported
) -> None:
    """All of them, in order, each as it was."""
    assert messages(source) == blocking.restore(store, imported.session_id).history


def test_every_line_is_accounted_for(source: Path) -> None:
    """Mapped, kept, unreadable or blank, in one of the sessions; nothing is dropped."""
    reports = [item.report for item in read_claude_code(source)]

    for report in reports:
        told = report.mapped + sum(report.kept.values()) + len(report.unreadable) + report.blank
        assert told == report.lines
    assert source.read_bytes().count(b"\n") == sum(report.lines for report in reports)


def test_a_session_can_be_forked_at_every_turn(
    store: blocking.Store, source: Path, imported: Imported
) -> None:
    """Each fork begins with the messages up to there, and verifies."""
    whole = blocking.restore(store, imported.session_id)
    verifier = blocking.Verifier(store, parse=True)
    said = messages(source)
    for number, turn in enumerate(whole.turns):
        fork = blocking.fork_at(store, imported.session_id, turn)
        state = blocking.restore(store, fork.id)
        report = verifier.verify(fork.id)

        assert (number, turn) == (state.turn_count, state.origin.forked_from)
        assert said[: len(state.history)] == state.history
        assert ("INTACT", []) == (report.level, list(report.findings))
    assert len(whole.turns) == whole.turn_count + 1


def test_the_log_of_an_import_verifies(store: blocking.Store, imported: Imported) -> None:
    """Chain and bodies; as many records as were added."""
    report = blocking.verify(store, imported.session_id, parse=True)

    assert ("INTACT", imported.added, []) == (report.level, report.records, list(report.findings))


def test_importing_again_adds_nothing(
    store: blocking.Store, source: Path, imported: Imported
) -> None:
    head = store.head(imported.session_id)
    for item in read_claude_code(source)[:1]:
        assert 0 == blocking.import_transcript(store, item).added

    assert head == store.head(imported.session_id)


def test_usage_counts_each_response_once(
    store: blocking.Store, source: Path, imported: Imported
) -> None:
    """As the most complete of its lines has it."""
    calls: dict[tuple[Any, Any], int] = {}
    for raw in source.read_bytes().split(b"\n"):
        line = json.loads(raw or b"{}")
        message = line.get("message") or {}
        is_call = line.get("type") == "assistant" and not line.get("isSidechain")
        if is_call and "usage" in message and message.get("model") != "<synthetic>":
            key = (message.get("id"), line.get("requestId"))
            calls[key] = max(calls.get(key, 0), message["usage"]["output_tokens"])

    usage = blocking.restore(store, imported.session_id).total_usage

    assert (len(calls), sum(calls.values())) == (usage.calls, usage.output_tokens)


def test_a_flat_copy_of_an_import_is_the_same_session(
    store: blocking.Store, imported: Imported
) -> None:
    state = blocking.restore(store, imported.session_id)
    flat = blocking.restore(store, blocking.flatten(store, imported.session_id).id)

    assert (state.history, state.extensions, state.usage_history) == (
        flat.history,
        flat.extensions,
        flat.usage_history,
    )
