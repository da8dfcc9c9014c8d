"""`session-store scan`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from .. import blocking
from ..errors import SessionStoreError
from ..ids import SessionId
from ..session.masking import Secret
from .failures import NEGATIVE, USAGE, Failure, complain, explain, quit_with
from .naming import complete_id, find_session
from .output import counted, emit, emit_json, json_text, paint
from .progress import progress
from .rules import RULES_OPTION, rules_from
from .settings import Settings, store_command
from .text import escape


@store_command("scan")
@click.argument("texts", metavar="[ID]...", nargs=-1, shell_complete=complete_id)
@click.option("--all", "is_all", is_flag=True, help="Every session of the store.")
@RULES_OPTION
def command(
    settings: Settings, texts: Sequence[str], is_all: bool, rules_path: Path | None
) -> None:
    """
    Look for secrets in sessions; say where they stand, never what they are. Of a fork its
    own log is looked at.

    A definite one is told by its shape, a candidate by what names it. Exit code 1 if one
    was found. `mask` makes a copy without them.

    \b
      session-store scan --all
      session-store scan 01939f --rules team.toml --json

    JSON: {"rules", "secrets": [{session_id, seq, kind, rule, confidence, path, length}],
    "counts": {rule: n}, "failed": [{session_id, error}]}
    """  # noqa: D301 - click's mark for text that is not wrapped
    if is_all == bool(texts):
        raise Failure("name sessions, or give --all", USAGE)
    rules = rules_from(rules_path)
    found: list[Secret] = []
    failed: list[tuple[SessionId, str]] = []
    code = 0
    with settings.open() as store:
        if is_all:
            wanted = [info.session_id for info in blocking.sessions(store)]
        else:
            wanted = list(dict.fromkeys(find_session(store, text) for text in texts))
        for session_id in progress(wanted, "scanning", len(wanted)):
            try:
                for secret in blocking.find_secrets(store, session_id, rules):
                    found.append(secret)
                    code = max(code, NEGATIVE)
                    if not settings.is_json:
                        _print(secret)
            except (OSError, SessionStoreError) as error:
                explained = explain(error)
                failed.append((session_id, explained.message))
                code = max(code, explained.code)
                complain("error", explained.message)
    counts = Counter(secret.rule for secret in found)
    if settings.is_json:
        errors = [{"session_id": one, "error": json_text(text)} for one, text in failed]
        secrets = [_json(secret) for secret in found]
        counted_by_rule = dict(counts.most_common())
        emit_json(
            {
                "rules": rules.version,
                "secrets": secrets,
                "counts": counted_by_rule,
                "failed": errors,
            }
        )
    else:
        for rule, count in counts.most_common():
            emit(f"{count:>7,}  {escape(rule)}")
        emit(f"{counted(len(wanted), 'session')}: {counted(len(found), 'secret')}")
    quit_with(code)


def _print(secret: Secret) -> None:
    rule = paint(escape(secret.rule), "red" if secret.confidence == "definite" else "yellow")
    place = f"{secret.position.session_id}  seq {secret.position.seq}  {escape(secret.place)}"
    emit(f"{place}  {rule} ({secret.confidence}, {secret.length} bytes)")


def _json(secret: Secret) -> dict[str, object]:
    return {
        "session_id": secret.position.session_id,
        "seq": secret.position.seq,
        "kind": secret.kind,
        "rule": secret.rule,
        "confidence": secret.confidence,
        "path": json_text(secret.place),
        "length": secret.length,
    }
