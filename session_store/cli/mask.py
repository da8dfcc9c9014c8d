"""`session-store mask`."""

from collections.abc import Iterator
from pathlib import Path

import click

from .. import blocking
from ..errors import SessionStoreError
from ..redaction import Rules
from ..redaction.documents import mask_document
from .failures import NEGATIVE, USAGE, Failure, quit_with
from .naming import complete_id, find_session
from .output import counted, emit, emit_json
from .progress import progress
from .rules import RULES_OPTION, rules_from
from .settings import Settings, store_command, unusable
from .text import escape, shorten

_SHOWN_COLUMNS = 200
_BLOCK_BYTES = 1024 * 1024


@store_command("mask")
@click.argument("texts", metavar="[ID]...", nargs=-1, shell_complete=complete_id)
@click.option("--all", "is_all", is_flag=True, help="Every session of the store.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The masked store.")
@click.option(
    "--test",
    "test_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Show what would change in a file of text or JSON lines; nothing is written.",
)
@RULES_OPTION
def command(
    settings: Settings,
    texts: tuple[str, ...],
    is_all: bool,
    out: Path | None,
    test_path: Path | None,
    rules_path: Path | None,
) -> None:
    """
    Copy sessions into a masked store; their secrets stay behind, the hashes are the same.
    The logs that a fork lives on are copied too, whole. Done again, it adds what is new.

    `verify --store DIR` checks the copy against the same heads; what its masked bodies
    say is vouched for by you, who masked them. Traces are not copied.

    With --test, exit code 1 if something would change.

    \b
      session-store mask 01939f --out ./masked
      session-store mask --test transcript.jsonl --rules team.toml

    JSON: {"rules", "store", "sessions": [{session_id, seq, hash}]};
    with --test {"rules", "changed": [{line, masked}]}
    """  # noqa: D301 - click's mark for text that is not wrapped
    rules = rules_from(rules_path)
    if test_path is not None:
        if texts or is_all or out is not None:
            raise Failure("--test takes a file and nothing else", USAGE)
        _test(settings, test_path, rules)
        return
    if out is None or is_all == bool(texts):
        raise Failure("name sessions or give --all, and --out DIR", USAGE)
    with settings.open() as source:
        target = _target(out, rules)
        with target:
            if is_all:
                wanted = [info.session_id for info in blocking.sessions(source)][::-1]
            else:
                wanted = list(dict.fromkeys(find_session(source, text) for text in texts))
            heads = {}
            for session_id in progress(wanted, "masking", len(wanted)):
                for head in blocking.mask_session(source, target, session_id, rules):
                    heads[head.session_id] = head
    if settings.is_json:
        sessions = [head.to_json() for head in heads.values()]
        emit_json({"rules": rules.version, "store": str(out), "sessions": sessions})
        return
    for head in heads.values():
        emit(f"{head.session_id}:{head.seq}:{head.hash.hex()}")
    emit(f"{counted(len(heads), 'session')} masked by rules {rules.version}")


def _target(out: Path, rules: Rules) -> blocking.Store:
    try:
        return blocking.open_store(out, masked=rules.version)
    except (SessionStoreError, OSError) as error:
        raise unusable(error) from error


def _test(settings: Settings, path: Path, rules: Rules) -> None:
    changed = list(_changed_lines(path, rules))
    if settings.is_json:
        shown = [{"line": n, "masked": line.decode("utf-8", "replace")} for n, line in changed]
        emit_json({"rules": rules.version, "changed": shown})
    else:
        for number, line in changed:
            text = escape(line.decode("utf-8", "replace"))
            at = max(text.find("[REDACTED:") - 60, 0)
            emit(f"{number:>7}  {'…' if at else ''}{shorten(text[at:], _SHOWN_COLUMNS)}")
        emit(f"{counted(len(changed), 'line')} would change, by rules {rules.version}")
    quit_with(NEGATIVE if changed else 0)


def _changed_lines(path: Path, rules: Rules) -> Iterator[tuple[int, bytes]]:
    number = 1
    with path.open("rb") as file:
        while lines := file.readlines(_BLOCK_BYTES):
            for first, after in mask_document(lines, rules):
                yield number + first, after.rstrip(b"\n")
            number += len(lines)
