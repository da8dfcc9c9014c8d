"""
What must be true, whatever happened: every append that was tried, and what its maker was told.

Rules of this module:
  * It reads the bytes on the simulated disk itself, and believes no store.
  * A level is held to its word: `os` outlives processes, `disk` the power.
  * Where a failed sync or a loss of power may have taken something, it is no longer asked for.
"""

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from attrs import define, field, frozen

from ...chain import Draft, Record, root_head
from ...entries import MAINTENANCE_KINDS, Durability, EntryHash, Position, Receipt
from ...errors import Corrupt, NotFound, SessionStoreError
from ...ids import SessionId
from ...redacted import find_redactions
from ...scan import Scanner
from .erasures import Erasures
from .scheduler import Violation

Outcome: TypeAlias = Literal["open", "acked", "refused", "unknown"]
Answer: TypeAlias = Literal["no", "maybe", "yes"]


@define(eq=False)
class Append:
    """
    An append that was tried.

    Attributes:
        expected: The record that only maintenance may separate it from; None is any.
        outcome: What its maker knows.
        was_seen: A reader was given it.
    """

    drafts: Sequence[Draft]
    level: Durability
    expected: Position | None = None
    outcome: Outcome = "open"
    was_seen: bool = False


@define(eq=False)
class Session:
    """
    What is known of one session.

    Attributes:
        born, gone: Whether its birth, its deletion has happened.
        deletes: How many are under way.
        appends: By the digest of each draft: the append, and which draft of it.
        required: seq -> hash and whether it is on disk, of what was acknowledged.
        must: Bytes that the log must begin with; up to *disk_end* even without power.
        seen: Hashes in the order of seq, as readers have seen them.
        erasures: What of it was to be erased.
        losses: How often something that was not on disk may have been lost.
        doubts: Who had a failed sync of which no mark tells yet; what others append now may
            stand on sand.
        is_shaken: Readers may be given what a failed sync has lost, until the log is healed.
        has_holes: Unsynced bytes may have survived in another order; damage is then no lie.
    """

    id: SessionId
    parent: Position | None = None
    key: str | None = None
    born: Answer = "no"
    gone: Answer = "no"
    deletes: int = 0
    appends: dict[bytes, tuple[Append, int]] = field(factory=dict)
    required: dict[int, tuple[EntryHash, bool]] = field(factory=dict)
    must: bytes = b""
    disk_end: int = 0
    seen: list[EntryHash] = field(factory=list)
    erasures: Erasures = field(init=False)
    losses: int = 0
    doubts: list[object] = field(factory=list)
    has_holes: bool = False
    is_shaken: bool = False

    def __attrs_post_init__(self) -> None:
        self.erasures = Erasures(self.id)

    def tried(self, append: Append) -> Append:
        for number, draft in enumerate(append.drafts):
            self.appends[draft.digest] = append, number
        return append

    @property
    def is_safe(self) -> bool:
        """Whether it is born and nobody tries to delete it."""
        return self.born == "yes" and self.gone == "no"

    def view(self) -> "View":
        required, erased = dict(self.required), self.erasures.known()
        return View(self.losses, required, len(self.seen), self.born, self.gone, erased)

    def lose_unsynced(self) -> None:
        """Ask no longer for what is not on disk."""
        self.losses += 1
        self.must = self.must[: self.disk_end]
        self.required = {seq: found for seq, found in self.required.items() if found[1]}
        self.seen.clear()
        self.erasures.withheld.clear()
        if self.born == "yes" and not self.disk_end:
            self.born = "maybe"


@frozen
class View:
    """What was known of a session when a reader began."""

    losses: int
    required: dict[int, tuple[EntryHash, bool]]
    seen: int
    born: Answer
    gone: Answer
    erased: frozenset[bytes]


def _holds(session_id: SessionId, data: bytes) -> bool:
    named = find_redactions([data], session_id)
    scanner = Scanner(session_id, root_head(session_id), replacements=named)
    scanner.feed(data)
    try:
        return scanner.finish().state != "torn"
    except SessionStoreError:
        return False


