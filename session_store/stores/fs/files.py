"""
Every call to the operating system about files, and no other code makes any.

Rules of this module:
  * Paths are text relative to the root; nothing user-supplied is ever joined in.
  * Files are opened component by component: a symbolic link anywhere below the root is refused.
  * No policy: errors pass through as OSError, those of a sync as its subclass SyncFailed.

A store works on anything with these methods; `session_store.stores.memory` is another.
"""

import errno
import fcntl
import os
import resource
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING
from weakref import WeakSet

from attrs import frozen

from .clock import Clock

if TYPE_CHECKING:
    from .watching import Notifier

_NEW_FILE = os.O_CREAT | os.O_EXCL
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class SyncFailed(OSError):
    """A sync failed: what was written since the last one may be gone, whatever its errno says."""


@frozen
class FileStat:
    """What the store needs to know of a file."""

    inode: tuple[int, int]
    size: int
    mtime_ms: int
    links: int
    owner: int
    mode: int

    @property
    def is_regular(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)


@frozen
class Room:
    """What is free: bytes, and names for new files."""

    size: int
    names: int


class OpenFile:
    """A descriptor that is closed when its last user lets go of it."""

    __slots__ = ("__weakref__", "fd", "inode", "is_locked")

    def __init__(self, fd: int, inode: tuple[int, int]) -> None:
        self.fd = fd
        self.inode = inode
        self.is_locked = False

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


