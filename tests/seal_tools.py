"""Keys to seal with, a place to seal on the command line, and logs written anew behind everybody's back."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from cli_tools import Cli, record_session
from session_tools import log_path

import session_store as ss
from session_store import blocking
from session_store.chain import Draft, Head, link, make_draft, root_head
from session_store.stores.fs import layout
from session_store.testing.story import Story

# -- on the command line: a store in the working directory ---------------------------------------


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return Cli("store")


@pytest.fixture
def session_id(cli: Cli) -> ss.SessionId:
    with blocking.open_store(cli.store) as store:
        return record_session(store).id


@pytest.fixture
def trusted(cli: Cli) -> str:
    """A key in `k`, its public one in `k.pub`."""
    public = cli.ok("key", "new", "--name", "example.org/ops", "--out", "k").out
    Path("k.pub").write_text(public)
    return public.strip()


def log_of(session_id: ss.SessionId) -> Path:
    return Path("store") / layout.log_path(session_id)


def cut(session_id: ss.SessionId, count: int) -> None:
    """Leave a log its first *count* lines."""
    lines = log_of(session_id).read_bytes().splitlines(keepends=True)
    log_of(session_id).write_bytes(b"".join(lines[:count]))


# -- sessions, and what can be made of their lines -----------------------------------------------


def new_key(name: str = "example.org/signer") -> ss.SigningKey:
    return ss.SigningKey.generate(name)


async def grow(session: ss.Session, count: int) -> None:
    """Append *count* records, one by one."""
    for number in range(count):
        await session.save_extension("tests", number)


async def sealed_session(store: ss.Store, key: ss.SigningKey, count: int = 10) -> ss.Session:
    """Return a session of 1 + *count* records and a seal of them all."""
    session = await ss.create_session(store)
    await grow(session, count)
    await ss.seal(store, session.id, key)
    return await ss.open_session(store, session.id)


def lines_of(root: Path, session_id: ss.SessionId) -> list[bytes]:
    return log_path(root, session_id).read_bytes().splitlines(keepends=True)


def put_lines(root: Path, session_id: ss.SessionId, lines: Sequence[bytes]) -> None:
    log_path(root, session_id).write_bytes(b"".join(lines))


def rewritten(
    session_id: ss.SessionId, lines: Sequence[bytes], harm: Sequence[Draft]
) -> list[bytes]:
    """
    Return a log whose first records are *lines* and whose further ones are *harm*, all hashes right.

    What somebody can make who may write, knows the format, and has no key.
    """
    story = Story(session_id, lines=list(lines))
    head = root_head(session_id)
    if lines:
        last = story.record(len(lines) - 1)
        head = Head(session_id, last.seq, last.ts, last.hash)
    found = list(lines)
    for one in harm:
        data, head = link(head, 0, [one])
        found.append(data)
    return found


def drafts_of(session_id: ss.SessionId, lines: Sequence[bytes]) -> list[Draft]:
    """Return what the records of *lines* hold, ready to be linked anew with the times they had."""
    story, found = Story(session_id, lines=list(lines)), []
    for seq in range(len(lines)):
        record = story.record(seq)
        salt = bytes.fromhex((record.salt or bytes(32)).decode())
        found.append(make_draft(record.kind, record.body or b"{}", salt, record.ts))
    return found
