"""
Trace files: raw stream events beside a session, for debugging and replay.

Rules of this module:
  * Never needed for restore; deleting a trace loses no session.
  * Writing one never blocks and never fails the session. What is lost is counted:
    at most the events since the last flush, and those beyond the buffer.
  * After os.fork the child begins with an empty buffer; what the parent had
    gathered stays the parent's.
  * `turn_end` may carry the length and digest of the trace, so that a kept
    trace can be proven.
"""

import logging
import os
from collections.abc import AsyncIterator, Mapping
from time import time_ns
from typing import TYPE_CHECKING, Literal
from weakref import WeakSet

import orjson
from attrs import define, field, frozen
from blake3 import blake3

from .entries import Json
from .errors import Corrupt, SessionStoreError
from .ids import SessionId
from .stores.protocol import Store
from .values import decode, encode

if TYPE_CHECKING:
    from .redaction.rules import Rules

log = logging.getLogger("session_store")

BUFFER_BYTES_MAX = 4 * 1024 * 1024
"""Events beyond this are counted and left out until the next flush."""

_FLUSH_BYTES = 256 * 1024
_LINE_BYTES_MAX = 2 * BUFFER_BYTES_MAX


@frozen
class TraceEntry:
    """
    One event.

    Attributes:
        ts: Unix milliseconds at which it was recorded.
        turn: The turn it belongs to.
        kind: "stream_event": *data* is what the provider sent; "lifecycle": *label* says
            what happened; "dropped": *data* is how many events are missing here.
    """

    ts: int
    turn: int
    kind: Literal["stream_event", "lifecycle", "dropped"]
    data: Json
    label: str | None = None


@define(eq=False)
class TraceWriter:
    """
    Records the events of one session's stream.

    Concurrency: one task. `event` and `lifecycle` only put into a buffer.
    """

    _store: Store
    _session_id: SessionId
    turn: int = 0
    dropped: int = 0
    """At most so many events are in no file: the buffer was full, or the file not written."""
    _buffer: bytearray = field(factory=bytearray, init=False)
    _missing: int = field(default=0, init=False)
    _hasher: blake3 = field(factory=blake3, init=False)
    _hashed: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        _writers.add(self)

    def event(self, event: Json) -> None:
        """Record what the provider streamed."""
        ts = time_ns() // 1_000_000
        self._put({"ts": ts, "turn": self.turn, "kind": "stream_event", "event": event})

    def lifecycle(self, label: str, data: Json = None) -> None:
        """Record that something happened around the stream (a request, a retry, an end)."""
        ts = time_ns() // 1_000_000
        self._put({"ts": ts, "turn": self.turn, "kind": "lifecycle", "label": label, "data": data})

    def _put(self, entry: Json) -> None:
        try:
            line = encode(entry)
        except (TypeError, ValueError, RecursionError, SessionStoreError) as error:
            log.warning("%s: an event of the trace was left out: %s", self._session_id, error)
            self._drop(1)
            return
        buffer = self._buffer
        if len(buffer) + len(line) >= BUFFER_BYTES_MAX:
            self._drop(1)
            return
        # One buffer: a line that is kept by itself takes three times as long to be made.
        buffer += line
        buffer += b"\n"

    def _drop(self, count: int) -> None:
        self.dropped += count
        self._missing += count

    def after_fork(self) -> None:
        """Begin anew in the child of os.fork; what was gathered stays the parent's."""
        self._buffer, self._missing = bytearray(), 0

    @property
    def wants_flush(self) -> bool:
        """Whether enough has gathered for a flush to be worth it."""
        return len(self._buffer) >= _FLUSH_BYTES

    async def flush(self, *, goes_on: bool = False) -> int | None:
        """
        Write what has gathered.

        Args:
            goes_on: The stream is not at an end: where the store masks at write, events that
                may hold the beginning of a secret wait for the next flush.

        Returns:
            The length of the trace, or None if it could not be written: that is
            counted in `dropped` and logged, never raised.

        Cancellation: what was to be written counts as dropped, though it may be written.
        """
        rules, held = self._store.mask, b""
        if rules is not None:
            held = self._mask(rules, goes_on=goes_on)
        missing, self._missing = self._missing, 0
        if missing:
            ts = time_ns() // 1_000_000
            entry = {"ts": ts, "turn": self.turn, "kind": "dropped", "data": missing}
            self._buffer += orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
        data = bytes(self._buffer)
        self._buffer[:] = held
        length: int | None = None
        try:
            length = await self._store.append_trace(self._session_id, data)
        except (OSError, SessionStoreError) as error:
            log.warning("%s: the trace was not written: %s", self._session_id, error)
        finally:
            if length is None:
                self._drop(data.count(b"\n") - (1 if missing else 0))
                self._missing += missing
        if length != self._hashed + len(data):  # Somebody else was here: hash it anew.
            self._hashed = -1
        else:
            self._hasher.update(data)
            self._hashed = length
        return length

    def _mask(self, rules: "Rules", *, goes_on: bool) -> bytes:
        """Mask what may be written; return what has to wait."""
        from .redaction.stream import count_closed, mask_events  # noqa: PLC0415 - only where it masks

        lines = bytes(self._buffer).splitlines(keepends=True)
        count = count_closed(lines) if goes_on else len(lines)
        self._buffer[:] = b"".join(mask_events(lines[:count], rules))
        return b"".join(lines[count:])

    async def mark(self) -> Mapping[str, Json] | None:
        """
        Flush at the end of a turn; return what `save_turn_end(…, trace=…)` takes.

        Returns:
            Length in bytes and BLAKE3 of the trace so far, or None if it could not be written.

        Cost: reads the trace if it holds what this writer did not write.
        """
        length = await self.flush()
        if length is None:
            return None
        if length != self._hashed:
            try:
                hasher = await _hashed(self._store, self._session_id, length)
            except (OSError, SessionStoreError) as error:
                log.warning("%s: the trace was not read: %s", self._session_id, error)
                return None
            if hasher is None:
                return None
            self._hasher, self._hashed = hasher, length
        return {"length": length, "blake3": self._hasher.hexdigest()}


