"""Forks: their parents, and the markers that keep these from being deleted."""

from collections.abc import Iterator
from functools import partial

from ....entries import Position, SessionOrigin
from ....errors import Corrupt, NotFound, UnsafePath, Unsupported
from ....ids import SessionId
from .. import forks, layout
from ..reader import Reader
from ..tip import find_seq
from . import mending
from .findings import FIX, Case, Check, StoreFinding, id_of
from .leftovers import foreign_check
from .rights import directory_check, file_check


def fork_findings(
    case: Case, path: str, child: SessionId, origin: SessionOrigin
) -> Iterator[StoreFinding]:
    """Give what is wrong with what a log lives on, if it lives on another."""
    parent = origin.forked_from
    if not origin.by_reference or parent is None:
        return
    if wrong := _parent(case, parent):
        what, why = wrong
        text = (
            f"{why}, so all that it inherits is missing. Bring "
            f"{layout.log_path(parent.session_id)} back from a copy; without one, `salvage` "
            "makes a session of its own records alone"
        )
        mend = f"session-store salvage {child} && session-store delete --yes {child}"
        yield StoreFinding(what, "error", path, text, mend, child)
    elif forks.is_complete(case.files):
        marker = layout.marker_path(parent.session_id, child)
        if case.files.stat(marker) is None:
            why = f"not there: a delete of {parent.session_id} would not see its fork"
            fix = partial(mending.mark_child, parent.session_id, child)
            yield StoreFinding("marker-missing", "error", marker, why, FIX, child, fix)


def _parent(case: Case, parent: Position) -> tuple[str, str] | None:
    """Return what is wrong with the entry that a fork lives on, in a word and a sentence."""
    name = f"its parent {parent.session_id}"
    try:
        reader = case.reading.reader(parent.session_id)
    except (NotFound, UnsafePath):
        return "parent-missing", f"{name} is not in the store"
    if _has(reader, parent):
        return None
    try:
        reader.head()
    except NotFound:
        return "parent-missing", f"{name} was never born"
    except Corrupt:
        pass
    except Unsupported:  # That is a finding of its own; this program cannot tell.
        return None
    return "parent-changed", f"{name} has another record at seq {parent.seq}, or none"


def _has(reader: Reader, entry: Position) -> bool:
    """Return whether a log has *entry*, in a whole append."""
    end = reader.size()
    try:
        record = find_seq(reader.read, end, reader.session_id, entry.seq, reader.name)
        find_seq(reader.read, end, reader.session_id, entry.seq + record.batch, reader.name)
    except NotFound:
        return False
    return record.hash == entry.hash


def marker_checks(case: Case) -> Iterator[Check]:
    """Give the checks of everything in `forks/`."""
    yield Check(layout.FORKS, partial(_complete, case))
    for name in case.names(layout.FORKS):
        path = f"{layout.FORKS}/{name}"
        parent = id_of(name)
        if path == layout.FORKS_COMPLETE:
            yield file_check(case, path)
        elif parent is None:
            yield foreign_check(case, path)
        else:
            yield directory_check(case, path)
            for below in case.names(path):
                yield from _marker_checks(case, parent, below)


def _marker_checks(case: Case, parent: SessionId, name: str) -> Iterator[Check]:
    path = f"{layout.FORKS}/{parent}/{name}"
    child = id_of(name)
    if child is None:
        yield foreign_check(case, path)
        return
    yield file_check(case, path, child)
    yield Check(path, partial(_marker, case, path, parent, child), child)


def _complete(case: Case) -> Iterator[StoreFinding]:
    if not forks.is_complete(case.files):
        why = "nothing says that every fork has its marker; the next delete looks at every log"
        path = layout.FORKS_COMPLETE
        fix = mending.rebuild_markers
        yield StoreFinding("markers-incomplete", "warning", path, why, FIX, fix=fix)


def _marker(case: Case, path: str, parent: SessionId, child: SessionId) -> Iterator[StoreFinding]:
    if case.files.stat(path) and not mending.lives_on(case.reading, child, parent):
        why = f"a marker of no fork: {child} was never born, or lives on another session"
        fix = partial(mending.unmark_child, parent, child)
        yield StoreFinding("marker-stale", "warning", path, why, FIX, child, fix)
