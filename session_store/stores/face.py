"""
The asynchronous face of a synchronous core.

A face adds one thing: where the core's calls run. `InlineFace` runs them where
they are made, and so never suspends; `ThreadFace` makes one trip to a thread
for each operation, and hands appends to the committer.
"""

import asyncio
import os
import weakref
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from ..chain import Draft, Record
from ..entries import Durability, Json, Position, Receipt, SessionOrigin
from ..ids import SessionId
from ..redacted import Named
from .following import BlockingWait, LoopWait, PauseWait, Waiting, Watches
from .fs.committer import Committer
from .fs.core import FsCore
from .fs.layout import log_path
from .fs.requests import Place, Request
from .masking import Masking
from .protocol import Cursor, Expected, Repair, SessionInfo, Store

if TYPE_CHECKING:
    from ..redaction.rules import Rules
P = ParamSpec("P")
T = TypeVar("T")

_QUEUED_S = 0.001
_READERS = 4
_GROUP = 256
_GROUP_BYTES = 1024 * 1024


class InlineFace(Store):
    """
    A store whose calls do their work before they return an awaitable that is done.

    A coroutine that awaits nothing else runs to its end in one step.
    """

    def __init__(self, core: FsCore, mask: "Rules | None" = None) -> None:
        self.core = core
        self.mask = mask
        self._masking = Masking(mask)

    @property
    def store_id(self) -> str:
        return self.core.info.store_id

    @property
    def is_masked(self) -> bool:
        return self.core.allow_masked

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return call(*args, **kwargs)

    async def pause(self, seconds: float) -> None:
        self.core.files.clock.sleep(seconds)

    async def close(self) -> None:
        self.core.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def create(
        self,
        session_id: SessionId,
        drafts: Sequence[Draft],
        *,
        parent: Position | None = None,
        key: str | None = None,
        durability: Durability | None = None,
    ) -> Receipt:
        return await self._run(
            self.core.create,
            session_id,
            self._masking.drafts(drafts),
            parent=parent,
            key=key,
            durability=durability,
        )

    async def create_whole(
        self,
        session_id: SessionId,
        appends: AsyncIterable[Sequence[Draft]],
        *,
        parent: Position | None = None,
        key: str | None = None,
    ) -> Receipt:
        birth = await self._run(self.core.begin_whole, session_id, parent)
        try:
            group: list[Sequence[Draft]] = []
            size = 0
            async for given in appends:
                drafts = self._masking.drafts(given)
                group.append(drafts)
                size += sum(len(d.body) for d in drafts)
                if len(group) >= _GROUP or size >= _GROUP_BYTES:
                    await self._run(self.core.add_whole, birth, group)
                    group, size = [], 0
            await self._run(self.core.add_whole, birth, group)
            return await self._run(self.core.publish_whole, birth, key)
        finally:
            await self._run(birth.abort)

    async def append(
        self,
        session_id: SessionId,
        drafts: Sequence[Draft],
        *,
        expected: Expected | None = None,
        cursor: Cursor | None = None,
        floor: Position | None = None,
        durability: Durability | None = None,
    ) -> Receipt:
        return self.core.append(
            session_id,
            self._masking.drafts(drafts),
            expected=expected,
            cursor=cursor,
            floor=floor,
            durability=durability,
        )

    async def append_lines(self, session_id: SessionId, lines: bytes) -> Receipt:
        lines = self._masking.lines(session_id, lines)
        return await self._run(self.core.append_lines, session_id, lines)

    async def open(self, session_id: SessionId, *, shared: bool = False) -> Cursor:
        return await self._run(self.core.open, session_id, shared=shared)

    async def head(self, session_id: SessionId) -> Position:
        return await self._run(self.core.head, session_id)

    async def flush(self, session_id: SessionId, *, cursor: Cursor | None = None) -> Receipt:
        return await self._run(self.core.flush, session_id, cursor=cursor)

    async def record(self, session_id: SessionId, seq: int) -> Record:
        return await self._run(self.core.record, session_id, seq)

    async def position(self, session_id: SessionId, seq: int) -> Position:
        return await self._run(self.core.position, session_id, seq)

    async def origin(self, session_id: SessionId) -> SessionOrigin:
        return await self._run(self.core.origin, session_id)

    async def redactions(self, session_id: SessionId) -> Named:
        return await self._run(self.core.redactions, session_id)

    async def list(
        self, *, before: SessionId | None = None, limit: int = 100
    ) -> Sequence[SessionInfo]:
        return await self._run(self.core.list, before=before, limit=limit)

    async def find(self, key: str) -> SessionId | None:
        return await self._run(self.core.find, key)

    async def children(self, session_id: SessionId) -> Sequence[SessionId]:
        return await self._run(self.core.children, session_id)

    async def delete(self, session_id: SessionId) -> None:
        await self._run(self.core.delete, session_id)

    async def erase(
        self,
        session_id: SessionId,
        targets: Sequence[Position],
        *,
        reason: str,
        by: str | None = None,
        replacements: Mapping[int, Mapping[str, Json]] | None = None,
        turns: Collection[int] = (),
    ) -> Receipt:
        return await self._run(
            self.core.erase,
            session_id,
            targets,
            reason=self._masking.text(reason),
            by=None if by is None else self._masking.text(by),
            replacements=self._masking.replacements(replacements),
            turns=turns,
        )

    async def is_deleted(self, session_id: SessionId) -> bool:
        return await self._run(self.core.is_deleted, session_id)

    async def seen(self, session_id: SessionId) -> Position | None:
        return None if self.heads is None else await self._run(self.heads.seen, session_id)

    async def remember(self, heads: Sequence[Position], *, also_back: bool = False) -> None:
        if self.heads is not None:
            await self._run(self.heads.remember, heads, also_back=also_back)

    async def repair(self, session_id: SessionId) -> Repair:
        return await self._run(self.core.repair, session_id)

    async def append_trace(self, session_id: SessionId, data: bytes) -> int:
        data = self._masking.events(data)
        return await self._run(self.core.append_trace, session_id, data)

    async def read(
        self, session_id: SessionId, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        async for batch in self._each(lambda: self.core.read(session_id, start, stop)):
            yield batch

    async def raw(self, session_id: SessionId) -> AsyncIterator[bytes]:
        async for chunk in self._each(lambda: self.core.raw(session_id)):
            yield chunk

    async def read_trace(self, session_id: SessionId) -> AsyncIterator[bytes]:
        async for chunk in self._each(lambda: self.core.read_trace(session_id)):
            yield chunk

    async def follow(
        self, session_id: SessionId, start: int = 0
    ) -> AsyncIterator[Sequence[Record]]:
        follower = await self._run(self.core.follower, session_id, start)
        waiting = await self._waiting(self.core.files.name(log_path(session_id)))

        def look() -> Sequence[Record]:
            waiting.renew()
            return follower.more()

        try:
            while True:
                if batch := await self._run(look):
                    waiting.came()
                    yield batch
                else:
                    await waiting.wait()
        finally:
            waiting.close()

    async def _waiting(self, path: str) -> Waiting:
        return PauseWait(path, self.pause)

    async def _each(self, begin: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
        iterator = await self._run(begin)
        while True:
            found = await self._run(lambda: next(iterator, None))
            if found is None:
                return
            yield found


class BlockingFace(InlineFace):
    """An inline face for code without an event loop: whoever follows waits in its thread."""

    async def _waiting(self, path: str) -> Waiting:
        return BlockingWait(self.core.files, path, self.pause)


class ThreadFace(InlineFace):
    """
    A store for asyncio code.

    Concurrency: any number of tasks. One committer thread writes and syncs for
        all of them; an `os` append whose log is free is made on the spot.
    Cancellation: a cancelled append may still be written; later ones keep their order.
    """

    def __init__(self, core: FsCore, mask: "Rules | None" = None) -> None:
        super().__init__(core, mask)
        self._begin()
        if hasattr(os, "register_at_fork"):
            this = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _begin_anew(this))

    def _begin(self) -> None:
        self._watches = Watches()
        self._threads = ThreadPoolExecutor(_READERS, thread_name_prefix="session-store")
        core = self.core
        self._committer = Committer(
            core.write, core.complete, core.lock_timeout_s, core.open_files_max
        )

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self.core.check_open()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))

    async def _waiting(self, path: str) -> Waiting:
        await self._run(self._watches.begin, self.core.files)
        return LoopWait(self._watches, path)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        if self.core.is_closed:
            return
        await self._run(self._committer.close)
        self.core.close()
        self._watches.close()
        self._threads.shutdown(wait=False)

    async def append(
        self,
        session_id: SessionId,
        drafts: Sequence[Draft],
        *,
        expected: Expected | None = None,
        cursor: Cursor | None = None,
        floor: Position | None = None,
        durability: Durability | None = None,
    ) -> Receipt:
        request = self.core.request(
            session_id,
            self._masking.drafts(drafts),
            expected=expected,
            cursor=cursor,
            floor=floor,
            durability=durability,
        )
        if request.level == "os" and not request.log.outstanding and request.log.try_lock():
            try:
                written = self.core.write(request)
            finally:
                request.log.unlock()
            self.core.complete(request, written)
        else:
            await self._commit(request)
        assert request.receipt is not None
        return request.receipt

    async def flush(self, session_id: SessionId, *, cursor: Cursor | None = None) -> Receipt:
        last = None if cursor is None else self._queued(cursor.place)
        while last is not None and not last.is_settled:
            await self.pause(_QUEUED_S)
        return await super().flush(session_id, cursor=cursor)

    def _queued(self, place: Place) -> Request | None:
        """Return what the handle has handed in last, if it is not settled; not what os.fork left behind."""
        last = place.last
        is_queued = last is not None and last.queue is self._committer and not last.is_settled
        return last if is_queued else None

    def _commit(self, request: Request) -> Coroutine[None, None, None]:
        request.queue = self._committer
        place: Place | None = None if request.cursor is None else request.cursor.place
        if place is not None:
            request.behind, place.last = self._queued(place), request
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if done.cancelled():
                return
            if request.error is not None:
                done.set_exception(request.error)
            else:
                done.set_result(None)

        def settled(_: Request) -> None:
            with suppress(RuntimeError):  # A loop that was closed has no waiter left.
                loop.call_soon_threadsafe(settle)

        request.settled = settled
        self._committer.submit(request)

        async def wait() -> None:
            await done

        return wait()


def _begin_anew(this: "weakref.ref[ThreadFace]") -> None:
    face = this()
    if face is not None:
        face._begin()  # noqa: SLF001 - the fork hook of this very class
