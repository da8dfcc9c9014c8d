"""
Masked copies: the same log, record for record, in a store whose bodies hold no secrets.

Every record keeps HEAD and hash, so that the copy verifies against the head of the original.
What a body of it says is vouched for by whoever masked it, not by the chain.
"""

import json
import re
from collections.abc import AsyncIterator

from attrs import frozen

from ..entries import Position
from ..errors import Corrupt, HeadMismatch, InvalidInput, NotFound
from ..ids import SessionId, parse_session_id
from ..redaction.bodies import find_in_body, masked_line
from ..redaction.rules import Rules
from ..redaction.spans import Confidence
from ..stores.protocol import Store
from .points import Segment, lineage

_GROUP_BYTES = 1024 * 1024


@frozen
class Secret:
    """
    Where a secret stands; not what it is.

    Attributes:
        path: Keys and indexes from the body to the string that holds it, those in a JSON
            document inside a string included. A key that is a secret is "[REDACTED]".
        length: Bytes, as stored.
    """

    position: Position
    kind: str
    rule: str
    confidence: Confidence
    path: tuple[str | int, ...]
    length: int

    @property
    def place(self) -> str:
        """The path as people write it: `$.items[0].content`."""
        return "$" + "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" if _NAME.fullmatch(part)
            else f"[{json.dumps(part, ensure_ascii=False)}]"
            for part in self.path
        )  # fmt: skip


_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")


async def find_secrets(
    store: Store, session_id: SessionId, rules: Rules, *, start: int = 0
) -> AsyncIterator[Secret]:
    """
    Give the secrets in a session's own log, from seq *start* on, that *rules* would mask.

    Raises:
        NotFound: No such session.
        Corrupt: After everything before the damage was looked through.
    """
    session_id = parse_session_id(session_id)
    async for batch in store.read(session_id, start):
        for record in batch:
            for found in find_in_body(record.kind, record.body or b"{}", rules):
                position = Position(session_id, record.seq, record.hash)
                rule, confidence, path, length = found
                yield Secret(position, record.kind, rule, confidence, path, length)


async def mask_session(
    source: Store, target: Store, session_id: SessionId, rules: Rules
) -> list[Position]:
    """
    Copy a session, with the logs that it lives on, masked into another store.

    Records in which nothing was masked are copied as they are; erased ones stay erased. Done
    again, it adds what is new, and what was erased since is erased in the copy. Traces are not
    copied.

    Args:
        target: A masked store (`open_store(…, masked=rules.version)`).

    Returns:
        The heads in *target*, the oldest ancestor first; they are those of *source*.

    Raises:
        InvalidInput: *target* is not masked.
        NotFound, Corrupt: The source; everything before the damage was copied.
        HeadMismatch: *target* holds another log under that id.

    Durability: on disk.
    Cost: linear in the logs of the lineage.
    """
    if not target.is_masked:
        raise InvalidInput("a masked copy goes into a masked store only", source="target")
    heads: list[Position] = []
    for segment in await lineage(source, parse_session_id(session_id)):
        await _copy(source, target, segment, rules)
        heads.append(await target.head(segment.session_id))
    return heads


async def _copy(source: Store, target: Store, segment: Segment, rules: Rules) -> None:
    session_id = segment.session_id
    start = await _first_wanted(source, target, session_id)
    async for lines in _masked_lines(source, session_id, start, rules):
        await target.append_lines(session_id, lines)


async def _first_wanted(source: Store, target: Store, session_id: SessionId) -> int:
    """
    Return the seq of the last record that *target* has, 0 if it has none.

    That one once more: taking it in finishes what an interrupted copy has left to sync or blank.
    """
    try:
        head = await target.head(session_id)
    except NotFound:
        return 0
    try:
        same = await source.position(session_id, head.seq)
    except NotFound:
        same = None
    if same != head:
        actual = head if same is None else same
        raise HeadMismatch(session_id, expected=head, actual=actual)
    return head.seq


async def _masked_lines(
    source: Store, session_id: SessionId, start: int, rules: Rules
) -> AsyncIterator[bytes]:
    """Give the masked lines from seq *start* on, in groups of whole appends."""
    group: list[bytes] = []
    size = whole = 0
    try:
        async for batch in source.read(session_id, start):
            for record in batch:
                line = masked_line(record, rules) + b"\n"
                group.append(line)
                size += len(line)
                if record.batch:
                    continue
                whole = len(group)
                if size >= _GROUP_BYTES:
                    yield b"".join(group)
                    group, size, whole = [], 0, 0
    except Corrupt:
        if whole:
            yield b"".join(group[:whole])
        raise
    if whole:
        yield b"".join(group[:whole])
