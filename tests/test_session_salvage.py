"""Salvage and repair: what can still be read of a damaged log, and what is said of the rest."""

import asyncio
from pathlib import Path

import pytest
from session_tools import add_turn, entries_of, harm_line, log_path, talk, texts, user

import session_store as ss
from session_store.session.salvaging import SALVAGED


def notes(state: ss.RestoredState) -> list[dict[str, object]]:
    return [payload for domain, payload in state.extensions if domain == SALVAGED]


async def test_a_good_log_is_salvaged_whole(store: ss.Store) -> None:
    """A new session with all of it, and a note that says where it came from."""
    session = await talk(store, 2, system_prompt="p", labels={"a": 1})
    expected = await ss.restore(store, session.id)

    salvaged = await ss.salvage(store, session.id)

    state = await ss.restore(store, salvaged.id)
    assert (expected.history, "p", {"a": 1}, 2) == (
        state.history,
        state.system_prompt,
        state.labels,
        state.turn_count,
    )
    assert [{"session_id": session.id, "records": 13, "gaps": 0}] == notes(state)


@pytest.mark.parametrize("seq", range(1, 7))
async def test_everything_beside_the_damage_is_kept(
    fs_store: ss.FsStore, tmp_path: Path, seq: int
) -> None:
    """One line is lost; where and how long it was is noted in its place; the original stays."""
    session = await talk(fs_store, 1)
    lines = [entry.kind for entry in await entries_of(fs_store, session.id)]
    path = log_path(tmp_path, session.id)
    sizes = [len(line) for line in path.read_bytes().splitlines(keepends=True)]
    harm_line(path, seq)
    harmed = path.read_bytes()

    salvaged = await ss.salvage(fs_store, session.id)

    state = await ss.restore(fs_store, salvaged.id)
    kinds = [entry.kind for entry in await entries_of(fs_store, salvaged.id)]
    gap = {"session_id": session.id, "offset": sum(sizes[:seq]), "length": sizes[seq]}
    assert [*lines[:seq], "extension", *lines[seq + 1 :], "extension"] == kinds
    missing = {"missing": [[seq, seq]]} if seq < 6 else {}  # Behind the last nobody knows.
    assert [gap, {"session_id": session.id, "records": 6, "gaps": 1, **missing}] == notes(state)
    assert harmed == path.read_bytes()


