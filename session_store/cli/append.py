"""`session-store append`."""

import sys
from collections.abc import Iterator

import click

from .. import blocking
from ..codec import encode_body, typed
from ..entries import Durability, Json, LogEntry, Position, Receipt, UnknownEntry
from ..errors import InvalidInput, LimitExceeded
from ..kinds import KIND
from ..limits import APPEND_BYTES_MAX, BATCH_MAX, LINE_BYTES_MAX
from ..values import decode, parse_outside
from .failures import USAGE, Failure
from .naming import ID, find_session, parse_head
from .output import emit, emit_json, flush
from .settings import Settings, store_command

_SOURCE = "standard input"
_NOT_BY_HAND = frozenset({"session_start", "history_continued", "recovery", "redaction", "seal"})
"""Kinds whose meaning rests on where they stand, or on what the store does beside them."""


@store_command("append")
@ID
@click.option("--each", is_flag=True, help="One append for each line, acknowledged one by one.")
@click.option("--expect", metavar="SEQ:HASH", help="The head that the (first) append is made for.")
@click.option("--any", "is_any", is_flag=True, help="Append after whatever is last.")
@click.option("--durability", type=click.Choice(["disk", "os"]), help="The store's own is disk.")
def command(
    settings: Settings,
    text: str,
    each: bool,
    expect: str | None,
    is_any: bool,
    durability: Durability | None,
) -> None:
    """
    Append entries from standard input: one JSON object a line, with a kind and a body.

    \b
      {"kind": "user_input", "body": {"items": [{"role": "user", "content": "hi"}]}}

    All lines are one append, written whole or not at all. It is made for the head that
    the session has when the command begins: exit code 1 if another writer is faster.
    Kinds that are not known are kept. Prints SEQ:HASH of the new head, and the level
    that it reached.

    JSON: {session_id, seq, hash, level, entries}; with --each one line each
    """  # noqa: D301 - click's mark for text that is not wrapped
    if is_any and expect is not None:
        raise Failure("--expect and --any exclude each other", USAGE)
    with settings.open() as store:
        session = blocking.open_session(store, find_session(store, text), shared=is_any)
        expected = None if expect is None else parse_head(expect, session.id)
        if each:
            for entry in _entries():
                receipt = _append(session, [entry], expected, durability)
                _print(receipt, 1, is_json=settings.is_json)
                expected = None
            return
        entries = list(_whole_input())
        if not entries:
            raise Failure("no entries on standard input", USAGE)
        receipt = _append(session, entries, expected, durability)
        _print(receipt, len(entries), is_json=settings.is_json)


def _append(
    session: blocking.Session,
    entries: list[LogEntry],
    expected: Position | None,
    durability: Durability | None,
) -> Receipt:
    return session.append(*entries, expected=expected, durability=durability)


def _print(receipt: Receipt, count: int, *, is_json: bool) -> None:
    if is_json:
        emit_json({**receipt.position.to_json(), "level": receipt.level, "entries": count})
    else:
        emit(f"{receipt.seq}:{receipt.hash.hex()} {receipt.level}")
    flush()


def _whole_input() -> Iterator[LogEntry]:
    size = 0
    for count, (number, line) in enumerate(_lines(), 1):
        size += len(line)
        if size > APPEND_BYTES_MAX or count > BATCH_MAX + 1:
            why = f"more than {APPEND_BYTES_MAX} bytes or {BATCH_MAX + 1} entries"
            raise Failure(f"{why} cannot be one append", USAGE, "--each makes one of every line")
        yield parse_entry(line, number)


def _entries() -> Iterator[LogEntry]:
    for number, line in _lines():
        yield parse_entry(line, number)


def _lines() -> Iterator[tuple[int, bytes]]:
    if sys.stdin is None:
        raise Failure("standard input is closed", USAGE)
    number = 0
    while line := sys.stdin.buffer.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > LINE_BYTES_MAX:
            raise LimitExceeded(f"{_SOURCE}, line {number}: longer than {LINE_BYTES_MAX} bytes")
        if line.strip():
            yield number, line


def parse_entry(line: bytes, number: int) -> LogEntry:
    """
    Return the entry that a line of input is; its unknown fields and kinds are kept.

    Raises:
        InvalidInput: It is none, or of a kind that is not written by hand.
    """
    value = parse_outside(line, source=_SOURCE, line=number)
    if not isinstance(value, dict) or value.keys() != {"kind", "body"}:
        raise _refused(number, "an object with a kind and a body is expected, nothing else")
    kind, body = value["kind"], value["body"]
    if not isinstance(kind, str) or KIND.fullmatch(kind) is None:
        raise _refused(number, f"not a kind: {str(kind)[:80]!r}")
    if not isinstance(body, dict):
        raise _refused(number, "the body is not an object")
    if kind in _NOT_BY_HAND:
        raise _refused(number, f"{kind} entries are written by the store")
    try:
        known: Json = decode(encode_body(typed(kind, body)))
    except (InvalidInput, TypeError) as error:
        why = error.why if isinstance(error, InvalidInput) else str(error)
        raise _refused(number, f"{kind}: {why}") from error
    # What a field's absence means is written down; what the class does not know is kept.
    return UnknownEntry(kind, {**known, **body})


def _refused(number: int, why: str) -> InvalidInput:
    return InvalidInput(why, source=_SOURCE, line=number)
