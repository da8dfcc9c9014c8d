"""
What hostile bytes are given to.

Each target makes an input from chance, and runs it: only documented errors, nothing
accepted that docs/verify_log.py would not accept, nothing changed that had to stay.
A word tells how it went, for the counts.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random

import hostile_lines
from attrs import frozen
from hostile_erasures import make_erased, run_erasing
from hostile_programs import command_line, make_transcript, transcripts
from hostile_stores import make_trace, run_recovery, run_trace
from hostile_witness import run_line, run_log


@frozen
class Target:
    """
    Something that takes hostile bytes.

    Attributes:
        make: Makes an input from chance.
        run: Takes it; returns a word for how it went. Raises what nobody documented, or an
            AssertionError for what must not be.
    """

    name: str
    make: Callable[[Random], bytes]
    run: Callable[[bytes], str]


def targets(root: Path) -> dict[str, Target]:
    """Return all targets by name; *root* is an empty directory for what needs files."""
    found = [
        Target("lines", hostile_lines.line, run_line),
        Target("logs", hostile_lines.log, run_log),
        Target("recovery", hostile_lines.log, run_recovery),
        Target("erasing", make_erased, run_erasing),
        Target("traces", make_trace, run_trace),
        Target("importers", make_transcript, transcripts(root)),
        Target("command line", *command_line(root)),
    ]
    return {target.name: target for target in found}
