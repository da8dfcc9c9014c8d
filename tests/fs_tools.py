"""What the tests of the file store are written with: small drafts, small logs, one step back."""

from itertools import count
from os import urandom
from pathlib import Path
from time import time_ns

from session_store.chain import Draft
from session_store.codec import draft
from session_store.entries import Extension, Position, SessionStart
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files
from session_store.stores.memory import MemoryFiles

_numbers = count(1_000_000)  # All of one length: what is written twice is as long as before.


def note(payload: object = None) -> Draft:
    """Return a draft like no other; *payload* is for people."""
    return draft(Extension("test", next(_numbers) if payload is None else payload), urandom(16))


def start(session_id: SessionId, parent: Position | None = None) -> list[Draft]:
    forked_from = None if parent is None else parent.to_json()
    return [draft(SessionStart(session_id, forked_from=forked_from), urandom(16))]


def store(root: Path, **options: object) -> FsCore:
    return FsCore(Files(root), **options)


def born(core: FsCore, appends: int = 0, **options: object) -> SessionId:
    """Make a session of one append and *appends* more."""
    session_id = new_session_id()
    core.create(session_id, start(session_id), **options)
    for _ in range(appends):
        core.append(session_id, [note()], expected=ANY)
    return session_id


def fork(core: FsCore, parent: Position) -> SessionId:
    child = new_session_id()
    core.create(child, start(child, parent), parent=parent)
    return child


def log_of(core: FsCore, session_id: SessionId) -> Path:
    return Path(core.files.name(layout.log_path(session_id)))


def log_bytes(files: MemoryFiles, session_id: SessionId) -> bytearray:
    """Return the bytes of a log on a file system in memory: what is changed in them is harm."""
    with files.frozen_names() as (nodes, _):
        return nodes[layout.log_path(session_id)].data


def records(core: FsCore, session_id: SessionId, begin: int = 0) -> list:
    return [record for batch in core.read(session_id, begin) for record in batch]


def kinds(core: FsCore, session_id: SessionId) -> list[str]:
    return [record.kind for record in records(core, session_id)]


def bodies(core: FsCore, session_id: SessionId) -> list[bytes]:
    return [record.body for record in records(core, session_id)]


def let_time_pass() -> None:
    """Return in a later millisecond, so that what is written again gets other bytes."""
    now = time_ns() // 1_000_000
    while time_ns() // 1_000_000 == now:
        pass


def tree(root: Path) -> dict[str, bytes]:
    """Return every file below *root* with its bytes."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
