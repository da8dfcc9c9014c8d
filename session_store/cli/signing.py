"""Keys, anchors and head memory, as commands take them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from .. import blocking
from ..checkpoint.inventory import Inventory
from ..checkpoint.keys import VerifierKey
from ..checkpoint.note import Note
from ..errors import InvalidInput, NotFound, SessionStoreError
from ..session.levels import Anchor, parse_anchor
from ..stores.fs import layout
from ..stores.opening import head_memory
from .failures import USAGE, Failure, complain
from .settings import Settings, unusable

_ANCHOR_BYTES_MAX = 256 * 1024 * 1024

KEY = click.option(
    "--key",
    "key_path",
    required=True,
    metavar="FILE",
    type=click.Path(),
    help="The private key, of `key new`.",
)
HEADS = click.option(
    "--heads",
    metavar="FILE",
    type=click.Path(),
    help="The head memory, instead of heads.db in the store. Elsewhere it does not go back with it.",
)
TRUST = click.option(
    "--trust",
    "trusted",
    multiple=True,
    metavar="KEY",
    help="A public key, or a file with some, one a line. May be given many times.",
)
ANCHOR = click.option(
    "--anchor",
    "anchor_path",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="Keep a copy of the signed head there.",
)
GIT = click.option("--git", is_flag=True, help="And commit it: DIR lies in a git work tree.")


@contextmanager
def opened(settings: Settings, heads: str | None) -> Iterator[blocking.Store]:
    """Open the store with its head memory."""
    with settings.open() as store:
        inner = store.inner
        in_store = None
        if inner.core.files.filesystem() != "memory":
            in_store = inner.core.files.name(layout.HEADS)
        inner.heads = head_memory(inner.core, heads or in_store)
        yield store


def trusted_keys(texts: Sequence[str]) -> list[VerifierKey]:
    """
    Return the public keys that *texts* are, or that the files they name hold.

    Raises:
        InvalidInput: One is neither.
    """
    found: dict[VerifierKey, None] = {}
    for text in texts:
        path = Path(text)
        is_file = len(text) < 4096 and "\0" not in text and path.is_file()
        lines = path.read_text("utf-8", "replace").splitlines() if is_file else [text]
        if not any(line.strip() for line in lines):
            raise InvalidInput("holds no public key", source=text)
        found |= {VerifierKey.parse(line.strip()): None for line in lines if line.strip()}
    return list(found)


@contextmanager
def anchor_at(place: str | None, store: blocking.Store) -> Iterator[Anchor | None]:
    """
    Give what sessions of *store* are to be held against: a checkpoint or signed heads in a file,
    or another store.

    Raises:
        NotFound: There is nothing at *place*.
        InvalidInput: It is none of them.
    """
    if place is None:
        yield None
    elif ":" in place.split("/", maxsplit=1)[0] or Path(place).is_dir():
        try:
            other = blocking.open_store(place, create=False)
        except (SessionStoreError, OSError) as error:
            raise unusable(error) from error
        with other:
            if _root_of(other) == _root_of(store):
                raise Failure(
                    "--against the store itself shows nothing: it agrees to any loss", USAGE
                )
            yield other.inner
    else:
        yield _read(Path(place))


def _root_of(store: blocking.Store) -> Path:
    return Path(store.inner.core.files.root).resolve()


def _read(path: Path) -> Note | Inventory:
    try:
        with path.open("rb") as file:
            data = file.read(_ANCHOR_BYTES_MAX)
    except FileNotFoundError as error:
        raise NotFound(f"{path}: no such checkpoint, directory or store") from error
    try:
        return parse_anchor(data.decode())
    except ValueError as error:
        raise InvalidInput(str(error), source=str(path)) from error


def remembered(remember: Callable[[], Any]) -> None:
    """Write the head memory; where that cannot be, say so, and go on: nothing else depends on it."""
    try:
        remember()
    except (OSError, SessionStoreError) as error:
        complain("warning", f"heads are not remembered: {error}")


def one_of(is_all: bool, texts: Sequence[str]) -> None:
    """Raise unless sessions are named, or all are meant."""
    if is_all == bool(texts):
        raise Failure("name sessions, or give --all", USAGE)
