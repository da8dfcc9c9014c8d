"""Proof files: small, whole in themselves, and refused if anything in them is not as it was."""

import base64
import json
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from seal_tools import grow, new_key, sealed_session
from session_tools import talk
from verdicts import DOCS, verify_log

import session_store as ss
from session_store.chain import Draft, link, make_draft, root_head
from session_store.checkpoint.merkle import RangeRoots, Tree, inclusion_ranges
from session_store.checkpoint.note import session_checkpoint, sign_note
from session_store.entries import EntryHash
from session_store.testing.story import ROOT

KEY = new_key()
TRUST = [KEY.verifier]


def alone(proof: str, old: str | None = None, *, key: str = str(KEY.verifier)) -> str:
    """Return what the stand-alone verifier finds wrong with a proof; "" is nothing."""
    try:
        keys = [verify_log.read_key(key)]
        if old is None:
            verify_log.prove_record(proof, keys)
        else:
            verify_log.prove_growth(proof, old, keys)
    except verify_log.Refused as refused:
        return str(refused) or "refused"
    return ""


def ours(proof: str) -> str:
    try:
        ss.parse_inclusion(proof).verify(TRUST)
    except ss.InvalidProof as invalid:
        return str(invalid)
    return ""


async def test_every_record_can_be_proven(store: ss.Store) -> None:
    """To both verifiers; the proof says which record it is, and who signed what."""
    session = await sealed_session(store, KEY, 12)
    for seq in range(13):
        proof = await ss.prove(store, session.id, seq)
        proven = ss.parse_inclusion(str(proof)).verify(TRUST)

        assert await store.position(session.id, seq) == proven.position
        assert (13, KEY.verifier) == (proven.checkpoint.size, proven.key)
        assert "" == alone(str(proof))
        assert proven.record.body is None


async def test_a_proof_may_disclose_the_body(store: ss.Store) -> None:
    """With its salt, so that the commitment can be checked."""
    session = await sealed_session(store, KEY)
    proof = str(await ss.prove(store, session.id, 5, with_body=True))
    told = verify_log.prove_record(proof, [verify_log.read_key(str(KEY.verifier))])

    assert {"domain": "tests", "payload": 4} == json.loads(told["body"])
    record = ss.parse_inclusion(proof).verify(TRUST).record
    assert told["body"].encode() == record.body


async def test_the_newest_seal_is_taken(store: ss.Store) -> None:
    """The one that covers most; a record behind it waits for the next one."""
    session = await sealed_session(store, KEY, 4)
    with pytest.raises(ss.NotFound, match="no seal that covers record 5"):
        await ss.prove(store, session.id, 5)
    await grow(session, 4)
    await ss.seal(store, session.id, KEY)

    assert "\n10\n" in (await ss.prove(store, session.id, 5)).note.text
    with pytest.raises(ss.NotFound):
        await ss.prove(store, session.id, 99)
    with pytest.raises(ss.NotFound, match="no seal"):
        await ss.prove(store, (await talk(store, 1)).id, 1)


async def test_a_seal_that_cannot_be_read_is_no_seal(store: ss.Store) -> None:
    """The one before it is taken; one of another session is passed over, too."""
    session = await sealed_session(store, KEY, 4)
    other = sign_note(session_checkpoint(ROOT, 3, bytes(32)).text(), KEY)
    for note in (str(other), "not a note"):
        await session.append(ss.Seal(note), expected=ss.ANY)

    assert 2 == (await ss.prove(store, session.id, 2)).verify(TRUST).position.seq


async def test_what_a_seal_does_not_hold_is_not_proven(store: ss.Store) -> None:
    """A seal of another tree makes no proof."""
    session = await talk(store, 1)
    note = sign_note(session_checkpoint(session.id, 3, bytes(32)).text(), KEY)
    await session.append(ss.Seal(str(note)), expected=ss.ANY)

    with pytest.raises(ss.InvalidProof, match="the first 3 records are not those"):
        await ss.prove(store, session.id, 1)


