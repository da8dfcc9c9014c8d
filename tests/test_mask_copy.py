"""Masked copies: the same hashes, no secrets, never back into a store that is not masked."""

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from attrs import evolve
from mask_tools import RULES, TOKEN, bytes_below
from session_tools import add_turn, harm_line, log_path, user
from test_session_withheld import erase, name_in_redaction
from verdicts import standalone

import session_store as ss
from session_store import blocking
from session_store.redaction import custom_rule


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[ss.Store]:
    async with await ss.open_store(tmp_path / "masked", masked=RULES.version) as opened:
        yield opened


async def session_with_secrets(store: ss.Store) -> ss.Session:
    session = await ss.create_session(store, ss.SessionStartState(f"key {TOKEN}"))
    await add_turn(session, 1)
    await session.save_delta([user(f"use {TOKEN}")])
    return session


async def lines_of(store: ss.Store, session_id: ss.SessionId) -> list[bytes]:
    return b"".join([chunk async for chunk in store.raw(session_id)]).splitlines()


async def findings(store: ss.Store, session_id: ss.SessionId) -> list[tuple[str, int, bool]]:
    report = await ss.verify(store, session_id)
    assert report.level
    return [(f.what, f.seq, f.is_legal) for f in report.findings]


async def test_a_copy_verifies_against_the_same_head(
    fs_store: ss.FsStore, target: ss.Store, tmp_path: Path
) -> None:
    """HEAD and hash of every record stay, no byte of the secret does, and the description says so."""
    session = await session_with_secrets(fs_store)

    heads = await ss.mask_session(fs_store, target, session.id, RULES)

    assert [session.head] == heads
    assert [("masked", 0, True), ("masked", 7, True)] == await findings(target, session.id)
    assert TOKEN.encode() not in bytes_below(tmp_path / "masked")
    assert RULES.version == orjson.loads((tmp_path / "masked/store.json").read_bytes())["masked"]
    state = await ss.restore(target, session.id, allow_masked=True)
    assert "use [REDACTED:github-token]" == state.history[-1]["content"]


