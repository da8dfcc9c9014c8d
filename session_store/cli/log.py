"""`session-store log`."""

import click
import orjson

from ..chain import Record
from ..codec import decode_body, hashed_entry
from ..ids import SessionId
from .naming import ID, find_session
from .output import columns, emit, emit_json, paint, timestamp
from .readable import summary
from .settings import Settings, store_command
from .text import escape, pad, shorten

_SUMMARY_CHARS = 1000


@store_command("log")
@ID
@click.option("--from", "start", type=click.IntRange(0), default=0, metavar="SEQ")
@click.option("--to", "last", type=click.IntRange(0), metavar="SEQ", help="The last one listed.")
def command(settings: Settings, text: str, start: int, last: int | None) -> None:
    """
    List the entries of a session's own log, verified.

    A fork's log begins where its parent was left; `show` has both. A `+` marks an
    entry whose append goes on with the next one.

    JSON, one line each: {session_id, seq, hash, ts, kind, batch, prev_hash,
    withheld, body}; the body as it is stored.
    """
    with settings.open() as store:
        session_id = find_session(store, text)
        stop = None if last is None else last + 1
        for batch in store.read(session_id, start, stop):
            for record in batch:
                print_record(record, session_id, is_json=settings.is_json)


def print_record(record: Record, session_id: SessionId, *, is_json: bool) -> None:
    """
    Print one line for a checked *record*.

    Raises:
        Corrupt: Its body is not a JSON object.
    """
    if is_json:
        decode_body(record, session_id)
        emit_json(
            {
                "session_id": session_id,
                "seq": record.seq,
                "hash": record.hash.hex(),
                "ts": record.ts,
                "kind": record.kind,
                "batch": record.batch,
                "prev_hash": record.prev_hash.hex(),
                "withheld": record.withheld,
                "body": None if record.body is None else orjson.Fragment(record.body),
            }
        )
        return
    head = f"{record.seq:>5}{'+' if record.batch else ' '} {timestamp(record.ts)[5:]}  "
    kind = pad(escape(record.kind), 15)
    said = summary(hashed_entry(record, session_id, session_id))[:_SUMMARY_CHARS]
    said = escape(" ".join(said.split()))
    room = max(columns() - len(head) - len(kind) - 2, 12)
    emit(f"{paint(head, dim=True)}{paint(kind, 'cyan')}  {shorten(said, room)}".rstrip())
