"""Running the command line in this process, and sessions for it to work on."""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from attrs import field, frozen

from session_store import (
    Extension,
    LlmUsage,
    RunStarted,
    SessionStartState,
    blocking,
)
from session_store.cli.app import main

FIXTURES = Path(__file__).parent / "fixtures"


@frozen
class Said:
    """What one command line did."""

    code: int
    out: str
    err: str = field(repr=False)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def json(self) -> object:
        """The one document that was printed."""
        (line,) = self.lines
        return json.loads(line)


@contextmanager
def _stdin(data: bytes) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(data))
    try:
        yield
    finally:
        sys.stdin = before


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()  # type: ignore[attr-defined]


@frozen
class Cli:
    """The command line on one store."""

    store: str

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Said:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        with redirect_stdout(out), redirect_stderr(err), _stdin(stdin):
            code = main(["--store", self.store, *arguments])
        said = Said(code, _text(out), _text(err))
        assert "Traceback" not in said.err, said.err
        return said

    def ok(self, *arguments: str, stdin: bytes = b"") -> Said:
        """Run it; it has to end with exit code 0."""
        said = self(*arguments, stdin=stdin)
        assert (0, "") == (said.code, said.err), said.err
        return said


CALL = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "Oslo"}
ANSWER = {"type": "function_call_output", "call_id": "c1", "output": "4 °C"}


def ask(text: str) -> dict[str, object]:
    return {"role": "user", "content": text}


def say(text: str) -> dict[str, object]:
    return {"role": "assistant", "content": text}


def record_session(store: blocking.Store) -> blocking.Session:
    """Record two whole turns and the beginning of a third, which a crash then ends."""
    start = SessionStartState("Be brief.", {"model": "m"}, labels={"team": "a"})
    session = blocking.create_session(store, start, key="tests:1")
    session.save_delta([ask("How warm is it in Oslo?"), CALL])
    session.append(LlmUsage(2, 100, cache_read_tokens=60, output_tokens=7, model="m"))
    session.save_delta([ANSWER, say("4 °C.")])
    session.save_turn_end(1)
    session.save_delta([ask("Thanks."), say("You are welcome.")])
    session.save_turn_end(2)
    session.append(Extension("tests", {"n": 1}))
    session.append(RunStarted("tests"))
    session.save_delta([ask("And in Lima?"), {**CALL, "call_id": "c2", "arguments": "Lima"}])
    return session


def flip(path: str, needle: bytes) -> int:
    """Flip a bit where *needle* stands in a log; return the place."""
    data = bytearray(Path(path).read_bytes())
    at = data.index(needle)
    data[at] ^= 1
    Path(path).write_bytes(data)
    return at
