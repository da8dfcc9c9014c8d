"""Processes to run, and to kill: forked, so that one starts in a millisecond."""

import faulthandler
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TIMEOUT_S = 120.0


def start(work: Callable[[], None], *, timeout_s: float = TIMEOUT_S) -> int:
    """
    Run *work* in a child; return its pid. It exits with 0, or with 1 and a traceback.

    What the store logs there is not shown.
    """
    pid = os.fork()
    if pid:
        return pid
    code = 1
    # A child that hangs says where, and fails.
    faulthandler.dump_traceback_later(timeout_s, exit=True)
    logging.disable()
    _stop_measuring()
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - told, and told again by the exit code
        traceback.print_exc()
    finally:
        os._exit(code)


def _stop_measuring() -> None:
    """Nothing of a child is kept, and a measurer whose own lock is interrupted waits for ever."""
    coverage = sys.modules.get("coverage")
    while coverage is not None and (measurer := coverage.Coverage.current()) is not None:
        measurer.stop()  # One of two, where several processes share the tests.


def wait(pids: list[int]) -> list[int]:
    """Return the exit codes."""
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def program(module: str, *arguments: str) -> str:
    """Run a module of the tests in a fresh interpreter; return what it says."""
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=10 * TIMEOUT_S,
        env={**os.environ, "PYTHONPATH": paths},
    )
    return done.stdout


@contextmanager
def together(count: int) -> Iterator[Callable[[], None]]:
    """Give what *count* children call to begin at the same moment; they do when the block ends."""
    reader, writer = os.pipe()

    def begin() -> None:
        os.close(writer)
        os.read(reader, 1)

    yield begin
    os.close(reader)
    os.close(writer)  # The end of the pipe is what all have waited for.
