"""Levels: what a log is held against, and how it stands to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from attrs import frozen
from seal_tools import drafts_of, grow, lines_of, new_key, put_lines, rewritten, sealed_session
from session_tools import talk

import session_store as ss
from session_store.checkpoint.audit import Audit
from session_store.checkpoint.merkle import Tree
from session_store.checkpoint.note import session_checkpoint, sign_note
from session_store.codec import draft
from session_store.entries import TurnEnd
from session_store.session.levels import parse_anchor
from session_store.testing.story import ROOT, begun

KEY = new_key()
TRUST = [KEY.verifier]


def forged(session_id: ss.SessionId, lines: list[bytes], seq: int) -> list[bytes]:
    """Return the log with another record *seq*, and all hashes behind it made anew."""
    drafts = drafts_of(session_id, lines)
    drafts[seq] = draft(ss.Extension("tests", "forged"), bytes(16))
    return rewritten(session_id, lines[:seq], drafts[seq:])


@frozen
class Case:
    """What happens to a sealed log of 12 records, and how it then stands to the copy of its head."""

    change: Callable[[ss.SessionId, list[bytes]], list[bytes]]
    relation: str
    level: str


def seven(session_id: ss.SessionId, lines: list[bytes]) -> list[bytes]:
    return lines[:7]


def longer(session_id: ss.SessionId, lines: list[bytes]) -> list[bytes]:
    more = [draft(ss.Extension("tests", n), bytes(16)) for n in range(3)]
    return rewritten(session_id, lines, more)


CASES = {
    "nothing": Case(lambda _, lines: lines, "consistent", "ANCHORED"),
    "more": Case(longer, "ahead", "ANCHORED"),
    "a cut tail": Case(seven, "truncated", "INTACT"),
    "all anew": Case(lambda i, lines: forged(i, lines, 3), "rewritten", "INTACT"),
    "all anew, and longer": Case(
        lambda i, lines: longer(i, forged(i, lines, 3)), "rewritten", "INTACT"
    ),
    "all anew but its seal": Case(
        lambda i, lines: longer(i, forged(i, lines[:11], 3)), "rewritten", "INTACT"
    ),
}


async def anchor_of(store: ss.Store, session_id: ss.SessionId, kind: str) -> ss.Note | ss.Inventory:
    if kind == "heads":
        return await ss.sign_store(store, KEY)
    sealed = await ss.seal(store, session_id, KEY)
    return ss.parse_note(sealed.note)


@pytest.mark.parametrize("kind", ["checkpoint", "heads"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_log_beside_a_signed_head(
    fs_store: ss.FsStore, tmp_path: Path, case: Case, kind: str
) -> None:
    """Of one session, or of a whole store: the same relation."""
    session = await sealed_session(fs_store, KEY)
    anchor = await anchor_of(fs_store, session.id, kind)
    lines = lines_of(tmp_path, session.id)
    put_lines(tmp_path, session.id, case.change(session.id, lines))

    report = await ss.verify(fs_store, session.id, trust=TRUST, against=anchor)

    assert report.anchor is not None
    relation = report.anchor.relation
    if (kind, case.relation) == ("checkpoint", "consistent"):
        relation = {"ahead": "consistent"}[relation]  # The seal stands behind what it signs.
    assert (case.relation, case.level) == (relation, report.level)
    assert (case.level == "ANCHORED") == (not report.problems)
    assert parse_anchor(str(anchor)) == anchor


STORES = {
    "nothing": Case(lambda _, lines: lines, "consistent", "ANCHORED"),
    "more": Case(longer, "ahead", "ANCHORED"),
    "less": Case(seven, "behind", "INTACT"),
    "another continuation": Case(lambda i, lines: longer(i, lines[:7]), "forked", "INTACT"),
}


@pytest.mark.parametrize("case", STORES.values(), ids=STORES)
async def test_a_log_beside_another_store(fs_store: ss.FsStore, tmp_path: Path, case: Case) -> None:
    """A replica holds the same bytes; where both went on, the last common record is found."""
    session = await talk(fs_store, 2)
    async with await ss.open_store(tmp_path / "replica") as replica:
        lines = lines_of(tmp_path / "store", session.id)
        await replica.append_lines(session.id, b"".join(lines))
        put_lines(tmp_path / "store", session.id, case.change(session.id, lines))

        report = await ss.verify(fs_store, session.id, against=replica)

    assert report.anchor is not None
    assert (case.relation, case.level) == (report.anchor.relation, report.level)
    common = {"consistent": 13, "ahead": 13, "behind": 7, "forked": 7}[case.relation]
    assert common == report.anchor.common


async def test_another_log_under_the_same_id_has_nothing_in_common(store: ss.Store) -> None:
    """Not even its first record."""
    session = await talk(store, 1)
    async with await ss.open_store("memory:") as other:
        await ss.create_session_with_id(other, session.id)
        report = await ss.verify(store, session.id, against=other)

    assert report.anchor is not None
    assert ("rewritten", 0) == (report.anchor.relation, report.anchor.common)


async def test_what_the_other_side_does_not_know_anchors_nothing(store: ss.Store) -> None:
    """A session that is younger than the copy, or that a store never had."""
    inventory = await ss.sign_store(store, KEY)
    session = await talk(store, 1)
    async with await ss.open_store("memory:") as empty:
        for anchor in (inventory, empty):
            report = await ss.verify(store, session.id, trust=TRUST, against=anchor)
            assert (None, "INTACT", []) == (report.anchor, report.level, report.problems)


async def test_one_key_that_signed_two_histories_is_shown_to_have(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """Both are signed: that is proof against the signer, and no ordinary rewriting."""
    session = await ss.create_session(fs_store)
    await grow(session, 6)
    before = lines_of(tmp_path, session.id)
    first = ss.parse_note((await ss.seal(fs_store, session.id, KEY)).note)
    put_lines(tmp_path, session.id, forged(session.id, before, 3))
    async with await ss.open_store(tmp_path / "store") as store:
        await ss.seal(store, session.id, KEY)
        report = await ss.verify(store, session.id, trust=TRUST, against=first)

    assert report.anchor is not None
    assert ("forked", "INTACT") == (report.anchor.relation, report.level)
    assert "has signed these 7 records, and 7 others" in report.anchor.why


async def test_an_anchor_of_something_else_is_refused(store: ss.Store) -> None:
    """Of another session, of another store, or signed by nobody that is trusted."""
    one, two = await talk(store, 1), await talk(store, 1)
    note = ss.parse_note((await ss.seal(store, one.id, KEY)).note)
    async with await ss.open_store("memory:") as other:
        heads = await ss.sign_store(other, KEY)
    stranger = [new_key("example.org/stranger").verifier]

    with pytest.raises(ss.InvalidProof, match=f"of session {one.id}"):
        await ss.verify(store, two.id, trust=TRUST, against=note)
    with pytest.raises(ss.InvalidProof, match="the heads of store"):
        await ss.verify(store, one.id, trust=TRUST, against=heads)
    with pytest.raises(ss.InvalidProof, match="no trusted key"):
        await ss.verify(store, one.id, trust=stranger, against=note)
    with pytest.raises(ValueError, match="only if a key is trusted"):
        await ss.verify(store, one.id, against=note)


async def test_a_copy_signed_by_the_next_key_is_believed_after_the_hand_over(
    store: ss.Store,
) -> None:
    """The log itself says who signs now."""
    new = new_key("example.org/next")
    session = await sealed_session(store, KEY)
    await ss.seal(store, session.id, KEY, successor=new)
    await grow(session, 1)
    note = ss.parse_note((await ss.seal(store, session.id, new)).note)

    report = await ss.verify(store, session.id, trust=TRUST, against=note)
    assert "ANCHORED" == report.level


async def test_the_tail_behind_the_last_seal_is_counted(store: ss.Store) -> None:
    """And is a problem where the caller's policy says so; the level stands."""
    session = await sealed_session(store, KEY)
    await grow(session, 3)
    counted = await ss.verify(store, session.id, trust=TRUST)
    judged = await ss.verify(store, session.id, trust=TRUST, unsealed_max=2)
    never = await ss.verify(store, (await talk(store, 1)).id, trust=TRUST, unsealed_max=0)

    assert ("SEALED", 3, []) == (counted.level, counted.unsealed, counted.problems)
    assert ("SEALED", ["unsealed-tail"]) == (judged.level, [f.what for f in judged.problems])
    assert ("INTACT", 7) == (never.level, never.unsealed)


