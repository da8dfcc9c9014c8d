"""Verification: levels, findings with their places, and what a fork stands on."""

from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from session_tools import harm_line, log_path, talk

import session_store as ss


async def verified(store: ss.Store, session_id: ss.SessionId, **options: Any) -> ss.Report:
    return await ss.verify(store, session_id, **options)


async def test_a_good_log_is_intact(store: ss.Store) -> None:
    """Up to its head, without a finding."""
    session = await talk(store, 2)

    report = await verified(store, session.id)

    assert ("INTACT", 13, session.head, []) == (
        report.level,
        report.records,
        report.head,
        list(report.findings),
    )


@frozen
class Harm:
    """What is done to the lines of a log of seven, and what verification finds."""

    harm: Any
    what: str
    seq: int
    level: str | None
    records: int


class Hasty(ss.FsStore):
    """Does not wait for appends in flight."""

    async def pause(self, seconds: float) -> None:
        pass


def without(seq: int) -> Any:
    return lambda lines: lines[:seq] + lines[seq + 1 :]


def swapped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:5], lines[6], lines[5]]


HARMS = {
    "a line is gone": Harm(without(3), "corrupt", 3, None, 1),
    "the first line is gone": Harm(without(0), "corrupt", 0, None, 0),
    "two lines swapped": Harm(swapped, "corrupt", 5, None, 5),
    "a line twice": Harm(lambda x: [*x, x[6]], "corrupt", 7, None, 7),
    "a line of text": Harm(lambda x: [*x, b"hello\n"], "corrupt", 7, None, 7),
    "half a line": Harm(lambda x: [*x, x[6][:99]], "torn", 7, "INTACT", 7),
    "NULs": Harm(lambda x: [*x, bytes(64)], "torn", 7, "INTACT", 7),
    "half an append": Harm(lambda x: x[:3], "torn", 1, "INTACT", 1),
    "no LF": Harm(lambda x: [*x[:6], x[6][:-1]], "missing-lf", 6, "INTACT", 7),
    "another byte for the LF": Harm(
        lambda x: [*x[:6], x[6][:-1] + b"\x0b"], "missing-lf", 6, "INTACT", 7
    ),
    "empty": Harm(lambda _: [], "unborn", 0, None, 0),
    "wholly torn": Harm(lambda x: [x[0][:50]], "unborn", 0, None, 0),
}


@pytest.mark.parametrize("case", HARMS.values(), ids=HARMS)
async def test_harm_is_found_and_placed(fs_store: ss.FsStore, tmp_path: Path, case: Harm) -> None:
    """What it is, at which seq, and how much holds before it."""
    session = await talk(fs_store, 1)
    path = log_path(tmp_path, session.id)
    lines = case.harm(path.read_bytes().splitlines(keepends=True))
    path.write_bytes(b"".join(lines))

    report = await verified(Hasty(fs_store.core), session.id)

    (found,) = report.findings
    offset = len(b"".join(lines[: case.seq]))
    assert (case.what, case.seq, offset) == (found.what, found.seq, found.offset)
    assert (case.level, case.records) == (report.level, report.records)
    assert [found] == report.problems


async def test_erased_records_are_said_and_legal(store: ss.Store) -> None:
    """Named by a redaction whose target is blanked, or not yet."""
    session = await talk(store, 1)
    record = await store.record(session.id, 1)
    await session.append(ss.Redaction([{"seq": 1, "digest": record.digest.decode()}], "leak"))

    report = await verified(store, session.id)

    assert ["erasure-unfinished"] == [found.what for found in report.findings]
    assert "INTACT" == report.level


async def test_a_body_that_is_not_json_is_found_when_asked(store: ss.Store) -> None:
    """The chain holds all the same."""
    from session_store.chain import make_draft

    session = await talk(store, 1)
    await store.append(
        session.id, [make_draft("extension", b"{not json}", bytes(16))], expected=ss.ANY
    )

    assert [] == (await verified(store, session.id)).problems
    assert [("corrupt", 7)] == [
        (f.what, f.seq) for f in (await verified(store, session.id, parse=True)).problems
    ]


async def test_an_unknown_session_is_not_found(store: ss.Store) -> None:
    with pytest.raises(ss.NotFound):
        await verified(store, ss.new_session_id())


