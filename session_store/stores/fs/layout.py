"""Where everything of a store lies below its root: design in docs/DESIGN.md, logs in docs/FORMAT.md §2."""

from datetime import UTC, datetime

from blake3 import blake3

from ...ids import SessionId, id_ts_ms

STORE = "store.json"
SESSIONS = "sessions"
FORKS = "forks"
FORKS_COMPLETE = "forks/complete"
KEYS = "keys"
PENDING = "pending"
QUARANTINE = "quarantine"
TOMBSTONES = "tombstones.jsonl"
HEADS = "heads.db"

LOG_SUFFIX = ".jsonl"
TRACE_SUFFIX = ".trace.jsonl"
TEMP_SUFFIX = ".tmp"


def hour_directory(session_id: SessionId) -> str:
    """Return the directory of the session's log: the UTC day and hour in its id."""
    # An id may carry any 48 bits of time; datetime ends with the year 9999.
    seconds = min(id_ts_ms(session_id) // 1000, 253_402_300_799)
    time = datetime.fromtimestamp(seconds, UTC)
    # A fifth of the time that a format for strftime takes.
    return f"{SESSIONS}/{time.year}-{time.month:02}-{time.day:02}/{time.hour:02}"


def log_path(session_id: SessionId) -> str:
    return f"{hour_directory(session_id)}/{session_id}{LOG_SUFFIX}"


def trace_path(session_id: SessionId) -> str:
    return f"{hour_directory(session_id)}/{session_id}{TRACE_SUFFIX}"


def temp_path(session_id: SessionId) -> str:
    """Return where a log is put together before it takes its place."""
    return f"{hour_directory(session_id)}/{session_id}{TEMP_SUFFIX}"


def marker_path(parent: SessionId, child: SessionId) -> str:
    return f"{FORKS}/{parent}/{child}"


def pending_path(session_id: SessionId) -> str:
    return f"{PENDING}/{session_id}"


def key_path(key: str) -> str:
    """Return the file of an external key; the key itself never becomes a name."""
    return f"{KEYS}/{blake3(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def quarantine_path(session_id: SessionId, offset: int, digest: str) -> str:
    """Return where bytes cut out of a log at *offset* are kept; *digest* is their BLAKE3."""
    return f"{QUARANTINE}/{session_id}-{offset}-{digest[:16]}"


def parents(path: str) -> list[str]:
    """Return the directories above *path*, the nearest first, the root ("") last."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:n]) for n in range(len(parts), -1, -1)]