async def test_a_log_is_proven_to_continue_itself(store: ss.Store) -> None:
    """From every earlier seal to the newest one."""
    session = await sealed_session(store, KEY, 3)
    olds = [ss.parse_note((await ss.seal(store, session.id, KEY)).note)]
    for count in (1, 5, 30):
        await grow(session, count)
        olds.append(ss.parse_note((await ss.seal(store, session.id, KEY)).note))
    for note in olds:
        old = ss.parse_checkpoint(note.text)
        proof = str(await ss.prove_consistency(store, session.id, old.size))

        assert 43 == ss.parse_consistency(proof).verify(old, TRUST).size
        assert "" == alone(proof, str(note))
    with pytest.raises(ValueError, match="no records"):
        await ss.prove_consistency(store, session.id, 0)


async def test_a_wrong_old_checkpoint_is_not_continued(store: ss.Store) -> None:
    """Another size, another root, another session."""
    session = await sealed_session(store, KEY, 3)
    await grow(session, 4)
    await ss.seal(store, session.id, KEY)
    proof = str(await ss.prove_consistency(store, session.id, 4))
    for about, size, why in (
        (session.id, 5, "another size"),
        (session.id, 4, "does not lead"),
        (ROOT, 4, "two logs"),
    ):
        old = session_checkpoint(about, size, bytes(32))
        with pytest.raises(ss.InvalidProof):
            ss.parse_consistency(proof).verify(old, TRUST)
        assert why in alone(proof, str(sign_note(old.text(), KEY)))


async def test_1000_harmed_proofs_are_refused_by_both(fs_store: ss.Store) -> None:
    """One character changed, taken out, put in; lines swapped, doubled, gone."""
    session = await sealed_session(fs_store, KEY, 20)
    good = str(await ss.prove(fs_store, session.id, 9))
    assert ("", "") == (ours(good), alone(good))
    at = random.Random(73)
    for _ in range(1000):
        harmed = harm(good, at)
        if harmed not in (
            good,
            good + good.splitlines(keepends=True)[-1],
        ):  # Twice signed is signed.
            assert ours(harmed), harmed
            assert alone(harmed), harmed


def harm(proof: str, at: random.Random) -> str:
    if at.random() < 0.5:
        place = at.randrange(len(proof))
        byte = chr(at.choice([*range(0x80), 0x2014]))
        return proof[:place] + at.choice(["", byte]) + proof[place + at.randrange(2) :]
    lines = proof.splitlines(keepends=True)
    one, two = at.randrange(len(lines)), at.randrange(len(lines))
    how = at.randrange(3)
    if how == 0:
        lines[one], lines[two] = lines[two], lines[one]
    elif how == 1:
        lines.insert(one, lines[two])
    else:
        del lines[one]
    return "".join(lines)


async def test_parts_of_two_proofs_make_none(fs_store: ss.Store) -> None:
    """Records, paths and notes belong together; so do sessions."""
    first, other = [await sealed_session(fs_store, KEY, 20) for _ in range(2)]
    proofs = [await ss.prove(fs_store, first.id, 3), await ss.prove(fs_store, first.id, 4)]
    proofs.append(await ss.prove(fs_store, other.id, 3))
    for one in proofs:
        for two in proofs:
            mixed = [
                ss.InclusionProof(one.index, two.extra, one.path, one.note),
                ss.InclusionProof(one.index, one.extra, two.path, one.note),
                ss.InclusionProof(two.index, one.extra, one.path, one.note),
                ss.InclusionProof(one.index, one.extra, one.path, two.note),
            ]
            for proof in mixed:
                if proof not in proofs:
                    assert ours(str(proof))
                    assert alone(str(proof))


EXTRAS = {
    "no base64": "extra ???",
    "nothing": "extra ",
    "no record": "extra " + base64.b64encode(b"hello").decode(),
    "a HEAD and more": None,
    "another word": "other AAAA",
}


@pytest.mark.parametrize("line", EXTRAS.values(), ids=EXTRAS)
async def test_a_proof_carries_a_record(store: ss.Store, line: str | None) -> None:
    """Exactly its HEAD, or its line."""
    session = await sealed_session(store, KEY)
    proof = await ss.prove(store, session.id, 3)
    if line is None:
        line = "extra " + base64.b64encode(proof.extra + b" ").decode()
    lines = str(proof).split("\n")
    lines[1] = line

    assert ours("\n".join(lines))
    assert alone("\n".join(lines))


