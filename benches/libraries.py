"""
The peers, each behind the same three calls.

A peer that is not installed is left out, and said so. Each states what it makes
sure of when an append returns; SQLite is asked, not believed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from attrs import define, field, frozen

from .harness import Turn, each, each_awaited, together

Item = Mapping[str, Any]

SQLITE = "sqlite3, WAL, FULL"
JSON_LINES = "json.dumps + append + fsync"
OPENAI = "openai-agents SQLiteSession"
OPENAI_ADVANCED = "openai-agents AdvancedSQLiteSession"
LANGGRAPH = "langgraph AsyncSqliteSaver"
ARCAEON = "arcaeon-ledger"
EVENTSOURCING = "eventsourcing, sqlite"
CLAUDE = "claude-agent-sdk"

SESSION_LIBRARIES = (OPENAI, OPENAI_ADVANCED, LANGGRAPH)
"""Those that keep agents' sessions and append to them."""


class Peer(Protocol):
    """One history in a peer's store."""

    durability: str

    def append_each(self, items: Sequence[Item]) -> Turn:
        """Append *items* one by one, each as durable as the peer makes it."""

    def fill(self, items: Sequence[Item]) -> object:
        """Write a whole history, however is quickest."""

    def load(self) -> object:
        """Return the whole history, parsed."""

    def close(self) -> object: ...


@runtime_checkable
class AsyncPeer(Protocol):
    """A peer for asyncio code."""

    def append_together(self, items: Sequence[Sequence[Item]]) -> Turn:
        """Let a task for each sequence append its items one by one, each durable."""


@frozen
class Peers:
    """
    Those that are installed, and those that are not.

    Attributes:
        absent: Name and reason.
    """

    there: Mapping[str, Peer]
    absent: Mapping[str, str]


def open_peers(root: Path, names: Sequence[str]) -> Peers:
    """Open the peers of these *names* below *root*."""
    there: dict[str, Peer] = {}
    absent: dict[str, str] = {}
    for number, name in enumerate(names):
        place = root / str(number)
        place.mkdir(parents=True)
        try:
            there[name] = _MAKERS[name](place)
        except ImportError:
            absent[name] = "not installed"
    return Peers(there, absent)


@define
class _Sqlite:
    """The least that a session in SQLite needs: a floor for those that are built on it."""

    _db: sqlite3.Connection
    durability: str = "WAL, synchronous=FULL"

    def append_each(self, items: Sequence[Item]) -> Turn:
        return each(self._append, items)

    def _append(self, item: Item) -> None:
        text = json.dumps(item)
        with self._db:
            self._db.execute("INSERT INTO items (session, body) VALUES ('one', ?)", (text,))

    def fill(self, items: Sequence[Item]) -> None:
        rows = [(json.dumps(item),) for item in items]
        with self._db:
            self._db.executemany("INSERT INTO items (session, body) VALUES ('one', ?)", rows)

    def load(self) -> list[Any]:
        query = "SELECT body FROM items WHERE session = 'one' ORDER BY id"
        return [json.loads(body) for (body,) in self._db.execute(query)]

    def close(self) -> None:
        self._db.close()


def _sqlite(root: Path) -> _Sqlite:
    db = sqlite3.connect(root / "items.db")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, session TEXT, body TEXT)")
    db.execute("CREATE INDEX by_session ON items (session, id)")
    db.commit()
    return _Sqlite(db)


@define
class _JsonLines:
    """What everybody writes first; no lock, no check."""

    path: Path
    durability: str = "fsync"

    def append_each(self, items: Sequence[Item]) -> Turn:
        return each(self._append, items)

    def _append(self, item: Item) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(item) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def fill(self, items: Sequence[Item]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(item) + "\n" for item in items)

    def load(self) -> list[Any]:
        with self.path.open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def close(self) -> None: ...


