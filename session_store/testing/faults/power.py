"""
What of a file, and of names, may be there after a loss of power.

The model, wider than what any one file system does:

  * Of what was not synced the device has any subset in pages, each as it was behind any
    write; the length is any that the file had, or any in between. A page that is not
    there within the length reads as NULs, or as what was there before.
  * A name that was made, replaced or removed and not synced is there or not, whatever
    became of others. Changes of one name keep their order, and a rename is one change.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from random import Random
from typing import Literal, TypeAlias

from attrs import define, field, frozen

from ...stores.memory import Node

PAGE = 4096
"""Bytes that reach the device together or not at all."""

GONE: Literal["gone"] = "gone"
DIRECTORY: Literal["directory"] = "directory"
Op: TypeAlias = bytes | int | tuple[int, bytes]
Change: TypeAlias = Mapping[str, Node | Literal["gone", "directory"]]
"""What stands at some names after one call."""


@define(eq=False)
class Stored:
    """
    What of one file is on the device, and what is on its way there.

    Attributes:
        device: On the device.
        base: What the cache held when *ops* began; another thing than *device* after a failed sync.
        ops: Bytes appended, bytes written at an offset, and lengths cut to since then.
        failures: How often a write-back failed; see `Lost`.
    """

    device: bytes = b""
    base: bytes = b""
    ops: list[Op] = field(factory=list)
    failures: int = 0

    def sync(self, data: bytes) -> None:
        """Bring what is dirty to the device; *data* is what the cache holds."""
        if self.device is not self.base:
            device = self._with(data, lambda _: True)
            self.device, self.base = data if device == data else device, data
        else:
            self.device = self.base = data
        self.ops.clear()

    def lose(self, data: bytes, kept: Callable[[int], bool]) -> None:
        """Fail to bring what is dirty to the device, but for some pages."""
        self.device, self.base = self._with(data, kept), data
        self.ops.clear()
        self.failures += 1

    def drop(self, data: bytes) -> bytes:
        """Return what the cache holds after its clean pages were read from the device again."""
        if self.device is self.base:
            return data
        fresh = bytearray(_sized(self.device, len(self.base)))
        for page in self._touched():
            fresh[page * PAGE : (page + 1) * PAGE] = self.base[page * PAGE : (page + 1) * PAGE]
        self.base = bytes(fresh[: len(self.base)])
        return self._contents()[-1]

    def _with(self, data: bytes, kept: Callable[[int], bool]) -> bytes:
        """Return what the device holds if it takes the *kept* ones of the dirty pages of *data*."""
        device = bytearray(_sized(self.device, len(data)))
        for page in self._touched():
            if kept(page):
                part = data[page * PAGE : (page + 1) * PAGE]
                device[page * PAGE : page * PAGE + len(part)] = part
        return bytes(device)

    def _contents(self) -> list[bytes]:
        """Return what the cache held at first, and behind every operation."""
        found = [self.base]
        for op in self.ops:
            found.append(_applied(op, found[-1]))
        return found

    def _sizes(self) -> list[int]:
        found = [len(self.base)]
        for op in self.ops:
            if isinstance(op, int):
                found.append(min(found[-1], op))
            elif isinstance(op, bytes):
                found.append(found[-1] + len(op))
        return found

    def _touched(self) -> list[int]:
        """Return the pages that operations have changed."""
        sizes = self._sizes()
        pages: set[int] = set()
        for before, after in pairwise(sizes):
            low, high = min(before, after), max(before, after)
            pages.update(range(low // PAGE, -(-high // PAGE)))
        for op in self.ops:
            if isinstance(op, tuple):
                offset, data = op
                pages.update(range(offset // PAGE, -(-(offset + len(data)) // PAGE)))
        return sorted(pages)

    def remains(self) -> "Remains":
        """Return what may be found of the file."""
        contents = self._contents()
        sizes = [len(self.device), *map(len, contents[1:])]
        pages = {
            page: _distinct(
                c[page * PAGE : (page + 1) * PAGE] for c in (self.device, *contents[1:])
            )
            for page in self._touched()
        }
        return Remains(self.device, tuple(sizes), pages)


def _applied(op: Op, data: bytes) -> bytes:
    if isinstance(op, int):
        return data[:op]
    if isinstance(op, bytes):
        return data + op
    offset, over = op
    return data[:offset] + over + data[offset + len(over) :]


def _distinct(versions: Iterator[bytes]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(versions))


def _sized(data: bytes, size: int) -> bytes:
    return data[:size].ljust(size, b"\0")


@frozen
class Remains:
    """
    What may be found of one file.

    Attributes:
        device: What is there for certain, if the length allows.
        sizes: Lengths that the file had, the one on the device first, the newest last.
        pages: What each page that is not synced may hold; the device's version first.
    """

    device: bytes
    sizes: tuple[int, ...]
    pages: Mapping[int, tuple[bytes, ...]]

    @property
    def lengths(self) -> range:
        return range(min(self.sizes), max(self.sizes) + 1)

    @property
    def counts(self) -> list[int]:
        """How many answers each question has: the length, then each page."""
        return [len(self.lengths), *map(len, self.pages.values())]

    def found(self, answers: Sequence[int]) -> bytes:
        """Return what is there for one answer to each question of `counts`."""
        size = self.lengths[answers[0]]
        data = bytearray(_sized(self.device, size))
        for (page, versions), answer in zip(self.pages.items(), answers[1:], strict=True):
            part = versions[answer][: max(size - page * PAGE, 0)]
            data[page * PAGE : (page + 1) * PAGE] = _sized(part, len(data[page * PAGE :][:PAGE]))
        return bytes(data)

    @property
    def oldest(self) -> list[int]:
        return [self.sizes[0] - self.lengths[0], *(0 for _ in self.pages)]

    @property
    def newest(self) -> list[int]:
        return [self.sizes[-1] - self.lengths[0], *(len(v) - 1 for v in self.pages.values())]

    def chance(self, random: Random) -> list[int]:
        """Return answers by chance, those more often at which an operation ended."""
        ends = [size - self.lengths[0] for size in self.sizes]
        size = random.choice(ends) if random.random() < 0.5 else random.randrange(len(self.lengths))
        is_all = random.random() < 0.5  # Then the length alone tears it.
        return [
            size,
            *(
                len(versions) - 1 if is_all else random.randrange(len(versions))
                for versions in self.pages.values()
            ),
        ]


def surviving(
    names: Mapping[str, Node | Literal["directory"]], changes: Sequence[Change], kept: Sequence[int]
) -> dict[str, Node | Literal["directory"]]:
    """Return the names after those *changes* whose *kept* is 1; one that stands on a lost one is lost."""
    found, lost = dict(names), set[str]()
    for change, is_kept in zip(changes, kept, strict=True):
        if not is_kept or not lost.isdisjoint(change):
            lost.update(change)
        else:
            apply(found, change)
    return {path: what for path, what in found.items() if _is_reachable(path, found)}


def apply(names: dict[str, Node | Literal["directory"]], change: Change) -> None:
    for path, what in change.items():
        if what == "gone":
            names.pop(path, None)
        else:
            names[path] = what


def _is_reachable(path: str, names: Mapping[str, object]) -> bool:
    while path := path.rpartition("/")[0]:
        if names.get(path) != DIRECTORY:
            return False
    return True


def is_in(path: str, directory: str) -> bool:
    return path not in ("", ".") and path.rpartition("/")[0] == directory
