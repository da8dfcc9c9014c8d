"""A generator of Claude Code transcripts that look like real ones, the same for the same seed."""

import json
from random import Random
from typing import Any

SESSION = "5b0e8c1e-2f64-4f0a-9d3c-7a1b2c3d4e5f"
_WORDS = ["parse", "index", "merge", "—", "naïve", "日本", "🙂", "\u2028", "cache", "the", "a"]
_WORDS += ["of", "null", "loop", "test", "x=1", "../", "\\n", "\x1b[1m", '"', "{}", "\t", ""]


class Writer:
    """Writes the lines of one transcript, with the habits of Claude Code."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._number = 0
        self._last: str | None = None
        self.lines: list[bytes] = []

    def text(self, words: int) -> str:
        return " ".join(self._random.choices(_WORDS, k=words))

    def _id(self) -> str:
        self._number += 1
        return f"{self._number:08x}-0000-4000-8000-{self._random.getrandbits(48):012x}"

    def put(self, value: dict[str, Any]) -> None:
        spaced = self._random.random() < 0.1
        separators = None if spaced else (",", ":")
        self.lines.append(json.dumps(value, ensure_ascii=spaced, separators=separators).encode())

    def say(self, role: str, content: Any, **fields: Any) -> None:
        """Write a message; *message* among *fields* goes into it."""
        message = {"role": role, "content": content, **fields.pop("message", {})}
        uuid = self._id()
        seconds = self._number * 7
        self.put(
            {
                "parentUuid": self._last,
                "isSidechain": False,
                "userType": "external",
                "cwd": "/home/dev/project",
                "sessionId": SESSION,
                "version": "2.1.34",
                "gitBranch": "main",
                "type": role,
                "message": message,
                "uuid": uuid,
                "timestamp": f"2026-11-20T{seconds // 3600:02}:{seconds // 60 % 60:02}:"
                f"{seconds % 60:02}.{self._number % 1000:03}Z",
                **fields,
            }
        )
        self._last = uuid

    def respond(self, blocks: list[dict[str, Any]]) -> None:
        """Write one response: a line for each block, the usage complete in the last one only."""
        call = f"msg_{self._random.getrandbits(64):016x}"
        prompt = {
            "input_tokens": self._random.randrange(9),
            "cache_read_input_tokens": 20_000 + self._number,
            "cache_creation_input_tokens": self._random.randrange(2000),
        }
        for number, block in enumerate(blocks, 1):
            usage = {**prompt, "output_tokens": 400 if number == len(blocks) else number}
            message = {"id": call, "type": "message", "model": "claude-x", "usage": usage}
            self.say("assistant", [block], message=message, requestId=f"req_{call}")

    def turn(self, number: int) -> None:
        """Write a prompt, some rounds of tools, and the answer."""
        random = self._random
        if number % 5 == 0:
            self.put({"type": "file-history-snapshot", "messageId": self._id(), "snapshot": {}})
            self.say("user", f"<command-name>{self.text(3)}</command-name>", isMeta=True)
        self.say("user", self.text(30) if number % 2 else [{"type": "text", "text": self.text(9)}])
        for round_number in range(random.randrange(1, 4)):
            tool = f"toolu_{number}_{round_number}"
            thought = {"type": "thinking", "thinking": self.text(60), "signature": "c2ln"}
            given = {"path": self.text(2), "content": self.text(random.randrange(400))}
            use = {"type": "tool_use", "id": tool, "name": "Write", "input": given}
            self.respond([thought, {"type": "text", "text": self.text(20)}, use])
            result = {"type": "tool_result", "tool_use_id": tool, "content": self.text(300)}
            extra = {"stdout": self.text(200), "interrupted": False}
            self.say("user", [result], toolUseResult=extra)
        if number % 11 == 0:
            error = {"model": "<synthetic>", "usage": {"input_tokens": 0, "output_tokens": 0}}
            words = [{"type": "text", "text": "API Error: 529"}]
            self.say("assistant", words, isApiErrorMessage=True, message=error)
        if number % 13 == 0:
            self.lines.append(self.lines[-2])  # Claude Code repeats lines when it compacts again.
            self.say("user", self.text(100), isCompactSummary=True)
        if number % 7 == 0:
            self.say("user", [{"type": "text", "text": "[Request interrupted by user]"}])
        else:
            self.respond([{"type": "text", "text": self.text(80)}])


def transcript(size: int, seed: int) -> bytes:
    """Return a transcript of at least *size* bytes."""
    writer, number = Writer(seed), 0
    while sum(map(len, writer.lines)) < size:
        number += 1
        writer.turn(number)
    writer.put({"type": "summary", "summary": "Parsing", "leafUuid": writer._last})
    return b"\n".join(writer.lines) + b"\n"
