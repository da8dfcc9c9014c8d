"""Every kind of damage: what readers see, what an append and a repair do to the bytes."""

import gc
import logging
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import frozen
from fs_tools import kinds, log_bytes, log_of, note, start, store, tree

from session_store.chain import link, root_head
from session_store.errors import ChainBroken, Corrupt, NotFound, Unsupported
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import FaultyMemory

SID = new_session_id()
_FIRST, _HEAD = link(root_head(SID), 1_000, start(SID))
_SECOND, _HEAD = link(_HEAD, 2_000, [note("aaaa"), note("b" * 5000)])
_THIRD, _HEAD = link(_HEAD, 3_000, [note("c" * 64)])
LOG = _FIRST + _SECOND + _THIRD
ONE = len(_FIRST)
TWO = ONE + _SECOND.index(b"\n") + 1
THREE = ONE + len(_SECOND)
END = len(LOG)


@frozen
class Case:
    """
    Damage, and what becomes of the log.

    Attributes:
        kept: Records that readers give.
        error: What they end with.
        appended: Kinds behind the kept ones after an append; None where it is refused.
        repaired: Kinds behind the kept ones after a repair; None where it is refused.
    """

    data: bytes
    kept: int
    error: type[Exception] | None = None
    appended: tuple[str, ...] | None = ("extension",)
    repaired: tuple[str, ...] | None = ()


RECOVERED = ("recovery", "extension")


def torn(data: bytes, kept: int) -> Case:
    return Case(data, kept, None, RECOVERED, ("recovery",))


def corrupt(data: bytes, kept: int, error: type[Exception] = Corrupt) -> Case:
    return Case(data, kept, error, None, ("recovery",) if kept else None)


def unborn(data: bytes) -> Case:
    return Case(data, 0, NotFound, None, None)


def hole(size: int, at: int, then: bytes) -> bytes:
    return LOG[:at] + bytes(size) + then


NEXT = link(_HEAD, 4_000, [note("next"), note("more")])[0]
NEXT_LINE = NEXT[: NEXT.index(b"\n") + 1]

CASES = {
    "whole": Case(LOG, 4),
    "torn: one byte of a line": torn(LOG + b"{", 4),
    "torn: inside a line": torn(LOG[: THREE + 50], 3),
    "torn: all but the last brace": torn(LOG[:-2], 3),
    "torn: a whole line of an unfinished append": torn(LOG[:TWO], 1),
    "torn: inside the second line of an append": torn(LOG[: TWO + 300], 1),
    "torn: an unfinished line without its line end": torn(LOG + NEXT_LINE[:-1], 4),
    "torn: two bytes behind a record": torn(LOG[:-1] + b"XY", 3),
    "torn: 15 NULs, no line end": torn(LOG + bytes(15), 4),
    "torn: 16 NULs and a line end": torn(LOG + bytes(16) + b"\n", 4),
    "torn: 4096 NULs": torn(LOG + bytes(4096), 4),
    "torn: hole of 16 in the last line": torn(hole(16, END - 200, LOG[END - 184 :]), 3),
    "torn: hole of 4096 in an append, then its end": torn(hole(4096, TWO + 300, b'"}\n'), 1),
    "torn: a line of an append, then a hole": torn(LOG + NEXT_LINE + bytes(100), 4),
    "no line end": Case(LOG[:-1], 4, None),
    "another byte for the line end": Case(LOG[:-1] + b"X", 4, None),
    "a NUL for the line end": Case(LOG[:-1] + b"\0", 4, None),
    "15 NULs and a line end": corrupt(LOG + bytes(15) + b"\n", 4),
    "hole of 15 in the last line": corrupt(hole(15, END - 200, LOG[END - 185 :]), 3),
    "hole, then a record that holds": corrupt(hole(16, TWO + 20, LOG[TWO + 36 :]), 1),
    "junk with a line end": corrupt(LOG + b"hello\n", 4),
    "glued lines": corrupt(LOG[: TWO - 1] + LOG[TWO:], 1, ChainBroken),
    "torn line, glued to the next record": corrupt(LOG[: TWO - 9] + LOG[THREE:], 1, ChainBroken),
    "a blank line in the middle": corrupt(LOG[:ONE] + b"\n" + LOG[ONE:], 1),
    "a blank line at the end": corrupt(LOG + b"\n", 4),
    "a line of blanks": corrupt(LOG + b"  \n", 4),
    "CRLF": corrupt(LOG.replace(b"\n", b"\r\n"), 0),
    "CR only": Case(LOG.replace(b"\n", b"\r"), 0, NotFound, None, None),
    "byte-order mark": corrupt(b"\xef\xbb\xbf" + LOG, 0),
    "a flipped bit in a body": corrupt(LOG.replace(b"aaaa", b"aaqa"), 1, ChainBroken),
    "a flipped bit in a head": corrupt(LOG.replace(b'"ts":2000', b'"ts":2001', 1), 1, ChainBroken),
    "a line removed": corrupt(LOG[:ONE] + LOG[THREE:], 1, ChainBroken),
    "a line twice": corrupt(LOG + _THIRD, 4, ChainBroken),
    "two appends swapped": corrupt(_FIRST + _THIRD + _SECOND, 1, ChainBroken),
    "another session's log": corrupt(
        link(root_head(new_session_id()), 1, start(SID))[0], 0, ChainBroken
    ),
    "an unknown version": Case(
        LOG.replace(b'{"v":1', b'{"v":2').replace(b"start", b"begin"), 0, Unsupported, None, None
    ),
    "a version that was flipped": corrupt(b'{"v":3' + LOG[6:], 0, Corrupt),
    "a version that was flipped later": corrupt(LOG[:ONE] + b'{"v":3' + LOG[ONE + 6 :], 1),
    "empty": unborn(b""),
    "one byte": unborn(b"{"),
    "one line end": corrupt(b"\n", 0),
    "only NULs": unborn(bytes(5000)),
    "less than a first line": unborn(_FIRST[:-30]),
}


