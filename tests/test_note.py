"""Signed notes and checkpoints: the public examples, and everything that is not quite one."""

import base64
import random

import pytest
from attrs import frozen
from verdicts import verify_log

from session_store.checkpoint.keys import SigningKey, VerifierKey
from session_store.checkpoint.note import (
    Checkpoint,
    Note,
    Signature,
    open_checkpoint,
    parse_checkpoint,
    parse_note,
    session_checkpoint,
    sign_note,
)
from session_store.errors import InvalidInput, InvalidProof
from session_store.testing.story import ROOT

# golang.org/x/mod/sumdb/note
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS = f"PRIVATE+KEY+{PETER[:21]}+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
BY_PETER = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqf"
    "qdngotpRZb6KE6RyyBwJnAM=\n"
)
BY_ENOCH = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTG"
    "wnWLox33WWd1RvMc+QQ=\n"
)
# c2sp.org/signed-note
FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOO_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppz"
    "i2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)

peter, enoch = VerifierKey.parse(PETER), VerifierKey.parse(ENOCH)


def names(found: list[VerifierKey]) -> list[str]:
    return [key.name for key in found]


def test_the_public_keys_of_others_are_read_and_written() -> None:
    """Their text comes back, and the private one belongs to its public one."""
    key = SigningKey.parse(PETERS)

    assert [PETER, ENOCH, FOO] == [str(VerifierKey.parse(text)) for text in (PETER, ENOCH, FOO)]
    assert (peter, PETERS) == (key.verifier, key.text())
    assert PETERS not in repr(key)


def test_a_note_is_signed_as_others_sign_it() -> None:
    """Ed25519 is deterministic: the same bytes."""
    assert f"{TEXT}\n{BY_PETER}" == str(sign_note(TEXT, SigningKey.parse(PETERS)))


def test_notes_of_others_verify() -> None:
    """One signature, two, and one of them unknown."""
    both = parse_note(f"{TEXT}\n{BY_PETER}{BY_ENOCH}")

    assert ["example.com/foo"] == names(parse_note(FOO_NOTE).signers([VerifierKey.parse(FOO)]))
    assert ["PeterNeumann", "EnochRoot"] == names(both.signers([enoch, peter]))
    assert ["PeterNeumann"] == names(both.signers([peter]))
    assert [] == both.signers([])


@pytest.mark.parametrize("text", [PETER, PETERS])
def test_no_part_and_no_change_of_a_key_is_one(text: str) -> None:
    """Every substring, and every byte one higher."""
    parse = SigningKey.parse if text == PETERS else VerifierKey.parse
    size = len(text)
    parts = {text[i:j] for i in range(size) for j in range(i + 1, size + 1)} - {text}
    wrong = {f"{text[:i]}{chr(ord(text[i]) + 1)}{text[i + 1 :]}" for i in range(size)}

    for one in parts | wrong:
        with pytest.raises(InvalidInput):
            parse(one)


def test_keys_of_another_kind_are_refused() -> None:
    """A longer key and another algorithm, each with an id that fits."""
    for text in (
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ):
        with pytest.raises(InvalidInput):
            VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\x01b", "\u202eb"])
def test_a_name_that_would_break_a_note_names_no_key(name: str) -> None:
    """Blanks of any kind, plus signs, what is not printable."""
    with pytest.raises(InvalidInput, match="is no name"):
        SigningKey.generate(name)


def changed(line: str) -> str:
    """Return a signature line with the first byte of its signature changed."""
    start, _, encoded = line.rstrip("\n").rpartition(" ")
    data = bytearray(base64.b64decode(encoded))
    data[4] ^= 1
    return f"{start} {base64.b64encode(data).decode()}\n"


@frozen
class Case:
    """A note, and who of Peter and Enoch has signed it; None: it is refused."""

    note: str
    signers: list[str] | None


