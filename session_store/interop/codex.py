"""
Codex rollouts (`~/.codex/sessions/**/rollout-<time>-<uuid>.jsonl`) as sessions.

Rules of this module:
  * The history is the `response_item` payloads, as found and in order. What Codex
    put into the user's mouth (environment, AGENTS.md, skills) is an injected item.
  * An `event_msg` repeats for a screen what a response item says: kept. Two kinds
    do more: `token_count` gives the usage of a call, unless its running total
    stands still (Codex repeats it), and `task_complete` ends a turn.
  * `compacted`, and a `thread_rolled_back` event, do not shorten the history: they
    are kept, and `replacement_history` in the former is what the model saw from
    there on.
  * A fork or sub-agent begins with a copy of its parent's lines, and a second
    `session_meta`: the copy is history here too, and its usage counts here again.
  * Before September 2025 a line was the bare item, without a time of its own, after
    a first line {id, timestamp, instructions}: read too. Without events a turn
    ends before the next prompt if the model had the last word.
  * Rollouts that Codex compressed (`.jsonl.zst`) are not looked for.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attrs import Factory, define

from ..entries import AssistantItems, ConfigChanged, Json, LlmUsage, SessionStartState, UserInput
from ..errors import InvalidInput
from ..items import ItemClass, classify, to_entries
from .fields import is_name, present, text_at, tokens
from .lines import Line, read_lines
from .transcript import Import, Transcript

_NAME = re.compile(r"rollout-.*?-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_ENVELOPES = ("session_meta", "response_item", "turn_context", "event_msg", "compacted")
_SYSTEM_PROMPT_LEN_MAX = 2 * 1024 * 1024
# What Codex sends in the user's name (codex-rs/core/src/context).
_INJECTED = (
    "<environment_context>",
    "<user_instructions>",
    "# AGENTS.md instructions",
    "<skill>",
    "<user_shell_command>",
    "<turn_aborted>",
    "<subagent_notification>",
    "<codex_internal_context",
    "<hook_prompt",
)


def read_codex(path: Path) -> list[Import]:
    """
    Return the session in *path*; one, as Codex gives each sub-agent a file of its own.

    Raises:
        InvalidInput: The file is empty, none of its lines is of a Codex rollout, or
            a line is longer than 64 MiB.
    """
    rollout = _Rollout(Transcript(str(path), "codex"))
    for line in read_lines(path):
        rollout.take(line)
    if not rollout.is_recognised:
        raise InvalidInput(
            f"{'empty' if rollout.transcript.is_empty else 'not a Codex rollout'}: expected one"
            " JSON object a line, with timestamp, type and payload",
            source=str(path),
        )
    return [rollout.to_import(path)]


def find_codex(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the rollouts among *paths*: files as given, those below directories by their names."""
    seen: set[Path] = set()
    for path in paths:
        for found in sorted(path.rglob("rollout-*.jsonl")) if path.is_dir() else [path]:
            if found not in seen:
                seen.add(found)
                yield found


