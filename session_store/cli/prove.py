"""`session-store prove`."""

from collections.abc import Sequence

import click

from .. import blocking
from .failures import USAGE, Failure
from .naming import ID, find_session
from .output import emit, emit_json
from .settings import Settings, store_command
from .signing import TRUST, trusted_keys
from .text import escape


@store_command("prove")
@ID
@click.argument("seq", required=False, type=click.IntRange(min=0))
@click.option("--with-body", is_flag=True, help="Carry the record's body and salt too.")
@click.option(
    "--consistency",
    metavar="SIZE",
    type=click.IntRange(min=1),
    help="Prove that the newest seal continues the log that had SIZE records.",
)
@TRUST
def command(
    settings: Settings,
    text: str,
    seq: int | None,
    with_body: bool,
    consistency: int | None,
    trusted: Sequence[str],
) -> None:
    """
    Prove one entry, or that nothing before was changed, to whoever has the public key.

    It is checked with the signer's public key and nothing else of the log, by
    `docs/verify_log.py --proof FILE --key KEY`. It carries the record's HEAD: kind, time,
    place and the commitment to its body, unless --with-body discloses that. With --trust,
    seals of other keys are passed over.

    \b
    session-store prove 01a2 17 --trust ops.pub > record-17.tlog-proof
    session-store prove 01a2 --consistency 256 > since-256

    JSON: {session_id, seq, size, proof}
    """  # noqa: D301 - click's mark, a backspace
    if (seq is None) == (consistency is None):
        raise Failure("name a SEQ, or give --consistency SIZE", USAGE)
    if with_body and seq is None:
        raise Failure("--with-body is of a record", USAGE)
    trust = trusted_keys(trusted)
    with settings.open() as store:
        session_id = find_session(store, text)
        if seq is not None:
            proof = str(blocking.prove(store, session_id, seq, with_body=with_body, trust=trust))
        else:
            assert consistency is not None
            proof = str(blocking.prove_consistency(store, session_id, consistency, trust=trust))
    if settings.is_json:
        size = int(proof.split("\n\n", 1)[1].splitlines()[1])
        emit_json({"session_id": session_id, "seq": seq, "size": size, "proof": proof})
    else:
        for line in proof.removesuffix("\n").split("\n"):
            emit(escape(line))
