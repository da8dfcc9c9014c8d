"""Masking at write: no byte of a secret reaches the store."""

import subprocess
import sys
from pathlib import Path

import pytest
from mask_tools import KEY, OTHER, RULES, TOKEN, bytes_below
from session_tools import log_path, user

import session_store as ss
import session_store.cli
from session_store import blocking
from session_store.interop.claude_code import read_claude_code

SECRETS = (TOKEN, OTHER, KEY.splitlines()[3], "tR0ub4dor")
TEXT = f"use {TOKEN} and {KEY}\npassword=tR0ub4dor"


def is_clean(root: Path) -> bool:
    data = bytes_below(root)
    assert b"[REDACTED:" in data
    return not any(secret.encode() in data for secret in SECRETS)


async def record_all(store: ss.Store) -> ss.Session:
    """Bring secrets to a store on every way there is."""
    start = ss.SessionStartState(TEXT, {"token": OTHER}, [user(TEXT)], {"key": TOKEN})
    session = await ss.create_session(store, start)
    await session.save_delta([user(TEXT)])
    await session.append_drafts(session.draft(ss.UserInput([user(TEXT)])))
    await session.save_delta([user(TEXT)], durability="os")
    await session.save_extension("d", {TOKEN: {"password": "tR0ub4dor"}})
    await session.save_labels({"token": OTHER})
    await session.flush()
    await ss.fork(store, session.id, system_prompt=TEXT)
    await ss.fork(store, session.id, copy=True, config={"token": OTHER})
    return session


async def test_nothing_reaches_the_disk(tmp_path: Path) -> None:
    """The first append, later ones of both levels, forks, copies; and all of it verifies."""
    async with await ss.open_store(tmp_path / "store", mask=RULES) as store:
        session = await record_all(store)
        reports = [await ss.verify(store, info.session_id) for info in await store.list()]
        state = await ss.restore(store, session.id)

    assert is_clean(tmp_path)
    assert [[], [], []] == [report.findings for report in reports]
    assert (
        "use [REDACTED:github-token] and [REDACTED:private-key]\npassword=[REDACTED:named-password]"
        == (state.history[-1]["content"])
    )


def test_the_blocking_face_masks_too(tmp_path: Path) -> None:
    with blocking.open_store(tmp_path / "store", mask=RULES) as store:
        session = blocking.create_session(store, ss.SessionStartState(TEXT))
        session.save_delta([user(TEXT)])

    assert is_clean(tmp_path)


async def test_a_fork_from_memory_is_masked(tmp_path: Path) -> None:
    """What `ensure_head_or_fork` writes comes from the caller's memory."""
    async with await ss.open_store(tmp_path / "store", mask=RULES) as store:
        session = await ss.create_session(store)
        state = await ss.restore(store, session.id)
        state.history.append(user(TEXT))
        await ss.delete(store, session.id)
        await session.ensure_head_or_fork(state)

    assert is_clean(tmp_path)


async def test_drafts_given_again_are_found(tmp_path: Path) -> None:
    """Masked, they are the same as before."""
    async with await ss.open_store(tmp_path / "store", mask=RULES) as store:
        session = await ss.create_session(store)
        drafts = session.draft(ss.UserInput([user(TEXT)]))

        assert await session.append_drafts(drafts) == await session.append_drafts(drafts)


async def test_a_torn_piece_in_quarantine_holds_none(tmp_path: Path) -> None:
    """It was masked when it was written."""
    async with await ss.open_store(tmp_path / "store", mask=RULES) as store:
        session = await ss.create_session(store)
        await session.save_delta([user(TEXT)])
    path = log_path(tmp_path, session.id)
    path.write_bytes(path.read_bytes()[:-30])
    async with await ss.open_store(tmp_path / "store", mask=RULES) as store:
        await (await ss.open_session(store, session.id)).save_turn_end(1)

    assert list(tmp_path.rglob("quarantine/*"))
    assert is_clean(tmp_path)


