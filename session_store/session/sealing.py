"""
Sealing: a signed note about a log, appended to it.

Rules of this module:
  * Only what is on disk is signed.
  * Only what continues everything that the key has signed before is signed.
"""

import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from os import urandom
from typing import Literal, TypeAlias

from attrs import frozen

from ..chain import Draft
from ..checkpoint.audit import Audit, Sealed, StoredSeal, sizes_of, stored_seal
from ..checkpoint.keys import SigningKey
from ..checkpoint.note import Checkpoint, sign_note
from ..codec import draft
from ..entries import Position, Seal
from ..errors import InvalidInput, InvalidProof, NotAnExtension, NotFound, SessionStoreError
from ..ids import SessionId, parse_session_id
from ..search import KindSearch
from ..stores.protocol import ANY, Store

log = logging.getLogger("session_store")

When: TypeAlias = Literal["turn", "end"]

EVERY = 256


async def seal(
    store: Store,
    session_id: SessionId,
    key: SigningKey,
    *,
    successor: SigningKey | None = None,
    after: Checkpoint | None = None,
) -> Sealed:
    """
    Sign the whole of a session's own log, and append the signed note to it.

    Where nothing but seals was appended since the key's last seal, that one is returned. The
    records that a fork by reference inherited are covered by the hash of its first record.

    Args:
        successor: The key that signs from here on: a hand-over, signed by both. Seals of *key*
            that stand behind it are worth nothing; delete *key* afterwards.
        after: A head of the log that was kept elsewhere: only what continues it is signed.

    Raises:
        NotAnExtension: The log does not continue what *key* has signed, what the store's
            head memory has seen, or *after*.
        InvalidInput: *key* was handed over to another one in this log.
        ValueError: *successor* is *key*.
        NotFound, Corrupt: The session is not there; its log is damaged.
        MissingExtra: `cryptography` is not installed.

    Durability: everything that is signed, and the seal itself, are on disk.

    Cost: reads the log from its beginning.
    """
    if successor is not None and successor.verifier == key.verifier:
        raise ValueError("a key is handed over to another one")
    return await Sealing(store, parse_session_id(session_id), key, after).seal(successor)


async def signs(store: Store, session_id: SessionId, key: SigningKey) -> bool:
    """
    Return whether *key* has sealed a log, and has not handed it over; nothing is verified.

    Cost: one search over the log's bytes.
    """
    of_key, is_current = (key.name, key.verifier.key_id), False
    for seal in await stored_seals(store, parse_session_id(session_id)):
        with suppress(InvalidProof):
            note, checkpoint = seal.read()
            if any((one.name, one.key_id) == of_key for one in note.signatures):
                is_current = checkpoint.successor in (None, key.verifier)
    return is_current


async def stored_sizes(store: Store, session_id: SessionId) -> set[int]:
    """Return the sizes that the seals of a log speak of. Cost: one search over its bytes."""
    return sizes_of(await stored_seals(store, session_id))


async def stored_seals(store: Store, session_id: SessionId) -> list[StoredSeal]:
    """Return the seals of a log in order; none is verified. Cost: one search over its bytes."""
    search = KindSearch(session_id, "seal")
    seals: list[StoredSeal] = []
    async for chunk in store.raw(session_id):
        seals += map(stored_seal, search.feed(chunk))
    return [*seals, *map(stored_seal, search.finish())]


