"""The program as a process: entry point, signals, pipes, terminals, bytes of any kind."""

import os
import pty
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import pytest
from cli_tools import ask, record_session

from session_store import blocking
from session_store.version import VERSION

PROGRAM = [sys.executable, "-m", "session_store"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def session(root: Path) -> blocking.Session:
    return record_session(blocking.open_store(root))


def run(root: Path, *arguments: str | bytes, **options: object) -> subprocess.CompletedProcess:
    environment = os.environ | {"SESSION_STORE": str(root)}
    return subprocess.run(
        [*PROGRAM, *arguments],
        capture_output=True,
        env=environment | options.pop("env", {}),
        timeout=60,
        check=False,
        **options,
    )


def begin(root: Path, *arguments: str, **options: object) -> subprocess.Popen:
    environment = os.environ | {"SESSION_STORE": str(root)}
    return subprocess.Popen(
        [*PROGRAM, *arguments], env=environment, stderr=subprocess.PIPE, **options
    )


def test_the_program_runs_without_arguments(root: Path) -> None:
    """It shows its help as an error, and its version when asked."""
    nothing, version = run(root), run(root, "--version")

    assert (2, b"") == (nothing.returncode, nothing.stdout)
    assert b"Commands:" in nothing.stderr
    assert version.stdout.startswith(b"session-store ")


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_help_and_version_need_nothing_but_click(root: Path, option: str) -> None:
    """They are there at once: no store, no parser, no metadata are imported for them."""
    code = f"""
import sys
from session_store.cli.app import main
code = main(["{option}"])
heavy = {{"asyncio", "attr", "blake3", "importlib.metadata", "logging", "orjson"}} & {{*sys.modules}}
print(code, heavy, "session_store.entries" in sys.modules, file=sys.stderr)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert b"0 set() False\n" == found.stderr


def test_the_version_is_that_of_the_package() -> None:
    assert VERSION == metadata.version("session-store")


def test_follow_prints_what_arrives_until_it_is_interrupted(
    root: Path, session: blocking.Session
) -> None:
    """New entries come as they are appended; Ctrl-C ends it with 130 and no word."""
    ours = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background job ignores it.
    follow = begin(root, "follow", session.id, "--from", "0", stdout=subprocess.PIPE)
    signal.signal(signal.SIGINT, ours)
    with follow as follower:
        for _ in range(session.head.seq + 1):
            follower.stdout.readline()
        session.save_delta([ask("Are you there?")])
        assert b"Are you there?" in follower.stdout.readline()
        follower.send_signal(signal.SIGINT)
        assert (b"", b"") == (follower.stdout.read(), follower.stderr.read())
    assert 130 == follower.returncode


def test_a_reader_that_goes_away_ends_the_program_quietly(
    root: Path, session: blocking.Session
) -> None:
    """`| head` is no error to speak of; the exit code is that of a broken pipe."""
    for n in range(3000):
        session.append(*session_notes(n), durability="os")
    with begin(root, "log", session.id, "--json", stdout=subprocess.PIPE) as program:
        program.stdout.readline()
        program.stdout.close()
        assert b"" == program.stderr.read()
    assert 141 == program.returncode


def session_notes(n: int) -> Sequence[object]:
    from session_store import Extension

    return [Extension("tests", f"{n:0100}")]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_output_that_cannot_be_written_is_an_error(root: Path, session: blocking.Session) -> None:
    """A full disk behind standard output gives exit code 3."""
    with open("/dev/full", "wb") as full, begin(root, "ls", stdout=full) as program:
        assert b"session-store: error: no space left" in program.stderr.read()
    assert 3 == program.returncode


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_traceback(
    root: Path, session: blocking.Session, closed: str
) -> None:
    """Whatever stream is missing, the exit code is a documented one."""
    for words in ("ls", f"append {session.id}", "nonsense", "completion zsh"):
        line = f'"$@" {words} {closed}'
        done = subprocess.run(
            ["sh", "-c", line, "sh", *PROGRAM, "--store", str(root)],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert done.returncode in (0, 2, 3), line
        assert b"Traceback" not in done.stderr + done.stdout


def test_a_terminal_of_another_encoding_shows_numbers(
    root: Path, session: blocking.Session
) -> None:
    """Where a character cannot be encoded its number stands."""
    session.save_delta([ask("naïve 漢")])
    posix = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    shown = run(root, "show", session.id, env=posix)

    assert 0 == shown.returncode
    assert rb"na\xefve \u6f22" in shown.stdout


def test_nothing_in_a_session_reaches_the_terminal_as_a_command(
    root: Path, session: blocking.Session
) -> None:
    """Colours are the program's own; sequences, bells and bidi marks of the log are text."""
    evil = "\x1b]0;owned\x07\x9b2J\u202eabc\x1b[31m"
    session.save_delta([ask(evil)])
    session.save_extension(evil, evil)
    session.save_labels({evil: evil, "title": evil})
    for words in ("ls", f"show {session.id} --full", f"log {session.id}", f"state {session.id}"):
        shown = on_terminal(root, *words.split())
        text = re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r\n", "\n")
        assert all(char.isprintable() or char == "\n" for char in text), words
        assert "\x1b[" in shown, "colours are for terminals"


def test_colours_are_for_terminals_that_want_them(root: Path, session: blocking.Session) -> None:
    """Neither a pipe nor NO_COLOR nor a dumb terminal gets any."""
    assert b"\x1b" not in run(root, "log", session.id).stdout
    assert "\x1b" not in on_terminal(root, "log", session.id, env={"NO_COLOR": "1"})
    assert "\x1b" not in on_terminal(root, "log", session.id, env={"TERM": "dumb"})


def test_long_work_shows_its_progress_on_a_terminal_only(
    root: Path, session: blocking.Session
) -> None:
    """verify --all draws a bar on the terminal and none into a pipe."""
    assert "verifying" in on_terminal(root, "verify", "--all")
    assert b"" == run(root, "verify", "--all").stderr


def test_deleting_asks_on_a_terminal(root: Path, session: blocking.Session) -> None:
    """The answer no leaves everything as it is; yes deletes."""
    assert "Delete" in on_terminal(root, "delete", session.id, answer="n\n")
    assert 0 == run(root, "state", session.id).returncode
    assert "deleted" in on_terminal(root, "delete", session.id, answer="y\n")
    assert 1 == run(root, "state", session.id).returncode


def on_terminal(root: Path, *arguments: str, answer: str = "", env: dict = {}) -> str:  # noqa: B006
    """Run the program on a terminal of 80 columns; return all that it shows."""
    ours, theirs = pty.openpty()
    with open(ours, "r+b", buffering=0) as screen:
        settings = {"SESSION_STORE": str(root), "TERM": "xterm", "COLUMNS": "80"}
        environment = os.environ | settings | env
        environment = {k: v for k, v in environment.items() if k != "NO_COLOR" or k in env}
        with subprocess.Popen(
            [*PROGRAM, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        ) as program:
            os.close(theirs)
            screen.write(answer.encode())
            shown = b"".join(iter(lambda: read_some(screen), b""))
            program.wait(60)
    return shown.decode()


def read_some(screen: object) -> bytes:
    try:
        return screen.read(65536)
    except OSError:  # Linux says so when the last user of the terminal is gone.
        return b""


def test_logs_of_any_bytes_are_never_a_traceback(root: Path, session: blocking.Session) -> None:
    """Random damage, in logs and traces, through commands that read them; no hang either."""
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    with blocking.open_store(root) as store:
        log = Path(store.path(session.id))
    trace = log.with_suffix(".trace.jsonl")
    good = log.read_bytes()
    began = time.monotonic()
    for _ in range(6):  # Many more, without a process for each: test_cli_strange_logs.
        data = bytearray(good)
        at = rng.randrange(len(data))
        data[at : at + rng.randrange(40)] = rng.randbytes(rng.randrange(60))
        log.write_bytes(data)
        trace.write_bytes(rng.randbytes(100) + b'\n{"ts":1}\n[]\n')
        command = rng.choice(["show", "log", "state", "usage", "trace", "verify", "ls"])
        arguments = [command] if command == "ls" else [command, session.id]
        done = run(root, *arguments, *rng.choice([[], ["--json"]]))
        assert done.returncode in (0, 1, 3), (seed, arguments, done)
        assert b"Traceback" not in done.stderr, (seed, arguments)
        assert b"unexpected" not in done.stderr, (seed, arguments, done.stderr)
    assert time.monotonic() - began < 60


def test_arguments_of_any_bytes_are_never_a_traceback(root: Path) -> None:
    """Bytes that are no UTF-8, wherever an argument may stand."""
    strange = b"\xff\x1b[2J\xc3"
    for words in ([strange], [b"show", strange], [b"--store", strange, b"ls"], [b"ls", strange]):
        done = run(root, *words)
        assert done.returncode in (2, 3)
        assert done.stderr.startswith(b"session-store: error: ")
        assert b"\x1b" not in done.stderr
        assert b"\xff" not in done.stderr
