"""What an open store remembers to have verified: used by readers of it alone, and only while it fits."""

import os
from pathlib import Path

import pytest
from fs_tools import born, log_of, note, records, store

from session_store.chain import Head
from session_store.codec import draft
from session_store.entries import Redaction
from session_store.errors import Corrupt
from session_store.ids import new_session_id
from session_store.session.verifying import Verifier
from session_store.stores import ANY, FsStore
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.remembered import NOTHING, Remembered, Verified


@pytest.fixture
def core(tmp_path: Path) -> FsCore:
    return store(tmp_path)


def flip(path: Path, seq: int) -> None:
    """Change one letter in the body of record *seq*, in place: the same file, the same length."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[seq] = lines[seq].replace(b'"domain"', b'"Domain"')
    with path.open("r+b") as file:
        file.write(b"".join(lines))


def test_a_prefix_is_verified_once_by_each_open_store(core: FsCore, tmp_path: Path) -> None:
    """Damage in a body that was verified is found by the next store, and by `verify` always."""
    session_id = born(core, appends=5)
    before = records(core, session_id)
    flip(log_of(core, session_id), 3)
    assert [r.hash for r in before] == [r.hash for r in records(core, session_id)]
    with pytest.raises(Corrupt):
        records(store(tmp_path), session_id)


async def test_verify_uses_nothing_that_is_remembered(core: FsCore) -> None:
    session_id = born(core, appends=5)
    records(core, session_id)
    flip(log_of(core, session_id), 3)
    report = await Verifier(FsStore(core)).verify(session_id)
    assert ["corrupt"] == [finding.what for finding in report.findings]


def test_what_is_appended_later_is_verified(core: FsCore) -> None:
    session_id = born(core, appends=3)
    records(core, session_id)
    core.append(session_id, [note()], expected=ANY)
    flip(log_of(core, session_id), 4)
    with pytest.raises(Corrupt) as raised:
        records(core, session_id)
    assert 4 == raised.value.seq


def test_another_file_in_its_place_is_verified_anew(core: FsCore) -> None:
    session_id = born(core, appends=5)
    records(core, session_id)
    path = log_of(core, session_id)
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    flip(copy, 3)
    copy.rename(path)
    with pytest.raises(Corrupt):
        records(core, session_id)


def test_a_log_that_lost_its_end_is_verified_anew(core: FsCore) -> None:
    """Cut, and cut and grown again to the same size."""
    session_id = born(core, appends=5)
    found = records(core, session_id)
    path = log_of(core, session_id)
    os.truncate(path, found[4].offset)
    flip(path, 3)
    with pytest.raises(Corrupt):
        records(core, session_id)
    with path.open("ab") as file:
        file.write(b"x" * (found[5].end - found[4].offset))
    with pytest.raises(Corrupt) as raised:
        records(core, session_id)
    assert 3 == raised.value.seq


def test_reading_from_the_middle_remembers_only_what_hangs_together(core: FsCore) -> None:
    """What lies before the start was not verified by it."""
    session_id = born(core, appends=5)
    assert [4, 5] == [r.seq for r in records(core, session_id, 4)]
    flip(log_of(core, session_id), 2)
    with pytest.raises(Corrupt):
        records(core, session_id)


def test_a_redaction_that_comes_later_is_heeded(core: FsCore) -> None:
    """One behind the verified part, and then one inside it."""
    session_id = born(core, appends=3)
    target = records(core, session_id)[2]
    named = [{"seq": 2, "digest": target.digest.decode()}]
    core.append(session_id, [draft(Redaction(named, "asked for"), os.urandom(16))], expected=ANY)
    for _ in range(3):
        assert [2] == [r.seq for r in records(core, session_id) if r.withheld]


def test_what_is_remembered_is_bounded() -> None:
    """The log that was read longest ago is forgotten."""
    kept = Remembered(logs_max=2)
    first, second, third = (
        Verified((1, n), Head(new_session_id(), 0, 0, b""), 9, is_plain=True) for n in range(3)
    )
    for verified in (first, second, first, third):
        kept.put(verified)
    found = [kept.get(verified.head.session_id) for verified in (first, second, third)]
    assert [first, NOTHING, third] == found
