"""
Replay: entries in, the state of the agent out.

Rules of this module:
  * Pure; every change of a restored state happens in the table at the end.
  * A log never resets what it inherited: a fork's session_start only overrides.
  * Kinds and fields that are not known here are counted and passed over.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Any, TypeAlias

from attrs import define, evolve, field, frozen

from .chain import Record, fork_head, root_head
from .closing import close_calls, open_calls
from .entries import (
    HashedEntry,
    Json,
    LlmUsage,
    Position,
    SessionOrigin,
    UsageRecord,
)
from .errors import ChainBroken, Corrupt
from .ids import SessionId
from .positions import parse_origin

Body: TypeAlias = Mapping[str, Json]
AnyRecord: TypeAlias = Record | HashedEntry

COPY_END = "session_store.copy_end"
"""Domain of the extension that ends what a copy brought along; its payload is the source."""


@frozen
class UsageTotals:
    """Sums over model calls; `input_total_tokens` counts each call's whole prompt."""

    calls: int = 0
    input_total_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0


def usage_totals(records: Iterable[UsageRecord]) -> UsageTotals:
    """Return the sums over *records*."""
    records = list(records)
    return UsageTotals(
        len(records),
        sum(r.input_total_tokens for r in records),
        sum(r.cache_read_tokens for r in records),
        sum(r.cache_write_tokens for r in records),
        sum(r.output_tokens for r in records),
    )


def _counted(values: Sized) -> str:
    return f"<{len(values)}>"


@define
class RestoredState:
    """
    A session as its log tells it, up to `head`. Its repr counts what grows with the log.

    Attributes:
        turns: Where turns end: [0] after the session's start, then one for every turn_end.
        usage_history: One record for each model call, inherited ones first.
        inherited_usage: How many of them the parents paid for.
        extensions: (domain, payload) in order; their owners fold them.
        last_run_interrupted: The last run was cut short, or has no end (see `open_run`).
        open_run: The run_started that has no end; a crash leaves one.
        withheld: Records whose bodies were erased or masked.
        unknown_kinds: How many records of each kind were passed over.
    """

    session_id: SessionId
    head: Position
    origin: SessionOrigin = field(factory=SessionOrigin)
    system_prompt: str | None = None
    config: Any = None
    history: list[Json] = field(factory=list, repr=_counted)
    turn_count: int = 0
    turns: list[Position] = field(factory=list, repr=_counted)
    last_run_interrupted: bool = False
    open_run: Position | None = None
    usage_history: list[UsageRecord] = field(factory=list, repr=_counted)
    inherited_usage: int = 0
    extensions: list[tuple[str, Json]] = field(factory=list, repr=_counted)
    labels: dict[str, Json] = field(factory=dict)
    entries_count: int = 0
    withheld: list[Position] = field(factory=list, repr=_counted)
    unknown_kinds: Counter[str] = field(factory=Counter)
    started_ts: int = 0
    last_ts: int = 0

    @property
    def open_calls(self) -> list[str]:
        """The ids of tool calls that have no result, oldest first; their outcome is unknown."""
        return open_calls(self.history)

    def history_for_provider(self, reason: str = "interrupted, outcome unknown") -> list[Json]:
        """
        Return the history with every open tool call answered, as providers demand.

        A result that answers no call is left out. `history` itself is unchanged.

        Args:
            reason: The text of the answers that are put in.
        """
        return close_calls(self.history, reason)

    @property
    def own_usage(self) -> UsageTotals:
        """What this session paid for itself."""
        return usage_totals(self.usage_history[self.inherited_usage :])

    @property
    def total_usage(self) -> UsageTotals:
        """What the whole lineage paid for up to `head`."""
        return usage_totals(self.usage_history)

    def copy(self) -> "RestoredState":
        """Return a state that can be replayed on; items and payloads are shared."""
        return evolve(
            self,
            history=list(self.history),
            turns=list(self.turns),
            usage_history=list(self.usage_history),
            extensions=list(self.extensions),
            labels=dict(self.labels),
            withheld=list(self.withheld),
            unknown_kinds=Counter(self.unknown_kinds),
        )


