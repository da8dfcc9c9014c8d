"""
Hostile input, fuzzed: from seeds on all cores, and guided by coverage where atheris is installed.

    python tests/crash/fuzz.py TARGET --replay FILE          an input that failed, once more
    python tests/crash/fuzz.py TARGET --seeds FIRST COUNT    what these seeds give
    python tests/crash/fuzz.py TARGET --guided DIRECTORY …   libFuzzer, with its own options
"""

import argparse
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from random import Random
from types import FrameType

from attrs import define, field

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from crash.subject import Row, Subject

HANG_S = 120
"""So long no input takes, on the slowest machine: what takes longer hangs."""

_AT_ONCE = 100
_GUIDED_BYTES = 600


@define
class Seeds:
    """How many inputs for each target, and the rows of the fault matrix that they try."""

    full: int
    smoke: int
    guided: int
    matrix: tuple[int, ...]


PLAN = {
    "lines": Seeds(1_000_000, 4_000, 100_000, (48, 49, 78, 79, 80)),
    "logs": Seeds(60_000, 300, 8_000, (48, 49)),
    "recovery": Seeds(15_000, 60, 3_000, (49,)),
    "erasing": Seeds(15_000, 60, 3_000, (49,)),
    "traces": Seeds(40_000, 200, 15_000, (49, 78, 79)),
    "importers": Seeds(15_000, 60, 6_000, (78, 79, 80)),
    "command line": Seeds(15_000, 60, 6_000, (75, 79, 85, 86)),
}


class Hang(BaseException):
    """An input took longer than HANG_S; no `except` of the library may take it for its own."""


@define
class Found:
    """What some inputs led to."""

    words: Counter[str] = field(factory=Counter)
    failed: list[str] = field(factory=list)
    slowest_s: float = 0.0

    def add(self, other: "Found") -> None:
        self.words += other.words
        self.failed += other.failed
        self.slowest_s = max(self.slowest_s, other.slowest_s)


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    """Give each target from seeds, and all of them guided by coverage."""
    import hostile_targets  # noqa: F401 - once, for all the processes to come

    for name, seeds in PLAN.items():
        # The short form guards every change, so it says the same of the same code.
        first = 1 if smoke else int.from_bytes(os.urandom(4))
        yield partial(_fuzz, root, name, first, seeds.smoke if smoke else seeds.full)
    runs = {name: seeds.guided for name, seeds in PLAN.items()}
    yield partial(_guided, root, {"lines": 300} if smoke else runs)


def _fuzz(root: Path, name: str, first: int, count: int) -> Row:
    shares = range(first, first + count, _AT_ONCE)
    found = Found()
    context = get_context("fork")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        parts = [
            pool.submit(try_seeds, root, name, seed, min(_AT_ONCE, first + count - seed))
            for seed in shares
        ]
        for part in parts:
            found.add(part.result())
    for told in found.failed[:5]:
        print(told)
    counts = {"inputs": count, "undocumented": len(found.failed), "first seed": str(first)}
    counts["slowest ms"] = round(found.slowest_s * 1000)
    counts |= dict(found.words.most_common(4))
    return Row(f"fuzz: {name}", counts, len(found.failed), PLAN[name].matrix)


def try_seeds(root: Path, name: str, first: int, count: int) -> Found:
    """Run the inputs of some seeds."""
    found = Found()
    target = _targets(str(root), os.getpid())[name]
    for seed in range(first, first + count):
        data = target.make(Random(seed))
        began = time.monotonic()
        try:
            found.words[_bounded(target.run, data)] += 1
        except (Exception, Hang):  # noqa: BLE001 - whatever it is, it is what we look for
            found.failed.append(_told(name, f"seed {seed}", data))
        found.slowest_s = max(found.slowest_s, time.monotonic() - began)
    return found


@cache
def _targets(root: str, pid: int) -> dict:
    """Make the targets of this process, with a directory of their own."""
    import logging

    from hostile_targets import targets

    logging.disable()  # Each mended log would be told about.
    signal.signal(signal.SIGALRM, _hang)
    return targets(Path(tempfile.mkdtemp(dir=root, prefix=f"fuzz-{pid}-")))


def _bounded(run: Callable[[bytes], str], data: bytes) -> str:
    signal.alarm(HANG_S)
    try:
        return run(data)
    finally:
        signal.alarm(0)


def _hang(_: int, frame: FrameType | None) -> None:
    raise Hang(f"longer than {HANG_S} s")


