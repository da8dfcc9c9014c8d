"""
A file system in a dictionary, for a store that lives as long as its process.

The store on it is the file store itself, so it keeps the same promises but the
one that memory cannot: receipts say `os`.
"""

import errno
import os
import stat
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from attrs import define, field

from .fs.files import Files, FileStat, OpenFile, Room

if TYPE_CHECKING:
    from .fs.watching import Notifier


@define(eq=False)
class Node:
    """A file, whatever its names."""

    inode: tuple[int, int]
    data: bytearray = field(factory=bytearray)
    mtime_ms: int = 0
    locked_by: "MemoryFile | None" = None
    links: int = 1


class MemoryFile(OpenFile):
    """An open file; closing it frees its lock."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        super().__init__(-1, node.inode)
        self.node = node

    def close(self) -> None:
        if self.node.locked_by is self:
            self.node.locked_by = None


def _missing(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


class MemoryFiles(Files):
    """
    The calls of `Files`, on a dictionary of names.

    Concurrency: any threads; one mutex orders them.
    """

    def __init__(self, name: str = "memory") -> None:
        super().__init__(PurePosixPath(name))
        self._nodes: dict[str, Node] = {}
        self._directories = {"", "."}
        self._inodes = count(1)
        self._mutex = threading.RLock()

    def join(self, other: "MemoryFiles") -> None:
        """Be another process's view of the file system of *other*: locks keep the two apart."""
        self._nodes, self._directories = other._nodes, other._directories  # noqa: SLF001 - of this class
        self._inodes, self._mutex = other._inodes, other._mutex  # noqa: SLF001 - the same

    def node(self, file: OpenFile) -> Node:
        """Return what *file* is open on."""
        assert isinstance(file, MemoryFile)
        return file.node

    def open(self, path: str, *, write: bool = False, create: bool = False) -> OpenFile:
        with self._mutex:
            node = self._nodes.get(path)
            if node is None:
                if not (write and create) or path.rpartition("/")[0] not in self._directories:
                    raise _missing(path)
                node = Node((0, next(self._inodes)), mtime_ms=self.clock.now_ms())
                self._nodes[path] = node
            return MemoryFile(node)

    def open_in_place(self, path: str) -> OpenFile:
        with self._mutex:
            if path not in self._nodes:
                raise _missing(path)
            return MemoryFile(self._nodes[path])

    def read(self, file: OpenFile, size: int, offset: int) -> bytes:
        return bytes(self.node(file).data[offset : offset + size])

    def write(self, file: OpenFile, data: bytes) -> int:
        with self._mutex:
            node = self.node(file)
            node.data += data
            node.mtime_ms = self.clock.now_ms()
        return len(data)

    def write_at(self, file: OpenFile, data: bytes, offset: int) -> int:
        with self._mutex:
            node = self.node(file)
            node.data[offset : offset + len(data)] = data
            node.mtime_ms = self.clock.now_ms()
        return len(data)

    def truncate(self, file: OpenFile, size: int) -> None:
        with self._mutex:
            node = self.node(file)
            del node.data[size:]
            node.mtime_ms = self.clock.now_ms()

    def size(self, file: OpenFile) -> int:
        return len(self.node(file).data)

    def sync_data(self, file: OpenFile) -> None:
        """Nothing outlives the process."""

    def sync(self, file: OpenFile) -> None:
        """Nothing outlives the process."""

    def sync_directory(self, path: str) -> None:
        if path not in self._directories:
            raise _missing(path)

    def drop_cache(self, file: OpenFile) -> None:
        """There is no device behind the memory."""

    def try_lock(self, file: OpenFile) -> bool:
        assert isinstance(file, MemoryFile)
        with self._mutex:
            if file.node.locked_by not in (None, file):
                return False
            file.node.locked_by = file
            return True

    def unlock(self, file: OpenFile) -> None:
        with self._mutex:
            if self.node(file).locked_by is file:
                self.node(file).locked_by = None

    def stat(self, path: str) -> FileStat | None:
        with self._mutex:
            if path in self._directories:
                return FileStat((0, 0), 0, 0, 1, self.owner(), stat.S_IFDIR | 0o700)
            node = self._nodes.get(path)
            if node is None:
                return None
            size, mode = len(node.data), stat.S_IFREG | 0o600
            return FileStat(node.inode, size, node.mtime_ms, node.links, self.owner(), mode)

    def exists(self, path: str) -> bool:
        return path in self._nodes or path in self._directories

    def is_at(self, path: str, file: OpenFile) -> bool:
        return self._nodes.get(path) is self.node(file)

    def make_directory(self, path: str) -> bool:
        with self._mutex:
            if path in self._directories:
                return False
            if path.rpartition("/")[0] not in self._directories:
                raise _missing(path)
            self._directories.add(path)
            return True

    def make_root(self) -> None:
        """The root is always there."""

    def set_mode(self, path: str, mode: int) -> None:
        """Nobody else can see this memory."""

    def names(self, path: str) -> list[str]:
        with self._mutex:
            inside = f"{path}/" if path else ""
            return sorted(set(self._below(inside)))

    def _below(self, inside: str) -> Iterator[str]:
        for name in (*self._nodes, *self._directories):
            if name.startswith(inside) and name not in ("", "."):
                rest = name[len(inside) :]
                if rest and "/" not in rest:
                    yield rest

    def rename(self, path: str, to: str) -> None:
        with self._mutex:
            if path not in self._nodes:
                raise _missing(path)
            if (replaced := self._nodes.get(to)) is not None:
                replaced.links -= 1
            self._nodes[to] = self._nodes.pop(path)

    def link(self, path: str, to: str) -> None:
        with self._mutex:
            if to in self._nodes:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), to)
            if path not in self._nodes:
                raise _missing(path)
            self._nodes[to] = self._nodes[path]
            self._nodes[to].links += 1

    def unlink(self, path: str) -> bool:
        with self._mutex:
            node = self._nodes.pop(path, None)
            if node is None:
                return False
            node.links -= 1
            return True

    def remove_directory(self, path: str) -> None:
        with self._mutex:
            if not any(self._below(f"{path}/")):
                self._directories.discard(path)

    @contextmanager
    def frozen_names(self) -> Iterator[tuple[Mapping[str, Node], set[str]]]:
        """Hold everything still; give the files and the directories by name."""
        with self._mutex:
            yield self._nodes, self._directories

    def fill(self, nodes: Mapping[str, Node], directories: Iterable[str]) -> None:
        """Put *nodes* and *directories* there."""
        with self._mutex:
            self._directories |= set(directories)
            self._nodes.update(nodes)

    def new_node(self, data: bytes) -> Node:
        """Return a file that has no name yet."""
        return Node((0, next(self._inodes)), bytearray(data), mtime_ms=self.clock.now_ms(), links=0)

    def after_fork(self) -> None:
        self._mutex = threading.RLock()

    def notifier(self) -> "Notifier":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def filesystem(self) -> str:
        return "memory"

    def room(self) -> Room:
        return Room(sys.maxsize, sys.maxsize)