class Replay:
    """Folds records, oldest log of the lineage first, into `state`."""

    def __init__(self, initial: RestoredState | None = None) -> None:
        self._state: RestoredState | None = None if initial is None else initial.copy()
        self._last: tuple[SessionId, AnyRecord] | None = None
        self._starting = False

    @property
    def state(self) -> RestoredState | None:
        """The state behind the last record; None before the first."""
        if self._state is not None and self._last is not None:
            session_id, record = self._last
            self._state.head = Position(session_id, record.seq, record.hash)
        return self._state

    def apply(self, session_id: SessionId, record: AnyRecord, body: Body | None) -> None:
        """
        Replay one verified record.

        Raises:
            ValueError: *body* does not fit its kind. The state is as before.
        """
        state = self._begun(session_id, record) if record.seq == 0 else self._state
        if state is None:
            raise ValueError("the log does not begin with a session_start")
        if body is not None:
            handler = _HANDLERS.get(record.kind)
            if handler is None:
                state.unknown_kinds[record.kind] += 1
            else:
                handler(state, body, session_id, record)
        if self._state is None:
            self._starting = True
        self._state, self._last = state, (session_id, record)
        if record.withheld is not None:
            state.withheld.append(_position(session_id, record))
        state.entries_count += 1
        state.last_ts = record.ts
        if self._starting and record.batch == 0:
            self._starting = False
            state.turns.append(_position(session_id, record))

    def _begun(self, session_id: SessionId, record: AnyRecord) -> RestoredState:
        if record.kind != "session_start":
            raise ValueError(f"the log begins with a {record.kind}")
        parent = self.state
        if parent is None:
            return RestoredState(session_id, _position(session_id, record), started_ts=record.ts)
        # A fork by reference goes on where its parent was left.
        return evolve(
            parent,
            session_id=session_id,
            origin=SessionOrigin(forked_from=parent.head, by_reference=True),
            inherited_usage=len(parent.usage_history),
            started_ts=record.ts,
        )


def collect_state(
    entries: Iterable[HashedEntry], initial: RestoredState | None = None
) -> RestoredState:
    """
    Replay *entries*, checking that each one links to the one before.

    Args:
        initial: Where to go on from; unchanged. Many branches may share one.

    Raises:
        ChainBroken: An entry does not follow from the one before.
        Corrupt: A body does not fit its kind.
        ValueError: No entries and no *initial*.
    """
    replay = Replay(initial)
    for entry in entries:
        before = None if replay.state is None else replay.state.head
        if entry.prev_hash != _link_expected(entry, before):
            raise ChainBroken(
                entry.position.session_id,
                line=entry.seq + 1,
                offset=0,
                seq=entry.seq,
                why="prev_hash is not the hash of the entry before",
            )
        try:
            replay.apply(entry.position.session_id, entry, entry.body)
        except ValueError as error:
            raise Corrupt(
                entry.position.session_id,
                line=entry.seq + 1,
                offset=0,
                seq=entry.seq,
                why=str(error),
            ) from error
    if replay.state is None:
        raise ValueError("no entries to collect a state from")
    return replay.state


def _link_expected(entry: HashedEntry, before: Position | None) -> bytes | None:
    session_id = entry.position.session_id
    if entry.seq > 0:
        follows = before is not None and before.seq == entry.seq - 1
        return before.hash if before is not None and follows else None
    return root_head(session_id).hash if before is None else fork_head(session_id, before).hash


def _position(session_id: SessionId, record: AnyRecord) -> Position:
    return Position(session_id, record.seq, record.hash)


# Handlers check a body before they change the state: one that does not fit changes nothing.


