"""`session-store repair`."""

from ..entries import Json
from ..stores.protocol import Repair
from .naming import ID, find_session
from .output import emit, emit_json, size_text
from .settings import Settings, store_command
from .text import escape


@store_command("repair")
@ID
def command(settings: Settings, text: str) -> None:
    """
    Cut a damaged log at its first damage; what is cut is kept in quarantine.

    A `recovery` entry records it. To keep what stands behind the damage, `salvage`
    first.

    JSON: {session_id, cut_at, removed, quarantine, head}
    """
    with settings.open() as store:
        session_id = find_session(store, text)
        done = store.repair(session_id)
    if settings.is_json:
        emit_json({"session_id": session_id, **_json(done)})
        return
    emit(_told(done))
    if done.quarantine:
        emit(f"kept as {escape(done.quarantine)}")
    if done.cut_at is not None or done.quarantine:
        emit(f"head {done.head.seq}:{done.head.hash.hex()}")


def _told(done: Repair) -> str:
    if done.cut_at is not None and done.quarantine:
        return f"cut at byte {done.cut_at}, {size_text(done.removed)} taken out"
    if done.cut_at is not None:
        return f"put back the line end at byte {done.cut_at}"
    if done.quarantine:
        return "the log holds; its pending mark did not and was taken out"
    return "nothing to repair"


def _json(done: Repair) -> dict[str, Json]:
    return {
        "cut_at": done.cut_at,
        "removed": done.removed,
        "quarantine": done.quarantine,
        "head": done.head.to_json(),
    }