@define
class _OpenAi:
    """The coroutines of the session run on a loop of their own."""

    _runner: asyncio.Runner
    _session: Any
    durability: str

    def append_each(self, items: Sequence[Item]) -> Turn:
        lists = [[dict(item)] for item in items]
        return self._runner.run(each_awaited(self._session.add_items, lists))

    def append_together(self, items: Sequence[Sequence[Item]]) -> Turn:
        lists = [[[dict(item)] for item in some] for some in items]
        return self._runner.run(together(lambda _, some: self._session.add_items(some), lists))

    def fill(self, items: Sequence[Item]) -> None:
        self._runner.run(self._session.add_items([dict(item) for item in items]))

    def load(self) -> object:
        return self._runner.run(self._session.get_items())

    def close(self) -> None:
        self._session.close()
        self._runner.close()


def _openai(root: Path) -> _OpenAi:
    from agents import SQLiteSession  # noqa: PLC0415 - a peer may be missing

    path = root / "agents.db"
    return _OpenAi(asyncio.Runner(), SQLiteSession("one", path), _asked(path))


def _openai_advanced(root: Path) -> _OpenAi:
    from agents.extensions.memory import AdvancedSQLiteSession  # noqa: PLC0415 - the same

    path = root / "agents.db"
    session = AdvancedSQLiteSession(session_id="one", db_path=path, create_tables=True)
    return _OpenAi(asyncio.Runner(), session, _asked(path))


@define
class _LangGraph:
    """Checkpoints of one thread, the history as one channel of them."""

    _runner: asyncio.Runner
    _saver: Any
    _manager: Any
    _version: int = 0
    durability: str = "WAL, synchronous=FULL"

    def append_each(self, items: Sequence[Item]) -> Turn:
        """Put checkpoints that hold one item; those of a graph hold the whole history each time."""
        return self._runner.run(each_awaited(self._put, [[dict(item)] for item in items]))

    def append_together(self, items: Sequence[Sequence[Item]]) -> Turn:
        lists = [[[dict(item)] for item in some] for some in items]
        return self._runner.run(together(lambda _, some: self._put(some), lists))

    def fill(self, items: Sequence[Item]) -> None:
        self._runner.run(self._put([dict(item) for item in items]))

    async def _put(self, items: list[dict[str, Any]]) -> None:
        self._version += 1
        checkpoint = {
            "v": 4,
            "id": f"{self._version:032x}",
            "ts": "2026-11-21T00:00:00+00:00",
            "channel_values": {"messages": items},
            "channel_versions": {"messages": self._version},
            "versions_seen": {},
            "updated_channels": ["messages"],
        }
        config = {"configurable": {"thread_id": "one", "checkpoint_ns": ""}}
        metadata = {"source": "loop", "step": self._version, "parents": {}}
        versions = {"messages": self._version}
        await self._saver.aput(config, checkpoint, metadata, versions)

    def load(self) -> object:
        config = {"configurable": {"thread_id": "one", "checkpoint_ns": ""}}
        return self._runner.run(self._saver.aget_tuple(config))

    def close(self) -> None:
        self._runner.run(self._manager.__aexit__(None, None, None))
        self._runner.close()


def _langgraph(root: Path) -> _LangGraph:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # noqa: PLC0415 - the same

    runner = asyncio.Runner()
    manager = AsyncSqliteSaver.from_conn_string(str(root / "checkpoints.db"))
    saver = runner.run(manager.__aenter__())
    return _LangGraph(runner, saver, manager)


@define
class _Arcaeon:
    _ledger: Any
    durability: str = "fsync, and a chain of hashes"

    def append_each(self, items: Sequence[Item]) -> Turn:
        return each(self._ledger.append, items)

    def fill(self, items: Sequence[Item]) -> None:
        for item in items:
            self._ledger.append(item)

    def load(self) -> list[Any]:
        return list(self._ledger)

    def close(self) -> None: ...


def _arcaeon(root: Path) -> _Arcaeon:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from arcaeon_ledger import Ledger  # noqa: PLC0415 - the same

    return _Arcaeon(Ledger(root / "ledger.jsonl"))