NOTES = {
    "the same signature twice": Case(f"{TEXT}\n{BY_PETER}{BY_PETER}", ["PeterNeumann"]),
    "16 signatures": Case(f"{TEXT}\n{BY_PETER}{BY_ENOCH * 15}", ["PeterNeumann", "EnochRoot"]),
    "100 signatures": Case(f"{TEXT}\n{BY_PETER * 100}", ["PeterNeumann"]),
    "101 signatures": Case(f"{TEXT}\n{BY_PETER * 101}", None),
    "a known one that does not hold": Case(f"{TEXT}\n{changed(BY_PETER)}", None),
    "the same behind a good one": Case(f"{TEXT}\n{BY_PETER}{changed(BY_PETER)}", None),
    "an unknown name": Case(f"{TEXT}\n{BY_PETER.replace('Neumann', 'Newman')}", []),
    "an unknown id": Case(f"{TEXT}\n{BY_PETER.replace('x08g', 'x08h')}", []),
    "an unknown one that does not hold": Case(
        f"{TEXT}\n{BY_PETER}{changed(BY_PETER).replace('Neumann', 'Newman')}", ["PeterNeumann"]
    ),
    "of another text": Case(f"{TEXT}more\n\n{BY_PETER}", None),
    "no signature": Case(TEXT, None),
    "an empty line alone": Case(f"{TEXT}\n", None),
    "no text": Case(BY_PETER, None),
    "no newline at the end": Case(f"{TEXT}\n{BY_PETER[:-1]}", None),
    "a line behind": Case(f"{TEXT}\n{BY_PETER}Unexpected line.\n", None),
    "an empty line among signatures": Case(f"{TEXT}\n{BY_PETER}\n{BY_ENOCH}", ["EnochRoot"]),
    "a control character": Case(f"\x01{TEXT}\n{BY_PETER}", None),
    "a carriage return": Case(f"{TEXT}\n{BY_PETER}".replace("\n", "\r\n"), None),
    "a tab": Case(f"\t{TEXT}\n{BY_PETER}", None),
    "a name with a blank": Case(f"{TEXT}\n{BY_PETER.replace('Neumann', ' Neumann')}", None),
    "a name with a plus": Case(f"{TEXT}\n{BY_PETER.replace('Neumann', '+')}", None),
    "a hyphen for the dash": Case(f"{TEXT}\n{BY_PETER.replace('—', '-')}", None),
    "no base64": Case(f"{TEXT}\n{BY_PETER.replace('AM=', 'A!=')}", None),
    "base64 without its padding": Case(f"{TEXT}\n{BY_PETER.replace('AM=', 'AM')}", None),
    "base64 with bits to spare": Case(f"{TEXT}\n{BY_PETER.replace('AM=', 'AN=')}", None),
    "URL base64": Case(f"{TEXT}\n{BY_PETER.replace('/', '_')}", None),
    "an id and nothing": Case(f"{TEXT}\n— PeterNeumann x08gow==\n", None),
    "a shorter signature": Case(f"{TEXT}\n— PeterNeumann x08go/ZJkuA=\n", None),
    "over 1 MiB": Case(f"{'x' * 1024 * 1024}\n\n{BY_PETER}", None),
}


@pytest.mark.parametrize("case", NOTES.values(), ids=NOTES)
def test_notes_that_are_not_quite_one(case: Case) -> None:
    """Refused, or worth nothing; an empty line among signatures makes the first part text."""
    if case.signers is None or "Enoch" in str(case.signers[:1]):
        with pytest.raises(InvalidProof):
            parse_note(case.note).signers([peter, enoch])
    else:
        assert case.signers == names(parse_note(case.note).signers([peter, enoch]))


def test_bytes_that_are_no_text_are_no_note() -> None:
    """Before anything else is looked at."""
    with pytest.raises(InvalidProof, match="UTF-8"):
        parse_note(b"\xff" + TEXT.encode() + b"\n" + BY_PETER.encode())
    with pytest.raises(InvalidProof, match="UTF-8"):
        parse_note(f"\ud800{TEXT}\n{BY_PETER}")


def test_two_keys_of_one_name_and_id_are_a_mistake() -> None:
    """Whoever controls the list of the trusted has made it."""
    with pytest.raises(ValueError, match="two keys"):
        parse_note(f"{TEXT}\n{BY_PETER}").signers([peter, Twin(peter.name, bytes(32))])


class Twin(VerifierKey):
    """A key with Peter's id."""

    @property
    def key_id(self) -> bytes:
        return peter.key_id


def test_what_is_signed_has_the_form_of_a_note() -> None:
    """A text without its newline is not signed."""
    with pytest.raises(ValueError, match="newline"):
        sign_note("abc", SigningKey.parse(PETERS))
    with pytest.raises(ValueError, match="control"):
        sign_note("a\tbc\n", SigningKey.parse(PETERS))


ROOT_TEXT = base64.b64encode(bytes(range(32))).decode()
GOOD = f"a/b\n7\n{ROOT_TEXT}\n"

