"""Readers and rivals beside an erasure: in every gap between two of its calls, and of theirs."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from doctor_tools import Soon
from erase_tools import erase, findings, given, left_of, verified, with_secret
from fs_tools import kinds, note, records

from session_store.chain import Record
from session_store.entries import Position
from session_store.errors import Locked
from session_store.ids import SessionId
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import CHANGES, LOOKS, Call, FaultyMemory, Short


def opened() -> tuple[FaultyMemory, FsCore, SessionId, Record]:
    files = FaultyMemory()
    files.clock = Soon()
    core = FsCore(files)
    session_id, secret = with_secret(core)
    files.settle()
    return files, core, session_id, secret


def in_every_gap(files: FaultyMemory, meanwhile: Callable[[], object]) -> None:
    """Let *meanwhile* happen before every call from here on, also in the middle of a blank."""
    files.watched = CHANGES | LOOKS
    halves: set[int] = set()

    def plan(call: Call) -> Short | None:
        meanwhile()
        if call.name == "write_at" and call.size > 1000:
            halves.add(call.size)
            return Short(call.size // 3)
        return None

    files.plan = plan


def test_a_reader_in_any_gap_of_an_erasure_gives_the_old_or_the_erased() -> None:
    """Never damage, never a part of a body; from the moment it is told, only the erased."""
    files, core, session_id, secret = opened()
    reading = FsCore(files.another_process())
    seen: list[bytes | None] = []

    def read() -> None:
        seen.append(given(reading, session_id, secret))
        told = {f.what for f in verified(reading, session_id).findings}
        assert told <= {"erased", "erasure-unfinished"}

    in_every_gap(files, read)
    erase(core, session_id, 2)
    turned = seen.index(None)
    assert {secret.body} == set(seen[:turned])
    assert {None} == set(seen[turned:])
    assert len(seen) - turned > 4


def test_a_reader_that_remembers_gives_the_old_or_the_erased() -> None:
    """What an open store has verified is not trusted while it is erased, in that store or another."""
    files, core, session_id, secret = opened()
    for reading in (core, FsCore(files.another_process())):
        assert secret.body == records(reading, session_id)[2].body
    erase(core, session_id, 2)
    for reading in (core, FsCore(files.another_process())):
        for _ in range(2):
            assert None is records(reading, session_id)[2].body
    core.append(session_id, [note()], expected=ANY)
    assert None is records(core, session_id)[2].body


def followed(core: FsCore, session_id: SessionId) -> bytes | None:
    follower, found = core.follower(session_id, 0), list[Record]()
    while len(found) < 4:  # What looks damaged for one look is looked at again.
        found += follower.more()
    return found[2].body


READS: dict[str, Callable[[FsCore, SessionId], object]] = {
    "read": lambda core, sid: [r.body for r in records(core, sid)][2],
    "read from there": lambda core, sid: records(core, sid, 2)[0].body,
    "record": lambda core, sid: core.record(sid, 2).body,
    "follow": followed,
}


@pytest.mark.parametrize("remembers", [False, True])
@pytest.mark.parametrize("name", READS)
def test_an_erasure_in_any_gap_of_a_reader_shows_it_the_old_or_the_erased(
    name: str, remembers: bool
) -> None:
    """Begun in one gap, half blank for some gaps, ended in a later one."""
    outcomes = set()
    for steps in steps_of_an_erasure():
        for begin in range(60):
            files, core, session_id, secret = opened()
            reading = FsCore(files.another_process())
            if remembers:
                records(reading, session_id)
            reached = erased_meanwhile(reading.files, begin, steps(core, session_id))
            body = READS[name](reading, session_id)
            assert body in (secret.body, None)
            outcomes.add(body is None)
            if not reached:
                break
    assert {False, True} == outcomes


def erased_meanwhile(files: FaultyMemory, begin: int, steps: Iterator[None]) -> list[int]:
    """Take one step of an erasure in each call of *files* from number *begin* on."""
    files.watched = CHANGES | LOOKS
    first, reached = len(files.calls), list[int]()

    def plan(call: Call) -> None:
        if call.number >= first + begin:
            reached.append(call.number)
            next(steps, None)

    files.plan = plan
    return reached


def steps_of_an_erasure() -> Iterator[Callable[[FsCore, SessionId], Iterator[None]]]:
    """Give erasures that stop half way for no, one or five calls of the reader."""
    for pauses in (0, 1, 5):

        def steps(core: FsCore, session_id: SessionId, pauses: int = pauses) -> Iterator[None]:
            with suppress(OSError):
                core.files.plan = lambda call: (
                    Short(5000, OSError(5, "stopped")) if call.name == "write_at" else None
                )
                erase(core, session_id, 2)
            del core.files.plan
            for _ in range(pauses):
                yield
            core.append(session_id, [note()], expected=ANY)
            yield

        yield steps


def test_verify_in_whose_gap_an_erasure_happens_reports_no_damage() -> None:
    """It looks again where the log has been redacted since it began."""
    for begin in range(60):
        files, core, session_id, _ = opened()
        reading = FsCore(files.another_process())
        steps = next(iter(steps_of_an_erasure()))(core, session_id)
        reached = erased_meanwhile(reading.files, begin, steps)
        report = verified(reading, session_id)
        assert report.level == "INTACT", report
        assert {f.what for f in report.findings} <= {"erased"}
        if not reached:
            return
    raise AssertionError("a verification of more than 60 calls")


def meets_rival(files: FaultyMemory, begin: int, session_id: SessionId) -> list[int]:
    """Let another process append in the *begin*th call from here, if it gets the lock."""
    rival = FsCore(files.another_process(), lock_timeout_s=0)
    files.watched = CHANGES | LOOKS
    first, reached = len(files.calls), list[int]()

    def plan(call: Call) -> None:
        if call.number == first + begin:
            reached.append(call.number)
            with suppress(Locked):
                rival.append(session_id, [note()], expected=ANY)

    files.plan = plan
    return reached


def test_a_rival_in_any_gap_of_an_erasure_leaves_one_history() -> None:
    """Whoever gets the lock in between finishes nothing twice, and nothing is lost."""
    overtaken = 0
    for begin in range(200):
        files, core, session_id, secret = opened()
        reached = meets_rival(files, begin, session_id)
        erase(core, session_id, 2)
        found = kinds(core, session_id)
        assert 1 == found.count("redaction")
        assert [("erased", 2)] == findings(core, session_id)
        assert [] == left_of(files, [secret])
        overtaken += len(found) > 5
        if not reached:
            break
    assert begin < 199
    assert overtaken > 1


def test_two_erasures_of_one_record_leave_two_redactions_and_one_blank() -> None:
    """Who wanted it, and why, is kept of both; the record is checked under the lock."""
    files, core, session_id, secret = opened()
    target = Position(session_id, 2, secret.hash)
    for by in ("one", "two"):
        core.erase(session_id, [target], reason="leak", by=by)
    assert 2 == kinds(core, session_id).count("redaction")
    assert [("erased", 2)] == findings(core, session_id)
    assert [] == left_of(files, [secret])


def test_handles_go_on_behind_an_erasure() -> None:
    """A redaction makes no head stale."""
    _, core, session_id, _ = opened()
    cursor = core.open(session_id)
    erase(core, session_id, 2)
    receipt = core.append(session_id, [note()], cursor=cursor)
    assert 5 == receipt.seq == cursor.head.seq


class LongAgo(Soon):
    """A clock that is an hour behind: what is written by it is old."""

    def now_ms(self) -> int:
        return super().now_ms() - 3_600_000


@pytest.mark.parametrize("clock", [Soon, LongAgo])
def test_only_an_erasure_that_may_be_under_way_is_waited_for(clock: type[Soon]) -> None:
    """One that was left unfinished long ago is reported at once."""
    files = FaultyMemory()
    files.clock = clock()
    core = FsCore(files)
    session_id, _ = with_secret(core)
    files.plan = lambda call: OSError(5, "dead") if call.name == "write_at" else None
    with pytest.raises(OSError, match="dead"):
        erase(core, session_id, 2)
    assert ["erasure-unfinished"] == [f.what for f in verified(core, session_id).findings]
    assert (files.clock.waited_s > 0.9) == (clock is Soon)
