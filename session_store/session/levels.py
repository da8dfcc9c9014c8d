"""
What lifts a log that is INTACT to SEALED and to ANCHORED, and what speaks against it.

INTACT: the chain holds. SEALED: a trusted key has signed records that the log still begins with.
ANCHORED: the log holds all that a copy of its head, kept elsewhere, speaks of.
"""

from collections.abc import Sequence
from typing import TypeAlias

from attrs import evolve, frozen

from ..checkpoint.audit import Audit, Sealed
from ..checkpoint.inventory import HEADER, Inventory, parse_inventory
from ..checkpoint.keys import VerifierKey
from ..checkpoint.note import STORE_ORIGIN, Note, open_checkpoint, parse_checkpoint, parse_note
from ..entries import Position
from ..errors import Corrupt, InvalidProof, NotFound, Unsupported
from ..ids import SessionId
from ..stores.protocol import Store
from .comparing import Comparison, holds, with_checkpoint, with_head, with_store
from .reports import Finding, Level, Report, What
from .sealing import stored_sizes

Anchor: TypeAlias = Note | Inventory | Store
"""A signed head of a session, the signed heads of a store, or a store that has copies."""


def parse_anchor(text: str) -> Note | Inventory:
    """
    Return the checkpoint or the inventory in *text*.

    Raises:
        InvalidProof: It is neither.
    """
    return parse_inventory(text) if text.startswith(HEADER) else parse_note(text)


@frozen
class Watch:
    """What was seen of a log before it is read, and what shall see its records meanwhile."""

    seen: Position | None = None
    audit: Audit | None = None


