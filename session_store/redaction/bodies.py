"""
The bodies of records with their secrets masked (docs/MASKING.md).

Rules of this module:
  * What is not a secret stays as it was, to the byte; masked again, nothing changes.
  * What the chain needs is never masked: identity and lineage of a session_start and of its
    replacement, the targets of a redaction, all of a recovery and a seal.
  * What could not be looked through, or not in time, is closed, never passed on.
"""

import re
from typing import NamedTuple

import orjson

from ..chain import TRAIL_SIZE, Draft, Invalid, Record, body_digest, check_line, mask_digest
from ..entries import IDENTITY, KINDS, Json
from ..errors import InvalidInput
from ..ids import SessionId
from ..limits import LINE_BYTES_MAX
from .rules import Deadline, OutOfTime, Rules
from .spans import UNSCANNED, Confidence, marker
from .walk import Edit, Kept, NotJson, Path, edits_of

_UNTOUCHED = frozenset({"recovery", "seal"})
_CLOSED = marker(UNSCANNED)
# Escapes that could hide what is looked for: of ASCII, of a slash; and what is wrapped.
_HIDING = re.compile(rb"\\u00[2-7]|\\/|\$ss")
_SPELLED = re.compile(rb"\\u00[2-7]")
_ROUNDS_MAX = 6


class Found(NamedTuple):
    """
    One secret, without what it is.

    Attributes:
        path: Keys and indexes that lead to the string that holds it.
        length: Bytes of the secret, as stored.
    """

    rule: str
    confidence: Confidence
    path: Path
    length: int


def _kept_of_start(path: Path) -> bool:
    return path[0] in IDENTITY


def _kept_of_redaction(path: Path) -> bool:
    if path[0] == "targets":
        return True
    return path[:2] == ("replacements", "0") and len(path) > 2 and path[2] in IDENTITY


_KEPT: dict[str, Kept] = {"session_start": _kept_of_start, "redaction": _kept_of_redaction}


def mask_json(data: bytes, rules: Rules, *, kept: Kept = None) -> bytes:
    """
    Return the JSON document *data* with its secrets masked; what is no JSON is masked as text.

    Raises:
        OutOfTime: It took too long; nothing of it may be passed on.

    Cost: linear; a quick look where there is nothing to mask.
    """
    deadline = Deadline(len(data), rules.seconds_per_mib)
    for _ in range(_ROUNDS_MAX):
        edits = _edits(data, rules, deadline, kept)
        if not edits:
            return data
        data = applied(data, edits)
    raise OutOfTime


def find_in_json(data: bytes, rules: Rules, *, kept: Kept = None) -> list[Found]:
    """Return what `mask_json` would mask, in order; errors as there."""
    edits = _edits(data, rules, Deadline(len(data), rules.seconds_per_mib), kept)
    return [Found(e.rule, e.confidence, e.path, e.end - e.start) for e in edits]


def mask_body(kind: str, body: bytes, rules: Rules) -> bytes:
    """Return the *body* of a record of *kind* with its secrets masked; a JSON object, if it was one."""
    if kind in _UNTOUCHED:
        return body
    try:
        masked = mask_json(body, rules, kept=_KEPT.get(kind))
    except OutOfTime:
        return closed(kind, body)
    if masked is not body and not (masked.startswith(b"{") and masked.endswith(b"}")):
        return closed(kind, body)
    return masked


def find_in_body(kind: str, body: bytes, rules: Rules) -> list[Found]:
    """Return what `mask_body` would mask; one finding of the rule "unscanned" if it would close it."""
    if kind in _UNTOUCHED:
        return []
    try:
        return find_in_json(body, rules, kept=_KEPT.get(kind))
    except OutOfTime:
        return [Found(UNSCANNED, "definite", (), len(body))]


def mask_draft(draft: Draft, rules: Rules) -> Draft:
    """Return *draft* as it may be written: the same, or with a masked body under its own salt."""
    body = mask_body(draft.kind, draft.body, rules)
    if body == draft.body:
        return draft
    return draft._replace(body=body, digest=body_digest(draft.salt, body))


