"""Every finding of an examination: made, found, nothing changed by that, mended, gone."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from cli_tools import Cli
from doctor_damage import DAMAGE, Damage, flipped, left, misplaced, no_markers
from doctor_tools import Home, everything, examine, home, kinds, problems
from fs_tools import born, fork

from session_store.stores.fs import layout

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture
def healthy(tmp_path: Path) -> Home:
    return home(tmp_path / "store")


def test_a_healthy_store_gives_nothing(healthy: Home) -> None:
    """Whatever has been done to it: forks, keys, traces, deletes."""
    before = everything(healthy.root)

    assert [] == examine(healthy.root, deep=True)
    assert [] == examine(healthy.root, fix=True)
    assert before == everything(healthy.root)


@pytest.mark.parametrize("case", DAMAGE.values(), ids=DAMAGE)
def test_what_is_wrong_is_found_and_what_is_fixable_is_mended(healthy: Home, case: Damage) -> None:
    """Not a byte, right or time is changed before --fix; what it cannot mend is found again, the same."""
    case.make(healthy)
    before = everything(healthy.root.parent)
    found = examine(healthy.root)

    assert case.found == kinds(found)
    assert before == everything(healthy.root.parent)
    assert all(one.mend for one in problems(found) if one.what != "unsupported")

    left = [one for one in problems(found) if not one.is_fixable]
    fixed = examine(healthy.root, fix=True)

    assert case.is_left != any(one.is_mended for one in fixed)
    assert [] == [one for one in fixed if one.failure is not None]
    assert left == problems(fixed)
    assert left == problems(examine(healthy.root, deep=True))


def run(mend: str, root: Path) -> None:
    """Run the command that a finding names."""
    if mend == "session-store doctor --fix":
        examine(root, fix=True)
        return
    if not mend.startswith("session-store "):
        subprocess.run(["bash", "-c", mend], check=True)
        return
    for command in mend.split(" && "):
        Cli(str(root))(*shlex.split(command)[1:])


BY_HAND = {name: case for name, case in DAMAGE.items() if case.is_left or name == "a torn tail"}


@pytest.mark.parametrize("case", BY_HAND.values(), ids=BY_HAND)
def test_the_command_that_a_finding_names_mends_it(healthy: Home, case: Damage) -> None:
    """One by one, until nothing is left that names one."""
    case.make(healthy)
    left = problems(examine(healthy.root))
    for _ in range(3 if case.is_mended_by_hand else 0):
        for finding in left[:1]:
            run(finding.mend, healthy.root)
            left = problems(examine(healthy.root))
            assert finding not in left

    assert not left or not case.is_mended_by_hand


@ROOT_ONLY
def test_what_belongs_to_another_user_is_found(healthy: Home) -> None:
    """A log; and with the root, nothing else is looked at."""
    os.chown(healthy.path(healthy.keyed), 12345, -1)
    (found,) = examine(healthy.root)
    assert "owner" == found.what
    run(found.mend, healthy.root)
    assert [] == examine(healthy.root)
    for path in (healthy.root, *healthy.root.rglob("*")):
        os.chown(path, 12345, -1)
    found = examine(healthy.root)
    assert {"owner"} == kinds(found)
    assert len(found) < len(list(healthy.root.rglob("*")))


def test_damage_in_the_middle_takes_a_deep_look(healthy: Home) -> None:
    """The ends of the log hold; repair cuts at the place."""
    flipped(0.5)(healthy)
    assert [] == examine(healthy.root)
    (found,) = examine(healthy.root, deep=True)
    assert ("corrupt", f"session-store repair {healthy.keyed}") == (found.what, found.mend)
    assert found.why.startswith("line 3, byte ")
    run(found.mend, healthy.root)
    assert {"quarantine"} == kinds(examine(healthy.root, deep=True))


def test_a_finding_says_how_old_what_was_left_is(healthy: Home) -> None:
    """When its maker has last written to it; a young one may be at work."""
    left(lambda _: "store.json.tmp0")(healthy)
    (found,) = examine(healthy.root)
    assert "2023-11-14 22:13 UTC" in found.why
    os.utime(healthy.root / "store.json.tmp0")
    assert [] == examine(healthy.root)


def test_a_log_half_put_in_place_is_put_there(healthy: Home) -> None:
    """A crash between the two steps left it with both names."""
    right = healthy.path(healthy.keyed)
    misplaced(healthy)
    right.hardlink_to(healthy.root / "sessions" / "2001-01-01" / "00" / right.name)
    assert {"misplaced", "hard-link"} == kinds(examine(healthy.root))
    assert {"misplaced"} == kinds(examine(healthy.root, fix=True))
    assert [] == examine(healthy.root)


def test_what_is_misplaced_takes_nobodys_place(healthy: Home) -> None:
    """Neither that of another file nor that of a deleted session."""
    data = healthy.path(healthy.child).read_bytes()
    healthy.core.delete(healthy.child)
    for session_id in (healthy.child, healthy.keyed):
        path = healthy.path(session_id)
        aside = path.parent / f"copy of {path.name}"
        aside.write_bytes(path.read_bytes() if path.exists() else data)
    before = everything(healthy.root)
    found = examine(healthy.root, fix=True)
    assert ["misplaced", "misplaced"] == [one.what for one in found]
    assert before == everything(healthy.root)
    for one in found:
        run(one.mend, healthy.root)
    assert [] == examine(healthy.root)


def test_forks_of_a_damaged_child_keep_their_marker(healthy: Home) -> None:
    """A child whose beginning does not hold may be anybody's: its parent stays protected."""
    path = healthy.path(healthy.child)
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    assert {"corrupt"} == kinds(examine(healthy.root, fix=True))
    assert (healthy.root / layout.marker_path(healthy.parent, healthy.child)).exists()


def test_many_forks_and_their_markers_are_one_look_each(healthy: Home) -> None:
    """Lost markers of all of them are made again."""
    for _ in range(5):
        fork(healthy.core, healthy.core.head(healthy.parent))
    children = set(healthy.core.children(healthy.parent))
    no_markers(healthy)
    assert {"markers-incomplete"} == kinds(examine(healthy.root, fix=True))
    assert children == set(healthy.core.children(healthy.parent))
    assert 6 == len(children)
    assert born(healthy.core)
