"""How much memory reading takes: measured in a child of its own, against promise 9."""

import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from os import urandom
from pathlib import Path

from session_store.chain import link, root_head
from session_store.codec import draft
from session_store.entries import Extension, SessionStart
from session_store.ids import SessionId, new_session_id
from session_store.session.verifying import verify
from session_store.stores import open_store
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files

from .processes import program
from .subject import Row, Subject

MIB = 1024 * 1024


def bound(line: int) -> int:
    """Return what promise 9 allows, in bytes."""
    return 64 * MIB + 8 * line


def make(root: Path, *, mebibytes: int, line: int) -> SessionId:
    """Write a log of about so many MiB, in appends of one and of ten lines."""
    session_id = new_session_id()
    path = root / layout.log_path(session_id)
    FsCore(Files(root)).close()
    path.parent.mkdir(parents=True, mode=0o700)
    data, head = link(root_head(session_id), 1, [draft(SessionStart(session_id), urandom(16))])
    text = "x" * (line - 500)
    with path.open("wb") as file:
        file.write(data)
        while file.tell() < mebibytes * MIB:
            for count in (1, min(10, 48 * MIB // line)):
                drafts = [draft(Extension("test", text), urandom(16)) for _ in range(count)]
                data, head = link(head, 1, drafts)
                file.write(data)
    return session_id


def _read(root: Path, session_id: SessionId) -> None:
    for _ in FsCore(Files(root)).read(session_id):
        pass


def _verify(root: Path, session_id: SessionId) -> None:
    async def run() -> None:
        async with await open_store(root) as store:
            assert not (await verify(store, session_id)).findings

    asyncio.run(run())


def _follow(root: Path, session_id: SessionId) -> None:
    core = FsCore(Files(root))
    follower, seq = core.follower(session_id, 0), -1
    end = core.head(session_id).seq
    while seq < end:
        for record in follower.more():
            seq = record.seq


READERS: Mapping[str, Callable[[Path, SessionId], None]] = {
    "read": _read,
    "verify": _verify,
    "follow": _follow,
}


def growth(root: Path, session_id: SessionId, how: str) -> int:
    """Return by how many bytes the peak RSS of a fresh process grew while it read the log."""
    return int(program("crash.memory", str(root), session_id, how))


def _peak() -> int:
    """Return the peak RSS; ru_maxrss would count what the parent had before exec."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmHWM")


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    def row(how: str, where: Path, log: SessionId, line: int) -> Row:
        grown, most = growth(where, log, how), bound(line)
        size = sum(path.stat().st_size for path in where.glob(f"sessions/*/*/{log}.jsonl"))
        counts = {"log MiB": size // MIB, "line": line, "growth": grown, "bound": most}
        return Row(f"memory, {how}, line of {line // 1024} KiB", counts, int(grown > most))

    for line in (64 * 1024,) if smoke else (64 * 1024, 8 * MIB):
        where = root / str(line)
        log = make(where, mebibytes=50 if smoke else 1024, line=line)
        for how in READERS:
            yield lambda how=how, where=where, log=log, line=line: row(how, where, log, line)
        shutil.rmtree(where)


def _main(root: str, session_id: SessionId, how: str) -> None:
    first = Path(root) / f"first-{how}"  # What every first reading takes: imports, caches.
    READERS[how](first, make(first, mebibytes=1, line=1000))
    before = _peak()
    READERS[how](Path(root), session_id)
    sys.stdout.write(str(_peak() - before))


if __name__ == "__main__":
    _main(*sys.argv[1:])  # type: ignore[arg-type] # a session id is text
