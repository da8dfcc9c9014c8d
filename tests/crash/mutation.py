"""
Mutation testing: small mistakes in the modules that matter most; a test must fail for each.

What survives is listed in mutation.toml with its reason. A mutant is tried with the tests that
run its line, the fastest first: in a child of one pytest process if it is in a function
(mutating.py), else, and to confirm that it survives, in a process of its own.
"""

import json
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from attrs import define, field, frozen

from crash.mutants import Mutant, mutants_of
from crash.patched import ROOT, Copy
from crash.subject import Row, Subject

MODULES = ("codec", "chain", "runs", "stores/fs/log", "stores/fs/recovery")
FILES = ("chain", "codec", "scan", "values", "state", "items", "redacted", "errors", "seed_bugs")
FILES += ("vectors", "verify_log", "format_doc", "store_conformance", "blocking", "fs", "session")
FILES += ("runs", "mutants", "breakages", "matrix", "repair", "erase_meets")
LEFT_OUT = ("test_fs_exhaustive", "test_fs_processes")
SURVIVORS = Path(__file__).with_suffix(".toml")
KEPT = ROOT / "build" / "mutation"
OUTCOMES = KEPT / "outcomes.jsonl"
KILLED = ("killed", "timed out")
TESTS_S = 15.0
"""So many seconds of tests, on good code, are enough for a mutant."""
TESTS_LISTED_S = 2.0
"""The same for one that is known to survive."""
TIMEOUT_S = 600.0
KILLED_MIN = 0.95


@frozen
class Test:
    """A test that passes on good code."""

    name: str
    seconds: float
    lines: dict[str, frozenset[int]]


@define
class Found:
    """What became of the mutants of one module."""

    module: str
    mutants: list[Mutant]
    outcomes: dict[str, tuple[str, str]] = field(factory=dict)

    def with_outcome(self, *outcomes: str) -> list[Mutant]:
        return [m for m in self.mutants if self.outcomes.get(m.id, ("left", ""))[0] in outcomes]


class Mutation:
    """
    The mutants of some modules, tried on a copy of the project.

    What was killed is kept in build/mutation, so that it can be broken off and taken up again.
    """

    def __init__(self, modules: Sequence[str], where: Path) -> None:
        self.copy = Copy(where / "copy")
        self.where = where
        self.files = {module: str(self.copy.path(module)) for module in MODULES}
        self.found = [Found(m, mutants_of(self.copy.path(m), m)) for m in modules]
        self.listed = {(s["module"], s["mutant"]) for s in listed()}
        KEPT.mkdir(parents=True, exist_ok=True)

    def run(self) -> list[Found]:
        """Try every mutant; return what was found."""
        tests = self.map()
        self._recall()
        self._try_in_children(tests)
        for found in self.found:
            for mutant in found.with_outcome("left", "survived", "died"):
                if (found.module, mutant.key) not in self.listed:
                    found.outcomes[mutant.id] = self._try_alone(mutant, tests)
                    self._keep(mutant.id, *found.outcomes[mutant.id])
        return self.found

    def map(self) -> list[Test]:
        """Return the tests that pass, with the lines that they run; those of a file that is known."""
        modules = sha256(b"".join(Path(f).read_bytes() for f in self.files.values())).hexdigest()
        kept = KEPT / f"map-{modules[:16]}.jsonl"
        known: dict[str, list[dict]] = {}
        for row in read_lines(kept):
            known.setdefault(row["file"], []).append(row)
        names = {f"tests/{path.name}": _dated(path) for path in self._test_files()}
        fresh = {file: name for file, name in names.items() if name not in known}
        if fresh:
            out = self.where / "map.jsonl"
            output = self._pytest("map", sorted(fresh), out=str(out))
            for row in read_lines(out):
                name = fresh[row["test"].partition("::")[0]]
                known.setdefault(name, []).append({"file": name, **row})
            if missing := [file for file, name in fresh.items() if name not in known]:
                raise RuntimeError(f"{missing} could not be run:\n{output}")
            with kept.open("a") as file:
                for name in fresh.values():
                    file.writelines(json.dumps(row) + "\n" for row in known[name])
        rows = [row for name in names.values() for row in known[name]]
        bad = [row["test"] for row in rows if not row["good"]]
        if bad:
            print(f"left out, they fail on good code: {bad}", file=sys.stderr)
        tests = [
            Test(row["test"], row["seconds"], {m: frozenset(n) for m, n in row["lines"].items()})
            for row in rows
            if row["good"]
        ]
        return sorted(tests, key=lambda test: test.seconds)

    def _test_files(self) -> list[Path]:
        paths = sorted((self.copy.where / "tests").glob("test_*.py"))
        wanted = tuple(f"test_{name}" for name in FILES)
        return [p for p in paths if p.stem.startswith(wanted) and p.stem not in LEFT_OUT]

    def _recall(self) -> None:
        kept = {row["id"]: (row["outcome"], row["by"]) for row in read_lines(OUTCOMES)}
        kept = {each: outcome for each, outcome in kept.items() if outcome[0] in KILLED}
        for found in self.found:
            found.outcomes |= {m.id: kept[m.id] for m in found.mutants if m.id in kept}

    def _keep(self, mutant: str, outcome: str, by: str) -> None:
        with OUTCOMES.open("a") as file:
            file.write(json.dumps({"id": mutant, "outcome": outcome, "by": by}) + "\n")

    def _try_in_children(self, tests: list[Test]) -> None:
        numbers = {test.name: n for n, test in enumerate(tests)}
        job = {
            mutant.id: [numbers[test.name] for test in self._chosen(mutant, tests)]
            for found in self.found
            for mutant in found.with_outcome("left")
            if mutant.scope
        }
        files = {test.name.partition("::")[0] for test in tests}
        names = [(test.name, test.seconds) for test in tests]
        before = len(read_lines(OUTCOMES))
        if any(job.values()):
            output = self._pytest("try", sorted(files), out=str(OUTCOMES), mutants=job, tests=names)
            if len(read_lines(OUTCOMES)) == before:
                raise RuntimeError(f"no mutant could be tried:\n{output}")
        for row in read_lines(OUTCOMES)[before:]:
            for found in self.found:
                found.outcomes[row["id"]] = (row["outcome"], row["by"])

    def _chosen(self, mutant: Mutant, tests: list[Test]) -> list[Test]:
        """Return the tests that run a line of the mutant: those of its module, and fast ones."""
        is_listed = (mutant.module, mutant.key) in self.listed
        left_s = TESTS_LISTED_S if is_listed else TESTS_S
        kin = f"_{mutant.module.rpartition('/')[2]}.py"
        chosen = []
        for test in tests:
            lines = test.lines.get(mutant.module, frozenset())
            if lines.isdisjoint(mutant.lines) if mutant.scope else not lines:
                continue
            is_kin = test.name.partition("::")[0].endswith(kin)
            if is_kin or test.seconds <= left_s:
                chosen.append(test)
                left_s -= test.seconds
        return chosen

    def _try_alone(self, mutant: Mutant, tests: list[Test]) -> tuple[str, str]:
        """Try a mutant in a process that was never without it."""
        good = self.copy.path(mutant.module).read_text("utf-8")
        self.copy.write(mutant.module, mutant.text())
        try:
            chosen = self.where / "chosen.txt"
            chosen.write_text("".join(f"{t.name}\n" for t in self._chosen(mutant, tests)))
            outcome = self.copy.pytest([f"@{chosen}"], timeout_s=TIMEOUT_S)
            if outcome.code is None:
                return "timed out", "alone"
            if not outcome.is_passed:
                return "killed", outcome.failed[0] if outcome.failed else "import"
        finally:
            self.copy.write(mutant.module, good)
        return "survived", ""

    def _pytest(self, what: str, names: list[str], **job: object) -> str:
        path = self.where / "job.json"
        path.write_text(json.dumps({"what": what, "files": self.files, **job}))
        options = ("-p", "crash.mutating", "--maxfail=0", "-s")
        env = {"MUTATION_JOB": str(path)}
        return self.copy.pytest(names, *options, timeout_s=4 * 3600, env=env).output[-4000:]


