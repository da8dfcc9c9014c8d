"""`salvage` of every class of damage: all that holds is rescued, and what is missing is said."""

from collections.abc import Mapping

import pytest
from attrs import evolve
from damage_classes import CASES, SID, Case, every_case, opened, texts, tree, world
from fs_tools import log_bytes, note, start

from session_store import blocking
from session_store.errors import NotFound
from session_store.ids import SessionId, new_session_id
from session_store.session.salvaging import SALVAGED
from session_store.stores import ANY
from session_store.stores.face import InlineFace
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import Crash, FaultyMemory, at


@every_case
def test_salvage_rescues_what_holds_and_says_what_is_missing(case: Case) -> None:
    """In a new session that verifies; the original stays as it is."""
    files = world(case)
    store, before = opened(files), tree(files)
    if case.rescued is None:
        with pytest.raises(NotFound):
            blocking.salvage(store, SID)
        assert before == tree(files)
        return
    salvaged = blocking.salvage(store, SID).id
    assert case.rescued == texts(store, salvaged)
    assert [] == blocking.verify(store, salvaged).problems
    assert before.items() <= tree(files).items()
    *noted, end = notes(store, salvaged)
    missing = tuple(seq for first, last in end.get("missing", ()) for seq in range(first, last + 1))
    assert (case.missing, case.gaps) == (missing, end["gaps"])
    assert case.gaps == sum("length" in each for each in noted)
    assert case.left_out == sum("kind" in each for each in noted)
    store.append(salvaged, [note()], expected=ANY)


def notes(store: blocking.Store, session_id: SessionId) -> list[Mapping]:
    extensions = blocking.restore(store, session_id).extensions
    return [payload for domain, payload in extensions if domain == SALVAGED]


@pytest.mark.parametrize("name", ["two lines exchanged", "a bit in the middle"])
def test_a_record_that_does_not_follow_is_said_to_be_loose(name: str) -> None:
    """It is in the new session, with a note before it; behind a gap nobody can tell."""
    store = opened(world(CASES[name]))
    noted = notes(store, blocking.salvage(store, SID).id)
    loose = [each["seq"] for each in noted if "why" in each]
    assert ([4, 3] if name == "two lines exchanged" else []) == loose


@every_case
def test_a_second_salvage_finds_the_first(case: Case) -> None:
    """The same bytes, the same session; other bytes, another one."""
    if case.rescued is None:
        return
    files = world(case)
    first = blocking.salvage(opened(files), SID).id
    before = tree(files)
    assert first == blocking.salvage(opened(files), SID).id
    assert before == tree(files)


def test_other_bytes_are_salvaged_anew() -> None:
    """So is a session that was deleted meanwhile."""
    files = world(CASES["a bit in the middle"])
    store = opened(files)
    first = blocking.salvage(store, SID).id
    store.inner.core.repair(SID)
    second = blocking.salvage(store, SID).id
    blocking.delete(store, second)
    third = blocking.salvage(store, SID).id
    assert 3 == len({first, second, third})


class Early(InlineFace):
    """A store whose keys are looked for before another salvage of the same bytes claims them."""

    async def find(self, key: str) -> SessionId | None:
        return None


@pytest.mark.parametrize("is_fork", [False, True], ids=["root", "fork"])
def test_two_salvages_at_the_same_time_end_with_one_session(is_fork: bool) -> None:
    """The later one leaves nothing behind and opens what the other made."""
    files = world(CASES["a bit in the middle"])
    source = damaged_fork(files) if is_fork else SID
    first = blocking.salvage(opened(files), source).id
    before = tree(files)
    early = blocking.Store(Early(FsCore(files)))
    assert (first, before) == (blocking.salvage(early, source).id, tree(files))


@pytest.mark.parametrize("is_fork", [False, True], ids=["root", "fork"])
def test_a_salvage_killed_at_any_call_leaves_all_or_nothing(is_fork: bool) -> None:
    """Done again there is one salvaged session, and it has everything."""
    number = 0
    while True:
        files, source = world(CASES["a bit in the middle"]), SID
        if is_fork:
            source, expected = damaged_fork(files), "14"
        else:
            expected = "123467"
        files.plan = at(len(files.calls) + number, Crash())
        try:
            blocking.salvage(opened(files), source)
        except Crash:
            number += 1
        else:
            assert number > 10
            return
        store = opened(files.rebooted())
        salvaged = blocking.salvage(store, source).id
        others = {i.session_id for i in store.list()} - {SID, source, salvaged}
        assert (set(), expected) == (others, texts(store, salvaged)), number


def damaged_fork(files: FaultyMemory) -> SessionId:
    """Fork before the damage, append three notes, flip bits in the first two."""
    core, child = FsCore(files), new_session_id()
    parent = evolve(core.head(SID), seq=1, hash=core.record(SID, 1).hash)
    core.create(child, start(child, parent), parent=parent)
    for text in "234":
        core.append(child, [note(text * 40)], expected=ANY)
    data = log_bytes(files, child)
    data[data.index(b"3" * 40)] ^= 0x70
    data[data.index(b"2" * 40)] ^= 0x70
    files.settle()
    return child
