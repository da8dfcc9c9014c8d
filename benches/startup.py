"""Startup: what a process pays before its first line of work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from time import perf_counter

from .harness import OURS, Contest, Fact, Goal, Place, Turn

_OURS = "import session_store"
_WORKER = "the names that a worker appends with"
_APPENDING = """
from session_store import open_store, create_session, open_session, UserInput, AssistantItems
from session_store import ToolResults, LlmUsage, RunStarted, RunCompleted, TurnEnd
"""
_LEAST = "import asyncio, attrs, orjson, blake3, uuid_utils"
_VERSION = """
import sys
from session_store.__main__ import main
sys.argv = ["session-store", "--version"]
sys.exit(main())
"""  # What the installed script does.
_CLICK = "python -c 'import click'"

_INSTALLED = {name: value for name, value in os.environ.items() if "BYTECODE" not in name}
"""Every installer leaves bytecode behind; a checkout must be allowed to."""

_TIMED = """
from time import perf_counter
begin = perf_counter()
{}
print(perf_counter() - begin)
"""


def bench(place: Place) -> Iterator[Contest | Fact]:
    rounds = place.count(25, 2)
    yield Contest(
        [
            Goal("import session_store", _LEAST, most=1.4),
            Goal("import of what a worker appends with", _LEAST, most=1.4, of=_WORKER),
        ],
        {
            OURS: partial(_import, _OURS),
            _WORKER: partial(_import, _APPENDING),
            _LEAST: partial(_import, _LEAST),
        },
        rounds,
        "the imports that any such library has; both in a fresh interpreter, whose own start is "
        "not counted; bytecode is there on both sides",
        note="a package may load its parts when they are first named: so the names of a worker are "
        "measured too",
    )
    yield Contest(
        [Goal("session-store --version", _CLICK, most=1.3)],
        {
            OURS: partial(_process, "-c", _VERSION),
            _CLICK: partial(_process, "-c", "import click"),
        },
        rounds,
        "a whole process, from its start to its end, on both sides",
    )


def _import(code: str) -> Turn:
    found = subprocess.run(
        [sys.executable, "-c", _TIMED.format(code)],
        capture_output=True,
        env=_INSTALLED,
        check=True,
    )
    seconds = float(found.stdout)
    return Turn(seconds, [seconds])


def _process(*arguments: str) -> Turn:
    begin = perf_counter()
    subprocess.run(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, env=_INSTALLED, check=True
    )
    seconds = perf_counter() - begin
    return Turn(seconds, [seconds])
