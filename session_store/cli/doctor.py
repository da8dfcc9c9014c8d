"""`session-store doctor`."""

from collections import Counter
from collections.abc import Mapping
from shlex import quote

import click
from attrs import define, field

from .. import blocking
from ..entries import Json
from ..errors import SessionStoreError
from ..stores.fs.doctor import Severity, StoreFinding
from .failures import ENVIRONMENT, NEGATIVE, explain, quit_with
from .output import Colour, columns, counted, emit, emit_json, json_text, paint
from .progress import measuring
from .settings import Settings, store_command, unusable
from .text import escape, wrap

_ALIKE_SHOWN = 20
_COLOURS: Mapping[Severity, Colour] = {"error": "red", "warning": "yellow", "note": "cyan"}
_ENVIRONMENT = frozenset({"unreadable", "unsupported"})


@define
class _Outcome:
    """What was found; of many alike, the first ones."""

    settings: Settings
    code: int = 0
    counts: Counter[str] = field(factory=Counter)
    alike: Counter[tuple[Severity, str, bool]] = field(factory=Counter)
    shown: list[StoreFinding] = field(factory=list)

    def take(self, finding: StoreFinding) -> None:
        self.code = max(self.code, _code(finding))
        self.counts["mended" if finding.is_mended else finding.severity] += 1
        self.counts["fixable"] += finding.is_fixable and not finding.is_mended
        if self.settings.is_json:
            emit_json(_json(finding, self.mend(finding)))
            return
        kind = finding.severity, finding.what, finding.is_mended
        self.alike[kind] += 1
        if self.alike[kind] <= _ALIKE_SHOWN:
            self.shown.append(finding)

    def mend(self, finding: StoreFinding) -> str:
        """Return the command for this very store."""
        if not self.settings.is_named or not finding.mend.startswith("session-store "):
            return finding.mend
        store = f"session-store --store {quote(self.settings.store)} "
        return finding.mend.replace("session-store ", store)


@store_command("doctor")
@click.option("--fix", is_flag=True, help="Mend what is fixable.")
@click.option("--deep", is_flag=True, help="Verify every byte of every log, too.")
def command(settings: Settings, fix: bool, deep: bool) -> None:
    """
    Check a whole store; say what is wrong with it, what that means, and what mends it.

    Without --fix nothing is changed. With it, what can be mended without a decision of
    yours is: unfinished work of crashed writers is finished, torn tails are cut,
    markers, rights and places are put right. Nothing that may be needed is thrown
    away: damaged logs, quarantine, traces and files of others stay as they are, and
    each has its command. Writers may go on meanwhile; what is theirs is left alone.

    A look at both ends of each log is quick, and misses damage in the middle: --deep
    reads it all, as `verify --all` does.

    \b
      session-store doctor                      what is wrong?
      session-store doctor --fix                mend it
      session-store doctor --fix && echo well   mended, or nothing was found
      session-store doctor --deep --json | jq -r .mend

    Exit code 0 if nothing was found but notes, or all was mended; 1 if findings are
    left; 3 for what cannot be read, or is of an unsupported version.

    JSON, one line a finding: {what, severity, path, session_id, why, mend, fixable,
    mended, failure}
    """  # noqa: D301 - click's mark for text that is not wrapped
    outcome = _Outcome(settings)
    with measuring("examining") as progress:
        try:
            for finding in blocking.examine(settings.store, deep=deep, fix=fix, progress=progress):
                outcome.take(finding)
        except (SessionStoreError, OSError) as error:
            raise unusable(error) from error
    if not settings.is_json:
        _print(outcome)
    quit_with(outcome.code)


def _code(finding: StoreFinding) -> int:
    if finding.is_mended or finding.severity == "note":
        return 0
    if finding.what in _ENVIRONMENT or isinstance(finding.failure, OSError):
        return ENVIRONMENT
    return NEGATIVE


def _print(outcome: _Outcome) -> None:
    for severity in _COLOURS:
        for finding in outcome.shown:
            if finding.severity == severity:
                _print_finding(finding, outcome.mend(finding))
    for (severity, what, is_mended), count in outcome.alike.items():
        if count > _ALIKE_SHOWN:
            state = "mended" if is_mended else severity
            emit(f"{state}: {what}: {count - _ALIKE_SHOWN:,} more like these; --json lists all")
    emit(_summary(outcome.counts))


def _print_finding(finding: StoreFinding, mend: str) -> None:
    colour = "green" if finding.is_mended else _COLOURS[finding.severity]
    state = "mended" if finding.is_mended else finding.severity
    emit(f"{paint(f'{state}:', colour, bold=True)} {finding.what}")
    emit(f"  {escape(finding.path)}")
    _print_text(finding.why)
    if finding.failure is not None:
        _print_text(f"not mended: {explain(finding.failure).message}")
    if mend and not finding.is_mended:
        emit(f"  $ {escape(mend)}")


def _print_text(text: str) -> None:
    for line in wrap(escape(text), columns() - 4):
        emit(f"    {line}")


def _summary(counts: Mapping[str, int]) -> str:
    parts = [counted(counts[name], name) for name in _COLOURS if counts[name]]
    if counts["mended"]:
        parts.append(f"{counts['mended']:,} mended")
    told = ", ".join(parts) or "nothing found"
    return f"{told}; --fix mends {counts['fixable']:,}" if counts["fixable"] else told


def _json(finding: StoreFinding, mend: str) -> Json:
    failure = None if finding.failure is None else explain(finding.failure).message
    return {
        "what": finding.what,
        "severity": finding.severity,
        "path": json_text(finding.path),
        "session_id": finding.session_id,
        "why": json_text(finding.why),
        "mend": json_text(mend),
        "fixable": finding.is_fixable,
        "mended": finding.is_mended,
        "failure": None if failure is None else json_text(failure),
    }
