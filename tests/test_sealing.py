"""Seals: what is signed, when, and what is never signed."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from seal_tools import drafts_of, grow, lines_of, new_key, put_lines, rewritten, sealed_session
from session_tools import add_turn, entries_of, talk
from verdicts import make_masked, place

import session_store as ss
from session_store import blocking
from session_store.chain import Record
from session_store.checkpoint.merkle import Tree
from session_store.checkpoint.note import session_checkpoint, sign_note
from session_store.codec import draft
from session_store.session.sealing import Sealing
from session_store.stores.face import InlineFace
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import FaultyMemory, deaths
from session_store.testing.story import MASKED, Story, erased_body


async def seals_of(store: ss.Store, session_id: ss.SessionId) -> list[ss.HashedEntry]:
    return [entry for entry in await entries_of(store, session_id) if entry.kind == "seal"]


async def test_a_seal_signs_the_tree_over_the_record_hashes(store: ss.Store) -> None:
    """Of all records before it, in a note that others can read."""
    key, session = new_key(), await talk(store, 2)
    sealed = await ss.seal(store, session.id, key)

    tree = Tree()
    for entry in (await entries_of(store, session.id))[:-1]:
        tree.add(entry.hash)
    (seal,) = await seals_of(store, session.id)
    assert seal.body == {"note": sealed.note}
    assert (13, 13, key.verifier) == (sealed.size, sealed.seq, sealed.key)
    note = ss.parse_note(sealed.note)
    origin = f"session-store/session/{session.id}"
    assert ss.Checkpoint(origin, 13, tree.root()) == ss.parse_checkpoint(note.text)
    assert [key.verifier] == note.signers([key.verifier])


async def test_a_seal_makes_no_head_stale(store: ss.Store) -> None:
    """It is maintenance: whoever writes to the session goes on."""
    session = await talk(store, 1)
    await ss.seal(store, session.id, new_key())
    await add_turn(session, 2)

    assert 2 == (await ss.restore(store, session.id)).turn_count


async def test_what_is_sealed_already_is_not_sealed_again(store: ss.Store) -> None:
    """Nothing is appended where only seals were appended since."""
    key, session = new_key(), await talk(store, 1)
    first = await ss.seal(store, session.id, key)
    head = await store.head(session.id)

    assert first == await ss.seal(store, session.id, key)
    assert head == await store.head(session.id)
    await ss.seal(store, session.id, new_key("example.org/other"))
    assert first == await ss.seal(store, session.id, key)


async def test_every_so_many_records_and_at_turns_and_at_the_end(store: ss.Store) -> None:
    """The policy of a handle, and its seals all hold."""
    key, session = new_key(), await ss.create_session(store)
    session.seal_with(ss.Sealer(key, every=4))
    await grow(session, 9)
    assert [4 + 1, 9 + 1] == [entry.seq for entry in await seals_of(store, session.id)]
    await session.save_turn_end(1)
    assert 3 == len(await seals_of(store, session.id))
    await grow(session, 1)
    await session.close()

    assert 4 == len(await seals_of(store, session.id))
    report = await ss.verify(store, session.id, trust=[key.verifier])
    assert ("SEALED", 0, []) == (report.level, report.unsealed, list(report.findings))


async def test_only_what_the_policy_names(store: ss.Store) -> None:
    """Neither turns nor the end, if only the number counts."""
    session = await ss.create_session(store)
    session.seal_with(ss.Sealer(new_key(), every=3, at=()))
    await session.save_turn_end(1)
    await session.close()

    assert [] == await seals_of(store, session.id)
    with pytest.raises(ValueError, match="every is at least 1"):
        ss.Sealer(new_key(), every=0)
    with pytest.raises(ValueError, match="'turn' and 'end'"):
        ss.Sealer(new_key(), at=("night",))  # type: ignore[arg-type]


async def test_a_handle_that_moves_to_a_fork_seals_that(store: ss.Store) -> None:
    """Whoever lost the race seals what it goes on with."""
    key, session = new_key(), await talk(store, 1)
    other = await ss.open_session(store, session.id)
    other.seal_with(ss.Sealer(key))
    await add_turn(session, 2)
    await other.ensure_head_or_fork()
    await add_turn(other, 2)

    assert [] == await seals_of(store, session.id)
    assert "SEALED" == (await ss.verify(store, other.id, trust=[key.verifier])).level


class Handed(ss.SigningKey):
    """A key that cannot sign."""

    def sign(self, message: bytes) -> bytes:
        raise ss.StoreFull("no room for a signature")


async def test_a_seal_that_fails_does_not_fail_the_append(
    store: ss.Store, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said, tried again with every append, and raised at the end."""
    key, session = new_key(), await ss.create_session(store)
    session.seal_with(ss.Sealer(Handed(key.name, key.seed, key.verifier), every=2))
    with caplog.at_level(logging.WARNING, "session_store"):
        await grow(session, 4)

    assert 3 == sum("not sealed" in message for message in caplog.messages)
    assert 4 == (await store.head(session.id)).seq
    with pytest.raises(ss.StoreFull, match="signature"):
        await session.close()


