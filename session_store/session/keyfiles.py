"""Private keys in files that only their owner can read."""

from pathlib import Path
from uuid import uuid4

from ..checkpoint.keys import SigningKey
from ..errors import UnsafePath
from ..stores.fs.files import Files
from ..stores.fs.quarantine import write_all

_SIZE_MAX = 4096
_OTHERS = 0o077


def write_key(path: str | Path, key: SigningKey) -> None:
    """
    Keep *key* in a new file, mode 0600.

    Raises:
        FileExistsError: There is a file; it was not touched.

    Durability: on disk.
    """
    write_new(path, f"{key.text()}\n".encode())


def read_key(path: str | Path) -> SigningKey:
    """
    Return the key that a file holds.

    Raises:
        UnsafePath: It is not a regular file of this user's or of root's, or others may read it.
        InvalidInput: It holds no private key.
        MissingExtra: `cryptography` is not installed.
    """
    files, name = _place(Path(path).resolve())  # Secrets are often mounted as links.
    file = files.open(name)
    found = files.stat(name)
    if found is None or not found.is_regular or found.inode != file.inode:
        raise UnsafePath(str(path), "is not a regular file")
    if found.owner not in (files.owner(), 0) or found.mode & _OTHERS:
        raise UnsafePath(str(path), "others may read this key: chmod 600, and think of a new one")
    return SigningKey.parse(files.read(file, _SIZE_MAX, 0).decode("utf-8", "replace").strip())


def write_new(path: str | Path, data: bytes, *, replace: bool = False) -> None:
    """
    Make a file, mode 0600, that is whole or not there.

    Args:
        replace: Put it in the place of the one that is there.

    Raises:
        FileExistsError: There is one, and it is not to be replaced.

    Durability: on disk.
    """
    files, name = _place(path)
    temp = f".{name}.{uuid4().hex}.tmp"
    file = files.open(temp, write=True, create=True)
    try:
        write_all(files, file, data)
        files.sync(file)
        if replace:
            files.rename(temp, name)
        else:
            files.link(temp, name)
    finally:
        files.unlink(temp)
    files.sync_directory("")


def _place(path: str | Path) -> tuple[Files, str]:
    place = Path(path)
    return Files(place.parent), place.name
