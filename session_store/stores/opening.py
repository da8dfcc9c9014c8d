"""From a path or URL to a store."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ..checkpoint.heads import HeadMemory
from ..entries import Durability
from ..errors import InvalidInput
from .face import InlineFace, ThreadFace
from .fs.core import LOCK_TIMEOUT_S, FsCore
from .fs.files import Files
from .memory import MemoryFiles

if TYPE_CHECKING:
    from ..redaction.rules import Rules


class FsStore(ThreadFace):
    """Logs as files below one directory; see docs/DESIGN.md for where everything lies."""


class MemoryStore(InlineFace):
    """The file store on a file system in memory; its logs end with the process."""

    def __init__(self, core: FsCore | None = None, mask: "Rules | None" = None) -> None:
        super().__init__(core or FsCore(MemoryFiles()), mask)

    async def pause(self, seconds: float) -> None:
        # Whoever appends what is waited for may be a task of the same loop.
        await asyncio.sleep(seconds)


def open_core(
    where: str | Path,
    *,
    durability: Durability = "disk",
    create: bool = True,
    network_fs: bool = False,
    shared_group: bool = False,
    masked: str | None = None,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
) -> FsCore:
    """Return the synchronous core for *where*; arguments and errors as for `open_store`."""
    return FsCore(
        files_at(where, shared_group=shared_group),
        durability=durability,
        create=create,
        network_fs=network_fs,
        shared_group=shared_group,
        masked=masked,
        lock_timeout_s=lock_timeout_s,
    )


def files_at(where: str | Path, *, shared_group: bool = False) -> Files:
    """Return the files of the store at *where*, if there is one. Raises InvalidInput."""
    scheme, path = _split(where)
    if scheme == "memory":
        return MemoryFiles()
    return Files(Path(path), shared_group=shared_group)


def _split(where: str | Path) -> tuple[str, str]:
    text = str(where)
    if not text or "\0" in text:
        raise InvalidInput(f"not a store: {text!r}")
    if isinstance(where, Path) or ":" not in text.split("/", maxsplit=1)[0]:
        return "file", text
    parts = urlsplit(text)
    if parts.scheme == "memory":
        return "memory", ""
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return "file", unquote(parts.path)
    raise InvalidInput(
        f"no store for {text!r}: a path, file:/path or memory: is expected", source="store"
    )


async def open_store(
    where: str | Path,
    *,
    durability: Durability = "disk",
    create: bool = True,
    network_fs: bool = False,
    shared_group: bool = False,
    masked: str | None = None,
    mask: "Rules | None" = None,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
    heads: str | Path | None = None,
) -> InlineFace:
    """
    Open the store at *where*.

    Args:
        where: A path, `file:/path`, or `memory:`.
        durability: What an append that does not say reaches.
        create: Make a store if there is none.
        network_fs: Allow a file system shared over a network; one host may write.
        shared_group: Give the group the rights that the owner has.
        masked: It is, or is made, a masked replica by this version of the rules.
        mask: Mask everything by these rules before it is written, traces included
            (docs/MASKING.md). Lines of other stores that hold a secret are refused.
        lock_timeout_s: How long an append waits for another writer.
        heads: A SQLite file, made when needed, in which closing a handle, verifying and sealing
            remember heads. Kept outside the store, it notices when the store goes back.

    Raises:
        InvalidInput: *where* names no kind of store, or it is not masked by *masked*.
        NotFound: There is none, and *create* is false.
        UnsafePath: The directory is not ours, is no store, or lies on a network.
        Unsupported: Another version made it.
    """
    core = open_core(
        where,
        durability=durability,
        create=create,
        network_fs=network_fs,
        shared_group=shared_group,
        masked=masked,
        lock_timeout_s=lock_timeout_s,
    )
    store = MemoryStore(core, mask) if isinstance(core.files, MemoryFiles) else FsStore(core, mask)
    store.heads = head_memory(core, heads)
    return store


def head_memory(core: FsCore, where: str | Path | None) -> HeadMemory | None:
    """Return the head memory of a store at *where*, None for none."""
    if where is None:
        return None
    return HeadMemory(where, core.info.store_id, shared_group=core.info.shared_group)
