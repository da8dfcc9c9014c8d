"""Every class of damage that a log can have, and what repair and salvage shall make of it."""

from collections.abc import Mapping
from errno import EIO
from functools import cache

import pytest
from attrs import frozen
from fs_tools import note, start

from session_store import blocking
from session_store.chain import link, root_head
from session_store.errors import DurabilityLost
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.face import InlineFace
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import FaultyMemory, error

SID = new_session_id()
LOG = layout.log_path(SID)
MARK = layout.pending_path(SID)

_DATA, _HEAD = link(root_head(SID), 1_000, start(SID))
for _texts in ("1", "234", "5", "67"):
    _more, _HEAD = link(_HEAD, 2_000, [note(text * 40) for text in _texts])
    _DATA += _more
LINES = _DATA.splitlines(keepends=True)
UNFINISHED = link(_HEAD, 3_000, [note("8" * 40), note("9" * 40)])[0].splitlines(keepends=True)[0]
_OTHER = new_session_id()
FOREIGN = link(root_head(_OTHER), 1, start(_OTHER))[0]


@frozen
class Case:
    """
    A class of damage, and what is right.

    Attributes:
        kept: Records before it that are verified; 0 if there is nothing to repair to.
        rescued: The texts that salvage finds, in the order of the file; None if it finds nothing.
        missing: The seqs of which it says that they were found nowhere.
        gaps: Stretches of bytes that it left out.
        mark: What stands in the place of the pending mark.
    """

    data: bytes
    kept: int = 8
    rescued: str | None = "1234567"
    missing: tuple[int, ...] = ()
    gaps: int = 0
    left_out: int = 0
    mark: bytes | None = None


def joined(*parts: slice | bytes) -> bytes:
    return b"".join(p if isinstance(p, bytes) else b"".join(LINES[p]) for p in parts)


def flipped(seq: int) -> bytes:
    line = bytearray(LINES[seq])
    line[-100] ^= 1
    return joined(slice(seq), bytes(line), slice(seq + 1, 8))


def upto(seq: int) -> slice:
    return slice(0, seq)


def after(seq: int) -> slice:
    return slice(seq + 1, 8)


@cache
def poison() -> bytes:
    """Return the mark that a failed sync leaves."""
    files = world(Case(_DATA))
    files.plan = lambda call: error(EIO, call) if call.name == "sync_data" else None
    with pytest.raises(DurabilityLost):
        FsCore(files).append(SID, [note()], expected=ANY)
    with files.frozen_names() as (nodes, _):
        return bytes(nodes[MARK].data)


