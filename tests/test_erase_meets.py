"""Erasing where it meets everything else: copies beside the log, deletes, handles, other writers."""

from contextlib import suppress
from errno import EIO
from itertools import combinations
from os import urandom

import pytest
from doctor_tools import Soon
from erase_tools import erase, findings, left_of, with_secret
from fs_tools import born, kinds, note, records
from hostile_stores import stored
from orjson import loads

from session_store.chain import Record, is_blank, link, make_draft, root_head
from session_store.codec import draft
from session_store.entries import Redaction, TurnEnd
from session_store.errors import Corrupt, DurabilityLost, HeadMismatch, NotFound, StoreFull
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.fs import layout, pending
from session_store.stores.fs.blanking import erase_job
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.doctor.mending import finish_erasures
from session_store.testing.faults import Call, FaultyMemory, Lost, Short, deaths, error, failing
from session_store.testing.story import ROOT, told


def disk() -> FaultyMemory:
    files = FaultyMemory()
    files.clock = Soon()
    return files


def put(files: FaultyMemory, path: str, data: bytes) -> None:
    files.write(files.open(path, write=True, create=True), data)


def holding(files: FaultyMemory, path: str) -> bytes:
    with files.frozen_names() as (nodes, _):
        return bytes(nodes[path].data)


def names(files: FaultyMemory) -> list[str]:
    with files.frozen_names() as (nodes, _):
        return list(nodes)


def with_temp() -> tuple[FaultyMemory, object, object]:
    """Return a disk with a copy of a log that never took its place, and what is to be erased."""
    files = disk()
    session_id, secret = with_secret(FsCore(files))
    put(files, layout.temp_path(session_id), holding(files, layout.log_path(session_id)))
    files.settle()
    return files, session_id, secret


def test_no_power_loss_brings_back_a_copy_that_never_took_its_place() -> None:
    files, session_id, secret = with_temp()
    erase(FsCore(files), session_id, secret.seq)
    assert all([] == left_of(after, [secret]) for after in files.power_losses(limit=50))


def test_nor_behind_a_death_between_its_removal_and_the_receipt() -> None:
    """Whoever finishes the erasure cannot see that the copy was there."""
    made: list = []

    def make() -> FaultyMemory:
        made.append(with_temp())
        return made[-1][0]

    for call, files in deaths(make, lambda f: erase(FsCore(f), made[-1][1], made[-1][2].seq)):
        _, session_id, secret = made[-1]
        files.is_dead, files.plan = False, FaultyMemory.plan
        FsCore(files).append(session_id, [note()], expected=ANY, durability="os")
        if FsCore(files).record(session_id, secret.seq).body is None:
            for after in files.power_losses(limit=10):
                assert [] == left_of(after, [secret]), call


def test_no_power_loss_brings_back_what_a_delete_took_from_quarantine() -> None:
    files = disk()
    core = FsCore(files)
    session_id, _ = with_secret(core)
    put(files, layout.log_path(session_id), b"torn")
    core.append(session_id, [note()], expected=ANY)
    kept = [name for name in names(files) if name.startswith(layout.QUARANTINE)]
    assert kept
    files.settle()
    core.delete(session_id)
    for after in files.power_losses(limit=50):
        assert not set(kept) & set(names(after))


@pytest.mark.parametrize("seqs", [(2,), (2, 3), (5,)])
def test_appends_find_their_place_behind_what_is_half_blank(seqs: tuple[int, ...]) -> None:
    """No mark tells of the erasure: the log came from a copy, or its mark was damaged."""
    story = told().redact(*seqs)
    known = story.position(1)
    for seq in seqs:
        story.erase(seq, end=20)
    files, core = stored(story.data)
    handle = core.open(ROOT, shared=True)
    FsCore(files).append(ROOT, [note()], expected=ANY)
    drafts = [note()]
    receipt = core.append(ROOT, drafts, cursor=handle, floor=known)
    assert receipt == core.append(ROOT, drafts, expected=ANY, floor=known)
    with pytest.raises(HeadMismatch):
        core.append(ROOT, [note()], expected=known)


@pytest.mark.parametrize("body", [b"{,}", b'{"format":1,}', b'{"a":-}'])
def test_a_first_record_that_is_no_json_is_erased_all_the_same(body: bytes) -> None:
    """What can be known without it is kept."""
    data, _ = link(root_head(ROOT), 1, [make_draft("session_start", body, urandom(16))])
    files, core = stored(data)
    secret = core.record(ROOT, 0)
    erase(core, ROOT, 0)
    assert [] == left_of(files, [secret])
    assert {"format": 1, "session_id": ROOT} == loads(core.record(ROOT, 0).body)


