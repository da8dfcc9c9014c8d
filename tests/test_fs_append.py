"""Compare and append: heads, drafts, floors, cursors, and the way back through the file."""

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from attrs import evolve
from fs_tools import (
    born,
    fork,
    kinds,
    let_time_pass,
    log_bytes,
    log_of,
    note,
    records,
    start,
    store,
)

from session_store.codec import draft
from session_store.entries import LabelsChanged, Position, Seal
from session_store.errors import (
    Corrupt,
    HeadMismatch,
    Locked,
    NotFound,
)
from session_store.ids import new_session_id
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import OpenFile
from session_store.testing.faults import FaultyFiles, FaultyMemory


def label():
    return draft(LabelsChanged({"a": "b"}), b"s" * 16)


@pytest.fixture
def core(tmp_path: Path) -> FsCore:
    return store(tmp_path)


def test_a_handle_that_is_behind_is_refused_and_nothing_is_written(core: FsCore) -> None:
    """HeadMismatch says what was expected and what is there."""
    session_id = born(core)
    zombie, writer = core.open(session_id), core.open(session_id)
    core.append(session_id, [note()], cursor=writer)
    before = log_of(core, session_id).read_bytes()
    for _ in range(2):
        with pytest.raises(HeadMismatch, match=r"expected head \(seq 0.*found \(seq 1"):
            core.append(session_id, [note()], cursor=zombie)
    assert before == log_of(core, session_id).read_bytes()
    assert 0 == zombie.head.seq


def test_maintenance_does_not_make_a_head_stale(core: FsCore) -> None:
    """Labels, seals and recoveries in between; the append links to the real head."""
    session_id = born(core)
    cursor = core.open(session_id)
    core.append(session_id, [label(), draft(Seal("note"), b"t" * 16)], expected=ANY)
    log = log_of(core, session_id)
    log.write_bytes(log.read_bytes() + b"torn")
    assert 4 == core.append(session_id, [note()], cursor=cursor).seq


def test_a_label_behind_another_writers_back_does_not_hide_that_writer(core: FsCore) -> None:
    """The handle that set it still expects its own head."""
    session_id = born(core)
    cursor = core.open(session_id)
    core.append(session_id, [note()], expected=ANY)
    assert 2 == core.append(session_id, [label()], cursor=cursor, expected=ANY).seq
    with pytest.raises(HeadMismatch):
        core.append(session_id, [note()], cursor=cursor)


def test_a_label_on_top_moves_the_handle(core: FsCore) -> None:
    """Nobody else was there: it is the handle's own head."""
    session_id = born(core)
    cursor = core.open(session_id)
    receipt = core.append(session_id, [label()], cursor=cursor, expected=ANY)
    assert cursor.head == receipt.position
    assert 2 == core.append(session_id, [note()], cursor=cursor).seq


def test_any_appends_after_whatever_is_last(core: FsCore) -> None:
    """And the handle stands behind it then."""
    session_id = born(core)
    cursor = core.open(session_id)
    core.append(session_id, [note()], expected=ANY)
    assert 2 == core.append(session_id, [note()], cursor=cursor, expected=ANY).seq
    assert 3 == core.append(session_id, [note()], cursor=cursor).seq


def test_an_expected_position_is_checked(core: FsCore) -> None:
    """With the head it succeeds, with an older, a foreign or an invented one it does not."""
    session_id = born(core, 1)
    head = core.head(session_id)
    first = records(core, session_id)[0]
    for wrong in (
        Position(session_id, 0, first.hash),
        evolve(head, hash=b"x" * 32),
        evolve(head, seq=9),
        evolve(head, session_id=new_session_id()),
    ):
        with pytest.raises(HeadMismatch):
            core.append(session_id, [note()], expected=wrong)
    assert 2 == core.append(session_id, [note()], expected=head).seq


