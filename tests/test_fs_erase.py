"""Erasing in the file store: what is checked, in which order it is done, and what goes along."""

from os import urandom
from pathlib import Path

import pytest
from doctor_tools import Soon
from erase_tools import LONG, erase, findings, given, left_of, position, with_secret
from fs_tools import bodies, born, fork, kinds, log_bytes, log_of, note, records, start, store

from session_store.chain import link, root_head
from session_store.codec import draft
from session_store.entries import Position, Redaction, SessionStart
from session_store.errors import LimitExceeded, NotErasable, NotFound
from session_store.ids import SessionId, new_session_id
from session_store.session.examining import verify_log
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.doctor import Examination
from session_store.stores.memory import MemoryFiles
from session_store.testing.faults import Call, Crash, FaultyMemory, Short, failing
from session_store.values import parse


@pytest.fixture
def core(tmp_path: Path) -> FsCore:
    return store(tmp_path)


def test_nothing_is_left_of_what_was_erased(core: FsCore, tmp_path: Path) -> None:
    """Neither body nor salt, in any file; the log is as long as before, and every hash the same."""
    session_id, secret = with_secret(core)
    before = log_of(core, session_id).read_bytes()
    hashes = [record.hash for record in records(core, session_id)]
    receipt = erase(core, session_id, 2, by="somebody")
    after = log_of(core, session_id).read_bytes()
    assert [] == left_of(tmp_path, [secret])
    assert hashes == [record.hash for record in records(core, session_id)][:4]
    assert before[: secret.offset] == after[: secret.offset]
    assert before[secret.end :] == after[secret.end : len(before)]
    assert [("erased", 2)] == findings(core, session_id)
    assert (session_id, 4) == (receipt.session_id, receipt.seq)
    said = parse(core.record(session_id, 4).body)
    assert [{"seq": 2, "digest": secret.digest.decode()}] == said["targets"]
    assert ("asked for", "somebody") == (said["reason"], said["by"])


def test_the_redaction_is_on_the_device_before_a_byte_is_blanked() -> None:
    """Mark, redaction, blanks, each synced before the next one begins, and the mark's end."""
    files = FaultyMemory()
    core = FsCore(files)
    session_id, _ = with_secret(core)
    begin = len(files.calls)
    erase(core, session_id, 2, 1)
    log, mark = layout.log_path(session_id), layout.pending_path(session_id)
    calls = [(c.name, c.path) for c in files.calls[begin:] if c.path in (log, mark)]
    assert [
        ("rename", mark),
        ("write", log),
        ("sync_data", log),
        ("write_at", log),
        ("write_at", log),
        ("sync_data", log),
        ("unlink", mark),
    ] == calls


def test_records_that_are_not_in_the_log_are_refused(core: FsCore) -> None:
    """The hash is compared under the lock: a log that was repaired may hold another record there."""
    session_id, secret = with_secret(core)
    other = born(core, 4)
    before = log_of(core, session_id).read_bytes()
    right = position(session_id, secret)
    for wrong in (
        core.position(other, 2),
        Position(session_id, 3, secret.hash),
        Position(session_id, 2, core.position(session_id, 3).hash),
        Position(session_id, 9, secret.hash),
    ):
        with pytest.raises(NotFound, match="no record"):
            core.erase(session_id, [right, wrong], reason="x")
    with pytest.raises(ValueError, match="at least one target"):
        core.erase(session_id, [], reason="x")
    assert before == log_of(core, session_id).read_bytes()


def test_a_session_that_is_not_there_has_nothing_to_erase(core: FsCore) -> None:
    missing = new_session_id()
    target = Position(missing, 0, core.position(born(core), 0).hash)
    with pytest.raises(NotFound):
        core.erase(missing, [target], reason="x")
    path = log_of(core, missing)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(b"")
    with pytest.raises(NotFound, match="never born"):
        core.erase(missing, [target], reason="x")


