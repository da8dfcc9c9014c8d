"""Hostile transcripts for the importers, hostile arguments and entries for the command line."""

import json
import shlex
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from random import Random
from typing import Any

import click
import hostile_lines
from cli_tools import Cli, record_session
from fs_tools import tree
from parse_tools import CLAUDE_CODE, CODEX

from session_store import blocking
from session_store.cli.app import commands
from session_store.errors import InvalidInput
from session_store.interop.claude_code import read_claude_code
from session_store.interop.codex import read_codex
from session_store.interop.transcript import Import

Make = Callable[[Random], bytes]
Run = Callable[[bytes], str]

_READ: dict[bytes, Callable[[Path], list[Import]]] = {b"c": read_claude_code, b"x": read_codex}
_REAL = {b"c": CLAUDE_CODE.read_bytes().splitlines(), b"x": CODEX.read_bytes().splitlines()}


def make_transcript(rng: Random) -> bytes:
    """Return the letter of an importer, and some lines of its fixture, one or another changed."""
    letter = rng.choice(list(_READ))
    real = _REAL[letter]
    first = rng.randrange(len(real))
    lines = [real[0], *real[first : first + rng.randrange(6)]]
    for at in range(len(lines)):
        kind = rng.randrange(6)
        if kind == 0:
            lines[at] = hostile_lines.damaged(rng, lines[at])
        elif kind < 4:
            lines[at] = _bent(rng, lines[at])
    return letter + b"\n".join(lines) + rng.choice((b"\n", b"", b"\n\n", b"\r\n"))


def _bent(rng: Random, line: bytes) -> bytes:
    """Return *line* with something else in one place of it."""
    try:
        value = json.loads(line)
    except ValueError:  # A fixture ends in the middle of a line, as after a crash.
        return line
    inner: Any = value
    while True:
        keys: Any = list(inner) if isinstance(inner, dict) else range(len(inner))
        key = rng.choice(keys)
        deeper = inner[key]
        if not isinstance(deeper, (dict, list)) or not deeper or rng.randrange(4) == 0:
            break
        inner = deeper
    inner[key] = "@@"
    text = hostile_lines.json_text(rng, rng.randrange(4))
    return json.dumps(value).replace('"@@"', text).encode("utf-8", "surrogatepass")


def transcripts(root: Path) -> Run:
    """Return what imports an input, through a file below *root*."""
    path = root / "3f0c2a51-8d4e-4b7a-9c16-5e2d7f8a9b10.jsonl"

    def run(data: bytes) -> str:
        path.write_bytes(data[1:])
        try:
            found = _READ.get(data[:1], read_codex)(path)
        except InvalidInput:
            return "refused"
        with blocking.open_store("memory:") as store:
            for item in found:
                assert item.report.lines == _accounted(item)
                first = blocking.import_transcript(store, item)
                again = blocking.import_transcript(store, item)
                assert (first.session_id, False, 0) == (again.session_id, again.is_new, again.added)
                assert "INTACT" == blocking.verify(store, first.session_id, parse=True).level
                blocking.restore(store, first.session_id)
        return "taken"

    return run


def _accounted(item: Import) -> int:
    report = item.report
    return report.mapped + sum(report.kept.values()) + len(report.unreadable) + report.blank


READING = ["ls", "show", "log", "state", "verify", "tree", "usage", "trace", "du", "completion"]
WRITING = ["append", "label", "fork", "new", "repair", "salvage", "delete", "import"]
_VALUES = [
    "0",
    "1",
    "7",
    "-1",
    "9" * 16,
    "9" * 17,
    "9" * 40,
    "1e9",
    "inf",
    "nan",
    "turn:1",
    "turn:2",
]
_VALUES += [
    "turn:" + "9" * 14,
    "a=b",
    "=",
    "a=",
    "title=x",
    "disk",
    "os",
    "bash",
    "codex",
    "claude-code",
]
_VALUES += [
    "\x1b]0;x\x07",
    "\x9b2J",
    "\u202e",
    "\udcff",
    "../x",
    "/etc/passwd",
    "%s%n",
    "${HOME}",
    "-",
    "--",
]
_VALUES += ["", "'; DROP TABLE x; --", "a" * 5000, "tests:1", "--help", "--no-such"]


def _parameters(name: str) -> list[click.Parameter]:
    command = commands.get_command(click.Context(commands), name)
    assert command is not None
    return [param for param in command.params if "--store" not in param.opts]