def masked_line(record: Record, rules: Rules) -> bytes:
    """
    Return the line, without LF, that a masked store holds for a checked *record*.

    One in which nothing was masked stays complete. One that is named by a redaction is erased,
    even while its body still stands in the source. A first record carries its replacement until
    the redaction arrives: nothing else would say where a fork stands.
    """
    head, trail = record.line[: record.head_size], record.line[-TRAIL_SIZE:]
    if record.withheld == "erased" and (record.seq or record.body is None):
        room = len(record.line) - len(head) - len(trail) - len(_ERASED)
        return head + _ERASED + b" " * max(room, 0) + trail
    assert record.body is not None
    body = mask_body(record.kind, record.body, rules)
    if body == record.body and record.withheld != "erased":
        return record.line
    if len(body) > LINE_BYTES_MAX - len(head) - len(trail) - 100:
        body = closed(record.kind, record.body)
    mask = mask_digest(record.hash, body)
    return head + b',"salt":null,"mask":"%b","body":%b' % (mask, body) + trail


_ERASED = b',"salt":null,"body":null'


def closed(kind: str, body: bytes) -> bytes:
    """Return what stands for a *body* that could not be looked through: its fields, without content."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        given = {}
    cls = KINDS.get(kind)
    names = () if cls is None else tuple(getattr(cls, "__annotations__", {}))
    shut = {name: _shut(kind, name, given[name]) for name in names if name in given}
    return orjson.dumps(shut or {"redacted": _CLOSED.decode()})


def closed_event(event: bytes) -> bytes:
    """Return what stands for an event of a trace that could not be looked through."""
    end = b"\n" if event.endswith(b"\n") else b""
    try:
        given = orjson.loads(event)
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        return _CLOSED + end
    shut = {k: v if k in ("ts", "turn", "kind") else _CLOSED.decode() for k, v in given.items()}
    return orjson.dumps(shut) + end


def refuse_secrets(lines: bytes, session_id: SessionId, rules: Rules) -> None:
    """
    Raise InvalidInput if a record in *lines* holds what *rules* would mask.

    Lines of another store cannot be masked and still be complete; those that do not hold are
    left to whoever verifies them.
    """
    for line in lines.split(b"\n"):
        try:
            record = check_line(line, session_id)
        except Invalid:
            continue
        if record.withheld is None and masked_line(record, rules) != line:
            raise InvalidInput(
                f"seq {record.seq} holds a secret, and this store masks at write",
                source=session_id,
            )


def _shut(kind: str, name: str, value: Json) -> Json:
    if (kind == "session_start" and name in IDENTITY) or name == "targets":
        return value
    if name == "replacements":
        start = value.get("0") if isinstance(value, dict) else None
        if not isinstance(start, dict):
            return {}
        return {"0": {key: start[key] for key in start if key in IDENTITY}}
    if isinstance(value, str):
        return _CLOSED.decode()
    if isinstance(value, dict):
        return {"redacted": _CLOSED.decode()}
    return [{"redacted": _CLOSED.decode()}] if isinstance(value, list) and value else value


def _edits(data: bytes, rules: Rules, deadline: Deadline, kept: Kept) -> list[Edit]:
    if not rules.may_hold(data, deadline) and _HIDING.search(data) is None:
        return []
    try:
        return edits_of(data, rules, deadline, kept)
    except NotJson:
        if _SPELLED.search(data) and data.lstrip()[:1] in (b"{", b"["):
            raise OutOfTime from None  # Some other parser may read it, and what is spelled in it.
        spans = rules.find(data, deadline)
        return [Edit(s.start, s.end, marker(s.rule), s.rule, s.confidence, ()) for s in spans]


def applied(data: bytes, edits: list[Edit]) -> bytes:
    """Return *data* with *edits*, which are in order and do not overlap."""
    parts, at = list[bytes](), 0
    for edit in edits:
        parts += (data[at : edit.start], edit.new)
        at = edit.end
    return b"".join((*parts, data[at:]))