def test_records_of_the_log_s_own_upkeep_are_never_erased(core: FsCore) -> None:
    """Labels may be; a recovery and a redaction may not."""
    session_id, _ = with_secret(core)
    with log_of(core, session_id).open("ab") as log:
        log.write(b"torn")
    core.append(session_id, [note()], expected=ANY)
    erase(core, session_id, 2)
    assert ["recovery", "extension", "redaction"] == kinds(core, session_id)[4:]
    for seq in (4, 6):
        with pytest.raises(NotErasable, match=r"seq . is a re.*never erased") as raised:
            erase(core, session_id, 1, seq)
        assert (session_id, seq) == (raised.value.session_id, raised.value.seq)
        assert kinds(core, session_id)[seq] == raised.value.kind
    assert [("erased", 2)] == findings(core, session_id)


def test_a_replacement_is_given_out_instead(core: FsCore) -> None:
    """The last one that was given; an erasure without one takes none away."""
    session_id, secret = with_secret(core)
    erase(core, session_id, 2, replacements={2: {"domain": "test", "payload": "[withheld]"}})
    assert b'{"domain":"test","payload":"[withheld]"}' == given(core, session_id, secret)
    erase(core, session_id, 2, replacements={2: {"domain": "test", "payload": 7}})
    erase(core, session_id, 2)
    assert b'{"domain":"test","payload":7}' == given(core, session_id, secret)


@pytest.mark.parametrize("given_too", [{}, {"system_prompt": "Be kind.", "forked_from": None}])
def test_a_session_start_keeps_its_identity(core: FsCore, given_too: dict) -> None:
    """Whatever the replacement says of it; also where it is erased a second time."""
    parent = born(core, 1)
    at_head = core.head(parent)
    child = new_session_id()
    secret = SessionStart(child, system_prompt="secret", forked_from=at_head.to_json())
    core.create(child, [draft(secret, urandom(16))], parent=at_head)
    for _ in range(2):
        erase(core, child, 0, replacements={0: given_too})
        body = parse(records(core, child)[0].body)
        assert at_head.to_json() == body.pop("forked_from")
        assert {"format": 1, "session_id": child} == {
            k: body.pop(k) for k in ("format", "session_id")
        }
        assert given_too.get("system_prompt") == body.pop("system_prompt", None)
        assert {} == body
    assert at_head == core.origin(child).forked_from
    assert [parent] == [core.parent_of(child)]
    with pytest.raises(NotFound):
        fork(core, Position(child, 7, at_head.hash))
    assert 0 == core.head(fork(core, core.head(child))).seq


def test_many_records_are_named_by_as_few_redactions_as_fit(tmp_path: Path) -> None:
    """In one append; neighbours are found without searching."""
    core = FsCore(MemoryFiles())
    session_id = born(core)
    for _ in range(3):
        core.append(session_id, [note() for _ in range(2_000)], expected=ANY)
    secrets = records(core, session_id)[1:]
    receipt = erase(core, session_id, *range(1, 6_001))
    assert 6_002 == receipt.seq
    added = [(r.kind, r.batch) for r in records(core, session_id)[6_001:]]
    assert [("redaction", 1), ("redaction", 0)] == added
    assert [] == left_of(core.files, secrets[::400])
    assert 6_000 == len(findings(core, session_id))


def test_a_limit_is_broken_before_anything_is_promised(core: FsCore) -> None:
    """A replacement that no line can hold, or that is nested too deeply."""
    session_id, secret = with_secret(core)
    deep: object = 0
    for _ in range(199):
        deep = [deep]
    for payload in ("x" * (17 << 20), deep):
        with pytest.raises(LimitExceeded):
            erase(core, session_id, 2, replacements={2: {"domain": "x", "payload": payload}})
    assert secret.body == given(core, session_id, secret)
    assert not core.files.exists(layout.pending_path(session_id))


def test_large_replacements_stand_in_records_of_their_own(core: FsCore) -> None:
    session_id = born(core, 3)
    large = {seq: {"domain": "x", "payload": str(seq) * (3 << 20)} for seq in (1, 2, 3)}
    erase(core, session_id, 1, 2, 3, replacements=large)
    assert ["redaction"] * 3 == kinds(core, session_id)[4:]
    assert [b'{"domain":"x","payload":"%d' % n for n in (1, 2, 3)] == [
        body[:26] for body in bodies(core, session_id)[1:4]
    ]


# -- lines from another store -------------------------------------------------------------------


