"""`session-store verify`."""

from collections.abc import Sequence
from typing import Any

import click
from attrs import define, field

from .. import blocking
from ..checkpoint.audit import Sealed
from ..checkpoint.inventory import Inventory
from ..checkpoint.keys import VerifierKey
from ..checkpoint.note import Note
from ..entries import Json
from ..errors import SessionStoreError
from ..ids import SessionId
from ..session.comparing import Comparison
from ..session.levels import Anchor
from ..session.reports import LEVELS, Finding, Level, Report
from .failures import NEGATIVE, USAGE, Failure, complain, explain, quit_with
from .naming import complete_id, find_session
from .output import counted, emit, emit_json, json_text, paint
from .progress import counting
from .settings import Settings, store_command
from .signing import HEADS, TRUST, anchor_at, opened, remembered, trusted_keys
from .text import escape

_LEVEL: dict[str, Level] = {level.lower(): level for level in LEVELS}


@define
class _Outcome:
    """What was found of all sessions."""

    reports: list[Report] = field(factory=list)
    failed: list[tuple[SessionId, str]] = field(factory=list)
    code: int = 0
    required: Level = "INTACT"

    def take(self, verifier: blocking.Verifier, session_id: SessionId) -> Report | None:
        """Verify one session; what prevents that does not keep the others from it."""
        try:
            report = verifier.verify(session_id)
        except (OSError, SessionStoreError) as error:
            self._fail(session_id, error)
        else:
            self.add(report)
            return report
        return None

    def take_all(
        self, verifier: blocking.Verifier, wanted: Sequence[SessionId], *, is_all: bool
    ) -> None:
        for session_id in wanted:
            self.take(verifier, session_id)
        for report in verifier.missing() if is_all else ():
            self.add(report)

    def add(self, report: Report) -> None:
        self.reports.append(report)
        self.code = max(self.code, 0 if self.is_good(report) else NEGATIVE)

    def is_good(self, report: Report) -> bool:
        """Return whether the level is reached that was asked for, and nothing else is wrong."""
        is_reached = report.level is not None and (
            LEVELS.index(report.level) >= LEVELS.index(self.required)
        )
        return is_reached and not report.problems

    def _fail(self, session_id: SessionId, error: Exception) -> None:
        explained = explain(error)
        self.failed.append((session_id, explained.message))
        self.code = max(self.code, explained.code)


@store_command("verify")
@click.argument("texts", metavar="[ID]...", nargs=-1, shell_complete=complete_id)
@click.option("--all", "is_all", is_flag=True, help="Every session of the store.")
@click.option("--allow-masked", is_flag=True, help="Masked records are no finding.")
@click.option("--parse", is_flag=True, help="Parse every body as JSON too.")
@TRUST
@click.option(
    "--against",
    "place",
    metavar="FILE|STORE",
    type=click.Path(),
    help="A checkpoint or signed heads, or another store: all of it must still be there.",
)
@click.option(
    "--require",
    "required",
    type=click.Choice(["intact", "sealed", "anchored"]),
    default="intact",
    help="The level that every session must reach.",
)
@click.option(
    "--unsealed-max",
    metavar="N",
    type=click.IntRange(min=0),
    help="More records than that behind the newest seal are a problem.",
)
@HEADS
@click.option("--accept", is_flag=True, help="Where a session went back, take that for the truth.")
def command(
    settings: Settings,
    texts: Sequence[str],
    is_all: bool,
    allow_masked: bool,
    parse: bool,
    trusted: Sequence[str],
    place: str | None,
    required: str,
    unsealed_max: int | None,
    heads: str | None,
    accept: bool,
) -> None:
    """
    Check every byte of sessions, and say what was found where. The parents that they live
    on are checked too. From a log alone nobody sees a tail cut at the end of an append, a
    rewrite of the whole log, or an older copy in its place: seals and anchors show those.

    INTACT: the chain holds up to the last complete append. SEALED: a trusted key
    has signed records that the log still begins with. ANCHORED: all is there that
    what it was held --against speaks of (consistent or ahead; else it is behind,
    truncated, rewritten or forked). What heads.db has seen before must be there too.

    Exit code 0 if all reach the level required and nothing else was found than
    records withheld legally; 1 if not; 3 for an unsupported version or an input
    error. With --all, logs that were never born are passed over, sessions that went
    missing are told, and only findings are printed.

    \b
    session-store verify --all --trust ops.pub --require sealed --unsealed-max 256
    session-store verify --all --trust ops.pub --against ../anchors/ID.heads

    JSON: {"ok", "required", "sessions": [{session_id, path, level, records, head,
    sealed: {size, seq, key}, unsealed, anchor: {relation, size, common, why}, findings:
    [{what, legal, session_id, path, line, offset, seq, why}]}], "failed":
    [{session_id, error}]}; sealed, unsealed, anchor and offset may be null.
    """  # noqa: D301 - click's mark, a backspace
    if is_all == bool(texts):
        raise Failure("name sessions, or give --all", USAGE)
    trust, outcome = trusted_keys(trusted), _Outcome(required=_LEVEL[required])
    if unsealed_max is not None and not trust:
        raise Failure("--unsealed-max needs --trust: whose seals count", USAGE)
    with opened(settings, heads) as store, anchor_at(place, store) as against:
        _check_usage(trust, against, is_all=is_all)
        wanted, size = _wanted(store, texts)
        with counting(store, "verifying", size) as read:
            options: dict[str, Any] = {"allow_masked": allow_masked, "parse": parse}
            options |= {"trust": trust, "against": against, "unsealed_max": unsealed_max}
            verifier = blocking.Verifier(read, **options)
            outcome.take_all(verifier, wanted, is_all=is_all)
        remembered(lambda: verifier.remember(also_back=accept))
        if settings.is_json:
            emit_json(_json(store, outcome))
        else:
            _print(store, outcome, is_all=is_all)
    quit_with(outcome.code)