def test_what_was_found_to_be_erased_is_blank_though_the_lines_are_out_of_order() -> None:
    """A search by halves that finds a record once may miss it when the log has grown."""
    count = len(told().lines)
    for first, second in combinations(range(count), 2):
        story = told()
        lines = story.lines
        lines[first], lines[second] = lines[second], lines[first]
        for seq in range(count):
            files, core = stored(story.data)
            try:
                secret = core.record(ROOT, seq)
                erase(core, ROOT, seq)
            except (NotFound, Corrupt):
                continue
            assert [] == left_of(files, [secret]), (first, second, seq)


@pytest.mark.parametrize("way", ["lines", "doctor", "repair"])
def test_a_redaction_that_another_one_names_is_not_blanked(way: str) -> None:
    """It would name nothing any more, and what it names would be given out again."""
    story = told().redact(2).redact(7).append(TurnEnd(2))
    if way == "lines":
        files = disk()
        core = FsCore(files)
        core.append_lines(ROOT, b"".join(story.lines[:7]))
        core.append_lines(ROOT, b"".join(story.lines[7:]))
    elif way == "doctor":
        _, core = stored(story.data)
        finish_erasures(ROOT, core)
    else:
        story.lines[8:8] = [b"damage\n"]
        _, core = stored(story.data)
        core.repair(ROOT)
    assert core.record(ROOT, 2).body is None
    assert story.target(2)["digest"].encode() in core.record(ROOT, 7).line
    assert is_blank(core.record(ROOT, 2)) or way == "repair"


def test_a_first_record_that_is_linked_to_nothing_is_erased_all_the_same() -> None:
    """The log is damaged from its beginning; what is acknowledged is blank."""
    start = make_draft("session_start", b'{"format":1}', urandom(16))
    data, _ = link(root_head(new_session_id())._replace(session_id=ROOT), 1, [start])
    files, core = stored(data)
    secret = core.record(ROOT, 0)
    erase(core, ROOT, 0)
    assert [] == left_of(files, [secret])


def test_many_that_are_half_blank_are_found_in_few_reads() -> None:
    """A loss of power leaves one in each page; the log is not read once for each."""
    files = disk()
    core = FsCore(files)
    session_id = born(core)
    for begin in range(0, 400, 50):
        texts = [f"{number} {'x' * 2000}" for number in range(begin, begin + 50)]
        core.append(session_id, list(map(note, texts)), expected=ANY)
    found = [core.record(session_id, seq) for seq in range(1, 400, 4)]
    files.plan = failing("write_at", code=EIO)
    with pytest.raises(OSError, match="Input/output"):
        erase(core, session_id, *(record.seq for record in found))
    del files.plan
    file = files.open_in_place(layout.log_path(session_id))
    for record in found:
        files.write_at(file, b',"salt":null', record.offset + record.head_size)
    files.calls.clear()
    files.watched = files.watched | {"read"}
    FsCore(files).append(session_id, [note()], expected=ANY)
    read = sum(call.size for call in files.calls if call.name == "read")
    assert read < 40 * files.size(file)
    assert all(record.withheld == "erased" for record in records(core, session_id)[1:400:4])
    assert [] == left_of(files, found)


def test_blanks_whose_sync_failed_with_no_mark_of_that_are_written_again() -> None:
    """The next process cannot see that the device has not got what the cache holds."""
    files = disk()
    session_id, secret = with_secret(FsCore(files))
    files.settle()
    has_begun = False

    def fail(call: Call) -> Lost | OSError | None:
        nonlocal has_begun
        has_begun = has_begun or call.name == "write_at"
        if has_begun and call.name == "sync_data":
            return Lost(error(EIO, call))
        return error(EIO, call) if has_begun and call.name == "create" else None

    files.plan = fail
    with pytest.raises(DurabilityLost, match="could not be written"):
        erase(FsCore(files), session_id, secret.seq)
    del files.plan
    FsCore(files).append(session_id, [note()], expected=ANY)
    assert all([] == left_of(after, [secret]) for after in files.power_losses(limit=50))


def test_nothing_is_appended_to_a_redaction_whose_line_end_is_missing() -> None:
    """Its write stopped before the LF: the append counts, and the next one mends it first."""
    files = disk()
    session_id, secret = with_secret(FsCore(files))
    pending.save(files, session_id, [unwritten(FsCore(files), session_id, secret)])
    path = layout.log_path(session_id)
    files.plan = lambda call: Short(call.size - 1) if call.path == path and call.size > 1 else None
    files.watched = frozenset({"write"})
    core = FsCore(files)
    with suppress(StoreFull):  # Of the caller's own record.
        core.append(session_id, [note()], expected=ANY)
    del files.plan
    core.append(session_id, [note()], expected=ANY)
    assert [("erased", 2)] == findings(core, session_id)
    assert "redaction" in kinds(core, session_id)


