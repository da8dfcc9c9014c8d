"""Who descends from whom, and what deleting means for relatives."""

from pathlib import Path

import pytest
from session_tools import log_path, talk

import session_store as ss
from session_store.codec import draft


async def generations(store: ss.Store) -> dict[str, ss.Session]:
    """root ← (left ← (leaf), right); a copy of left; a compaction of right; a stranger."""
    root = await talk(store, 1)
    left = await ss.fork(store, root.id)
    right = await ss.fork(store, root.id)
    leaf = await ss.fork(store, left.id)
    copy = await ss.flatten(store, left.id)
    short = await ss.create_compacted_session(store, ss.SessionStartState(), right.head)
    stranger = await ss.create_session(store)
    names = ("root", "left", "right", "leaf", "copy", "short", "stranger")
    return dict(zip(names, (root, left, right, leaf, copy, short, stranger), strict=True))


async def test_ancestors_are_the_records_that_a_fork_continues(store: ss.Store) -> None:
    """The root's first; copies and compactions stand alone."""
    at = await generations(store)

    found = {name: await ss.ancestors(store, session.id) for name, session in at.items()}

    assert [at["root"].head, at["left"].head] == found["leaf"]
    assert [at["root"].head] == found["left"] == found["right"]
    assert [] == found["root"] == found["copy"] == found["short"] == found["stranger"]


async def test_descendants_come_after_their_parents(store: ss.Store) -> None:
    at = await generations(store)

    below = await ss.descendants(store, at["root"].id)

    assert {at[name].id for name in ("left", "right", "leaf")} == set(below)
    assert below.index(at["left"].id) < below.index(at["leaf"].id)
    assert [at["leaf"].id] == list(await ss.children(store, at["left"].id))


async def test_the_origin_tells_forks_copies_and_compactions_apart(store: ss.Store) -> None:
    at = await generations(store)

    found = {name: await ss.origin(store, session.id) for name, session in at.items()}

    assert ss.SessionOrigin(at["left"].head, by_reference=True) == found["leaf"]
    assert ss.SessionOrigin(at["left"].head) == found["copy"]
    assert ss.SessionOrigin(compacted_from=at["right"].head) == found["short"]
    assert ss.SessionOrigin() == found["root"] == found["stranger"]


def shape(families: list[ss.Family]) -> list[object]:
    return [[family.session_id, shape(family.children)] for family in families]


async def test_the_tree_holds_every_session_once(store: ss.Store) -> None:
    """Copies and compactions hang below their sources."""
    at = await generations(store)
    ids = {name: session.id for name, session in at.items()}

    expected = [
        [
            ids["root"],
            [
                [ids["left"], [[ids["leaf"], []], [ids["copy"], []]]],
                [ids["right"], [[ids["short"], []]]],
            ],
        ],
        [ids["stranger"], []],
    ]
    assert expected == shape(await ss.tree(store))


async def test_a_session_whose_source_is_gone_is_a_root(store: ss.Store) -> None:
    source = await talk(store, 1)
    copy = await ss.flatten(store, source.id)
    await ss.delete(store, source.id)

    assert [[copy.id, []]] == shape(await ss.tree(store))


