"""
A whole machine in one process, and a seed that says what happens on it.

    from session_store.testing.simulation import simulate

    for seed in range(1000):
        simulate(seed)                            # Violation, with the seed and the last steps

Several processes write, read, fork, erase and delete; between any two of their calls about files
another one may run, die, be stopped, meet a full or failing disk, or the power may go. What the
store says is held against a model: `os` outlives processes, `disk` the power, nothing is given
that was refused, what was erased is nowhere, and nobody is shown two histories.
"""

from .run import Outcome, open_fs, simulate
from .scheduler import Violation
from .weather import FAULTS

__all__ = ["FAULTS", "Outcome", "Violation", "open_fs", "simulate"]
