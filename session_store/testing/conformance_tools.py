"""What the conformance checks are written with."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from os import urandom

from ..chain import Draft, Record
from ..codec import draft
from ..entries import Extension, Json, LabelsChanged, Position, SessionStart
from ..ids import SessionId, new_session_id
from ..stores.protocol import ANY, Store

TS = 1_700_000_000_000
UNICODE = 'ünïcödé ✓ 漢字 🙂 \u2028 " \\ \x7f \u0000'


def note(payload: Json = None) -> Draft:
    return draft(Extension("conformance", payload), urandom(16))


def label() -> Draft:
    return draft(LabelsChanged({"colour": "blue"}), urandom(16))


def start_drafts(session_id: SessionId, parent: Position | None = None) -> list[Draft]:
    forked_from = None if parent is None else parent.to_json()
    return [draft(SessionStart(session_id, forked_from=forked_from), urandom(16))]


async def born(store: Store, appends: int = 0) -> SessionId:
    session_id = new_session_id()
    await store.create(session_id, start_drafts(session_id))
    for number in range(appends):
        await store.append(session_id, [note(number)], expected=ANY)
    return session_id


async def fork(store: Store, parent: Position) -> SessionId:
    child = new_session_id()
    await store.create(child, start_drafts(child, parent), parent=parent)
    return child


async def records_of(store: Store, session_id: SessionId, *limits: int) -> list[Record]:
    return [r async for batch in store.read(session_id, *limits) for r in batch]


async def bytes_of(store: Store, session_id: SessionId) -> bytes:
    return b"".join([chunk async for chunk in store.raw(session_id)])


def seqs(records: Sequence[Record]) -> list[int]:
    return [record.seq for record in records]


@asynccontextmanager
async def raises(*errors: type[Exception]) -> AsyncIterator[list[Exception]]:
    """Check that the block raises one of *errors*; give it in a list."""
    caught: list[Exception] = []
    try:
        yield caught
    except errors as error:
        caught.append(error)
    assert caught, f"{' or '.join(e.__name__ for e in errors)} was not raised"
