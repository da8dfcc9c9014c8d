"""The families of benches, in the order of the table; each is a module of that name."""

from __future__ import annotations

from importlib import import_module

from .harness import Bench

FAMILIES = (
    "append_os",
    "append_disk",
    "processes",
    "peers",
    "pod",
    "restore",
    "verify",
    "opening",
    "forks",
    "listing",
    "following",
    "traces",
    "bytes",
    "startup",
    "memory",
)


def load(name: str) -> Bench:
    """Return the bench of a family."""
    bench: Bench = import_module(f".{name}", __package__).bench
    return bench
