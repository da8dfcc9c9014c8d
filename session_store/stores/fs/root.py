"""Opening a store's directory: ours, of a version we know, on a file system that keeps promises."""

import logging
from contextlib import suppress
from uuid import uuid4

import orjson
from attrs import frozen

from ...entries import Durability, Json
from ...errors import Corrupt, InvalidInput, NotFound, UnsafePath, Unsupported
from . import forks, layout
from .directories import check_owner_and_mode
from .files import Files
from .quarantine import write_all

log = logging.getLogger("session_store")

STORE_VERSION = 1
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "afs", "lustre", "glusterfs"}
_VOLATILE = {"tmpfs", "ramfs", "memory"}
# A store may be in the making, or have lost its store.json.
_OWN_NAMES = {"store", "sessions", "forks", "keys", "pending", "quarantine", "tombstones", "heads"}


@frozen
class RootInfo:
    """
    What `store.json` and the file system say.

    Attributes:
        masked: Version of the rules by which a masked replica was made, or None.
        best: The highest level that a receipt of this store may claim.
        shared_group: The store was made for a group; whoever opens it keeps to that.
    """

    store_id: str
    masked: str | None
    best: Durability
    shared_group: bool


def open_root(
    files: Files,
    *,
    create: bool,
    network_fs: bool,
    shared_group: bool,
    masked: str | None = None,
) -> RootInfo:
    """
    Return what is at the root, making a new store if there is none.

    Args:
        masked: It is, or is made, a masked replica by this version of the rules.

    Raises:
        InvalidInput: It is there, and not masked by that version.
        NotFound: There is none, and *create* is false.
        UnsafePath: The directory is not ours, is no store, or lies on a network.
        Unsupported: Another version made it.
    """
    if create:
        try:
            files.make_root()
        except (FileExistsError, NotADirectoryError) as error:
            raise UnsafePath(str(files.root), "is not a directory") from error
    elif not files.exists(layout.STORE):
        raise NotFound(f"no store at {files.root}")
    # What is no store keeps its rights and its content, whoever mistook it for one.
    foreign = [name for name in files.names("") if name.split(".")[0] not in _OWN_NAMES]
    if foreign and not files.exists(layout.STORE):
        raise UnsafePath(str(files.root), f"is no store, and holds other files ({foreign[0]!r}, …)")
    exists = files.exists(layout.STORE)
    if exists and load(files, "os").shared_group:
        shared_group = True
        files.share_with_group()
    check_owner_and_mode(files, ".", shared_group=shared_group)
    kind = files.filesystem()
    if is_network(kind) and not network_fs:
        raise UnsafePath(
            str(files.root),
            f"is on a network file system ({kind}); with network_fs=True, and one writing "
            "host, it can be used all the same",
        )
    best: Durability = "os" if is_volatile(kind) else "disk"
    if best == "os" and kind != "memory":
        log.warning("%s: on %s nothing survives a power loss; receipts say os", files.root, kind)
    if not exists:
        _make(files, shared_group=shared_group, masked=masked)
    info = load(files, best)
    if masked is not None and info.masked != masked:
        found = (
            "it is not masked" if info.masked is None else f"it is masked by rules {info.masked}"
        )
        raise InvalidInput(f"{found}, not by rules {masked}", source=str(files.root))
    return info


def is_network(kind: str) -> bool:
    """Return whether other hosts may write to a file system of this type."""
    return kind in _NETWORK or kind.startswith("fuse.sshfs")


def is_volatile(kind: str) -> bool:
    """Return whether nothing on a file system of this type survives a power loss."""
    return kind in _VOLATILE


def _make(files: Files, *, shared_group: bool, masked: str | None) -> None:
    if files.names(layout.SESSIONS):
        log.warning("%s: had sessions but no %s; made one", files.root, layout.STORE)
    else:
        forks.mark_complete(files)
    temp = layout.STORE + layout.TEMP_SUFFIX + uuid4().hex
    file = files.open(temp, write=True, create=True)
    about: dict[str, Json] = {"store_id": str(uuid4()), "format": STORE_VERSION}
    if shared_group:
        about["shared_group"] = True
    if masked is not None:
        about["masked"] = masked
    write_all(files, file, orjson.dumps(about))
    files.sync(file)
    # Another process may make it in the same moment; its id is then the store's.
    with suppress(FileExistsError):
        files.link(temp, layout.STORE)
    files.unlink(temp)
    files.sync_directory("")


def load(files: Files, best: Durability) -> RootInfo:
    """
    Return what `store.json` says.

    Raises:
        Corrupt: It is no description of a store.
        Unsupported: Another version made it.
    """
    name = files.name(layout.STORE)
    file = files.open(layout.STORE)
    try:
        value = orjson.loads(files.read(file, files.size(file), 0))
        version, store_id, masked = value["format"], value["store_id"], value.get("masked")
        if type(version) is not int or type(store_id) is not str:
            raise TypeError("wrong types")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Corrupt(name, line=1, offset=0, seq=0, why="not a store description") from error
    if version != STORE_VERSION:
        raise Unsupported(name, found=version, supported=STORE_VERSION)
    is_shared = value.get("shared_group") is True
    return RootInfo(store_id, None if masked is None else str(masked), best, is_shared)
