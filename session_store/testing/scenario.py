"""What a vector is: logs, how to look at them, and what must be found."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from attrs import field, frozen

from ..entries import Json
from .story import Story

Found: TypeAlias = tuple[str, int] | tuple[str, int, str]
"""(what, seq), or (what, seq, file) of a finding in a parent's log."""


@frozen
class Expected:
    """What verifying one log gives."""

    status: str = "intact"
    records: int = 0
    findings: Sequence[Found] = ()


@frozen
class Scenario:
    """
    One vector.

    Attributes:
        about: What it shows, in one line.
        logs: File name -> bytes.
        expected: File name -> verdict.
        allow_masked: The reader allows masked records.
        parse: Every body is parsed.
    """

    about: str
    logs: Mapping[str, bytes]
    expected: Mapping[str, Expected] = field()
    allow_masked: bool = False
    parse: bool = False

    def expect_json(self) -> dict[str, Json]:
        """Return what `expect.json` says."""
        options = {name: True for name in ("allow_masked", "parse") if getattr(self, name)}
        logs = {file: self._verdict(file, e) for file, e in sorted(self.expected.items())}
        return {"about": self.about, **options, "logs": logs}

    def _verdict(self, file: str, expected: Expected) -> dict[str, Json]:
        findings = []
        for what, seq, *where in expected.findings:
            offset = _line_start(self.logs[where[0] if where else file], seq)
            findings.append({"what": what, "line": seq + 1, "offset": offset, "seq": seq})
        head = _hash_at(self.logs[file], expected.records - 1) if expected.records else None
        return {
            "status": expected.status,
            "records": expected.records,
            "head": head,
            "findings": findings,
        }


def _line_start(data: bytes, index: int) -> int:
    return sum(len(line) + 1 for line in data.split(b"\n")[:index])


def _hash_at(data: bytes, seq: int) -> str:
    line = data.split(b"\n")[seq]
    start = line.rindex(b'"hash":"') + len(b'"hash":"')
    return line[start : start + 64].decode()


SCENARIOS: dict[str, Callable[[], Scenario]] = {}
"""Every vector by the name of its directory."""


def scenario(make: Callable[[], Scenario]) -> Callable[[], Scenario]:
    """Register a vector under the name of the function that makes it."""
    SCENARIOS[make.__name__.strip("_").replace("_", "-")] = make
    return make


def good(about: str, *stories: Story, findings: Sequence[Found] = (), **options: bool) -> Scenario:
    """Return the vector of logs that hold; *findings* are those of the last one."""
    expected = {story.file: Expected(records=len(story.lines)) for story in stories}
    last = stories[-1]
    expected[last.file] = Expected(records=len(last.lines), findings=findings)
    return Scenario(about, {s.file: s.data for s in stories}, expected, **options)


def one(about: str, file: str, data: bytes, expected: Expected, **options: bool) -> Scenario:
    """Return the vector of a single log."""
    return Scenario(about, {file: data}, {file: expected}, **options)
