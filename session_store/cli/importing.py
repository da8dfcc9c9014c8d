"""`session-store import`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import click
from attrs import define, field, frozen

from .. import blocking
from ..entries import Json
from ..errors import Corrupt, InvalidInput, LimitExceeded, NotFound
from ..interop.claude_code import find_claude_code, read_claude_code
from ..interop.codex import find_codex, read_codex
from ..interop.importing import Imported
from ..interop.transcript import Import, ImportReport
from .failures import ENVIRONMENT, NEGATIVE, USAGE, Failure, complain, explain, quit_with
from .output import columns, counted, emit, emit_json, json_text
from .progress import progress
from .settings import Settings, store_command
from .text import escape, shorten


@frozen
class _Source:
    find: Callable[[Iterable[Path]], Iterator[Path]]
    read: Callable[[Path], list[Import]]
    default: str


_SOURCES: Mapping[str, _Source] = {
    "claude-code": _Source(find_claude_code, read_claude_code, "~/.claude/projects"),
    "codex": _Source(find_codex, read_codex, "~/.codex/sessions"),
}


@define
class _Outcome:
    imported: list[Imported] = field(factory=list)
    failed: list[tuple[str, str]] = field(factory=list)
    code: int = 0

    def fail(self, path: Path, error: Exception) -> None:
        explained = explain(error)
        # One file that is no transcript is an answer, not a wrong call.
        code = NEGATIVE if explained.code == USAGE else explained.code
        self.failed.append((str(path), explained.message))
        self.code = max(self.code, code)
        complain("error", explained.message)


@store_command("import")
@click.argument("source", type=click.Choice(list(_SOURCES)))
@click.argument(
    "paths", nargs=-1, metavar="[PATH]...", type=click.Path(exists=True, path_type=Path)
)
def command(settings: Settings, source: str, paths: Sequence[Path]) -> None:
    """
    Bring in transcripts of other programs. PATH is a file, or a directory to search.

    Without PATH: ~/.claude/projects, ~/.codex/sessions. Importing again adds what is
    new in a transcript, and nothing else. Lines that have no meaning here are kept as
    extensions, and counted. Exit code 1 if a file is no transcript. Makes the store if
    there is none.

    JSON: {"sessions": [{session_id, is_new, added, source, lines, mapped, kept, unreadable,
    blank}], "failed": [{path, error}]}
    """
    chosen = _SOURCES[source]
    found = list(chosen.find(paths or [_default(chosen)]))
    if not found:
        raise Failure("no transcripts there", NEGATIVE)
    outcome = _Outcome()
    with settings.open(create=True) as store:
        for path in progress(found, "importing", len(found)):
            try:
                items = chosen.read(path)
            except (InvalidInput, OSError) as error:
                outcome.fail(path, error)
                continue
            for item in items:
                try:
                    done = blocking.import_transcript(store, item)
                except (InvalidInput, LimitExceeded, NotFound, Corrupt) as error:
                    outcome.fail(path, error)
                else:
                    outcome.imported.append(done)
    if settings.is_json:
        emit_json(_json(outcome))
    elif outcome.imported:
        _print(outcome)
    quit_with(outcome.code)


def _default(source: _Source) -> Path:
    path = Path(source.default).expanduser()
    if not path.is_dir():
        raise Failure(f"no {source.default} here", ENVIRONMENT, "give the PATH of transcripts")
    return path


def _print(outcome: _Outcome) -> None:
    for done in outcome.imported:
        word = "new" if done.is_new else f"+{done.added}" if done.added else "same"
        line = f"{done.session_id}  {word:<6}  {escape(Path(done.report.source).name)}"
        emit(shorten(line, columns()))
    reports = [done.report for done in outcome.imported]
    new = sum(done.is_new for done in outcome.imported)
    emit(f"{counted(len(reports), 'session')}, {new} of them new; {_lines_text(reports)}")


def _lines_text(reports: Sequence[ImportReport]) -> str:
    lines = sum(report.lines for report in reports)
    kept = sum(sum(report.kept.values()) for report in reports)
    unreadable = sum(len(report.unreadable) for report in reports)
    told = f"{counted(lines, 'line')}, {kept} kept as extensions"
    return f"{told}, {unreadable} as text: no JSON" if unreadable else told


def _json(outcome: _Outcome) -> Json:
    return {
        "sessions": [
            {
                "session_id": done.session_id,
                "is_new": done.is_new,
                "added": done.added,
                "source": json_text(done.report.source),
                "lines": done.report.lines,
                "mapped": done.report.mapped,
                "kept": dict(done.report.kept),
                "unreadable": list(done.report.unreadable),
                "blank": done.report.blank,
            }
            for done in outcome.imported
        ],
        "failed": [
            {"path": json_text(path), "error": json_text(error)} for path, error in outcome.failed
        ],
    }