async def test_foreign_lines_with_a_secret_are_refused(tmp_path: Path) -> None:
    """They cannot be masked and stay complete; others are taken."""
    async with await ss.open_store("memory:") as source:
        good = await ss.create_session(source)
        bad = await ss.create_session(source, ss.SessionStartState(TEXT))
        lines = {s.id: b"".join([c async for c in source.raw(s.id)]) for s in (good, bad)}
    async with await ss.open_store(tmp_path / "store", mask=RULES) as store:
        await store.append_lines(good.id, lines[good.id])
        with pytest.raises(ss.InvalidInput, match="seq 0 holds a secret"):
            await store.append_lines(bad.id, lines[bad.id])

    assert TOKEN.encode() not in bytes_below(tmp_path)


@pytest.mark.parametrize("size", [3, 17])
async def test_a_trace_holds_no_secret_in_pieces(tmp_path: Path, size: int) -> None:
    """Flushed in the middle of the stream again and again; the mark fits what is there."""
    text = f"use {TOKEN} and {KEY} now"
    async with await ss.open_store(tmp_path / "store", mask=RULES) as store:
        session = await ss.create_session(store)
        trace = ss.TraceWriter(store, session.id)
        for at in range(0, len(text), size):
            trace.event({"type": "delta", "delta": {"text": text[at : at + size]}})
            await trace.flush(goes_on=True)
        mark = await trace.mark()
        assert mark is not None
        digest = await ss.trace_digest(store, session.id, mark["length"])
        reader = ss.TraceReader(store, session.id)
        said = "".join([entry.data["delta"]["text"] async for entry in reader.entries()])

    assert "use [REDACTED:github-token] and [REDACTED:private-key] now" == said
    assert (digest, 0) == (mark["blake3"], trace.dropped)


async def test_a_store_without_rules_writes_what_it_is_given(store: ss.Store) -> None:
    session = await ss.create_session(store, ss.SessionStartState(TEXT))

    assert store.mask is None
    assert TEXT == (await ss.restore(store, session.id)).system_prompt


def test_who_masks_nothing_does_not_load_the_rules() -> None:
    """A worker that only appends starts as fast as without them."""
    program = (
        "import sys, session_store, session_store.trace\n"
        "from session_store import blocking\n"
        "blocking.create_session(blocking.open_store('memory:')).save_turn_end(1)\n"
        "print([name for name in sys.modules if 'redaction' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )

    assert "[]" == done.stdout.strip()


def test_an_import_is_found_again_masked(tmp_path: Path) -> None:
    """Compared as it was written; what the transcript adds is added, masked."""
    demo = Path(session_store.cli.__file__).with_name("demo_transcript.jsonl").read_text()
    lines = demo.replace('"text":"', f'"text":"{TOKEN} ').splitlines(keepends=True)
    path = tmp_path / "transcript.jsonl"
    added = []
    with blocking.open_store(tmp_path / "store", mask=RULES) as store:
        for count in (-3, -3, None, None):
            path.write_text("".join(lines[:count]))
            (item,) = read_claude_code(path)
            added.append(blocking.import_transcript(store, item).added)
    path.unlink()

    assert [True, False, True, False] == [count > 0 for count in added]
    assert is_clean(tmp_path)


async def test_what_replaces_an_erased_body_is_masked(tmp_path: Path) -> None:
    """And so are the reason, and who wanted it; the log verifies."""
    async with await ss.open_store(tmp_path / "store", mask=RULES) as store:
        session = await ss.create_session(store)
        await session.save_delta([user("hello")])
        await store.erase(
            session.id,
            [session.head],
            reason=f"held {TOKEN}",
            by=f"whoever has {TOKEN}",
            replacements={session.head.seq: {"items": [user(TEXT)]}},
        )
        report = await ss.verify(store, session.id)

    assert is_clean(tmp_path)
    assert [True] == [finding.is_legal for finding in report.findings]
