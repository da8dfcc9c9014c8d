"""Examining a whole store, for operators: `session-store doctor` is made of this."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from ..ids import SessionId
from ..stores.face import InlineFace
from ..stores.fs.doctor import Examination, Progress, StoreFinding
from ..stores.fs.reading import FsReading
from ..stores.opening import files_at
from .verifying import Verifier


async def examine(
    where: str | Path, *, deep: bool = False, fix: bool = False
) -> AsyncIterator[StoreFinding]:
    """
    Give what is wrong with the store at *where*, which need not be one that can be opened.

    Without *fix* nothing is changed, and nothing locked but, for an instant, temporary files
    that nobody has written to for an hour. What may be work in progress is given only if it
    is the same a second later.

    Args:
        where: As for `open_store`.
        deep: Read and verify all of every log, not both ends of each alone.
        fix: Mend what is fixable, under the locks that belong to it.

    Raises:
        InvalidInput: *where* names no kind of store.
        NotFound: There is none.

    Cost: a few reads of every session; with *deep*, all of them.
    """
    found = examination(where, deep=deep, fix=fix)
    while (finding := await asyncio.to_thread(next, found, None)) is not None:
        yield finding


def examination(
    where: str | Path,
    *,
    deep: bool = False,
    fix: bool = False,
    progress: Progress | None = None,
) -> Iterator[StoreFinding]:
    """Give what is wrong with a store; see `session_store.examine`."""
    verify = verify_log if deep else None
    return Examination(files_at(where), verify=verify, fix=fix, progress=progress).findings()


def verify_log(reading: FsReading, session_id: SessionId) -> Iterator[tuple[str, str]]:
    """Read all of one log; give what is wrong with it in a word and in a sentence."""
    store = InlineFace(reading)  # type: ignore[arg-type] # of a face, verifying uses the reading half
    # A verifier for each log: none of them is held longer than it is looked at.
    coroutine = Verifier(store).verify_log(session_id)
    try:
        coroutine.send(None)
    except StopIteration as end:
        for finding in end.value:
            place = f"line {finding.line}, byte {finding.offset}, seq {finding.seq}"
            yield finding.what, f"{place}: {finding.why}"
        return
    raise AssertionError("a reader of files suspended")
