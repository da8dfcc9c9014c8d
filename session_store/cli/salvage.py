"""`session-store salvage`."""

from .. import blocking
from ..session.salvaging import SALVAGED
from .naming import ID, find_session, size_of
from .output import emit, emit_json
from .progress import counting
from .settings import Settings, store_command


@store_command("salvage")
@ID
def command(settings: Settings, text: str) -> None:
    """
    Copy what is readable of a damaged session into a new one, and print its id.

    The original is not changed. Extensions of the domain session_store.salvaged
    say what was left out.

    JSON: {session_id, salvaged_from, head, left_out}
    """
    with settings.open() as store:
        source = find_session(store, text)
        with counting(store, "salvaging", size_of(store, source)) as read:
            session = blocking.salvage(read, source)
        state = blocking.restore(store, session.id)
    left_out = sum(domain == SALVAGED for domain, _ in state.extensions)
    if settings.is_json:
        emit_json(
            {
                "session_id": session.id,
                "salvaged_from": source,
                "head": session.head.to_json(),
                "left_out": left_out,
            }
        )
    else:
        emit(session.id)
