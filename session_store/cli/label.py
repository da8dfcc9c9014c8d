"""`session-store label`."""

from collections.abc import Sequence

import click

from .. import blocking
from .naming import ID, find_session, parse_labels
from .output import emit, emit_json, from_log, label_text
from .settings import Settings, store_command


@store_command("label")
@ID
@click.argument("labels", metavar="K=V...", nargs=-1, required=True)
def command(settings: Settings, text: str, labels: Sequence[str]) -> None:
    """
    Set labels; K= takes one away. Prints the labels that it has then.

    JSON: {session_id, labels}
    """
    changes = parse_labels(labels)
    with settings.open() as store:
        session = blocking.open_session(store, find_session(store, text))
        session.save_labels(changes)
        state = blocking.restore(store, session.id)
    if settings.is_json:
        emit_json({"session_id": session.id, "labels": from_log(state.labels)})
    else:
        for name, value in state.labels.items():
            emit(label_text({name: value}))
