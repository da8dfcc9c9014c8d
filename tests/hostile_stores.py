"""Hostile logs and traces in a store: readers change nothing, writers mend or refuse, repair keeps all."""

import contextlib
import json
from collections.abc import Callable, Iterator
from random import Random

import hostile_lines
import orjson
from fs_tools import note
from hostile_witness import scanned

from session_store import blocking
from session_store.chain import TRAIL_SIZE, Invalid, check_line, check_named, erased_body, root_head
from session_store.errors import SessionStoreError
from session_store.redacted import Named, find_redactions
from session_store.stores import ANY
from session_store.stores.face import InlineFace
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.memory import MemoryFiles
from session_store.stores.protocol import NEVER_ERASED
from session_store.testing.story import ROOT


class Unhurried(InlineFace):
    """Waits for nobody: what is in flight here will never arrive."""

    async def pause(self, seconds: float) -> None:
        pass


def stored(data: bytes) -> tuple[MemoryFiles, FsCore]:
    """Return a store in memory that holds *data* as the log of `ROOT`."""
    files = MemoryFiles()
    core = FsCore(files)
    node = files.new_node(data)
    node.links = 1
    path = layout.log_path(ROOT)
    files.fill({path: node}, [parent for parent in layout.parents(path) if parent])
    return files, core


def kept(files: MemoryFiles) -> dict[str, bytes]:
    with files.frozen_names() as (nodes, _):
        return {name: bytes(node.data) for name, node in nodes.items()}


def run_recovery(data: bytes) -> str:
    """Readers change nothing; an append mends or refuses; repair keeps what it cuts."""
    state, count, end, _ = scanned(data, max(len(data), 1))
    files, core = stored(data)
    before = kept(files)
    _read_all(core)
    assert before == kept(files), "a reader wrote"
    try:
        receipt = core.append(ROOT, [note()], expected=ANY, durability="os")
    except SessionStoreError as error:
        assert (state, type(error).__name__) != ("clean", "Corrupt")
        assert data == kept(files)[layout.log_path(ROOT)], "an append that was refused wrote"
    else:
        # An append looks at the end of a log alone: damage before that it cannot see.
        if state not in {"corrupt", "unsupported"}:
            assert receipt.seq >= count
            after, is_twin = _cut_at(data, end, begun=True)
            _check_clean(files, after, end)
            if not is_twin:
                _check_mended(files, after)
        elif not find_redactions([data], ROOT):
            _check_mended(files, data)
    _take_in(data, state)
    _salvage(data)
    repaired = _repair(data)
    return f"{state}, {repaired}"


def _read_all(core: FsCore) -> None:
    store = blocking.Store(Unhurried(core))
    calls: list[Callable[[], object]] = [
        lambda: core.head(ROOT),
        lambda: core.open(ROOT),
        lambda: core.record(ROOT, 2),
        lambda: core.origin(ROOT),
        core.list,
        lambda: core.parent_of(ROOT),
        lambda: list(core.read(ROOT)),
        lambda: list(core.read(ROOT, 2)),
        lambda: core.follower(ROOT, 0).more(),
        lambda: blocking.restore(store, ROOT),
        lambda: blocking.restore(store, ROOT, at=2),
        lambda: blocking.verify(store, ROOT, parse=True),
        lambda: blocking.tree(store),
    ]
    for call in calls:
        with contextlib.suppress(SessionStoreError):
            call()


def _take_in(data: bytes, state: str) -> None:
    """Lines of another store are taken as they are if they hold, or not at all; what they erase is blank."""
    files = MemoryFiles()
    core = FsCore(files)
    try:
        core.append_lines(ROOT, data)
    except SessionStoreError:
        assert not core.is_born(ROOT), "lines that were refused made a session"
        return
    assert state == "clean"
    log = kept(files)[layout.log_path(ROOT)]
    assert blanked(data, find_redactions([data], ROOT)) == log
    assert "clean" == scanned(log, len(log))[0]


def blanked(data: bytes, named: Named, *, begun: bool = False) -> bytes:
    """Return lines of a log with what is *named* blank, but a fork's start and what never is erased."""
    lines = []
    *whole, rest = data.split(b"\n")
    for line in filter(None, (*whole, rest)):
        record = check_named(line, ROOT)
        is_fork_start = record.seq == 0 and record.prev_hash != root_head(ROOT).hash
        stays = is_fork_start or record.kind in NEVER_ERASED or begun
        if (record.seq, record.digest) in named and not (stays and _holds(line)):
            size = len(line) - record.head_size - TRAIL_SIZE
            line = line[: record.head_size] + erased_body(size) + line[-TRAIL_SIZE:]  # noqa: PLW2901
        lines.append(line)
    return b"\n".join((*lines, b"") if not rest else lines)


def _holds(line: bytes) -> bool:
    try:
        return check_line(line, ROOT).withheld != "erased"
    except Invalid:
        return False


