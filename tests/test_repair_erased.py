"""`repair` of a log in which something was erased: what stays is erased still, and says so."""

import math
from collections.abc import Callable, Iterator

import orjson
import pytest
from damage_classes import device_with, tree
from erase_tools import findings, verified
from fs_tools import note, records

from session_store.chain import Record
from session_store.entries import Json, Redaction, TurnEnd
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import FaultyMemory, deaths
from session_store.testing.story import Story, told
from session_store.values import decode

SECRET = told().record(2)


def device(story: Story) -> FaultyMemory:
    """Return a device with a store in which *story* is the only log."""
    return device_with({layout.log_path(story.session_id): story.data})


def damaged(story: Story, seq: int) -> Story:
    """Flip a bit of a body."""
    line = bytearray(story.lines[seq])
    line[-100] ^= 1
    story.lines[seq] = bytes(line)
    return story


def half_erased() -> Story:
    """Two records blank in part at the end of what is whole, damage, and the redaction behind it."""
    story = told().redact(2, 4).erase(2, begin=9, end=40).erase(4, end=30)
    return damaged(story, 5)


ERASED = {
    "in part": half_erased,
    "whole": lambda: damaged(told().redact(2, 4).erase(2).erase(4), 5),
    "not begun": lambda: damaged(told().redact(2, 4), 5),
    "twice": lambda: damaged(told().redact(4).redact(2, 4).erase(2, end=9).erase(4), 5),
}


@pytest.mark.parametrize("make", ERASED.values(), ids=ERASED)
def test_what_was_erased_stays_erased_when_its_redaction_is_cut(
    make: Callable[[], Story],
) -> None:
    """Nothing in front of the damage is given up, nothing erased comes back."""
    story = make()
    files = device(story)
    core = FsCore(files)

    done = core.repair(story.session_id)

    assert len(b"".join(story.lines[:5])) == done.cut_at
    assert b"".join(story.lines[5:]) == tree(files)[done.quarantine]
    assert [("erased", 2), ("erased", 4)] == findings(core, story.session_id)
    assert [SECRET.hash, None] == [*seen(core, story, 2)]
    assert SECRET.salt not in tree(files)[layout.log_path(story.session_id)]
    core.append(story.session_id, [note()], expected=ANY)


def seen(core: FsCore, story: Story, seq: int) -> Iterator[object]:
    record: Record = core.record(story.session_id, seq)
    yield record.hash
    yield record.body


REDACTIONS = {
    "in front of the damage": (lambda: damaged(told().redact(2).erase(2, end=9), 6), 1),
    "of what is cut": (lambda: damaged(told().redact(6).erase(6), 5), 0),
    "of the cut append itself": (lambda: damaged(told().redact(2).redact(7), 6), 1),
}


@pytest.mark.parametrize(("make", "count"), REDACTIONS.values(), ids=REDACTIONS)
def test_a_redaction_is_written_again_if_it_was_cut_and_names_what_stays(
    make: Callable[[], Story], count: int
) -> None:
    story = make()
    core = FsCore(device(story))
    core.repair(story.session_id)
    kinds = [record.kind for record in records(core, story.session_id)]
    assert count == kinds.count("redaction")


def test_a_replacement_says_the_same_when_it_is_written_again() -> None:
    """Also where JSON has no word for it."""
    given = {"x": math.inf, "data": b"abc", "like": {"$ss": ["float", "nan"]}}
    story = told().redact(2, replacements={"2": given}).erase(2)
    core = FsCore(device(damaged(story, 5)))
    core.repair(story.session_id)
    assert given == decode(core.record(story.session_id, 2).body)


def test_a_redaction_in_an_append_that_is_not_whole_is_finished() -> None:
    """It was begun: what is blank in part already cannot be given back."""
    story = told().append(Redaction([told().target(2)], "asked for"), TurnEnd(2))
    story.lines.pop()
    story.erase(2, end=9)
    core = FsCore(device(story))

    core.repair(story.session_id)

    assert [("erased", 2)] == findings(core, story.session_id)


