"""What the tests of erasing are written with: a record to erase, and a search for what is left of it."""

from collections.abc import Iterable
from pathlib import Path

from fs_tools import born, note, records

from session_store.chain import Record
from session_store.entries import Position, Receipt
from session_store.ids import SessionId
from session_store.session.verifying import Report, Verifier
from session_store.stores import ANY
from session_store.stores.face import InlineFace
from session_store.stores.fs.core import FsCore
from session_store.stores.memory import MemoryFiles

LONG = "secret " * 1500
"""A body of more than two pages: blanking it can stop between them."""


def position(session_id: SessionId, record: Record) -> Position:
    return Position(session_id, record.seq, record.hash)


def erase(core: FsCore, session_id: SessionId, *seqs: int, **options: object) -> Receipt:
    """Erase records by their seq."""
    targets = [core.position(session_id, seq) for seq in seqs]
    return core.erase(session_id, targets, reason="asked for", **options)


def with_secret(core: FsCore, payload: object = LONG) -> tuple[SessionId, Record]:
    """Return a session of four records, and the third of them."""
    session_id = born(core, 1)
    for text in (payload, "behind"):
        core.append(session_id, [note(text)], expected=ANY)
    return session_id, core.record(session_id, 2)


def left_of(files: MemoryFiles | Path, secrets: Iterable[Record]) -> list[str]:
    """Return the files in which the salt or the body of one of *secrets* stands."""
    if isinstance(files, Path):
        contents = {str(p): p.read_bytes() for p in files.rglob("*") if p.is_file()}
    else:
        with files.frozen_names() as (nodes, _):
            contents = {path: bytes(node.data) for path, node in nodes.items()}
    wanted = [needle for record in secrets for needle in (record.salt, record.body)]
    assert None not in wanted
    return [path for path, data in contents.items() if any(needle in data for needle in wanted)]


def verified(core: FsCore, session_id: SessionId) -> Report:
    coroutine = Verifier(InlineFace(core)).verify(session_id)
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a reader of files suspended")


def findings(core: FsCore, session_id: SessionId) -> list[tuple[str, int]]:
    report = verified(core, session_id)
    assert report.level == "INTACT", report
    return [(finding.what, finding.seq) for finding in report.findings]


def given(core: FsCore, session_id: SessionId, secret: Record) -> bytes | None:
    """Return what readers give of a record, however they come to it; they agree."""
    seq = secret.seq
    found = [
        records(core, session_id)[seq],
        records(core, session_id, seq)[0],
        core.record(session_id, seq),
        core.follower(session_id, seq).more()[0],
    ]
    assert {(seq, secret.hash, secret.digest)} == {(r.seq, r.hash, r.digest) for r in found}
    assert 1 == len({r.body for r in found})
    assert core.position(session_id, seq) == position(session_id, secret)
    return found[0].body
