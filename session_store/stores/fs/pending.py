"""
Pending marks: what an interrupted recovery, repair, failed sync or delete left to do.

Rules of this module:
  * A mark is replaced atomically: temp file, fsync, rename, fsync of the directory.
  * A job holds all that a redo needs; whoever takes the append lock looks here first.
  * A job is removed only when what it stands for is on disk.
  * A mark carries its digest: what rotted is refused, never done.
"""

from collections.abc import Iterable, Mapping, Sequence

import orjson
from blake3 import blake3

from ...chain import Draft
from ...entries import Json
from ...errors import Corrupt
from ...ids import SessionId
from . import layout
from .directories import ensure_directory
from .files import Files
from .quarantine import write_all

Job = Mapping[str, Json]


def load(files: Files, session_id: SessionId) -> list[Job]:
    """
    Return the jobs of the session, oldest first.

    Raises:
        Corrupt: The mark is not what this program writes.
    """
    path = layout.pending_path(session_id)
    if not files.exists(path):
        return []
    try:
        file = files.open(path)
    except FileNotFoundError:  # Finished in between.
        return []
    try:
        mark = orjson.loads(files.read(file, files.size(file), 0))
        if mark != _mark(mark["jobs"]):
            raise ValueError("its digest does not hold")
    except (ValueError, KeyError, TypeError) as error:
        why = "not a pending mark as it was written; `repair` keeps it and checks the log anew"
        raise Corrupt(files.name(path), line=1, offset=0, seq=0, why=why) from error
    return list(mark["jobs"])


def _mark(jobs: Sequence[Job]) -> Mapping[str, Json]:
    return {"jobs": list(jobs), "blake3": blake3(orjson.dumps(jobs)).hexdigest()}


def save(files: Files, session_id: SessionId, jobs: Sequence[Job]) -> None:
    """
    Put *jobs* in the place of the session's mark; none removes it.

    Durability: on disk.
    """
    path = layout.pending_path(session_id)
    if jobs:
        ensure_directory(files, layout.PENDING)
        temp = path + layout.TEMP_SUFFIX
        files.unlink(temp)
        file = files.open(temp, write=True, create=True)
        write_all(files, file, orjson.dumps(_mark(jobs)))
        files.sync(file)
        files.rename(temp, path)
    elif not files.unlink(path):
        return
    files.sync_directory(layout.PENDING)


def drafts_to_json(drafts: Iterable[Draft]) -> list[Json]:
    """Return ready drafts in the form that a job keeps."""
    return [[d.kind, d.body.decode(), d.salt.decode(), d.digest.decode()] for d in drafts]


def drafts_from_json(rows: Iterable[Sequence[str]]) -> list[Draft]:
    """Return the drafts that a job kept, with their old salts: a redo is a retry."""
    return [
        Draft(kind, body.encode(), salt.encode(), digest.encode())
        for kind, body, salt, digest in rows
    ]
