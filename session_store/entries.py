"""
What a log is made of: entries, positions in a log, and who came from whom.

Values only: nothing here reads, writes or hashes. An entry is one body of
docs/FORMAT.md §7; a field that is None is absent from the body.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NewType, TypeAlias

from attrs import field, frozen

from .ids import SessionId

FORMAT_VERSION = 1

EntryHash = NewType("EntryHash", bytes)
"""32 raw bytes; `.hex()` is what files and people see."""

Json: TypeAlias = Any
"""A JSON value. Items and configs belong to the caller and are kept as given."""

Durability: TypeAlias = Literal["disk", "os"]
"""`disk`: survives power loss. `os`: survives the death of the process."""


@frozen
class Position:
    """One record: the session whose log owns it, its seq, its hash."""

    session_id: SessionId
    seq: int
    hash: EntryHash = field(repr=lambda value: value.hex()[:12])

    def __str__(self) -> str:
        return f"{self.session_id}:{self.seq}:{self.hash.hex()[:12]}"

    def to_json(self) -> dict[str, Json]:
        """Return the form that bodies and `--json` use."""
        return {"session_id": self.session_id, "seq": self.seq, "hash": self.hash.hex()}


@frozen
class Receipt:
    """What an append gives back: the new head, and the level that was reached."""

    session_id: SessionId
    seq: int
    hash: EntryHash = field(repr=lambda value: value.hex()[:12])
    level: Durability

    @property
    def position(self) -> Position:
        return Position(self.session_id, self.seq, self.hash)


@frozen
class SessionOrigin:
    """Where a session's beginning came from; all None for a plain root."""

    forked_from: Position | None = None
    compacted_from: Position | None = None
    salvaged_from: SessionId | None = None
    by_reference: bool = False
    """The log continues its parent's records instead of holding a copy."""

    @property
    def source(self) -> SessionId | None:
        """The session whose records it holds, or continues."""
        parent = self.forked_from or self.compacted_from
        return self.salvaged_from or (None if parent is None else parent.session_id)


@frozen
class SessionStart:
    """The first record of every log."""

    kind: ClassVar[str] = "session_start"
    session_id: SessionId
    format: int = FORMAT_VERSION
    system_prompt: str | None = None
    config: Mapping[str, Json] | None = None
    history: Sequence[Json] | None = None
    forked_from: Mapping[str, Json] | None = None
    compacted_from: Mapping[str, Json] | None = None
    salvaged_from: str | None = None
    labels: Mapping[str, Json] | None = None


IDENTITY = ("format", "session_id", "forked_from", "compacted_from", "salvaged_from")
"""Fields of a session_start that its replacement repeats: they lead to other sessions."""


@frozen
class HistoryContinued:
    """More of a first history that one line cannot hold."""

    kind: ClassVar[str] = "history_continued"
    items: Sequence[Json]


@frozen
class RunStarted:
    """The agent was set going."""

    kind: ClassVar[str] = "run_started"
    trigger: str


@frozen
class UserInput:
    """What the user said."""

    kind: ClassVar[str] = "user_input"
    items: Sequence[Json]


@frozen
class AssistantItems:
    """What the model produced: messages, tool calls, reasoning."""

    kind: ClassVar[str] = "assistant_items"
    items: Sequence[Json]


@frozen
class ToolResults:
    """What tools gave back."""

    kind: ClassVar[str] = "tool_results"
    items: Sequence[Json]


@frozen
class HookInjectedItems:
    """History that came neither from the user, nor the model, nor a tool."""

    kind: ClassVar[str] = "hook_injected_items"
    items: Sequence[Json]


@frozen
class ConfigChanged:
    """The whole new config."""

    kind: ClassVar[str] = "config_changed"
    config: Mapping[str, Json]


@frozen
class TurnEnd:
    """A turn is whole; *trace* proves the trace file up to here."""

    kind: ClassVar[str] = "turn_end"
    turn_count: int
    trace: Mapping[str, Json] | None = None


@frozen
class RunCompleted:
    """The run ended by itself (finished, paused, limit_reached, yielded, …)."""

    kind: ClassVar[str] = "run_completed"
    result: str
    interrupted: bool = False


@frozen
class RunErrored:
    """The run ended with an error."""

    kind: ClassVar[str] = "run_errored"
    message: str
    interrupted: bool = False


@frozen
class LlmUsage:
    """
    Tokens of one model call.

    `input_total_tokens` is the size of the whole prompt, caches included, for
    `history[:history_len]`: an occupancy, not an increment.
    """

    kind: ClassVar[str] = "llm_usage"
    history_len: int
    input_total_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    model: str | None = None


@frozen
class Extension:
    """A record of the caller's own; *domain* says whose, its owner folds it."""

    kind: ClassVar[str] = "extension"
    domain: str
    payload: Json = field(metadata={"nullable": True})


@frozen
class LabelsChanged:
    """Labels to set; a None takes one away."""

    kind: ClassVar[str] = "labels_changed"
    labels: Mapping[str, Json]


@frozen
class Recovery:
    """Bytes were cut off and kept aside: *length* of them, from *offset*."""

    kind: ClassVar[str] = "recovery"
    cause: str
    offset: int
    length: int
    blake3: str
    quarantine: str


@frozen
class Seal:
    """A signed note about the log so far."""

    kind: ClassVar[str] = "seal"
    note: str


@frozen
class Redaction:
    """Names records whose bodies are no longer given out."""

    kind: ClassVar[str] = "redaction"
    targets: Sequence[Mapping[str, Json]]
    reason: str
    by: str | None = None
    replacements: Mapping[str, Json] | None = None


@frozen
class UnknownEntry:
    """A kind that this version does not know; kept, and skipped by replay."""

    kind: str
    body: Mapping[str, Json]


LogEntry: TypeAlias = (
    SessionStart
    | HistoryContinued
    | RunStarted
    | UserInput
    | AssistantItems
    | ToolResults
    | HookInjectedItems
    | ConfigChanged
    | TurnEnd
    | RunCompleted
    | RunErrored
    | LlmUsage
    | Extension
    | LabelsChanged
    | Recovery
    | Seal
    | Redaction
    | UnknownEntry
)

KINDS: Mapping[str, type[Any]] = {
    cls.kind: cls
    for cls in (
        SessionStart,
        HistoryContinued,
        RunStarted,
        UserInput,
        AssistantItems,
        ToolResults,
        HookInjectedItems,
        ConfigChanged,
        TurnEnd,
        RunCompleted,
        RunErrored,
        LlmUsage,
        Extension,
        LabelsChanged,
        Recovery,
        Seal,
        Redaction,
    )
}

MAINTENANCE_KINDS = frozenset({"labels_changed", "recovery", "seal", "redaction"})
"""Records of the store's own; they never make an expected head stale."""

UsageRecord = LlmUsage


@frozen
class HashedEntry:
    """
    A verified record as a value.

    Attributes:
        body: The JSON object as stored, wrapped values decoded; unknown fields
            included. Of a withheld record: its masked body or replacement, or None.
        withheld: "erased", "masked", or None for a complete record.
    """

    position: Position
    ts: int
    kind: str
    batch: int
    prev_hash: EntryHash
    body: Mapping[str, Json] | None
    withheld: Literal["erased", "masked"] | None = None

    @property
    def seq(self) -> int:
        return self.position.seq

    @property
    def hash(self) -> EntryHash:
        return self.position.hash


@frozen
class SessionStartState:
    """What a new session begins with."""

    system_prompt: str | None = None
    config: Json = None
    history: Sequence[Json] = ()
    labels: Mapping[str, Json] = field(factory=dict)
