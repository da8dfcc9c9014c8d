"""
Many sessions in one store, many entries in one log: what it costs, and what it must not.

Calls and bytes are counted, because they are the same on every machine; times are told.
Memory is measured in a child of its own, against promise 9.
"""

import gc
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

from session_store import blocking
from session_store.cli.app import main as command_line
from session_store.codec import draft
from session_store.entries import SessionStart, UserInput
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.face import InlineFace
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files, FileStat, OpenFile

from . import memory
from .processes import program
from .subject import Row, Subject

MIB = 1024 * 1024
_FEW = 500
_LINE = 1_073
"""10⁶ lines of so many bytes are 1 GiB."""
_PAGE = 20


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    """Give first the store with many sessions, then the log with many entries."""
    many, long = root / "many", root / "long"
    yield partial(_among_many, many, 2_000 if smoke else 100_000)
    yield partial(_listed, many, "a page")
    yield partial(_listed, many, "every page")
    yield partial(_shown, many)
    log: list[SessionId] = []
    yield partial(_at_the_end, long, 10_000 if smoke else 1_000_000, log)
    for how in ["verify"] if smoke else READERS:
        yield lambda how=how: _read(long, log[0], how)


class Counting(Files):
    """Counts its calls, and the bytes and names that they gave."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.counts: Counter[str] = Counter()

    def open(self, path: str, *, write: bool = False, create: bool = False) -> OpenFile:
        self.counts["opened"] += 1
        return super().open(path, write=write, create=create)

    def read(self, file: OpenFile, size: int, offset: int) -> bytes:
        data = super().read(file, size, offset)
        self.counts["read"] += 1
        self.counts["bytes"] += len(data)
        return data

    def stat(self, path: str) -> FileStat | None:
        self.counts["looked at"] += 1
        return super().stat(path)

    def is_at(self, path: str, file: OpenFile) -> bool:
        self.counts["looked at"] += 1
        return super().is_at(path, file)

    def exists(self, path: str) -> bool:
        self.counts["looked at"] += 1
        return super().exists(path)

    def names(self, path: str) -> list[str]:
        found = super().names(path)
        self.counts["names"] += len(found)
        return found


def _make(core: FsCore, count: int) -> SessionId:
    for _ in range(count):
        session_id = new_session_id()
        core.create(session_id, [draft(SessionStart(session_id), os.urandom(16))], durability="os")
    return session_id


def _append(core: FsCore, one: SessionId) -> object:
    said = UserInput([{"role": "user", "content": "hi"}])
    return core.append(one, [draft(said, os.urandom(16))], expected=ANY)


WORK: Mapping[str, Callable[[FsCore, SessionId], object]] = {
    "head": lambda core, one: core.head(one),
    "open": lambda core, one: core.open(one),
    "append": _append,
    "create": lambda core, one: _make(core, 1),
    "restore": lambda core, one: blocking.restore(blocking.Store(InlineFace(core)), one),
    "verify": lambda core, one: blocking.verify(blocking.Store(InlineFace(core)), one),
}

Costs = dict[str, Counter[str]]


def _costs(root: Path, one: SessionId, *works: str) -> tuple[Costs, dict[str, object]]:
    """Return what each piece of work counts in a store that was just opened, and its times."""
    counts, times = {}, {}
    for name in works:
        files = Counting(root)
        core = FsCore(files)
        files.counts.clear()
        began = time.monotonic()
        WORK[name](core, one)
        times[f"{name} ms"] = round(1000 * (time.monotonic() - began), 2)
        counts[name] = files.counts
        core.close()
    return counts, times


def _among_many(root: Path, count: int) -> Row:
    """What is done with one session costs the same, however many others there are."""
    core = FsCore(Files(root))
    few, _ = _costs(root, _make(core, _FEW), *WORK)
    began = time.monotonic()
    last = _make(core, count - _FEW)
    made_s = round(time.monotonic() - began, 1)
    core.close()
    many, times = _costs(root, last, *WORK)
    dearer = [name for name in WORK if many[name] != few[name]]
    counts = {"sessions": count, "made s": made_s, **times, "dearer": ", ".join(dearer) or 0}
    return Row("scale: work among many sessions", counts, len(dearer), (106,))


def _listed(root: Path, how: str) -> Row:
    """A page opens the logs that it lists and no other; no listing holds all of the store."""
    grown, listed, opened, spent_ms = map(int, program("crash.scale", str(root), "-", how).split())
    counts = {"listed": listed, "opened": opened, "ms": spent_ms, "growth": grown}
    wrong = int(grown > 64 * MIB) + int(opened > listed + 5) + int(listed < _PAGE)
    return Row(f"scale: list {how}", {**counts, "bound": 64 * MIB}, wrong, (106,))


def _shown(root: Path) -> Row:
    began = time.monotonic()
    command = [sys.executable, "-m", "session_store", "--store", str(root), "ls"]
    done = subprocess.run(command, check=False, capture_output=True, timeout=600)
    spent_ms = round(1000 * (time.monotonic() - began))
    lines = done.stdout.count(b"\n")  # A head, a page, and that there are more.
    wrong = int(done.returncode != 0 or lines != _PAGE + 2)
    return Row("scale: session-store ls", {"lines": lines, "ms": spent_ms}, wrong, (106,))


def _at_the_end(root: Path, entries: int, log: list[SessionId]) -> Row:
    """Make the log; its end is found and continued as that of a short one."""
    works = ("head", "open", "append")
    small = root.with_name("short")
    few, _ = _costs(small, memory.make(small, mebibytes=0, line=_LINE), *works)
    began = time.monotonic()
    log.append(memory.make(root, mebibytes=entries * _LINE // MIB + 1, line=_LINE))
    made_s = round(time.monotonic() - began, 1)
    os.sync()  # Or the first append waits for all of what was just written.
    many, times = _costs(root, log[0], *works)
    dearer = [name for name in works if many[name]["read"] != few[name]["read"]]
    dearer += [name for name in works if many[name]["bytes"] > 64 * 1024]
    count = FsCore(Files(root)).head(log[0]).seq + 1
    read = max(many[name]["bytes"] for name in works)
    counts = {"entries": count, "made s": made_s, **times, "bytes read": read}
    wrong = len(dearer) + int(count < entries)
    return Row("scale: the end of a long log", {**counts, "dearer": len(dearer)}, wrong, (104,))


def _read(root: Path, log: SessionId, how: str) -> Row:
    """Reading all of it takes bounded memory; restoring that, and twice what it returns."""
    grown, returned, spent_ms = map(int, program("crash.scale", str(root), log, how).split())
    most = memory.bound(_LINE) + 2 * returned
    counts: dict[str, object] = {"s": spent_ms / 1000, "growth": grown, "bound": most}
    if returned:
        counts["returned"] = returned
    return Row(f"scale: {how} a long log", counts, int(grown > most), (104,))


# -- in a child ----------------------------------------------------------------------------------


def _list(root: Path, how: str) -> tuple[int, int]:
    files = Counting(root)
    core = FsCore(files)
    page = core.list(limit=_PAGE)
    listed = len(page)
    while how == "every page" and page:
        page = core.list(before=page[-1].session_id, limit=1_000)
        listed += len(page)
    return listed, files.counts["opened"]


def _copy(root: Path, log: SessionId) -> None:
    with blocking.open_store(root) as store:
        blocking.flatten(store, log)


def _export(root: Path, log: SessionId) -> None:
    with open(os.devnull, "w", encoding="utf-8") as nobody, redirect_stdout(nobody):
        assert command_line(["--store", str(root), "log", log, "--json"]) == 0


def _restore(root: Path, log: SessionId) -> object:
    with blocking.open_store(root) as store:
        return blocking.restore(store, log)


READERS: Mapping[str, Callable[[Path, SessionId], object]] = {
    **memory.READERS,
    "export": _export,
    "copy": _copy,
    "restore": _restore,
}


def _size(value: object) -> int:
    """Return how many bytes *value* takes, with all that it holds."""
    seen, todo, size = set(), [value], 0
    while todo:
        one = todo.pop()
        if id(one) not in seen and not isinstance(one, type):
            seen.add(id(one))
            size += sys.getsizeof(one)
            todo += gc.get_referents(one)
    return size


def _main(root: str, log: SessionId, how: str) -> None:
    first = Path(root) / f"first-{how.replace(' ', '-')}"
    began = time.monotonic()
    if log == "-":
        core = FsCore(Files(first))
        _make(core, 50)
        _list(first, how)  # What every first listing takes: imports, caches.
        before, began = memory._peak(), time.monotonic()
        told: tuple[int, ...] = _list(Path(root), how)
    else:
        READERS[how](first, memory.make(first, mebibytes=1, line=_LINE))
        before, began = memory._peak(), time.monotonic()
        found = READERS[how](Path(root), log)
        told = (0,)
    spent_ms, grown = round(1000 * (time.monotonic() - began)), memory._peak() - before
    if how == "restore":
        told = (_size(found),)
    print(grown, *told, spent_ms)


if __name__ == "__main__":
    _main(*sys.argv[1:])  # type: ignore[arg-type] # a session id is text
