"""One log in one process: what an append costs, what a sync covers, and what is said of it."""

import errno
import logging

import pytest
from fs_tools import born, note, records
from log_tools import Ticking, rival

from session_store.errors import Corrupt, DurabilityLost, StoreFull
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.directories import ensure_directory
from session_store.stores.fs.log import Log
from session_store.stores.fs.names import Names
from session_store.stores.fs.quarantine import write_all
from session_store.testing.faults import CHANGES, LOOKS, Call, FaultyMemory, Short, error, failing
from session_store.testing.story import MASKED, ROOT, told


@pytest.fixture
def files() -> FaultyMemory:
    files = FaultyMemory()
    files.clock = Ticking()
    return files


@pytest.fixture
def core(files: FaultyMemory) -> FsCore:
    return FsCore(files)


@pytest.fixture
def log(core: FsCore) -> Log:
    return core.log(born(core, 1))


def calls_of(files: FaultyMemory, first: int, path: str) -> list[str]:
    return [call.name for call in files.calls[first:] if call.path == path]


# -- the append ----------------------------------------------------------------------------------


def test_an_append_looks_at_the_last_line_alone(core: FsCore, log: Log) -> None:
    """Behind an append of this process: one look at the size, 68 bytes read, one write, one sync."""
    core.append(log.session_id, [note()], expected=ANY)
    files = log.files
    files.watched = CHANGES | LOOKS
    first = len(files.calls)
    core.append(log.session_id, [note(), note()], expected=ANY)
    made = calls_of(files, first, log.path)
    assert ["try_lock", "is_at", "size", "read", "write", "unlock", "sync_data", "is_at"] == made
    assert [68] == [call.size for call in files.calls[first:] if call.name == "read"]
    assert not [call for call in files.calls[first:] if call.name == "sync_directory"]


def test_what_another_process_appended_is_read_once(core: FsCore, log: Log) -> None:
    """Then this process knows the end of the log again."""
    other = FsCore(log.files.another_process())
    other.append(log.session_id, [note()], expected=ANY)
    log.files.watched = frozenset({"read"})
    log.lock(0)
    for _ in range(3):
        assert 2 == log.refresh().head.seq
    size = log.files.size(log.file)
    assert [size, 68, 68] == [call.size for call in log.files.calls if call.name == "read"]


def test_a_masked_end_is_read_as_the_store_allows(files: FaultyMemory) -> None:
    """A masked replica goes on behind a masked record; another store refuses it."""
    story = told()
    story.mask(len(story.lines) - 1, MASKED)
    FsCore(files)
    ensure_directory(files, layout.hour_directory(ROOT))
    write_all(files, files.open(layout.log_path(ROOT), write=True, create=True), story.data)
    replica, plain = (
        Log(files, ROOT, allow_masked=True, names=Names(files)),
        Log(files, ROOT, names=Names(files)),
    )
    replica.lock(0)
    assert len(story.lines) - 1 == replica.refresh().head.seq
    replica.unlock()
    plain.lock(0)
    with pytest.raises(Corrupt, match="a masked record"):
        plain.refresh()


@pytest.mark.parametrize(("behind_ms", "warnings"), [(3_600_000, 0), (3_600_001, 1)])
def test_a_clock_more_than_an_hour_behind_is_said_once(
    core: FsCore, log: Log, caplog: pytest.LogCaptureFixture, behind_ms: int, warnings: int
) -> None:
    """An hour is not; the times repeat until it catches up."""
    last = records(core, log.session_id)[-1].ts
    log.files.clock.ms = last - behind_ms
    for _ in range(2):
        core.append(log.session_id, [note()], expected=ANY)
    said = [r.getMessage() for r in caplog.records if "clock" in r.getMessage()]
    assert warnings == len(said)
    assert all("is 3600 s behind" in text for text in said)
    assert [last, last] == [r.ts for r in records(core, log.session_id)[-2:]]


