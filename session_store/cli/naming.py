"""How people name sessions and entries: beginnings of ids, points, labels."""

import re
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from .. import blocking
from ..entries import EntryHash, Json, Position
from ..errors import InvalidId, InvalidInput, NotFound, SessionStoreError
from ..ids import SessionId, parse_session_id
from ..positions import is_hash
from ..session.points import Point, parse_point
from .failures import USAGE, Failure
from .settings import settings_of

_BEGINNING = re.compile(r"[0-9a-f-]{1,36}")
# Every id with a given beginning is smaller than the beginning filled up with this.
_GREATEST = "ffffffff-ffff-7fff-bfff-ffffffffffff"
_CANDIDATES = 6
_SHORTEST = 13
"""Characters of an id that hold its time: shorter ones are rarely unique."""


def complete_id(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the ids that the shell may complete *incomplete* to."""
    try:
        with settings_of(ctx).open() as store:
            return [CompletionItem(one) for one in _beginning_with(store, incomplete, 50)]
    except (Failure, SessionStoreError, OSError):
        return []  # The shell asks in the middle of a line: nothing may be printed.


ID = click.argument("text", metavar="ID", shell_complete=complete_id)


def find_session(store: blocking.Store, text: str) -> SessionId:
    """
    Return the session that *text* names: an id, or the beginning of exactly one.

    Raises:
        InvalidId: It is neither.
        NotFound: No session of the store begins like that.
        Failure: More than one does.
    """
    try:
        return parse_session_id(text)
    except InvalidId:
        if not _is_beginning(text):
            raise InvalidId(f"not a session id, nor the beginning of one: {text[:80]!r}") from None
    found = _beginning_with(store, text, _CANDIDATES)
    if not found:
        raise NotFound(f"no session begins with {text!r}")
    if len(found) > 1:
        shown = ", ".join(found[: _CANDIDATES - 1])
        more = ", …" if len(found) == _CANDIDATES else ""
        raise Failure(f"more than one session begins with {text!r}", USAGE, f"{shown}{more}")
    return found[0]


def _is_beginning(text: str) -> bool:
    if _BEGINNING.fullmatch(text) is None:
        return False
    filled = text + _GREATEST[len(text) :]
    try:
        parse_session_id(filled)
    except InvalidId:
        return False
    return True


def _beginning_with(store: blocking.Store, text: str, limit: int) -> list[SessionId]:
    if text and not _is_beginning(text):
        return []
    before = SessionId(text + _GREATEST[len(text) :])
    page = store.list(before=before, limit=limit)
    return [info.session_id for info in page if info.session_id.startswith(text)]


def size_of(store: blocking.Store, session_id: SessionId) -> int:
    """Return the bytes of a session's log; 0 if it was never born."""
    # Ids are compared as text: this is the smallest that is greater.
    page = store.list(before=SessionId(f"{session_id}-"), limit=1)
    return next((info.size for info in page if info.session_id == session_id), 0)


def short_ids(newest_first: Sequence[SessionId], next_older: SessionId | None = None) -> list[str]:
    """
    Return the shortest beginnings by which these neighbours in a listing are told apart.

    Args:
        next_older: The session behind the last one, if there is one.
    """
    around = [None, *newest_first, next_older]
    sizes = [
        max(_SHORTEST, _common(one, around[at]) + 1, _common(one, around[at + 2]) + 1)
        for at, one in enumerate(newest_first)
    ]
    return [one[:size] for one, size in zip(newest_first, sizes, strict=True)]


def _common(one: str, other: str | None) -> int:
    if other is None:
        return 0
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), len(one))


def _to_point(ctx: click.Context, param: click.Parameter, value: str | None) -> Point | None:
    try:
        return None if value is None else parse_point(value)
    except InvalidInput as error:
        raise click.BadParameter(error.why, ctx, param) from error


AT = click.option(
    "--at",
    metavar="SEQ|HASH|turn:N",
    callback=_to_point,
    help="An entry: its number in the session's own log, its hash, or the end of turn N.",
)


def parse_labels(texts: Sequence[str]) -> dict[str, Json]:
    """
    Return the labels of K=V texts; K= stands for None.

    Raises:
        Failure: A text is not K=V, or a name is given twice.
    """
    labels: dict[str, Json] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise Failure(f"not a label: {text[:80]!r}", USAGE, "NAME=VALUE is expected")
        if name in labels:
            raise Failure(f"label {name[:80]!r} is given twice", USAGE)
        labels[name] = value or None
    return labels


def parse_head(text: str, session_id: SessionId) -> Position:
    """
    Return the head that is written as SEQ:HASH, or SESSION:SEQ:HASH as `append` prints it.

    Raises:
        Failure: It is not.
    """
    seq, _, hash_ = text.removeprefix(f"{session_id}:").partition(":")
    if seq.isascii() and seq.isdigit() and len(seq) <= 16 and is_hash(hash_):
        return Position(session_id, int(seq), EntryHash(bytes.fromhex(hash_)))
    raise Failure(f"not a head: {text[:120]!r}", USAGE, "SEQ:HASH with 64 characters is expected")
