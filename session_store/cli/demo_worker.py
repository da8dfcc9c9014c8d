"""
The worker of the demo: an agent without a model, that records until it is killed.

    python -m session_store.cli.demo_worker STORE SESSION RECEIPTS

After that many receipts its disk stalls in the middle of an append, which is where the
demo kills it. It reports on standard output: `SEQ HASH` for each receipt, `~` when the
disk stalls.
"""

import os
import sys
import time
from pathlib import Path

from .. import blocking
from ..entries import LlmUsage, LogEntry, RunStarted, TurnEnd
from ..ids import parse_session_id
from ..items import to_entries
from ..stores.face import InlineFace
from ..stores.fs.core import FsCore
from ..stores.fs.files import Files, OpenFile

_STALL_S = 60.0
_INTERRUPTED = "interrupted, outcome unknown"
_CITIES = ("Oslo", "Lima", "Baku", "Accra", "Hanoi", "Quito", "Dakar", "Riga")


class StallingFiles(Files):
    """
    A file system that stalls when half of some log's bytes are written.

    Attributes:
        is_stalling: The next write to a log is the one.
    """

    is_stalling = False

    def write(self, file: OpenFile, data: bytes) -> int:
        if not self.is_stalling or not data.startswith(b'{"v":1'):
            return super().write(file, data)
        half = super().write(file, data[: len(data) // 2])
        report("~")
        time.sleep(_STALL_S)
        return half + super().write(file, data[half:])


def report(line: str) -> None:
    """Tell the demo; if it is gone, this ends the worker."""
    os.write(1, line.encode() + b"\n")


def work(root: str, session_id: str, receipts: int) -> None:
    """Go on with the session where its log ends, turn after turn, for ever."""
    files = StallingFiles(Path(root))
    files.is_stalling = receipts == 0
    store = blocking.Store(InlineFace(FsCore(files, create=False)))
    state = blocking.restore(store, parse_session_id(session_id))
    session = blocking.open_session(store, state.session_id, head=state.head)
    count = 0

    def append(*entries: LogEntry) -> None:
        nonlocal count
        receipt = session.append(*entries)
        count += 1
        report(f"{receipt.seq} {receipt.hash.hex()}")
        files.is_stalling = count >= receipts

    append(
        RunStarted("demo"),
        *to_entries(state.history_for_provider(_INTERRUPTED)[len(state.history) :]),
    )
    turn = state.turn_count
    while True:
        turn += 1
        city, call = _CITIES[turn % len(_CITIES)], f"call_{turn}_{os.getpid()}"
        answer = f"{turn % 30} °C in {city}"
        append(*to_entries([{"role": "user", "content": f"How warm is it in {city}?"}]))
        look = {"type": "function_call", "call_id": call, "name": "weather", "arguments": city}
        usage = LlmUsage(turn * 4 - 3, 900 + turn, output_tokens=12, model="none")
        append(*to_entries([look]), usage)
        append(*to_entries([{"type": "function_call_output", "call_id": call, "output": answer}]))
        append(*to_entries([{"role": "assistant", "content": answer}]), TurnEnd(turn))


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], int(sys.argv[3]))