def test_a_fork_whose_first_record_is_erased_keeps_its_parent() -> None:
    """The replacement that tells the parent comes along."""
    child = told().fork(4)
    parent = told().position(4)
    kept = {"format": 1, "session_id": child.session_id, "forked_from": parent.to_json()}
    child.append_bodies(("my.kind", b'{"text":"a"}')).append_bodies(("my.kind", b'{"text":"b"}'))
    child.redact(0, replacements={"0": kept}).erase(0, end=30)
    core = FsCore(device(damaged(child, 2)))

    core.repair(child.session_id)

    assert parent == core.origin(child.session_id).forked_from
    assert ["erased"] == [r.withheld for r in records(core, child.session_id) if r.withheld]
    (redaction,) = [r for r in records(core, child.session_id) if r.kind == "redaction"]
    assert {"0": kept} == orjson.loads(redaction.body)["replacements"]


@pytest.mark.parametrize("replacements", [None, {"0": {"format": 1}}, {"0": {"forked_from": 1}}])
def test_the_first_record_of_a_fork_is_not_blanked_if_nothing_tells_its_parent(
    replacements: dict[str, Json] | None,
) -> None:
    """Such a redaction is not ours: the log would never verify again, whoever brings it."""
    child = told().fork(4).redact(0, replacements=replacements)
    logs = layout.log_path(child.session_id)
    replica = FaultyMemory()
    FsCore(replica).append_lines(child.session_id, child.data)
    damaged(child.append(TurnEnd(1)).redact(0, replacements=replacements), 2)
    repaired = device(child)
    FsCore(repaired).repair(child.session_id)

    for files in (replica, repaired):
        core = FsCore(files)
        assert child.lines[0] == tree(files)[logs][: len(child.lines[0])]
        found = [(f.what, f.seq) for f in verified(core, child.session_id).findings]
        assert [("parent-missing", 0), ("erasure-unfinished", 0)] == found
        assert told().position(4) == core.origin(child.session_id).forked_from
        core.append(child.session_id, [note()], expected=ANY)


def test_a_redaction_is_not_blanked_whoever_wants_it() -> None:
    """What it has erased is erased by it alone."""
    story = told().redact(2).redact(7).erase(2, end=9)
    replica = FaultyMemory()
    FsCore(replica).append_lines(story.session_id, story.data)
    repaired = device(damaged(told().redact(2).append(TurnEnd(1)).redact(7).erase(2), 8))
    FsCore(repaired).repair(story.session_id)

    for files in (replica, repaired):
        found = findings(FsCore(files), story.session_id)
        assert {("erased", 2), ("erasure-unfinished", 7)} >= set(found)
        assert story.lines[7] in tree(files)[layout.log_path(story.session_id)]


def test_what_never_is_erased_and_is_blank_in_part_is_blanked_to_its_end() -> None:
    """Another program has begun it: nothing is left that could be kept."""
    story = told().redact(2).append(TurnEnd(1)).redact(7).erase(7, end=9)
    core = FsCore(device(damaged(story, 8)))
    core.repair(story.session_id)
    assert [("erased", 7)] == findings(core, story.session_id)


@pytest.mark.parametrize("tear_at", [None, 1, 300])
def test_a_repair_killed_at_any_call_is_finished_by_the_next_one(tear_at: int | None) -> None:
    """By death, by death in a write, by a power cut: erased is what was erased."""
    story = half_erased()
    sid = story.session_id
    count = 0
    for number, (_, files) in enumerate(
        deaths(lambda: device(story), lambda files: FsCore(files).repair(sid), tear_at=tear_at)
    ):
        power = files.after_power_loss(names_kept=number % 2 == 0, share=(0, 0.5, 1)[number % 3])
        for after in (files.rebooted(), power):
            core = FsCore(after)
            core.repair(sid)
            assert [("erased", 2), ("erased", 4)] == findings(core, sid)
            assert [*range(5)] == [r.seq for r in records(core, sid)][:5]
            count += 1
    assert count > 8
