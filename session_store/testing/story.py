"""
Logs to test with, the same bytes every time: what vectors and tests are built from.

Salts are derived, not random, so erased bodies of these logs can be guessed.
"""

from collections.abc import Sequence

from attrs import define, field
from blake3 import blake3

from ..chain import (
    TRAIL_SIZE,
    Draft,
    Head,
    Record,
    check_line,
    check_named,
    erased_body,
    fork_head,
    link,
    make_draft,
    mask_digest,
)
from ..chain import root_head as _root_head
from ..codec import encode_body
from ..entries import (
    AssistantItems,
    Json,
    LlmUsage,
    LogEntry,
    Position,
    Redaction,
    RunStarted,
    SessionStart,
    ToolResults,
    TurnEnd,
    UserInput,
)
from ..ids import SessionId

ROOT = SessionId("019ab3d8-6c00-7a11-8b22-0000000000a1")
CHILD = SessionId("019ab3d8-7000-7a11-8b22-0000000000b2")
GRANDCHILD = SessionId("019ab3d8-7400-7a11-8b22-0000000000c3")
STRANGER = SessionId("019ab3d8-7800-7a11-8b22-0000000000d4")

FIRST_TS = 1_764_000_000_000
_STEP_MS = 1_250

MASKED = b'{"items":[{"type":"message","role":"user","content":"***"}]}'
"""What a mask makes of a message."""


@define
class Story:
    """
    One log in the making.

    Attributes:
        parent: Entry that the log is forked at by reference.
        seed: Other seeds give other salts, and so other hashes.
    """

    session_id: SessionId = ROOT
    parent: Position | None = None
    seed: str = ""
    lines: list[bytes] = field(factory=list)
    _head: Head | None = None
    _ts: int = FIRST_TS

    @property
    def file(self) -> str:
        return f"{self.session_id}.jsonl"

    @property
    def data(self) -> bytes:
        return b"".join(self.lines)

    @property
    def head(self) -> Head:
        if self._head is not None:
            return self._head
        parent = self.parent
        return _root_head(self.session_id) if parent is None else fork_head(self.session_id, parent)

    def append(self, *entries: LogEntry) -> "Story":
        """Add one append of *entries*."""
        return self.append_bodies(*((entry.kind, encode_body(entry)) for entry in entries))

    def append_bodies(self, *bodies: tuple[str, bytes], ts: int | None = None) -> "Story":
        """Add one append of (kind, bytes of the body)."""
        return self.append_drafts([self.draft(*body, n, ts) for n, body in enumerate(bodies)])

    def append_drafts(self, drafts: Sequence[Draft]) -> "Story":
        data, self._head = link(self.head, self._ts, drafts)
        self.lines += data.splitlines(keepends=True)
        self._ts += _STEP_MS
        return self

    def draft(self, kind: str, body: bytes, nth: int = 0, ts: int | None = None) -> Draft:
        place = f"{self.seed}:{self.session_id}:{len(self.lines) + nth}"
        return make_draft(kind, body, blake3(place.encode()).digest(length=16), ts)

    def record(self, seq: int) -> Record:
        return check_line(self.lines[seq].removesuffix(b"\n"), self.session_id)

    def position(self, seq: int) -> Position:
        return Position(self.session_id, seq, self.record(seq).hash)

    def target(self, seq: int) -> dict[str, Json]:
        """Return what a redaction calls record *seq*."""
        return {"seq": seq, "digest": self.record(seq).digest.decode()}

    def redact(self, *seqs: int, replacements: dict[str, Json] | None = None) -> "Story":
        """Append a redaction of *seqs*."""
        targets = [self.target(seq) for seq in seqs]
        return self.append(Redaction(targets, "asked for", replacements=replacements))

    def erase(self, seq: int, *, begin: int = 0, end: int | None = None) -> "Story":
        """Blank a body in place, at the old length; or its bytes from *begin* to *end* alone."""
        line = self.lines[seq].removesuffix(b"\n")
        start = check_named(line, self.session_id).head_size
        body, trail = line[start:-TRAIL_SIZE], line[-TRAIL_SIZE:]
        size = len(body)
        end = size if end is None else min(end, size)
        body = body[:begin] + erased_body(size)[begin:end] + body[end:]
        self.lines[seq] = line[:start] + body + trail + b"\n"
        return self

    def mask(self, seq: int, body: bytes) -> "Story":
        """Put the masked *body* in place of the one that was written."""
        record, line = self.record(seq), self.lines[seq]
        masked = b',"salt":null,"mask":"%b","body":%b' % (mask_digest(record.hash, body), body)
        self.lines[seq] = line[: record.head_size] + masked + line[-76:]
        return self

    def fork(self, seq: int, session_id: SessionId = CHILD) -> "Story":
        """Return a fork by reference at *seq*, begun with its session_start."""
        parent = self.position(seq)
        start = SessionStart(session_id, forked_from=parent.to_json())
        return Story(session_id, parent, self.seed).append(start)


def begun(session_id: SessionId = ROOT, *, seed: str = "") -> Story:
    """Return a root with its session_start alone."""
    start = SessionStart(
        session_id, system_prompt="Be brief.", config={"model": "m-1", "top_p": 0.9}, history=[]
    )
    return Story(session_id, seed=seed).append(start)


def told(session_id: SessionId = ROOT, *, seed: str = "") -> Story:
    """Return a root of seven records in five appends: 0 | 1 2 | 3 4 | 5 | 6."""
    call = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a":2,"b":3}'}
    story = begun(session_id, seed=seed)
    story.append(RunStarted("user_send"), UserInput([said("user", "2 + 3?")]))
    story.append(AssistantItems([call]), LlmUsage(1, 120, output_tokens=9, model="m-1"))
    story.append(ToolResults([{"type": "function_call_output", "call_id": "c1", "output": "5"}]))
    return story.append(TurnEnd(1))


def said(role: str, text: str) -> dict[str, Json]:
    """Return a message."""
    return {"type": "message", "role": role, "content": text}
