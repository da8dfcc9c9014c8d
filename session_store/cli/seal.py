"""`session-store seal`."""

from collections.abc import Sequence
from pathlib import Path

import click
from attrs import define, field

from .. import blocking
from ..checkpoint.audit import Sealed
from ..checkpoint.keys import SigningKey
from ..entries import Json
from ..errors import SessionStoreError
from ..ids import SessionId
from ..session.anchoring import anchor_seal, anchored, commit
from ..session.keyfiles import read_key
from .failures import USAGE, Failure, complain, explain, quit_with
from .naming import complete_id, find_session
from .output import counted, emit, emit_json, json_text
from .progress import progress
from .settings import Settings, store_command
from .signing import ANCHOR, GIT, HEADS, KEY, opened


@store_command("seal")
@click.argument("texts", metavar="[ID]...", nargs=-1, shell_complete=complete_id)
@click.option("--all", "is_all", is_flag=True, help="Every session of the store.")
@KEY
@ANCHOR
@GIT
@HEADS
def command(
    settings: Settings,
    texts: Sequence[str],
    is_all: bool,
    key_path: str,
    anchor_path: str | None,
    git: bool,
    heads: str | None,
) -> None:
    """
    Sign sessions as they are now: a signed head is appended to each.

    Only what is on disk is signed, and only what continues all that was signed before
    and what is kept in --anchor DIR; where nothing was appended since, nothing is done.

    \b
    session-store seal 01a2 --key worker.key
    session-store seal --all --key worker.key --anchor ../anchors --git

    JSON: {"sealed": [{session_id, size, seq, key, note, anchor}], "failed": [{session_id, error}]}
    """  # noqa: D301 - click's mark, a backspace
    if is_all == bool(texts):
        raise Failure("name sessions, or give --all", USAGE)
    if git and anchor_path is None:
        raise Failure("--git commits what --anchor DIR keeps", USAGE)
    key = read_key(key_path)
    outcome = _Outcome(anchor_path)
    with opened(settings, heads) as store:
        if is_all:
            wanted = [info.session_id for info in blocking.sessions(store)]
        else:
            wanted = list(dict.fromkeys(find_session(store, text) for text in texts))
        for session_id in progress(wanted, "sealing", len(wanted)):
            outcome.take(store, session_id, key)
    if git and outcome.paths:
        commit(list(outcome.paths.values()))
    for _, message in outcome.failed:
        complain("error", message)
    if settings.is_json:
        emit_json(outcome.json())
    else:
        for session_id, sealed in outcome.sealed.items():
            emit(f"{session_id}  {counted(sealed.size, 'record')} signed, seal {sealed.seq}")
    quit_with(outcome.code)


@define
class _Outcome:
    """What became of each session."""

    anchor_path: str | None
    sealed: dict[SessionId, Sealed] = field(factory=dict)
    paths: dict[SessionId, Path] = field(factory=dict)
    failed: list[tuple[SessionId, str]] = field(factory=list)
    code: int = 0

    def take(self, store: blocking.Store, session_id: SessionId, key: SigningKey) -> None:
        """Seal one session; what prevents that does not keep the others from it."""
        try:
            after = None if self.anchor_path is None else anchored(self.anchor_path, session_id)
            sealed = self.sealed[session_id] = blocking.seal(store, session_id, key, after=after)
            if self.anchor_path is not None:
                self.paths[session_id] = anchor_seal(self.anchor_path, session_id, sealed)
        except (SessionStoreError, OSError) as error:
            explained = explain(error)
            self.failed.append((session_id, explained.message))
            self.code = max(self.code, explained.code)

    def json(self) -> Json:
        return {
            "sealed": [
                _json(one, sealed, self.paths.get(one)) for one, sealed in self.sealed.items()
            ],
            "failed": [{"session_id": one, "error": json_text(why)} for one, why in self.failed],
        }


def _json(session_id: SessionId, sealed: Sealed, path: Path | None) -> Json:
    return {
        "session_id": session_id,
        "size": sealed.size,
        "seq": sealed.seq,
        "key": str(sealed.key),
        "note": sealed.note,
        "anchor": None if path is None else json_text(str(path)),
    }
