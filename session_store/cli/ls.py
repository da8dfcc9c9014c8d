"""`session-store ls`."""

import sys
from itertools import islice

import click
from attrs import define, field

from .. import blocking
from ..codec import decode_body
from ..entries import Json, SessionOrigin
from ..errors import Corrupt, NotFound, UnsafePath, Unsupported
from ..ids import id_ts_ms
from ..positions import parse_origin
from ..stores.protocol import SessionInfo
from .naming import short_ids
from .output import (
    emit,
    emit_json,
    from_log,
    json_text,
    label_text,
    position_json,
    size_text,
    table,
    timestamp,
)
from .readable import parts
from .settings import Settings, store_command
from .text import escape

_TOLD = frozenset({"session_start", "labels_changed", "user_input"})
_DAMAGE = {Unsupported: "UNSUPPORTED", UnsafePath: "UNSAFE"}


@define
class Glance:
    """What a listing says of a session, from its own log alone."""

    info: SessionInfo
    entries: int = 0
    labels: dict[str, Json] = field(factory=dict)
    first_words: str | None = None
    origin: SessionOrigin = field(factory=SessionOrigin)
    damage: Corrupt | Unsupported | UnsafePath | None = None

    @property
    def title(self) -> str | None:
        """Its label `title`, or what the user said first."""
        title = self.labels.get("title")
        return title if isinstance(title, str) else self.first_words

    def take(self, kind: str, body: dict[str, Json]) -> None:
        if kind == "session_start":
            self.origin = parse_origin(body)
        elif kind == "user_input":
            items = body.get("items")
            said = [p.text for item in items for p in parts(item)] if type(items) is list else []
            self.first_words = said[0] if said else None
        labels = body.get("labels")
        for name, value in labels.items() if isinstance(labels, dict) else ():
            if value is None:
                self.labels.pop(name, None)
            else:
                self.labels[name] = value


def glance(store: blocking.Store, info: SessionInfo) -> Glance | None:
    """Return what to say of a session, or None if it was deleted meanwhile. Cost: reads its log."""
    seen = Glance(info)
    try:
        for batch in store.read(info.session_id):
            for record in batch:
                seen.entries = record.seq + 1
                is_told = record.kind in _TOLD
                if is_told and not (record.kind == "user_input" and seen.first_words):
                    body = decode_body(record, info.session_id)
                    seen.take(record.kind, dict(body or {}))
    except (Corrupt, Unsupported, UnsafePath) as damage:
        seen.damage = damage
    except NotFound:
        return None
    return seen


@store_command("ls")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N")
@click.option("--all", "is_all", is_flag=True, help="List every session.")
@click.option("--key", metavar="KEY", help="List the session that has this external key.")
def command(settings: Settings, limit: int, is_all: bool, key: str | None) -> None:
    """
    List sessions, newest first.

    Times are UTC. ABOUT is the label `title` or the user's first words, and the
    session's own labels; `<` names the session that it was forked, copied or salvaged from.

    JSON: {"sessions": [{session_id, started_ms, modified_ms, entries, size,
    trace_size, title, labels, forked_from, compacted_from, salvaged_from,
    damage}], "more"}
    """
    with settings.open() as store:
        wanted = None if key is None else store.find(key)
        listed = blocking.sessions(store)
        if key is not None:
            listed = (info for info in listed if info.session_id == wanted)
        infos = list(listed if is_all else islice(listed, min(limit, sys.maxsize - 1) + 1))
        shown = infos if is_all else infos[:limit]
        glances = [seen for info in shown if (seen := glance(store, info)) is not None]
    is_more = len(infos) > len(shown)
    if settings.is_json:
        emit_json({"sessions": [_json(seen) for seen in glances], "more": is_more})
        return
    next_older = infos[len(shown)].session_id if is_more else None
    names = short_ids([seen.info.session_id for seen in glances], next_older)
    rows = [_row(name, seen) for name, seen in zip(names, glances, strict=True)]
    if rows:
        table(["ID", "STARTED", "ENTRIES", "SIZE", "ABOUT"], rows, right={2, 3})
    if is_more:
        emit("… and older ones: --limit N or --all lists them")


def _row(name: str, seen: Glance) -> list[str]:
    started = timestamp(id_ts_ms(seen.info.session_id))[:16]
    parent = seen.origin.forked_from or seen.origin.compacted_from
    about = [] if parent is None else [f"<{parent.session_id[:13]}:{parent.seq}"]
    if seen.origin.salvaged_from is not None:
        about = [f"<{seen.origin.salvaged_from[:13]}"]
    if seen.damage is not None:
        about.append(_DAMAGE.get(type(seen.damage), "DAMAGED"))
    if seen.title:
        about.append(escape(" ".join(seen.title[:500].split())))
    about.append(label_text({k: v for k, v in seen.labels.items() if k != "title"}))
    return [name, started, f"{seen.entries}", size_text(seen.info.size), " ".join(about).strip()]


def _json(seen: Glance) -> Json:
    info = seen.info
    return {
        "session_id": info.session_id,
        "started_ms": id_ts_ms(info.session_id),
        "modified_ms": info.mtime_ms,
        "entries": seen.entries,
        "size": info.size,
        "trace_size": info.trace_size,
        "title": from_log(seen.title),
        "labels": from_log(seen.labels),
        "forked_from": position_json(seen.origin.forked_from),
        "compacted_from": position_json(seen.origin.compacted_from),
        "salvaged_from": seen.origin.salvaged_from,
        "damage": None if seen.damage is None else json_text(str(seen.damage)),
    }