async def test_a_damaged_log_has_no_level(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """Seals are not looked at then."""
    session = await sealed_session(fs_store, KEY)
    lines = lines_of(tmp_path, session.id)
    put_lines(tmp_path, session.id, [*lines[:3], *lines[4:]])

    report = await ss.verify(fs_store, session.id, trust=TRUST)
    assert (None, None, None) == (report.level, report.sealed, report.unsealed)


Harm = Callable[[ss.Store, Path, ss.Session], Awaitable[None]]


async def cut(store: ss.Store, root: Path, session: ss.Session) -> None:
    put_lines(root, session.id, lines_of(root, session.id)[:3])


async def rewrite(store: ss.Store, root: Path, session: ss.Session) -> None:
    put_lines(root, session.id, longer(session.id, lines_of(root, session.id)[:3]))
    async with await ss.open_store(root) as opened:
        await grow(await ss.open_session(opened, session.id), 30)


MEMORIES: dict[str, tuple[Harm, str]] = {
    "cut": (cut, "rolled-back"),
    "longer": (rewrite, "rewritten"),
}


@pytest.mark.parametrize(("harm", "what"), MEMORIES.values(), ids=MEMORIES)
async def test_the_head_memory_notices_a_log_that_went_back(
    tmp_path: Path, harm: Harm, what: str
) -> None:
    """As often as it is asked, until somebody says that it shall be so."""
    root = tmp_path / "store"
    async with await ss.open_store(root, heads=tmp_path / "heads.db") as store:
        session = await ss.create_session(store)
        await grow(session, 8)
        await session.close()
        await harm(store, root, session)

        for _ in range(2):
            report = await ss.verify(store, session.id)
            assert ("INTACT", [what]) == (report.level, [f.what for f in report.problems])
        verifier = ss.Verifier(store)
        await verifier.verify(session.id)
        await verifier.remember(also_back=True)
        assert [] == (await ss.verify(store, session.id)).problems


async def test_the_head_memory_notices_a_session_that_is_gone(tmp_path: Path) -> None:
    """But not one that was deleted as it should be."""
    root = tmp_path / "store"
    async with await ss.open_store(root, heads=tmp_path / "heads.db") as store:
        gone, deleted = await talk(store, 1), await talk(store, 1)
        for session in (gone, deleted):
            await session.close()
        await ss.delete(store, deleted.id)
        next(root.rglob(f"{gone.id}.jsonl")).unlink()

        verifier = ss.Verifier(store)
        (report,) = await verifier.missing()
        assert (gone.id, None, ["lost"]) == (
            report.session_id,
            report.level,
            [f.what for f in report.findings],
        )
        await verifier.remember(also_back=True)
        assert [] == await ss.Verifier(store).missing()


async def test_a_signed_list_notices_a_session_that_is_gone(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """Also one that was deleted since, which its tombstone says, and anybody can write."""
    gone, deleted, kept = [await talk(fs_store, 1) for _ in range(3)]
    inventory = await ss.sign_store(fs_store, KEY)
    await ss.delete(fs_store, deleted.id)
    next(tmp_path.rglob(f"{gone.id}.jsonl")).unlink()

    found = await ss.Verifier(fs_store, trust=TRUST, against=inventory).missing()
    whys = {report.session_id: report.findings[0].why for report in found}
    assert {gone.id, deleted.id} == set(whys)
    assert "without a tombstone" in whys[gone.id]
    assert "was deleted since" in whys[deleted.id]
    assert kept.id not in whys


class Growing(ss.FsStore):
    """A store whose log grows, is sealed and remembered while it is verified."""

    looks = 0

    async def raw(self, session_id: ss.SessionId) -> AsyncIterator[bytes]:
        self.looks += 1
        is_reading = self.looks == 2  # The first look is for seals.
        for _ in range(is_reading):
            await self.grow(session_id)
        async for chunk in super().raw(session_id):
            yield chunk
        for _ in range(is_reading):
            await self.grow(session_id)

    async def grow(self, session_id: ss.SessionId) -> None:
        assert self.heads is not None
        async with await ss.open_store(self.core.files.root, heads=self.heads.path) as other:
            await grow(await ss.open_session(other, session_id), 2)
            await ss.seal(other, session_id, KEY)
            await grow(await ss.open_session(other, session_id), 1)


async def test_what_is_appended_meanwhile_is_not_held_against_a_log(tmp_path: Path) -> None:
    """Neither a seal that nobody looked for, nor a head that was seen later."""
    async with await ss.open_store(tmp_path / "store") as store:
        session = await sealed_session(store, KEY)
        live = Growing(store.core)
        live.heads = ss.HeadMemory(tmp_path / "heads.db", live.store_id)

        report = await ss.verify(live, session.id, trust=TRUST)
        assert ("SEALED", []) == (report.level, list(report.findings))
        assert 16 == report.records
        seen = live.heads.seen(session.id)
        assert seen is not None
        assert 17 == seen.seq


def test_a_seal_that_nobody_looked_for_is_passed_over() -> None:
    """Where it signs less than what stands before it, its root is not known; that is no finding."""
    story = begun()
    tree = Tree()
    for seq in range(1):
        tree.add(story.record(seq).hash)
    note = sign_note(session_checkpoint(ROOT, 1, tree.root()).text(), KEY)
    story.append(TurnEnd(1))
    story.append(ss.Seal(str(note)))
    audit = Audit(ROOT)
    audit.take([story.record(seq) for seq in range(3)])

    verdict = audit.judge(TRUST)
    assert (None, []) == (verdict.sealed, list(verdict.bad))
    told = Audit(ROOT, {1})
    told.take([story.record(seq) for seq in range(3)])
    assert told.judge(TRUST).sealed is not None
