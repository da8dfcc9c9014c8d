"""Transcripts into sessions: once, again, grown, at the same time, interrupted, changed."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from attrs import evolve, frozen
from import_tools import ANSWERED, ASKED, ASKED_AGAIN, line, parsed, reply
from transcripts import transcript

import session_store as ss
from session_store import blocking
from session_store.interop.claude_code import read_claude_code
from session_store.interop.codex import read_codex
from session_store.interop.importing import Imported, import_transcript
from session_store.interop.transcript import Import

FIXTURES = Path(__file__).parent / "fixtures"
CLAUDE_CODE = next((FIXTURES / "claude-code").glob("*.jsonl"))
CODEX = next((FIXTURES / "codex").rglob("*.jsonl"))
Read = Callable[[Path], list[Import]]
SOURCES: dict[str, tuple[Read, Path]] = {
    "claude code": (read_claude_code, CLAUDE_CODE),
    "codex": (read_codex, CODEX),
}


def summary(state: ss.RestoredState) -> dict[str, Any]:
    tokens = evolve(state.total_usage, calls=0)
    extensions = sorted(map(repr, state.extensions))
    return {
        "history": state.history,
        "config": state.config,
        "labels": state.labels,
        "turn_count": state.turn_count,
        "tokens": tokens,
        "extensions": extensions,
    }


@pytest.mark.parametrize(("read", "path"), SOURCES.values(), ids=SOURCES)
async def test_a_transcript_becomes_one_session_once(
    store: ss.Store, read: Read, path: Path
) -> None:
    """Importing again finds the session and writes nothing."""
    for item in read(path):
        first = await import_transcript(store, item)
        head = await store.head(first.session_id)
        again = await import_transcript(store, item)

        assert (True, head.seq + 1) == (first.is_new, first.added)
        assert Imported(first.session_id, False, 0, item.report) == again
        assert head == await store.head(first.session_id)


async def test_the_history_is_the_messages_of_the_transcript(store: ss.Store) -> None:
    """Role and content of every message, in the order of the lines."""
    item = read_claude_code(CLAUDE_CODE)[0]
    told = [e.items for group in item.appends for _, e in group if hasattr(e, "items")]

    state = await ss.restore(store, (await import_transcript(store, item)).session_id)

    assert [item for items in told for item in items] == state.history
    assert 0 < state.turn_count
    assert item.ts == state.started_ts


async def test_entries_carry_the_times_of_the_transcript(store: ss.Store) -> None:
    """Every record has the time of its line; the id carries the first one."""
    item = read_claude_code(CLAUDE_CODE)[0]
    imported = await import_transcript(store, item)
    expected = [item.ts, *(ts for group in item.appends for ts, _ in group)]
    for before in range(1, len(expected)):
        expected[before] = max(expected[before - 1 : before + 1])

    found = [entry.ts async for entry in ss.read_entries(store, imported.session_id)]

    assert expected == found


async def test_a_group_is_one_append(store: ss.Store) -> None:
    """What one line of a transcript says is in the log wholly or not at all."""
    item = read_claude_code(CLAUDE_CODE)[0]
    imported = await import_transcript(store, item)

    batches = [entry.batch async for entry in ss.read_entries(store, imported.session_id)]

    sizes = [1, *(len(group) for group in item.appends)]
    assert [n for size in sizes for n in reversed(range(size))] == batches


async def test_a_sub_agent_names_the_session_that_started_it(store: ss.Store) -> None:
    """By the label parent_session; the source is a label too."""
    main, agent = [await import_transcript(store, i) for i in read_claude_code(CLAUDE_CODE)]

    labels = (await ss.restore(store, agent.session_id)).labels

    assert (main.session_id, "claude-code") == (labels["parent_session"], labels["source"])


async def test_a_sub_agent_imported_first_is_linked_by_the_next_import(store: ss.Store) -> None:
    """The label is set once its parent is there, and then stays."""
    main, agent = read_claude_code(CLAUDE_CODE)
    first = await import_transcript(store, agent)
    parent = (await import_transcript(store, main)).session_id

    added = [(await import_transcript(store, agent)).added for _ in range(2)]

    assert [1, 0] == added
    assert parent == (await ss.restore(store, first.session_id)).labels["parent_session"]


@pytest.mark.parametrize(("read", "path"), SOURCES.values(), ids=SOURCES)
async def test_a_transcript_that_grows_line_by_line_ends_as_if_imported_at_once(
    tmp_path: Path, read: Read, path: Path
) -> None:
    """Whatever its end says on the way: nothing twice, nothing missing."""
    lines = path.read_bytes().splitlines(keepends=True)
    growing = tmp_path / path.name
    with blocking.open_store("memory:") as store, blocking.open_store("memory:") as whole:
        expected = blocking.import_transcript(whole, read(path)[0])
        for count in range(1, len(lines) + 1):
            growing.write_bytes(b"".join(lines[:count]))
            grown = blocking.import_transcript(store, read(growing)[0])
            again = blocking.import_transcript(store, read(growing)[0])
            assert (False, 0) == (again.is_new, again.added), f"after {count} lines"

        assert summary(blocking.restore(whole, expected.session_id)) == summary(
            blocking.restore(store, grown.session_id)
        )


@pytest.mark.parametrize(("read", "path"), SOURCES.values(), ids=SOURCES)
async def test_a_transcript_imported_half_way_goes_on_from_every_line(
    tmp_path: Path, read: Read, path: Path
) -> None:
    """Wherever the first import stopped reading, the second brings the rest."""
    lines = path.read_bytes().splitlines(keepends=True)
    half = tmp_path / path.name
    with blocking.open_store("memory:") as whole:
        expected = blocking.import_transcript(whole, read(path)[0])
        wanted = summary(blocking.restore(whole, expected.session_id))
    for count in range(1, len(lines)):
        half.write_bytes(b"".join(lines[:count]))
        with blocking.open_store("memory:") as store:
            first = blocking.import_transcript(store, read(half)[0])
            blocking.import_transcript(store, read(path)[0])
            assert wanted == summary(blocking.restore(store, first.session_id)), count


@pytest.mark.parametrize("seed", range(8))
def test_a_long_transcript_that_grows_by_chance_ends_as_if_imported_at_once(
    tmp_path: Path, seed: int
) -> None:
    """Cut at any line, inside responses, between calls and results, behind interruptions."""
    lines = transcript(60_000, seed).splitlines(keepends=True)
    growing, chance = tmp_path / "grows.jsonl", Random(seed)
    cuts = sorted(chance.sample(range(1, len(lines)), 6))
    with blocking.open_store("memory:") as store, blocking.open_store("memory:") as whole:
        for cut in (*cuts, len(lines)):
            growing.write_bytes(b"".join(lines[:cut]))
            item = read_claude_code(growing)[0]
            grown = blocking.import_transcript(store, item)
            assert 0 == blocking.import_transcript(store, item).added, (cuts, cut)

        expected = blocking.import_transcript(whole, item)
        assert summary(blocking.restore(whole, expected.session_id)) == summary(
            blocking.restore(store, grown.session_id)
        ), cuts


async def test_a_response_counted_while_it_streamed_counts_as_it_ended(
    store: ss.Store, tmp_path: Path
) -> None:
    """The log got 4 tokens first; the transcript says 30 later."""
    early = parsed(tmp_path, ASKED, reply("h", 1, output=4))
    late = parsed(tmp_path, ASKED, reply("h", 1, output=4), reply("i", 2, output=30))
    session_id = (await import_transcript(store, early)).session_id
    await import_transcript(store, late)

    again = await import_transcript(store, late)
    total = (await ss.restore(store, session_id)).total_usage

    assert 0 == again.added
    assert (30, 23, 20) == (
        total.output_tokens,
        total.input_total_tokens,
        total.cache_read_tokens,
    )


async def test_a_model_that_is_named_late_becomes_the_config(
    store: ss.Store, tmp_path: Path
) -> None:
    """The first import knew of no answer, so of no model."""
    session_id = (await import_transcript(store, parsed(tmp_path, ASKED))).session_id
    grown = parsed(tmp_path, ASKED, ANSWERED)
    await import_transcript(store, grown)

    assert {"model": "m"} == (await ss.restore(store, session_id)).config
    assert 0 == (await import_transcript(store, grown)).added


async def test_a_title_that_comes_late_becomes_a_label(store: ss.Store, tmp_path: Path) -> None:
    """Labels that the log never had are added; those that it had are the owner's."""
    title = {"type": "ai-title", "sessionId": "s-1", "aiTitle": "T"}
    item = parsed(tmp_path, ASKED)
    session_id = (await import_transcript(store, item)).session_id
    session = await ss.open_session(store, session_id)
    await session.save_labels({"source": "mine"})

    await import_transcript(store, parsed(tmp_path, ASKED, title))

    labels = (await ss.restore(store, session_id)).labels
    assert {"title": "T", "source": "mine", "session_id": "s-1"} == labels


