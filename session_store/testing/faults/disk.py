"""A file system in memory on a device that loses power: what was synced is there, the rest perhaps."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from random import Random
from typing import Literal, Self
from weakref import WeakKeyDictionary

from ...stores.fs.files import OpenFile, SyncFailed
from ...stores.memory import MemoryFiles, Node
from .calls import nothing
from .power import DIRECTORY, GONE, Change, Remains, Stored, apply, is_in, surviving

Names = dict[str, Node | Literal["directory"]]


class Device:
    """What of a file system is on the device, and what is on its way there."""

    def __init__(self) -> None:
        self.names: Names = {}
        self.changes: list[Change] = []
        self.files: WeakKeyDictionary[Node, Stored] = WeakKeyDictionary()

    def of(self, node: Node) -> Stored:
        found = self.files.get(node)
        if found is None:
            found = self.files[node] = Stored()
        return found

    def sync_directory(self, path: str) -> None:
        inside = [c for c in self.changes if any(is_in(name, path) for name in c)]
        for change in inside:
            apply(self.names, change)
            self.changes.remove(change)


class MemoryDisk(MemoryFiles):
    """
    A file system in memory that knows what is on the device.

    It says that it is a disk, so stores on it give receipts of level `disk`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.device = Device()
        self._told: WeakKeyDictionary[OpenFile, int] = WeakKeyDictionary()

    def join(self, other: MemoryFiles) -> None:
        super().join(other)
        assert isinstance(other, MemoryDisk)
        self.device = other.device

    def filesystem(self) -> str:
        return "ext4"

    # -- what is on its way -----------------------------------------------------------------

    def open(self, path: str, *, write: bool = False, create: bool = False) -> OpenFile:
        with self._mutex:
            is_there = super().exists(path)
            file = super().open(path, write=write, create=create)
            if not is_there:
                self.device.changes.append({path: self.node(file)})
            return self._known(file)

    def open_in_place(self, path: str) -> OpenFile:
        with self._mutex:
            return self._known(super().open_in_place(path))

    def _known(self, file: OpenFile) -> OpenFile:
        self._told[file] = self.device.of(self.node(file)).failures
        return file

    def write(self, file: OpenFile, data: bytes) -> int:
        with self._mutex:
            self.device.of(self.node(file)).ops.append(bytes(data))
            return super().write(file, data)

    def write_at(self, file: OpenFile, data: bytes, offset: int) -> int:
        with self._mutex:
            self.device.of(self.node(file)).ops.append((offset, bytes(data)))
            return super().write_at(file, data, offset)

    def truncate(self, file: OpenFile, size: int) -> None:
        with self._mutex:
            self.device.of(self.node(file)).ops.append(size)
            super().truncate(file, size)

    def make_directory(self, path: str) -> bool:
        with self._mutex:
            is_new = super().make_directory(path)
            if is_new:
                self.device.changes.append({path: DIRECTORY})
            return is_new

    def rename(self, path: str, to: str) -> None:
        with self._mutex:
            super().rename(path, to)
            self.device.changes.append({path: GONE, to: self._nodes[to]})

    def link(self, path: str, to: str) -> None:
        with self._mutex:
            super().link(path, to)
            self.device.changes.append({to: self._nodes[to]})

    def unlink(self, path: str) -> bool:
        with self._mutex:
            was_there = super().unlink(path)
            if was_there:
                self.device.changes.append({path: GONE})
            return was_there

    def remove_directory(self, path: str) -> None:
        with self._mutex:
            was_there = path in self._directories
            super().remove_directory(path)
            if was_there and path not in self._directories:
                self.device.changes.append({path: GONE})

    # -- bringing it there ------------------------------------------------------------------

    def sync_data(self, file: OpenFile) -> None:
        self._bring(file)

    def sync(self, file: OpenFile) -> None:
        self._bring(file)

    def _bring(self, file: OpenFile) -> None:
        with self._mutex:
            node = self.node(file)
            stored = self.device.of(node)
            if self._told.get(file, 0) < stored.failures:
                self._told[file] = stored.failures
                raise SyncFailed(errno.EIO, os.strerror(errno.EIO))
            stored.sync(bytes(node.data))

    def lose(self, file: OpenFile, kept: Callable[[int], bool] = nothing) -> None:
        """Fail to write *file* back; *file* itself is told by whoever calls this."""
        with self._mutex:
            node = self.node(file)
            stored = self.device.of(node)
            stored.lose(bytes(node.data), kept)
            self._told[file] = stored.failures

    def sync_directory(self, path: str) -> None:
        super().sync_directory(path)
        with self._mutex:
            self.device.sync_directory(path)

    def drop_cache(self, file: OpenFile) -> None:
        with self._mutex:
            node = self.node(file)
            node.data[:] = self.device.of(node).drop(bytes(node.data))

    def on_device(self, file: OpenFile) -> bytes:
        """Return what the device holds of *file*."""
        return self.device.of(self.node(file)).device

    def at_the_least(self, path: str) -> bytes:
        """Return what is found at *path* if nothing more reaches the device; b"" without its name."""
        with self._mutex:
            node = surviving(self.device.names, [], []).get(path)
            return self.device.of(node).device if isinstance(node, Node) else b""

    def settle(self) -> None:
        """Bring everything to the device."""
        with self._mutex:
            directories = (d for d in self._directories if d not in ("", "."))
            self.device.names = {**dict.fromkeys(directories, DIRECTORY), **self._nodes}
            self.device.changes.clear()
            for node in self._nodes.values():
                stored = self.device.of(node)
                stored.device = stored.base = bytes(node.data)
                stored.ops.clear()

    # -- what is found ----------------------------------------------------------------------

    def rebooted(self) -> Self:
        """Return what a new process finds after the old one was killed."""
        with self._mutex:
            return self._with(self._present(), lambda node: bytes(node.data))

    def after_power_loss(self, *, names_kept: bool, share: float) -> Self:
        """
        Return one thing that may be found after the power went.

        Args:
            names_kept: Names that were not synced are there all the same.
            share: How much of what was written and not synced is there, 0 to 1.
        """
        with self._mutex:
            kept = [int(names_kept)] * len(self.device.changes)
            names = surviving(self.device.names, self.device.changes, kept)
            return self._with(names, lambda node: self._survivor(node, share))

    def power_losses(self, *, limit: int = 1000, seed: int = 0) -> Iterator[Self]:
        """
        Give everything that may be found after the power went.

        Args:
            limit: Where there is more, what is oldest, what is newest, and so many others by chance.
        """
        with self._mutex:
            files = self._remains()
            counts = [2] * len(self.device.changes)
            for remains in files.values():
                counts += remains.counts
            if prod(counts) <= limit:
                for number in range(prod(counts)):
                    yield self._found(files, _digits(number, counts))
                return
            changes = len(self.device.changes)
            yield self._found(files, [0] * changes + _all(files, lambda r: r.oldest))
            yield self._found(files, [1] * changes + _all(files, lambda r: r.newest))
            random = Random(seed)  # noqa: S311 - to be repeated
            for _ in range(limit):
                yield self._by_chance(files, random)

    def a_power_loss(self, random: Random) -> Self:
        """Return one thing that may be found after the power went, by chance."""
        with self._mutex:
            return self._by_chance(self._remains(), random)

    def _by_chance(self, files: Mapping[Node, Remains], random: Random) -> Self:
        share = random.choice((0, 0.5, 1))
        names = [int(random.random() < share) for _ in self.device.changes]
        return self._found(files, names + _all(files, lambda r: r.chance(random)))

    def _found(self, files: Mapping[Node, Remains], answers: Sequence[int]) -> Self:
        changes = len(self.device.changes)
        names = surviving(self.device.names, self.device.changes, answers[:changes])
        data: dict[Node, bytes] = {}
        at = changes
        for node, remains in files.items():
            end = at + len(remains.counts)
            data[node], at = remains.found(answers[at:end]), end
        return self._with(names, data.__getitem__)

    def _remains(self) -> dict[Node, Remains]:
        """Return what may be found of every file that may be found."""
        everything = [*self.device.names.values()]
        for change in self.device.changes:
            everything += [what for what in change.values() if what != GONE]
        nodes = dict.fromkeys(what for what in everything if isinstance(what, Node))
        return {node: self.device.of(node).remains() for node in nodes}

    def _present(self) -> Names:
        directories = (d for d in self._directories if d not in ("", "."))
        return {**dict.fromkeys(directories, DIRECTORY), **self._nodes}

    def _survivor(self, node: Node, share: float) -> bytes:
        durable, present = self.device.of(node).device, bytes(node.data)
        if present.startswith(durable):
            return present[: len(durable) + round((len(present) - len(durable)) * share)]
        return present if share > 0 else durable

    def _with(self, names: Names, survivor: Callable[[Node], bytes]) -> Self:
        """Return a file system with what survived, all of it on the device."""
        after = type(self)()
        after.clock, after._inodes = self.clock, self._inodes  # noqa: SLF001 - of this class
        copies: dict[Node, Node] = {}
        nodes: dict[str, Node] = {}
        for path, what in names.items():
            if isinstance(what, Node):
                copy = copies.get(what)
                if copy is None:
                    copy = copies[what] = after.new_node(survivor(what))
                    copy.inode = what.inode  # Marks name files by it.
                copy.links += 1
                nodes[path] = copy
        after.fill(nodes, [path for path, what in names.items() if what == DIRECTORY])
        after.settle()
        return after


def _all(files: Mapping[Node, Remains], answers: Callable[[Remains], Iterable[int]]) -> list[int]:
    return [answer for remains in files.values() for answer in answers(remains)]


def _digits(number: int, counts: Sequence[int]) -> list[int]:
    """Return the *number*th of all combinations of answers."""
    found = []
    for count in counts:
        number, digit = divmod(number, count)
        found.append(digit)
    return found
