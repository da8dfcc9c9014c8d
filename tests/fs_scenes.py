"""Small pieces of work on a store in memory, to be played while something goes wrong."""

from collections.abc import Callable, Iterator
from errno import EIO
from itertools import count

import pytest
from attrs import field, frozen
from fs_tools import born, fork, log_bytes, note, start

from session_store.entries import Receipt
from session_store.errors import AlreadyExists, DurabilityLost
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import Crash, FaultyMemory, at, error

TORN = b'{"v":1,"seq":3,"ts":'


@frozen
class World:
    """A file system, a store on it, a session in it, and every receipt that was given."""

    files: FaultyMemory
    session_id: SessionId
    acked: list[Receipt] = field(factory=list)

    def core(self) -> FsCore:
        return FsCore(self.files)

    def ack(self, receipt: Receipt) -> None:
        self.acked.append(receipt)


def plain() -> World:
    files = FaultyMemory()
    session_id = born(FsCore(files), 2)
    files.settle()
    return World(files, session_id)


def with_bytes(change: Callable[[bytearray], None]) -> World:
    world = plain()
    change(log_bytes(world.files, world.session_id))
    world.files.settle()
    return world


def torn() -> World:
    return with_bytes(lambda data: data.extend(TORN))


def without_lf() -> World:
    return with_bytes(lambda data: data.pop())


def damaged() -> World:
    world = plain()
    core = world.core()
    world.ack(core.append(world.session_id, [note()], expected=ANY))
    end = core.record(world.session_id, 2).offset
    core.append(world.session_id, [note()], expected=ANY)
    log_bytes(world.files, world.session_id)[end + 400] ^= 1
    world.acked.clear()
    world.files.settle()
    return world


def poisoned() -> World:
    world = plain()
    core = world.core()
    world.files.plan = lambda call: error(EIO, call) if call.name == "sync_data" else None
    with pytest.raises(DurabilityLost):
        core.append(world.session_id, [note()], expected=ANY)
    del world.files.plan
    world.files.settle()
    return World(world.files, world.session_id)


def forked() -> World:
    world = plain()
    core = world.core()
    fork(core, core.head(world.session_id))
    world.files.settle()
    return world


def append(world: World) -> None:
    core = world.core()
    for _ in range(2):
        world.ack(core.append(world.session_id, [note(), note()], expected=ANY))


def create(world: World) -> None:
    core, session_id = world.core(), new_session_id()
    try:
        world.ack(core.create(session_id, start(session_id), key="k:1"))
    except AlreadyExists as taken:  # By an earlier try with a doubtful end.
        session_id = taken.session_id
    world.ack(core.append(session_id, [note()], expected=ANY))


def fork_it(world: World) -> None:
    core = world.core()
    child = new_session_id()
    at_head = core.head(world.session_id)
    world.ack(core.create(child, start(child, at_head), parent=at_head))


def create_whole(world: World) -> None:
    core, session_id = world.core(), new_session_id()
    birth = core.begin_whole(session_id)
    core.add_whole(birth, [start(session_id), [note()], [note(), note()]])
    world.ack(core.publish_whole(birth, None))
    birth.abort()


def repair(world: World) -> None:
    core = world.core()
    core.repair(world.session_id)
    world.ack(core.append(world.session_id, [note()], expected=ANY))


def erase(world: World) -> None:
    core = world.core()
    for seq in (1, 2):
        targets = [core.position(world.session_id, seq)]
        world.ack(core.erase(world.session_id, targets, reason="asked for"))


SCENES: dict[str, tuple[Callable[[], World], Callable[[World], None]]] = {
    "append": (plain, append),
    "append behind a torn tail": (torn, append),
    "append behind a missing line end": (without_lf, append),
    "append behind a failed sync": (poisoned, append),
    "create with a key": (plain, create),
    "create whole": (plain, create_whole),
    "fork": (plain, fork_it),
    "fork of a torn parent": (torn, fork_it),
    "erase": (plain, erase),
    "erase behind a torn tail": (torn, erase),
    "repair": (damaged, repair),
    "repair of a torn log": (torn, repair),
}


def deaths(scene: str) -> Iterator[World]:
    """Play a scene, dying in its first call, its second, …; give what is left each time."""
    make, play = SCENES[scene]
    for number in count():
        world = make()
        world.files.plan = at(len(world.files.calls) + number, Crash())
        try:
            play(world)
        except Crash:
            yield world
        else:
            return