@define
class _Rollout:
    """What the lines so far tell of the session."""

    transcript: Transcript
    is_recognised: bool = False
    _meta: Mapping[str, Json] | None = None
    _config: Mapping[str, Json] = Factory(dict)
    _event_model: str | None = None
    _has_turn_events: bool = False
    _total_usage: Json = None
    _response_at: int | None = None
    _was_output: bool = False

    def take(self, line: Line) -> None:
        """Map *line*, or keep it."""
        value = line.value
        if not line.is_json:
            self.transcript.keep_raw(line)
        elif not isinstance(value, dict):
            self.transcript.keep(line, None)
        else:
            self.transcript.at(value.get("timestamp"))
            kind, payload = value.get("type", value.get("record_type")), value.get("payload")
            if "payload" not in value:
                is_mapped = self._bare(line, value)
            else:
                is_mapped = isinstance(payload, dict) and self._enveloped(line, kind, payload)
            if not is_mapped:
                self.transcript.keep(line, kind)

    def to_import(self, path: Path) -> Import:
        """Return the session; its id is the file's where no line has one."""
        if not self._has_turn_events:
            self.transcript.end_turn()
        meta = self._meta or {}
        named = _NAME.fullmatch(path.stem)
        session = meta["id"] if is_name(meta.get("id")) else named[1] if named else path.stem
        labels = {
            "source": "codex",
            "session_id": session,
            "cwd": text_at(meta, "cwd"),
            "git_branch": text_at(meta, "git", "branch"),
            "version": text_at(meta, "cli_version"),
            "forked_from": text_at(meta, "forked_from_id"),
        }
        start = SessionStartState(_system_prompt(meta), _base(meta) or None, (), present(labels))
        parent = _parent(meta)
        parent_key = None if parent is None else f"codex:{parent}"
        return self.transcript.to_import(f"codex:{session}", start, parent_key)

    def _bare(self, line: Line, value: Mapping[str, Json]) -> bool:
        if _is_item(value):
            self.is_recognised = True
            return self._item(line, value, None)
        if "type" in value or not (is_name(value.get("id")) and "timestamp" in value):
            return False
        self.is_recognised = True
        return self._session_meta(line, value)

    def _enveloped(self, line: Line, kind: Json, payload: Mapping[str, Json]) -> bool:
        self.is_recognised = self.is_recognised or kind in _ENVELOPES
        if kind == "session_meta":
            return self._session_meta(line, payload)
        if kind == "turn_context":
            return self._turn_context(line, payload)
        if kind == "event_msg":
            return self._event(line, payload)
        if kind == "response_item" and _is_item(payload):
            rest = {key: field for key, field in line.value.items() if key != "payload"}
            return self._item(line, payload, rest)
        return False

    def _session_meta(self, line: Line, meta: Mapping[str, Json]) -> bool:
        if self._meta is not None:
            return False
        self._meta, self._config = meta, _base(meta)
        return self.transcript.map(line, [], line.value, name="session_meta")

    def _turn_context(self, line: Line, payload: Mapping[str, Json]) -> bool:
        ids = {key: payload[key] for key in ("turn_id", "trace_id") if key in payload}
        context = {key: field for key, field in payload.items() if key not in ids}
        config = {**_base(self._meta or {}), **context}
        if config == self._config:
            return False
        rest = {**line.value, "payload": ids}
        if not self.transcript.map(line, [ConfigChanged(config)], rest):
            return False
        self._config = config
        return True

    def _event(self, line: Line, payload: Mapping[str, Json]) -> bool:
        kind = payload.get("type")
        if kind == "token_count":
            return self._token_count(line, payload.get("info"))
        if kind in ("task_started", "turn_started"):
            self._has_turn_events = True
            self._event_model = text_at(payload, "model") or self._event_model
        elif kind in ("task_complete", "turn_complete"):
            self._has_turn_events = True
            turn_end = self.transcript.next_turn()
            return self.transcript.map(line, [turn_end], line.value, name="event_msg")
        return False

    def _token_count(self, line: Line, info: Json) -> bool:
        if not isinstance(info, dict):
            return False
        names = ("cached_input_tokens", "output_tokens")
        counts = tokens(info.get("last_token_usage"), "input_tokens", *names)
        total = info.get("total_token_usage")
        if counts is None or not any(counts):
            return False
        if isinstance(total, dict) and total == self._total_usage:
            return False
        self._total_usage = total
        at = self.transcript.history_len if self._response_at is None else self._response_at
        self._response_at = None
        self.transcript.map(line, [], line.value, name="event_msg")
        prompt, cached, output = counts
        model = text_at(self._config, "model") or self._event_model
        usage = LlmUsage(at, prompt, cached, output_tokens=output, model=model)
        self.transcript.count(line.number, usage)
        return True

    def _item(self, line: Line, item: Mapping[str, Json], rest: Json) -> bool:
        at = self.transcript.history_len
        entries = to_entries([item], _classify)
        if isinstance(entries[0], UserInput) and not self._has_turn_events:
            self.transcript.end_turn()
        if not self.transcript.map(line, entries, rest):
            return False
        is_output = isinstance(entries[0], AssistantItems)
        # Usage is told after a response, often after the tools it called: remember its start.
        if is_output and not (self._was_output and self._response_at is not None):
            self._response_at = at
        self._was_output = is_output
        return True


def _classify(item: Mapping[str, Json]) -> ItemClass | None:
    kind = item.get("type")
    if kind in ("compaction_summary", "context_compaction"):
        return ItemClass.ASSISTANT
    if isinstance(kind, str) and kind.endswith("_output"):
        return ItemClass.TOOL
    content = item.get("content")
    first = content[0] if isinstance(content, list) and content else None
    text = first.get("text") if isinstance(first, dict) else content
    if item.get("role") == "user" and isinstance(text, str) and text.startswith(_INJECTED):
        return ItemClass.OTHER
    return None


def _is_item(value: Mapping[str, Json]) -> bool:
    kind = value.get("type")
    if kind == "message":
        return isinstance(value.get("role"), str)
    return classify({"type": kind}, _classify) in (ItemClass.ASSISTANT, ItemClass.TOOL)


def _base(meta: Mapping[str, Json]) -> dict[str, Json]:
    return present({key: text_at(meta, key) for key in ("model_provider", "model")})


def _system_prompt(meta: Mapping[str, Json]) -> str | None:
    instructions = meta.get("base_instructions") or meta.get("instructions")
    text = instructions.get("text") if isinstance(instructions, dict) else instructions
    return text if isinstance(text, str) and 0 < len(text) <= _SYSTEM_PROMPT_LEN_MAX else None


def _parent(meta: Mapping[str, Json]) -> str | None:
    spawned = ("thread_spawn", "parent_thread_id")
    for keys in (("source", "subagent", *spawned), ("source", "sub_agent", *spawned), spawned[1:]):
        parent = text_at(meta, *keys)
        if is_name(parent):
            return parent
    return None
