"""Copies: self-contained logs of a lineage, with its times, its batches and its omissions."""

from pathlib import Path
from typing import Any

import pytest
from session_tools import add_turn, carried, entries_of, log_path, talk, texts, usage, user

import session_store as ss
from session_store.session.copying import ERASED


async def family(store: ss.Store) -> ss.Session:
    """Return a grandchild of three logs, each with something of its own."""
    root = await talk(store, 2, system_prompt="p", config={"n": 0}, labels={"a": 1, "b": 1})
    await root.save_extension("mine", {"at": "root"})
    turn = (await ss.restore(store, root.id)).turns[1]
    middle = await ss.fork_at(store, root.id, turn, config={"n": 1}, labels={"a": None})
    await add_turn(middle, 2)
    await middle.save_config_changed({"n": 2})
    leaf = await ss.fork(store, middle.id, system_prompt="q", labels={"c": 3})
    await add_turn(leaf, 3)
    await leaf.save_run_started("user")
    await leaf.append(ss.UnknownEntry("x.later", {"y": [1, None]}))
    return leaf


def comparable(state: ss.RestoredState) -> dict[str, Any]:
    return {
        **carried(state),
        "interrupted": state.last_run_interrupted,
        "open_run": state.open_run is not None,
        "unknown": state.unknown_kinds,
        "started": state.started_ts > 0,
    }


async def test_a_flat_copy_has_the_state_of_its_lineage(store: ss.Store) -> None:
    """One log under a new id, no parents, the source named as information."""
    leaf = await family(store)
    expected = await ss.restore(store, leaf.id)

    flat = await ss.flatten(store, leaf.id)

    state = await ss.restore(store, flat.id)
    assert comparable(expected) == comparable(state)
    assert ss.SessionOrigin(leaf.head) == state.origin
    assert ([], flat.head) == (await ss.ancestors(store, flat.id), state.head)


async def test_a_copy_stands_when_its_source_is_gone(store: ss.Store) -> None:
    leaf = await family(store)
    flat = await ss.flatten(store, leaf.id)
    root = (await ss.ancestors(store, leaf.id))[0].session_id
    await ss.delete(store, root, with_forks=True)

    assert 3 == (await ss.restore(store, flat.id)).turn_count
    assert [] == (await ss.verify(store, flat.id)).problems


async def test_inherited_usage_is_not_counted_twice(store: ss.Store) -> None:
    """Own totals of source, copy and copy of the copy add up to what was really paid."""
    source = await talk(store, 2)
    copies = [await ss.flatten(store, source.id)]
    await copies[0].save_usage(usage(10))
    copies.append(await ss.flatten(store, copies[0].id))
    await copies[1].save_usage(usage(100))
    copies.append(await ss.fork(store, copies[1].id))

    states = [await ss.restore(store, session.id) for session in (source, *copies)]

    assert [3, 10, 100, 0] == [state.own_usage.output_tokens for state in states]
    assert [3, 13, 113, 113] == [state.total_usage.output_tokens for state in states]


async def test_a_copy_keeps_the_times_of_its_source(store: ss.Store) -> None:
    """Each record has the time at which it happened, not that of the copying."""
    session_id = ss.new_session_id()
    from session_store.codec import draft
    from session_store.session.starting import start_drafts

    await store.create(session_id, start_drafts(session_id, ss.SessionStartState(), ts=1000))
    drafts = [draft(ss.UserInput([user("x")]), bytes([n]) * 16, 2000 + n) for n in range(3)]
    await store.append(session_id, drafts, expected=ss.ANY)

    flat = await ss.flatten(store, session_id)

    assert [1000, 2000, 2001, 2002] == [e.ts for e in await entries_of(store, flat.id)][:4]


