"""What goes along with an erasure in the file store: quarantine, temporary copies, traces, forks."""

from pathlib import Path

import pytest
from erase_tools import LONG, erase, findings, left_of, with_secret
from fs_tools import born, fork, log_of, note, records, store

from session_store.ids import new_session_id
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import FaultyMemory


@pytest.fixture
def core(tmp_path: Path) -> FsCore:
    return store(tmp_path)


def test_pieces_in_quarantine_lose_what_was_erased(core: FsCore, tmp_path: Path) -> None:
    """A torn append that was tried again stands in quarantine too: with the same salt and body."""
    session_id = born(core, 1)
    drafts, floor = [note(LONG), note("second")], core.head(session_id)
    core.append(session_id, drafts, expected=ANY)
    log = log_of(core, session_id)
    log.write_bytes(log.read_bytes()[:-40])
    again = store(tmp_path)
    again.append(session_id, drafts, expected=ANY, floor=floor)
    kept = next((tmp_path / layout.QUARANTINE).iterdir())
    secret = next(r for r in records(again, session_id) if r.digest == drafts[0].digest)
    assert {kept, log} == {Path(p) for p in left_of(tmp_path, [secret])}
    size, lines = kept.stat().st_size, kept.read_bytes().count(b"\n")
    erase(again, session_id, secret.seq)
    assert [] == left_of(tmp_path, [secret])
    assert drafts[1].body[:20] in kept.read_bytes()
    assert (size, lines) == (kept.stat().st_size, kept.read_bytes().count(b"\n"))


def test_a_piece_whose_head_is_lost_is_known_by_its_salt(core: FsCore, tmp_path: Path) -> None:
    """Across the chunks in which it is read, too."""
    session_id, secret = with_secret(core)
    for number, filler in enumerate((0, (1 << 20) - 60, (1 << 20) - 20)):
        piece = tmp_path / layout.QUARANTINE / f"{session_id}-{number}-{'0' * 16}"
        piece.parent.mkdir(exist_ok=True, mode=0o700)
        piece.write_bytes(b"\0" * filler + secret.line[secret.head_size :] + b"\nmore\n")
    foreign = tmp_path / layout.QUARANTINE / f"{new_session_id()}-0-{'0' * 16}"
    foreign.write_bytes(b"untouched")
    erase(core, session_id, 2)
    assert [] == left_of(tmp_path, [secret])
    assert b"untouched" == foreign.read_bytes()
    assert piece.read_bytes().endswith(b" \nmore\n")


def test_a_copy_that_never_took_its_place_goes(core: FsCore, tmp_path: Path) -> None:
    """Unless somebody is at work with it."""
    session_id, secret = with_secret(core)
    temp = tmp_path / layout.temp_path(session_id)
    temp.write_bytes(log_of(core, session_id).read_bytes())
    maker = core.files.open(layout.temp_path(session_id), write=True)
    assert core.files.try_lock(maker)
    erase(core, session_id, 2)
    assert temp.exists()
    maker.close()
    erase(core, session_id, 2)
    assert [] == left_of(tmp_path, [secret])
    assert not temp.exists()


def test_what_is_no_file_beside_the_log_stands_in_nobody_s_way(
    core: FsCore, tmp_path: Path
) -> None:
    """A directory, a link out of the store: not followed, and the erasure is made all the same."""
    session_id, secret = with_secret(core)
    outside = tmp_path / "outside"
    outside.write_bytes(secret.line)
    quarantine = tmp_path / layout.QUARANTINE
    quarantine.mkdir(mode=0o700)
    (quarantine / f"{session_id}-0-{'0' * 16}").symlink_to(outside)
    (quarantine / f"{session_id}-1-{'0' * 16}").mkdir()
    (tmp_path / layout.temp_path(session_id)).mkdir()
    (tmp_path / layout.trace_path(session_id)).symlink_to(outside)
    erase(core, session_id, 2, turns=[1])
    assert [("erased", 2)] == findings(core, session_id)
    assert secret.line == outside.read_bytes()


def test_events_of_a_turn_go_on_request(core: FsCore, tmp_path: Path) -> None:
    """Each becomes a note of a missing event, of the same length; other turns stay."""
    session_id, _ = with_secret(core)
    events = [
        b'{"ts":%d,"turn":%d,"kind":"stream_event","event":{"delta":"secret %d"}}' % (n, n % 3, n)
        for n in range(9)
    ]
    core.append_trace(
        session_id, b"\n".join([*events, b'{"ts":1,"turn":1,"kind":"x"}', b"{}", b""])
    )
    erase(core, session_id, 2)
    assert 9 == (tmp_path / layout.trace_path(session_id)).read_bytes().count(b"secret")
    erase(core, session_id, 1, turns=[1])
    data = b"".join(core.read_trace(session_id))
    assert [b"secret %d" % n in data for n in range(9)] == [n % 3 != 1 for n in range(9)]
    lines = data.split(b"\n")
    assert b'{"ts":4,"turn":1,"kind":"dropped","data":1}' == lines[4].rstrip()
    assert len(events[4]) == len(lines[4])
    assert (b"", b"{}") == (lines[9].strip(), lines[10])


def test_a_long_trace_is_read_once() -> None:
    """Lines of all lengths, whatever block they end in; the last one without its end."""
    files = FaultyMemory()
    core = FsCore(files)
    session_id, _ = with_secret(core)
    events = [
        b'{"ts":%d,"turn":%d,"kind":"stream_event","event":"%b"}'
        % (n, n % 3, b"x" * (n * n % 7000))
        for n in range(1, 2000)
    ]
    core.append_trace(session_id, b"\n".join(events))
    files.watched = files.watched | {"read"}
    erase(core, session_id, 2, turns=[1])
    path = layout.trace_path(session_id)
    read = sum(call.size for call in files.calls if (call.name, call.path) == ("read", path))
    data = b"".join(core.read_trace(session_id))
    assert read <= 2 * len(data)
    for event, line in zip(events, data.split(b"\n"), strict=True):
        is_dropped = b'"turn":1,' in event
        assert len(event) == len(line)
        assert is_dropped == (event != line) == (b'"kind":"dropped"' in line)


def test_a_session_without_a_trace_is_erased_all_the_same(core: FsCore) -> None:
    session_id, _ = with_secret(core)
    erase(core, session_id, 2, turns=[1])
    assert [("erased", 2)] == findings(core, session_id)


def test_what_is_erased_is_erased_for_forks_at_once(core: FsCore, tmp_path: Path) -> None:
    session_id, secret = with_secret(core)
    child = fork(core, core.head(session_id))
    erase(core, session_id, 2)
    assert [("erased", 2)] == findings(core, child)
    assert [] == left_of(tmp_path, [secret])
