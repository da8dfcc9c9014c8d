"""Stores to examine: healthy ones, and ways to look at them twice without waiting."""

import stat
from collections.abc import Callable
from functools import cache
from os import urandom
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import field, frozen
from fs_tools import born, fork, log_of

from session_store.ids import SessionId
from session_store.session.examining import verify_log
from session_store.stores.fs.clock import Clock
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.doctor import Examination, StoreFinding
from session_store.stores.fs.files import Files, OpenFile

OF_THE_MACHINE = {"volatile", "network", "room", "descriptors"}
"""What this machine may have for every store on it."""


class Soon(Clock):
    """A clock that goes on when somebody waits, and lets something happen meanwhile."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.meanwhile = meanwhile
        self.waited_s = 0.0

    def monotonic_s(self) -> float:
        return self.waited_s

    def sleep(self, seconds: float) -> None:
        self.waited_s += seconds
        if seconds >= 1:  # The second look; less is waiting for a lock.
            self.meanwhile()


class Quick(Files):
    """Files that are not brought to the device, because nobody cuts the power here."""

    def sync(self, file: OpenFile) -> None:
        pass

    def sync_data(self, file: OpenFile) -> None:
        pass

    def sync_directory(self, path: str) -> None:
        pass


def id_beside(session_id: SessionId) -> SessionId:
    """Return another id of the same hour: the store may be older than the hour it is now."""
    return SessionId(session_id[:-12] + urandom(6).hex())


def quick(root: Path) -> FsCore:
    return FsCore(Quick(root))


def examine(
    files: Files | Path,
    *,
    fix: bool = False,
    deep: bool = False,
    meanwhile: Callable[[], object] = lambda: None,
) -> list[StoreFinding]:
    """Return what is found, but for what is this machine's."""
    files = Quick(files) if isinstance(files, Path) else files
    files.clock = Soon(meanwhile)
    verify = verify_log if deep else None
    found = Examination(files, verify=verify, fix=fix).findings()
    return [finding for finding in found if finding.what not in OF_THE_MACHINE]


def kinds(found: list[StoreFinding]) -> set[str]:
    return {finding.what for finding in found}


def problems(found: list[StoreFinding]) -> list[StoreFinding]:
    """Return what is more than good to know, and not mended."""
    return [one for one in found if one.severity != "note" and not one.is_mended]


def everything(root: Path) -> dict[str, tuple[object, ...]]:
    """Return all there is below *root*: names, modes, times, links, bytes."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (root, *root.rglob("*")):
        status = path.lstat()
        content: object = None
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes() if status.st_size < 1 << 20 else status.st_size
        elif stat.S_ISLNK(status.st_mode):
            content = path.readlink()
        facts = (status.st_mode, status.st_uid, status.st_nlink, status.st_mtime_ns, status.st_ino)
        found[str(path)] = (*facts, content)
    return found


@frozen
class Home:
    """A healthy store with one of everything in it."""

    root: Path
    core: FsCore = field(repr=False)
    parent: SessionId
    child: SessionId
    keyed: SessionId

    def path(self, session_id: SessionId) -> Path:
        return log_of(self.core, session_id)

    def append_bytes(self, session_id: SessionId, data: bytes) -> None:
        with self.path(session_id).open("ab") as log:
            log.write(data)


@cache
def _template() -> tuple[dict[str, tuple[int, bytes | None]], list[SessionId]]:
    """Return such a store: modes and bytes by name, and its sessions."""
    with TemporaryDirectory() as directory:
        root = Path(directory) / "store"
        core = quick(root)
        parent, keyed = born(core, 2), born(core, 1, key="tests:1")
        child = fork(core, core.head(parent))
        core.append_trace(parent, b'{"ts":1}\n')
        core.delete(born(core, 1, key="tests:2"))
        paths = (root, *sorted(root.rglob("*")))
        content = {
            str(path.relative_to(root)): (
                stat.S_IMODE(path.stat().st_mode),
                path.read_bytes() if path.is_file() else None,
            )
            for path in paths
        }
    return content, [parent, child, keyed]


def home(root: Path) -> Home:
    content, sessions = _template()
    for name, (mode, data) in content.items():
        path = root / name
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data)
        path.chmod(mode)
    return Home(root, quick(root), *sessions)