CASES: dict[str, Case] = {
    "whole": Case(_DATA),
    "torn by a cut": Case(_DATA[:-40], 6, "123456", gaps=1),
    "torn by a cut at a line": Case(joined(upto(7)), 6, "123456"),
    "torn by NULs": Case(_DATA + bytes(4096), gaps=1),
    "torn: NULs in the last line": Case(_DATA[:-200] + bytes(200), 6, "123456", gaps=1),
    "garbage behind, no line end": Case(_DATA + b"hello", gaps=1),
    "garbage behind, lines": Case(_DATA + b"hello\nworld\n", gaps=1),
    "garbage behind, binary": Case(_DATA + bytes(range(1, 256)) * 20, gaps=1),
    "unfinished append": Case(_DATA + UNFINISHED, 8, "12345678"),
    "unfinished append, torn": Case(_DATA + UNFINISHED[:90], gaps=1),
    "no line end": Case(_DATA[:-1]),
    "another byte for the last line end": Case(_DATA[:-1] + b"X", gaps=1),
    "another byte for a line end": Case(joined(upto(3), LINES[3][:-1] + b"X", after(3)), 2, gaps=1),
    "CR for a line end": Case(joined(upto(3), LINES[3][:-1] + b"\r", after(3)), 2),
    "a bit of the first record": Case(flipped(0), 0, "1234567", (0,), gaps=1),
    "a bit in the middle": Case(flipped(5), 5, "123467", (5,), gaps=1),
    "a bit inside an append": Case(flipped(3), 2, "124567", (3,), gaps=1),
    "a bit of the last record": Case(flipped(7), 6, "123456", gaps=1),
    "bits of two records": Case(
        joined(upto(2), b"\xff" + LINES[2][1:], slice(3, 5), b"\xff" + LINES[5][1:], after(5)),
        2,
        "13467",
        (2, 5),
        gaps=2,
    ),
    "a line removed": Case(joined(upto(5), after(5)), 5, "123467", (5,)),
    "the first line removed": Case(joined(after(0)), 0, "1234567", (0,)),
    "a line twice": Case(joined(upto(6), slice(5, 8)), 6, left_out=1),
    "the last line twice": Case(joined(slice(8), LINES[7]), 8, left_out=1),
    "two lines exchanged": Case(
        joined(upto(3), LINES[5], LINES[4], LINES[3], after(5)), 2, "1254367"
    ),
    "a line of another log": Case(joined(upto(5), FOREIGN, slice(5, 8)), 5, gaps=1),
    "a hole, and what holds behind it": Case(
        joined(upto(4), LINES[4][:60] + bytes(4096) + LINES[5][-90:], after(5)),
        2,
        "12367",
        (4, 5),
        gaps=1,
    ),
    "a torn line, glued to the next": Case(
        joined(upto(5), LINES[5][:70], after(5)), 5, "123467", (5,), gaps=1
    ),
    "an empty line": Case(joined(upto(5), b"\n", slice(5, 8)), 5),
    "CRLF": Case(_DATA.replace(b"\n", b"\r\n"), 0),
    "CRLF from a line on": Case(joined(upto(5)) + joined(slice(5, 8)).replace(b"\n", b"\r\n"), 5),
    "CR only": Case(_DATA.replace(b"\n", b"\r"), 0),
    "byte-order mark": Case(b"\xef\xbb\xbf" + _DATA, 0),
    "a mark of a failed sync": Case(_DATA, mark=b"poison"),
    "a mark of a failed sync, and damage": Case(
        flipped(5), 5, "123467", (5,), gaps=1, mark=b"poison"
    ),
    "a damaged mark": Case(_DATA, mark=b'{"jobs":[{"job":"cut"}]}'),
    "a mark of a failed sync with a flipped bit": Case(_DATA, mark=b"flipped"),
    "an empty mark": Case(_DATA, mark=b""),
    "a damaged mark, and damage": Case(flipped(5), 5, "123467", (5,), gaps=1, mark=b"{"),
    "a damaged mark, and a torn tail": Case(_DATA[:-40], 6, "123456", gaps=1, mark=b"\xff\0"),
    "empty": Case(b"", 0, None),
    "wholly torn": Case(_DATA[:50], 0, None),
    "NULs": Case(bytes(5000), 0, None),
    "junk": Case(b"hello\n", 0, None),
}
REPAIRED = {name: case for name, case in CASES.items() if case.kept}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
every_repair = pytest.mark.parametrize("case", REPAIRED.values(), ids=REPAIRED)


@cache
def store_files() -> Mapping[str, bytes]:
    files = FaultyMemory()
    FsCore(files)
    return tree(files)


def world(case: Case) -> FaultyMemory:
    """Return a device with a store, and the damaged log in it."""
    found = {LOG: case.data}
    if case.mark is not None:
        made = {b"poison": poison, b"flipped": lambda: poison().replace(b"reopen", b"reopeo")}
        found[MARK] = made[case.mark]() if case.mark in made else case.mark
    return device_with(found)


def device_with(contents: Mapping[str, bytes]) -> FaultyMemory:
    """Return a device with a store, always the same one, and these files in it."""
    files = FaultyMemory()
    found = {**store_files(), **contents}
    nodes = {path: files.new_node(data) for path, data in found.items()}
    for node in nodes.values():
        node.links = 1
    files.fill(nodes, {parent for path in found for parent in layout.parents(path)})
    files.settle()
    return files


def tree(files: FaultyMemory) -> Mapping[str, bytes]:
    with files.frozen_names() as (nodes, _):
        return {path: bytes(node.data) for path, node in sorted(nodes.items())}


def opened(files: FaultyMemory) -> blocking.Store:
    return blocking.Store(InlineFace(FsCore(files)))


def texts(store: blocking.Store, session_id: SessionId) -> str:
    """Return the first characters of what the session holds, and nothing of what was noted."""
    return "".join(
        str(p)[0] for d, p in blocking.restore(store, session_id).extensions if d == "test"
    )
