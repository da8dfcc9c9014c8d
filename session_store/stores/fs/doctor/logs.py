"""Logs and traces: where they lie, what they end with, whom they live on."""

import re
from collections.abc import Iterator
from functools import partial

from attrs import define, field

from ....chain import Invalid, check_line
from ....entries import SessionOrigin
from ....errors import Corrupt, NotFound, UnsafePath, Unsupported
from ....ids import SessionId
from .. import layout
from ..files import FileStat
from ..reader import Reader
from ..tip import read_tip
from . import mending
from .family import fork_findings
from .findings import FIX, Case, Check, StoreFinding, counted, id_of
from .leftovers import foreign_check, temp_check
from .rights import directory_check, file_check, move_out, plain_file, unsafe

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HOUR = re.compile(r"\d{2}", re.ASCII)
_FIRST_LINE = 64 * 1024
_ID = re.compile(rb'"session_id":"([0-9a-f-]{36})"')

_TAILS = {
    "torn": "the next append cuts it, after a copy to quarantine",
    "missing-lf": "the append counts; the next one puts the line end there",
    "unborn": "no session is in it, and no reader sees one; a create takes it over",
}


def session_checks(case: Case) -> Iterator[Check]:
    """Give the checks of everything in `sessions/`, oldest first."""
    for day in case.names(layout.SESSIONS):
        above = f"{layout.SESSIONS}/{day}"
        if not _DAY.fullmatch(day):
            yield foreign_check(case, above)
            continue
        yield directory_check(case, above)
        for hour in case.names(above):
            directory = f"{above}/{hour}"
            if not _HOUR.fullmatch(hour):
                yield foreign_check(case, directory)
                continue
            yield directory_check(case, directory)
            for name in case.names(directory):
                yield from _named(case, directory, name)


def _named(case: Case, directory: str, name: str) -> Iterator[Check]:
    path = f"{directory}/{name}"
    for suffix, place in (
        (layout.TRACE_SUFFIX, layout.trace_path),
        (layout.LOG_SUFFIX, layout.log_path),
        (layout.TEMP_SUFFIX, layout.temp_path),
    ):
        session_id = id_of(name.removesuffix(suffix)) if name.endswith(suffix) else None
        if session_id is None:
            continue
        if place(session_id) != path:
            yield Check(path, partial(_misplaced, case, path, place(session_id), session_id))
        elif suffix == layout.LOG_SUFFIX:
            yield Check(path, partial(_log, case, path, session_id), session_id)
        elif suffix == layout.TRACE_SUFFIX:
            yield file_check(case, path, session_id)
            yield Check(path, partial(_trace, case, path, session_id), session_id)
        else:
            fix = partial(mending.remove_temp, path)
            yield temp_check(case, path, fix, log=layout.log_path(session_id))
        return
    yield Check(path, partial(_stray, case, path))


def _misplaced(case: Case, path: str, right: str, session_id: SessionId) -> Iterator[StoreFinding]:
    found, there = case.files.stat(path), case.files.stat(right)
    if found is None:
        return
    why = f"belongs to {right}: nobody finds it here"
    if case.is_deleted(session_id):
        why += ", and its session was deleted"
    elif there is None or there.inode == found.inode:
        fix = partial(mending.put_in_place, path, right)
        yield StoreFinding("misplaced", "error", path, why, FIX, session_id, fix)
        return
    else:
        why += ", and another file is there"
    yield StoreFinding("misplaced", "error", path, why, move_out(case, path), session_id)


def _stray(case: Case, path: str) -> Iterator[StoreFinding]:
    """Give the finding of a name that is none of ours; it may be a log all the same."""
    found = case.files.stat(path)
    if found is not None and found.is_regular:
        data = case.files.read(case.files.open(path), _FIRST_LINE, 0)
        line = data.partition(b"\n")[0]
        for text in _ID.findall(line):
            session_id = id_of(text.decode())
            if session_id is not None and _begins(line, session_id):
                yield from _misplaced(case, path, layout.log_path(session_id), session_id)
                return
    yield from foreign_check(case, path).look()


def _begins(line: bytes, session_id: SessionId) -> bool:
    try:
        return check_line(line, session_id).seq == 0
    except Invalid:
        return False


def _trace(case: Case, path: str, session_id: SessionId) -> Iterator[StoreFinding]:
    if case.files.stat(path) and not case.files.stat(layout.log_path(session_id)):
        why = "a trace without its session: nothing reads it"
        mend = f"rm -- {case.shown(path)}"
        yield StoreFinding("trace-without-log", "warning", path, why, mend, session_id)