class Model:
    """
    All sessions of a run.

    Args:
        log_bytes: Returns what the file of a log holds in this moment; None if there is none.
        on_device: Returns what would be found of it if the power went now, at the least.
        holding: Returns the files in which these bytes stand.
    """

    def __init__(
        self,
        log_bytes: Callable[[SessionId], bytearray | None],
        on_device: Callable[[SessionId], bytes],
        holding: Callable[[bytes], list[str]],
    ) -> None:
        self.sessions: dict[SessionId, Session] = {}
        self._log_bytes = log_bytes
        self._on_device = on_device
        self._holding = holding

    def add(self, session: Session) -> Session:
        self.sessions[session.id] = session
        return session

    def parent_of(self, session: Session) -> Session | None:
        return None if session.parent is None else self.sessions[session.parent.session_id]

    # -- what was said ------------------------------------------------------------------------

    def acked(
        self, session: Session, append: Append, receipt: Receipt, life: object = None
    ) -> None:
        """Take a receipt at its word that was given in the process *life*."""
        self._check(session.gone != "yes", session, "an append was acknowledged behind a delete")
        said = (receipt.session_id, receipt.level)
        self._check(said == (session.id, append.level), session, f"the receipt says {said}")
        append.outcome = "acked"
        line = self.require(session, receipt.position, life, is_disk=receipt.level == "disk")
        if line is not None:
            is_it = append.drafts[-1].digest in line
            self._check(is_it, session, "the receipt names another record")

    def refused(self, session: Session, append: Append) -> None:
        """Take it that nothing was written; of what was deleted since, nobody will ever know."""
        if session.gone != "no":
            return
        self._check(not append.was_seen, session, "a reader was given what was then refused")
        append.outcome = "refused"

    def born(self, session: Session) -> None:
        session.born = "yes"
        parent = self.parent_of(session)
        if parent is not None:
            assert session.parent is not None
            self._check(parent.gone != "yes", parent, "a fork was born behind the delete of it")
            self.require(parent, session.parent, is_disk=True)
        others = [s for s in self.sessions.values() if s is not session and s.is_safe]
        taken = [s.id for s in others if session.key is not None and s.key == session.key]
        self._check(not taken, session, f"its key {session.key} names {taken}, too")

    def deleted(self, session: Session) -> None:
        session.gone = "yes"
        forks = [s.id for s in self._forks(session) if s.is_safe]
        self._check(not forks, session, f"was deleted under its forks {forks}")

    def asked_to_erase(self, session: Session, digests: Sequence[bytes]) -> None:
        for digest in digests:
            append, number = session.appends[digest]
            session.erasures.asked[digest] = append.drafts[number]

    def erased(
        self, session: Session, digests: Sequence[bytes], receipt: Receipt, life: object
    ) -> None:
        """Take it that nothing is left of *digests*, and nobody is given them any more."""
        self._check(session.gone != "yes", session, "an erasure was acknowledged behind a delete")
        line = self.require(session, receipt.position, life, is_disk=receipt.level == "disk")
        if line is None:
            return
        self._check(b',"kind":"redaction",' in line, session, "the receipt names no redaction")
        session.erasures.done.update(digests)
        session.must = session.erasures.blanked(session.must)
        self.check_bytes(session.id)
        self._check_gone(session, digests)

    def _check_gone(self, session: Session, digests: Sequence[bytes]) -> None:
        left = {path for salt in session.erasures.salts(digests) for path in self._holding(salt)}
        self._check(not left, session, f"what was erased is still in {sorted(left)}")

    def check_erased(self, session: Session) -> None:
        """Look whether everything that a redaction names is blank, in the log and beside it."""
        if session.gone == "no":
            left = session.erasures.unfinished(bytes(self._log_bytes(session.id) or b""))
            self._check(not left, session, f"no append has finished the erasure of {left}")
            self._check_gone(session, list(session.erasures.done))

    def _forks(self, session: Session) -> list[Session]:
        everyone = self.sessions.values()
        return [s for s in everyone if s.parent is not None and s.parent.session_id == session.id]

    def require(
        self, session: Session, position: Position, life: object = None, *, is_disk: bool
    ) -> bytes | None:
        """
        Ask for the log up to a record from here on.

        Returns:
            Its line; None if nothing can be asked for.
        """
        stands_on_sand = any(doubt is not life or not is_disk for doubt in session.doubts)
        if session.gone != "no" or stands_on_sand:
            return None
        data = self._log_bytes(session.id)
        end = b'"%b"}' % position.hash.hex().encode()
        at = -1 if data is None else data.find(end)
        self._check(at >= 0, session, f"{position} was acknowledged and is not in the log")
        assert data is not None
        stop = at + len(end)
        line = bytes(data[data.rfind(b"\n", 0, at) + 1 : stop])
        has_seq = line.startswith(b'{"v":1,"seq":%d,' % position.seq)
        self._check(has_seq, session, f"{position} is another record")
        if session.has_holes and not _holds(session.id, bytes(data[:stop])):
            return None  # Writers look at the end alone: this one stands behind damage.
        if stop > len(session.must):
            session.must = bytes(data[:stop])
        if is_disk:
            is_there = session.erasures.begins(self._on_device(session.id), bytes(data[:stop]))
            self._check(is_there, session, f"{position} was said to be on disk, and is not")
        if is_disk and stop > session.disk_end:
            session.disk_end = stop
            for seq, (known, _) in session.required.items():
                session.required[seq] = known, seq <= position.seq or session.required[seq][1]
        was_disk = session.required.get(position.seq, (None, False))[1]
        session.required[position.seq] = position.hash, is_disk or was_disk
        return line

    # -- what happened ------------------------------------------------------------------------

    def check_bytes(self, session_id: SessionId) -> None:
        """Look whether the log still begins with what was acknowledged."""
        session = self.sessions.get(session_id)
        if session is None or session.gone != "no" or not session.must:
            return
        data = self._log_bytes(session_id)
        holds = data is not None and session.erasures.begins(bytes(data), session.must)
        self._check(holds, session, "the log does not hold what was acknowledged any more")

    def sync_failed(self, session_id: SessionId, life: object) -> None:
        """Take it that the device may not have what was not synced, and that only *life* knows yet."""
        session = self.sessions.get(session_id)
        if session is not None:
            session.lose_unsynced()
            session.doubts.append(life)
            session.has_holes = session.is_shaken = True

    def healing(self, session_id: SessionId) -> None:
        """Take it that what a failed sync has lost is not to be seen any more."""
        session = self.sessions.get(session_id)
        if session is not None and session.is_shaken:
            session.lose_unsynced()

    def power_lost(self, before: Callable[[SessionId], bytearray | None]) -> None:
        """Look whether the device has what was promised; *before* returns what the cache held."""
        for session in self.sessions.values():
            session.lose_unsynced()
            old, new = before(session.id) or b"", self._log_bytes(session.id) or b""
            is_beginning = session.erasures.begins(bytes(old), bytes(new))
            session.has_holes = session.has_holes or not is_beginning
            session.doubts.clear()
            self.check_bytes(session.id)
            if session.gone == "no":
                self._check_gone(session, list(session.erasures.done))

    # -- what readers are given ---------------------------------------------------------------

    def compare(
        self,
        session: Session,
        before: View,
        records: Sequence[Record],
        error: Exception | None = None,
    ) -> None:
        """Hold what a reader was given, from seq 0 on, against what must and may be there."""
        if isinstance(error, NotFound):
            is_lie = before.born == "yes" == session.born and session.gone == "no"
            self._check(not is_lie, session, f"a reader found nothing: {error}")
            return
        if isinstance(error, Corrupt):
            self._check(session.has_holes, session, f"a reader found damage: {error}")
        elif error is None:
            self._check(before.gone != "yes", session, "a reader was given what was deleted")
        self.check_withheld(session, records, before.erased)
        self._check_records(session, records)
        if error is not None and not isinstance(error, Corrupt):
            return
        if session.gone != "no":
            return
        for seq, (known, _) in before.required.items():
            if seq in session.required:
                there = seq < len(records) and records[seq].hash == known
                self._check(there, session, f"a reader misses seq {seq}, which was acknowledged")
        if session.losses == before.losses:
            hashes = [record.hash for record in records]
            fits = all(a == b for a, b in zip(session.seen, hashes, strict=False))
            self._check(fits, session, "readers were given two histories")
            is_shorter = error is None and len(hashes) < before.seen
            self._check(not is_shorter, session, "a reader misses what another one was given")
            session.seen += hashes[len(session.seen) :]

    def check_withheld(
        self, session: Session, records: Sequence[Record], erased: frozenset[bytes]
    ) -> None:
        """Check *records* that were given to a reader who began when *erased* was known to be so."""
        wrong = session.erasures.give(records, erased)
        self._check(not wrong, session, f"a reader was given what is erased: {wrong}")

    def _check_records(self, session: Session, records: Sequence[Record]) -> None:
        seqs = [record.seq for record in records]
        self._check(seqs == list(range(len(seqs))), session, f"a reader was given {seqs}")
        met: set[int] = set()
        at = 0
        while at < len(records):
            at += self.check_append(session, records, at, met)

    def check_append(
        self, session: Session, records: Sequence[Record], at: int, met: set[int]
    ) -> int:
        """Check the append that begins with *records* [*at*]; return of how many records it is."""
        record = records[at]
        found = session.appends.get(record.digest)
        if found is None:
            is_upkeep = record.kind == "recovery" or session.erasures.is_ours(record)
            self._check(is_upkeep, session, f"nobody has appended {record}")
            return 1
        append, number = found
        count = len(append.drafts)
        given = [(r.digest, r.batch) for r in records[at : at + count]]
        wanted = [(d.digest, count - 1 - n) for n, d in enumerate(append.drafts)]
        self._check(number == 0 and given == wanted, session, f"a part of an append at {record}")
        self._check(id(append) not in met, session, f"appended twice: {record}")
        for one, draft in zip(records[at : at + count], append.drafts, strict=True):
            is_it = session.erasures.may_be_given(one, draft)
            self._check(is_it, session, f"a reader was given another body of {one}")
        is_lie = append.outcome == "refused"
        self._check(not is_lie, session, f"a reader was given what was refused: {record}")
        if append.expected is not None and records[0].seq == 0:
            self._check_place(session, append.expected, records, at)
        met.add(id(append))
        append.was_seen = True
        return count

    def _check_place(
        self, session: Session, expected: Position, records: Sequence[Record], at: int
    ) -> None:
        between = records[expected.seq + 1 : at]
        fits = expected.seq < at and records[expected.seq].hash == expected.hash
        fits = fits and all(record.kind in MAINTENANCE_KINDS for record in between)
        self._check(fits, session, f"{records[at]} was made for {expected}")

    def _check(self, holds: bool, session: Session, what: str) -> None:  # noqa: FBT001 - as assert
        if not holds:
            raise Violation(f"{session.id}: {what}")