def test_no_redaction_of_our_own_stands_behind_a_torn_tail_that_lines_would_take_away() -> None:
    """Lines of another store leave no record of what they cut; an erasure that is owed does."""
    files = disk()
    session_id, secret = with_secret(FsCore(files))
    path = layout.log_path(session_id)
    lines = holding(files, path)
    pending.save(files, session_id, [unwritten(FsCore(files), session_id, secret)])
    files.write(files.open(path, write=True), b"a torn piece")
    core = FsCore(files)
    core.append_lines(session_id, lines)
    assert [("erased", 2)] == findings(core, session_id)
    assert ["recovery", "redaction"] == kinds(core, session_id)[-2:]


@pytest.mark.parametrize("while_reading", [False, True])
def test_what_a_failed_sync_took_is_not_given_from_memory(while_reading: bool) -> None:
    """The cache is dropped to see what the device has: what was verified there counts no more."""
    files = disk()
    core = FsCore(files)
    session_id = born(core)
    files.settle()
    core.append(session_id, [note("x" * 9000)], expected=ANY, durability="os")
    core.append(session_id, [note()], expected=ANY, durability="os")
    assert 3 == len(records(core, session_id))

    def lose() -> None:
        rival = files.another_process()
        lost = Lost(error(EIO, Call(0, "sync_data", "")), lambda page: page != 1)
        rival.plan = lambda call: lost if call.name == "sync_data" else None
        with pytest.raises(DurabilityLost):
            FsCore(rival).append(session_id, [note()], expected=ANY)
        rival = files.another_process()
        rival.plan = failing("create", code=EIO)
        with suppress(OSError, Corrupt):
            FsCore(rival).append(session_id, [note()], expected=ANY)

    def between(call: Call) -> None:
        if call.name == "read" and call.size > 9000:
            del files.plan
            lose()

    files.watched = files.watched | {"read"}
    if while_reading:
        files.plan = between
    else:
        lose()
    with pytest.raises(Corrupt):
        records(core, session_id)


def unwritten(core: FsCore, session_id: SessionId, secret: Record) -> pending.Job:
    """Return the job of an erasure that died before its redaction was written."""
    target = {"seq": secret.seq, "digest": secret.digest.decode()}
    drafts = [draft(Redaction([target], "asked for"), urandom(16))]
    return erase_job(
        core.files.stat(layout.log_path(session_id)).size, pending.drafts_to_json(drafts), ()
    )


@pytest.mark.parametrize("seqs", [(), (2,)])
def test_an_append_overtaken_by_a_healing_is_not_written_twice(seqs: tuple[int, ...]) -> None:
    """Without a floor, too: it is in the new file already, and perhaps erased there."""
    files = disk()
    core = FsCore(files)
    session_id = born(core, 1)
    is_synced = False

    def overtake(call: Call) -> None:
        nonlocal is_synced
        is_synced = is_synced or call.name == "sync_data"
        if is_synced and call.name == "is_at":
            del files.plan
            rival = files.another_process()
            rival.plan = lambda call: Lost(error(EIO, call)) if call.name == "sync_data" else None
            with pytest.raises(DurabilityLost):
                FsCore(rival).append(session_id, [note()], expected=ANY)
            FsCore(files.another_process()).append(session_id, [note()], expected=ANY)
            if seqs:
                erase(FsCore(files.another_process()), session_id, *seqs)

    files.watched = files.watched | {"is_at"}
    files.plan = overtake
    appended = note("once")
    receipt = core.append(session_id, [appended], expected=ANY)
    assert 2 == receipt.seq
    digests = [record.digest for record in records(core, session_id)]
    assert 1 == digests.count(appended.digest)


def test_a_redaction_that_is_cut_with_a_torn_tail_is_written_again_at_once() -> None:
    """Whoever cuts it finishes that, too: nothing is left for the next one."""
    story = told()
    story.append(Redaction([story.target(2)], "x"), TurnEnd(2)).lines.pop()
    story.erase(2, end=20)
    files, core = stored(story.data)
    core.flush(ROOT)
    assert ["recovery", "redaction"] == kinds(core, ROOT)[7:]
    assert not files.exists(layout.pending_path(ROOT))


@pytest.mark.parametrize("way", ["append", "repair", "flush"])
def test_the_end_of_a_log_is_found_where_its_last_line_names_what_is_half_blank(way: str) -> None:
    """The redaction's line end is missing, and the record before it is of no form."""
    story = told().redact(6).erase(6, end=20)
    files, core = stored(story.data[:-1])
    assert 7 == core.head(ROOT).seq
    assert 7 == core.open(ROOT).head.seq
    if way == "append":
        core.append(ROOT, [note()], expected=ANY)
    else:
        getattr(core, way)(ROOT)
    assert 7 == FsCore(files).record(ROOT, 7).seq
    assert "erased" == records(core, ROOT)[6].withheld