async def test_a_session_that_went_on_stays_as_it_is(store: ss.Store, tmp_path: Path) -> None:
    """Importing the same transcript again is no conflict with what was added since."""
    item = parsed(tmp_path, ASKED, ANSWERED)
    session_id = (await import_transcript(store, item)).session_id
    session = await ss.open_session(store, session_id)
    await session.save_delta([{"role": "user", "content": "my own"}])

    assert 0 == (await import_transcript(store, item)).added
    assert session.head == await store.head(session_id)


async def test_an_older_copy_of_a_transcript_adds_nothing(store: ss.Store, tmp_path: Path) -> None:
    """Even where the older copy ends a turn that the newer one goes on with."""
    whole = parsed(tmp_path, ASKED, ANSWERED, reply("more", 2, "msg_2"), ASKED_AGAIN)
    await import_transcript(store, whole)

    older = await import_transcript(store, parsed(tmp_path, ASKED, ANSWERED))

    assert (False, 0) == (older.is_new, older.added)


@frozen
class Change:
    """What happened to the transcript (or the session) between two imports."""

    lines: tuple[dict[str, Any], ...]
    goes_on: bool = False


CHANGES = {
    "an early line was edited": Change((line("user", "bye", 0), ANSWERED, ASKED_AGAIN)),
    "an early line was removed": Change((ANSWERED, ASKED_AGAIN)),
    "a line was put in": Change((ASKED, ASKED_AGAIN, ANSWERED)),
    "another model": Change((ASKED, reply("hi", 1) | {"message": {"model": "x"}}, ASKED_AGAIN)),
    "both went on": Change((ASKED, ANSWERED, ASKED_AGAIN), goes_on=True),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_transcript_that_does_not_continue_the_log_is_refused(
    store: ss.Store, tmp_path: Path, change: Change
) -> None:
    """A typed error that names session, place and next step; nothing is written."""
    first = parsed(tmp_path, ASKED, ANSWERED)
    session_id = (await import_transcript(store, first)).session_id
    if change.goes_on:
        session = await ss.open_session(store, session_id)
        await session.save_delta([{"role": "user", "content": "my own"}])
    head = await store.head(session_id)
    changed = evolve(parsed(tmp_path, *change.lines), ts=first.ts)

    with pytest.raises(ss.InvalidInput, match=rf"{session_id}.* from seq \d+ on.*nothing was"):
        await import_transcript(store, changed)

    assert head == await store.head(session_id)


async def test_a_deleted_session_is_not_imported_again(store: ss.Store, tmp_path: Path) -> None:
    """Deletion is for good."""
    item = parsed(tmp_path, ASKED)
    await ss.delete(store, (await import_transcript(store, item)).session_id)

    with pytest.raises(ss.NotFound, match="deleted"):
        await import_transcript(store, item)


async def test_what_was_erased_is_not_imported_again(store: ss.Store, tmp_path: Path) -> None:
    """A record that a redaction names counts as there, its content does not come back."""
    secret = parsed(tmp_path, line("user", "a secret", 0), ANSWERED)
    session_id = (await import_transcript(store, secret)).session_id
    record = await store.record(session_id, 1)
    session = await ss.open_session(store, session_id)
    target = {"seq": 1, "digest": record.digest.decode()}
    await session.append(ss.Redaction([target], "leak"))
    grown = parsed(tmp_path, line("user", "a secret", 0), ANSWERED, ASKED_AGAIN)

    await import_transcript(store, grown)

    history = (await ss.restore(store, session_id)).history
    assert ["hi", "and now?"] == [item["content"][0]["text"] for item in history]


async def test_a_key_that_names_another_id_finds_that_session(
    store: ss.Store, tmp_path: Path
) -> None:
    """A transcript without any time at first has an id of 1970, and keeps it."""
    undated = {k: v for k, v in ASKED.items() if k != "timestamp"}
    first = await import_transcript(store, parsed(tmp_path, undated))

    grown = await import_transcript(store, parsed(tmp_path, undated, ANSWERED))

    assert (first.session_id, False) == (grown.session_id, grown.is_new)


async def test_a_damaged_log_takes_no_import(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """The error of the log comes through; nothing is written behind the damage."""
    session_id = (await import_transcript(fs_store, parsed(tmp_path, ASKED))).session_id
    log = next((tmp_path / "store").rglob(f"{session_id}.jsonl"))
    data = bytearray(log.read_bytes())
    data[300] ^= 1
    log.write_bytes(data)

    with pytest.raises(ss.Corrupt, match=f"{session_id}.jsonl: line 1"):
        await import_transcript(fs_store, parsed(tmp_path, ASKED, ANSWERED))

    assert data == log.read_bytes()