async def test_another_version_is_unsupported_not_corrupt(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """The error says which side is too old."""
    session = await talk(fs_store, 1)
    path = log_path(tmp_path, session.id)
    path.write_bytes(b'{"v":2,"anything":1}\n')

    for attempt in (verified(fs_store, session.id), ss.restore(fs_store, session.id)):
        with pytest.raises(ss.Unsupported, match="version 2, supported is 1: this program"):
            await attempt


@frozen
class Generation:
    """What verification of grandchild, child and root says once one log was harmed."""

    harmed: str
    seq: int
    broken: frozenset[str]


GENERATIONS = {
    "root before the fork": Generation("root", 3, frozenset({"root", "child", "grandchild"})),
    "root behind the fork": Generation("root", 8, frozenset({"root"})),
    "child before the fork": Generation("child", 0, frozenset({"child", "grandchild"})),
    "child behind the fork": Generation("child", 2, frozenset({"child"})),
    "grandchild": Generation("grandchild", 0, frozenset({"grandchild"})),
}


@pytest.mark.parametrize("case", GENERATIONS.values(), ids=GENERATIONS)
async def test_a_fork_holds_iff_what_it_stands_on_holds(
    fs_store: ss.FsStore, tmp_path: Path, case: Generation
) -> None:
    """Damage of a parent counts up to the fork, whichever generation it is in."""
    root = await talk(fs_store, 2)
    child = await ss.fork_at(fs_store, root.id, 6)
    grandchild = await ss.fork(fs_store, child.id)
    await child.save_turn_end(2)
    await child.save_turn_end(3)
    logs = {"root": root, "child": child, "grandchild": grandchild}
    harm_line(log_path(tmp_path, logs[case.harmed].id), case.seq)

    verifier = ss.Verifier(fs_store)
    reports = {name: await verifier.verify(session.id) for name, session in logs.items()}

    assert case.broken == {name for name, report in reports.items() if report.level is None}
    assert case.broken == {name for name, report in reports.items() if report.problems}


async def test_a_missing_parent_is_found(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """Named, at the fork's first line."""
    parent = await talk(fs_store, 1)
    fork = await ss.fork(fs_store, parent.id)
    log_path(tmp_path, parent.id).unlink()

    report = await verified(fs_store, fork.id)

    assert [("parent-missing", fork.id, 1)] == [
        (f.what, f.session_id, f.line) for f in report.findings
    ]
    assert parent.id in report.findings[0].why
    assert report.level is None


async def test_a_parent_with_another_history_breaks_its_fork(
    fs_store: ss.FsStore, tmp_path: Path
) -> None:
    """A parent that was put back and went on otherwise: the fork says which record differs."""
    parent = await ss.create_session(fs_store)
    await parent.save_turn_end(1)
    fork = await ss.fork(fs_store, parent.id)
    path = log_path(tmp_path, parent.id)
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    rewound = await ss.open_session(fs_store, parent.id)
    await rewound.save_turn_end(7)

    report = await verified(fs_store, fork.id)

    assert [("corrupt", fork.id)] == [(f.what, f.session_id) for f in report.findings]
    with pytest.raises(ss.Corrupt, match=f"{fork.id}.*{parent.id} has another record at seq 1"):
        await ss.restore(fs_store, fork.id)


async def test_a_renamed_log_fails(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """The id is in every hash."""
    session, other = await talk(fs_store, 1), await talk(fs_store, 1)
    source, target = (log_path(tmp_path, s.id) for s in (session, other))
    target.write_bytes(source.read_bytes())

    report = await verified(fs_store, other.id)

    assert [("corrupt", 0)] == [(f.what, f.seq) for f in report.findings]


async def test_an_append_in_flight_is_waited_for(fs_store: ss.FsStore, tmp_path: Path) -> None:
    """A tail that is whole on the second look is no finding."""
    session = await talk(fs_store, 1)
    path = log_path(tmp_path, session.id)
    data = path.read_bytes()
    path.write_bytes(data[:-30])

    class Patient(ss.FsStore):
        async def pause(self, seconds: float) -> None:
            path.write_bytes(data)

    report = await verified(Patient(fs_store.core), session.id)

    assert [] == report.findings
