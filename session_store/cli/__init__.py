"""The command line, `session-store`: one module for each command, imported when it is called."""

from .app import run

__all__ = ["run"]