def _salvage(data: bytes) -> None:
    """The original stays as it is; what was made of it holds."""
    files, core = stored(data)
    store = blocking.Store(Unhurried(core))
    try:
        found = blocking.salvage(store, ROOT)
    except SessionStoreError:
        pass
    else:
        assert not blocking.verify(store, found.id, parse=True).problems
    assert data == kept(files)[layout.log_path(ROOT)], "salvaging wrote into the original"


def _check_mended(files: MemoryFiles, data: bytes) -> None:
    """What is not in the log any more is in quarantine, byte for byte."""
    after = kept(files)
    log = after.pop(layout.log_path(ROOT))
    aside = [b"", *(cut for name, cut in after.items() if name.startswith(layout.QUARANTINE))]
    # One wrong byte in the place of the last LF is replaced, not kept.
    wholes = (data, data[:-1] + b"\n")
    assert any(log[: len(w) - len(cut)] + cut == w for cut in aside for w in wholes), "bytes lost"


def _check_clean(files: MemoryFiles, data: bytes, end: int) -> None:
    """The log holds, with all that counted in front."""
    log = kept(files)[layout.log_path(ROOT)]
    assert data[:end] == log[:end], "what counted is not there"
    assert "clean" == scanned(log, len(log))[0]


def _repair(data: bytes) -> str:
    state, count, end, _ = scanned(data, max(len(data), 1))
    files, core = stored(data)
    try:
        core.repair(ROOT)
    except SessionStoreError as error:
        assert not (state == "corrupt" and count), f"not repaired: {error}"
        assert data == kept(files)[layout.log_path(ROOT)], "a repair that was refused wrote"
        return "not repaired"
    if state == "corrupt":
        named = find_redactions([data], ROOT)
        end = next(
            at
            for at in (end, *_ends(data, end))
            if scanned(data[:at], at, named)[:2] == ("clean", count)
        )
    after, is_twin = _cut_at(data, end, begun=state == "torn")
    _check_clean(files, after, end)
    core.append(ROOT, [note()], expected=ANY, durability="os")
    if is_twin:
        return "repaired, with a twin of what is erased"
    _check_mended(files, after)
    return "repaired"


def _cut_at(data: bytes, end: int, *, begun: bool) -> tuple[bytes, bool]:
    """
    Return *data* with everything blank in front of *end* that redactions behind it name.

    And whether a twin of that, with its digest, stands behind: it is blank in quarantine, too.
    """
    named = find_redactions([data[end:]], ROOT)
    twins = [digest for _, digest in named if b'"digest":"%b","salt"' % digest in data[end:]]
    return blanked(data[:end], named, begun=begun) + data[end:], bool(twins)


def _ends(data: bytes, before: int) -> Iterator[int]:
    """Give the places behind the LFs in front of *before*, the last one first."""
    at = before
    while at > 0:
        at = data.rfind(b"\n", 0, at - 1) + 1
        yield at


_EVENTS = [
    b'{"ts":1764000000000,"turn":1,"kind":"stream_event","event":{"delta":"a"}}',
    b'{"ts":1764000000010,"turn":1,"kind":"lifecycle","label":"request","data":null}',
    b'{"ts":1764000000020,"turn":1,"kind":"dropped","data":3}',
]


def make_trace(rng: Random) -> bytes:
    lines = []
    for _ in range(rng.randrange(6)):
        event = rng.choice(_EVENTS)
        if rng.randrange(3) == 0:
            value = orjson.loads(event)
            key = rng.choice([*value, "event", "label"])
            rest = ",".join(f'"{k}":{json.dumps(v)}' for k, v in value.items() if k != key)
            event = f'{{{rest},"{key}":{hostile_lines.json_text(rng, 2)}}}'.encode(
                "utf-8", "replace"
            )
        lines.append(hostile_lines.damaged(rng, event) if rng.randrange(4) == 0 else event)
    return b"\n".join(lines) + rng.choice((b"\n", b"\n", b"", b"\0"))


def run_trace(data: bytes) -> str:
    """Every whole line is an entry or a damage with its place; the session does not care."""
    with blocking.open_store("memory:") as store:
        session = blocking.create_session(store)
        store.inner.core.append_trace(session.id, data)
        reader = blocking.TraceReader(store, session.id)
        entries = list(reader.entries())
        assert data.count(b"\n") == len(entries) + len(reader.damage)
        lines = data.split(b"\n")
        for damage in reader.damage:
            begin = sum(len(line) + 1 for line in lines[: damage.line - 1])
            assert damage.offset == begin
        again = list(blocking.replay_trace(store, session.id, speed=float("inf")))
        assert repr(entries) == repr(again)
        writer = blocking.TraceWriter(store, session.id)
        writer.event("after")
        assert writer.flush()
        assert "after" == list(blocking.TraceReader(store, session.id).entries())[-1].data
        assert "INTACT" == blocking.verify(store, session.id).level
    return "damage" if reader.damage else "whole"