def _session_start(state: RestoredState, body: Body, session_id: SessionId, _: AnyRecord) -> None:
    if body.get("session_id") != session_id:
        raise ValueError("session_start names another session")
    prompt, config = body.get("system_prompt"), body.get("config")
    prompt = state.system_prompt if prompt is None else _is(prompt, str, "system_prompt")
    config = state.config if config is None else _is(config, dict, "config")
    history = list(_items(body, "history")) if "history" in body else state.history
    labels = _is(body.get("labels", {}), dict, "labels")
    origin = parse_origin(body)
    if state.origin.by_reference:
        origin = evolve(state.origin, salvaged_from=origin.salvaged_from)
    state.origin = origin
    state.system_prompt, state.config, state.history = prompt, config, history
    state.labels = _with_labels(state.labels, labels)


def _add_items(state: RestoredState, body: Body, *_: object) -> None:
    state.history += _items(body, "items")


def _run_started(state: RestoredState, _: Body, session_id: SessionId, record: AnyRecord) -> None:
    state.open_run = _position(session_id, record)
    state.last_run_interrupted = True


def _run_ended(state: RestoredState, body: Body, *_: object) -> None:
    state.last_run_interrupted = _is(body.get("interrupted"), bool, "interrupted")
    state.open_run = None


def _config_changed(state: RestoredState, body: Body, *_: object) -> None:
    state.config = _is(body.get("config"), dict, "config")


def _turn_end(state: RestoredState, body: Body, session_id: SessionId, record: AnyRecord) -> None:
    state.turn_count = _is(body.get("turn_count"), int, "turn_count")
    state.turns.append(_position(session_id, record))


def _llm_usage(state: RestoredState, body: Body, *_: object) -> None:
    occupied, prompt, read, written, output = [
        _is(body.get(name), int, name) for name in _USAGE_NUMBERS
    ]
    model = body.get("model")
    model = None if model is None else _is(model, str, "model")
    state.usage_history.append(LlmUsage(occupied, prompt, read, written, output, model))


def _extension(state: RestoredState, body: Body, *_: object) -> None:
    domain = _is(body.get("domain"), str, "domain")
    if domain == COPY_END:
        state.inherited_usage = len(state.usage_history)
    else:
        state.extensions.append((domain, body.get("payload")))


def _labels_changed(state: RestoredState, body: Body, *_: object) -> None:
    state.labels = _with_labels(state.labels, _is(body.get("labels"), dict, "labels"))


def _with_labels(labels: Mapping[str, Json], changes: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in {**labels, **changes}.items() if value is not None}


def _nothing(*_: object) -> None:
    """Maintenance of the log itself: no state of the agent's."""


def _items(body: Body, name: str) -> list[Json]:
    items: list[Json] = _is(body.get(name), list, name)
    for item in items:
        if type(item) is not dict:
            raise ValueError(f"{name}: an item is a {type(item).__name__}, not an object")
    return items


def _is(value: Json, cls: type[Any], name: str) -> Any:
    if type(value) is not cls:
        raise ValueError(f"{name} is a {type(value).__name__}, not a {cls.__name__}")
    return value


_USAGE_NUMBERS = (
    "history_len",
    "input_total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
)

_HANDLERS: Mapping[str, Callable[[RestoredState, Body, SessionId, AnyRecord], None]] = {
    "session_start": _session_start,
    "history_continued": _add_items,
    "run_started": _run_started,
    "user_input": _add_items,
    "assistant_items": _add_items,
    "tool_results": _add_items,
    "hook_injected_items": _add_items,
    "config_changed": _config_changed,
    "turn_end": _turn_end,
    "run_completed": _run_ended,
    "run_errored": _run_ended,
    "llm_usage": _llm_usage,
    "extension": _extension,
    "labels_changed": _labels_changed,
    "recovery": _nothing,
    "seal": _nothing,
    "redaction": _nothing,
}
