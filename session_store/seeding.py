"""Chains without a store: for tests, vectors, and seeding a log elsewhere."""

from collections.abc import Iterable, Sequence
from os import urandom

from .chain import link, root_head
from .codec import draft, hashed_entry
from .entries import HashedEntry, LogEntry
from .ids import SessionId
from .scan import Scanner


def build_lines(
    session_id: SessionId,
    appends: Iterable[Sequence[LogEntry]],
    *,
    ts_ms: int = 0,
    salts: Iterable[bytes] | None = None,
) -> bytes:
    """
    Return the bytes of a root log made of *appends*.

    Args:
        salts: 16 bytes for each entry; None takes fresh ones. Salts that are
            known make erased bodies guessable: give them in tests only.
    """
    salt = iter(salts) if salts is not None else iter(lambda: urandom(16), b"")
    head, lines = root_head(session_id), b""
    for entries in appends:
        data, head = link(head, ts_ms, [draft(entry, next(salt)) for entry in entries])
        lines += data
    return lines


def build_chain(
    session_id: SessionId, entries: Iterable[LogEntry], *, ts_ms: int = 0
) -> list[HashedEntry]:
    """Return *entries* as a hashed chain from the root of *session_id*, each its own append."""
    scanner = Scanner(session_id, root_head(session_id))
    records = scanner.feed(build_lines(session_id, ([e] for e in entries), ts_ms=ts_ms))
    scanner.finish()
    return [hashed_entry(record, session_id, session_id) for record in records]
