"""`session-store trace`."""

import math
from collections.abc import Iterator
from itertools import chain

import click
from attrs import define
from blake3 import blake3

from .. import blocking
from ..entries import Json
from ..errors import Corrupt
from ..ids import SessionId
from ..trace import TraceEntry
from .failures import NEGATIVE, USAGE, Failure, complain, quit_with
from .naming import ID, find_session
from .output import columns, emit, emit_json, flush, from_log, paint, timestamp
from .readable import compact
from .settings import Settings, store_command
from .text import escape, shorten

_DATA_CHARS = 1000


@define
class Mark:
    """What a turn_end says of the trace up to there, and whether it is so."""

    seq: int
    turn_count: Json
    length: int
    digest: str
    holds: bool = False


def _to_speed(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and (math.isnan(value) or value <= 0):
        raise click.BadParameter("a speed is greater than 0", ctx, param)
    return value


@store_command("trace")
@ID
@click.option(
    "--replay",
    "speed",
    type=float,
    metavar="SPEED",
    callback=_to_speed,
    help="With the pauses that were between events: 1 as it was, 10 ten times as fast.",
)
@click.option("--check", is_flag=True, help="Prove the trace by the marks in turn_end entries.")
def command(settings: Settings, text: str, speed: float | None, check: bool) -> None:
    """
    Print, replay or prove the trace of a session, the events of its stream.

    Exit code 1 if a line of it cannot be read; with --check, if a mark does not hold.

    JSON, one line each: {ts, turn, kind, label, data}; with --check one document:
    {session_id, ok, unproven, marks: [{seq, turn_count, length, blake3, ok}]}
    """
    if check and speed is not None:
        raise Failure("--check and --replay are two things", USAGE)
    with settings.open() as store:
        session_id = find_session(store, text)
        if check:
            _check(store, session_id, is_json=settings.is_json)
            return
        if speed is not None:
            for entry in blocking.replay_trace(store, session_id, speed=speed):
                _print(entry, is_json=settings.is_json)
                flush()
        reader = blocking.TraceReader(store, session_id)
        for entry in reader.entries():
            if speed is None:
                _print(entry, is_json=settings.is_json)
    _complain_of(reader.damage)


def _complain_of(damage: list[Corrupt]) -> None:
    for error in damage[:10]:
        complain("error", str(error))
    if len(damage) > 10:
        complain("error", f"{len(damage) - 10} more lines of the trace cannot be read")
    quit_with(NEGATIVE if damage else 0)


def _print(entry: TraceEntry, *, is_json: bool) -> None:
    if is_json:
        label, data = from_log(entry.label), from_log(entry.data)
        shown = {"ts": from_log(entry.ts), "turn": from_log(entry.turn), "kind": entry.kind}
        emit_json({**shown, "label": label, "data": data})
        return
    head = f"{timestamp(entry.ts)[11:]}.{entry.ts % 1000:03}  {entry.turn:>3}  "
    what = {"lifecycle": entry.label or "", "dropped": "dropped events:"}.get(entry.kind, "")
    told = escape(f"{what} {compact(entry.data)[:_DATA_CHARS]}".strip())
    emit(paint(head, dim=True) + shorten(told, max(columns() - len(head), 12)))


def _check(store: blocking.Store, session_id: SessionId, *, is_json: bool) -> None:
    marks = list(_marks(store, session_id))
    size = _measure(store, session_id, marks)
    proven = max((mark.length for mark in marks if mark.holds), default=0)
    failed = [mark for mark in marks if not mark.holds]
    if is_json:
        shown = [_mark_json(mark) for mark in marks]
        document = {"session_id": session_id, "ok": not failed, "unproven": size - proven}
        emit_json({**document, "marks": shown})
    else:
        for mark in marks:
            word = paint("proven", "green") if mark.holds else paint("NOT PROVEN", "red")
            emit(
                f"{word}  turn {escape(str(mark.turn_count))}, seq {mark.seq}: {mark.length} bytes"
            )
        if not marks:
            emit("no turn_end carries a mark: nothing to prove")
        if size > proven:
            emit(f"{size - proven} of {size} bytes stand behind the last mark that holds")
    quit_with(NEGATIVE if failed else 0)


def _marks(store: blocking.Store, session_id: SessionId) -> Iterator[Mark]:
    for entry in blocking.read_entries(store, session_id):
        mark = None if entry.body is None else entry.body.get("trace")
        if entry.kind != "turn_end" or not isinstance(mark, dict) or entry.body is None:
            continue
        length, digest = mark.get("length"), mark.get("blake3")
        if type(length) is int and length >= 0 and isinstance(digest, str):
            yield Mark(entry.seq, entry.body.get("turn_count"), length, digest)


def _measure(store: blocking.Store, session_id: SessionId, marks: list[Mark]) -> int:
    """Say of each mark whether it holds, in one pass over the trace; return its size."""
    waiting = sorted(marks, key=lambda mark: mark.length, reverse=True)
    hasher, at = blake3(), 0
    # The empty piece is for marks of length 0, which a session without a trace can have.
    for data in chain([b""], store.read_trace(session_id)):
        begin = 0
        while waiting and waiting[-1].length <= at + len(data):
            mark = waiting.pop()
            hasher.update(data[begin : mark.length - at])
            begin = mark.length - at
            mark.holds = hasher.hexdigest() == mark.digest
        hasher.update(data[begin:])
        at += len(data)
    return at


def _mark_json(mark: Mark) -> Json:
    return {
        "seq": mark.seq,
        "turn_count": from_log(mark.turn_count),
        "length": from_log(mark.length),
        "blake3": from_log(mark.digest),
        "ok": mark.holds,
    }
