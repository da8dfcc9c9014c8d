"""The README's blocks are run, in order, in one directory; what they show is what they print."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

README = Path(__file__).parents[1] / "README.md"
MARK = "--- end of a command ---"


@frozen
class Block:
    language: str
    text: str


def blocks() -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(*parts) for parts in found]


@frozen
class Step:
    """A command of a console block, and what is shown below it."""

    command: str
    shown: str

    def matches(self, printed: str) -> bool:
        """`…` stands for anything on its line; lines shown may be the first of more."""
        pattern = ".*".join(map(re.escape, self.shown.split("…")))
        return re.match(pattern, printed) is not None


def steps(text: str) -> list[Step]:
    found: list[list[str]] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif line.startswith("> "):
            found[-1][0] += line[2:]
        else:
            found[-1][1] += line
    return [Step(*parts) for parts in found]


def run_console(text: str, place: Path, environment: dict[str, str]) -> None:
    """Run a block in one shell that remembers its variables for the next block."""
    wanted = steps(text)
    script = "touch .variables; . ./.variables\n"
    script += "".join(f"{step.command}echo {shlex.quote(MARK)}\n" for step in wanted)
    script += "set | grep ^ID= > .variables\n"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=place,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    printed = done.stdout.decode().split(f"{MARK}\n")
    assert len(wanted) + 1 == len(printed), done.stderr.decode()
    for step, output in zip(wanted, printed[:-1], strict=True):
        assert step.matches(output), (step.command, step.shown, output, done.stderr.decode())


def run_python(text: str, place: Path, environment: dict[str, str]) -> None:
    """Run a block as a program; what its prints show in comments is its output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        cwd=place,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    shown = re.findall(r"^ *print\(.*  # (.*)$", text, re.MULTILINE)
    assert (0, shown) == (done.returncode, done.stdout.decode().splitlines()), done.stderr.decode()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The program is on the path as if it were installed."""
    program = tmp_path / "bin" / "session-store"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m session_store "$@"\n')
    program.chmod(0o755)
    source = str(README.parent)
    found = {name: value for name, value in os.environ.items() if name != "SESSION_STORE"}
    return found | {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": source}


def test_every_block_runs_and_prints_what_it_shows(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """A reader who types what the README shows sees what it shows."""
    place = tmp_path / "reader"
    place.mkdir()
    found = blocks()

    assert {"python", "console"} == {block.language for block in found}
    for block in found:
        run = run_python if block.language == "python" else run_console
        run(block.text, place, environment)


def test_shown_output_is_compared() -> None:
    """The comparison of this test finds a difference."""
    assert Step("x", "01…  INTACT\n").matches("0123  INTACT\nmore\n")
    assert not Step("x", "01…  INTACT\n").matches("0123  NOT INTACT\n")


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    """At most 200 lines; files that it names exist."""
    text = README.read_text()

    assert text.count("\n") <= 200
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (README.parent / link).exists(), link


def test_the_readme_names_every_command() -> None:
    """No command is missing from its table."""
    from session_store.cli.app import COMMANDS

    table = README.read_text().split("## The command line")[1]
    assert [] == [name for name in COMMANDS if f"`{name}" not in table and name != "demo"]