def test_drafts_given_again_are_found_whatever_follows(core: FsCore) -> None:
    """Their receipt comes back, nothing is written, the handle does not go backwards."""
    session_id = born(core)
    cursor = core.open(session_id)
    drafts, floor = [note(), note()], cursor.head
    receipt = core.append(session_id, drafts, cursor=cursor)
    core.append(session_id, [note()], cursor=cursor)
    core.append(session_id, [label()], expected=ANY)
    before = log_of(core, session_id).read_bytes()
    for again in (
        lambda: core.append(session_id, drafts, cursor=cursor, floor=floor),
        lambda: core.append(session_id, drafts, expected=floor),
        lambda: core.append(session_id, drafts, expected=ANY, floor=floor),
        lambda: core.append(session_id, drafts, cursor=core.open(session_id), floor=floor),
    ):
        assert receipt == again()
    assert before == log_of(core, session_id).read_bytes()
    assert 3 == cursor.head.seq == cursor.written.seq
    assert 5 == core.append(session_id, [note()], cursor=cursor).seq


def test_equal_content_with_new_drafts_is_written(core: FsCore) -> None:
    """The salt tells a retry from a repetition."""
    session_id = born(core)
    for _ in range(2):
        core.append(session_id, [note("same")], expected=ANY, floor=core.head(session_id))
    assert 3 == len(records(core, session_id))


def test_a_part_of_an_append_is_no_retry(core: FsCore) -> None:
    """The run must be whole and inside one append."""
    session_id = born(core)
    floor = core.head(session_id)
    one, two = note(), note()
    core.append(session_id, [one], expected=ANY)
    core.append(session_id, [two], expected=ANY)
    assert 4 == core.append(session_id, [one, two], expected=ANY, floor=floor).seq
    assert 6 == core.append(session_id, [two, one], expected=ANY, floor=floor).seq


def test_a_floor_of_another_session_does_not_refuse_the_append(core: FsCore) -> None:
    """A handle that moved to a fork brings its drafts along."""
    parent = born(core)
    floor = core.head(parent)
    child = fork(core, floor)
    cursor = core.open(child)
    for _ in range(3):
        core.append(child, [note()], cursor=cursor)
    assert 4 == core.append(child, [note()], cursor=cursor, floor=floor).seq


def test_found_drafts_are_brought_to_the_asked_level(tmp_path: Path) -> None:
    """Written at os by another process: the retry at disk syncs before it answers."""
    files = FaultyFiles(tmp_path)
    core = FsCore(files)
    session_id = born(core)
    drafts, floor = [note()], core.head(session_id)
    store(tmp_path).append(session_id, drafts, expected=floor, durability="os")
    syncs = [c for c in files.calls if c.name == "sync_data"]
    assert "disk" == core.append(session_id, drafts, expected=floor).level
    assert len(syncs) + 1 == len([c for c in files.calls if c.name == "sync_data"])


def test_a_name_is_synced_once_though_its_file_is_closed_and_opened(tmp_path: Path) -> None:
    """A pod with more sessions than descriptors pays one sync for an append, not five."""
    files = FaultyFiles(tmp_path)
    core = FsCore(files, open_files_max=1)
    cursors = [core.open(born(core)) for _ in range(2)]
    for cursor in cursors:
        core.append(cursor.head.session_id, [note()], cursor=cursor)
    before = len([c for c in files.calls if c.name == "sync_directory"])
    for cursor in cursors:
        core.append(cursor.head.session_id, [note()], cursor=cursor)
    assert before == len([c for c in files.calls if c.name == "sync_directory"])


