"""
Claude Code transcripts (`~/.claude/projects/**/<uuid>.jsonl`) as sessions.

Rules of this module:
  * The history is the messages of the transcript, role and content as found, in
    the order of the lines. A transcript can be a tree (a prompt that was edited
    or resumed twice): all its branches are in the history, and `parentUuid` in
    `claude_code.meta` tells them apart.
  * One line is one item, also where one response takes several lines that share
    `message.id`; its usage counts once, as the most complete of them has it.
  * A message whose `uuid` has been there before is a copy (Claude Code repeats
    earlier messages when it compacts again): kept as `claude_code.repeated`.
  * Compaction does not shorten the history: the boundary is kept, the summary is
    an injected item. What the model saw from there on begins at that item.
  * An API error that Claude Code shows as the assistant's words was neither said
    by the model nor sent to it: kept as `claude_code.api_error`.
  * Lines of all other types are kept, prompts among them that Claude Code queued
    (`queue-operation`) or sent as an `attachment`.
  * A turn ends before the next prompt, or with the file, if the model had the last
    word and no tool call is open. An interrupted turn has no end.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from attrs import Factory, define, evolve

from ..entries import (
    ConfigChanged,
    Json,
    SessionStartState,
    UserInput,
)
from ..errors import InvalidInput
from .claude_code_files import UUID, agent_files, directory_session, has_session_file, is_agent_file
from .claude_code_messages import SYNTHETIC, call_of, entry_of, is_interruption, item_of, usage_of
from .fields import is_name, present, text_at
from .lines import Line, read_lines
from .transcript import Import, Transcript

_MARKS = ("sessionId", "uuid", "leafUuid", "messageId")  # one of them is on every line
_TITLES = {"summary": "summary", "ai-title": "aiTitle", "custom-title": "customTitle"}


def read_claude_code(path: Path) -> list[Import]:
    """
    Return the session in *path*, then its sub-agents.

    Sub-agents are found in sidechain lines of the file, in `<uuid>/subagents/`
    and, as `agent-<id>.jsonl` with this session's id, beside the file.

    Raises:
        InvalidInput: The file is empty, none of its lines is of a Claude Code
            transcript, or a line is longer than 64 MiB.

    Cost: reads the first line of every `agent-*.jsonl` beside the file.
    """
    file = _parse(path)
    if not file.is_recognised:
        raise InvalidInput(
            f"{'empty' if file.is_empty else 'not a Claude Code transcript'}: expected one JSON"
            " object a line, with a type and a sessionId or uuid",
            source=str(path),
        )
    imports = file.to_imports()
    if not is_agent_file(path):
        for agent in agent_files(path):
            of_agent = _parse(agent, session=file.session)
            imports += [] if of_agent.is_empty else of_agent.to_imports()
    return _with_own_keys(imports)


def find_claude_code(paths: Iterable[Path]) -> Iterator[Path]:
    """
    Yield the transcripts among *paths*: files as given, those below directories by their names.

    A sub-agent's file is left out where its session's file is there to bring it in.
    """
    seen: set[Path] = set()
    for path in paths:
        below = sorted(path.rglob("*.jsonl")) if path.is_dir() else []
        named = [p for p in below if is_agent_file(p) or UUID.fullmatch(p.stem)]
        for found in named if path.is_dir() else [path]:
            if found in seen or (path.is_dir() and has_session_file(found)):
                continue
            seen.add(found)
            yield found


@define
class _Thread:
    """One conversation of a file: the session's own, or that of a sub-agent."""

    transcript: Transcript
    agent: str | None
    about: dict[str, str] = Factory(dict)
    model: str | None = None
    first_model: str | None = None
    uuids: set[str] = Factory(set)
    titles: list[tuple[str, str, Json]] = Factory(list)

    def take(self, line: Line) -> None:
        """Map *line*, or keep it."""
        value = line.value
        if not line.is_json:
            self.transcript.keep_raw(line)
        elif not isinstance(value, dict):
            self.transcript.keep(line, None)
        else:
            self.transcript.at(value.get("timestamp"))
            self._learn(value)
            why = self._unmapped(value)
            if why is not None or not self._message(line, value):
                self.transcript.keep(line, why or value.get("type"))

    def start(self, session: str | None) -> SessionStartState:
        """Return what the session of this conversation begins with."""
        labels = {"source": "claude-code", **self.about, **present({"title": self._title()})}
        if session is not None:
            labels["session_id"] = session
        if self.agent is not None:
            labels["agent_id"] = self.agent
        config = None if self.first_model is None else {"model": self.first_model}
        return SessionStartState(config=config, labels=labels)

    def _learn(self, value: Mapping[str, Json]) -> None:
        for label, key in (("cwd", "cwd"), ("git_branch", "gitBranch"), ("version", "version")):
            text = text_at(value, key)
            if text is not None:
                self.about.setdefault(label, text)
        for kind, key in _TITLES.items():
            title = text_at(value, key)
            if value.get("type") == kind and title is not None:
                self.titles.append((kind, title, value.get("leafUuid")))

    def _title(self) -> str | None:
        # A summary whose leaf is elsewhere tells of another session of the same project.
        own = [t for t in self.titles if not isinstance(t[2], str) or t[2] in self.uuids]
        ranks = list(_TITLES)
        last_first = reversed(own)
        return max(last_first, key=lambda t: ranks.index(t[0]))[1] if own else None

    def _unmapped(self, value: Mapping[str, Json]) -> str | None:
        if value.get("type") not in ("user", "assistant"):
            return None
        if value.get("isApiErrorMessage") is True:
            return "api_error"
        uuid = value.get("uuid")
        if not isinstance(uuid, str):
            return None
        if uuid in self.uuids:
            return "repeated"
        self.uuids.add(uuid)
        return None

    def _message(self, line: Line, value: Mapping[str, Json]) -> bool:
        item = item_of(value)
        if item is None:
            return False
        message = value["message"]
        rest = {key: field for key, field in message.items() if key not in item}
        entries = [entry_of(value, item)]
        if isinstance(entries[0], UserInput):
            self.transcript.end_turn()
        model = text_at(message, "model")
        if value["type"] == "assistant" and model not in (None, SYNTHETIC, self.model):
            if self.model is not None:
                entries.insert(0, ConfigChanged({"model": model}))
            self.first_model, self.model = self.first_model or model, model
        history_len = self.transcript.history_len
        if not self.transcript.map(line, entries, {**value, "message": rest}):
            return False
        if is_interruption(item):
            self.transcript.break_off()
        usage = usage_of(message, history_len)
        if value["type"] == "assistant" and usage is not None:
            self.transcript.count(call_of(line, value), usage)
        return True