def test_what_is_rolled_back_is_logged(
    core: FsCore, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    """With the session and the place; with the reason, if even that failed."""
    end = log.files.size(log.file)
    faults = {"write": Short(9)}
    log.files.plan = lambda call: faults.get(call.name)
    with pytest.raises(StoreFull, match=r"9 of \d+ bytes fitted; nothing was written"):
        core.append(log.session_id, [note()], expected=ANY)
    assert [f"{log.session_id}: an append failed, rolled back to {end}"] == caplog.messages
    assert ["session_store"] == [record.name for record in caplog.records]
    faults["write"] = OSError(errno.ENOSPC, "no room")
    with pytest.raises(StoreFull, match=f"^{log.name}: no room; nothing was written$"):
        core.append(log.session_id, [note()], expected=ANY)
    caplog.clear()
    faults["truncate"] = OSError(errno.EIO, "io")
    with pytest.raises(StoreFull, match=r"a piece of it is left for the next append to cut$"):
        core.append(log.session_id, [note()], expected=ANY)
    assert f"{log.session_id}: could not roll back to {end}" == caplog.messages[1]
    assert logging.ERROR == caplog.records[1].levelno


@pytest.mark.parametrize("missing", [1, 2, 300])
def test_a_write_without_its_last_byte_counts(core: FsCore, log: Log, missing: int) -> None:
    """Readers count it, so it cannot be taken back; what misses more is."""
    log.files.plan = lambda call: Short(call.size - missing) if call.name == "write" else None
    if missing == 1:
        assert 2 == core.append(log.session_id, [note()], expected=ANY).seq
    else:
        with pytest.raises(StoreFull):
            core.append(log.session_id, [note()], expected=ANY)
    del log.files.plan
    seq = core.append(log.session_id, [note()], expected=ANY).seq
    assert (3 if missing == 1 else 2) == seq
    assert list(range(seq + 1)) == [r.seq for r in records(core, log.session_id)]


class Alarm(Exception):
    """What somebody's handler of a signal may raise, anywhere."""


@pytest.mark.parametrize("where", ["is_at", "read", "write", "truncate", "sync_data"])
def test_what_a_signals_handler_raises_is_no_error_of_the_file(
    core: FsCore, log: Log, where: str
) -> None:
    """It passes through as it is; nobody is kept out, and the next append goes on."""

    def plan(call: Call) -> Alarm | Short | None:
        if call.name == where and call.path == log.path:
            return Alarm()
        return Short(9) if where == "truncate" and call.name == "write" else None

    log.files.watched, log.files.plan = CHANGES | LOOKS, plan
    with pytest.raises(Alarm):
        core.append(log.session_id, [note()], expected=ANY)
    del log.files.plan
    other = FsCore(log.files.another_process())
    other.append(log.session_id, [note()], expected=ANY)
    core.append(log.session_id, [note()], expected=ANY)
    assert "extension" == records(core, log.session_id)[-1].kind


# -- the sync ------------------------------------------------------------------------------------


def syncs(files: FaultyMemory) -> list[tuple[str, str]]:
    return [(c.name, c.path) for c in files.calls if c.name.startswith("sync")]


def written(log: Log) -> object:
    """Append one record and leave it in the cache."""
    log.lock(0)
    log.refresh()
    found = log.append([note()])
    log.unlock()
    return found


def test_one_sync_serves_all_who_wrote_before_it(log: Log) -> None:
    """Also the appends that were made after the one it was asked for; not those made later."""
    first, second = written(log), written(log)
    before = len(syncs(log.files))
    for each in (first, second, first):
        assert log.sync(each) is True
    assert [("sync_data", log.path)] == syncs(log.files)[before:]
    log.sync(written(log))
    assert 2 == len(syncs(log.files)) - before


def test_a_sync_covers_what_it_was_asked_for_though_the_end_is_unknown(log: Log) -> None:
    """Bookkeeping is forgotten while another append is being written."""
    found = written(log)
    log.tip = None
    before = len(syncs(log.files))
    assert log.sync(found)
    assert log.sync(found)
    assert 1 == len(syncs(log.files)) - before


def test_the_directories_above_are_synced_once_for_each_file(core: FsCore, log: Log) -> None:
    """With the first sync of a process, and again when another file is at the path."""
    above = [("sync_directory", path) for path in layout.parents(log.path)]
    other = FsCore(log.files.another_process())
    for expected in (above, []):
        before = len(syncs(other.files))
        other.append(log.session_id, [note()], expected=ANY)
        assert [("sync_data", log.path), *expected] == syncs(other.files)[before:]


def test_a_sync_of_a_file_that_is_no_longer_at_the_path_is_none(log: Log) -> None:
    """Replaced, or gone: the drafts are looked for again."""
    found = written(log)
    log.files.unlink(log.path)
    assert log.sync(found) is False


def test_a_sync_of_the_file_before_covers_nothing_of_the_present_one(log: Log) -> None:
    """Another process has healed the log meanwhile: what was appended since is in its copy."""
    first = written(log)
    other = FsCore(log.files.another_process())
    other.files.plan = failing("sync_data", code=errno.EIO)
    with pytest.raises(DurabilityLost):
        other.append(log.session_id, [note()], expected=ANY)
    other.append(log.session_id, [note()], expected=ANY)
    second = written(log)
    assert log.sync(first) is False
    before = len(syncs(log.files))
    assert log.sync(second) is True
    assert ("sync_data", log.path) in syncs(log.files)[before:]


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE], ids=errno.errorcode.get)
def test_a_directory_without_a_descriptor_for_it_is_no_failed_sync(log: Log, code: int) -> None:
    """Nothing was tried, so nothing was lost; the next sync brings it to the device."""

    other = rival(log)
    found = written(other)
    other.files.plan = lambda call: (
        OSError(code, "too many") if call.name == "sync_directory" else None
    )
    with pytest.raises(OSError, match="too many"):
        other.sync(found)
    del other.files.plan
    assert other.sync(found)
    assert not other.heal_due


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE], ids=errno.errorcode.get)
def test_a_sync_that_was_tried_has_failed_whatever_the_system_calls_it(log: Log, code: int) -> None:
    found = written(log)
    log.files.plan = lambda call: error(code, call) if call.name == "sync_data" else None
    with pytest.raises(DurabilityLost):
        log.sync(found)
    assert log.heal_due


def test_a_directory_that_cannot_be_opened_to_be_synced_is_a_failed_sync(log: Log) -> None:
    """Whatever else is wrong with it: what was claimed cannot be."""
    other = rival(log)
    found = written(other)
    other.files.plan = lambda call: (
        OSError(errno.EIO, "") if call.name == "sync_directory" else None
    )
    with pytest.raises(DurabilityLost):
        other.sync(found)
    assert other.heal_due


def test_a_failed_sync_begins_an_era(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    """What is of the old one is refused with the reason; the reason is logged."""
    found = written(log)
    log.files.plan = lambda call: error(errno.EIO, call) if call.name == "sync_data" else None
    text = f"{log.name}: a sync to the device failed (Input/output error); what was appended"
    with pytest.raises(DurabilityLost) as raised:
        log.sync(found)
    del log.files.plan
    assert str(raised.value).startswith(text)
    assert (found.era + 1, True) == (log.era, log.heal_due)
    assert [f"{log.session_id}: sync failed: [Errno 5] Input/output error"] == caplog.messages
    with pytest.raises(DurabilityLost) as again:
        log.sync(found)
    assert str(raised.value) == str(again.value)
    log.check_era(log.era)
    with pytest.raises(DurabilityLost, match="since this handle was opened"):
        rival(log).check_era(-1)
