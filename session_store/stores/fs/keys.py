"""External keys: `namespace:id` of another system -> the session that stands for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...errors import AlreadyExists, InvalidId
from ...ids import SessionId, parse_session_id
from . import layout
from .directories import ensure_directory
from .files import Files
from .quarantine import write_all


def find_key(files: Files, key: str) -> SessionId | None:
    """Return the id that *key* names, born or not."""
    path = layout.key_path(key)
    if not files.exists(path):
        return None
    file = files.open(path)
    try:
        return parse_session_id(files.read(file, 64, 0).decode("ascii", "replace"))
    except InvalidId:
        return None


@contextmanager
def claim_key(
    files: Files,
    key: str,
    session_id: SessionId,
    *,
    is_born: Callable[[SessionId], bool],
    wait: Callable[[Callable[[], bool]], None],
) -> Iterator[None]:
    """
    Give *key* to *session_id*, and keep others from it until the session is born.

    Args:
        wait: Called with an attempt that returns whether the lock was free.

    Raises:
        AlreadyExists: It names another session, which is born.

    If the body raises AlreadyExists, the key is not given to the session that was there.

    Durability: on disk before the session can be born.
    """
    ensure_directory(files, layout.KEYS)
    lock = files.open(f"{layout.KEYS}/lock", write=True, create=True)
    try:  # From here: an interrupt may come as soon as the lock is taken.
        wait(lambda: files.try_lock(lock))
        holder = find_key(files, key)
        if holder == session_id:
            yield
            return
        if holder is not None and is_born(holder):
            raise AlreadyExists(f"key {key!r} names session {holder}", session_id=holder)
        path = layout.key_path(key)
        if is_born(session_id):  # Who makes it finds its own drafts, or what is in the way.
            yield
            _name(files, path, session_id)
            return
        # Under the lock nobody else claims, and the holder was never born: it may be taken over.
        _name(files, path, session_id)
        try:
            yield
        except AlreadyExists:  # Born meanwhile, by somebody who asked for no key.
            files.unlink(path)
            files.sync_directory(layout.KEYS)
            raise
    finally:
        files.unlock(lock)


def _name(files: Files, path: str, session_id: SessionId) -> None:
    temp = path + layout.TEMP_SUFFIX
    files.unlink(temp)
    file = files.open(temp, write=True, create=True)
    write_all(files, file, session_id.encode())
    files.sync(file)
    files.rename(temp, path)
    files.sync_directory(layout.KEYS)