def _wanted(store: blocking.Store, texts: Sequence[str]) -> tuple[list[SessionId], int]:
    """Return the sessions that are named, or all; and the bytes of all, where that is known."""
    if texts:
        return list(dict.fromkeys(find_session(store, text) for text in texts)), 0
    infos = list(blocking.sessions(store))
    return [info.session_id for info in infos], sum(info.size for info in infos)


def _check_usage(trust: Sequence[VerifierKey], against: Anchor | None, *, is_all: bool) -> None:
    if isinstance(against, Note | Inventory) and not trust:
        raise Failure("--against of what is signed needs --trust: whose signature counts", USAGE)
    if isinstance(against, Note) and is_all:
        raise Failure("a checkpoint is of one session: name it, instead of --all", USAGE)


def _print(store: blocking.Store, outcome: _Outcome, *, is_all: bool) -> None:
    for report in outcome.reports:
        if is_all and outcome.is_good(report) and not report.findings:
            continue
        print_report(store, report)
        if report.level and not report.problems and not outcome.is_good(report):
            emit(f"  {paint('below ' + outcome.required, 'red')}: {_why_below(report)}")
    for _, message in outcome.failed:
        complain("error", message)
    if is_all:
        good = sum(map(outcome.is_good, outcome.reports))
        total = len(outcome.reports) + len(outcome.failed)
        level = outcome.required.lower()
        emit(f"{counted(total, 'session')}: {good:,} {level}, {total - good:,} with problems")


def _why_below(report: Report) -> str:
    if report.unsealed is None:
        return "no --trust was given"
    if report.sealed is None:
        return "no seal of a trusted key"
    return "it was held --against nothing that knows it"


def print_report(store: blocking.Store, report: Report, *, indent: str = "") -> None:
    """Print what was found of one session, each finding with its place."""
    level = paint(report.level, "green") if report.level else paint("NOT INTACT", "red")
    emit(f"{indent}{report.session_id}  {level}  {report.records} records")
    if report.sealed is not None:
        by = f"{escape(report.sealed.key.name)}+{report.sealed.key.key_id.hex()}"
        emit(f"{indent}  sealed: the first {report.sealed.size} records, by {by}")
    if report.anchor is not None and report.anchor.departure is None:
        emit(f"{indent}  {report.anchor.relation}: {escape(report.anchor.why)}")
    for finding in report.findings:
        what = paint(finding.what, None if finding.is_legal else "red")
        byte = f"byte {finding.offset}, " if finding.offset >= 0 else ""
        place = f"line {finding.line}, {byte}seq {finding.seq}"
        emit(f"{indent}  {what}: {place}: {escape(finding.why)}")
        if not finding.is_legal:
            emit(f"{indent}    in {escape(store.path(finding.session_id))}")


def _json(store: blocking.Store, outcome: _Outcome) -> Json:
    return {
        "ok": outcome.code == 0,
        "required": outcome.required,
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
        "sealed": None if report.sealed is None else _sealed_json(report.sealed),
        "unsealed": report.unsealed,
        "anchor": None if report.anchor is None else _anchor_json(report.anchor),
        "findings": [_finding_json(store, finding) for finding in report.findings],
    }


def _sealed_json(sealed: Sealed) -> Json:
    return {"size": sealed.size, "seq": sealed.seq, "key": json_text(str(sealed.key))}


def _anchor_json(anchor: Comparison) -> Json:
    return {
        "relation": anchor.relation,
        "size": anchor.size,
        "common": anchor.common,
        "why": anchor.why,
    }


def _finding_json(store: blocking.Store, finding: Finding) -> Json:
    return {
        "what": finding.what,
        "legal": finding.is_legal,
        "session_id": finding.session_id,
        "path": json_text(store.path(finding.session_id)),
        "line": finding.line,
        "offset": None if finding.offset < 0 else finding.offset,
        "seq": finding.seq,
        "why": finding.why,
    }
