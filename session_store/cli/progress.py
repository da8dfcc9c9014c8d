"""Progress bars on standard error, where that is a terminal."""

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from .. import blocking
from ..ids import SessionId
from ..stores.face import InlineFace

T = TypeVar("T")


def _is_shown() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def progress(items: Iterable[T], label: str, length: int) -> Iterator[T]:
    """Yield *items*, with a bar for them."""
    if not _is_shown():
        yield from items
        return
    with click.progressbar(items, length=length, label=label, file=sys.stderr) as bar:
        yield from bar


class _Counting(InlineFace):
    """A face that tells how many bytes of logs were read."""

    def __init__(self, inner: InlineFace, advance: Callable[[int], None]) -> None:
        super().__init__(inner.core)
        self.heads = inner.heads
        self._advance = advance

    async def raw(self, session_id: SessionId) -> AsyncIterator[bytes]:
        async for chunk in super().raw(session_id):
            self._advance(len(chunk))
            yield chunk


@contextmanager
def counting(store: blocking.Store, label: str, size: int) -> Iterator[blocking.Store]:
    """Give *store* in a form that shows how much of *size* bytes of raw logs was read."""
    if not _is_shown():
        yield store
        return
    with click.progressbar(length=max(size, 1), label=label, file=sys.stderr) as bar:
        yield blocking.Store(_Counting(store.inner, bar.update))


@contextmanager
def measuring(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give what shows how much is done, called with (done, all); None where no bar is shown."""
    if not _is_shown():
        yield None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield show
