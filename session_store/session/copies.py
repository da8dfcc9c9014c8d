"""
Copies of entries in other sessions: of one that was copied, flattened, compacted or salvaged.

Rules of this module:
  * A copied record has kind, time and body of its source, byte for byte, under a salt of its own.
  * A first record is made anew: in it, the same items and the same prompt are looked for.
  * Equal bodies of another time are no copies. Looked at are sessions that descend from the
    entries' own; where one in between was deleted, its copies too, but for their first records.
"""

from collections.abc import Mapping, Sequence

from attrs import define, field, frozen
from blake3 import blake3

from ..chain import Record
from ..codec import decode_body, encode_body
from ..entries import ConfigChanged, Json, LabelsChanged, LogEntry, Position, SessionOrigin
from ..errors import Corrupt, NotFound, UnsafePath, Unsupported
from ..ids import SessionId
from ..stores.protocol import Store
from ..values import encode
from .family import origin, sessions

Body = Mapping[str, Json]

_LISTS = ("items", "history")
_FIELDS = ("system_prompt", "config")


@frozen
class Copy:
    """
    A record that holds what another session's record held.

    Attributes:
        replacement: What is left of its body without that; None is nothing.
    """

    position: Position
    replacement: Body | None


@define
class Wanted:
    """What copies are recognised by: digests alone, whatever the size of the bodies."""

    _records: set[tuple[int, str, bytes]] = field(factory=set, init=False)
    _values: set[bytes] = field(factory=set, init=False)

    def add(self, record: Record) -> None:
        """Look for copies of *record*, too."""
        if record.body is None or record.withheld is not None:
            return
        self._records.add(_key(record.ts, record.kind, record.body))
        body = decode_body(record, "a record to be erased") or {}
        for name in _LISTS:
            items = body.get(name)
            self._values.update(_digest(name, item) for item in _list(items))
        if record.kind == "session_start":
            self._values.update(_digest(name, body[name]) for name in _FIELDS if body.get(name))
            self._records.update(_key(record.ts, e.kind, encode_body(e)) for e in _changes(body))

    def is_copied(self, record: Record) -> bool:
        """Return whether *record* is a copy of one that was added."""
        return (
            record.body is not None
            and record.withheld is None
            and _key(record.ts, record.kind, record.body) in self._records
        )

    def without(self, body: Body) -> Body | None:
        """Return what is left of the *body* of a first record; None if nothing in it is wanted."""
        rest = {
            name: value
            for name, value in body.items()
            if name not in _FIELDS or _digest(name, value) not in self._values
        }
        for name in _LISTS:
            if isinstance(body.get(name), list):
                items = _list(body[name])
                rest[name] = [i for i in items if _digest(name, i) not in self._values]
        return None if rest == body else rest


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _changes(start: Body) -> list[LogEntry]:
    """Return the entries that a copy makes of a fork's session_start."""
    changes: list[LogEntry] = []
    if isinstance(config := start.get("config"), dict):
        changes.append(ConfigChanged(config))
    if isinstance(labels := start.get("labels"), dict):
        changes.append(LabelsChanged(labels))
    return changes


def _key(ts: int, kind: str, body: bytes) -> tuple[int, str, bytes]:
    return ts, kind, blake3(body).digest()


def _digest(name: str, value: Json) -> bytes:
    """Return what a value is known by; an item is the same in a history as among items."""
    return blake3(encode([name if name in _FIELDS else "", value])).digest()


async def find_copies(
    store: Store, owner: SessionId, wanted: Wanted, given: Mapping[str, Body], *, strict: bool
) -> tuple[list[Copy], list[SessionId]]:
    """
    Search the copies that descend from *owner*.

    Args:
        given: By kind, what shall be given out instead of a record.
        strict: A damaged copy is an error.

    Returns:
        What they hold; and the sessions of which damage hides whether they hold something.

    Raises:
        Corrupt: See *strict*.
    """
    copies, unsearched = list[Copy](), list[SessionId]()
    for session_id, is_certain in await _holders(store, owner, unsearched):
        held: list[Copy] = []
        try:
            await _search(store, session_id, wanted, given, held, with_first=is_certain)
        except NotFound:
            continue  # Deleted since it was listed.
        except Corrupt:
            if strict:
                raise
            unsearched.append(session_id)
        else:
            copies += held
    return copies, unsearched


async def _holders(
    store: Store, owner: SessionId, unsearched: list[SessionId]
) -> Sequence[tuple[SessionId, bool]]:
    """
    Return the sessions that hold copies of what descends from *owner*, oldest first.

    Each with whether that is certain: a session in between may have been deleted.
    """
    origins: dict[SessionId, SessionOrigin] = {}
    async for info in sessions(store):
        try:
            origins[info.session_id] = await origin(store, info.session_id)
        except NotFound:
            continue
        except (Corrupt, Unsupported, UnsafePath):
            unsearched.append(info.session_id)
    copies = [
        session_id
        for session_id, found in sorted(origins.items())
        if not found.by_reference or found.salvaged_from is not None
    ]
    related = [(one, _descends(one, owner, origins)) for one in copies]
    return [(one, is_certain) for one, is_certain in related if is_certain is not None]


def _descends(
    session_id: SessionId, owner: SessionId, origins: Mapping[SessionId, SessionOrigin]
) -> bool | None:
    """Return whether a session is known to descend from *owner*; None if it does not."""
    seen: set[SessionId] = set()
    while session_id not in seen:
        if session_id not in origins:
            return False
        seen.add(session_id)
        source = origins[session_id].source
        if source is None:
            return None
        session_id = source
        if session_id == owner:
            return True
    return None  # What copies claim may lead in a ring.


async def _search(
    store: Store,
    session_id: SessionId,
    wanted: Wanted,
    given: Mapping[str, Body],
    held: list[Copy],
    *,
    with_first: bool,
) -> None:
    """
    Gather in *held* what was copied into a session, and is wanted.

    Args:
        with_first: Also the same items and prompts in its first append.
    """
    in_first_append = with_first
    async for batch in store.read(session_id):
        for record in batch:
            position = Position(session_id, record.seq, record.hash)
            if wanted.is_copied(record):
                held.append(Copy(position, given.get(record.kind)))
            elif in_first_append and record.withheld is None:
                rest = wanted.without(decode_body(record, session_id) or {})
                if rest is not None:
                    held.append(Copy(position, rest))
            in_first_append = in_first_append and record.batch > 0