_writers: WeakSet[TraceWriter] = WeakSet()


def _begin_anew() -> None:
    for writer in list(_writers):
        writer.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


async def trace_digest(store: Store, session_id: SessionId, length: int) -> str | None:
    """Return the BLAKE3 of the first *length* bytes of a trace, or None if it is shorter."""
    hasher = await _hashed(store, session_id, length)
    return None if hasher is None else hasher.hexdigest()


async def _hashed(store: Store, session_id: SessionId, length: int) -> blake3 | None:
    hasher, left = blake3(), length
    async for chunk in store.read_trace(session_id):
        hasher.update(chunk[:left])
        left -= min(len(chunk), left)
        if not left:
            break
    return None if left else hasher


@define
class TraceReader:
    """
    The entries of a trace, in order.

    `damage` lists the lines that could not be read: a crash may leave one torn
    line for each writer that it hit, and no writer makes one of more than 8 MiB.
    The entries around them are given.
    """

    _store: Store
    _session_id: SessionId
    damage: list[Corrupt] = field(factory=list, init=False)

    async def entries(self) -> AsyncIterator[TraceEntry]:
        """
        Give the entries.

        Raises:
            NotFound: No such session.
        """
        self.damage.clear()
        rest, left_out, number, offset = b"", 0, 0, 0
        async for chunk in self._store.read_trace(self._session_id):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                number += 1
                entry = self._entry(None if left_out else line, number, offset)
                if entry is not None:
                    yield entry
                offset += left_out + len(line) + 1
                left_out = 0
            if len(rest) > _LINE_BYTES_MAX:
                left_out += len(rest)
                rest = b""
        # What has no LF yet is in flight, or torn; the next writer ends it.

    def _entry(self, line: bytes | None, number: int, offset: int) -> TraceEntry | None:
        try:
            return _parse(line)
        except (ValueError, KeyError, TypeError) as error:
            why = f"not a trace entry: {error}"
            path = f"trace of {self._session_id}"
            self.damage.append(Corrupt(path, line=number, offset=offset, seq=number - 1, why=why))
            return None


def _parse(line: bytes | None) -> TraceEntry:
    if line is None:
        raise ValueError(f"longer than {_LINE_BYTES_MAX} bytes")
    value = decode(line)
    if not isinstance(value, dict):
        raise TypeError("not an object")
    ts, turn, kind = value["ts"], value["turn"], value["kind"]
    if type(ts) is not int or type(turn) is not int:
        raise TypeError("ts and turn are integers")
    if kind == "stream_event":
        return TraceEntry(ts, turn, kind, value["event"])
    if kind == "lifecycle" and isinstance(value["label"], str):
        return TraceEntry(ts, turn, kind, value["data"], value["label"])
    if kind == "dropped" and type(value["data"]) is int:
        return TraceEntry(ts, turn, kind, value["data"])
    raise ValueError(f"unknown kind {str(kind)[:40]!r}")


async def replay_trace(
    store: Store, session_id: SessionId, *, speed: float = 1.0, gap_s_max: float = 10.0
) -> AsyncIterator[TraceEntry]:
    """
    Give the entries of a trace with the pauses that were between them.

    Args:
        speed: 1 is the original timing, 10 ten times faster, inf without pauses.
        gap_s_max: Longest pause, in seconds of the original.
    """
    if not speed > 0:
        raise ValueError(f"speed is greater than 0, not {speed}")
    before: int | None = None
    async for entry in TraceReader(store, session_id).entries():
        if before is not None:
            # A trace may carry times that are too far apart for a float.
            gap_s = min(max(entry.ts - before, 0), gap_s_max * 1000) / 1000 / speed
            if gap_s > 0:
                await store.pause(gap_s)
        before = entry.ts
        yield entry