def put(core: FsCore, data: bytes, session_id: SessionId = SID) -> Path:
    path = log_of(core, session_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def read(core: FsCore) -> tuple[list[int], Exception | None]:
    found: list[int] = []
    try:
        for batch in core.read(SID):
            found += [r.seq for r in batch]
    except (Corrupt, NotFound, Unsupported) as error:
        return found, error
    return found, None


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_readers_give_what_holds_and_the_error_with_its_place(tmp_path: Path, case: Case) -> None:
    """The verified prefix, then the error at the first record that does not hold."""
    core = store(tmp_path)
    put(core, case.data)
    found, error = read(core)
    assert list(range(case.kept)) == found
    assert case.error is (None if error is None else type(error))
    if isinstance(error, Corrupt):
        assert (0, ONE, TWO, THREE, END)[error.seq] == error.offset
        assert error.seq + 1 == error.line


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_readers_and_opening_change_nothing(tmp_path: Path, case: Case) -> None:
    """Neither a byte nor a file more, whatever they meet."""
    core = store(tmp_path)
    put(core, case.data)
    before = tree(tmp_path)
    read(core)
    for call in (core.head, core.open, core.is_born, lambda i: core.record(i, 0)):
        with suppress(Corrupt, NotFound, Unsupported):
            call(SID)
    list(core.raw(SID))
    core.list()
    assert before == tree(tmp_path)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_append_mends_or_refuses(tmp_path: Path, case: Case) -> None:
    """Behind a reader that saw damage: refused, not a byte changed; else kept, cut, recorded."""
    core = store(tmp_path)
    path = put(core, case.data)
    read(core)
    if case.appended is None:
        with pytest.raises((Corrupt, NotFound, Unsupported)):
            core.append(SID, [note()], expected=ANY)
        assert case.data == path.read_bytes()
        return
    core.append(SID, [note()], expected=ANY)
    assert case.appended == tuple(kinds(core, SID)[case.kept :])
    assert path.read_bytes().startswith(b"".join(LOG.splitlines(keepends=True)[: case.kept]))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_repair_cuts_at_the_damage_and_keeps_the_original(tmp_path: Path, case: Case) -> None:
    """What is cut is in quarantine, byte for byte; without a first append there is nothing to repair to."""
    core = store(tmp_path)
    path = put(core, case.data)
    if case.repaired is None:
        with pytest.raises((NotFound, Unsupported)):
            core.repair(SID)
        assert case.data == path.read_bytes()
        return
    done = core.repair(SID)
    assert case.repaired == tuple(kinds(core, SID)[case.kept :])
    if case.repaired:
        removed = (tmp_path / done.quarantine).read_bytes()
        assert case.data == case.data[: done.cut_at] + removed
        assert len(removed) == done.removed
    core.append(SID, [note()], expected=ANY)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_create_takes_over_what_was_never_born(tmp_path: Path, case: Case) -> None:
    """Torn from the first byte: quarantined and born; everything else is left alone."""
    core = store(tmp_path)
    path = put(core, case.data)
    if case.error is not NotFound:
        with pytest.raises(Exception, match=r"exists|line|version"):
            core.create(SID, start(SID))
        return
    core.create(SID, start(SID))
    assert ["session_start"] == kinds(core, SID)
    kept = [p.read_bytes() for p in (tmp_path / "quarantine").glob("*")]
    assert ([case.data] if case.data else []) == kept
    assert 0 == path.read_bytes().count(b"\0")


def test_a_log_under_another_name_does_not_hold(tmp_path: Path) -> None:
    """The id enters every hash."""
    core = store(tmp_path)
    other = new_session_id()
    put(core, LOG, other)
    with pytest.raises(ChainBroken):
        core.head(other)
    with pytest.raises(ChainBroken):
        list(core.read(other))


def test_a_handle_refuses_damage_until_somebody_repairs_it(tmp_path: Path) -> None:
    """Seen by a reader of this store, repaired by another process, believed again."""
    core, other = store(tmp_path), store(tmp_path)
    put(core, LOG.replace(b"aaaa", b"aaqa"))
    cursor = core.open(SID)
    read(core)
    for _ in range(2):
        with pytest.raises(ChainBroken):
            core.append(SID, [note()], expected=ANY)
    other.repair(SID)
    assert 2 == core.append(SID, [note()], expected=ANY).seq
    assert cursor.head.seq == 3


def test_what_lies_before_the_damage_can_be_forked(tmp_path: Path) -> None:
    """At a verified record before it yes, behind it never."""
    core = store(tmp_path)
    put(core, LOG)
    positions = [r for batch in core.read(SID) for r in batch]
    put(core, LOG[: END - 100] + b"!!" + LOG[END - 98 :])
    read(core)
    for record in positions:
        child = new_session_id()
        parent = core_position(record)
        if record.seq < 3:
            core.create(child, start(child, parent), parent=parent)
        else:
            with pytest.raises(Corrupt):
                core.create(child, start(child, parent), parent=parent)
    assert 3 == len(core.children(SID))


def core_position(record):
    from session_store.entries import Position

    return Position(SID, record.seq, record.hash)


def test_reading_from_a_damaged_record_on_tells(tmp_path: Path) -> None:
    """The record before the asked one does not hold: an error, not an empty answer."""
    core = store(tmp_path)
    put(core, LOG.replace(b"aaaa", b"aaqa"))
    with pytest.raises(ChainBroken):
        list(core.read(SID, 2))
    assert [3] == [r.seq for batch in core.read(SID, 3) for r in batch]
    assert [] == list(core.read(SID, 9))


def test_damage_that_is_remembered_holds_no_file(caplog: pytest.LogCaptureFixture) -> None:
    """Where it is, and why; a reader's error would keep its file open as long as the store."""
    caplog.set_level(logging.CRITICAL, "session_store")
    files = FaultyMemory()
    core = FsCore(files)
    core.create(SID, start(SID), durability="disk")
    core.append(SID, [note(), note()], expected=ANY)
    log_bytes(files, SID)[-300] ^= 1

    other = FsCore(files)
    with pytest.raises(Corrupt):
        list(other.read(SID))
    core.close()
    gc.collect()
    assert [] == list(files._paths.values())
    with pytest.raises(Corrupt):
        other.append(SID, [note()], expected=ANY)