async def test_an_append_of_the_source_is_an_append_of_the_copy(store: ss.Store) -> None:
    """Cut inside an append, the last one is recomputed to be whole."""
    source = await talk(store, 1)
    entries = await entries_of(store, source.id)
    for entry in entries:
        ends = [e.seq for e in entries[: entry.seq] if e.batch == 0]
        begin = ends[-1] + 1 if ends else 0
        whole, cut = entries[:begin], entries[begin : entry.seq + 1]

        flat = await ss.flatten(store, source.id, at=entry.position)

        expected = [e.batch for e in whole] + [e.batch - entry.batch for e in cut]
        assert expected == [e.batch for e in await entries_of(store, flat.id)][:-1]


async def test_a_copy_has_salts_of_its_own(store: ss.Store) -> None:
    """Who knows one log's commitments knows nothing of the other's."""
    source = await talk(store, 1)
    flat = await ss.flatten(store, source.id)

    salts = {(await store.record(source.id, seq)).salt for seq in range(7)}
    assert not salts & {(await store.record(flat.id, seq)).salt for seq in range(8)}


async def erased(store: ss.Store, session: ss.Session, seq: int, **redaction: Any) -> None:
    record = await store.record(session.id, seq)
    target = {"seq": seq, "digest": record.digest.decode()}
    await session.append(ss.Redaction([target], "leak", **redaction))


async def test_an_erased_record_is_copied_as_a_stated_placeholder(store: ss.Store) -> None:
    """Nothing of the body; an extension says what stood there."""
    source = await talk(store, 1)
    await erased(store, source, 1)

    flat = await ss.flatten(store, source.id)

    state = await ss.restore(store, flat.id)
    assert (["answer 1"], []) == (texts(state), state.withheld)
    assert [(ERASED, {"kind": "user_input", "seq": 1})] == state.extensions
    assert "redaction" not in [entry.kind for entry in await entries_of(store, flat.id)]


async def test_an_erased_record_is_copied_as_its_replacement(store: ss.Store) -> None:
    source = await talk(store, 1)
    await erased(store, source, 1, replacements={"1": {"items": [user("[withheld]")]}})

    flat = await ss.flatten(store, source.id)

    assert ["[withheld]", "answer 1"] == texts(await ss.restore(store, flat.id))


async def test_an_erased_body_is_in_no_byte_of_the_copy(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """Even while the source still holds the bytes."""
    source = await talk(fs_store, 1)
    await erased(fs_store, source, 1)

    flat = await ss.flatten(fs_store, source.id)

    assert b"question 1" not in log_path(tmp_path, flat.id).read_bytes()


async def test_an_erased_start_is_copied_without_what_it_said(store: ss.Store) -> None:
    """The replacement stands in; the copy begins with nothing else."""
    source = await talk(store, 1, system_prompt="secret", history=[user("secret")])
    await erased(store, source, 0, replacements={"0": {"format": 1, "session_id": source.id}})

    flat = await ss.flatten(store, source.id)

    state = await ss.restore(store, flat.id)
    assert (None, ["question 1", "answer 1"]) == (state.system_prompt, texts(state))


async def test_a_fork_that_replaced_its_history_has_no_copy(store: ss.Store) -> None:
    """No kind of entry can say "forget what was before": refused, with the session named."""
    from session_store.codec import draft

    parent = await talk(store, 1)
    child = ss.new_session_id()
    start = ss.SessionStart(child, history=[user("new")], forked_from=parent.head.to_json())
    await store.create(child, [draft(start, bytes(16))], parent=parent.head)
    assert ["new"] == texts(await ss.restore(store, child))

    with pytest.raises(ss.InvalidInput, match=f"{child}: the fork replaced its history"):
        await ss.flatten(store, child)


async def test_a_copy_that_fails_leaves_nothing(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """No session, no temporary file."""
    source = await talk(fs_store, 1)
    path = log_path(tmp_path, source.id)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"c1", b"c2")
    path.write_bytes(b"".join(lines))

    with pytest.raises(ss.Corrupt, match="line 4"):
        await ss.flatten(fs_store, source.id)

    assert [source.id] == [info.session_id for info in await fs_store.list()]
    assert [] == list(tmp_path.rglob("*.tmp"))
