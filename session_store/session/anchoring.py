"""Anchors: copies of signed heads in a directory, and in the history of a git repository."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from ..checkpoint.audit import Sealed
from ..checkpoint.inventory import Inventory, parse_inventory
from ..checkpoint.note import STORE_ORIGIN, Checkpoint, parse_checkpoint, parse_note
from ..errors import InvalidProof, NotAnExtension, SessionStoreError
from ..ids import SessionId
from .keyfiles import write_new

SUFFIX = ".checkpoint"
HEADS_SUFFIX = ".heads"
_GIT_TIMEOUT_S = 60
_GIT_PLACES = frozenset(
    f"GIT_{name}"
    for name in ("DIR", "WORK_TREE", "INDEX_FILE", "PREFIX", "COMMON_DIR", "OBJECT_DIRECTORY")
)


class GitFailed(SessionStoreError):
    """git is not there, or refused; the anchor is in the directory, but in no commit."""


def anchor_name(session_id: SessionId) -> str:
    return session_id + SUFFIX


def anchor_seal(directory: str | Path, session_id: SessionId, sealed: Sealed) -> Path:
    """
    Keep a seal in *directory* as `<session id>.checkpoint`; return where.

    That a longer one continues what is there, only the log can tell: `seal` wants it as *after*.

    Raises:
        NotAnExtension: There is one of more records, or another of as many. It was not touched.
        InvalidProof: What is there is no checkpoint of the session. The same.

    Durability: on disk.
    """
    path = Path(directory) / anchor_name(session_id)
    checkpoint = parse_checkpoint(parse_note(sealed.note).text)
    there = anchored(directory, session_id)
    if there is not None:
        is_another = there.size == checkpoint.size and there.root != checkpoint.root
        if there.size > checkpoint.size or is_another:
            raise NotAnExtension(session_id, seen=f"the {there.size} records in {path}")
    write_new(path, sealed.note.encode(), replace=True)
    return path


def anchored(directory: str | Path, session_id: SessionId) -> Checkpoint | None:
    """
    Return the head that is kept in *directory*, believed by nobody yet; None if there is none.

    Raises:
        InvalidProof: What is there is no checkpoint of this session.
    """
    path = Path(directory) / anchor_name(session_id)
    with suppress(FileNotFoundError):
        checkpoint = parse_checkpoint(parse_note(path.read_bytes()).text)
        if checkpoint.session_id != session_id:
            raise InvalidProof(f"{path}: a checkpoint of session {checkpoint.session_id}")
        return checkpoint
    return None


def anchor_heads(directory: str | Path, inventory: Inventory) -> Path:
    """
    Keep the signed heads of a store in *directory* as `<store id>.heads`; return where.

    That they continue those that are there, only the store can tell: `sign_store` wants them as
    *after*.

    Durability: on disk.
    """
    origin = parse_checkpoint(inventory.note.text).origin
    store_id = origin.removeprefix(STORE_ORIGIN).partition("/")[0]
    path = Path(directory) / (store_id + HEADS_SUFFIX)
    write_new(path, str(inventory).encode(), replace=True)
    return path


def anchored_heads(directory: str | Path, store_id: str) -> Inventory | None:
    """
    Return the signed heads that are kept in *directory*, believed by nobody yet; None if there are none.

    Raises:
        InvalidProof: What is there are no signed heads.
    """
    path = Path(directory) / (store_id + HEADS_SUFFIX)
    with suppress(FileNotFoundError):
        return parse_inventory(path.read_bytes().decode("utf-8", "replace"))
    return None


def commit(paths: list[Path]) -> None:
    """
    Commit *paths*, all in one directory of a git work tree, and nothing else.

    Raises:
        GitFailed: git is not there, or refused.
    """
    names = [path.name for path in paths]
    directory = paths[0].parent
    _git(directory, "add", "--", *names)
    if _git(directory, "status", "--porcelain", "--", *names):
        what = names[0] if len(names) == 1 else f"{len(names)} sessions"
        _git(directory, "commit", "--quiet", "--message", f"Anchor {what}", "--", *names)


def _git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), *arguments]
    # A hook's git says by its environment which repository and which index are meant: its own.
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_PLACES}
    try:
        done = subprocess.run(  # noqa: S603 - of names that are ids, in a directory of the caller's
            command,
            capture_output=True,
            timeout=_GIT_TIMEOUT_S,
            check=False,
            encoding="utf-8",
            env=environment,
        )
    except FileNotFoundError as error:
        raise GitFailed("git is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise GitFailed(f"git {arguments[0]} did not end in {_GIT_TIMEOUT_S} s") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise GitFailed(f"git {arguments[0]} failed: {said[-1]}")
    return done.stdout
