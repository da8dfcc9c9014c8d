"""`session-store key`."""

from pathlib import Path

import click

from .. import blocking
from ..checkpoint.keys import SigningKey
from ..errors import SessionStoreError
from ..ids import SessionId
from ..session.keyfiles import read_key, write_key
from .failures import NEGATIVE, USAGE, Failure, complain, explain, quit_with
from .output import counted, emit, emit_json
from .progress import progress
from .settings import Settings, json_option, settings_of, store_command
from .signing import HEADS, opened
from .text import escape


@click.group("key")
def command() -> None:
    """
    Make, show and hand over the keys that seals are signed with.

    \b
    session-store key new --name example.org/worker-7 --out worker.key
    session-store key show worker.key > trusted
    session-store key rotate worker.key --out next.key
    """  # noqa: D301 - click's mark, a backspace


_PATH = click.argument("path", metavar="FILE", type=click.Path())
_OUT = click.option(
    "--out", required=True, metavar="FILE", type=click.Path(), help="Where; never overwritten."
)


@command.command("new", params=[json_option()])
@click.option(
    "--name",
    required=True,
    metavar="NAME",
    help="Of the signer: no blanks, no +. A URL without its scheme is the custom.",
)
@_OUT
@click.pass_context
def new(ctx: click.Context, name: str, out: str) -> None:
    """
    Make a private key (Ed25519), mode 0600, and print the public one, for verifiers to keep.

    JSON: {public_key, path}
    """
    key = SigningKey.generate(name)
    _write(out, key)
    _print(ctx, key, out)


@command.command("show", params=[json_option()])
@_PATH
@click.pass_context
def show(ctx: click.Context, path: str) -> None:
    """
    Print the public key of a private one.

    JSON: {public_key, path}
    """
    _print(ctx, read_key(path), path)


@store_command("rotate")
@_PATH
@_OUT
@click.option("--name", metavar="NAME", help="Of the new key; the old one's if not given.")
@HEADS
def rotate(settings: Settings, path: str, out: str, name: str | None, heads: str | None) -> None:
    """
    Make a new key, and hand over to it in every session that the old one has sealed.

    A hand-over is a seal that names the next key. Whoever trusts the old key then trusts the
    new one for what follows in that session, and the old one no more: delete it. Sessions begun
    later need the new public key, which is printed. Run it again with the same --out if it was
    interrupted.

    JSON: {public_key, path, handed_over: [session_id], failed: [{session_id, error}]}
    """
    old = read_key(path)
    if Path(out).exists():
        key = read_key(out)
        if key.verifier == old.verifier:
            raise Failure(f"{out} holds the key that is to be handed over", USAGE)
    else:
        key = SigningKey.generate(name or old.name)
        _write(out, key)
    done, failed, code = list[SessionId](), list[tuple[SessionId, str]](), 0
    with opened(settings, heads) as store:
        infos = [info.session_id for info in blocking.sessions(store)]
        for session_id in progress(infos, "handing over", len(infos)):
            try:
                if blocking.signs(store, session_id, old):
                    blocking.seal(store, session_id, old, successor=key)
                    done.append(session_id)
            except (SessionStoreError, OSError) as error:
                explained = explain(error)
                failed.append((session_id, explained.message))
                code = max(code, explained.code)
    for _, message in failed:
        complain("error", message)
    if settings.is_json:
        emit_json(
            {
                "public_key": str(key.verifier),
                "path": out,
                "handed_over": done,
                "failed": [{"session_id": one, "error": why} for one, why in failed],
            }
        )
    else:
        emit(escape(str(key.verifier)))
        complain("note", f"handed over in {counted(len(done), 'session')}; now delete {path}")
    quit_with(code)


command.add_command(rotate)


def _write(path: str, key: SigningKey) -> None:
    try:
        write_key(path, key)
    except FileExistsError as error:
        raise Failure(f"{path} exists, and is not overwritten", NEGATIVE) from error
    except (NotADirectoryError, FileNotFoundError) as error:
        raise Failure(f"{Path(path).parent}: no such directory", USAGE) from error


def _print(ctx: click.Context, key: SigningKey, path: str) -> None:
    if settings_of(ctx).is_json:
        emit_json({"public_key": str(key.verifier), "path": path})
    else:
        emit(escape(str(key.verifier)))
