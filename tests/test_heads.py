"""Head memory: what it keeps, who else may read it, and what it takes for no memory."""

import sqlite3
import threading
from pathlib import Path

import pytest

import session_store as ss
from session_store.entries import EntryHash
from session_store.testing.story import CHILD, ROOT


def head(seq: int, session_id: ss.SessionId = ROOT) -> ss.Position:
    return ss.Position(session_id, seq, EntryHash(seq.to_bytes(32)))


@pytest.fixture
def memory(tmp_path: Path) -> ss.HeadMemory:
    return ss.HeadMemory(tmp_path / "heads.db", "a")


def test_nothing_is_seen_before_something_is(memory: ss.HeadMemory) -> None:
    """And no file is made by asking."""
    assert memory.seen(ROOT) is None
    assert [] == list(memory.sessions())
    memory.remember([])
    assert not memory.path.exists()


def test_the_newest_head_is_kept(memory: ss.HeadMemory) -> None:
    """An older one changes nothing, unless it is meant to."""
    memory.remember([head(5), head(2, CHILD)])
    memory.remember([head(3)])
    assert [head(5), head(2, CHILD)] == list(memory.sessions())

    memory.remember([head(3)], also_back=True)
    assert head(3) == memory.seen(ROOT)
    memory.forget(ROOT)
    assert [head(2, CHILD)] == list(memory.sessions())


def test_stores_do_not_mix(memory: ss.HeadMemory) -> None:
    """One file serves many: a replica that is behind has not gone back."""
    other = ss.HeadMemory(memory.path, "b")
    memory.remember([head(5)])
    other.remember([head(1)])

    assert (head(5), head(1)) == (memory.seen(ROOT), other.seen(ROOT))


def test_only_its_owner_reads_it(memory: ss.HeadMemory) -> None:
    """SQLite by itself would make a file for all to read."""
    memory.remember([head(1)])

    assert 0o600 == memory.path.stat().st_mode & 0o777


async def test_a_group_shares_it_where_the_group_shares_the_store(tmp_path: Path) -> None:
    """Whatever the umask is."""
    path = tmp_path / "heads.db"
    async with await ss.open_store(tmp_path / "s", shared_group=True, heads=path) as store:
        assert store.heads is not None
        store.heads.remember([head(1)])

    assert 0o660 == path.stat().st_mode & 0o777


def test_many_are_given_in_pages(memory: ss.HeadMemory) -> None:
    """All of them, sorted."""
    ids = [ss.SessionId(f"{ROOT[:-4]}{number:04x}") for number in range(2500)]
    memory.remember(head(1, one) for one in reversed(ids))

    assert ids == [one.session_id for one in memory.sessions()]


def test_threads_share_it(memory: ss.HeadMemory) -> None:
    """Every call opens the file anew; the greatest of all wins."""
    threads = [
        threading.Thread(target=lambda n=n: memory.remember([head(n)])) for n in range(1, 17)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert head(16) == memory.seen(ROOT)


def test_another_version_is_not_touched(memory: ss.HeadMemory) -> None:
    """It says which side is too old."""
    with sqlite3.connect(memory.path) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()

    for call in (lambda: memory.seen(ROOT), lambda: memory.remember([head(1)])):
        with pytest.raises(ss.Unsupported, match="version 9"):
            call()


def test_what_is_no_database_is_no_memory(memory: ss.HeadMemory) -> None:
    """It is not overwritten."""
    memory.path.write_bytes(b"something else, and much more of it\n" * 100)

    for call in (lambda: memory.seen(ROOT), lambda: memory.remember([head(1)])):
        with pytest.raises(ss.UnsafePath, match="of no use as head memory"):
            call()
    assert memory.path.read_bytes().startswith(b"something else")


async def test_neither_append_nor_restore_touch_it(tmp_path: Path) -> None:
    """Closing, verifying and sealing write it."""
    async with await ss.open_store(tmp_path / "s", heads=tmp_path / "heads.db") as store:
        session = await ss.create_session(store)
        await session.save_turn_end(1)
        await ss.restore(store, session.id)
        assert store.heads is not None
        assert store.heads.seen(session.id) is None
        await session.close()
        await session.close()

        assert session.head == store.heads.seen(session.id)


ODD_ROWS = [
    "hash = X'00'",
    "hash = 'abc'",
    "seq = 'abc'",
    "seq = -1",
    "seq = 9007199254740992",
    "session = '../../x'",
]


@pytest.mark.parametrize("odd", ODD_ROWS)
def test_a_row_that_is_no_head_makes_it_no_memory(memory: ss.HeadMemory, odd: str) -> None:
    """Named as such: the log is not what is wrong, nor is what was typed."""
    memory.remember([head(5)])
    with sqlite3.connect(memory.path) as db:
        db.execute(f"UPDATE heads SET {odd}")
    db.close()

    with pytest.raises(ss.UnsafePath, match="is of no use as head memory"):
        list(memory.sessions())
    if "session" not in odd:
        with pytest.raises(ss.UnsafePath, match="is of no use as head memory"):
            memory.seen(ROOT)
