"""A copy of the project with something changed in it, and tests run there."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[2]
PARTS = ("session_store", "tests", "docs", "README.md", "pyproject.toml", "LICENSE", "Makefile")
PYTEST = ("-m", "pytest", "-q", "-x", "-p", "crash.placed", "-p", "no:randomly")
PYTEST += ("-p", "no:cacheprovider")


@frozen
class Outcome:
    """
    What became of a run of tests.

    Attributes:
        code: pytest's exit code; None if it took too long.
        failed: The tests that failed.
    """

    code: int | None
    failed: tuple[str, ...]
    output: str

    @property
    def is_passed(self) -> bool:
        return self.code == 0


class Copy:
    """The project as it was when the copy was made, below *where*."""

    def __init__(self, where: Path) -> None:
        self.where = where
        ignore = shutil.ignore_patterns("__pycache__", ".*", "results.json")
        for part in PARTS:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, where / part, ignore=ignore)
            elif (ROOT / part).exists():
                shutil.copy(ROOT / part, where / part)
        self._run("-m", "compileall", "-q", "session_store", "tests", timeout_s=300)

    def path(self, module: str) -> Path:
        """Return the file of a module of the package: `stores/fs/log`."""
        return self.where / "session_store" / f"{module}.py"

    def write(self, module: str, text: str) -> None:
        """Give *module* another text; a compiled file of the same second and size must not win."""
        path = self.path(module)
        path.write_text(text, "utf-8")
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()

    def pytest(
        self,
        tests: Iterable[str],
        *options: str,
        timeout_s: float,
        env: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Run *tests* on the copy, to the first that fails."""
        code, output = self._run(*PYTEST, *options, *tests, timeout_s=timeout_s, env=env)
        summary = output.rpartition("= short test summary info =")[2]
        failed = [
            line.partition(" ")[2].partition(" - ")[0]
            for line in summary.splitlines()
            if line.startswith(("FAILED ", "ERROR "))
        ]
        return Outcome(code, tuple(failed), output)

    def _run(
        self, *arguments: str, timeout_s: float, env: Mapping[str, str] | None = None
    ) -> tuple[int | None, str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.where,
            env={
                **os.environ,
                "PYTHONPATH": f"{self.where}:{self.where / 'tests'}",
                "PYTHONDONTWRITEBYTECODE": "1" if "pytest" in arguments else "",
                "HYPOTHESIS_STORAGE_DIRECTORY": str(self.where / "hypothesis"),
                **(env or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            output = ""
        finally:
            # Whatever a test left behind goes with it.
            is_over = process.poll() is not None
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return (process.returncode if is_over else None), output
