"""
The same calls without `await`.

    from session_store import blocking as ss

    with ss.open_store("./sessions") as store:
        session = ss.create_session(store)
        session.save_delta(items)

The very coroutines of the asynchronous face run to their end in one step, on
the synchronous core: no event loop, no thread.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from . import trace as _trace
from .checkpoint.keys import VerifierKey
from .entries import Durability, HashedEntry, Json, LogEntry, Position
from .errors import Corrupt
from .ids import SessionId
from .interop import importing
from .session import (
    creating,
    erasing,
    examining,
    family,
    forking,
    levels,
    points,
    proving,
    reports,
    restoring,
    salvaging,
    sealing,
    stocktaking,
    verifying,
)
from .session.handle import Drafts
from .session.handle import Session as _Session
from .stores.face import BlockingFace, InlineFace
from .stores.fs import layout
from .stores.fs.core import LOCK_TIMEOUT_S
from .stores.opening import head_memory, open_core
from .stores.protocol import Store as _Store

if TYPE_CHECKING:
    from .redaction.rules import Rules
    from .session.masking import Secret

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    coroutine.close()
    raise AssertionError("a call of the synchronous core suspended")


def _each(iterator: AsyncIterator[T]) -> Iterator[T]:
    async def following() -> T:
        return await anext(iterator)

    try:
        while True:
            try:
                found = _run(following())
            except StopAsyncIteration:
                return
            yield found
    finally:
        if isinstance(iterator, AsyncGenerator):  # Left early: it lets go of what it holds.
            _run(iterator.aclose())


def _store_method(
    method: Callable[Concatenate[InlineFace, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Store, P], T]:
    def call(self: Store, /, *args: P.args, **kwargs: P.kwargs) -> T:
        coroutine: Coroutine[Any, Any, T] = getattr(self.inner, method.__name__)(*args, **kwargs)
        return _run(coroutine)

    return _described(call, method)


def _session_method(
    method: Callable[Concatenate[_Session, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Session, P], T]:
    def call(self: Session, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return _run(method(self.inner, *args, **kwargs))

    return _described(call, method)


def _function(
    function: Callable[Concatenate[_Store, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Store, P], T]:
    def call(store: Store, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return _run(function(store.inner, *args, **kwargs))

    return _described(call, function)


def _opening(
    function: Callable[Concatenate[_Store, P], Coroutine[Any, Any, _Session]],
) -> Callable[Concatenate[Store, P], Session]:
    def call(store: Store, /, *args: P.args, **kwargs: P.kwargs) -> Session:
        return Session(_run(function(store.inner, *args, **kwargs)))

    return _described(call, function)


def _iterating(
    function: Callable[Concatenate[_Store, P], AsyncIterator[T]],
) -> Callable[Concatenate[Store, P], Iterator[T]]:
    def call(store: Store, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return _each(function(store.inner, *args, **kwargs))

    return _described(call, function)


def _store_iterating(
    method: Callable[Concatenate[InlineFace, P], AsyncIterator[T]],
) -> Callable[Concatenate[Store, P], Iterator[T]]:
    def call(self: Store, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return _each(getattr(self.inner, method.__name__)(*args, **kwargs))

    return _described(call, method)


def _described(call: F, source: Callable[..., object]) -> F:
    call.__doc__, call.__name__ = source.__doc__, source.__name__
    return call


class Store:
    """
    A store for code without an event loop.

    Concurrency: any threads.
    """

    def __init__(self, inner: InlineFace) -> None:
        self.inner = inner

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    append = _store_method(InlineFace.append)
    append_lines = _store_method(InlineFace.append_lines)
    head = _store_method(InlineFace.head)
    flush = _store_method(InlineFace.flush)
    record = _store_method(InlineFace.record)
    list = _store_method(InlineFace.list)
    find = _store_method(InlineFace.find)
    children = _store_method(InlineFace.children)
    erase = _store_method(InlineFace.erase)
    repair = _store_method(InlineFace.repair)
    close = _store_method(InlineFace.close)
    read = _store_iterating(InlineFace.read)
    follow = _store_iterating(InlineFace.follow)
    read_trace = _store_iterating(InlineFace.read_trace)

    def path(self, session_id: SessionId) -> str:
        """Return where the log of a session lies, for people."""
        return self.inner.core.files.name(layout.log_path(session_id))

    def quarantined(self) -> dict[SessionId, int]:
        """Return the sizes of what is kept aside of each session's log. Cost: one listing."""
        files, sizes = self.inner.core.files, dict[SessionId, int]()
        for name in files.names(layout.QUARANTINE):
            found = files.stat(f"{layout.QUARANTINE}/{name}")
            if found is not None and found.is_regular:
                owner = SessionId(name[:36])
                sizes[owner] = sizes.get(owner, 0) + found.size
        return sizes