def test_lines_that_bring_a_redaction_blank_its_targets(core: FsCore, tmp_path: Path) -> None:
    """Those that are in the log already, and those that come with it."""
    session_id, secret = with_secret(core)
    whole = log_of(core, session_id).read_bytes()
    target = [{"seq": 2, "digest": secret.digest.decode()}]
    core.append(session_id, [draft(Redaction(target, "x"), urandom(16))], expected=ANY)
    redaction = log_of(core, session_id).read_bytes()[len(whole) :]
    for number, parts in enumerate(([whole, redaction], [whole + redaction])):
        root = tmp_path / "replicas" / str(number)
        other = store(root)
        for lines in parts:
            receipt = other.append_lines(session_id, lines)
        assert 4 == receipt.seq
        assert [] == left_of(root, [secret])
        assert [("erased", 2)] == findings(other, session_id)
        assert receipt == other.append_lines(session_id, redaction)
        assert not other.files.exists(layout.pending_path(session_id))


def redacted_lines() -> tuple[SessionId, bytes, bytes]:
    """Return the lines of a log of three records, and those of a redaction of the last one."""
    session_id, secret = new_session_id(), note(LONG)
    first, head = link(root_head(session_id), 1, [*start(session_id), note()])
    second, head = link(head, 2, [secret])
    named = [{"seq": 2, "digest": secret.digest.decode()}]
    third, _ = link(head, 3, [draft(Redaction(named, "x"), urandom(16))])
    return session_id, first + second, third


def dying(files: FaultyMemory, number: int, *, torn: bool) -> None:
    """Let the process die in call *number* from here; inside it, if it is a *torn* write."""

    def plan(call: Call, at: int = len(files.calls) + number) -> Crash | Short | None:
        if call.number != at:
            return None
        return Short(50, Crash()) if torn and call.name.startswith("write") else Crash()

    files.plan = plan


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("again", [True, False], ids=["lines again", "an append"])
def test_a_death_behind_lines_with_a_redaction_is_mended(again: bool, torn: bool) -> None:
    """What is not named is not blanked; a replica stays one, without a record of its own."""
    session_id, lines, redaction = redacted_lines()
    outcomes = set()
    for number in range(60):
        files = FaultyMemory()
        files.clock = Soon()
        core = FsCore(files)
        core.append_lines(session_id, lines)
        secret = core.record(session_id, 2)
        dying(files, number, torn=torn)
        try:
            core.append_lines(session_id, redaction)
        except Crash:
            after = FsCore(files.rebooted())
        else:
            break
        if again:
            after.append_lines(session_id, redaction)
        else:
            after.append(session_id, [note()], expected=ANY)
        is_named = "redaction" in kinds(after, session_id)
        assert not again or ["redaction"] == kinds(after, session_id)[3:]
        assert is_named == (not left_of(after.files, [secret]))
        assert [("erased", 2)] * is_named == findings(after, session_id)
        assert not after.files.exists(layout.pending_path(session_id))
        outcomes.add(is_named)
    assert again or {True, False} == outcomes
    assert True in outcomes


def test_an_own_erasure_is_finished_before_lines_are_taken_in() -> None:
    """Its redaction does not stand behind a torn tail, whoever finds it."""
    session_id, lines, _ = redacted_lines()
    for number in range(60):
        files = FaultyMemory()
        files.clock = Soon()
        core = FsCore(files)
        core.append_lines(session_id, lines)
        secret = core.record(session_id, 2)
        dying(files, number, torn=True)
        try:
            erase(core, session_id, 2)
        except Crash:
            after = FsCore(files.rebooted())
        else:
            break
        promised = after.files.exists(layout.pending_path(session_id))
        assert 2 == after.append_lines(session_id, lines).seq
        if promised:
            assert [] == left_of(after.files, [secret])
            assert [("erased", 2)] == findings(after, session_id)
    assert number > 10


# -- the doctor, damage --------------------------------------------------------------------------


