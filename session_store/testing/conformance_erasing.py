"""Conformance checks of erasing: nothing is left, everything still verifies, nothing else is touched."""

from os import urandom

from attrs import evolve

from ..chain import Draft, is_blank, link, root_head
from ..codec import draft
from ..entries import EntryHash, Position, Redaction
from ..errors import NotErasable, NotFound
from ..ids import SessionId, new_session_id
from ..redacted import redaction_targets
from ..stores.protocol import ANY, Store
from .conformance_tools import (
    TS,
    UNICODE,
    born,
    bytes_of,
    fork,
    note,
    raises,
    records_of,
    seqs,
    start_drafts,
)

_REPLACEMENT = {"domain": "conformance", "payload": "[withheld]"}


async def erased_bodies_are_gone(store: Store) -> None:
    """Salt and body blank at the same length, all hashes as before, a redaction at the head."""
    session_id = await born(store, 3)
    await store.append(session_id, [note(UNICODE), note()], expected=ANY)
    before, data = await records_of(store, session_id), await bytes_of(store, session_id)
    secret = before[4]
    receipt = await store.erase(
        session_id, [Position(session_id, 4, secret.hash)], reason="leak", by="tester"
    )
    after, left = await records_of(store, session_id), await bytes_of(store, session_id)
    assert receipt.position == await store.head(session_id)
    assert [r.hash for r in before] == [r.hash for r in after[:-1]]
    assert (secret.salt or b"?") in data
    assert (secret.salt or b"?") not in left
    assert (secret.body or b"?") not in left
    assert data[: secret.offset] == left[: secret.offset]
    assert data[secret.end :] == left[secret.end : len(data)]
    assert (None, "erased") == (after[4].body, after[4].withheld)
    assert is_blank(after[4])
    assert after[4] == await store.record(session_id, 4)
    assert {(4, secret.digest): None} == redaction_targets(after[-1])
    assert {(4, secret.digest): None} == await store.redactions(session_id)


async def a_replacement_is_given_instead(store: Store) -> None:
    """By every reader, and as the last one that was given; other records of the call have none."""
    session_id = await born(store, 3)
    targets = [await store.position(session_id, seq) for seq in (3, 1)]
    await store.erase(session_id, targets, reason="leak", replacements={1: _REPLACEMENT})
    for records in (
        await records_of(store, session_id),
        [*await records_of(store, session_id, 0, 1), *await records_of(store, session_id, 1)],
    ):
        assert [None, "erased", None, "erased", None] == [r.withheld for r in records]
        assert b'{"domain":"conformance","payload":"[withheld]"}' == records[1].body
        assert None is records[3].body


async def erasures_are_checked_before_anything_is_done(store: Store) -> None:
    """Each record by seq and hash; what says what was done to the log is refused."""
    session_id, other = await born(store, 2), await born(store, 2)
    await store.erase(session_id, [await store.position(session_id, 1)], reason="first")
    before = await bytes_of(store, session_id)
    good = await store.position(session_id, 2)
    for wrong in (
        evolve(good, hash=EntryHash(bytes(32))),
        evolve(good, seq=9),
        await store.position(other, 2),
    ):
        async with raises(NotFound):
            await store.erase(session_id, [good, wrong], reason="x")
    async with raises(NotErasable) as caught:
        await store.erase(session_id, [good, await store.head(session_id)], reason="x")
    assert isinstance(caught[0], NotErasable)
    assert (session_id, 3, "redaction") == (caught[0].session_id, caught[0].seq, caught[0].kind)
    async with raises(ValueError):
        await store.erase(session_id, [], reason="x")
    assert before == await bytes_of(store, session_id)


async def what_lives_on_an_erased_record_lives_on(store: Store) -> None:
    """Its forks, new forks at it, handles that were open."""
    session_id = await born(store, 2)
    cursor, at_head = await store.open(session_id), await store.head(session_id)
    child = await fork(store, at_head)
    await store.erase(session_id, [at_head], reason="leak")
    later = await fork(store, at_head)
    assert [child, later] == list(await store.children(session_id))
    await store.append(session_id, [note()], cursor=cursor)
    assert [0, 1, 2, 3, 4] == seqs(await records_of(store, session_id))


async def an_erased_beginning_keeps_its_identity(store: Store) -> None:
    """A fork is known by it, and has the same parent as before."""
    parent = await born(store, 1)
    at_head = await store.head(parent)
    child = await fork(store, at_head)
    replacement = {"system_prompt": "kept", "forked_from": None, "session_id": "x"}
    await store.erase(
        child, [await store.position(child, 0)], reason="leak", replacements={0: replacement}
    )
    origin = await store.origin(child)
    assert origin.by_reference
    assert at_head == origin.forked_from
    first = (await records_of(store, child))[0]
    assert b'"system_prompt":"kept"' in (first.body or b"")
    assert b'"session_id":"%b"' % child.encode() in (first.body or b"")
    await store.append(child, [note()], expected=ANY)


async def lines_bring_their_erasures(store: Store) -> None:
    """A redaction that is taken in has its targets blanked, whenever they came."""
    for split in (True, False):
        session_id = new_session_id()
        lines, redaction, secret = _redacted(session_id)
        for part in (lines, redaction) if split else (lines + redaction,):
            await store.append_lines(session_id, part)
        data = await bytes_of(store, session_id)
        assert len(lines + redaction) == len(data)
        assert secret.salt not in data
        assert secret.body not in data
        records = await records_of(store, session_id)
        assert [None, "erased", None, None] == [r.withheld for r in records]
        await store.append(session_id, [note()], expected=ANY)


def _redacted(session_id: SessionId) -> tuple[bytes, bytes, Draft]:
    """Return the lines of a log, those of a redaction of its second record, and that record."""
    secret = note("secret")
    first, head = link(root_head(session_id), TS, start_drafts(session_id))
    second, head = link(head, TS, [secret, note()])
    target = {"seq": 1, "digest": secret.digest.decode()}
    third, _ = link(head, TS, [draft(Redaction([target], "leak"), urandom(16))])
    return first + second, third, secret
