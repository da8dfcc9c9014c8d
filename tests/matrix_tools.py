"""What the tests of the fault matrix share: scenes that meet one fault, and go on after it."""

from collections.abc import Iterable
from functools import cache

from crash.exhaustive import GoodLog, good_log
from fs_scenes import SCENES, World
from fs_tools import records

from session_store.entries import Receipt
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.memory import MemoryFiles
from session_store.testing.faults import Call

WAIT_S = 60
"""How long a test waits for what should come at once, before it calls it hung."""


def held(core: FsCore, acked: Iterable[Receipt]) -> None:
    """Assert that every receipt still names what is in the log."""
    for receipt in acked:
        assert receipt.hash == core.record(receipt.session_id, receipt.seq).hash


def calls_of(scene: str) -> list[Call]:
    """Return the calls of a scene; the first one has the number of those that made its world."""
    make, play = SCENES[scene]
    world = make()
    first = len(world.files.calls)
    play(world)
    return world.files.calls[first:]


def with_fault(scene: str, index: int, fault: object) -> World:
    """Return a new world of the scene, where call *index* of its play meets *fault*."""
    world = SCENES[scene][0]()
    at = len(world.files.calls) + index
    world.files.plan = lambda call: fault if call.number == at else None
    return world


def go_on(scene: str, world: World) -> None:
    """Play the scene again without the fault; then all that was acknowledged is there."""
    del world.files.plan
    SCENES[scene][1](world)
    core = FsCore(world.files.rebooted())
    held(core, world.acked)
    for info in core.list():
        found = records(core, info.session_id)
        assert list(range(len(found))) == [r.seq for r in found]


ENTRIES = 24


@cache
def log() -> GoodLog:
    """Return the log that is damaged."""
    return good_log(ENTRIES, seed=3)


@cache
def lines() -> list[bytes]:
    return log().data.splitlines(keepends=True)


def put(data: bytes) -> FsCore:
    """Return a store in memory whose log is *data*."""
    files = MemoryFiles()
    path = layout.log_path(log().session_id)
    node = files.new_node(data)
    node.links = 1
    files.fill({path: node}, {parent for parent in layout.parents(path) if parent})
    return FsCore(files)
