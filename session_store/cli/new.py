"""`session-store new`."""

from collections.abc import Sequence

import click

from .. import blocking
from ..entries import Json, SessionStartState
from ..errors import AlreadyExists
from ..values import parse_outside
from .failures import NEGATIVE, USAGE, Failure
from .naming import parse_labels
from .output import emit, emit_json
from .settings import Settings, store_command


@store_command("new")
@click.option("--system-prompt", metavar="TEXT")
@click.option("--config", metavar="JSON", help="A JSON object, kept as given.")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="May be given many times.")
@click.option("--key", metavar="KEY", help="An external key; `ls --key` finds the session by it.")
def command(
    settings: Settings,
    system_prompt: str | None,
    config: str | None,
    labels: Sequence[str],
    key: str | None,
) -> None:
    """
    Begin a session, and print its id. Makes the store if there is none.

    JSON: {session_id, head}
    """
    start = SessionStartState(
        system_prompt,
        None if config is None else _parse_config(config),
        labels={name: value for name, value in parse_labels(labels).items() if value is not None},
    )
    with settings.open(create=True) as store:
        try:
            session = blocking.create_session(store, start, key=key)
        except AlreadyExists as error:
            what = f"key {key!r} is taken by session {error.session_id}"
            raise Failure(what, NEGATIVE) from error
    if settings.is_json:
        emit_json({"session_id": session.id, "head": session.head.to_json()})
    else:
        emit(session.id)


def _parse_config(text: str) -> Json:
    config = parse_outside(text.encode("utf-8", "surrogateescape"), source="--config")
    if not isinstance(config, dict):
        raise Failure("--config is not a JSON object", USAGE)
    return config