def _words(rng: Random, names: int) -> list[str | int]:
    """Return a command line; a number stands for a name of the store's own."""

    def value(param: click.Parameter | None = None) -> str | int:
        if param is not None and isinstance(param.type, click.Choice) and rng.randrange(4):
            return rng.choice(list(param.type.choices))
        return rng.randrange(names) if rng.randrange(3) == 0 else rng.choice(_VALUES)

    command = rng.choice(READING + WRITING)
    words: list[str | int] = [command]
    for param in _parameters(command):
        if isinstance(param, click.Argument):
            usual = {"paths": names - 1, "source": None}.get(param.name or "", 0)
            count = 1 if param.nargs == 1 else rng.randrange(3)
            is_usual = usual is not None and rng.randrange(4)
            words += [usual if is_usual else value(param) for _ in range(count)]
        elif rng.randrange(5) == 0:
            is_flag = getattr(param, "is_flag", False)
            words += [param.opts[0]] if is_flag else [param.opts[0], value(param)]
    if rng.randrange(10) == 0:
        words.insert(rng.randrange(len(words) + 1), value())
    return words


def command_line(root: Path) -> tuple[Make, Run]:
    """Return what makes command lines, and what runs them on a small store below *root*."""
    cli = Cli(str(root / "store"))
    with blocking.open_store(cli.store) as store:
        session = record_session(store)
        child = blocking.fork(store, session.id)
        writer = blocking.TraceWriter(store, session.id)
        writer.event({"a": 1})
        session.save_turn_end(3, trace=writer.mark())
        head = store.head(session.id)
    transcript = root / "transcript.jsonl"
    good = tree(Path(cli.store))
    names = [session.id, session.id, child.id, session.id[:15], f"{head.seq}:{head.hash.hex()}"]
    names += [head.hash.hex(), f"{session.id}:{head.seq}:{head.hash.hex()}", str(transcript)]

    def make(rng: Random) -> bytes:
        given = make_transcript(rng)[1:] if rng.randrange(3) == 0 else _entries(rng)
        return json.dumps([_words(rng, len(names)), given.hex()]).encode()

    def run(data: bytes) -> str:
        words, given = json.loads(data)
        # Ids differ from run to run, and so are numbers in what is kept of an input.
        arguments = [names[word] if isinstance(word, int) else word for word in words]
        stdin = bytes.fromhex(given)
        transcript.write_bytes(stdin)
        with chdir(root):  # A relative path among the arguments shall lead nowhere else.
            said = cli(*arguments, stdin=stdin)
        shown = shlex.join(arguments)
        assert said.code in (0, 1, 2, 3), f"exit code {said.code} from {shown}"
        assert "please report it" not in said.err, f"{shown}: {said.err}"
        for char in said.out + said.err:
            assert char.isprintable() or char == "\n", f"{char!r} printed by {shown}"
        _check_files(Path(cli.store), good, arguments)
        return f"{arguments[0] if arguments[0] in READING + WRITING else 'other'} {said.code}"

    return make, run


def _entries(rng: Random) -> bytes:
    """Return what `append` may be given: entries, some of them hostile."""
    lines = []
    for _ in range(rng.randrange(4)):
        kind, body = rng.choice(hostile_lines.GOOD)
        body = hostile_lines.body(rng) if rng.randrange(4) == 0 else body
        line = b'{"kind":"%b","body":%b}' % (kind, body)
        lines.append(hostile_lines.damaged(rng, line) if rng.randrange(10) == 0 else line)
    return b"\n".join(lines)


def _check_files(store: Path, good: dict[str, bytes], arguments: list[str]) -> None:
    """Reading changes nothing, writing only adds; what was added is taken away again."""
    found = tree(store)
    found.pop("heads.db", None)  # What `verify` has seen is remembered there.
    if found == good:
        return
    is_deleting = "delete" in arguments
    assert set(arguments) & set(WRITING), f"changed by {shlex.join(arguments)}"
    for name, data in good.items():
        is_log = name.startswith("sessions")
        assert is_deleting or not is_log or found.get(name, b"").startswith(data), name
    for name in found.keys() - good.keys():
        (store / name).unlink()
    for name, data in good.items():
        if found.get(name) != data:
            (store / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (store / name).write_bytes(data)
            (store / name).chmod(0o600)