def test_every_receipt_of_level_disk_follows_a_sync_of_its_bytes(tmp_path: Path) -> None:
    """Also behind a repair that cut the log below what was synced before."""
    files = FaultyMemory()
    core = FsCore(files)
    session_id = born(core, 6)
    size = log_bytes(files, session_id)
    core.append(session_id, [note()], expected=ANY)
    size[400] ^= 1
    size[len(size) // 2] ^= 1
    size[400] ^= 1
    core.repair(session_id)
    receipt = core.append(session_id, [note()], expected=ANY)
    survived = FsCore(files.after_power_loss(names_kept=False, share=0))
    assert receipt.hash == survived.record(session_id, receipt.seq).hash


def test_a_log_cut_and_grown_to_the_same_size_is_noticed() -> None:
    """By another process, in place: the append links to what is there, not to what was."""
    files = FaultyMemory()
    one, other = FsCore(files), FsCore(files)
    session_id = born(one)
    first = one.record(session_id, 0)
    one.append(session_id, [note("aaaa")], expected=ANY)
    cursor = one.open(session_id, shared=True)
    data = log_bytes(files, session_id)
    del data[first.end :]
    other.append(session_id, [note("bbbb")], expected=ANY)
    receipt = one.append(session_id, [note()], cursor=cursor)
    assert 2 == receipt.seq
    assert [0, 1, 2] == [r.seq for r in records(one, session_id)]
    survived = FsCore(files.after_power_loss(names_kept=False, share=0))
    assert receipt.hash == survived.record(session_id, 2).hash


def test_a_shared_handle_survives_a_log_that_became_shorter() -> None:
    """Repaired below what the handle wrote last: it appends after whatever is last."""
    files = FaultyMemory()
    core = FsCore(files)
    session_id = born(core)
    cursor = core.open(session_id, shared=True)
    for _ in range(6):
        core.append(session_id, [note()], cursor=cursor)
    log_bytes(files, session_id)[1200] ^= 1
    core.repair(session_id)
    core.append(session_id, [note()], cursor=cursor)
    assert "recovery" == kinds(core, session_id)[-2]


def test_interrupted_between_write_and_bookkeeping(tmp_path: Path) -> None:
    """A KeyboardInterrupt in the write leaves a log that is read again."""
    files = FaultyFiles(tmp_path)
    core = FsCore(files)
    session_id = born(core)
    for moment in ("write", "sync_data"):
        files.plan = lambda call, m=moment: KeyboardInterrupt() if call.name == m else None
        with pytest.raises(KeyboardInterrupt):
            core.append(session_id, [note()], expected=ANY)
        del files.plan
    core.append(session_id, [note()], expected=ANY)
    assert 3 == len(records(core, session_id))


class ReplacedBeforeSync(FaultyFiles):
    """Another program puts a copy without the last append in the log's place, once."""

    old = b""

    def sync_data(self, file: OpenFile) -> None:
        super().sync_data(file)
        if self.old:
            path = next(Path(self.root).glob("sessions/*/*/*.jsonl"))
            copy = path.with_suffix(".copy")
            copy.write_bytes(self.old)
            let_time_pass()
            self.old = b""
            copy.rename(path)


@pytest.mark.parametrize("shared", [False, True])
def test_a_file_replaced_before_the_sync_gets_the_drafts_again(
    tmp_path: Path, shared: bool
) -> None:
    """The receipt is of the file at the path."""
    files = ReplacedBeforeSync(tmp_path)
    core = FsCore(files)
    session_id = born(core, 1)
    cursor = core.open(session_id, shared=shared)
    files.old = log_of(core, session_id).read_bytes()
    receipt = core.append(session_id, [note()], cursor=cursor)
    assert receipt.position == core.head(session_id) == cursor.head == cursor.written
    assert 3 == len(records(core, session_id))


def test_create_and_flush_and_lines_are_of_the_file_at_the_path(tmp_path: Path) -> None:
    """Each of them does its work again when the file was replaced under its sync."""
    files = ReplacedBeforeSync(tmp_path)
    core = FsCore(files)
    session_id = new_session_id()
    files.old = b"torn"
    assert core.create(session_id, start(session_id)).position == core.head(session_id)
    files.old = log_of(core, session_id).read_bytes()
    log_of(core, session_id).write_bytes(files.old)
    assert core.flush(session_id).position == core.head(session_id)


def test_a_retry_of_create_gives_the_same_receipt(core: FsCore) -> None:
    """And other drafts under the same id are AlreadyExists, with the id."""
    session_id = new_session_id()
    drafts = [*start(session_id), note()]
    assert core.create(session_id, drafts) == core.create(session_id, drafts)
    core.append(session_id, [note()], expected=ANY)
    assert 1 == core.create(session_id, drafts).seq
    for other in (start(session_id), drafts[:1]):
        with pytest.raises(Exception, match="exists") as raised:
            core.create(session_id, other)
        assert session_id == raised.value.session_id


def test_locked_comes_in_time(tmp_path: Path) -> None:
    """From another process and from another thread of this one."""
    core, other = store(tmp_path, lock_timeout_s=0.05), store(tmp_path, lock_timeout_s=0.05)
    session_id = born(core)
    with ThreadPoolExecutor(1) as holder:
        holder.submit(core.log(session_id).lock, 1).result(timeout=10)
        for blocked in (core, other):
            with pytest.raises(Locked) as raised:
                blocked.append(session_id, [note()], expected=ANY)
            assert 0.05 == raised.value.waited_s
        holder.submit(core.log(session_id).unlock).result(timeout=10)
    other.append(session_id, [note()], expected=ANY)


def test_trying_for_a_log_that_is_held_never_waits(core: FsCore) -> None:
    """Not for a thread of this process, and not for another store."""
    session_id = born(core)
    log = core.log(session_id)
    with ThreadPoolExecutor(1) as other_thread:
        log.lock(1)
        assert not other_thread.submit(log.try_lock).result(timeout=10)
        assert not store(core.files.root).log(session_id).try_lock()
        log.unlock()
        assert other_thread.submit(log.try_lock).result(timeout=10)
        other_thread.submit(log.unlock).result(timeout=10)


def test_an_unborn_log_takes_no_append(core: FsCore) -> None:
    """Empty or torn from its first byte: NotFound, and the bytes stay."""
    session_id = new_session_id()
    path = log_of(core, session_id)
    path.parent.mkdir(parents=True)
    for content in (b"", b'{"v":1,"se'):
        path.write_bytes(content)
        for call in (
            lambda: core.append(session_id, [note()], expected=ANY),
            lambda: core.flush(session_id),
            lambda: core.delete(session_id),
            lambda: core.repair(session_id),
        ):
            with pytest.raises(NotFound):
                call()
        assert content == path.read_bytes()


def test_a_clock_that_went_back_repeats_the_last_time(
    core: FsCore, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once when it is more than an hour."""
    session_id = born(core)
    future = 4_000_000_000_000
    core.append(session_id, [note()._replace(ts=future)], expected=ANY)
    for _ in range(2):
        core.append(session_id, [note()], expected=ANY)
    assert [future] * 3 == [r.ts for r in records(core, session_id)[1:]]
    assert 1 == len([r for r in caplog.records if "clock" in r.message])


def test_a_damaged_mark_is_corrupt(core: FsCore) -> None:
    """Nothing is guessed: not JSON, not a list of jobs."""
    session_id = born(core)
    mark = Path(core.files.name(layout.pending_path(session_id)))
    mark.parent.mkdir()
    for content in (b"", b"{}", b'{"jobs":[1]}', b'{"jobs":[{"job":1}]}', b"\xff"):
        mark.write_bytes(content)
        with pytest.raises(Corrupt, match="pending mark"):
            core.append(session_id, [note()], expected=ANY)


def test_errors_of_the_lock_pass_through(tmp_path: Path) -> None:
    """What flock says beyond "taken" is not hidden, and the mutex is free again."""

    class NoLocks(FaultyFiles):
        broken = False

        def try_lock(self, file: OpenFile) -> bool:
            if self.broken:
                raise OSError(errno.ENOLCK, "no locks")
            return super().try_lock(file)

    files = NoLocks(tmp_path)
    core = FsCore(files)
    session_id = born(core)
    files.broken = True
    for take in (lambda: core.log(session_id).lock(1), core.log(session_id).try_lock):
        with pytest.raises(OSError, match="no locks"):
            take()
    files.broken = False
    core.append(session_id, [note()], expected=ANY)
