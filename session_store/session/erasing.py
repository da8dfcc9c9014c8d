"""Erasing entries: which ones, what is given instead, and what becomes of copies elsewhere."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TypeAlias

from attrs import define, field, frozen

from ..chain import Record, is_blank
from ..codec import decode_body, encode_body, hashed_entry, typed
from ..entries import HashedEntry, Json, Position, Receipt
from ..errors import InvalidInput, NotErasable, NotFound
from ..ids import SessionId, parse_session_id
from ..stores.protocol import NEVER_ERASED, Store
from ..values import decode
from .copies import Copy, Wanted, find_copies
from .points import Point, resolve

Body: TypeAlias = Mapping[str, Json]
What: TypeAlias = Point | range | Callable[[HashedEntry], bool]
"""
What to erase: one entry, as a `Point`; or entries of the session's own log, as a range of
seqs or a predicate.
"""


@frozen
class Erasure:
    """
    What `erase` has done.

    Attributes:
        erased: Records that are gone, in the log that owned them.
        receipt: Of the redaction there; None if there was nothing left to erase.
        copies: Records of other sessions that hold the same, or a part of it. They are erased
            too only if that was asked for.
        unsearched: Sessions of which damage hides whether they hold copies.
    """

    erased: Sequence[Position]
    receipt: Receipt | None
    copies: Sequence[Position]
    unsearched: Sequence[SessionId]


async def erase(
    store: Store,
    session_id: SessionId,
    what: What,
    *,
    reason: str,
    by: str | None = None,
    replacement: Body | None = None,
    with_copies: bool = False,
    with_trace: bool = False,
) -> Erasure:
    """
    Erase entries for good: salt and body go, every chain holds as before.

    A point may be any record of the session's lineage: it is erased in the log that owns
    it, and so for all forks of that log. Of a range and a predicate, entries that are
    erased already, or never are (redaction, seal, recovery), are passed over.

    Copies (`copy=True`, `flatten`, compaction, `salvage`) of the session and of what descends
    from it are searched for the same bodies, and their first records for the same items. A copy
    that is being made meanwhile is not found. What a state, a cache or a backup holds outside
    the store is not reached, nor what a drive keeps of old blocks.

    Args:
        reason, by: Why, and who wanted it; they stay in the log, so name no secret.
        replacement: The body that is given out instead. That of a session_start keeps its
            format, session_id, forked_from, compacted_from and salvaged_from.
        with_copies: Erase the copies too, before the entries themselves: if something goes
            wrong in between, the same call finds the rest.
        with_trace: The trace's events of the turns in which the entries stand go too; the
            digests that turn_end carries of it do not fit any more.

    Raises:
        NotFound: No such session or entry; nothing in the range, or that the predicate takes.
        NotErasable: The point is a redaction, a seal or a recovery.
        InvalidInput: *replacement* is no body of an entry's kind.
        Corrupt: *with_copies*, and one of them is damaged: `repair` it first, as nothing will
            tell what it holds when the entries are gone. Nothing was done.
        Others as for `Store.erase`.

    Durability: on disk; an interruption behind the promise is finished by the next append.
    Cost: the first record of every session in the store, all of each copy, and of the log
        if *what* is a range or a predicate.
    """
    session_id = parse_session_id(session_id)
    owner, chosen = await _choose(store, session_id, what)
    plan = _Plan(owner, replacement)
    async for record in chosen:
        plan.add(record)
    copies, unsearched = await find_copies(
        store, owner, plan.wanted, plan.given, strict=with_copies
    )
    if with_copies:
        await _erase_copies(store, copies, reason=reason, by=by)
    turns = await _turns(store, plan.targets) if with_trace and plan.targets else set[int]()
    receipt = await plan.carry_out(store, reason=reason, by=by, turns=turns)
    return Erasure(plan.targets, receipt, [copy.position for copy in copies], unsearched)


@define
class _Plan:
    """
    What is to be erased in one log.

    Attributes:
        given: The replacement as a body of each kind that is met.
        replacements: The same by seq.
    """

    _owner: SessionId
    _replacement: Body | None
    targets: list[Position] = field(factory=list, init=False)
    wanted: Wanted = field(factory=Wanted, init=False)
    given: dict[str, Body] = field(factory=dict, init=False)
    replacements: dict[int, Body] = field(factory=dict, init=False)

    def add(self, record: Record) -> None:
        """Take *record* unless it is erased already and nothing else shall be given out."""
        if self._replacement is None and is_blank(record):
            return
        self.targets.append(Position(self._owner, record.seq, record.hash))
        self.wanted.add(record)
        if self._replacement is not None:
            if record.kind not in self.given:
                self.given[record.kind] = _checked(self._owner, record.kind, self._replacement)
            self.replacements[record.seq] = self.given[record.kind]

    async def carry_out(
        self, store: Store, *, reason: str, by: str | None, turns: set[int]
    ) -> Receipt | None:
        """Erase what was taken; return None if that is nothing."""
        if not self.targets:
            return None
        return await store.erase(
            self._owner,
            self.targets,
            reason=reason,
            by=by,
            replacements=self.replacements,
            turns=turns,
        )


async def _choose(
    store: Store, session_id: SessionId, what: What
) -> tuple[SessionId, AsyncIterator[Record]]:
    if isinstance(what, range):
        if what and min(what[0], what[-1]) < 0:
            raise ValueError(f"seqs count from 0; {what} does not")
        return session_id, _some(store, session_id, what)
    if callable(what):
        return session_id, _some(store, session_id, range(1 << 53), what)
    _, at = await resolve(store, session_id, what)
    return at.session_id, _one(store, at)


async def _one(store: Store, at: Position) -> AsyncIterator[Record]:
    record = await store.record(at.session_id, at.seq)
    if record.kind in NEVER_ERASED:
        raise NotErasable(at.session_id, seq=at.seq, kind=record.kind)
    yield record


async def _some(
    store: Store,
    session_id: SessionId,
    seqs: range,
    wants: Callable[[HashedEntry], bool] = lambda _: True,
) -> AsyncIterator[Record]:
    count = 0
    first, last = (min(seqs[0], seqs[-1]), max(seqs[0], seqs[-1])) if seqs else (0, -1)
    async for batch in store.read(session_id, first, last + 1):
        for record in batch:
            if record.seq not in seqs or record.kind in NEVER_ERASED:
                continue
            if wants(hashed_entry(record, session_id, session_id)):
                count += 1
                yield record
    if not count:
        raise NotFound(f"{session_id}: no entry there that can be erased")


def _checked(owner: SessionId, kind: str, replacement: Body) -> Body:
    """Return *replacement* as a body that can be replayed. Raises InvalidInput."""
    body = {**replacement, "session_id": owner} if kind == "session_start" else replacement
    try:
        known = decode(encode_body(typed(kind, body)))
    except (InvalidInput, TypeError) as error:
        why = error.why if isinstance(error, InvalidInput) else str(error)
        raise InvalidInput(f"no body of a {kind}: {why}", source="replacement") from error
    # What a field's absence means is written down; what the class does not know is kept.
    return {**known, **body}


async def _erase_copies(
    store: Store, copies: Sequence[Copy], *, reason: str, by: str | None
) -> None:
    by_session: dict[SessionId, list[Copy]] = {}
    for copy in copies:
        by_session.setdefault(copy.position.session_id, []).append(copy)
    for session_id, held in by_session.items():
        await store.erase(
            session_id,
            [copy.position for copy in held],
            reason=reason,
            by=by,
            replacements={
                copy.position.seq: copy.replacement for copy in held if copy.replacement is not None
            },
        )


async def _turns(store: Store, targets: Sequence[Position]) -> set[int]:
    """Return the turns in which *targets* stand: the one that ends next, or the one that has not ended."""
    session_id, seqs = targets[0].session_id, sorted(t.seq for t in targets)
    turns, done, last = set[int](), 0, 0
    async for batch in store.read(session_id):
        for record in batch:
            body = decode_body(record, session_id) if record.kind == "turn_end" else None
            if body is not None and isinstance(count := body.get("turn_count"), int):
                last = count
                if done < len(seqs) and seqs[done] <= record.seq:
                    turns.add(count)
                while done < len(seqs) and seqs[done] <= record.seq:
                    done += 1
    return turns if done == len(seqs) else {*turns, last + 1}
