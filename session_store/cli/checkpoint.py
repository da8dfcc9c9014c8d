"""`session-store checkpoint`."""

from .. import blocking
from ..session.anchoring import anchor_heads, anchored_heads, commit
from ..session.keyfiles import read_key
from .failures import USAGE, Failure, complain
from .output import counted, emit, emit_json, json_text
from .settings import Settings, store_command
from .signing import ANCHOR, GIT, HEADS, KEY, opened
from .text import escape


@store_command("checkpoint")
@KEY
@ANCHOR
@GIT
@HEADS
def command(
    settings: Settings, key_path: str, anchor_path: str | None, git: bool, heads: str | None
) -> None:
    """
    Sign the heads of all sessions of the store, and print them. Kept elsewhere, they show later which
    session is gone, cut or rewritten: `verify --all --trust KEY --against FILE`. What --anchor DIR
    holds already is replaced only by what continues it.

    \b
    session-store checkpoint --key worker.key > heads
    session-store checkpoint --key worker.key --anchor ../anchors --git

    JSON: {sessions, origin, note, anchor}; the text itself goes to the anchor.
    """  # noqa: D301 - click's mark, a backspace
    if git and anchor_path is None:
        raise Failure("--git commits what --anchor DIR keeps", USAGE)
    key = read_key(key_path)
    with opened(settings, heads) as store:
        after = None if anchor_path is None else anchored_heads(anchor_path, store.inner.store_id)
        inventory = blocking.sign_store(store, key, after=after)
    path = None
    if anchor_path is not None:
        path = anchor_heads(anchor_path, inventory)
        if git:
            commit([path])
    if settings.is_json:
        emit_json(
            {
                "sessions": len(inventory.heads),
                "origin": inventory.note.text.partition("\n")[0],
                "note": str(inventory.note),
                "anchor": None if path is None else json_text(str(path)),
            }
        )
    elif path is None:
        for line in str(inventory).splitlines():
            emit(escape(line))
    else:
        complain("note", f"{counted(len(inventory.heads), 'session')} signed, in {path}")
