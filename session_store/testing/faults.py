"""
File systems that fail, for tests: at the nth call, for good, by dying, or by losing power.

Rules of this module:
  * They are `Files` with the real calls behind them: nothing of the store is replaced.
  * What is dead stays dead: behind a `Crash` every call raises it, so no clean-up
    of an unwinding stack does what a killed process could not have done.
"""

import errno
import os
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from attrs import frozen

from ..stores.fs.files import Files, OpenFile, SyncFailed
from ..stores.memory import MemoryFiles, Node

P = ParamSpec("P")
T = TypeVar("T")

SYNCS = frozenset({"sync", "sync_data", "sync_directory"})
CHANGES = SYNCS | {
    "create",
    "write",
    "truncate",
    "make_directory",
    "rename",
    "link",
    "unlink",
    "remove_directory",
}


class Crash(BaseException):
    """The process died in this call."""


@frozen
class Call:
    """
    One call that changes or syncs something.

    Attributes:
        number: 0-based, among all of its file system.
        name: One of CHANGES.
        path: What it is about, relative to the root.
        size: Bytes that a write was given.
    """

    number: int
    name: str
    path: str
    size: int = 0


@frozen
class Short:
    """A write that stops after *size* bytes; with *then*, the call ends with that."""

    size: int
    then: BaseException | None = None


Fault = BaseException | Short | None
Plan = Callable[[Call], Fault]
"""What shall become of a call; None lets it happen."""


def no_fault(_: Call) -> Fault:
    return None


def at(number: int, fault: Fault) -> Plan:
    """Return the plan that gives *fault* to call *number* alone."""
    return lambda call: fault if call.number == number else None


def error(code: int, call: Call) -> OSError:
    """Return the error *code* as *call* would raise it."""
    kind = SyncFailed if call.name in SYNCS else OSError
    return kind(code, os.strerror(code))


class Faults(Files):
    """Mixed into a `Files`: asks `plan` before every call that changes or syncs something."""

    plan: Plan = staticmethod(no_fault)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type] # whatever the file system wants
        self.calls: list[Call] = []
        self.is_dead = False
        self._paths: WeakKeyDictionary[OpenFile, str] = WeakKeyDictionary()

    def _meet(self, name: str, path: str, size: int = 0) -> Short | None:
        if self.is_dead:
            raise Crash
        call = Call(len(self.calls), name, path, size)
        self.calls.append(call)
        fault = self.plan(call)
        if isinstance(fault, BaseException):
            raise self._died(fault)
        return fault

    def _died(self, fault: BaseException) -> BaseException:
        self.is_dead = isinstance(fault, Crash)
        return fault

    def open(self, path: str, *, write: bool = False, create: bool = False) -> OpenFile:
        if create and self.stat(path) is None:
            self._meet("create", path)
        file = super().open(path, write=write, create=create)
        self._paths[file] = path
        return file

    def write(self, file: OpenFile, data: bytes) -> int:
        fault = self._meet("write", self._paths[file], len(data))
        if fault is None:
            return super().write(file, data)
        size = super().write(file, data[: fault.size]) if fault.size else 0
        if fault.then is not None:
            raise self._died(fault.then)
        return size

    def truncate(self, file: OpenFile, size: int) -> None:
        self._meet("truncate", self._paths[file])
        super().truncate(file, size)

    def sync_data(self, file: OpenFile) -> None:
        self._meet("sync_data", self._paths[file])
        super().sync_data(file)

    def sync(self, file: OpenFile) -> None:
        self._meet("sync", self._paths[file])
        super().sync(file)

    def sync_directory(self, path: str) -> None:
        self._meet("sync_directory", path)
        super().sync_directory(path)

    def make_directory(self, path: str) -> bool:
        self._meet("make_directory", path)
        return super().make_directory(path)

    def rename(self, path: str, to: str) -> None:
        self._meet("rename", to)
        super().rename(path, to)
        for file in [f for f, at in self._paths.items() if at == path]:
            self._paths[file] = to

    def link(self, path: str, to: str) -> None:
        self._meet("link", to)
        super().link(path, to)

    def unlink(self, path: str) -> bool:
        self._meet("unlink", path)
        return super().unlink(path)

    def remove_directory(self, path: str) -> None:
        self._meet("remove_directory", path)
        super().remove_directory(path)

    def unlock(self, file: OpenFile) -> None:
        if self.is_dead:
            raise Crash
        super().unlock(file)


