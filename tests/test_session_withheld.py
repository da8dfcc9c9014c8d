"""Records whose bodies are withheld: erased or masked, legally or not, and forks on them."""

from pathlib import Path

import pytest
from session_tools import add_turn, log_path, talk, texts

import session_store as ss
from session_store.chain import TRAIL_SIZE, mask_digest

MASKED = b'{"items":[{"type":"message","role":"user","content":"***"}]}'


def rewrite(path: Path, seq: int, middle: bytes) -> None:
    """Put *middle* between HEAD and TRAIL of one line."""
    lines = path.read_bytes().splitlines()
    line = lines[seq]
    head = line[: line.index(b',"salt":')]
    lines[seq] = head + middle + line[-TRAIL_SIZE:]
    path.write_bytes(b"\n".join(lines) + b"\n")


def erase(path: Path, seq: int) -> None:
    rewrite(path, seq, b',"salt":null,"body":null    ')


def mask(path: Path, seq: int, record: bytes) -> None:
    rewrite(
        path, seq, b',"salt":null,"mask":"%b","body":%b' % (mask_digest(record, MASKED), MASKED)
    )


async def name_in_redaction(store: ss.Store, session: ss.Session, seq: int) -> None:
    record = await store.record(session.id, seq)
    await session.append(ss.Redaction([{"seq": seq, "digest": record.digest.decode()}], "leak"))


async def findings(store: ss.Store, session_id: ss.SessionId, **options: bool) -> list[object]:
    report = await ss.verify(store, session_id, **options)
    return [(f.what, f.seq, f.is_legal) for f in report.findings]


async def test_an_erased_record_is_gone_and_said(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """Legal with a redaction; the rest of the session is as it was."""
    session = await talk(fs_store, 1)
    await name_in_redaction(fs_store, session, 1)
    erase(log_path(tmp_path, session.id), 1)

    state = await ss.restore(fs_store, session.id)

    assert [("erased", 1, True)] == await findings(fs_store, session.id)
    assert (["answer 1"], [1]) == (texts(state), [p.seq for p in state.withheld])


async def test_an_erased_record_without_a_redaction_is_a_problem(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """The chain holds; who took the body is not said."""
    session = await talk(fs_store, 1)
    erase(log_path(tmp_path, session.id), 1)

    report = await ss.verify(fs_store, session.id)

    assert ["erased-without-redaction"] == [f.what for f in report.problems]
    assert "INTACT" == report.level


async def test_a_redaction_behind_the_fork_point_counts_for_the_fork(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """The owner of the record says so, wherever the fork's prefix ends."""
    parent = await talk(fs_store, 1)
    fork = await ss.fork(fs_store, parent.id)
    await name_in_redaction(fs_store, parent, 1)
    erase(log_path(tmp_path, parent.id), 1)

    assert [("erased", 1, True)] == await findings(fs_store, fork.id)
    assert ["answer 1"] == texts(await ss.restore(fs_store, fork.id))


async def test_an_erased_beginning_of_a_fork_is_known_by_its_replacement(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """Lineage, origin, forks and restore go on through it."""
    parent = await talk(fs_store, 1)
    fork = await ss.fork(fs_store, parent.id, system_prompt="secret")
    await add_turn(fork, 2)
    record = await fs_store.record(fork.id, 0)
    replacement = {
        "format": 1,
        "session_id": fork.id,
        "forked_from": parent.head.to_json(),
    }
    await fork.append(
        ss.Redaction(
            [{"seq": 0, "digest": record.digest.decode()}], "leak", replacements={"0": replacement}
        )
    )
    erase(log_path(tmp_path, fork.id), 0)

    state = await ss.restore(fs_store, fork.id)
    salvaged = await ss.salvage(fs_store, fork.id)

    assert (None, ["question 1", "answer 1", "question 2", "answer 2"]) == (
        state.system_prompt,
        texts(state),
    )
    assert [parent.head] == await ss.ancestors(fs_store, fork.id)
    assert [parent.head] == await ss.ancestors(fs_store, salvaged.id)
    assert [("erased", 0, True)] == await findings(fs_store, fork.id)


async def test_a_masked_record_is_corrupt_where_none_may_be(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """In a store of its own records nobody masks; told that they may be there, readers say so."""
    session = await talk(fs_store, 1)
    mask(log_path(tmp_path, session.id), 1, (await fs_store.record(session.id, 1)).hash)

    assert [("corrupt", 1, False)] == await findings(fs_store, session.id)
    assert [("masked", 1, True)] == await findings(fs_store, session.id, allow_masked=True)


async def masked_store(tmp_path: Path) -> tuple[ss.FsStore, ss.Session]:
    """Return a masked replica with one session, one record of it masked."""
    async with await ss.open_store(tmp_path / "store") as plain:
        session = await talk(plain, 1)
        record = await plain.record(session.id, 1)
    mask(log_path(tmp_path, session.id), 1, record.hash)
    description = tmp_path / "store" / "store.json"
    text = description.read_text().replace("{", '{"masked":"rules-1",', 1)
    description.write_text(text)
    store = await ss.open_store(tmp_path / "store")
    assert isinstance(store, ss.FsStore)
    assert store.is_masked
    return store, session


async def test_a_masked_session_is_restored_when_asked(tmp_path: Path) -> None:
    """As its sender masked it; else the error says what to do."""
    store, session = await masked_store(tmp_path)
    async with store:
        with pytest.raises(ss.InvalidInput, match="seq 1 is masked: allow_masked=True"):
            await ss.restore(store, session.id)

        state = await ss.restore(store, session.id, allow_masked=True)

        assert (["***", "answer 1"], [1]) == (texts(state), [p.seq for p in state.withheld])
        assert [("masked", 1, True)] == await findings(store, session.id)


async def test_a_masked_session_is_no_source_for_a_copy(tmp_path: Path) -> None:
    """Its bodies are vouched for by their sender, not by the chain."""
    store, session = await masked_store(tmp_path)
    async with store:
        with pytest.raises(ss.InvalidInput, match="masked session is no source"):
            await ss.flatten(store, session.id)
