"""
The group of all commands, and the one place where every error ends.

Rules of this module:
  * The only broad `except` of the command line is here: no traceback reaches a user.
  * A command's module is imported when the command is called, and nothing but click
    before: help and version are there at once.
"""

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn, TextIO

import click

from ..version import VERSION
from .failures import ENVIRONMENT, INTERRUPTED, UNREAD, USAGE, Failure, report
from .settings import json_option, store_option

PROGRAM = "session-store"
COMPLETE = "_SESSION_STORE_COMPLETE"

_EPILOG = """\b
ID is a session's id or a beginning of it that no other session shares.
Exit codes: 0 ok; 1 a negative answer (damage found, no such session or
entry, another writer was faster); 2 usage (an option, id, point or entry
that is none); 3 the environment (no store, an unsupported version, input
or output failed); 130 interrupted; 141 the output's reader went away."""


class _Entry(NamedTuple):
    module: str
    help: str


COMMANDS: Mapping[str, _Entry] = {
    "import": _Entry("importing", "Bring in transcripts of other programs."),
    "ls": _Entry("ls", "List sessions, newest first."),
    "show": _Entry("show", "Read a session as a conversation."),
    "log": _Entry("log", "List the entries of a session's own log."),
    "state": _Entry("state", "Restore a session and tell its state."),
    "verify": _Entry("verify", "Check every byte of sessions, and say what was found where."),
    "key": _Entry("key", "Make, show and hand over the keys that seals are signed with."),
    "seal": _Entry("seal", "Sign sessions as they are now."),
    "checkpoint": _Entry("checkpoint", "Sign the heads of all sessions of the store."),
    "prove": _Entry("prove", "Prove one entry, or that nothing before was changed."),
    "fork": _Entry("fork", "Begin a session that continues another one."),
    "label": _Entry("label", "Set labels; K= takes one away."),
    "tree": _Entry("tree", "Show who was forked from whom."),
    "follow": _Entry("follow", "Print entries as they are appended."),
    "usage": _Entry("usage", "Sum up tokens: own, inherited, total."),
    "trace": _Entry("trace", "Print, replay or prove the trace of a session."),
    "append": _Entry("append", "Append entries from standard input."),
    "new": _Entry("new", "Begin a session."),
    "delete": _Entry("delete", "Delete a session; its id is never used again."),
    "erase": _Entry("erase", "Erase entries of a session's own log for good; every chain holds."),
    "repair": _Entry("repair", "Cut a damaged log at its first damage."),
    "salvage": _Entry("salvage", "Copy what is readable of a damaged session into a new one."),
    "doctor": _Entry("doctor", "Check a whole store; say what is wrong and what mends it."),
    "scan": _Entry("scan", "Look for secrets in sessions; say where they stand."),
    "mask": _Entry("mask", "Copy sessions into a masked store; their secrets stay behind."),
    "du": _Entry("du", "Tell the disk usage of sessions."),
    "completion": _Entry("completion", "Print the completion script of a shell."),
    "demo": _Entry("demo", "Record, kill, restore, fork, verify: what this is for."),
}


class _Commands(click.Group):
    """The group, which knows its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        entry = COMMANDS.get(name)
        if entry is None:
            return None
        command = importlib.import_module(f".{entry.module}", __package__).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from difflib import get_close_matches  # noqa: PLC0415 - for a name mistyped

        near = [] if args[0] in COMMANDS else get_close_matches(args[0], COMMANDS)
        if near and not ctx.resilient_parsing:
            hint = f"did you mean {' or '.join(near)}?"
            raise Failure(f"no such command: {args[0]!r}", USAGE, hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    click.echo(f"{PROGRAM} {VERSION}")
    ctx.exit()


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    params=[store_option(), json_option()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=_EPILOG,
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Print the version.",
)
@click.pass_context
def commands(ctx: click.Context) -> None:
    """Keep, restore, fork and verify the sessions of LLM agents."""
    if ctx.invoked_subcommand is None:
        if sys.stderr is not None:
            sys.stderr.write(f"{ctx.get_help()}\n")
        ctx.exit(USAGE)


def main(arguments: Sequence[str], *, before: Callable[[], None] | None = None) -> int:
    """
    Run one command line; return its exit code.

    Whatever happens is reported on standard error in a line or two.

    Args:
        before: Called before a command is, but not for help or the version.
    """
    try:
        try:
            return _invoke(arguments, before)
        finally:
            _flush(sys.stdout)
    except KeyboardInterrupt:
        return INTERRUPTED
    except click.exceptions.Abort:
        return INTERRUPTED
    except BrokenPipeError:
        return UNREAD
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        return report(error)


def _invoke(arguments: Sequence[str], before: Callable[[], None] | None) -> int:
    if instruction := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete  # noqa: PLC0415 - a run for the shell

        return shell_complete(commands, {}, PROGRAM, COMPLETE, instruction)
    try:
        with commands.make_context(PROGRAM, list(arguments)) as ctx:
            if before is not None:
                before()
            commands.invoke(ctx)
    except click.exceptions.Exit as end:
        return end.exit_code
    return 0


def _flush(stream: TextIO | None) -> None:
    if stream is not None and not stream.closed:
        stream.flush()


def run() -> NoReturn:
    """Run the command line of this process, and end it."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows its number.
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = main(sys.argv[1:], before=_print_warnings)
    except OSError:  # Standard error cannot be written either.
        code = ENVIRONMENT
    _detach_output()
    sys.exit(code)


def _print_warnings() -> None:
    from .warned import print_warnings  # noqa: PLC0415 - with all that logging needs

    print_warnings()


def _detach_output() -> None:
    """Let the interpreter's last flush go nowhere if standard output is broken."""
    for stream in (sys.stdout, sys.stderr):
        try:
            _flush(stream)
        except OSError:
            assert stream is not None
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