@define
class _EventSourcing:
    _recorder: Any
    _event: Any
    _originator: uuid.UUID = field(factory=uuid.uuid4)
    _version: int = 0
    durability: str = "WAL, synchronous=FULL"

    def append_each(self, items: Sequence[Item]) -> Turn:
        return each(lambda item: self._recorder.insert_events([self._made(item)]), items)

    def fill(self, items: Sequence[Item]) -> None:
        self._recorder.insert_events([self._made(item) for item in items])

    def _made(self, item: Item) -> object:
        self._version += 1
        return self._event(self._originator, self._version, "item", json.dumps(item).encode())

    def load(self) -> list[Any]:
        return [json.loads(e.state) for e in self._recorder.select_events(self._originator)]

    def close(self) -> None:
        self._recorder.datastore.close()


def _eventsourcing(root: Path) -> _EventSourcing:
    from eventsourcing.persistence import StoredEvent  # noqa: PLC0415 - the same
    from eventsourcing.sqlite import SQLiteAggregateRecorder, SQLiteDatastore  # noqa: PLC0415

    recorder = SQLiteAggregateRecorder(SQLiteDatastore(str(root / "events.db")))
    recorder.create_table()
    return _EventSourcing(recorder, StoredEvent)


@define
class Claude:
    """Transcripts as Claude Code writes them; the SDK reads, lists and forks them."""

    _root: Path
    _sdk: Any
    session_id: str = field(factory=lambda: str(uuid.uuid4()))
    durability: str = "one write, no sync"

    def append_each(self, items: Sequence[Item]) -> Turn:
        raise NotImplementedError("the SDK has no append: its command line program writes")

    def fill(self, items: Sequence[Item]) -> None:
        self.write_transcript(self.session_id, items)

    def write_transcript(self, session_id: str, items: Sequence[Item]) -> None:
        """Write a transcript of a message for each of *items*."""
        parent = None
        with (self.project / f"{session_id}.jsonl").open("w", encoding="utf-8") as file:
            for number, item in enumerate(items):
                me = str(uuid.UUID(int=number + (7 << 76)))
                role = "assistant" if number % 2 else "user"
                entry = {
                    "type": role,
                    "uuid": me,
                    "parentUuid": parent,
                    "sessionId": session_id,
                    "timestamp": "2026-11-21T00:00:00.000Z",
                    "cwd": "/home/agent",
                    "version": "2.0.0",
                    "message": {"role": role, "content": [dict(item)]},
                }
                file.write(json.dumps(entry, separators=(",", ":")) + "\n")
                parent = me

    @property
    def project(self) -> Path:
        path = self._root / "projects" / "-home-agent"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def load(self) -> object:
        return self._sdk.get_session_messages(self.session_id)

    def fork(self) -> object:
        return self._sdk.fork_session(self.session_id)

    def list(self, limit: int) -> object:
        return self._sdk.list_sessions(limit=limit)

    def close(self) -> None: ...


def open_claude(root: Path) -> Claude:
    """Raises ImportError if the SDK is not installed."""
    import claude_agent_sdk  # noqa: PLC0415 - a peer may be missing

    os.environ["CLAUDE_CONFIG_DIR"] = str(root)
    return Claude(root, claude_agent_sdk)


def _asked(path: Path) -> str:
    """Ask a database how it was set up; `synchronous` is each connection's, FULL unless changed."""
    with closing(sqlite3.connect(path)) as db:
        (mode,) = db.execute("PRAGMA journal_mode").fetchone()
        (level,) = db.execute("PRAGMA synchronous").fetchone()
    return f"{mode.upper()}, synchronous={('OFF', 'NORMAL', 'FULL', 'EXTRA')[level]}"


_MAKERS: Mapping[str, Callable[[Path], Peer]] = {
    SQLITE: _sqlite,
    JSON_LINES: lambda root: _JsonLines(root / "items.jsonl"),
    OPENAI: _openai,
    OPENAI_ADVANCED: _openai_advanced,
    LANGGRAPH: _langgraph,
    ARCAEON: _arcaeon,
    EVENTSOURCING: _eventsourcing,
    CLAUDE: open_claude,
}

NAMES = tuple(_MAKERS)
