"""
`Files` that ask a plan before every call.

Rules of this module:
  * They are `Files` with the real calls behind them: nothing of the store is replaced.
  * What is dead stays dead: behind a `Crash` every call raises it, so no clean-up
    of an unwinding stack does what a killed process could not have done.
"""

import errno
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Self, TypeVar
from weakref import WeakKeyDictionary

from ...stores.fs.files import Files, FileStat, OpenFile
from .calls import CHANGES, Call, Crash, Lost, Plan, Short, at, no_fault
from .disk import MemoryDisk

if TYPE_CHECKING:
    from ...stores.fs.watching import Notifier

F = TypeVar("F", bound="Faults")


class Faults(Files):
    """
    Mixed into a `Files`.

    Attributes:
        plan: Asked before every call of the kinds *watched*.
        watched: The kinds that are numbered, noted in *calls*, and may get a fault.
    """

    plan: Plan = staticmethod(no_fault)
    watched: frozenset[str] = CHANGES

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type] # whatever the file system wants
        self.calls: list[Call] = []
        self.is_dead = False
        self._paths: WeakKeyDictionary[OpenFile, str] = WeakKeyDictionary()

    def die(self) -> None:
        """End the process: what it had open is closed, so its locks are free."""
        self.is_dead = True
        for file in [ref() for ref in self._paths.keyrefs()]:
            if file is not None:
                file.close()

    def _meet(self, name: str, path: str, size: int = 0) -> Short | Lost | None:
        if self.is_dead:
            raise Crash
        if name not in self.watched:
            return None
        call = Call(len(self.calls), name, path, size)
        self.calls.append(call)
        fault = self.plan(call)
        if isinstance(fault, BaseException):
            raise self._ended(fault)
        return fault

    def _ended(self, fault: BaseException) -> BaseException:
        if isinstance(fault, Crash):
            self.die()
        return fault

    def open(self, path: str, *, write: bool = False, create: bool = False) -> OpenFile:
        self._meet("create" if create and not super().exists(path) else "open", path)
        file = super().open(path, write=write, create=create)
        self._paths[file] = path
        return file

    def open_in_place(self, path: str) -> OpenFile:
        self._meet("open", path)
        file = super().open_in_place(path)
        self._paths[file] = path
        return file

    def read(self, file: OpenFile, size: int, offset: int) -> bytes:
        self._meet("read", self._paths[file], size)
        return super().read(file, size, offset)

    def write(self, file: OpenFile, data: bytes) -> int:
        fault = self._meet("write", self._paths[file], len(data))
        if not isinstance(fault, Short):
            return super().write(file, data)
        size = super().write(file, data[: fault.size]) if fault.size else 0
        return self._stopped(fault, size)

    def write_at(self, file: OpenFile, data: bytes, offset: int) -> int:
        fault = self._meet("write_at", self._paths[file], len(data))
        if not isinstance(fault, Short):
            return super().write_at(file, data, offset)
        size = super().write_at(file, data[: fault.size], offset) if fault.size else 0
        return self._stopped(fault, size)

    def _stopped(self, fault: Short, size: int) -> int:
        if fault.then is not None:
            raise self._ended(fault.then)
        return size

    def truncate(self, file: OpenFile, size: int) -> None:
        self._meet("truncate", self._paths[file], size)
        super().truncate(file, size)

    def size(self, file: OpenFile) -> int:
        self._meet("size", self._paths[file])
        return super().size(file)

    def sync_data(self, file: OpenFile) -> None:
        self._meet_sync("sync_data", file)
        super().sync_data(file)

    def sync(self, file: OpenFile) -> None:
        self._meet_sync("sync", file)
        super().sync(file)

    def _meet_sync(self, name: str, file: OpenFile) -> None:
        fault = self._meet(name, self._paths[file])
        if isinstance(fault, Lost):
            if isinstance(self, MemoryDisk):  # A real device is not to be told.
                self.lose(file, fault.kept)
            raise fault.then

    def sync_directory(self, path: str) -> None:
        self._meet("sync_directory", path)
        super().sync_directory(path)

    def drop_cache(self, file: OpenFile) -> None:
        self._meet("drop_cache", self._paths[file])
        super().drop_cache(file)

    def try_lock(self, file: OpenFile) -> bool:
        self._meet("try_lock", self._paths[file])
        return super().try_lock(file)

    def unlock(self, file: OpenFile) -> None:
        self._meet("unlock", self._paths[file])
        super().unlock(file)

    def stat(self, path: str) -> FileStat | None:
        self._meet("stat", path)
        return super().stat(path)

    def exists(self, path: str) -> bool:
        self._meet("exists", path)
        return super().exists(path)

    def is_at(self, path: str, file: OpenFile) -> bool:
        self._meet("is_at", path)
        return super().is_at(path, file)

    def names(self, path: str) -> list[str]:
        self._meet("names", path)
        return super().names(path)

    def make_directory(self, path: str) -> bool:
        self._meet("make_directory", path)
        return super().make_directory(path)

    def rename(self, path: str, to: str) -> None:
        self._meet("rename", to)
        super().rename(path, to)
        # Other threads open files meanwhile: taken at once, not walked through as it changes.
        for file in [ref() for ref in self._paths.keyrefs()]:
            if file is not None and self._paths[file] == path:
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


class FaultyFiles(Faults, Files):
    """A directory of the real file system, with faults; of changes it does not tell."""

    def notifier(self) -> "Notifier":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


class FaultyMemory(Faults, MemoryDisk):
    """A file system in memory, with faults, that knows what is on the device."""

    def another_process(self) -> Self:
        """Return the same file system as another process has it: own locks, plan and death."""
        other = type(self)()
        other.join(self)
        other.clock = self.clock
        return other


def deaths(
    make: Callable[[], F], work: Callable[[F], object], *, tear_at: int | None = None
) -> Iterator[tuple[Call, F]]:
    """
    Do *work* on what *make* returns, again and again, and die in its nth watched call, for every n.

    Ends when *work* got through. What is found afterwards is in `rebooted` and `power_losses`.

    Args:
        tear_at: Die inside the writes only, after so many bytes of each.
    """
    number = 0
    while True:
        files = make()
        first = len(files.calls)
        fault = Crash() if tear_at is None else Short(tear_at, Crash())
        files.plan = at(first + number, fault)
        try:
            work(files)
        except Crash:
            yield files.calls[first + number], files
        else:
            if first + number >= len(files.calls):
                return
        number += 1