def _told(name: str, what: str, data: bytes) -> str:
    """Keep an input that failed; return what to say of it."""
    fd, path = tempfile.mkstemp(prefix=f"session-store-fuzz-{name.replace(' ', '-')}-")
    with open(fd, "wb") as file:
        file.write(data)
    again = f"python tests/crash/fuzz.py '{name}' --replay {path}"
    return f"{name}, {what}: {traceback.format_exc(limit=-3)}\n  again: {again}"


# -- guided by coverage --------------------------------------------------------------------------


def _guided(root: Path, runs: dict[str, int]) -> Row:
    subject = "fuzz guided by coverage"
    matrix = tuple(sorted({row for seeds in PLAN.values() for row in seeds.matrix}))
    if importlib.util.find_spec("atheris") is None:
        why = "atheris is not installed (pip install atheris)"
        return Row(subject, {}, 0, matrix, why)
    context = get_context("fork")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        done = list(pool.map(partial(_guide, root), runs, runs.values()))
    counts: dict[str, object] = {"inputs": 0, "undocumented": 0, "branches": 0}
    for said, code in done:
        units = re.search(r"stat::number_of_executed_units:\s*(\d+)", said)
        covered = re.findall(r"cov: (\d+)", said)
        counts["inputs"] += int(units[1]) if units else 0
        counts["branches"] += int(covered[-1]) if covered else 0
        counts["undocumented"] += code != 0
        if code:
            print(said[-4000:])
    return Row(subject, counts, counts["undocumented"], matrix)


def _guide(root: Path, name: str, runs: int) -> tuple[str, int]:
    """Let libFuzzer run a target; return what it said, and its exit code."""
    place = Path(tempfile.mkdtemp(dir=root, prefix="guided-"))
    corpus = place / "corpus"
    corpus.mkdir()
    for number in range(8):
        (corpus / f"{number}").write_bytes(os.urandom(_GUIDED_BYTES))
    options = [
        f"-runs={runs}",
        f"-max_len={_GUIDED_BYTES}",
        "-len_control=0",
        "-print_final_stats=1",
    ]
    options += [
        f"-timeout={HANG_S}",
        f"-artifact_prefix={place}/",
        f"-seed={Random().randrange(1, 1 << 31)}",
    ]
    done = subprocess.run(
        [sys.executable, __file__, name, "--guided", str(corpus), *options],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.stdout.decode(errors="replace"), done.returncode


class Chance(Random):
    """Chance that comes from bytes, and is always 0 behind them: so a fuzzer steers it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        super().__init__(0)

    def getrandbits(self, k: int) -> int:
        size = (k + 7) // 8
        taken = self._data[self._at : self._at + size].ljust(size, b"\0")
        self._at += size
        return int.from_bytes(taken) >> (8 * size - k)

    def random(self) -> float:
        return self.getrandbits(32) / (1 << 32)


def _let_atheris(name: str, arguments: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["session_store"]):
        import session_store.blocking
        import session_store.cli.app
        import session_store.interop.codex  # noqa: F401 - all that is to be covered
    with tempfile.TemporaryDirectory() as root:
        target = _targets(root, os.getpid())[name]
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # libFuzzer has a timeout of its own.

        def one_input(data: bytes) -> None:
            made = target.make(Chance(data))
            try:
                target.run(made)
            except Exception:
                print(_told(name, "guided", made), flush=True)
                raise

        atheris.Setup([sys.argv[0], *arguments], one_input)
        atheris.Fuzz()


def main() -> int:
    """Replay, try seeds, or fuzz guided by coverage."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("target", choices=PLAN)
    parser.add_argument("--replay", type=Path)
    parser.add_argument("--seeds", type=int, nargs=2, metavar=("FIRST", "COUNT"))
    parser.add_argument("--guided", action="store_true")
    options, rest = parser.parse_known_args()
    if options.guided:
        _let_atheris(options.target, rest)
        return 0
    with tempfile.TemporaryDirectory() as root:
        if options.replay:
            print(_targets(root, os.getpid())[options.target].run(options.replay.read_bytes()))
            return 0
        found = try_seeds(Path(root), options.target, *(options.seeds or (0, 1000)))
    print(*found.failed, dict(found.words), f"slowest {found.slowest_s:.3f} s", sep="\n")
    return int(bool(found.failed))


if __name__ == "__main__":
    sys.exit(main())