async def test_a_rewritten_log_is_not_sealed_again(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """A signer does not sign two histories: not by its own seals in the log …"""
    key = new_key()
    session = await sealed_session(fs_store, key)
    lines = lines_of(tmp_path, session.id)
    drafts = drafts_of(session.id, lines)
    drafts[3] = draft(ss.Extension("tests", "forged"), bytes(16))
    put_lines(tmp_path, session.id, rewritten(session.id, [], drafts))

    with pytest.raises(ss.NotAnExtension, match="does not continue what seal 11 says"):
        await ss.seal(fs_store, session.id, key)


async def test_a_log_that_went_back_is_not_sealed(tmp_path: Path) -> None:
    """… nor, where the seals went too, by the head memory."""
    key = new_key()
    where = tmp_path / "store"
    async with await ss.open_store(where, heads=tmp_path / "heads.db") as store:
        session = await sealed_session(store, key)
        lines = lines_of(where, session.id)
        put_lines(where, session.id, lines[:5])

        with pytest.raises(ss.NotAnExtension, match=f"{session.id}:10:"):
            await ss.seal(store, session.id, key)
        with pytest.raises(ss.NotAnExtension):
            await ss.sign_store(store, key)


async def test_a_log_that_changes_between_two_seals_is_not_sealed(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """A handle that goes on sealing reads only what is new, and knows what that must link to."""
    session = await talk(fs_store, 1)
    sealing = Sealing(fs_store, session.id, new_key())
    await sealing.seal()
    lines = lines_of(tmp_path, session.id)
    drafts = drafts_of(session.id, lines)
    put_lines(tmp_path, session.id, rewritten(session.id, lines[:3], drafts[4:] + drafts[3:]))

    with pytest.raises(ss.NotAnExtension):
        await sealing.seal()


async def test_a_hand_over_lets_the_next_key_sign(store: ss.Store) -> None:
    """Whoever trusts the first key trusts the next one, and the first no more."""
    old, new = new_key(), new_key("example.org/next")
    session = await sealed_session(store, old)
    handed = await ss.seal(store, session.id, old, successor=new)
    assert new.verifier == ss.parse_checkpoint(ss.parse_note(handed.note).text).successor
    await grow(session, 2)
    await ss.seal(store, session.id, new)

    for trusted in (old, new):
        report = await ss.verify(store, session.id, trust=[trusted.verifier])
        assert ("SEALED", 0) == (report.level, report.unsealed)
        assert report.sealed is not None
        assert new.verifier == report.sealed.key
    with pytest.raises(ss.InvalidInput, match=r"handed over to example\.org/next"):
        await ss.seal(store, session.id, old)


async def test_what_a_retired_key_signs_counts_no_more(store: ss.Store) -> None:
    """A thief of the old key signs in vain behind its hand-over."""
    old, new = new_key(), new_key("example.org/next")
    session = await sealed_session(store, old)
    await ss.seal(store, session.id, old, successor=new)
    await grow(session, 1)
    size = (await store.head(session.id)).seq + 1
    stolen = sign_note(session_checkpoint(session.id, size, bytes(32)).text(), old)
    await session.append(ss.Seal(str(stolen)), expected=ss.ANY)

    report = await ss.verify(store, session.id, trust=[old.verifier])
    assert ("SEALED", 1, []) == (report.level, report.unsealed, list(report.findings))


async def test_a_worker_stops_sealing_with_a_key_that_was_handed_over(
    store: ss.Store, caplog: pytest.LogCaptureFixture
) -> None:
    """It reads the hand-over before it signs again, and says so; its appends go on."""
    old, new = new_key(), new_key("example.org/next")
    session = await ss.create_session(store, shared=True)
    session.seal_with(ss.Sealer(old, every=2, at=("end",)))
    await grow(session, 2)
    await ss.seal(store, session.id, old, successor=new)
    with caplog.at_level(logging.WARNING, "session_store"):
        await grow(session, 2)

    assert "handed over to example.org/next" in caplog.text
    assert 2 == len(await seals_of(store, session.id))
    with pytest.raises(ss.InvalidInput, match="handed over"):
        await session.close()


class Interrupted(ss.MemoryStore):
    """A store whose reader fails in the middle, once."""

    failures = 0

    async def read(
        self, session_id: ss.SessionId, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        async for batch in super().read(session_id, start, stop):
            yield batch[:2]
            if self.failures:
                self.failures -= 1
                raise OSError(5, "the disk is tired")
            yield batch[2:]


async def test_a_seal_goes_on_where_reading_failed() -> None:
    """What was read stays read: no half tree is signed, and none is begun twice."""
    key = new_key()
    async with Interrupted() as store:
        session = await ss.create_session(store)
        await session.append(*[ss.Extension("tests", n) for n in range(6)])
        sealing = Sealing(store, session.id, key)
        store.failures = 1
        with pytest.raises(OSError, match="tired"):
            await sealing.seal()
        sealed = await sealing.seal()

        assert 7 == sealed.size
        assert "SEALED" == (await ss.verify(store, session.id, trust=[key.verifier])).level


async def test_masked_records_keep_their_seals(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """A masked replica holds the same hashes: the same seals, and proofs of HEADs."""
    key = new_key()
    session = await sealed_session(fs_store, key)
    story = Story(session.id, lines=lines_of(tmp_path, session.id)).mask(4, MASKED)
    async with await ss.open_store(tmp_path / "masked"):
        place(tmp_path / "masked", {story.file: story.data})
        make_masked(tmp_path / "masked")
    async with await ss.open_store(tmp_path / "masked") as replica:
        report = await ss.verify(replica, session.id, trust=[key.verifier], against=fs_store)
        proof = await ss.prove(replica, session.id, 4, with_body=True)

    assert ("ANCHORED", ["masked"]) == (report.level, [f.what for f in report.findings])
    assert 4 == proof.verify([key.verifier]).position.seq
    assert b'"body"' not in proof.extra


async def test_a_fork_is_sealed_by_its_own_records(store: ss.Store) -> None:
    """Its first record binds the parent's; sealing the one says nothing of the other."""
    key, parent = new_key(), await talk(store, 2)
    child = await ss.fork_at(store, parent.id, 6)
    await add_turn(child, 2)
    sealed = await ss.seal(store, child.id, key)

    assert 7 == sealed.size
    assert "SEALED" == (await ss.verify(store, child.id, trust=[key.verifier])).level
    assert "INTACT" == (await ss.verify(store, parent.id, trust=[key.verifier])).level


async def test_erased_records_keep_their_seals(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """What a redaction names is blanked in place; hashes, seals and proofs hold as before."""
    key = new_key()
    session = await sealed_session(fs_store, key)
    target = (await fs_store.record(session.id, 4)).digest.decode()
    await session.append(ss.Redaction([{"seq": 4, "digest": target}], "leak"), expected=ss.ANY)
    lines = lines_of(tmp_path, session.id)
    start, end = lines[4].index(b',"salt"'), len(lines[4]) - 76
    lines[4] = lines[4][:start] + erased_body(end - start) + lines[4][end:]
    put_lines(tmp_path, session.id, lines)

    report = await ss.verify(fs_store, session.id, trust=[key.verifier])
    assert ("SEALED", ["erased"]) == (report.level, [f.what for f in report.findings])
    proof = await ss.prove(fs_store, session.id, 4, with_body=True)
    assert 4 == proof.verify([key.verifier]).position.seq
    assert b'"body"' not in proof.extra


def test_nothing_is_signed_or_remembered_that_a_crash_can_take_back(tmp_path: Path) -> None:
    """At whichever call the power goes: what a note or the head memory speaks of is there after it."""
    key, notes, memories = new_key(), list[str](), count()
    paths = [tmp_path / "none.db"]

    async def work(files: FaultyMemory) -> None:
        notes.clear()
        paths[0] = tmp_path / f"{next(memories)}.db"
        async with InlineFace(FsCore(files, durability="os")) as store:
            store.heads = ss.HeadMemory(paths[0], "a")
            session = await ss.create_session(store)
            await grow(session, 2)
            notes.append((await ss.seal(store, session.id, key)).note)
            await grow(session, 1)

    async def check(files: FaultyMemory) -> int:
        async with InlineFace(FsCore(files)) as store:
            store.heads = ss.HeadMemory(paths[0], "a")
            verifier = ss.Verifier(store, trust=[key.verifier])
            for info in await store.list():
                report = await verifier.verify(info.session_id)
                assert [] == [f for f in report.findings if f.what != "torn"], report
            assert [] == await verifier.missing()
            for note in map(ss.parse_note, notes):
                verifier = ss.Verifier(store, trust=[key.verifier], against=note)
                report = await verifier.verify(ss.parse_checkpoint(note.text).session_id)
                assert "ANCHORED" == report.level, report
        return len(notes)

    told = [
        blocking._run(check(after))
        for _, files in deaths(FaultyMemory, lambda files: blocking._run(work(files)))
        for after in files.power_losses(limit=3)
    ]
    assert {0, 1} <= set(told)


async def test_tasks_that_share_a_handle_are_sealed_once(
    fs_store: ss.FsStore, caplog: pytest.LogCaptureFixture
) -> None:
    """One at a time: whoever comes while a seal is made leaves it at that."""
    key, session = new_key(), await ss.create_session(fs_store)
    session.seal_with(ss.Sealer(key, every=1))
    with caplog.at_level(logging.WARNING, "session_store"):
        await asyncio.gather(*[session.save_extension("tests", n) for n in range(60)])
    await session.close()

    assert [] == caplog.messages
    report = await ss.verify(fs_store, session.id, trust=[key.verifier], unsealed_max=0)
    assert ("SEALED", []) == (report.level, report.problems)


def test_without_await_too(tmp_path: Path) -> None:
    """The same calls, and the same policy, on a file store."""
    key = new_key()
    with blocking.open_store(tmp_path / "store", heads=tmp_path / "heads.db") as store:
        session = blocking.create_session(store)
        session.seal_with(ss.Sealer(key, every=2))
        for number in range(3):
            session.save_extension("tests", number)
        session.close()
        assert blocking.signs(store, session.id, key)
        report = blocking.verify(store, session.id, trust=[key.verifier], unsealed_max=0)
        assert ("SEALED", []) == (report.level, report.problems)
        assert 1 == blocking.prove(store, session.id, 1).index
        assert 1 == blocking.prove_consistency(store, session.id, 1).old_size
        assert [session.id] == [one.session_id for one in blocking.sign_store(store, key).heads]


async def test_a_bad_body_is_a_bad_seal(store: ss.Store) -> None:
    """Seals that cannot be read are said, where seals are asked for."""
    key, session = new_key(), await talk(store, 1)
    await ss.seal(store, session.id, key)
    await session.append(ss.Seal("not a note"), expected=ss.ANY)

    report = await ss.verify(store, session.id, trust=[key.verifier])
    assert ("INTACT", ["bad-seal"]) == (report.level, [f.what for f in report.findings])
    assert [] == (await ss.verify(store, session.id)).findings


async def test_seals_that_sign_what_is_not_there_do_not_hold(store: ss.Store) -> None:
    """More records than stand before it; another session's; another tree."""
    key, session = new_key(), await talk(store, 1)
    for about, size in ((session.id, 99), (ss.new_session_id(), 3), (session.id, 3)):
        note = sign_note(session_checkpoint(about, size, bytes(32)).text(), key)
        await session.append(ss.Seal(str(note)), expected=ss.ANY)

    report = await ss.verify(store, session.id, trust=[key.verifier])
    whys = [finding.why for finding in report.findings]
    assert ("INTACT", None, 3) == (report.level, report.sealed, len(whys))
    assert "signs 99 records, but 7 stand before it" in whys[0]
    assert "it is of session" in whys[1]
    assert "the first 3 records are not those that were signed" in whys[2]
    assert [7, 8, 9] == [finding.seq for finding in report.findings]