class Sealing:
    """The sealing of one session: its tree grows with the log, so a later seal reads only what is new."""

    def __init__(
        self,
        store: Store,
        session_id: SessionId,
        key: SigningKey,
        after: Checkpoint | None = None,
    ) -> None:
        self._store = store
        self._session_id = session_id
        self._key = key
        self._after = after
        self._audit: Audit | None = None
        self._last: Position | None = None
        self._sealed: Sealed | None = None
        self._plain_sealed = 0

    async def seal(self, successor: SigningKey | None = None) -> Sealed:
        """Seal; see `session_store.seal`."""
        store, session_id = self._store, self._session_id
        receipt = await store.flush(session_id)
        await self._check_memory(receipt.position)
        audit = await self._read_to(receipt.position)
        if self._sealed is not None and successor is None and audit.plain == self._plain_sealed:
            return self._sealed
        checkpoint = audit.checkpoint(None if successor is None else successor.verifier)
        await store.remember([receipt.position])
        keys = [self._key] if successor is None else [self._key, successor]
        note = str(sign_note(checkpoint.text(), *keys))
        # What was appended meanwhile stands before the seal, and is not signed by it.
        done = await store.append(session_id, _drafts(note), expected=ANY, durability="disk")
        self._sealed = Sealed(checkpoint.size, done.seq, self._key.verifier, note)
        self._plain_sealed = audit.plain
        if successor is not None:
            self._key = successor
        return self._sealed

    async def _check_memory(self, head: Position) -> None:
        seen = await self._store.seen(self._session_id)
        if seen is None or seen == head:
            return
        with suppress(NotFound):
            if await self._store.position(self._session_id, seen.seq) == seen:
                return
        raise NotAnExtension(self._session_id, seen=seen)

    async def _read_to(self, head: Position) -> Audit:
        store, session_id = self._store, self._session_id
        if self._audit is None:
            self._audit = Audit(session_id, await stored_sizes(store, session_id))
            if self._after is not None:
                self._audit.sizes.add(self._after.size)
        audit = self._audit
        async for batch in store.read(session_id, audit.tree.size, head.seq + 1):
            if self._last is not None and batch[0].prev_hash != self._last.hash:
                break
            audit.take(batch)
            self._last = Position(session_id, batch[-1].seq, batch[-1].hash)
        if self._last != head:
            raise NotAnExtension(session_id, seen=self._last or head)
        self._judge(audit)
        after = self._after
        if after is not None and audit.roots.get(after.size) != after.root:
            raise NotAnExtension(session_id, seen=f"the {after.size} records of its anchor")
        return audit

    def _judge(self, audit: Audit) -> None:
        verifier = self._key.verifier
        verdict = audit.judge([verifier])
        for bad in verdict.bad:
            if bad.key is not None:
                seen = f"what seal {bad.seq} says ({bad.why})"
                raise NotAnExtension(self._session_id, seen=seen)
        if verifier not in verdict.trust:
            names = ", ".join(map(str, verdict.trust))
            why = f"was handed over to {names} in session {self._session_id}"
            raise InvalidInput(why, source=f"key {verifier.name}+{verifier.key_id.hex()}")
        if verdict.sealed is not None:
            self._sealed = verdict.sealed
            self._plain_sealed = audit.plain - audit.unsealed(verdict.sealed)
        audit.seals.clear()


def _drafts(note: str) -> Sequence[Draft]:
    return [draft(Seal(note), urandom(16))]


@frozen
class Sealer:
    """
    When to seal: every so many records, and at the ends of turns and of the handle's life.

    Args:
        every: Records of one handle between two seals.
        at: "turn": behind every `turn_end`; "end": when the handle is closed.
    """

    key: SigningKey
    every: int = EVERY
    at: Collection[When] = ("turn", "end")

    def __attrs_post_init__(self) -> None:
        unknown = set(self.at) - {"turn", "end"}
        if self.every < 1 or unknown:
            raise ValueError("every is at least 1, at holds 'turn' and 'end' or less")

    def begin(self, store: Store, session_id: SessionId) -> "SealedHandle":
        """Return what seals the appends of one handle."""
        return SealedHandle(self, Sealing(store, session_id, self.key))


class SealedHandle:
    """
    Seals what one handle appends, as its *policy* says.

    A seal that fails does not fail the append before it, which stands: it is logged, and due
    again with the next append; that of `end` is raised.
    """

    def __init__(self, policy: Sealer, sealing: Sealing) -> None:
        self._policy = policy
        self._sealing = sealing
        self._due = 0
        self._is_busy = False

    async def appended(self, records: Sequence[Draft]) -> None:
        """Take note of an append that has reached its level."""
        self._due += len(records)
        is_turn = "turn" in self._policy.at and any(one.kind == "turn_end" for one in records)
        if (not is_turn and self._due < self._policy.every) or self._is_busy:
            return
        try:
            await self._seal()
        except (SessionStoreError, OSError) as error:
            log.warning("not sealed, to be tried again with the next append: %s", error)
            self._due = self._policy.every

    async def end(self) -> None:
        """Seal what is not sealed yet, if that is wanted; errors as for `session_store.seal`."""
        if "end" in self._policy.at and self._due:
            await self._seal()

    async def _seal(self) -> None:
        due, self._is_busy = self._due, True
        try:
            await self._sealing.seal()
            self._due -= due
        finally:
            self._is_busy = False