async def test_another_key_proves_nothing(store: ss.Store) -> None:
    """Nor does one that has taken the signer's name."""
    session = await sealed_session(store, KEY)
    proof = await ss.prove(store, session.id, 3)
    thief = new_key(KEY.name)

    with pytest.raises(ss.InvalidProof, match="no trusted key"):
        proof.verify([thief.verifier])
    assert "no key that was given" in alone(str(proof), key=str(thief.verifier))
    text = proof.note.text
    assert ours(str(ss.InclusionProof(3, proof.extra, proof.path, sign_note(text, thief))))


def test_a_proof_for_one_of_a_million_records_is_under_2_kb() -> None:
    """One record among a million hashes, as large as its HEAD can be; it verifies in both."""
    seq, size = 654_321, 1_000_000
    head = root_head(ROOT)._replace(seq=seq - 1, hash=bytes(range(32)), ts=1_764_000_000_000)
    draft: Draft = make_draft("k" * 64, b'{"a":1}', bytes(16))
    line, linked = link(head, head.ts, [draft])
    hashes = SimpleNamespace(tree=Tree(), path=RangeRoots(inclusion_ranges(seq, size)))
    for number in range(size):
        leaf = linked.hash if number == seq else number.to_bytes(32)
        hashes.tree.add(leaf)
        hashes.path.add(leaf)
    note = sign_note(session_checkpoint(ROOT, size, hashes.tree.root()).text(), KEY)
    extra = line[: line.index(b',"salt"')]
    proof = ss.InclusionProof(seq, extra, hashes.path.roots(), note)

    assert len(str(proof).encode()) <= 2048
    assert EntryHash(linked.hash) == proof.verify(TRUST).position.hash
    assert "" == alone(str(proof))


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", DOCS / "verify_log.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_the_file_and_the_public_key_are_enough(store: ss.Store, tmp_path: Path) -> None:
    """Python alone: neither the log, nor this library, nor `cryptography`."""
    session = await sealed_session(store, KEY)
    path = tmp_path / "one.tlog-proof"
    path.write_text(str(await ss.prove(store, session.id, 3, with_body=True)))
    done = run("--proof", path, "--key", KEY.verifier)
    as_json = run("--proof", path, "--key", KEY.verifier, "--json")

    assert (0, "") == (done.returncode, done.stderr)
    assert "PROVEN: record 3 (extension, hash " in done.stdout
    assert f"is among the first 11 of session {session.id}, signed by {KEY.name}+" in done.stdout
    told = json.loads(as_json.stdout)
    assert ("proven", 3, session.id, "complete") == tuple(
        told[name] for name in ("status", "seq", "session_id", "form")
    )


async def test_growth_is_proven_alone_too(store: ss.Store, tmp_path: Path) -> None:
    """With the checkpoint that was kept."""
    session = await sealed_session(store, KEY)
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text((await ss.seal(store, session.id, KEY)).note)
    await grow(session, 5)
    await ss.seal(store, session.id, KEY)
    new.write_text(str(await ss.prove_consistency(store, session.id, 11)))
    done = run("--proof", new, "--old", old, "--key", KEY.verifier)

    assert 0 == done.returncode
    assert "PROVEN: the first 17 records continue the first 11 of session" in done.stdout


NOT_PROOFS = {
    "no path and no note": "old 4\n",
    "no size": "new 4\n\nnote\n",
    "too large a size": "old 9007199254740993\n\nnote\n",
    "a path of 64": "old 4\n" + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * 64 + "\nnote\n",
    "a short hash": "old 4\nAAAA\n\nnote\n",
}


@pytest.mark.parametrize("text", NOT_PROOFS.values(), ids=NOT_PROOFS)
def test_texts_that_prove_no_growth(text: str) -> None:
    """Exactly the form, or nothing."""
    with pytest.raises(ss.InvalidProof, match="not a proof"):
        ss.parse_consistency(text)
    assert alone(text, GROWN)


GROWN = str(sign_note(session_checkpoint(ROOT, 4, bytes(32)).text(), KEY))


