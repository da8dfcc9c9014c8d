"""
A plugin of pytest for mutation testing: which test runs which line, and which test fails.

Rules of this module:
  * Tests are collected once. A mutant lives in a child of that process, where the code of
    one function is exchanged; what a test breaks there breaks nothing else.
  * What is done is a job, a JSON file named by MUTATION_JOB; what was found is appended to the
    file `out` of the job, one JSON line each, so that it can be broken off.
"""

import gc
import json
import os
import resource
import select
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from attrs import frozen
from coverage import Coverage

from .mutants import mutants_of

LIMIT_FACTOR, LIMIT_S = 20, 10
MEMORY_MAX = 8 << 30


def pytest_configure(config: pytest.Config) -> None:
    job = json.loads(Path(os.environ["MUTATION_JOB"]).read_text())
    config.pluginmanager.register(Mapping(job) if job["what"] == "map" else Trying(job))


@frozen
class Work:
    """A test to run, and how long it takes on good code."""

    item: pytest.Item
    seconds: float


def say(job: dict[str, Any], **found: object) -> None:
    with Path(job["out"]).open("a") as out:
        out.write(json.dumps(found) + "\n")


class Mapping:
    """Finds which lines of the job's modules each test runs, and how long it takes."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()
        files = list(job["files"].values())
        self.coverage = Coverage(data_file=None, config_file=False, include=files)
        self.coverage.set_option("run:disable_warnings", ["no-data-collected"])
        self.coverage.start()

    def pytest_collection_finish(self) -> None:
        self.caches = caches_of("session_store")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        for each in self.caches:
            each.cache_clear()  # Or only the first test would be said to run what is remembered.
        began = time.monotonic()
        result = yield
        self.seconds[item.nodeid] = time.monotonic() - began
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        data = self.coverage.get_data()
        lines: dict[str, dict[str, list[int]]] = {}
        for module, file in self.job["files"].items():
            for line, tests in data.contexts_by_lineno(file).items():
                for test in filter(None, tests):
                    lines.setdefault(test, {}).setdefault(module, []).append(line)
        for test, seconds in self.seconds.items():
            is_good = test not in self.failed
            say(self.job, test=test, seconds=seconds, good=is_good, lines=lines.get(test, {}))


class Trying:
    """Tries the job's mutants, each in a child of its own."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        tests = [(items.get(name), seconds) for name, seconds in self.job["tests"]]
        caches = caches_of("session_store")
        kills: Counter[str] = Counter()
        functions = {file: functions_of(file) for file in self.job["files"].values()}
        gc.collect()
        gc.freeze()  # Children must not copy what they only look at.
        for module, file in self.job["files"].items():
            for mutant in mutants_of(Path(file), module):
                chosen = [tests[n] for n in self.job["mutants"].get(mutant.id, ())]
                work = [Work(item, seconds) for item, seconds in chosen if item is not None]
                # What noticed one mistake often notices the next one, too.
                work.sort(key=lambda each: -kills[each.item.nodeid])
                if work:
                    code = dict(code_of(compile(mutant.text(), file, "exec")))[mutant.scope]
                    outcome, by = self._in_child(functions[file][mutant.scope], code, caches, work)
                    say(self.job, id=mutant.id, outcome=outcome, by=by)
                    kills[by] += outcome == "killed"
        return True

    def _in_child(
        self, functions: list[FunctionType], code: CodeType, caches: list[Any], work: list[Work]
    ) -> tuple[str, str]:
        """Return killed, timed out or survived, and by which test."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                _be_silent()
                for function in functions:
                    function.__code__ = code
                for each in caches:
                    each.cache_clear()  # What is in there was made without the mistake.
                self._work(work, writer)
            except BaseException as error:  # noqa: BLE001 - said in the only way there is
                os.write(writer, f"died\t{type(error).__name__}: {error}\n".encode())
            finally:
                os._exit(0)
        os.close(writer)
        said, status = _listen(reader, pid)
        outcome, by = said.splitlines()[-1].split("\t") if said else ("died", "at once")
        if outcome == "in":
            is_late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
            outcome = "timed out" if is_late else "killed"
        return outcome, by

    def _work(self, work: list[Work], writer: int) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
        following = [*(each.item for each in work[1:]), None]
        for each, after in zip(work, following, strict=True):
            os.write(writer, f"in\t{each.item.nodeid}\n".encode())
            # The default of the signal ends the process, whatever it is at.
            signal.setitimer(signal.ITIMER_REAL, each.seconds * LIMIT_FACTOR + LIMIT_S)
            each.item.config.hook.pytest_runtest_protocol(item=each.item, nextitem=after)
            if self.failed:
                os.write(writer, f"killed\t{each.item.nodeid}\n".encode())
                return
        os.write(writer, b"survived\t-\n")


def _be_silent() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _listen(reader: int, pid: int) -> tuple[str, int]:
    """Return what a child says, and how it ended; a grandchild may hold the other end for long."""
    said, ended = b"", 0
    while not ended:
        if select.select([reader], [], [], 0.2)[0]:
            data = os.read(reader, 65536)
            said += data
            if not data or (said.endswith(b"\n") and not said.splitlines()[-1].startswith(b"in\t")):
                break
        else:
            ended, status = os.waitpid(pid, os.WNOHANG)
    os.close(reader)
    if not ended:
        _, status = os.waitpid(pid, 0)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    return said.decode(errors="replace"), status


def code_of(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    """Give the code of every function of a module and of its classes, by qualified name."""
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield const.co_qualname, const
            yield from code_of(const)


def _objects() -> list[object]:
    """Return all that is there, also what was put beyond the collector's reach when tests were collected."""
    gc.unfreeze()
    return gc.get_objects()


def functions_of(file: str) -> dict[str, list[FunctionType]]:
    """Return the functions that live, however they are decorated, by the names of their code."""
    found: dict[str, list[FunctionType]] = {}
    for each in _objects():
        if isinstance(each, FunctionType) and each.__code__.co_filename == file:
            found.setdefault(each.__code__.co_qualname, []).append(each)
    return found


def caches_of(package: str) -> list[Any]:
    """Return the functions of the package that remember their results."""
    objects = _objects()
    cached = [each for each in objects if type(each).__name__ == "_lru_cache_wrapper"]
    return [each for each in cached if str(each.__module__).startswith(package)]
