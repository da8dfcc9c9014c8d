"""`session-store fork`."""

from collections.abc import Sequence

import click

from .. import blocking
from ..session.points import Point
from .naming import AT, ID, find_session, parse_labels
from .output import emit, emit_json
from .settings import Settings, store_command


@store_command("fork")
@ID
@AT
@click.option("--label", "labels", multiple=True, metavar="K=V", help="May be given many times.")
@click.option("--copy", is_flag=True, help="Make a log that stands by itself.")
def command(
    settings: Settings,
    text: str,
    at: Point | None,
    labels: Sequence[str],
    copy: bool,
) -> None:
    """
    Begin a session that continues another one, and print its id.

    Without --at it continues at the head. The source is not changed.

    JSON: {session_id, forked_from, head}
    """
    wanted = parse_labels(labels)
    with settings.open() as store:
        source = find_session(store, text)
        child = blocking.fork_at(store, source, at, labels=wanted, copy=copy)
        origin = blocking.origin(store, child.id).forked_from
    if settings.is_json:
        emit_json(
            {
                "session_id": child.id,
                "forked_from": None if origin is None else origin.to_json(),
                "head": child.head.to_json(),
            }
        )
    else:
        emit(child.id)
