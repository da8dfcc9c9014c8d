"""A child under strace: its calls to the system fail, wait, are altered, or are its last."""

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from attrs import field, frozen
from real_tools import Unavailable

from .processes import TIMEOUT_S, start

FILE_CALLS = [
    *(
        "openat",
        "close",
        "write",
        "pwrite64",
        "pread64",
        "lseek",
        "newfstatat",
        "fstat",
        "statx",
        "flock",
    ),
    *("ftruncate", "fsync", "fdatasync", "mkdir", "mkdirat", "rename", "renameat", "renameat2"),
    *("link", "linkat", "unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat", "access"),
    *("faccessat", "faccessat2", "getdents64", "fadvise64"),
]
"""Without read and fcntl, which a child also uses to hear that it may begin."""

_LINE = re.compile(r"^(\w+)\(")


@frozen
class Ended:
    """
    How a child ended.

    Attributes:
        code: As of `processes.wait`.
        lines: What strace saw.
    """

    code: int
    lines: list[str] = field(repr=False)

    @property
    def calls(self) -> Counter[str]:
        return Counter(found[1] for line in self.lines if (found := _LINE.match(line)))

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def injected(self) -> int:
        """How many calls were tampered with."""
        return sum("(INJECTED" in line for line in self.lines)


@frozen
class Child:
    """
    A child that waits for `go`, its tracer attached.

    Attributes:
        log: Where strace writes.
    """

    pid: int
    tracer: "subprocess.Popen[bytes]"
    log: Path
    door: int

    def go(self) -> None:
        os.write(self.door, b"x")
        os.close(self.door)

    def let_go(self) -> None:
        """Take the tracer away; the child goes on without."""
        self.tracer.terminate()
        self.tracer.wait(TIMEOUT_S)

    def ended(self) -> Ended:
        _, status = os.waitpid(self.pid, 0)
        self.tracer.wait(TIMEOUT_S)
        lines = self.log.read_text("utf-8", errors="replace").splitlines()
        self.log.unlink()
        return Ended(os.waitstatus_to_exitcode(status), lines)


def traced(root: Path, work: Callable[[], None], *inject: str, calls: list[str]) -> Ended:
    """
    Run *work* in a child under strace.

    Args:
        inject: What is done to its calls, as strace's -e inject has it.
        calls: Those that are looked at.

    Raises:
        Unavailable: strace is not here, or may not.
    """
    child = waiting(root, work, *inject, calls=calls)
    child.go()
    return child.ended()


def waiting(root: Path, work: Callable[[], None], *inject: str, calls: list[str]) -> Child:
    """Return a child that does *work* under strace when it is told to; arguments as for `traced`."""
    if shutil.which("strace") is None:
        raise Unavailable("there is no strace here")
    room, door = os.pipe()

    def begin() -> None:
        os.close(door)
        os.read(room, 1)
        work()

    pid = start(begin)
    os.close(room)
    log = root / f"strace-{pid}"
    # A name that this machine's kernel does not have is passed over.
    options = ["-e", "trace=" + ",".join(f"?{name}" for name in calls)]
    options += [part for each in inject for part in ("-e", f"inject=?{each}")]
    command = ["strace", "-qq", "-o", str(log), *options, "-p", str(pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        _await_attached(pid, tracer)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(door)
        raise
    return Child(pid, tracer, log, door)


def _await_attached(pid: int, tracer: "subprocess.Popen[bytes]") -> None:
    assert tracer.stderr is not None
    status, end = Path(f"/proc/{pid}/status"), time.monotonic() + TIMEOUT_S
    while "TracerPid:\t0\n" in status.read_text("ascii", errors="replace"):
        if tracer.poll() is not None or time.monotonic() > end:
            tracer.kill()
            said = tracer.stderr.read().decode(errors="replace").strip()
            raise Unavailable(f"strace may not trace here: {said}")
        select.select([tracer.stderr], [], [], 0.0005)
    tracer.stderr.close()