def test_an_index_beyond_the_numbers_is_none() -> None:
    """2^53 is no seq."""
    text = f"c2sp.org/tlog-proof@v1\nextra AAAA\nindex 9007199254740992\n\n{GROWN}"
    with pytest.raises(ss.InvalidProof, match="no number of a record"):
        ss.parse_inclusion(text)
    assert alone(text)


REFUSALS = {
    "another key": (1, "REFUSED: no key that was given has signed the note"),
    "no key": (1, "REFUSED: not an Ed25519 public key"),
    "no file": (3, "ERROR: "),
    "no text": (1, "REFUSED: not UTF-8"),
    "no proof": (1, "REFUSED: not a proof"),
}


@pytest.mark.parametrize(("code", "why"), REFUSALS.values(), ids=REFUSALS)
async def test_refusals_say_why(store: ss.Store, tmp_path: Path, code: int, why: str) -> None:
    """In a line, with an exit code."""
    session = await sealed_session(store, KEY)
    path, key = tmp_path / "proof", str(KEY.verifier)
    path.write_text(str(await ss.prove(store, session.id, 3)))
    if "no key that" in why:
        key = str(new_key("example.org/other").verifier)
    elif "public key" in why:
        key = "somebody"
    elif code == 3:
        path.unlink()
    elif "UTF-8" in why:
        path.write_bytes(b"\xff\xfe")
    else:
        path.write_text("a proof\n\nof nothing\n")
    done = run("--proof", path, "--key", key)

    assert (code, "") == (done.returncode, done.stderr)
    assert why in done.stdout


@pytest.mark.parametrize(
    "arguments", [["--proof", "x"], ["--key", "x"], ["log", "--proof", "x"], ["log", "--old", "x"]]
)
def test_half_a_question_is_misuse(arguments: list[str]) -> None:
    """A proof and a key, or logs: exit code 2."""
    assert 2 == run(*arguments).returncode


def test_its_ed25519_is_ed25519() -> None:
    """Random messages, and each with one bit of key, message or signature flipped."""
    at = random.Random(8032)
    for size in range(40):
        key, message = ss.SigningKey.from_seed("a", at.randbytes(32)), at.randbytes(size)
        parts = [key.verifier.public, message, key.sign(message)]
        assert verify_log.is_signed(*parts)
        for index in range(3):
            if parts[index]:
                harmed = list(parts)
                data = bytearray(parts[index])
                data[at.randrange(len(data))] ^= 1 << at.randrange(8)
                harmed[index] = bytes(data)
                assert not verify_log.is_signed(*harmed)


def test_an_ed25519_signature_has_one_form() -> None:
    """A scalar that the group's order was added to is refused, as are points off the curve."""
    key = ss.SigningKey.from_seed("a", bytes(32))
    public, signature = key.verifier.public, key.sign(b"m")
    scalar = int.from_bytes(signature[32:], "little") + verify_log.GROUP
    malleable = signature[:32] + scalar.to_bytes(32, "little")

    assert not verify_log.is_signed(public, b"m", malleable)
    assert not key.verifier.verifies(b"m", malleable)
    assert not verify_log.is_signed(b"\x02" + bytes(31), b"m", signature)
    assert not verify_log.is_signed(b"\xff" * 32, b"m", signature)
    assert not verify_log.is_signed(public, b"m", signature[:-1])


async def test_a_stranger_s_seal_prevents_no_proof(store: ss.Store) -> None:
    """Who may append may seal: the newest seal of a key that is named is what proves."""
    key, stranger = new_key(), new_key()
    session = await sealed_session(store, key)
    await ss.seal(store, session.id, stranger)
    trust = [key.verifier]

    proof = await ss.prove(store, session.id, 3, trust=trust)
    longer = await ss.prove_consistency(store, session.id, 5, trust=trust)

    assert (key.verifier, 3) == (proof.verify(trust).key, proof.verify(trust).position.seq)
    assert {key.name} == {one.name for one in longer.note.signatures}
    assert await ss.prove(store, session.id, 3) != proof
    with pytest.raises(ss.NotFound, match="no seal of these keys"):
        await ss.prove(store, session.id, 3, trust=[new_key().verifier])
