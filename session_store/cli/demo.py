"""`session-store demo`."""

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from .. import blocking
from ..entries import SessionStartState
from ..ids import SessionId
from ..interop.claude_code import read_claude_code
from ..items import to_entries
from ..state import RestoredState
from .demo_kills import LIVES, Tally, kill_workers
from .failures import NEGATIVE, USAGE, Failure
from .output import emit, flush, paint
from .text import escape
from .tree import print_tree
from .verify import print_report

TRANSCRIPT = Path(__file__).with_name("demo_transcript.jsonl")


@click.command("demo")
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Work in this new directory, and leave it there to look at.",
)
def command(keep: Path | None) -> None:
    """Record, kill, restore, fork, verify: what this is for, in a few seconds."""
    began = time.monotonic()
    with _place(keep) as place, _counted_not_told():
        emit(f"Everything happens in {escape(str(place))}")
        with blocking.open_store(place / "sessions") as store:
            worker = _record(store, place)
            state = _restore(store, worker)
            branch = _fork(store, state)
            _damage(place, worker, branch)
            _import(store)
    emit()
    emit(f"Done in {time.monotonic() - began:.0f} s.")
    _next(keep, worker)


@contextmanager
def _counted_not_told() -> Iterator[None]:
    """Each recovery would be a warning; the demo counts them instead."""
    logger = logging.getLogger("session_store")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="session-store-demo-") as name:
            yield Path(name)
        return
    try:
        keep.mkdir()
    except FileExistsError as error:
        raise Failure(f"{keep} is there already", USAGE, "--keep wants a new directory") from error
    yield keep


def _title(text: str) -> None:
    emit()
    emit(paint(text, bold=True))
    flush()


def _record(store: blocking.Store, place: Path) -> SessionId:
    _title(f"1. A worker records a session, and is killed {len(LIVES)} times while appending.")
    start = SessionStartState("You tell how warm it is.", {"model": "none"}, labels={"demo": "1"})
    session = blocking.create_session(store, start)
    tally = Tally()
    for tally in kill_workers(store, str(place / "sessions"), session.id):
        if tally.kills % 5 == 0:
            emit(
                f"   {tally.kills:>2} kills: {len(tally.acknowledged):>3} appends acknowledged,"
                f" {tally.lost} lost, {tally.torn:>2} left half an append behind"
            )
            flush()
    if tally.lost:
        raise Failure(f"{tally.lost} acknowledged entries were lost", NEGATIVE)
    emit("   Each worker took up the log, cut what was torn, and went on.")
    return session.id


def _restore(store: blocking.Store, session_id: SessionId) -> RestoredState:
    _title("2. Its log alone restores it.")
    state = blocking.restore(store, session_id)
    recoveries = sum(e.kind == "recovery" for e in blocking.read_entries(store, session_id))
    emit(f"   {state.entries_count} entries, all verified: {state.turn_count} whole turns,")
    emit(f"   {len(state.history)} items of history, {recoveries} recoveries on record.")
    calls = ", ".join(state.open_calls)
    emit(f"   Left open by the last kill: the run, and tool call {calls}.")
    closed = state.history_for_provider()
    emit(f"   For the provider it is answered with {closed[-1]['output']!r}.")
    return state


def _fork(store: blocking.Store, state: RestoredState) -> SessionId:
    _title("3. A fork goes on from the end of turn 3, by reference: nothing is copied.")
    branch = blocking.fork_at(store, state.session_id, state.turns[3], labels={"branch": "b"})
    question = {"role": "user", "content": "And in Fahrenheit?"}
    answer = {"role": "assistant", "content": "37 °F, as it happens."}
    branch.append(*to_entries([question, answer]))
    forked = blocking.restore(store, branch.id)
    count = len(forked.history)
    emit(f"   {count} items of history, {count - 2} of them inherited. The store now:")
    print_tree(store, indent="   ")
    return branch.id


def _damage(place: Path, worker: SessionId, branch: SessionId) -> None:
    _title("4. In a copy of the store, one bit of one byte flips.")
    shutil.copytree(place / "sessions", place / "damaged")
    with blocking.open_store(place / "damaged") as store:
        path = Path(store.path(worker))
        data = bytearray(path.read_bytes())
        at = data.rindex(b"Lima")
        data[at] ^= 1
        path.write_bytes(data)
        emit(f"   Byte {at} said 'Lima', and says {data[at : at + 4].decode()!r} now:")
        verifier = blocking.Verifier(store)
        damaged, intact = verifier.verify(worker), verifier.verify(branch)
        print_report(store, damaged, indent="   ")
        emit("   The fork lives on entries before the damage:")
        print_report(store, intact, indent="   ")
    if not damaged.problems or intact.problems:
        raise Failure("the damage was not found where it is", NEGATIVE)


def _import(store: blocking.Store) -> None:
    _title("5. A transcript of Claude Code becomes a session.")
    for item in read_claude_code(TRANSCRIPT):
        done = blocking.import_transcript(store, item)
        again = blocking.import_transcript(store, item)
        report, state = done.report, blocking.restore(store, done.session_id)
        kept, cut = sum(report.kept.values()), len(report.unreadable)
        emit(f"   {report.lines} lines: {report.mapped} understood, {kept} kept as extensions,")
        emit(f"   {cut} cut short by a crash and kept as text: {len(state.history)} items,")
        emit(f"   {state.turn_count} turns. Imported again, it adds {again.added} entries.")


def _next(keep: Path | None, worker: SessionId) -> None:
    if keep is None:
        emit("Nothing of it is left. To look at it yourself:")
        emit("   session-store demo --keep demo-store")
        return
    emit("Look at it yourself:")
    emit(f"   export SESSION_STORE={escape(str(keep / 'sessions'))}")
    for line in ("ls", f"show {worker}", f"state {worker} --at turn:3", "tree", "verify --all"):
        emit(f"   session-store {line}")
    emit(f"   session-store --store {escape(str(keep / 'damaged'))} verify --all")
