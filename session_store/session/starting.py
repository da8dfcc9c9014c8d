"""The first append of a log."""

from collections.abc import Sequence
from os import urandom

from ..chain import Draft
from ..codec import draft, encode_body
from ..entries import (
    HistoryContinued,
    Json,
    LogEntry,
    Position,
    SessionStart,
    SessionStartState,
)
from ..ids import SessionId
from ..limits import LINE_BYTES_MAX
from ..values import encode, to_plain

_BODY_BYTES_MAX = LINE_BYTES_MAX - 4096  # HEAD, salt and TRAIL need less than 600.


def start_drafts(
    session_id: SessionId,
    start: SessionStartState,
    *,
    forked_from: Position | None = None,
    compacted_from: Position | None = None,
    salvaged_from: SessionId | None = None,
    ts: int | None = None,
    inherits: bool = False,
) -> list[Draft]:
    """
    Return the drafts of a first append.

    Args:
        inherits: A fork by reference: what *start* does not give is the parent's.
    """
    config = start.config
    if config is not None and not isinstance(config, dict):
        config = to_plain(config)
    entry = SessionStart(
        session_id,
        system_prompt=start.system_prompt,
        config=config,
        history=None if inherits else [_plain(item) for item in start.history],
        forked_from=None if forked_from is None else forked_from.to_json(),
        compacted_from=None if compacted_from is None else compacted_from.to_json(),
        salvaged_from=salvaged_from,
        labels=start.labels or None,
    )
    return [draft(e, urandom(16), ts) for e in _within_lines(entry)]


def _plain(item: object) -> Json:
    return item if isinstance(item, dict) else to_plain(item)


def _within_lines(entry: SessionStart) -> Sequence[LogEntry]:
    """Split a history that one line cannot hold over records of the same append."""
    items = entry.history or ()
    if len(items) == 0 or len(encode_body(entry)) <= _BODY_BYTES_MAX:
        return [entry]
    groups: list[list[Json]] = [[]]
    size = 0
    for item in items:
        item_size = len(encode(item)) + 1
        if groups[-1] and size + item_size > _BODY_BYTES_MAX // 2:
            groups.append([])
            size = 0
        groups[-1].append(item)
        size += item_size
    first = SessionStart(
        entry.session_id,
        system_prompt=entry.system_prompt,
        config=entry.config,
        history=[],
        forked_from=entry.forked_from,
        compacted_from=entry.compacted_from,
        salvaged_from=entry.salvaged_from,
        labels=entry.labels,
    )
    return [first, *(HistoryContinued(group) for group in groups)]
