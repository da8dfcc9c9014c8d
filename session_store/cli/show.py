"""`session-store show`."""

from collections.abc import Iterator
from itertools import islice

import click

from .. import blocking
from ..entries import HashedEntry, Json
from ..ids import SessionId
from ..session.points import Point
from ..state import RestoredState
from .failures import NEGATIVE, Failure
from .naming import AT, ID, find_session
from .output import Colour, columns, emit, emit_json, from_log, label_text, paint, timestamp
from .readable import Part, items_of, parts, summary, usage_text
from .settings import Settings, store_command
from .text import escape, escaped_lines, shorten, wrap

_LINES_MAX = {"thinking": 4, "call": 4, "result": 6, "injected": 4, "system": 6}
"""How much is shown of what was not said to the user; the rest needs --full."""

_COLOURS: dict[str, Colour] = {"user": "green", "assistant": "cyan", "call": "yellow"}
_QUIET = frozenset({"turn_end", "llm_usage", "labels_changed", "recovery", "seal", "redaction"})


@store_command("show")
@ID
@AT
@click.option("--full", is_flag=True, help="Abbreviate nothing, and show extensions too.")
def command(settings: Settings, text: str, at: Point | None, full: bool) -> None:
    """
    Read a session as a conversation, with what it inherited.

    Tool calls, results and thoughts are abbreviated unless --full is given.

    JSON: {session_id, head, labels, system_prompt, config, history}
    """
    with settings.open() as store:
        session_id = find_session(store, text)
        if settings.is_json:
            emit_json(_json(blocking.restore(store, session_id, at=at)))
            return
        for entry in conversation(store, session_id, at):
            _show(entry, full=full)


def conversation(
    store: blocking.Store, session_id: SessionId, at: Point | None
) -> Iterator[HashedEntry]:
    """Yield the entries that lead to *at*, of all logs of the lineage, the root's first."""
    if at is None:
        segments = blocking.lineage(store, session_id)
    else:
        segments, _ = blocking.resolve(store, session_id, at)
    for segment in segments:
        last = None
        for entry in blocking.read_entries(store, segment.session_id, 0, segment.stop):
            last = entry.position
            yield entry
        if segment.last is not None and segment.last != last:
            raise Failure(f"the session is not a fork of what {segment.last} is now", NEGATIVE)


def _show(entry: HashedEntry, *, full: bool) -> None:
    if entry.kind == "session_start":
        _show_start(entry, full=full)
    if items := items_of(entry):
        said = [part for item in items for part in parts(item)]
        for part in said if not entry.withheld else [Part("withheld", summary(entry)), *said]:
            _say(part, entry, full=full)
    elif entry.kind == "llm_usage" and entry.body is not None:
        _note(f"  {usage_text(entry.body)}")
    elif entry.kind == "turn_end":
        _note(f"─── {summary(entry)} · seq {entry.seq} · {timestamp(entry.ts)}")
    elif entry.kind == "extension":
        if full:
            _note(f"  extension {summary(entry)}")
    elif entry.kind != "session_start":
        _note(f"─── {entry.kind.replace('_', ' ')}: {summary(entry)} · {timestamp(entry.ts)}")


def _show_start(entry: HashedEntry, *, full: bool) -> None:
    body = entry.body or {}
    emit(paint(f"═══ {entry.position.session_id} · {timestamp(entry.ts)} UTC", bold=True))
    for name in ("forked_from", "compacted_from"):
        source = body.get(name)
        if isinstance(source, dict):
            words = name.replace("_", " ")
            _note(f"  {words} {source.get('session_id')} at seq {source.get('seq')}")
    if isinstance(source := body.get("salvaged_from"), str):
        _note(f"  salvaged from {source}")
    if labels := label_text(body.get("labels")):
        _note(f"  labels {labels}", is_escaped=True)
    if isinstance(prompt := body.get("system_prompt"), str):
        _say(Part("system", prompt), entry, full=full)


def _say(part: Part, entry: HashedEntry, *, full: bool) -> None:
    role = escape(part.role)
    colour = _COLOURS.get(part.role)
    if part.role == "user":
        emit()
    emit(paint(role, colour, bold=True) + paint(f" (seq {entry.seq})", dim=True))
    lines = (piece for line in escaped_lines(part.text) for piece in wrap(line, columns() - 2))
    most = None if full else _LINES_MAX.get(part.role)
    for line in lines if most is None else islice(lines, most):
        emit(f"  {line}".rstrip())
    if most is not None and next(lines, None) is not None:
        emit(paint("  … (--full shows the rest)", dim=True))


def _note(text: str, *, is_escaped: bool = False) -> None:
    shown = text if is_escaped else escape(text[:2000])
    emit(paint(shorten(shown, columns()), dim=True))


def _json(state: RestoredState) -> Json:
    return {
        "session_id": state.session_id,
        "head": state.head.to_json(),
        "labels": from_log(state.labels),
        "system_prompt": from_log(state.system_prompt),
        "config": from_log(state.config),
        "history": from_log(state.history),
    }
