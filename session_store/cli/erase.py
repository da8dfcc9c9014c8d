"""`session-store erase`."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from .. import blocking
from ..entries import Json, Position
from ..ids import SessionId
from ..session.erasing import Erasure, What
from ..values import parse_outside
from .failures import USAGE, Failure, complain
from .naming import ID, find_session
from .output import counted, emit, emit_json
from .readable import summary
from .settings import Settings, store_command
from .text import escape, shorten

_SHOWN = 5
_SHOWN_COLUMNS = 76
_LAST_SEQ = (1 << 53) - 1
_NOT_REACHED = "not reached: backups, other stores, what a drive keeps of old blocks"


def _to_range(ctx: click.Context, param: click.Parameter, value: str | None) -> range | None:
    if value is None:
        return None
    first, colon, last = value.partition(":")
    numbers = (first, last or str(_LAST_SEQ))
    if not colon or not all(n.isascii() and n.isdigit() and len(n) <= 16 for n in numbers):
        raise click.BadParameter("A:B is expected, both included, or A: to the end", ctx, param)
    return range(int(numbers[0]), int(numbers[1]) + 1)


@store_command("erase")
@ID
@click.option("--seq", type=click.IntRange(0), metavar="N", help="One entry of its own log.")
@click.option("--range", "seqs", metavar="A:B", callback=_to_range, help="Entries A to B.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it stays in the log.")
@click.option("--by", metavar="WHO", help="Who wanted it; it stays in the log.")
@click.option(
    "--replacement",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A JSON object: the body that is given out instead.",
)
@click.option("--with-copies", is_flag=True, help="Copies in other sessions, too.")
@click.option("--with-trace", is_flag=True, help="The trace's events of these turns, too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(
    settings: Settings,
    text: str,
    seq: int | None,
    seqs: range | None,
    reason: str,
    by: str | None,
    file: Path | None,
    with_copies: bool,
    with_trace: bool,
    yes: bool,
) -> None:
    """
    Erase entries of a session's own log for good; every chain holds as before.

    \b
      session-store erase ID --seq 7 --reason "a password" --yes
      session-store erase ID --range 4:9 --reason "asked for" --by legal

    Body and salt are overwritten where they stand, in quarantine too; a redaction entry
    says what was erased, and why. Forks see it at once. Copies in other sessions are
    listed; --with-copies erases them first. Of a range, entries that are erased already
    or never are (redaction, seal, recovery) are passed over. Backups and other stores are
    not reached, nor what a drive keeps of old blocks.

    JSON: {session_id, erased: [seq], redaction: {session_id, seq, hash, level} or null,
    copies: [{session_id, seq, hash}], copies_erased, unsearched: [session_id]}
    """  # noqa: D301 - click's mark for text that is not wrapped
    if (seq is None) == (seqs is None):
        raise Failure("one of --seq and --range is wanted", USAGE)
    what: What = seqs if seqs is not None else seq or 0
    replacement = None if file is None else _read(file)
    with settings.open() as store:
        session_id = find_session(store, text)
        if not yes:
            _ask(store, session_id, seqs or range(seq or 0, (seq or 0) + 1))
        done = blocking.erase(
            store,
            session_id,
            what,
            reason=reason,
            by=by,
            replacement=replacement,
            with_copies=with_copies,
            with_trace=with_trace,
        )
    if settings.is_json:
        emit_json({"session_id": session_id, **_json(done), "copies_erased": with_copies})
    else:
        _print(done, with_copies=with_copies)


def _read(file: Path) -> dict[str, Json]:
    """Return the body in *file*. Raises InvalidInput, naming it."""
    value = parse_outside(file.read_bytes(), source=str(file))
    if not isinstance(value, dict):
        raise Failure(f"{file}: the body of an entry is a JSON object", USAGE)
    return value


def _ask(store: blocking.Store, session_id: SessionId, seqs: range) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise Failure("erasing wants --yes where nobody can be asked", USAGE)
    count = 0
    for entry in blocking.read_entries(store, session_id, seqs[0] if seqs else 0, seqs.stop):
        count += 1
        if count <= _SHOWN:
            said = escape(" ".join(f"{entry.kind}  {summary(entry)}"[:1000].split()))
            click.echo(f"{entry.seq:>5}  {shorten(said, _SHOWN_COLUMNS)}", err=True)
    if count > _SHOWN:
        click.echo(f"       and {counted(count - _SHOWN, 'record')} more", err=True)
    click.confirm(f"Erase this from {session_id} for good?", abort=True, err=True)


def _json(done: Erasure) -> dict[str, Json]:
    receipt = done.receipt
    return {
        "erased": [position.seq for position in done.erased],
        "redaction": receipt and {**receipt.position.to_json(), "level": receipt.level},
        "copies": [position.to_json() for position in done.copies],
        "unsearched": list(done.unsearched),
    }


def _print(done: Erasure, *, with_copies: bool) -> None:
    if done.receipt is None:
        emit("nothing left to erase there")
    else:
        emit(f"erased {counted(len(done.erased), 'record')}, seq {_seqs(done.erased)}")
        emit(f"redaction {done.receipt.seq}:{done.receipt.hash.hex()} {done.receipt.level}")
    verb = "erased" if with_copies else "not erased"
    for copy in done.copies:
        emit(f"copy in {copy.session_id}, seq {copy.seq}: {verb}")
    for session_id in done.unsearched:
        complain("warning", f"{session_id} is damaged: whether it holds a copy is not known")
    emit(_NOT_REACHED)


def _seqs(erased: Sequence[Position]) -> str:
    first, last = erased[0].seq, erased[-1].seq
    return str(first) if first == last else f"{first} to {last}"
