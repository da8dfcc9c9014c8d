"""
Copies: a lineage as the appends of one new log.

Rules of this module:
  * Bodies are copied byte for byte, under fresh salts; only session_start is made anew.
  * Each append of the source becomes one append, the last one cut at the point.
  * The source's own upkeep (redaction, recovery, seal) is applied, not copied.
  * An extension of the domain COPY_END tells where the copy ends, so that
    inherited usage is not counted twice.
"""

from collections.abc import AsyncIterator
from os import urandom

from ..chain import Draft, Record, make_draft
from ..codec import decode_body, draft
from ..entries import (
    FORMAT_VERSION,
    ConfigChanged,
    Extension,
    LabelsChanged,
    LogEntry,
    Position,
    SessionStartState,
    UnknownEntry,
)
from ..errors import InvalidInput
from ..ids import SessionId
from ..state import COPY_END
from ..stores.protocol import Store
from .points import Segment, first_record, resolve

ERASED = "session_store.erased"
"""Domain of the extension that stands where an erased record had no replacement."""

_UPKEEP = frozenset({"redaction", "recovery", "seal"})


async def copied_appends(
    store: Store, at: Position, child: SessionId, start: SessionStartState
) -> AsyncIterator[list[Draft]]:
    """
    Give the appends of a self-contained copy of everything up to *at*.

    Args:
        start: What shall differ.

    Raises:
        NotFound, Corrupt: The source does not hold up to *at*.
        InvalidInput: The source is masked, or a fork in it replaced the history,
            which no copy can tell.
    """
    segments, _ = await resolve(store, at.session_id, at)
    prompt = start.system_prompt
    if prompt is None:
        prompt = await _system_prompt(store, segments)
    for segment in segments:
        append: list[Draft] = []
        async for batch in store.read(segment.session_id, 0, segment.stop):
            for record in batch:
                if record.seq == 0:
                    is_root = segment is segments[0]
                    append += (
                        _root_start(record, segment.session_id, at, child, prompt)
                        if is_root
                        else _fork_start(record, segment.session_id)
                    )
                else:
                    append += _copied(record, segment.session_id)
                if record.batch == 0 and append:
                    yield append
                    append = []
        if append:
            yield append
    last: list[LogEntry] = [Extension(COPY_END, at.to_json())]
    if start.config is not None:
        last.append(ConfigChanged(start.config))
    if start.labels:
        last.append(LabelsChanged(start.labels))
    yield [draft(entry, urandom(16)) for entry in last]


async def _system_prompt(store: Store, segments: list[Segment]) -> str | None:
    """Return the prompt in force: the last one that a session_start of the lineage gives."""
    for segment in reversed(segments):
        record = await first_record(store, segment.session_id)
        body = decode_body(record, segment.session_id) or {}
        if isinstance(prompt := body.get("system_prompt"), str):
            return prompt
    return None


def _copied(record: Record, session_id: SessionId) -> list[Draft]:
    if record.kind in _UPKEEP:
        return []
    _refuse_masked(record, session_id)
    if record.body is None:
        stated = Extension(ERASED, {"kind": record.kind, "seq": record.seq})
        return [draft(stated, urandom(16), record.ts)]
    return [make_draft(record.kind, record.body, urandom(16), record.ts)]


def _root_start(
    record: Record, session_id: SessionId, at: Position, child: SessionId, prompt: str | None
) -> list[Draft]:
    _refuse_masked(record, session_id)
    body = dict(decode_body(record, session_id) or {"format": FORMAT_VERSION, "history": []})
    body |= {"session_id": child, "forked_from": at.to_json()}
    if prompt is not None:
        body["system_prompt"] = prompt
    return [draft(UnknownEntry(record.kind, body), urandom(16), record.ts)]


def _fork_start(record: Record, session_id: SessionId) -> list[Draft]:
    _refuse_masked(record, session_id)
    body = decode_body(record, session_id) or {}
    if "history" in body:
        raise InvalidInput("the fork replaced its history: no copy can tell", source=session_id)
    changes: list[LogEntry] = []
    if isinstance(body.get("config"), dict):
        changes.append(ConfigChanged(body["config"]))
    if isinstance(body.get("labels"), dict):
        changes.append(LabelsChanged(body["labels"]))
    return [draft(entry, urandom(16), record.ts) for entry in changes]


def _refuse_masked(record: Record, session_id: SessionId) -> None:
    if record.withheld == "masked":
        raise InvalidInput("a masked session is no source for a copy", source=session_id)