async def test_a_lost_beginning_is_replaced_by_an_empty_one(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    session = await talk(fs_store, 1, system_prompt="p")
    harm_line(log_path(tmp_path, session.id), 0)

    state = await ss.restore(fs_store, (await ss.salvage(fs_store, session.id)).id)

    assert (None, ["question 1", "answer 1"]) == (state.system_prompt, texts(state))


@pytest.mark.parametrize("lost", [0, 1, 6])
async def test_what_is_salvaged_is_of_the_time_of_the_original(
    fs_store: ss.FsStore, tmp_path: Path, lost: int
) -> None:
    """Also without a beginning, which is made anew."""
    session = await talk(fs_store, 1)
    original = await entries_of(fs_store, session.id)
    expected = [(e.kind, e.ts) for e in original if e.seq not in (0, lost)]
    await asyncio.sleep(0.01)
    harm_line(log_path(tmp_path, session.id), lost)

    salvaged = await ss.salvage(fs_store, session.id)

    found = await entries_of(fs_store, salvaged.id)
    assert expected == [(e.kind, e.ts) for e in found[1:] if e.kind != "extension"]
    assert original[0].ts <= found[0].ts <= original[1].ts


@pytest.mark.parametrize("cut", [1, 2, 40])
async def test_a_torn_tail_is_salvaged_too(fs_store: ss.FsStore, tmp_path: Path, cut: int) -> None:
    """A whole record counts although its LF is missing, part of one does not."""
    session = await talk(fs_store, 1)
    path = log_path(tmp_path, session.id)
    data = path.read_bytes()
    path.write_bytes(data[:-cut])

    state = await ss.restore(fs_store, (await ss.salvage(fs_store, session.id)).id)

    assert (1 if cut == 1 else 0, int(cut > 1)) == (state.turn_count, notes(state)[-1]["gaps"])


@pytest.mark.parametrize("junk", [b"", b"\n\n", bytes(1000), b"hello\n", b"\xff" * 300_000])
async def test_nothing_readable_is_nothing_to_salvage(
    fs_store: ss.FsStore, tmp_path: Path, junk: bytes
) -> None:
    """NotFound, and no new session."""
    session = await talk(fs_store, 1)
    log_path(tmp_path, session.id).write_bytes(junk)

    with pytest.raises(ss.NotFound, match=session.id):
        await ss.salvage(fs_store, session.id)

    assert not [i for i in await fs_store.list() if i.session_id != session.id]


async def test_a_line_without_end_does_not_fill_the_memory(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """What is too long for a record is one gap, and what follows is found."""
    session = await talk(fs_store, 1)
    path = log_path(tmp_path, session.id)
    lines = path.read_bytes().splitlines(keepends=True)
    junk = b"x" * 18_000_000 + b"\n"
    path.write_bytes(b"".join([*lines[:5], junk, *lines[5:]]))

    state = await ss.restore(fs_store, (await ss.salvage(fs_store, session.id)).id)

    gap, end = notes(state)
    assert (len(b"".join(lines[:5])), len(junk)) == (gap["offset"], gap["length"])
    assert (7, 1, 1) == (end["records"], end["gaps"], state.turn_count)


async def test_a_salvaged_fork_keeps_what_it_inherited(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """It is a fork by reference of the same parent, at the same record."""
    parent = await talk(fs_store, 1)
    fork = await ss.fork(fs_store, parent.id, labels={"a": 1})
    await add_turn(fork, 2)
    await add_turn(fork, 3)
    harm_line(log_path(tmp_path, fork.id), 8)

    salvaged = await ss.salvage(fs_store, fork.id)

    state = await ss.restore(fs_store, salvaged.id)
    assert [parent.head] == await ss.ancestors(fs_store, salvaged.id)
    assert ({"a": 1}, 1) == (state.labels, state.inherited_usage)
    assert ["question 1", "answer 1", "question 2", "answer 2", "answer 3"] == [
        text for text in texts(state) if text != "question 3"
    ]


@pytest.mark.parametrize("lost", ["the parent", "the parent's records", "the fork's beginning"])
async def test_a_fork_that_lost_its_parent_is_salvaged_as_a_root(
    fs_store: ss.FsStore, tmp_path: Path, lost: str
) -> None:
    """With its own records."""
    parent = await talk(fs_store, 1)
    fork = await ss.fork(fs_store, parent.id)
    await add_turn(fork, 2)
    path = log_path(tmp_path, parent.id)
    if lost == "the parent":
        path.unlink()
    elif lost == "the parent's records":
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    else:
        harm_line(log_path(tmp_path, fork.id), 0)

    salvaged = await ss.salvage(fs_store, fork.id)

    assert [] == await ss.ancestors(fs_store, salvaged.id)
    assert ["question 2", "answer 2"] == texts(await ss.restore(fs_store, salvaged.id))


async def test_what_a_redaction_names_is_not_salvaged(store: ss.Store) -> None:
    """Its replacement is, or a note that something stood there."""
    session = await talk(store, 1)
    digests = [(await store.record(session.id, seq)).digest.decode() for seq in (1, 4)]
    targets = [{"seq": seq, "digest": d} for seq, d in zip((1, 4), digests, strict=True)]
    replaced = {"4": {"items": [user("[withheld]")]}}
    await session.append(ss.Redaction(targets, "leak", replacements=replaced))

    state = await ss.restore(store, (await ss.salvage(store, session.id)).id)

    assert ["[withheld]"] == texts(state)
    assert {"session_id": session.id, "seq": 1, "kind": "user_input"} in notes(state)


async def test_a_body_that_is_not_json_is_left_out_with_a_note(store: ss.Store) -> None:
    """The salvaged session can be restored."""
    from session_store.chain import make_draft

    session = await talk(store, 1)
    bad = make_draft("user_input", b"{not json}", bytes(16))
    await store.append(session.id, [bad], expected=ss.ANY)
    with pytest.raises(ss.Corrupt, match="not JSON"):
        await ss.restore(store, session.id)

    state = await ss.restore(store, (await ss.salvage(store, session.id)).id)

    assert {"session_id": session.id, "seq": 7, "kind": "user_input"} in notes(state)


async def test_repair_cuts_at_the_damage_and_keeps_the_rest_aside(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """The quarantined piece holds every byte that was cut."""
    session = await talk(fs_store, 2)
    path = log_path(tmp_path, session.id)
    harm_line(path, 8)
    data = path.read_bytes()

    repair = await fs_store.repair(session.id)

    assert repair.cut_at is not None
    assert repair.quarantine is not None
    kept = (tmp_path / "store" / repair.quarantine).read_bytes()
    assert data[repair.cut_at :] == kept
    assert 1 == (await ss.restore(fs_store, session.id)).turn_count
    assert [] == (await ss.verify(fs_store, session.id)).problems