class FaultyFiles(Faults, Files):
    """A directory of the real file system, with faults."""


class FaultyMemory(Faults, MemoryFiles):
    """
    A file system in memory, with faults, that remembers what was synced.

    It says that it is a disk, so stores on it give receipts of level `disk`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._durable_data: dict[Node, bytes] = {}
        self._durable_nodes: dict[str, Node] = {}
        self._durable_directories = {"", "."}

    def filesystem(self) -> str:
        return "ext4"

    def sync_data(self, file: OpenFile) -> None:
        super().sync_data(file)
        node = self.node(file)
        self._durable_data[node] = bytes(node.data)

    def sync(self, file: OpenFile) -> None:
        super().sync(file)
        node = self.node(file)
        self._durable_data[node] = bytes(node.data)

    def sync_directory(self, path: str) -> None:
        super().sync_directory(path)
        with self.frozen_names() as (nodes, directories):
            _take_over(self._durable_nodes, nodes, path)
            inside = {d for d in directories if _is_in(d, path)}
            gone = {d for d in self._durable_directories if _is_in(d, path)} - inside
            self._durable_directories = (self._durable_directories | inside) - gone

    def settle(self) -> None:
        """Bring everything to the device."""
        with self.frozen_names() as (nodes, directories):
            self._durable_nodes = dict(nodes)
            self._durable_directories = set(directories)
            self._durable_data = {node: bytes(node.data) for node in nodes.values()}

    def rebooted(self) -> "FaultyMemory":
        """Return what a new process finds after the old one was killed."""
        with self.frozen_names() as (nodes, directories):
            return _with(nodes, directories, lambda node: bytes(node.data))

    def after_power_loss(self, *, names_kept: bool, share: float) -> "FaultyMemory":
        """
        Return what may be found after the power went.

        Args:
            names_kept: Names that were not synced are there all the same.
            share: How much of what was written and not synced is there, 0 to 1.
        """
        with self.frozen_names() as present:
            durable = (self._durable_nodes, self._durable_directories)
            nodes, directories = present if names_kept else durable
            reachable = {p for p in directories if _are_in(p, directories)}
            there = {p: node for p, node in nodes.items() if p.rpartition("/")[0] in reachable}
            return _with(there, reachable, lambda node: self._survivor(node, share))

    def _survivor(self, node: Node, share: float) -> bytes:
        durable, present = self._durable_data.get(node, b""), bytes(node.data)
        if present.startswith(durable):
            return present[: len(durable) + round((len(present) - len(durable)) * share)]
        return present if share > 0 else durable


def _with(
    nodes: Mapping[str, Node], directories: set[str], survivor: Callable[[Node], bytes]
) -> FaultyMemory:
    """Return a file system with what survived, all of it on the device."""
    after = FaultyMemory()
    copies = {node: after.new_node(survivor(node)) for node in nodes.values()}
    for node in nodes.values():
        copies[node].links += 1
    after.fill({path: copies[node] for path, node in nodes.items()}, directories)
    after.settle()
    return after


def _is_in(path: str, directory: str) -> bool:
    return path not in ("", ".") and path.rpartition("/")[0] == directory


def _are_in(path: str, directories: set[str]) -> bool:
    while path not in ("", "."):
        if path not in directories:
            return False
        path = path.rpartition("/")[0]
    return True


def _take_over(durable: dict[str, Node], nodes: Mapping[str, Node], directory: str) -> None:
    for path in [p for p in durable if _is_in(p, directory)]:
        del durable[path]
    durable.update({p: node for p, node in nodes.items() if _is_in(p, directory)})


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
