"""`session-store follow`."""

import click

from .log import print_record
from .naming import ID, find_session
from .output import flush
from .settings import Settings, store_command


@store_command("follow")
@ID
@click.option(
    "--from",
    "start",
    type=click.IntRange(0),
    metavar="SEQ",
    help="Begin at this entry; without it, at what is appended next.",
)
def command(settings: Settings, text: str, start: int | None) -> None:
    """
    Print entries as they are appended, until Ctrl-C.

    JSON, one line each, as `log --json`.
    """
    with settings.open() as store:
        session_id = find_session(store, text)
        if start is None:
            start = store.head(session_id).seq + 1
        for batch in store.follow(session_id, start):
            for record in batch:
                print_record(record, session_id, is_json=settings.is_json)
            flush()
