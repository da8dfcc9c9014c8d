"""The signed heads of a store: what is signed, and texts that are not quite that."""

from pathlib import Path

import pytest
from seal_tools import new_key
from session_tools import talk

import session_store as ss
from session_store.chain import Record
from session_store.checkpoint.audit import stored_seal
from session_store.checkpoint.inventory import HEADER, sign_heads
from session_store.checkpoint.note import Checkpoint, sign_note
from session_store.entries import EntryHash
from session_store.search import KindSearch
from session_store.testing.story import CHILD, GRANDCHILD, ROOT, begun

KEY = new_key()
TRUST = [KEY.verifier]
HEADS = [ss.Position(one, 3, EntryHash(bytes(32))) for one in (ROOT, CHILD, GRANDCHILD)]
GOOD = str(sign_heads("a-store", 1_764_000_000_000, reversed(HEADS), KEY))


def test_heads_are_sorted_signed_and_read_again() -> None:
    """The origin has the store and the time: what moves has no one origin."""
    inventory = ss.parse_inventory(GOOD)
    checkpoint, key = inventory.open(TRUST)

    assert (HEADS, GOOD) == (list(inventory.heads), str(inventory))
    assert ("session-store/store/a-store/1764000000000", 3, KEY.verifier) == (
        checkpoint.origin,
        checkpoint.size,
        key,
    )


def test_a_store_without_sessions_can_be_signed() -> None:
    """Nothing is a list, too."""
    text = str(sign_heads("a", 1, [], KEY))

    assert 0 == ss.parse_inventory(text).open(TRUST)[0].size


LINE = f"{ROOT} 3 {'00' * 32}\n"

NOT_INVENTORIES = {
    "another header": GOOD.replace(HEADER, "session-store heads v2"),
    "no note": GOOD.partition("\n\n")[0],
    "nothing": "",
    "a leading zero": GOOD.replace(LINE, f"{ROOT} 03 {'00' * 32}\n"),
    "a sign": GOOD.replace(LINE, f"{ROOT} +3 {'00' * 32}\n"),
    "too large a seq": GOOD.replace(LINE, f"{ROOT} 9007199254740992 {'00' * 32}\n"),
    "a short hash": GOOD.replace(LINE, f"{ROOT} 3 {'00' * 31}\n"),
    "upper case": GOOD.replace(LINE, f"{ROOT} 3 {'0A' * 32}\n"),
    "no id": GOOD.replace(LINE, f"somebody 3 {'00' * 32}\n"),
    "an id in upper case": GOOD.replace(LINE, LINE.upper()),
    "two blanks": GOOD.replace(LINE, LINE.replace(" ", "  ")),
    "something behind": GOOD.replace(LINE, LINE[:-1] + " more\n"),
    "a session twice": GOOD.replace(LINE, LINE * 2),
    "out of order": GOOD.replace(LINE, "").replace("\n\n", f"\n{LINE}\n", 1),
}


@pytest.mark.parametrize("text", NOT_INVENTORIES.values(), ids=NOT_INVENTORIES)
def test_texts_that_are_no_inventory(text: str) -> None:
    """Exactly the form, or nothing."""
    with pytest.raises(ss.InvalidProof, match="not a"):
        ss.parse_inventory(text)


CHANGED = {
    "one is missing": GOOD.replace(LINE, ""),
    "another seq": GOOD.replace(LINE, LINE.replace(" 3 ", " 2 ")),
    "another hash": GOOD.replace(LINE, f"{ROOT} 3 {'01' * 32}\n"),
    "one more": GOOD.replace(LINE, f"{ROOT[:-1]}0 3 {'00' * 32}\n{LINE}"),
}


@pytest.mark.parametrize("text", CHANGED.values(), ids=CHANGED)
def test_other_heads_are_not_those_that_were_signed(text: str) -> None:
    """Whatever is done to the list."""
    with pytest.raises(ss.InvalidProof):
        ss.parse_inventory(text).open(TRUST)


def test_a_checkpoint_of_something_else_signs_no_heads() -> None:
    """Nor does anybody who is not trusted."""
    note = sign_note(Checkpoint("session-store/session/x", 3, bytes(32)).text(), KEY)
    with pytest.raises(ss.InvalidProof, match="not about a store"):
        ss.Inventory(HEADS, note).open(TRUST)
    with pytest.raises(ss.InvalidProof, match="no trusted key"):
        ss.parse_inventory(GOOD).open([new_key("example.org/other").verifier])


async def test_a_head_that_no_longer_holds_is_not_signed(tmp_path: Path) -> None:
    """What the head memory has seen must be there."""
    async with await ss.open_store(tmp_path / "s", heads=tmp_path / "heads.db") as store:
        session = await talk(store, 1)
        await ss.sign_store(store, KEY)
        assert store.heads is not None
        store.heads.remember([ss.Position(session.id, 7, EntryHash(bytes(32)))])

        with pytest.raises(ss.NotAnExtension, match="does not continue"):
            await ss.sign_store(store, KEY)


def notes(*chunks: bytes) -> list[str | None]:
    search, found = KindSearch(ROOT, "seal"), list[Record]()
    for chunk in chunks:
        found += search.feed(chunk)
    return [stored_seal(record).note for record in [*found, *search.finish()]]


def test_seals_are_found_in_bytes_cut_anywhere() -> None:
    """Whole, in steps of 1 and of 7, without the last LF, and with noise between."""
    story = begun().append(ss.Seal("one")).append(ss.TurnEnd(1)).append(ss.Seal("two"))
    story.append(ss.Extension("x", {"like": 1, "kind": "seal", "batch": 0}))
    data = story.data
    for step in (len(data), 1, 7):
        for end in (len(data), len(data) - 1):
            chunks = [data[at : min(at + step, end)] for at in range(0, end, step)]
            assert ["one", "two"] == notes(*chunks)
    noise = b',"kind":"seal","batch":0 is no record\n'
    assert ["one", "two"] == notes(noise + data + b"\0" * 20)


def test_a_seal_without_a_text_is_none() -> None:
    """A body that is not JSON, and a note that is not text."""
    story = begun().append_bodies(("seal", b"{nonsense}"), ("seal", b'{"note":7}'))

    assert [None, None] == notes(story.data)