def test_the_doctor_blanks_what_a_redaction_names_though_no_mark_says_so(
    core: FsCore, tmp_path: Path
) -> None:
    """Somebody appended a redaction by hand, or the mark was lost."""
    session_id, secret = with_secret(core)
    named = [{"seq": 2, "digest": secret.digest.decode()}]
    core.append(session_id, [draft(Redaction(named, "x"), urandom(16))], expected=ANY)
    files = core.files
    files.clock = Soon()
    found = list(Examination(files, verify=verify_log).findings())
    assert ["erasure-unfinished"] == [f.what for f in found if f.severity != "note"]
    assert [secret.line] == [core.record(session_id, 2).line]
    mended = list(Examination(files, verify=verify_log, fix=True).findings())
    assert [True] == [f.is_mended for f in mended if f.what == "erasure-unfinished"]
    assert [] == left_of(tmp_path, [secret])
    assert [("erased", 2)] == findings(core, session_id)


def test_an_erasure_in_a_damaged_log_waits_for_its_repair() -> None:
    """The log is cut behind the erased record; then that is blanked."""
    files = FaultyMemory()
    files.clock = Soon()
    core = FsCore(files)
    session_id, secret = with_secret(core)
    files.plan = failing("write_at", code=5)
    with pytest.raises(OSError, match="Input/output"):
        erase(core, session_id, 2)
    del files.plan
    log_bytes(files, session_id)[core.record(session_id, 3).offset + 9] ^= 1
    other = FsCore(files)
    other.repair(session_id)
    assert ["recovery", "redaction"] == kinds(other, session_id)[3:]
    other.append(session_id, [note()], expected=ANY)
    assert [] == left_of(files, [secret])
    assert [("erased", 2)] == findings(other, session_id)
    assert 1 == kinds(other, session_id).count("redaction")


def test_a_verified_prefix_is_not_trusted_once_the_log_has_grown() -> None:
    """Blanks that are under way may show a body with a hole that still parses."""
    files = FaultyMemory()
    core = FsCore(files)
    session_id, secret = with_secret(core)
    reading = FsCore(files.another_process())
    records(reading, session_id)
    other = files.another_process()
    redaction = Redaction([{"seq": 2, "digest": secret.digest.decode()}], "x")
    begun: list[int] = []

    def plan(call) -> None:
        if call.name == "read" and call.size > 5_000 and not begun:
            begun.append(call.number)
            FsCore(other).append(session_id, [draft(redaction, urandom(16))], expected=ANY)
            log = other.open_in_place(layout.log_path(session_id))
            other.write_at(log, b" " * 4_000, secret.offset + 2_000)

    reading.files.watched = reading.files.watched | {"read"}
    reading.files.plan = plan
    assert None is records(reading, session_id)[2].body
    assert begun


def test_a_mark_of_a_session_that_was_never_born_comes_to_nothing() -> None:
    """The log was lost with its directory's name; the id is created anew."""
    files = FaultyMemory()
    core = FsCore(files)
    session_id, _ = with_secret(core)
    files.plan = failing("write_at", code=5)
    with pytest.raises(OSError, match="Input/output"):
        erase(core, session_id, 2)
    del files.plan
    log_bytes(files, session_id).clear()
    other = FsCore(files)
    other.create(session_id, start(session_id))
    assert ["session_start"] == kinds(other, session_id)
    assert not files.exists(layout.pending_path(session_id))


@pytest.mark.parametrize("call", ["sync_data", "open"])
def test_a_log_that_a_program_replaces_meanwhile_is_left_alone(call: str) -> None:
    """Whoever does not take the lock may do that; nothing is blanked in what is there then."""
    files = FaultyMemory()
    files.watched = files.watched | {"open"}
    session_id, secret = with_secret(FsCore(files))
    path = layout.log_path(session_id)

    def plan(met) -> None:
        if (met.name, met.path) == (call, path) and files.exists(
            layout.pending_path(session_id)
        ) == (call == "open"):
            with files.frozen_names() as (nodes, _):
                nodes[path] = files.new_node(bytes(nodes[path].data))
                nodes[path].links = 1

    core = FsCore(files)
    core.head(session_id)
    core.flush(session_id)
    files.plan = plan
    with pytest.raises(NotFound, match="another program replaced the file"):
        FsCore(files).erase(session_id, [position(session_id, secret)], reason="x")
    del files.plan
    assert secret.body in bytes(files.read(files.open(path), 99_999, 0))
