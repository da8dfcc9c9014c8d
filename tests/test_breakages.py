"""What a careless edit would break, where no other test is sure to notice: crash/breakages.toml."""

import asyncio
import errno
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from os import urandom
from pathlib import Path

import pytest
from fs_scenes import TORN, World, deaths
from fs_tools import bodies, born, fork, kinds, log_bytes, note, records, store

import session_store as ss
from session_store.chain import body_digest, link
from session_store.codec import draft
from session_store.entries import Redaction
from session_store.errors import DurabilityLost, Locked
from session_store.ids import SessionId
from session_store.stores import ANY, FsStore
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files, OpenFile, SyncFailed
from session_store.stores.memory import MemoryFiles
from session_store.testing.faults import (
    CHANGES,
    LOOKS,
    Call,
    FaultyFiles,
    FaultyMemory,
    error,
)


def test_a_rival_in_any_gap_between_two_calls_is_seen(tmp_path: Path) -> None:
    """Wherever between two calls another process appends, there is one history with both in it."""
    overtaken = number = 0
    while True:
        files = FaultyFiles(tmp_path / str(number))
        core = FsCore(files)
        session_id = born(core, 1)
        rival = store(tmp_path / str(number), lock_timeout_s=0)
        before = len(records(rival, session_id))
        files.watched = CHANGES | LOOKS
        reached = _meets_rival(files, number, rival, session_id)
        core.append(session_id, [note()], expected=ANY)
        files.watched = CHANGES
        found = records(core, session_id)
        if not reached:
            break
        assert len(found) in (before + 1, before + 2)
        overtaken += len(found) == before + 2
        number += 1
    assert overtaken > 1


def _meets_rival(files: FaultyFiles, number: int, rival: FsCore, session_id: SessionId) -> list:
    """Let *rival* append in the *number*th call from here, if it gets the lock."""
    reached: list[int] = []
    first = len(files.calls)

    def plan(call) -> None:
        if call.number == first + number:
            reached.append(call.number)
            with suppress(Locked):
                rival.append(session_id, [note()], expected=ANY)

    files.plan = plan
    return reached


