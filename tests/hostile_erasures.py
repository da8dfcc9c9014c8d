"""Erasing in hostile logs, interrupted and finished: nothing is lost, and what was erased is nowhere."""

import contextlib
import re
from collections.abc import Sequence
from errno import EIO, ENOSPC
from random import Random

import hostile_lines
from blake3 import blake3
from doctor_tools import Soon
from fs_tools import note
from hostile_stores import kept

from session_store.chain import Invalid, Record
from session_store.entries import Position, TurnEnd
from session_store.errors import SessionStoreError
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import Crash, FaultyMemory, Plan, Short, at, error
from session_store.testing.story import ROOT, Story, told

_SEQS = 14
_NAMES = re.compile(rb'\{"v":[^,\n]*,"seq":([0-9]+),[^\n]*?"digest":"([0-9a-f]{64})"')
"""What a redaction would call each record."""
_FOLLOWS = {
    "append": lambda core, _: core.append(ROOT, [note()], expected=ANY),
    "flush": lambda core, _: core.flush(ROOT),
    "repair": lambda core, _: core.repair(ROOT),
    "erase": lambda core, targets: core.erase(ROOT, targets, reason="again"),
}


def make_erased(rng: Random) -> bytes:
    """Return a hostile log, or one in which something was erased, perhaps in part, and then perhaps harmed."""
    if rng.randrange(3) == 0:
        return hostile_lines.log(rng)
    story = told()
    for _ in range(rng.randrange(4)):
        _erase_some(rng, story)
        if rng.randrange(2):
            story.append(TurnEnd(3))
    return (
        rng.choice(list(hostile_lines.HARMS.values()))(rng, story.data)
        if rng.randrange(2)
        else story.data
    )


def _erase_some(rng: Random, story: Story) -> None:
    seqs = [seq for seq in rng.sample(range(7), rng.choice((1, 1, 2, 3))) if _is_whole(story, seq)]
    if seqs:
        story.redact(*seqs)
    for seq in seqs:
        story.erase(seq, begin=rng.randrange(60), end=rng.choice((0, 40, 90, None)))


def _is_whole(story: Story, seq: int) -> bool:
    with contextlib.suppress(Invalid):
        return story.record(seq).withheld is None
    return False


def run_erasing(data: bytes) -> str:
    """What is acknowledged is gone for good; what is interrupted is finished by whoever comes next."""
    named = _NAMES.findall(data)
    if len(set(named)) < len(named):
        return "repeated"  # Of what stands there twice, one is found; `repair` cuts the other.
    rng = Random(blake3(data).digest())
    files = _stored(data)
    before, found = _given(FsCore(files)), _findable(FsCore(files))
    if not found:
        return "nothing"
    chosen = rng.sample(found, min(len(found), rng.choice((1, 1, 2, 3))))
    targets = [target for target, _ in chosen]
    secrets = [record for _, record in chosen if record.withheld is None]
    files.plan = _fault(rng, len(files.calls))
    how = "erased"
    try:
        FsCore(files).erase(ROOT, targets, reason="asked for")
    except (Crash, SessionStoreError, OSError) as ended:
        how = type(ended).__name__
    files.is_dead, files.plan = False, FaultyMemory.plan
    _check(files, before, secrets if how == "erased" else [])
    if rng.randrange(4) == 0:
        files = files.a_power_loss(rng)
        files.clock = Soon()
        _check(files, before, secrets if how == "erased" else [])
    name = rng.choice(list(_FOLLOWS))
    try:
        _FOLLOWS[name](FsCore(files), targets)
    except SessionStoreError as refused:
        assert not (name == "repair" and before), f"not repaired: {refused}"
        return f"{how}, {name} refused"
    named = FsCore(files).redactions(ROOT)
    is_owed = how in {"erased", "Crash", "OSError", "StoreFull"}
    owed = [r for r in secrets if is_owed and (r.seq, r.digest) in named]
    _check(files, before, secrets if how == "erased" else owed)
    return f"{how}, {name}"


def _stored(data: bytes) -> FaultyMemory:
    files = FaultyMemory()
    files.clock = Soon()
    FsCore(files)
    path = layout.log_path(ROOT)
    nodes = {name: files.new_node(found) for name, found in {**kept(files), path: data}.items()}
    for node in nodes.values():
        node.links = 1
    files.fill(nodes, {parent for name in nodes for parent in layout.parents(name) if parent})
    files.settle()
    return files


def _given(core: FsCore) -> list[Record]:
    given: list[Record] = []
    with contextlib.suppress(SessionStoreError):
        for batch in core.read(ROOT):
            given += batch
    return given


def _findable(core: FsCore) -> list[tuple[Position, Record]]:
    found = []
    for seq in range(_SEQS):
        with contextlib.suppress(SessionStoreError):
            found.append((core.position(ROOT, seq), core.record(ROOT, seq)))
    return found


def _fault(rng: Random, first: int) -> Plan:
    nth, cut = first + rng.randrange(40), rng.choice((0, 1, 5, 20, 60, 200))
    code = rng.choice((EIO, ENOSPC))
    return rng.choice(
        (
            FaultyMemory.plan,
            at(nth, Crash()),
            lambda call: (
                Short(cut, Crash()) if "write" in call.name and call.number >= nth else None
            ),
            lambda call: error(code, call) if call.name == "write_at" else None,
        )
    )


def _check(files: FaultyMemory, before: Sequence[Record], secrets: Sequence[Record]) -> None:
    """Nothing that was given is lost, nothing that was withheld comes back, no file holds *secrets*."""
    now = _given(FsCore(files))
    was = [(record.seq, record.hash) for record in before]
    assert was == [(record.seq, record.hash) for record in now[: len(was)]], "records are lost"
    gone = {
        (r.seq, r.digest) for r in (*before, *secrets) if r in secrets or r.withheld == "erased"
    }
    back = [r.seq for r in now if (r.seq, r.digest) in gone and r.withheld != "erased"]
    assert not back, f"given again: {back}"
    for name, found in kept(files).items():
        for record in secrets:
            head = record.line[: record.head_size]
            holds = head + b',"salt":"' in found or head + b',"salt":null,"mask"' in found
            assert not holds, f"{name} holds seq {record.seq}"
