"""Proofs about one log, made from its newest seals; whoever checks them needs no more of it."""

from collections.abc import Callable, Sequence

from ..chain import Record
from ..checkpoint.keys import VerifierKey
from ..checkpoint.merkle import RangeRoots, Tree, consistency_ranges, inclusion_ranges
from ..checkpoint.note import SESSION_ORIGIN, Checkpoint, Note
from ..checkpoint.proof import ConsistencyProof, InclusionProof
from ..errors import InvalidProof, NotFound
from ..ids import SessionId, parse_session_id
from ..stores.protocol import Store
from .sealing import stored_seals


async def prove(
    store: Store,
    session_id: SessionId,
    seq: int,
    *,
    with_body: bool = False,
    trust: Sequence[VerifierKey] = (),
) -> InclusionProof:
    """
    Return the proof that record *seq* is in the session's own log, by its newest seal.

    Args:
        with_body: Carry the record's whole line, salt and body included, instead of its HEAD;
            of a withheld record there is no more than that.
        trust: Whose seals count; none are all, also those of strangers who may append.

    Raises:
        NotFound: No such session or record, or no such seal covers the record yet.
        InvalidProof: The log is not what the seal signs.
        Corrupt: The log is damaged before its last seal.

    Cost: reads the log up to what is sealed. The proof is O(log n): 2 KB for a million records.
    """
    session_id = parse_session_id(session_id)
    await store.position(session_id, seq)  # Of one that is not there, no seal is missing.
    note, checkpoint = await newest_seal(store, session_id, trust, behind=seq)
    found: list[Record] = []

    def keep(record: Record) -> None:
        if record.seq == seq:
            found.append(record)

    path = await _path(store, checkpoint, inclusion_ranges(seq, checkpoint.size), keep)
    (record,) = found
    # Of a record that a redaction names, the line may still hold the body.
    whole = with_body and record.withheld is None
    return InclusionProof(
        seq, record.line if whole else record.line[: record.head_size], path, note
    )


async def prove_consistency(
    store: Store, session_id: SessionId, old_size: int, *, trust: Sequence[VerifierKey] = ()
) -> ConsistencyProof:
    """
    Return the proof that the newest seal continues the log that had *old_size* records.

    Args:
        trust: Whose seals count; none are all.

    Raises:
        NotFound: No such session, or no seal covers so many records; otherwise as for `prove`.
        ValueError: *old_size* is below 1: every log continues an empty one.
    """
    if old_size < 1:
        raise ValueError("a log of no records is continued by every other")
    session_id = parse_session_id(session_id)
    note, checkpoint = await newest_seal(store, session_id, trust, behind=old_size - 1)
    ranges = consistency_ranges(old_size, checkpoint.size)
    return ConsistencyProof(old_size, await _path(store, checkpoint, ranges), note)


async def newest_seal(
    store: Store, session_id: SessionId, trust: Sequence[VerifierKey] = (), *, behind: int = -1
) -> tuple[Note, Checkpoint]:
    """
    Return the newest seal of a log that covers the record *behind*, by one of *trust* if given.

    Raises:
        NotFound: There is none.
    """
    for seal in reversed(await stored_seals(store, session_id)):
        try:
            note, checkpoint = seal.read()
            if trust and not note.signers(trust):
                continue
        except InvalidProof:
            continue
        is_own = checkpoint.origin == SESSION_ORIGIN + session_id
        if is_own and behind < checkpoint.size <= seal.seq:
            return note, checkpoint
    what = "no seal of these keys" if trust else "no seal"
    what += "" if behind < 0 else f" that covers record {behind}"
    raise NotFound(f"{session_id}: {what}")


async def _path(
    store: Store,
    checkpoint: Checkpoint,
    ranges: Sequence[tuple[int, int]],
    keep: Callable[[Record], None] | None = None,
) -> list[bytes]:
    roots, tree = RangeRoots(ranges), Tree()
    async for batch in store.read(checkpoint.session_id, 0, checkpoint.size):
        for record in batch:
            roots.add(record.hash)
            tree.add(record.hash)
            if keep is not None:
                keep(record)
    if (tree.size, tree.root()) != (checkpoint.size, checkpoint.root):
        why = f"the first {checkpoint.size} records are not those that its newest seal signs"
        raise InvalidProof(f"{checkpoint.session_id}: {why}")
    return roots.roots()