def _log(case: Case, path: str, session_id: SessionId) -> Iterator[StoreFinding]:
    found = case.files.stat(path)
    if found is None:
        return
    case.seen += found.size
    if case.is_deleted(session_id):
        yield StoreFinding(
            "delete-unfinished",
            "warning",
            path,
            "the session was deleted, and its log is still there",
            FIX,
            session_id,
            partial(mending.finish_deletion, session_id),
        )
        return
    wrong = list(
        plain_file(case, path, found, session_id, names_max=_names(case, session_id, found))
    )
    yield from wrong
    if any(finding.severity == "error" for finding in wrong):
        return
    try:
        yield from _content(case, path, session_id)
    except NotFound:
        return  # Deleted in this moment.
    except UnsafePath as error:
        yield unsafe(case, path, error.why, session_id)
    except Unsupported as error:
        why = (
            f"format version {error.found}, this program knows {error.supported}: "
            "use the version of session-store that fits"
        )
        yield StoreFinding("unsupported", "error", path, why, session_id=session_id)


def _names(case: Case, session_id: SessionId, found: FileStat) -> int:
    """Return how many names the log may have: its temporary one goes away last."""
    temp = case.files.stat(layout.temp_path(session_id))
    return 2 if temp is not None and temp.inode == found.inode else 1


@define
class _Ends:
    """What a look at the two ends of a log tells."""

    origin: SessionOrigin | None = None
    wrong: list[tuple[str, str]] = field(factory=list)


def _content(case: Case, path: str, session_id: SessionId) -> Iterator[StoreFinding]:
    ends = _look_at_ends(case, case.reading.reader(session_id))
    wrong = ends.wrong
    if case.verify is not None and "unborn" not in dict(wrong):
        wrong = list(case.verify(case.reading, session_id))
    for what, why in wrong:
        yield _finding(path, session_id, what, why, is_begun=ends.origin is not None)
    if ends.origin is not None:
        yield from fork_findings(case, path, session_id, ends.origin)


def _look_at_ends(case: Case, reader: Reader) -> _Ends:
    ends = _Ends()
    try:
        ends.origin = reader.origin()
    except Corrupt as damage:
        ends.wrong.append(_corrupt(damage))
        return ends
    except NotFound:
        ends.wrong.append(("unborn", f"{counted(reader.size(), 'byte')}, and no whole append"))
        return ends
    try:
        tip = read_tip(
            reader.read,
            reader.size(),
            reader.session_id,
            reader.name,
            allow_masked=case.reading.allow_masked,
        )
    except Corrupt as damage:
        ends.wrong.append(_corrupt(damage))
        return ends
    case.newest_ms = max(case.newest_ms, tip.head.ts)
    tail = tip.tail
    if tail.state == "torn":
        why = f"{counted(tail.size, 'byte')} of an unfinished append behind byte {tail.offset}"
        ends.wrong.append(("torn", why))
    elif tail.state == "missing_lf":
        ends.wrong.append(("missing-lf", f"the last line has no end, at byte {tail.offset}"))
    return ends


def _corrupt(damage: Corrupt) -> tuple[str, str]:
    place = f"line {damage.line}, byte {damage.offset}, seq {damage.seq}"
    return "corrupt", f"{place}: {damage.why}"


def _finding(
    path: str, session_id: SessionId, what: str, why: str, *, is_begun: bool
) -> StoreFinding:
    """
    Return the finding of what is wrong with the bytes of a log.

    Args:
        is_begun: Its first append holds, so there is something to cut it back to.
    """
    if what in _TAILS:
        is_unborn = what == "unborn"
        mends = mending.remove_unborn if is_unborn else mending.settle_log
        mend = FIX if is_unborn else f"session-store repair {session_id}"
        text = f"{why}; {_TAILS[what]}"
        fix = partial(mends, session_id)
        return StoreFinding(what, "warning", path, text, mend, session_id, fix)
    if what == "erasure-unfinished":
        text = f"{why}; no reader is given it"
        fix = partial(mending.finish_erasures, session_id)
        return StoreFinding(what, "warning", path, text, FIX, session_id, fix)
    salvage = f"session-store salvage {session_id}"
    if what == "corrupt" and is_begun:
        text = (
            f"{why}. Readers and writers stop there. `repair` cuts the log there and keeps what "
            "it cuts; `salvage` before that copies what is readable of it"
        )
        mend = f"session-store repair {session_id}"
    else:
        text = f"{why}. `salvage` copies what is readable into a new session"
        mend = f"{salvage} && session-store delete --yes {session_id}"
    return StoreFinding(what, "error", path, text, mend, session_id)