NOT_CHECKPOINTS = {
    "two lines": "a/b\n7\n",
    "no newline": GOOD[:-1],
    "no origin": f"\n7\n{ROOT_TEXT}\n",
    "an empty line": f"{GOOD}\n",
    "an empty line between": f"a/b\n\n7\n{ROOT_TEXT}\n",
    "a leading zero": f"a/b\n07\n{ROOT_TEXT}\n",
    "a sign": f"a/b\n+7\n{ROOT_TEXT}\n",
    "a negative size": f"a/b\n-7\n{ROOT_TEXT}\n",
    "a blank": f"a/b\n 7\n{ROOT_TEXT}\n",
    "other digits": f"a/b\n٧\n{ROOT_TEXT}\n",
    "over 2^53": f"a/b\n9007199254740992\n{ROOT_TEXT}\n",
    "huge": f"a/b\n{'9' * 5000}\n{ROOT_TEXT}\n",
    "a short root": f"a/b\n7\n{ROOT_TEXT[:-4]}\n",
    "hex": f"a/b\n7\n{bytes(32).hex()}\n",
    "nothing, with a root": f"a/b\n0\n{ROOT_TEXT}\n",
    "two next keys": f"{GOOD}next {PETER}\nnext {ENOCH}\n",
    "a next key that is none": f"{GOOD}next somebody\n",
}


@pytest.mark.parametrize("text", NOT_CHECKPOINTS.values(), ids=NOT_CHECKPOINTS)
def test_texts_that_are_no_checkpoint(text: str) -> None:
    """Exactly the form, or nothing."""
    with pytest.raises(InvalidProof, match="not a checkpoint"):
        parse_checkpoint(text)


def test_checkpoints_are_read_as_they_were_written() -> None:
    """With the lines of others behind, which mean nothing here; and a hand-over."""
    plain = Checkpoint("a/b", 7, bytes(range(32)))
    handed = session_checkpoint(ROOT, 7, bytes(32), peter)

    assert (plain, GOOD) == (parse_checkpoint(GOOD), plain.text())
    assert plain == parse_checkpoint(f"{GOOD}anything\n")
    assert (handed, ROOT) == (parse_checkpoint(handed.text()), handed.session_id)


@pytest.mark.parametrize("origin", ["a/b", "session-store/session/", "session-store/session/x"])
def test_a_checkpoint_of_something_else_names_no_session(origin: str) -> None:
    """Its origin says what it is about."""
    with pytest.raises(InvalidProof, match="not about a session"):
        _ = Checkpoint(origin, 7, bytes(32)).session_id


def test_a_checkpoint_of_nobody_that_is_trusted_says_nothing() -> None:
    """Its signers are named."""
    note = sign_note(GOOD, SigningKey.parse(PETERS))

    assert peter == open_checkpoint(note, [peter])[1]
    with pytest.raises(InvalidProof, match=r"no trusted key, but by PeterNeumann\+c74f20a3"):
        open_checkpoint(note, [enoch])


def judged_alone(note: str) -> bool:
    keys = [verify_log.read_key(text) for text in (PETER, ENOCH)]
    try:
        verify_log.read_checkpoint(note, keys)
    except verify_log.Refused:
        return False
    return True


def judged(note: str) -> bool:
    try:
        open_checkpoint(parse_note(note), [peter, enoch])
    except InvalidProof:
        return False
    return True


def test_both_verifiers_judge_1000_harmed_checkpoints_alike() -> None:
    """One byte changed, taken out or put in; nothing but the good one is believed."""
    at, key = random.Random(73), SigningKey.parse(PETERS)
    good = str(sign_note(GOOD, key))
    assert judged(good)
    assert judged_alone(good)
    for _ in range(1000):
        place, byte = at.randrange(len(good)), chr(at.choice([*range(0x80), 0x2014, 0x85]))
        kept = at.randrange(2)
        harmed = good[:place] + at.choice(["", byte]) + good[place + kept :]
        if harmed != good:
            assert not judged(harmed), harmed
            assert not judged_alone(harmed), harmed


def test_a_signature_is_written_as_it_was_read() -> None:
    """A note is the same text behind and before."""
    note = f"{TEXT}\n{BY_PETER}{BY_ENOCH}"

    assert note == str(parse_note(note))
    assert BY_PETER == Signature("PeterNeumann", peter.key_id, signature(note)).line()
    assert isinstance(parse_note(note), Note)


def signature(note: str) -> bytes:
    return parse_note(note).signatures[0].data
