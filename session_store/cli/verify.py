"""`session-store verify`."""

from collections.abc import Sequence

import click
from attrs import define, field

from .. import blocking
from ..entries import Json
from ..errors import SessionStoreError
from ..ids import SessionId
from ..session.verifying import Finding, Report
from .failures import NEGATIVE, USAGE, Failure, complain, explain, quit_with
from .naming import complete_id, find_session
from .output import counted, emit, emit_json, json_text, paint
from .progress import counting
from .settings import Settings, store_command
from .text import escape


@define
class _Outcome:
    """What was found of all sessions."""

    reports: list[Report] = field(factory=list)
    failed: list[tuple[SessionId, str]] = field(factory=list)
    code: int = 0

    def take(self, verifier: blocking.Verifier, session_id: SessionId) -> Report | None:
        """Verify one session; what prevents that does not keep the others from it."""
        try:
            report = verifier.verify(session_id)
        except (OSError, SessionStoreError) as error:
            self._fail(session_id, error)
        else:
            self.reports.append(report)
            self.code = max(self.code, NEGATIVE if report.problems or not report.level else 0)
            return report
        return None

    def _fail(self, session_id: SessionId, error: Exception) -> None:
        explained = explain(error)
        self.failed.append((session_id, explained.message))
        self.code = max(self.code, explained.code)


@store_command("verify")
@click.argument("texts", metavar="[ID]...", nargs=-1, shell_complete=complete_id)
@click.option("--all", "is_all", is_flag=True, help="Every session of the store.")
@click.option("--allow-masked", is_flag=True, help="Masked records are no finding.")
@click.option("--parse", is_flag=True, help="Parse every body as JSON too.")
def command(
    settings: Settings,
    texts: Sequence[str],
    is_all: bool,
    allow_masked: bool,
    parse: bool,
) -> None:
    """
    Check every byte of sessions, and say what was found where. The parents that they
    live on are checked too.

    INTACT: the chain holds up to the last complete append. Exit code 0 if that is
    so for all and nothing else was found than records withheld legally; 1 if not;
    3 for an unsupported version or an input error. With --all, logs that were
    never born are passed over, and only findings are printed.

    Not to be seen from a log alone: a tail cut at the end of an append, a rewrite
    of the whole log, an older copy in its place.

    JSON: {"ok", "sessions": [{session_id, path, level, records, head, findings:
    [{what, legal, session_id, path, line, offset, seq, why}]}], "failed":
    [{session_id, error}]}
    """
    if is_all == bool(texts):
        raise Failure("name sessions, or give --all", USAGE)
    outcome = _Outcome()
    with settings.open() as store:
        if is_all:
            infos = list(blocking.sessions(store))
            wanted, size = [i.session_id for i in infos], sum(i.size for i in infos)
        else:
            wanted, size = list(dict.fromkeys(find_session(store, t) for t in texts)), 0
        with counting(store, "verifying", size) as read:
            verifier = blocking.Verifier(read, allow_masked=allow_masked, parse=parse)
            for session_id in wanted:
                outcome.take(verifier, session_id)
        if settings.is_json:
            emit_json(_json(store, outcome))
        else:
            _print(store, outcome, is_all=is_all)
    quit_with(outcome.code)


def _print(store: blocking.Store, outcome: _Outcome, *, is_all: bool) -> None:
    for report in outcome.reports:
        if is_all and report.level and not report.findings:
            continue
        print_report(store, report)
    for _, message in outcome.failed:
        complain("error", message)
    if is_all:
        intact = sum(r.level is not None and not r.problems for r in outcome.reports)
        total = len(outcome.reports) + len(outcome.failed)
        emit(f"{counted(total, 'session')}: {intact:,} intact, {total - intact:,} with problems")


def print_report(store: blocking.Store, report: Report, *, indent: str = "") -> None:
    """Print what was found of one session, each finding with its place."""
    level = paint(report.level, "green") if report.level else paint("NOT INTACT", "red")
    emit(f"{indent}{report.session_id}  {level}  {report.records} records")
    for finding in report.findings:
        what = paint(finding.what, None if finding.is_legal else "red")
        place = f"line {finding.line}, byte {finding.offset}, seq {finding.seq}"
        emit(f"{indent}  {what}: {place}: {escape(finding.why)}")
        if not finding.is_legal:
            emit(f"{indent}    in {escape(store.path(finding.session_id))}")


def _json(store: blocking.Store, outcome: _Outcome) -> Json:
    return {
        "ok": outcome.code == 0,
        "sessions": [_report_json(store, report) for report in outcome.reports],
        "failed": [
            {"session_id": one, "error": json_text(message)} for one, message in outcome.failed
        ],
    }


def _report_json(store: blocking.Store, report: Report) -> Json:
    return {
        "session_id": report.session_id,
        "path": json_text(store.path(report.session_id)),
        "level": report.level,
        "records": report.records,
        "head": None if report.head is None else report.head.to_json(),
        "findings": [_finding_json(store, finding) for finding in report.findings],
    }


def _finding_json(store: blocking.Store, finding: Finding) -> Json:
    return {
        "what": finding.what,
        "legal": finding.is_legal,
        "session_id": finding.session_id,
        "path": json_text(store.path(finding.session_id)),
        "line": finding.line,
        "offset": finding.offset,
        "seq": finding.seq,
        "why": finding.why,
    }
