"""Transcripts as a store that masks at write will hold them, so that they can be compared with it."""

from attrs import evolve

from ..codec import encode_body, typed
from ..entries import LogEntry, SessionStart, SessionStartState
from ..ids import SessionId
from ..redaction.bodies import mask_body
from ..redaction.rules import Rules
from ..values import decode
from .transcript import Import


def masked_import(item: Import, rules: Rules) -> Import:
    """Return *item* with its secrets masked; what has none is the same object."""
    appends = [[(ts, _masked(entry, rules)) for ts, entry in group] for group in item.appends]
    return evolve(item, start=_masked_start(item.start, rules), appends=appends)


def _masked(entry: LogEntry, rules: Rules) -> LogEntry:
    body = encode_body(entry)
    masked = mask_body(entry.kind, body, rules)
    return entry if masked == body else typed(entry.kind, decode(masked))


def _masked_start(start: SessionStartState, rules: Rules) -> SessionStartState:
    entry = SessionStart(
        SessionId(""),
        system_prompt=start.system_prompt,
        config=start.config,
        labels=start.labels or None,
    )
    masked = _masked(entry, rules)
    assert isinstance(masked, SessionStart)
    return evolve(
        start,
        system_prompt=masked.system_prompt,
        config=masked.config,
        labels=dict(masked.labels or {}),
    )
