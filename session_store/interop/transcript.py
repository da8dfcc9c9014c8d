"""
What an importer makes of a foreign transcript: entries in groups, and an account of its lines.

Rules of this module:
  * Every line leaves something: entries that restore understands, or the line
    itself in an `extension`. The report says which, line by line.
  * A transcript is outside data: no content of a line raises, whatever its types.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeAlias

from attrs import Factory, define, evolve, frozen

from ..codec import encode_body
from ..entries import (
    AssistantItems,
    Extension,
    HookInjectedItems,
    Json,
    LlmUsage,
    LogEntry,
    SessionStartState,
    ToolResults,
    TurnEnd,
    UserInput,
)
from ..errors import LimitExceeded
from ..items import tool_call_ids, tool_result_ids
from ..limits import APPEND_BYTES_MAX, LINE_BYTES_MAX
from .fields import is_name, unix_ms
from .lines import Line, cut, text_of

BODY_BYTES_MAX = LINE_BYTES_MAX - 4096
"""Leaves room for what a record puts around its body."""

GROUP_BYTES_MAX = APPEND_BYTES_MAX - 1024 * 1024

Stamped: TypeAlias = tuple[int, LogEntry]
"""Unix milliseconds and what happened then."""


@frozen
class ImportReport:
    """
    What became of the lines of *source* that belong to one session.

    Invariant: mapped + kept + unreadable + blank, each counted, are all `lines`.

    Attributes:
        mapped: Lines that became history, usage, config or the session's start.
        kept: Lines without a mapping, kept whole as extensions: type → how many.
        unreadable: 1-based numbers of the lines that are not JSON, kept as text.
    """

    source: str
    lines: int
    mapped: int
    kept: Mapping[str, int]
    unreadable: Sequence[int]
    blank: int


@frozen
class Import:
    """
    One session of a foreign transcript, ready to be written.

    Attributes:
        key: External key, the same each time the transcript is read.
        ts: Unix milliseconds of its first event; 0 if it has none.
        appends: Groups of entries; each is one atomic append.
        parent_key: The key of the session that started this one as its sub-agent.
    """

    key: str
    ts: int
    start: SessionStartState
    appends: Sequence[Sequence[Stamped]]
    parent_key: str | None
    report: ImportReport


@define
class Transcript:
    """
    The entries of one session, gathered line by line.

    Each line goes to exactly one of `map`, `keep` and `keep_raw`.

    Attributes:
        domain: First part of the domain of every extension.
        history_len: Items of the history so far.
    """

    source: str
    domain: str
    history_len: int = 0
    first_ts: int | None = None
    _ts: int | None = None
    _groups: list[list[tuple[int | None, LogEntry]]] = Factory(list)
    _calls: dict[Hashable, tuple[int, LlmUsage]] = Factory(dict)
    _turn_count: int = 0
    _is_answered: bool = False
    _open_calls: set[str] = Factory(set)
    _mapped: int = 0
    _kept: Counter[str] = Factory(Counter)
    _unreadable: list[int] = Factory(list)
    _blank: int = 0

    @property
    def lines(self) -> int:
        return self._mapped + self._kept.total() + len(self._unreadable) + self._blank

    @property
    def is_empty(self) -> bool:
        """Whether all lines so far are blank."""
        return self.lines == self._blank

    def at(self, timestamp: Json) -> None:
        """Set the time of what follows; anything but an ISO 8601 text leaves it as it was."""
        ts = unix_ms(timestamp)
        if ts is not None:
            self._ts = ts
            self.first_ts = ts if self.first_ts is None else self.first_ts

    def map(
        self, line: Line, entries: Sequence[LogEntry], rest: Json = None, *, name: str = "meta"
    ) -> bool:
        """
        Take *entries* for *line*, and the *rest* of it that they do not carry as an extension.

        Args:
            name: Last part of the domain of that extension.

        Returns:
            False, with nothing taken, if an entry is too large or too deep for a body.
        """
        if any(_body_size(entry) is None for entry in entries):
            return False
        for entry in entries:
            self._follow(entry)
        extra = [] if rest is None else self._kept_whole(line, f"{self.domain}.{name}", rest)
        self._add([*entries, *extra])
        self._mapped += 1
        return True

    def keep(self, line: Line, kind: Json) -> None:
        """Keep *line*, which has no mapping, as an extension named after its *kind*."""
        name = kind if is_name(kind) else "other"
        kept = self._kept_whole(line, f"{self.domain}.{name}", line.value)
        self._add(kept)
        self._kept[kept[0].domain.removeprefix(f"{self.domain}.")] += 1

    def keep_raw(self, line: Line) -> None:
        """Keep a *line* that is not JSON as text (bytes if it is not UTF-8); count a blank one."""
        if line.is_blank:
            self._blank += 1
            return
        payload = {"line": line.number, "text": text_of(line.raw)}
        self._add(self._kept_whole(line, f"{self.domain}.unparsed", payload))
        self._unreadable.append(line.number)

    def count(self, call: Hashable, usage: LlmUsage) -> None:
        """
        Count *usage* for the model *call* that the last line tells of, once for each call.

        Of several counts the one with the most output tokens stands, the later of
        equals: a response that is still streaming is written with what it has so far.
        """
        if call in self._calls:
            _, earlier = self._calls[call]
            if usage.output_tokens < earlier.output_tokens:
                return
            usage = evolve(usage, history_len=earlier.history_len)
        self._calls[call] = (len(self._groups) - 1, usage)

    def next_turn(self) -> TurnEnd:
        """Return the end of the current turn, for the caller to map."""
        self._turn_count += 1
        self.break_off()
        return TurnEnd(self._turn_count)

    def end_turn(self) -> None:
        """End the turn if it is whole: the model had the last word and no tool call is open."""
        if self._is_answered and not self._open_calls:
            ts = self._groups[-1][-1][0]
            self._groups.append([(ts, self.next_turn())])
        else:
            self.break_off()

    def break_off(self) -> None:
        """Forget the current turn; it will not be whole any more."""
        self._is_answered = False
        self._open_calls.clear()

    def to_import(self, key: str, start: SessionStartState, parent_key: str | None) -> Import:
        """Return what was gathered; an event without any time before it has the first one's."""
        for group, usage in self._calls.values():
            self._groups[group].append((self._groups[group][-1][0], usage))
        ts = self.first_ts or 0
        appends = [[(ts if at is None else at, e) for at, e in group] for group in self._groups]
        report = ImportReport(
            self.source,
            self.lines,
            self._mapped,
            dict(self._kept),
            tuple(self._unreadable),
            self._blank,
        )
        return Import(key, ts, start, appends, parent_key, report)

    def _follow(self, entry: LogEntry) -> None:
        if not isinstance(entry, (UserInput, AssistantItems, ToolResults, HookInjectedItems)):
            return
        self.history_len += len(entry.items)
        for item in entry.items:
            self._open_calls.update(tool_call_ids(item))
            self._open_calls.difference_update(tool_result_ids(item))
        if isinstance(entry, AssistantItems):
            self._is_answered = any(not _is_thought(item) for item in entry.items)
        elif not isinstance(entry, HookInjectedItems):
            self._is_answered = False

    def _add(self, entries: Sequence[LogEntry]) -> None:
        group: list[tuple[int | None, LogEntry]] = []
        room = GROUP_BYTES_MAX
        for entry in entries:
            size = (_body_size(entry) or 0) + 1024
            if size > room and group:
                self._groups.append(group)
                group, room = [], GROUP_BYTES_MAX
            group.append((self._ts, entry))
            room -= size
        self._groups.append(group)  # never empty: a line leaves something

    def _kept_whole(self, line: Line, domain: str, payload: Json) -> list[Extension]:
        kept = Extension(domain, payload)
        if _body_size(kept) is not None:
            return [kept]
        cuts = list(cut(line.raw))
        return [
            Extension(
                f"{self.domain}.oversized",
                {"line": line.number, "part": part, "parts": len(cuts), "text": text_of(cut)},
            )
            for part, cut in enumerate(cuts)
        ]


def _body_size(entry: LogEntry) -> int | None:
    try:
        size = len(encode_body(entry))
    except LimitExceeded:
        return None
    return size if size <= BODY_BYTES_MAX else None


def _is_thought(item: Mapping[str, Json]) -> bool:
    if item.get("type") == "reasoning":
        return True
    content = item.get("content")
    thoughts = ("thinking", "redacted_thinking")
    return isinstance(content, list) and all(
        isinstance(block, dict) and block.get("type") in thoughts for block in content
    )