async def test_what_holds_no_secret_stays_complete(fs_store: ss.FsStore, target: ss.Store) -> None:
    """Line for line; a masked one has lost its salt."""
    session = await session_with_secrets(fs_store)
    await ss.mask_session(fs_store, target, session.id, RULES)

    before, after = await lines_of(fs_store, session.id), await lines_of(target, session.id)

    assert [0, 7] == [n for n, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert all(b',"salt":null,"mask":"' in after[n] for n in (0, 7))


async def test_the_stand_alone_verifier_agrees(
    fs_store: ss.FsStore, target: ss.Store, tmp_path: Path
) -> None:
    session = await session_with_secrets(fs_store)
    await ss.mask_session(fs_store, target, session.id, RULES)

    found, code = standalone(log_path(tmp_path / "masked", session.id), allow_masked=True)

    assert (0, ["masked", "masked"]) == (code, [f["what"] for f in found["findings"]])


async def test_a_copy_made_again_adds_what_is_new(fs_store: ss.FsStore, target: ss.Store) -> None:
    """And nothing else."""
    session = await session_with_secrets(fs_store)
    await ss.mask_session(fs_store, target, session.id, RULES)
    first = await lines_of(target, session.id)
    await session.save_delta([user(TOKEN)])

    for _ in range(2):
        assert [session.head] == await ss.mask_session(fs_store, target, session.id, RULES)

    assert first == (await lines_of(target, session.id))[:-1]


async def test_a_fork_brings_the_logs_that_it_lives_on(
    fs_store: ss.FsStore, target: ss.Store
) -> None:
    """Whole, the oldest first."""
    parent = await session_with_secrets(fs_store)
    child = await ss.fork_at(fs_store, parent.id, 2)
    await child.save_delta([user(f"password={'a1b2c3d4'}")])

    heads = await ss.mask_session(fs_store, target, child.id, RULES)

    assert [parent.head, child.head] == heads
    assert all(f[0] == "masked" for f in await findings(target, child.id))


async def test_erased_records_stay_erased(
    fs_store: ss.FsStore, target: ss.Store, tmp_path: Path
) -> None:
    """Also the one that is named, and whose body still stands in the source."""
    session = await session_with_secrets(fs_store)
    await session.save_delta([user(f"once more {TOKEN}")])
    for seq in (7, 8):
        await name_in_redaction(fs_store, session, seq)
    erase(log_path(tmp_path / "store", session.id), 7)

    await ss.mask_session(fs_store, target, session.id, RULES)

    expected = [("masked", 0, True), ("erased", 7, True), ("erased", 8, True)]
    assert expected == await findings(target, session.id)
    assert TOKEN.encode() not in bytes_below(tmp_path / "masked")


async def test_only_a_masked_store_takes_a_copy(fs_store: ss.FsStore) -> None:
    session = await session_with_secrets(fs_store)
    async with await ss.open_store("memory:") as plain:
        with pytest.raises(ss.InvalidInput, match="into a masked store only"):
            await ss.mask_session(fs_store, plain, session.id, RULES)

        assert [] == await plain.list()


async def test_a_masked_store_is_no_source_for_another(
    fs_store: ss.FsStore, target: ss.Store
) -> None:
    """Its lines are corrupt where masked ones are not allowed; masked again elsewhere they are taken."""
    session = await session_with_secrets(fs_store)
    await ss.mask_session(fs_store, target, session.id, RULES)
    stricter = evolve(RULES, custom=(custom_rule("word", "answer 1"),))
    async with (
        await ss.open_store("memory:") as plain,
        await ss.open_store("memory:", masked=stricter.version) as other,
    ):
        with pytest.raises(ss.Corrupt, match="a masked record"):
            await plain.append_lines(
                session.id, b"\n".join(await lines_of(target, session.id)) + b"\n"
            )
        await ss.mask_session(target, other, session.id, stricter)

        assert [0, 4, 7] == [f[1] for f in await findings(other, session.id)]


async def test_another_version_of_the_rules_wants_a_store_of_its_own(tmp_path: Path) -> None:
    """And a store that is not masked does not become one."""
    for masked, why in ((RULES.version, "masked by rules 1-"), (None, "it is not masked")):
        where = tmp_path / str(masked)
        await (await ss.open_store(where, masked=masked)).close()
        with pytest.raises(ss.InvalidInput, match=why):
            await ss.open_store(where, masked="2-x")


async def test_another_log_under_the_same_id_is_refused(
    fs_store: ss.FsStore, target: ss.Store
) -> None:
    """Nothing is added to it."""
    async with await ss.open_store("memory:") as elsewhere:
        session = await session_with_secrets(fs_store)
        await ss.create_session_with_id(elsewhere, session.id)
        await ss.mask_session(elsewhere, target, session.id, RULES)
        with pytest.raises(ss.HeadMismatch):
            await ss.mask_session(fs_store, target, session.id, RULES)

    assert 0 == (await target.head(session.id)).seq


async def test_what_is_before_the_damage_is_copied(
    fs_store: ss.FsStore, target: ss.Store, tmp_path: Path
) -> None:
    """And the damage is raised."""
    session = await session_with_secrets(fs_store)
    harm_line(log_path(tmp_path / "store", session.id), 6)

    with pytest.raises(ss.Corrupt):
        await ss.mask_session(fs_store, target, session.id, RULES)

    assert [5] == [(await target.head(session.id)).seq]


async def test_secrets_are_found_with_their_places(store: ss.Store) -> None:
    """Never what they are."""
    session = await session_with_secrets(store)
    await session.save_extension("d", {TOKEN: {"a b": 1, "password": "a1b2c3d4"}})

    found = [secret async for secret in ss.find_secrets(store, session.id, RULES)]

    assert [
        (0, "$.system_prompt", "github-token"),
        (7, "$.items[0].content", "github-token"),
        (8, '$.payload["[REDACTED]"]', "github-token"),
        (8, '$.payload["[REDACTED]"].password', "named-password"),
    ] == [(secret.position.seq, secret.place, secret.rule) for secret in found]
    assert TOKEN not in str(found)


def test_the_blocking_face_copies_and_finds(tmp_path: Path) -> None:
    with (
        blocking.open_store(tmp_path / "plain") as source,
        blocking.open_store(tmp_path / "masked", masked=RULES.version) as target,
    ):
        session = blocking.create_session(source, ss.SessionStartState(TOKEN))
        assert 1 == len(list(blocking.find_secrets(source, session.id, RULES)))

        assert [session.head] == blocking.mask_session(source, target, session.id, RULES)