class Session:
    """A session that can be appended to; see `session_store.Session`."""

    def __init__(self, inner: _Session) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return repr(self.inner)

    @property
    def id(self) -> SessionId:
        return self.inner.id

    @property
    def head(self) -> Position:
        return self.inner.head

    def draft(self, *entries: LogEntry) -> Drafts:
        return self.inner.draft(*entries)

    def follow(self, start: int | None = None) -> Iterator[HashedEntry]:
        """Give the entries from seq *start* on (None: what comes next), for ever."""
        return _each(self.inner.follow(start))

    def seal_with(self, sealer: sealing.Sealer) -> None:
        """Have what is appended sealed; see `session_store.Session.seal_with`."""
        self.inner.seal_with(sealer)

    append = _session_method(_Session.append)
    append_drafts = _session_method(_Session.append_drafts)
    save_delta = _session_method(_Session.save_delta)
    save_run_started = _session_method(_Session.save_run_started)
    save_turn_end = _session_method(_Session.save_turn_end)
    save_usage = _session_method(_Session.save_usage)
    save_run_completed = _session_method(_Session.save_run_completed)
    save_run_errored = _session_method(_Session.save_run_errored)
    save_config_changed = _session_method(_Session.save_config_changed)
    save_extension = _session_method(_Session.save_extension)
    save_labels = _session_method(_Session.save_labels)
    ensure_head_or_fork = _session_method(_Session.ensure_head_or_fork)
    flush = _session_method(_Session.flush)
    close = _session_method(_Session.close)


class TraceWriter:
    """Records the events of one session's stream; see `session_store.TraceWriter`."""

    def __init__(self, store: Store, session_id: SessionId, turn: int = 0) -> None:
        self.inner = _trace.TraceWriter(store.inner, session_id, turn)
        self.event = self.inner.event
        self.lifecycle = self.inner.lifecycle

    @property
    def turn(self) -> int:
        return self.inner.turn

    @turn.setter
    def turn(self, turn: int) -> None:
        self.inner.turn = turn

    @property
    def dropped(self) -> int:
        return self.inner.dropped

    @property
    def wants_flush(self) -> bool:
        return self.inner.wants_flush

    def flush(self, *, goes_on: bool = False) -> int | None:
        return _run(self.inner.flush(goes_on=goes_on))

    def mark(self) -> Mapping[str, Json] | None:
        return _run(self.inner.mark())


class TraceReader:
    """The entries of a trace; see `session_store.TraceReader`."""

    def __init__(self, store: Store, session_id: SessionId) -> None:
        self.inner = _trace.TraceReader(store.inner, session_id)

    @property
    def damage(self) -> list[Corrupt]:
        return self.inner.damage

    def entries(self) -> Iterator[_trace.TraceEntry]:
        return _each(self.inner.entries())


class Verifier:
    """Verifies sessions of one store, each log once; see `session_store.Verifier`."""

    def __init__(
        self,
        store: Store,
        *,
        allow_masked: bool = False,
        parse: bool = False,
        trust: Sequence[VerifierKey] = (),
        against: levels.Anchor | None = None,
        unsealed_max: int | None = None,
    ) -> None:
        self.inner = verifying.Verifier(
            store.inner,
            allow_masked=allow_masked,
            parse=parse,
            trust=trust,
            against=against,
            unsealed_max=unsealed_max,
        )

    def verify(self, session_id: SessionId) -> reports.Report:
        return _run(self.inner.verify(session_id))

    def missing(self) -> Sequence[reports.Report]:
        return _run(self.inner.missing())

    def remember(self, *, also_back: bool = False) -> None:
        _run(self.inner.remember(also_back=also_back))


def open_store(
    where: str | Path,
    *,
    durability: Durability = "disk",
    create: bool = True,
    network_fs: bool = False,
    shared_group: bool = False,
    masked: str | None = None,
    mask: Rules | None = None,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
    heads: str | Path | None = None,
) -> Store:
    """Open the store at *where*; arguments and errors as for `session_store.open_store`."""
    core = open_core(
        where,
        durability=durability,
        create=create,
        network_fs=network_fs,
        shared_group=shared_group,
        masked=masked,
        lock_timeout_s=lock_timeout_s,
    )
    face = BlockingFace(core, mask)
    face.heads = head_memory(core, heads)
    return Store(face)


create_session = _opening(creating.create_session)
create_session_with_id = _opening(creating.create_session_with_id)
create_compacted_session = _opening(creating.create_compacted_session)
open_session = _opening(creating.open_session)
fork = _opening(forking.fork)
fork_at = _opening(forking.fork_at)
flatten = _opening(forking.flatten)
salvage = _opening(salvaging.salvage)

lineage = _function(points.lineage)
resolve = _function(points.resolve)
restore = _function(restoring.restore)
verify = _function(verifying.verify)
erase = _function(erasing.erase)
seal = _function(sealing.seal)
signs = _function(sealing.signs)
prove = _function(proving.prove)
prove_consistency = _function(proving.prove_consistency)
sign_store = _function(stocktaking.sign_store)
delete = _function(family.delete)
tree = _function(family.tree)
origin = _function(family.origin)
ancestors = _function(family.ancestors)
children = _function(family.children)
descendants = _function(family.descendants)
trace_digest = _function(_trace.trace_digest)
import_transcript = _function(importing.import_transcript)

examine = examining.examination


def mask_session(
    source: Store, target: Store, session_id: SessionId, rules: Rules
) -> list[Position]:
    """Copy a session masked into another store; see `session_store.mask_session`."""
    from .session import masking  # noqa: PLC0415 - who masks nothing does not load the rules

    return _run(masking.mask_session(source.inner, target.inner, session_id, rules))


def find_secrets(
    store: Store, session_id: SessionId, rules: Rules, *, start: int = 0
) -> Iterator[Secret]:
    """Give the secrets in a session's own log; see `session_store.find_secrets`."""
    from .session import masking  # noqa: PLC0415 - the same

    return _each(masking.find_secrets(store.inner, session_id, rules, start=start))


read_entries = _iterating(restoring.read_entries)
sessions = _iterating(family.sessions)
replay_trace = _iterating(_trace.replay_trace)