@frozen
class Levels:
    """
    What logs are held against.

    Args:
        trust: Whose seals count.
        against: What a log must continue. A signed one must be signed by one of *trust*.
        unsealed_max: More records than that behind the newest seal are a finding.
    """

    trust: Sequence[VerifierKey] = ()
    against: Anchor | None = None
    unsealed_max: int | None = None

    def __attrs_post_init__(self) -> None:
        if isinstance(self.against, Note | Inventory) and not self.trust:
            raise ValueError("what is signed is believed only if a key is trusted")
        if self.unsealed_max is not None and not self.trust:
            raise ValueError("what is not sealed is counted only if a key is trusted")

    async def begin(self, store: Store, session_id: SessionId) -> Watch:
        """
        Return what is to be known before a log is read: what comes later is not held against it.

        Cost: one search over the log's bytes, if a key is trusted.
        """
        seen = await store.seen(session_id)
        if not self.trust:
            return Watch(seen)
        audit = Audit(session_id, await stored_sizes(store, session_id))
        if isinstance(self.against, Note):
            audit.sizes.add(parse_checkpoint(self.against.text).size)
        return Watch(seen, audit)

    async def lift(self, store: Store, report: Report, watch: Watch) -> Report:
        """
        Return *report* of an intact log with the level that it reaches, and what speaks against it.

        Args:
            watch: From `begin`; its audit has seen the log's records.

        Raises:
            InvalidProof: What it is held against is not of its form, not signed by a trusted
                key, or about another session or store.
        """
        head, audit = report.head, watch.audit
        if report.level is None or head is None:
            return report
        found, sealed, unsealed, trust = list[Finding](), None, None, list(self.trust)
        if audit is not None:
            verdict = audit.judge(self.trust)
            sealed, unsealed = verdict.sealed, audit.unsealed(verdict.sealed)
            found += [_finding("bad-seal", head, b.seq, b.why, b.offset) for b in verdict.bad]
            trust += () if verdict.bad else verdict.trust
        anchor = await self._compare(store, head, audit, sealed, trust)
        if anchor is not None and (departure := anchor.departure) is not None:
            seq = min(anchor.size, head.seq + 1) if anchor.common is None else anchor.common
            found.append(_finding(departure, head, seq, anchor.why))
        found += await _compare_memory(store, head, watch.seen)
        level: Level = "INTACT"
        if not found:
            level = "SEALED" if sealed is not None else level
            level = "ANCHORED" if anchor is not None else level
        found += self._unsealed(head, sealed, unsealed)
        return evolve(
            report,
            level=level,
            findings=[*report.findings, *found],
            sealed=sealed,
            unsealed=unsealed,
            anchor=anchor,
        )

    def _unsealed(
        self, head: Position, sealed: Sealed | None, unsealed: int | None
    ) -> Sequence[Finding]:
        if self.unsealed_max is None or unsealed is None or unsealed <= self.unsealed_max:
            return ()
        why = f"{unsealed} records are not sealed, at most {self.unsealed_max} may be"
        return [_finding("unsealed-tail", head, 0 if sealed is None else sealed.size, why)]

    async def _compare(
        self,
        store: Store,
        head: Position,
        audit: Audit | None,
        sealed: Sealed | None,
        trust: Sequence[VerifierKey],
    ) -> Comparison | None:
        if isinstance(self.against, Note):
            checkpoint, _ = open_checkpoint(self.against, trust)
            if checkpoint.session_id != head.session_id:
                raise InvalidProof(f"a checkpoint of session {checkpoint.session_id}")
            assert audit is not None
            return with_checkpoint(audit, checkpoint, sealed)
        if isinstance(self.against, Inventory):
            self.check_inventory(store, trust)
            signed = {one.session_id: one for one in self.against.heads}.get(head.session_id)
            return None if signed is None else await with_head(store, head, signed, sealed)
        return None if self.against is None else await with_store(store, head, self.against)

    def check_inventory(
        self, store: Store, trust: Sequence[VerifierKey] = ()
    ) -> Sequence[Position]:
        """
        Return the signed heads to compare a whole *store* with, none if it is not compared so.

        Raises:
            InvalidProof: They are not signed by a trusted key, or are those of another store.
        """
        if not isinstance(self.against, Inventory):
            return ()
        checkpoint, _ = self.against.open(trust or self.trust)
        of = checkpoint.origin.removeprefix(STORE_ORIGIN).partition("/")[0]
        if of != store.store_id:
            raise InvalidProof(f"the heads of store {of}, not of {store.store_id}")
        return self.against.heads

    async def missing(self, store: Store) -> tuple[Sequence[Report], Sequence[SessionId]]:
        """
        Return reports of the sessions that were seen or signed and are not there any more.

        Also those that were seen and deleted as it should be, to be forgotten.
        """
        found: dict[SessionId, str] = {}
        deleted: list[SessionId] = []
        for signed in self.check_inventory(store):
            if not await _is_there(store, signed.session_id):
                is_deleted = await store.is_deleted(signed.session_id)
                how = "was deleted since" if is_deleted else "is gone, without a tombstone"
                found[signed.session_id] = f"signed with {signed.seq + 1} records, it {how}"
        for seen in () if store.heads is None else store.heads.sessions():
            if seen.session_id in found or await _is_there(store, seen.session_id):
                continue
            if await store.is_deleted(seen.session_id):
                deleted.append(seen.session_id)
                continue
            why = f"seen with {seen.seq + 1} records, it is gone, without a tombstone"
            found[seen.session_id] = why
        return [
            Report(one, None, 0, None, [Finding("lost", one, 1, -1, 0, why)])
            for one, why in found.items()
        ], deleted


def _finding(what: What, head: Position, seq: int, why: str, offset: int = -1) -> Finding:
    return Finding(what, head.session_id, seq + 1, offset, seq, why)


async def _compare_memory(store: Store, head: Position, seen: Position | None) -> Sequence[Finding]:
    if seen is None:
        return ()
    if seen.seq > head.seq:
        why = f"it once ended with seq {seen.seq}, and has gone back to {head.seq}"
        return [_finding("rolled-back", head, head.seq + 1, why)]
    if not await holds(store, seen):
        why = "it is not the record that was seen there"
        return [_finding("rewritten", head, seen.seq, why)]
    return ()


async def _is_there(store: Store, session_id: SessionId) -> bool:
    try:
        await store.head(session_id)
    except NotFound:
        return False
    except (Corrupt, Unsupported):
        return True
    return True