def test_a_lock_on_a_file_that_was_replaced_is_not_believed(tmp_path: Path) -> None:
    """It is of another file than the one at the path: what is written there is lost."""
    files = FaultyFiles(tmp_path)
    core = FsCore(files)
    session_id = born(core, 1)
    path = Path(files.name(layout.log_path(session_id)))
    shutil.copy(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").rename(path)
    files.watched = CHANGES | LOOKS
    first = len(files.calls)

    def plan(call: Call) -> BaseException | None:
        return AssertionError("tried for ever") if call.number > first + 300 else None

    files.plan = plan
    assert 2 == core.append(session_id, [note()], expected=ANY).seq
    assert 3 == len(records(core, session_id))


class Taken(Files):
    """One log's lock is never free, and somebody counts how often it was asked for."""

    inode: tuple[int, int] | None = None
    tries = 0
    enough = 500

    def try_lock(self, file: OpenFile) -> bool:
        if file.inode != self.inode:
            return super().try_lock(file)
        self.tries += 1
        return self.tries > self.enough and super().try_lock(file)


async def test_the_committer_turns_to_other_logs_while_one_is_taken(tmp_path: Path) -> None:
    """A log that is free is not kept waiting until a taken one becomes free."""
    files = Taken(tmp_path)
    async with FsStore(FsCore(files, lock_timeout_s=60)) as face:
        taken, free = born(face.core), born(face.core)
        files.inode = files.stat(layout.log_path(taken)).inode
        waiting = asyncio.ensure_future(face.append(taken, [note()], expected=ANY))
        while not files.tries:  # noqa: ASYNC110 - a thread that begins, no event
            await asyncio.sleep(0)
        assert 1 == (await face.append(free, [note()], expected=ANY)).seq
        assert files.tries < files.enough
        files.tries = files.enough
        assert 1 == (await waiting).seq


def test_a_sync_that_fails_once_is_not_asked_again() -> None:
    """It would say yes: the kernel has forgotten what it could not write."""
    files = FaultyMemory()
    core = FsCore(files)
    session_id = born(core)
    asked: list[str] = []

    def plan(call):
        if call.name != "sync_data":
            return None
        asked.append(call.path)
        return error(errno.EIO, call) if len(asked) == 1 else None

    files.plan = plan
    with pytest.raises(DurabilityLost):
        core.append(session_id, [note()], expected=ANY)
    assert [layout.log_path(session_id)] == asked


def test_every_failed_sync_of_the_system_is_told_from_other_errors(tmp_path: Path) -> None:
    """A pipe cannot be synced; the real calls are made, and what they say is a SyncFailed."""
    files = Files(tmp_path)
    for sync in (files.sync, files.sync_data):
        for fd in os.pipe():
            with pytest.raises(SyncFailed):
                sync(OpenFile(fd, (0, 0)))


def power_lost(scene: str) -> Iterator[tuple[str, World, FaultyMemory]]:
    """Play a scene, losing power in its first call, its second, …; give what may then be found."""
    for number, world in enumerate(deaths(scene)):
        for after in world.files.power_losses(limit=12):
            yield f"{scene}, call {number}", world, after


def test_no_name_leads_to_bytes_that_are_not_on_the_device() -> None:
    """A log that is being healed holds, at every moment, what was synced before."""
    for where, world, after in power_lost("append behind a failed sync"):
        core = FsCore(after)
        assert ["session_start", "extension", "extension"] == kinds(core, world.session_id)[:3]
        assert core.append(world.session_id, [note()], expected=ANY).seq > 2, where


def test_cut_bytes_and_their_mark_survive_a_power_loss() -> None:
    """What was cut is in the log or in quarantine; that it was cut is recorded, once."""
    for where, world, after in power_lost("append behind a torn tail"):
        kept = [name for name in after.names("quarantine") if world.session_id in name]
        copies = [after.read(after.open(f"quarantine/{name}"), 99, 0) for name in kept]
        assert log_bytes(after, world.session_id).endswith(TORN) or TORN in copies, where
        core = FsCore(after)
        core.append(world.session_id, [note()], expected=ANY)
        said = b'"length":%d,' % len(TORN)
        assert 1 == sum(said in body for body in bodies(core, world.session_id)), where


def test_an_append_that_died_between_two_lines_never_counts() -> None:
    """Its first line holds, and announces a second: not the head, and nothing links to it."""
    files = MemoryFiles()
    core = FsCore(files)
    session_id = born(core, 1)
    tip = core.log(session_id).tip
    data, _ = link(tip.head, tip.head.ts, [note(), note()])
    log_bytes(files, session_id).extend(data[: data.index(b"\n") + 1])
    assert 1 == core.head(session_id).seq
    assert 3 == FsCore(files).append(session_id, [note()], expected=ANY).seq
    assert ["session_start", "extension", "recovery", "extension"] == kinds(core, session_id)


class Restless(MemoryFiles):
    """Shows a reader, for a while, the end of another append than the one that is there."""

    looks = 0

    def read(self, file: OpenFile, size: int, offset: int) -> bytes:
        data = super().read(file, size, offset)
        if not self.looks or len(data) < 100:
            return data
        self.looks -= 1
        return data[:-90] + b"#" + data[-89:]


def test_a_rollback_under_a_reader_is_no_damage() -> None:
    """What was there for one look and is gone at the next was in flight."""
    files = Restless()
    core = FsCore(files)
    session_id = born(core, 2)
    files.looks = 2
    assert 2 == FsCore(files).head(session_id).seq
    assert 0 == files.looks
    files.looks = 2
    assert 3 == len(records(FsCore(files), session_id))
    assert 0 == files.looks


def test_a_body_is_hashed_as_it_stands() -> None:
    """Not what it means: every blank counts."""
    bodies = (b'{"a":1}', b'{"a": 1}', b'{ "a":1}', b'{"a":1.0}', b'{"a":1,"a":1}')
    assert len(bodies) == len({body_digest(b"0" * 32, body) for body in bodies})


async def test_salts_do_not_come_from_a_generator_that_can_be_seeded(store: ss.Store) -> None:
    """Equal seeds, as both sides of os.fork have them, and no salt twice."""
    salts = []
    for _ in range(2):
        random.seed(7)
        session = await ss.create_session(store, ss.SessionStartState(system_prompt="s"))
        for _ in range(2):
            random.seed(7)
            await session.save_turn_end(1)
        random.seed(7)
        copy = await ss.fork(store, session.id, copy=True)
        for each in (session.id, copy.id):
            salts += [r.salt async for batch in store.read(each) for r in batch]
    assert len(salts) >= 12
    assert len(salts) == len(set(salts))


def test_a_record_named_by_a_redaction_is_given_out_by_no_reader(tmp_path: Path) -> None:
    """Though its bytes are still there: read from the start, from it on, alone, and followed."""
    core = store(tmp_path)
    session_id = born(core, 2)
    digest = core.record(session_id, 1).digest.decode()
    redaction = Redaction([{"seq": 1, "digest": digest}], "test")
    core.append(session_id, [draft(redaction, urandom(16))], expected=ANY)
    found = [
        records(core, session_id)[1],
        records(core, session_id, 1)[0],
        core.record(session_id, 1),
        core.follower(session_id, 1).more()[0],
    ]
    assert [1] * 4 == [r.seq for r in found]
    assert [None] * 4 == [r.body for r in found]


def test_an_id_is_buried_before_its_log_is_gone() -> None:
    """At every moment of a delete either the log is there, or the tombstone on the device."""
    files = FaultyMemory()
    core = FsCore(files)
    session_id = born(core)
    begin = len(files.calls)
    core.delete(session_id)
    calls = [(call.name, call.path) for call in files.calls[begin:]]
    buried = calls.index(("sync", layout.TOMBSTONES))
    assert buried < calls.index(("unlink", layout.log_path(session_id)))


def test_children_are_known_where_their_markers_are_lost(tmp_path: Path) -> None:
    """What `forks/` holds is believed only where it is said to be complete."""
    core = store(tmp_path)
    parent = born(core)
    lost, marked = fork(core, core.head(parent)), fork(core, core.head(parent))
    shutil.rmtree(tmp_path / layout.FORKS)
    (tmp_path / layout.FORKS / parent).mkdir(parents=True)
    Path(core.files.name(layout.marker_path(parent, marked))).touch()
    assert sorted([lost, marked]) == list(core.children(parent))
