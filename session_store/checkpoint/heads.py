"""
Head memory: what was last seen of each session, so that a roll-back or a loss is noticed.

A memory that lies in its store goes back together with it; one elsewhere does not.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ..chain import SAFE_INT_MAX
from ..entries import EntryHash, Position
from ..errors import UnsafePath, Unsupported
from ..ids import SessionId, parse_session_id
from .merkle import HASH_SIZE

_VERSION = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS heads (
    store TEXT NOT NULL, session TEXT NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (store, session)
) WITHOUT ROWID
"""
_REMEMBER = (
    "INSERT INTO heads VALUES (?, ?, ?, ?) ON CONFLICT (store, session)"
    " DO UPDATE SET seq = excluded.seq, hash = excluded.hash"
)
_FORWARD = _REMEMBER + " WHERE excluded.seq > heads.seq"
_TIMEOUT_S = 10.0
_PAGE = 1_000


class HeadMemory:
    """
    The heads last seen of one store's sessions; one file may serve many stores.

    Args:
        path: A SQLite file, made (mode 0600) when something is first remembered.
        store_id: Of the store.
        shared_group: Make the file for the group, too (mode 0660).

    Raises:
        UnsafePath: From every call: it is no SQLite file, or SQLite cannot work with it.
        Unsupported: The same: another version made it.

    Concurrency: any threads, any processes, also across os.fork: every call opens the file anew.
    """

    def __init__(self, path: str | Path, store_id: str, *, shared_group: bool = False) -> None:
        self.path = Path(path)
        self._shared_group = shared_group
        self._store_id = store_id

    def seen(self, session_id: SessionId) -> Position | None:
        """Return the head last seen of a session, None if none was."""
        with self._reading() as db:
            if db is None:
                return None
            query = "SELECT seq, hash FROM heads WHERE store = ? AND session = ?"
            row = db.execute(query, (self._store_id, session_id)).fetchone()
        return None if row is None else self._head(session_id, *row)

    def sessions(self) -> Iterator[Position]:
        """Give all heads, sorted by session, in pages."""
        after = ""
        query = (
            "SELECT session, seq, hash FROM heads WHERE store = ? AND session > ?"
            " ORDER BY session LIMIT ?"
        )
        while True:
            with self._reading() as db:
                if db is None:
                    return
                rows = db.execute(query, (self._store_id, after, _PAGE)).fetchall()
            for row in rows:
                yield self._head(*row)
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    def remember(self, heads: Iterable[Position], *, also_back: bool = False) -> None:
        """
        Remember *heads*; one that is behind what is remembered changes nothing.

        Args:
            also_back: Take it for the truth all the same.

        Durability: on disk.
        """
        rows = [(self._store_id, one.session_id, one.seq, one.hash) for one in heads]
        if not rows:
            return
        with self._writing() as db:
            db.executemany(_REMEMBER if also_back else _FORWARD, rows)

    def forget(self, session_id: SessionId) -> None:
        """Forget a session, which was deleted as it should be."""
        query = "DELETE FROM heads WHERE store = ? AND session = ?"
        with self._writing() as db:
            db.execute(query, (self._store_id, session_id))

    def _head(self, session: Any, seq: Any, hash_: Any) -> Position:
        """Return the head that a row says; what else may stand in a file was not put there by us."""
        try:
            is_hash = isinstance(hash_, bytes) and len(hash_) == HASH_SIZE
            if is_hash and isinstance(seq, int) and 0 <= seq <= SAFE_INT_MAX:
                return Position(parse_session_id(str(session)), seq, EntryHash(hash_))
            why = "a row is no head"
        except ValueError as error:
            why = f"a row is no head: {error}"
        raise UnsafePath(str(self.path), f"is of no use as head memory ({why})")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        if not self.path.exists():
            yield None
            return
        # Not mode=ro: a journal that a crash left must be played back first.
        with self._open() as db:
            yield db if self._version(db) else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        # SQLite makes files readable for all, and its journals with the rights of the file.
        if not self.path.exists():
            self.path.touch(mode=0o600)
            if self._shared_group:
                self.path.chmod(0o660)
        with self._open() as db, db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            if not self._version(db):
                db.execute(_TABLE)
                db.execute(f"PRAGMA user_version = {_VERSION}")
            yield db

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=_TIMEOUT_S)) as db:
                yield db
        except sqlite3.Error as error:
            raise UnsafePath(str(self.path), f"is of no use as head memory ({error})") from error

    def _version(self, db: sqlite3.Connection) -> int:
        (found,) = db.execute("PRAGMA user_version").fetchone()
        if found not in (0, _VERSION):
            raise Unsupported(str(self.path), found=found, supported=_VERSION)
        return int(found)