class Files:
    """
    The files below one root directory.

    Args:
        shared_group: Give the group the rights that the owner has.
    """

    clock = Clock()

    def __init__(self, root: PurePath, *, shared_group: bool = False) -> None:
        self.root = root
        self._prefix = f"{root}/"
        self._file_mode, self._dir_mode, self._sets_group = 0o600, 0o700, False
        self._opened: WeakSet[OpenFile] = WeakSet()
        if shared_group:
            self.share_with_group()

    def share_with_group(self) -> None:
        """Give the group the rights that the owner has, from here on."""
        self._file_mode, self._dir_mode, self._sets_group = 0o660, 0o2770, True

    def name(self, path: str) -> str:
        """Return *path* as people should see it."""
        return self._at(path)

    def _at(self, path: str) -> str:
        return self._prefix + path

    def open(self, path: str, *, write: bool = False, create: bool = False) -> OpenFile:
        """Open for reading, or (*write*) for reading and appending."""
        flags = _SAFE | (os.O_RDWR | os.O_APPEND if write else os.O_RDONLY)
        with self._parent(path) as (directory, name):
            if create:
                fd = self._create(name, flags, directory)
            else:
                fd = os.open(name, flags | os.O_NONBLOCK, dir_fd=directory)
        return self._noted(fd)

    def open_in_place(self, path: str) -> OpenFile:
        """Open for `write_at`: with O_APPEND the system would put at the end what is written anywhere."""
        with self._parent(path) as (directory, name):
            fd = os.open(name, os.O_RDWR | os.O_NONBLOCK | _SAFE, dir_fd=directory)
        return self._noted(fd)

    def _noted(self, fd: int) -> OpenFile:
        status = os.fstat(fd)
        file = OpenFile(fd, (status.st_dev, status.st_ino))
        self._opened.add(file)
        return file

    def _create(self, name: str, flags: int, directory: int) -> int:
        try:
            fd = os.open(name, flags | _NEW_FILE, self._file_mode, dir_fd=directory)
        except FileExistsError:
            return os.open(name, flags | os.O_NONBLOCK, dir_fd=directory)
        if self._sets_group:  # The mode given to open is cut by the umask.
            os.fchmod(fd, self._file_mode)
        return fd

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        above, _, name = path.rpartition("/")
        with self._directory(above) as directory:
            try:
                yield directory, name
            except OSError as error:
                error.filename = self._at(path)  # The system was given the last part only.
                raise

    @contextmanager
    def _directory(self, path: str) -> Iterator[int]:
        fd = os.open(self.root, _DIRECTORY)
        try:
            for part in path.split("/") if path else ():
                below = os.open(part, _DIRECTORY | _SAFE, dir_fd=fd)
                # In this order: a signal in between must not have the same one closed twice.
                above, fd = fd, below
                os.close(above)
            yield fd
        finally:
            os.close(fd)

    def read(self, file: OpenFile, size: int, offset: int) -> bytes:
        return os.pread(file.fd, size, offset)

    def write(self, file: OpenFile, data: bytes) -> int:
        """Append *data*; may write less than all of it."""
        return os.write(file.fd, data)

    def write_at(self, file: OpenFile, data: bytes, offset: int) -> int:
        """Overwrite what stands at *offset* of a file opened in place; may write less than all of *data*."""
        return os.pwrite(file.fd, data, offset)

    def truncate(self, file: OpenFile, size: int) -> None:
        os.ftruncate(file.fd, size)

    def size(self, file: OpenFile) -> int:
        return os.fstat(file.fd).st_size

    def sync_data(self, file: OpenFile) -> None:
        """Bring a file's bytes and length to the device. Raises SyncFailed."""
        with _syncing():
            if sys.platform == "darwin":  # fsync there leaves the data in the drive's cache
                fcntl.fcntl(file.fd, fcntl.F_FULLFSYNC)
            else:
                os.fdatasync(file.fd)

    def sync(self, file: OpenFile) -> None:
        """Bring a file to the device. Raises SyncFailed."""
        with _syncing():
            if sys.platform == "darwin":
                fcntl.fcntl(file.fd, fcntl.F_FULLFSYNC)
            else:
                os.fsync(file.fd)

    def sync_directory(self, path: str) -> None:
        """Bring the names in a directory to the device. Raises SyncFailed."""
        with self._directory(path) as directory, _syncing():
            os.fsync(directory)

    def drop_cache(self, file: OpenFile) -> None:
        """Make the next reads come from the device, where the system offers that."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def try_lock(self, file: OpenFile) -> bool:
        """Take the exclusive lock if it is free; it belongs to the open file, not the process."""
        file.is_locked = True  # Before it is: os.fork may come in between.
        try:
            fcntl.flock(file.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.is_locked = False
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise
        return True

    def unlock(self, file: OpenFile) -> None:
        fcntl.flock(file.fd, fcntl.LOCK_UN)
        file.is_locked = False

    def stat(self, path: str) -> FileStat | None:
        """Return what is at *path* itself, links not followed; None if nothing."""
        try:
            found = os.stat(self._at(path), follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return FileStat(
            (found.st_dev, found.st_ino),
            found.st_size,
            found.st_mtime_ns // 1_000_000,
            found.st_nlink,
            found.st_uid,
            found.st_mode,
        )

    def exists(self, path: str) -> bool:
        try:
            os.stat(self._prefix + path, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True  # os.access would call an error of the disk absence.

    def is_at(self, path: str, file: OpenFile) -> bool:
        """Return whether *file* is what *path* leads to, links not followed."""
        try:
            found = os.stat(self._prefix + path, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (found.st_dev, found.st_ino) == file.inode

    def make_directory(self, path: str) -> bool:
        """Make one directory; return whether it was not there before."""
        with self._parent(path) as (directory, name):
            try:
                os.mkdir(name, self._dir_mode, dir_fd=directory)
            except FileExistsError:
                return False
            if self._sets_group:
                os.chmod(name, self._dir_mode, dir_fd=directory)
        return True

    def make_root(self) -> None:
        """Make the root and what is missing above it, on disk."""
        root = Path(self.root)
        missing = [path for path in (root, *root.parents) if not path.exists()]
        root.mkdir(mode=self._dir_mode, parents=True, exist_ok=True)
        if self._sets_group and root in missing:
            root.chmod(self._dir_mode)
        for path in missing:
            self.sync_above(path)

    def sync_above(self, path: Path) -> None:
        """Bring the name of a directory outside the root to the device. Raises SyncFailed."""
        fd = os.open(path.parent, _DIRECTORY)
        try:
            with _syncing():
                os.fsync(fd)
        finally:
            os.close(fd)

    def set_mode(self, path: str, mode: int) -> None:
        """Set the rights of a file or directory; a link is refused."""
        with self._parent(path) as (directory, name):
            fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _SAFE, dir_fd=directory)
        try:
            os.fchmod(fd, mode)
        finally:
            os.close(fd)

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, sorted; none if it is not there."""
        while True:
            try:
                return sorted(os.listdir(self._at(path)))
            except InterruptedError:  # The one call that Python does not try again by itself.
                continue
            except (FileNotFoundError, NotADirectoryError):
                return []

    def rename(self, path: str, to: str) -> None:
        """Put *path* in the place of *to*, in the same directory or another."""
        with self._parent(path) as (above, name), self._parent(to) as (new_above, new_name):
            os.rename(name, new_name, src_dir_fd=above, dst_dir_fd=new_above)

    def link(self, path: str, to: str) -> None:
        """Give the file a second name; FileExistsError if that is taken."""
        with self._parent(path) as (above, name), self._parent(to) as (new_above, new_name):
            os.link(name, new_name, src_dir_fd=above, dst_dir_fd=new_above, follow_symlinks=False)

    def unlink(self, path: str) -> bool:
        """Remove a name; return whether it was there."""
        try:
            with self._parent(path) as (above, name):
                os.unlink(name, dir_fd=above)
        except FileNotFoundError:
            return False
        return True

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory; one that is not there or not empty stays as it is."""
        try:
            with self._parent(path) as (above, name):
                os.rmdir(name, dir_fd=above)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                raise

    def owner(self) -> int:
        """Return the user that this process acts for."""
        return os.geteuid()

    def room(self) -> Room:
        """Return how much more the root's file system takes from this user."""
        found = os.statvfs(self.root)
        # Where file names are not counted, there are 0 in all.
        names = found.f_favail if found.f_files else sys.maxsize
        return Room(found.f_bavail * found.f_frsize, names)

    def descriptors_max(self) -> int:
        """Return how many descriptors this process may have."""
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def after_fork(self) -> None:
        """
        Begin with free locks in the child of os.fork.

        What another thread of the parent had locked is closed: as long as the child had it open,
        the lock would outlive the parent.
        """
        for file in list(self._opened):
            if file.is_locked:
                file.close()

    def notifier(self) -> "Notifier":
        """Return what tells when files change. Raises OSError if nothing does."""
        from .watching import Notifier  # noqa: PLC0415 - ctypes, which only followers need

        return Notifier()

    def filesystem(self) -> str:
        """Return the type of the root's file system, or "" where the system does not tell."""
        device = os.stat(self.root).st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        try:
            mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        for line in mounts.splitlines():
            fields = line.split(" ")
            if fields[2] == wanted and "-" in fields:
                return fields[fields.index("-") + 1]
        return ""


def read_failed(error: OSError, name: str, offset: int) -> OSError:
    """Return *error* with the file and the place that could not be read."""
    return OSError(error.errno, f"{error.strerror} at byte {offset}", name)


@contextmanager
def _syncing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SyncFailed(error.errno, error.strerror) from error
