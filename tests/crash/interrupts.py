"""An exception at every step of an append: what a signal's handler raises, wherever it comes."""

import dis
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from attrs import asdict, frozen
from fs_tools import bodies, born, log_of, note, store

from session_store.entries import Durability
from session_store.ids import SessionId
from session_store.stores.fs.core import FsCore

from .signals import Interrupted
from .subject import Row, Subject

_LOOKS = ("CALL", "RESUME", "JUMP_BACKWARD")
_WITHIN = ("/session_store/", "/contextlib.py")


@cache
def _names(code: CodeType) -> dict[int, str]:
    return {each.offset: each.opname for each in dis.get_instructions(code)}


class Steps:
    """
    Counts the steps of the store behind which Python looks for signals, and raises at one.

    These are calls, beginnings of functions and ends of loops; so what `with` takes cannot
    be lost between taking and keeping it.
    """

    def __init__(self) -> None:
        self._at = 0
        self._count = 0

    def run(self, work: Callable[[], object], at: int) -> bool:
        """Do *work*, and raise at step *at*; return whether it came that far."""
        self._count, self._at = 0, at
        before = sys.gettrace()
        sys._getframe().f_trace_opcodes = True  # Python 3.12 asks whoever begins.
        sys.settrace(self._enter)
        try:
            work()
        except Interrupted:
            pass
        finally:
            sys.settrace(before)
        return self._count >= at

    def _enter(self, frame: FrameType, _: str, __: object) -> Any:
        if not any(part in frame.f_code.co_filename for part in _WITHIN):
            return None
        if "__del__" in (frame.f_code.co_name, frame.f_back and frame.f_back.f_code.co_name):
            return None  # What is raised there is lost.
        names, last = _names(frame.f_code), ""

        def step(frame: FrameType, event: str, _: object) -> Any:
            nonlocal last
            if event == "opcode":
                if last.startswith(_LOOKS):
                    self._count += 1
                    if self._count == self._at:
                        raise Interrupted
                last = names[frame.f_lasti]
            return step

        frame.f_trace, frame.f_trace_lines = step, False
        frame.f_trace_opcodes = True  # Python 3.13 wants a function first.
        return step


@frozen
class Outcome:
    """
    What came of the interrupted appends.

    Attributes:
        kept: How many kept the lock from others until the next call.
        failed: Second tries that failed, or kept the lock from others for good.
        wrong: Drafts that are not in the log exactly once, in order.
    """

    steps: int
    interrupted: int
    kept: int
    failed: int
    wrong: int


def run(root: Path, *, every: int, level: Durability, torn: bool = False) -> Outcome:
    """
    Interrupt an append at every *every*-th step, then try the same drafts again.

    Args:
        torn: Before each one the log gets a torn tail, which it cuts.
    """
    core, other = store(root, durability=level), store(root, lock_timeout_s=5)
    session_id, steps, at = born(core), Steps(), 1
    kept = tried = failed = 0
    interrupted = True
    while interrupted:
        if torn:
            with log_of(core, session_id).open("ab") as log:
                log.write(b'{"v":1,"seq":')
        drafts, floor = [note(f"n-{tried}")], core.head(session_id)
        append = partial(core.append, session_id, drafts, expected=floor, floor=floor)
        interrupted = steps.run(append, at)
        kept += _is_taken(other, session_id)
        try:
            append()
            other.append(session_id, [note("other")], expected=core.head(session_id))
        except Exception as error:  # noqa: BLE001 - counted, told
            print(f"{level}, step {at}: {error!r}")
            failed += 1
            core, other = store(root, durability=level), store(root, lock_timeout_s=5)
        tried, at = tried + 1, at + every
    found = [body for body in bodies(core, session_id) if b'"n-' in body]
    wrong = [f'"n-{n}"'.encode() in body for n, body in enumerate(found)].count(False)
    return Outcome(at - every - 1, tried - 1, kept, failed, wrong + abs(len(found) - tried))


def _is_taken(core: FsCore, session_id: SessionId) -> bool:
    log = core.log(session_id)
    if not log.try_lock():
        return True
    log.unlock()
    return False


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    def row(name: str, level: Durability, *, torn: bool) -> Row:
        every = 1 if not smoke else 101 if torn else 13
        found = run(root / name, every=every, level=level, torn=torn)
        wrong = found.failed + found.wrong
        return Row(f"interrupted in {name}", asdict(found), wrong, (6,))

    yield lambda: row("an append, disk", "disk", torn=False)
    yield lambda: row("an append, os", "os", torn=False)
    yield lambda: row("a recovery", "disk", torn=True)
