"""`session-store salvage`."""

from collections.abc import Mapping

from .. import blocking
from ..entries import Json
from ..ids import SessionId
from ..session.salvaging import SALVAGED
from .naming import ID, find_session, size_of
from .output import counted, emit, emit_json, from_log
from .progress import counting
from .readable import compact
from .settings import Settings, store_command
from .text import escape

_SHOWN = 10

Note = Mapping[str, Json]


@store_command("salvage")
@ID
def command(settings: Settings, text: str) -> None:
    """
    Copy what is readable of a damaged session into a new one; print its id, and what is missing.

    The original is not changed. Extensions of the domain session_store.salvaged say the
    same in the new session. Salvaging the same bytes again finds that session.

    JSON: {session_id, salvaged_from, head, records, missing: [[first seq, last seq]],
    left_out: [{offset, length} or {seq, kind, why}], loose: [{seq, why}]}
    """
    with settings.open() as store:
        source = find_session(store, text)
        with counting(store, "salvaging", 2 * size_of(store, source)) as read:
            session = blocking.salvage(read, source)
        notes = _notes(blocking.restore(store, session.id).extensions, source)
    end = next((note for note in reversed(notes) if "records" in note), {})
    found: dict[str, Json] = {
        "records": end.get("records"),
        "missing": end.get("missing", []),
        "left_out": [note for note in notes if "length" in note or "kind" in note],
        "loose": [note for note in notes if "why" in note and "kind" not in note],
    }
    if settings.is_json:
        ids = {"session_id": session.id, "salvaged_from": source, "head": session.head.to_json()}
        emit_json({**ids, **{name: from_log(value) for name, value in found.items()}})
    else:
        emit(session.id)
        _print(found)


def _notes(extensions: object, source: SessionId) -> list[Note]:
    """Return what was noted of this salvage; a copy of a copy holds the notes of both."""
    assert isinstance(extensions, list)
    return [
        {name: value for name, value in note.items() if name != "session_id"}
        for domain, note in extensions
        if domain == SALVAGED and isinstance(note, dict) and note.get("session_id") == source
    ]


def _print(found: Mapping[str, Json]) -> None:
    lines = [f"missing: seq {compact(found['missing'])}"] if found["missing"] else []
    for name in ("left_out", "loose"):
        lines += [f"{name.replace('_', ' ')}: {compact(note)}" for note in found[name]]
    for line in lines[:_SHOWN]:
        emit(escape(line))
    if len(lines) > _SHOWN:
        emit(f"and {counted(len(lines) - _SHOWN, 'line')} more; --json has all")