@define
class _File:
    """The conversations of one file, told apart line by line."""

    path: Path
    session: str | None
    agent: str | None
    is_recognised: bool = False
    is_empty: bool = True
    _threads: dict[str | None, _Thread] = Factory(dict)
    _last: str | None = None
    _sidechains: dict[str, str] = Factory(dict)

    def take(self, line: Line) -> None:
        """Give *line* to its conversation; one that does not tell goes where the last one went."""
        value = line.value
        self.is_empty = self.is_empty and line.is_blank
        if isinstance(value, dict):
            if isinstance(value.get("type"), str) and any(mark in value for mark in _MARKS):
                self.is_recognised = True
            if self.session is None and is_name(value.get("sessionId")):
                self.session = value["sessionId"]
            self._last = self.agent or self._sidechain(line.number, value)
        elif self._last is None:
            self._last = self.agent
        if self._last not in self._threads:
            transcript = Transcript(str(self.path), "claude_code")
            self._threads[self._last] = _Thread(transcript, self._last)
        self._threads[self._last].take(line)

    def to_imports(self) -> list[Import]:
        """Return the conversations, the session's own first."""
        main = f"claude-code:{self.session or self.path.stem}"
        imports = []
        for agent, thread in sorted(self._threads.items(), key=lambda t: t[0] is not None):
            thread.transcript.end_turn()
            start = thread.start(self.session)
            key, parent = (main, None) if agent is None else (f"{main}/agent-{agent}", main)
            imports.append(thread.transcript.to_import(key, start, parent))
        return imports

    def _sidechain(self, number: int, value: Mapping[str, Json]) -> str | None:
        if value.get("isSidechain") is not True:
            return None
        parent, uuid, agent = (value.get(key) for key in ("parentUuid", "uuid", "agentId"))
        if not is_name(agent):
            # Before sub-agents had ids: the line that a chain starts with names it.
            own = uuid if is_name(uuid) else f"line-{number}"
            agent = self._sidechains.get(parent, own) if isinstance(parent, str) else own
        if isinstance(uuid, str):
            self._sidechains[uuid] = str(agent)
        return str(agent)


def _parse(path: Path, *, session: str | None = None) -> _File:
    agent = path.stem.removeprefix("agent-") if is_agent_file(path) else None
    if session is None:
        session = path.stem if UUID.fullmatch(path.stem) else directory_session(path)
    file = _File(path, session, agent)
    for line in read_lines(path):
        file.take(line)
    return file


def _with_own_keys(imports: list[Import]) -> list[Import]:
    """Tell apart a sub-agent that is both in sidechain lines and in a file."""
    seen: set[str] = set()
    out = []
    for found in imports:
        key, n = found.key, 1
        while key in seen:
            n += 1
            key = f"{found.key}-{n}"
        seen.add(key)
        out.append(evolve(found, key=key))
    return out