async def test_a_damaged_session_is_in_the_tree_without_an_origin(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    session = await talk(fs_store, 1)
    path = log_path(tmp_path, session.id)
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":9', 1))

    (family,) = await ss.tree(fs_store)

    assert (session.id, None, []) == (family.session_id, family.origin, family.children)


async def claiming(store: ss.Store, sessions: list[tuple[ss.SessionId, ss.SessionId]]) -> None:
    """Create logs that claim to be copies of each other: any writer can claim that."""
    for session_id, source in sessions:
        claim = {"session_id": source, "seq": 0, "hash": "ab" * 32}
        start = ss.SessionStart(session_id, history=[], forked_from=claim)
        await store.create(session_id, [draft(start, bytes(16))])


async def test_claims_that_lead_in_a_ring_hide_no_session(store: ss.Store) -> None:
    """Those in the ring are roots; what hangs below it still does."""
    one, two, below = (ss.new_session_id() for _ in range(3))
    await claiming(store, [(one, two), (two, one), (below, two)])

    assert [[one, []], [two, [[below, []]]]] == shape(await ss.tree(store))


async def test_a_source_with_a_later_id_is_a_source_all_the_same(store: ss.Store) -> None:
    """Clocks of two machines differ; the claim counts, not the order of the ids."""
    child, parent = ss.new_session_id(), ss.new_session_id()
    await claiming(store, [(child, parent)])
    await ss.create_session_with_id(store, parent)

    assert [[parent, [[child, []]]]] == shape(await ss.tree(store))


class Ring(ss.MemoryStore):
    """Says of every session that it continues the other one; hashes cannot, a broken store can."""

    ring: tuple[ss.Position, ...] = ()

    async def origin(self, session_id: ss.SessionId) -> ss.SessionOrigin:
        other = next(p for p in self.ring if p.session_id != session_id)
        return ss.SessionOrigin(other, by_reference=True)


async def test_parents_that_lead_back_to_a_log_are_corrupt() -> None:
    """No walk along a lineage goes on for ever."""
    store = Ring()
    one, two = await ss.create_session(store), await ss.create_session(store)
    store.ring = (one.head, two.head)

    for attempt in (ss.restore(store, one.id), ss.ancestors(store, one.id)):
        with pytest.raises(ss.Corrupt, match="lead back"):
            await attempt


async def test_sessions_are_listed_newest_first_across_pages(store: ss.Store) -> None:
    ids = [(await ss.create_session(store, durability="os")).id for _ in range(7)]
    pages = [info.session_id for info in await store.list(limit=3)]
    pages += [info.session_id for info in await store.list(limit=9, before=pages[-1])]

    assert ids[::-1] == pages == [info.session_id async for info in ss.sessions(store)]


async def test_a_session_with_forks_is_not_deleted(store: ss.Store) -> None:
    """The error names them; nothing is gone."""
    at = await generations(store)

    with pytest.raises(ss.HasForks, match=f"{at['root'].id}: 2 forks") as refused:
        await ss.delete(store, at["root"].id)

    assert {at["left"].id, at["right"].id} == set(refused.value.children)
    assert 1 == (await ss.restore(store, at["leaf"].id)).turn_count


async def test_a_session_is_deleted_with_its_forks_from_below(store: ss.Store) -> None:
    """Every fork before what it lives on; copies stay."""
    at = await generations(store)

    deleted = await ss.delete(store, at["root"].id, with_forks=True)

    assert {at[name].id for name in ("root", "left", "right", "leaf")} == set(deleted)
    assert at["root"].id == deleted[-1]
    assert deleted.index(at["leaf"].id) < deleted.index(at["left"].id)
    left = {info.session_id for info in await store.list()}
    assert {at[name].id for name in ("copy", "short", "stranger")} == left


async def test_a_deleted_session_is_gone_for_every_call(store: ss.Store) -> None:
    """NotFound, at once and for good; its id is not used again."""
    session = await talk(store, 1)
    assert [session.id] == await ss.delete(store, session.id)

    for attempt in (
        ss.restore(store, session.id),
        ss.open_session(store, session.id),
        ss.fork(store, session.id),
        ss.flatten(store, session.id),
        ss.verify(store, session.id),
        ss.salvage(store, session.id),
        ss.origin(store, session.id),
        ss.ancestors(store, session.id),
        ss.create_session_with_id(store, session.id),
        session.save_turn_end(2),
        session.flush(),
        anext(session.follow(0)),
        anext(ss.read_entries(store, session.id)),
        anext(ss.TraceReader(store, session.id).entries()),
    ):
        with pytest.raises(ss.NotFound, match=session.id):
            await attempt
    assert [] == await ss.tree(store)


async def test_deleting_again_is_no_error(store: ss.Store) -> None:
    """An interrupted deletion is finished by asking again."""
    session = await talk(store, 1)

    assert [[session.id]] * 2 == [await ss.delete(store, session.id) for _ in range(2)]


async def test_what_was_never_there_cannot_be_deleted(store: ss.Store) -> None:
    with pytest.raises(ss.NotFound):
        await ss.delete(store, ss.new_session_id())


async def test_a_fork_by_reference_makes_its_prefix_durable(fs_store: ss.FsStore) -> None:
    """Whatever level the parent's appends were asked for, flush has nothing left to do."""
    session = await ss.create_session(fs_store)
    await session.save_turn_end(1, durability="os")

    fork = await ss.fork(fs_store, session.id, durability="os")

    assert ("disk", session.head) == (
        (await session.flush()).level,
        (await ss.origin(fs_store, fork.id)).forked_from,
    )
