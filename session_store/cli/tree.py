"""`session-store tree`."""

from collections.abc import Iterator

import click

from .. import blocking
from ..entries import Json
from ..ids import SessionId, id_ts_ms
from ..session.family import Family
from .naming import complete_id, find_session, short_ids
from .output import columns, emit, emit_json, paint, timestamp
from .settings import Settings, store_command
from .text import shorten

_DEPTH_SHOWN = 12
"""Deeper generations are drawn here, with their depth as a number."""


@store_command("tree")
@click.argument("text", metavar="[ID]", required=False, shell_complete=complete_id)
def command(settings: Settings, text: str | None) -> None:
    """
    Show who was forked from whom. Copies, compactions and what was salvaged count; oldest
    come first.

    With ID, only its family: from its oldest ancestor down.

    JSON: {"sessions": [{session_id, parent, salvaged_from, by_reference, depth,
    damaged}]}, each after the session that it came from
    """
    with settings.open() as store:
        wanted = None if text is None else find_session(store, text)
        if settings.is_json:
            rows = _rows(store, wanted)
            emit_json({"sessions": [_json(family, depth) for depth, _, family in rows]})
        else:
            print_tree(store, wanted)


def print_tree(store: blocking.Store, wanted: SessionId | None = None, *, indent: str = "") -> None:
    """Draw the families of *store*, or that of the *wanted* session, which is marked."""
    rows = _rows(store, wanted)
    ids = sorted((family.session_id for _, _, family in rows), reverse=True)
    names = dict(zip(ids, short_ids(ids), strict=True))
    for depth, lead, family in rows:
        _print(depth, indent + lead, family, names, wanted)


def _rows(store: blocking.Store, wanted: SessionId | None) -> list[tuple[int, str, Family]]:
    rows = list(_walk(blocking.tree(store)))
    return rows if wanted is None else _family_of(rows, wanted)


def _walk(roots: list[Family]) -> Iterator[tuple[int, str, Family]]:
    """Yield each family with its depth and the lines drawn before it; no depth is too deep."""
    todo = [(0, "", "", root) for root in reversed(roots)]
    while todo:
        depth, lead, below, family = todo.pop()
        yield depth, lead, family
        for index, child in enumerate(reversed(family.children)):
            branch, rest = ("└─ ", "   ") if index == 0 else ("├─ ", "│  ")
            if depth < _DEPTH_SHOWN:
                todo.append((depth + 1, below + branch, below + rest, child))
            else:
                todo.append((depth + 1, below + branch, below, child))


def _family_of(
    rows: list[tuple[int, str, Family]], wanted: SessionId
) -> list[tuple[int, str, Family]]:
    begin = 0
    for index, (depth, _, family) in enumerate(rows):
        if depth == 0:
            begin = index
        if family.session_id == wanted:
            rest = range(index + 1, len(rows))
            end = next((n for n in rest if rows[n][0] == 0), len(rows))
            return rows[begin:end]
    return []


def _print(
    depth: int,
    lead: str,
    family: Family,
    names: dict[SessionId, str],
    wanted: SessionId | None,
) -> None:
    told = [f"generation {depth}"] if depth > _DEPTH_SHOWN else []
    told += [timestamp(id_ts_ms(family.session_id))[:16]]
    if family.origin is None:
        told.append("DAMAGED")
    elif family.origin.salvaged_from is not None:
        source = family.origin.salvaged_from
        told.append(f"salvaged from {names.get(source, source)}")
    elif family.parent is not None:
        how = "at" if family.origin.by_reference else "copied at"
        owner = names.get(family.parent.session_id, family.parent.session_id)
        told.append(f"{how} {owner}:{family.parent.seq}")
    name = names[family.session_id]
    if family.session_id == wanted:
        name = paint(f"{name} *", "green", bold=True)
    room = columns() - len(lead) - len(names[family.session_id]) - 6
    emit(f"{paint(lead, dim=True)}{name}  {shorten('  '.join(told).strip(), room)}")


def _json(family: Family, depth: int) -> Json:
    return {
        "session_id": family.session_id,
        "parent": None if family.parent is None else family.parent.to_json(),
        "salvaged_from": None if family.origin is None else family.origin.salvaged_from,
        "by_reference": family.origin is not None and family.origin.by_reference,
        "depth": depth,
        "damaged": family.origin is None,
    }