def _dated(path: Path) -> str:
    return f"{path.name} {sha256(path.read_bytes()).hexdigest()[:16]}"


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def listed() -> list[dict[str, str]]:
    """Return the mutants that are known to survive, with the reasons."""
    if not SURVIVORS.exists():
        return []
    return list(tomllib.loads(SURVIVORS.read_text("utf-8")).get("survivor", []))


def row_of(found: Found) -> Row:
    """Return the counts; wrong are the survivors without a reason, and reasons without a mutant."""
    names = {m.key: m for m in found.mutants}
    reasons = {s["mutant"] for s in listed() if s["module"] == found.module}
    survived = found.with_outcome("survived", "left", "died")
    unexplained = [m.key for m in survived if m.key not in reasons]
    stale = sorted(reasons - {m.key for m in survived})
    for key in unexplained:
        print(f"survived: {found.module} {names[key].lines.start} {key}")
    for key in stale:
        print(f"listed, but {'killed' if key in names else 'not made'}: {found.module} {key}")
    killed, late = (len(found.with_outcome(what)) for what in ("killed", "timed out"))
    counts = {"mutants": len(names), "killed": killed, "timed out": late, "survived": len(survived)}
    is_low = killed + late < KILLED_MIN * len(names)
    return Row(
        f"mutants of {found.module}.py",
        {**counts, "share": f"{(killed + late) / len(names):.1%}", "explained": len(reasons)},
        len(unexplained) + len(stale) + is_low,
    )


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    """In short: that mutants can be made, and which reasons are out of date."""
    for module in MODULES:
        if smoke:
            yield lambda module=module: _made(module)
        else:
            yield lambda module=module: row_of(Mutation([module], root / sha_name(module)).run()[0])


def sha_name(module: str) -> str:
    return module.replace("/", "-")


def _made(module: str) -> Row:
    mutants = mutants_of(ROOT / "session_store" / f"{module}.py", module)
    for mutant in mutants[:: len(mutants) // 10]:
        compile(mutant.text(), module, "exec")
    reasons = {s["mutant"] for s in listed() if s["module"] == module}
    stale = len(reasons - {m.key for m in mutants})
    counts = {"mutants": len(mutants), "explained": len(reasons), "stale": stale}
    return Row(f"mutants of {module}.py", counts, 0)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="session-store-mutation-") as below:
        for each in Mutation(sys.argv[1:] or MODULES, Path(below)).run():
            print(row_of(each))
