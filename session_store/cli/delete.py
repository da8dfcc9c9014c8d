"""`session-store delete`."""

import sys

import click

from .. import blocking
from ..errors import HasForks
from .failures import USAGE, Failure
from .naming import ID, find_session
from .output import counted, emit, emit_json
from .settings import Settings, store_command


@store_command("delete")
@ID
@click.option("--with-forks", is_flag=True, help="Delete the forks that live on it too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(settings: Settings, text: str, with_forks: bool, yes: bool) -> None:
    """
    Delete a session: log, trace, quarantine. Its id is never used again.

    JSON: {"deleted": [session_id]}
    """
    with settings.open() as store:
        session_id = find_session(store, text)
        below = blocking.descendants(store, session_id)
        if below and not with_forks:
            raise HasForks(session_id, children=below)
        if not yes:
            _ask(f"Delete {session_id}" + (f" and {counted(len(below), 'fork')}" if below else ""))
        deleted = blocking.delete(store, session_id, with_forks=with_forks)
    if settings.is_json:
        emit_json({"deleted": deleted})
    else:
        for one in deleted:
            emit(f"deleted {one}")


def _ask(question: str) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise Failure("deleting wants --yes where nobody can be asked", USAGE)
    click.confirm(f"{question}?", abort=True, err=True)
