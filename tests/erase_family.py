"""Sessions of one store, forked, copied, sealed and masked at random, and erased from at random."""

from collections.abc import Callable
from os import urandom
from pathlib import Path
from random import Random

from attrs import define, field
from doctor_tools import Soon
from fs_tools import fork, note, records, start

from benches.masking.alphabet import Dice
from benches.masking.families import TOKENS
from session_store import blocking
from session_store.chain import Record
from session_store.checkpoint.audit import Sealed
from session_store.checkpoint.heads import HeadMemory
from session_store.checkpoint.keys import SigningKey
from session_store.codec import draft
from session_store.entries import Position, SessionStart
from session_store.ids import SessionId, new_session_id
from session_store.redaction import default_rules
from session_store.session.sealing import Sealer
from session_store.stores import ANY
from session_store.stores.face import InlineFace
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import Crash, FaultyMemory, Short, at

RULES = default_rules()
_SESSIONS_MAX = 15


def _disk() -> FaultyMemory:
    files = FaultyMemory()
    files.clock = Soon()
    return files


@define
class Proof:
    """A proof as it was handed out, and the record that it is about as it was then."""

    session_id: SessionId
    record: Record
    text: str


@define
class Family:
    """
    Sessions of one store, a masked replica of it, and what was erased in them.

    Attributes:
        heads: The head memory of both stores.
        erased: Salts and bodies that must be nowhere; of copies those of the copies.
        nowhere: Bodies that were erased with their copies.
        sealed: The first seal of each session that has one, and the newest.
    """

    random: Random
    heads: Path
    key: SigningKey = field(factory=lambda: SigningKey.generate("example.org/signer"))
    files: FaultyMemory = field(factory=_disk)
    replica_files: FaultyMemory = field(factory=_disk)
    ids: list[SessionId] = field(factory=list)
    erased: list[Record] = field(factory=list)
    nowhere: list[bytes] = field(factory=list)
    sealed: dict[SessionId, tuple[Sealed, Sealed]] = field(factory=dict)
    proofs: list[Proof] = field(factory=list)
    count: int = 0
    deaths: int = 0

    @property
    def core(self) -> FsCore:
        return FsCore(self.files)

    @property
    def store(self) -> blocking.Store:
        return self._store(self.core)

    @property
    def replica(self) -> blocking.Store:
        return self._store(FsCore(self.replica_files, masked=RULES.version))

    def _store(self, core: FsCore) -> blocking.Store:
        face = InlineFace(core)
        face.heads = HeadMemory(self.heads, core.info.store_id)
        return blocking.Store(face)

    def is_due(self, share: float) -> bool:
        return self.random.random() < share

    def step(self) -> None:
        """Do one thing."""
        room = len(self.ids) < _SESSIONS_MAX
        if not self.ids or (room and self.is_due(0.12)):
            self.new()
        elif room and self.is_due(0.08):
            self.copy()
        elif self.is_due(0.12):
            self.seal()
        elif self.sealed and self.is_due(0.25):
            self.prove()
        elif self.is_due(0.15):
            self.mask(self.random.choice(self.ids))
        elif self.is_due(0.1):
            self.append(self.random.choice(self.ids))
        elif self.is_due(0.1):
            self.erase_with_copies()
        else:
            self.erase()

    def new(self) -> None:
        """Give birth to a session, or fork one by reference."""
        if self.ids and self.is_due(0.5):
            parent = self.core.head(self.random.choice(self.ids))
            at_seq = self.random.randrange(parent.seq + 1)
            session_id = fork(self.core, self.core.position(parent.session_id, at_seq))
        else:
            session_id = new_session_id()
            drafts = start(session_id)
            if self.is_due(0.3):
                prompt = SessionStart(session_id, system_prompt=urandom(40).hex())
                drafts = [draft(prompt, urandom(16))]
            self.core.create(session_id, drafts)
        self.ids.append(session_id)
        self.append(session_id)

    def copy(self) -> None:
        """Copies hold what has not been erased yet, under salts of their own."""
        self.ids.append(blocking.flatten(self.store, self.random.choice(self.ids)).id)

    def append(self, session_id: SessionId) -> None:
        for _ in range(self.random.randrange(1, 5)):
            drafts = [note(self.text()) for _ in range(self.random.randrange(1, 4))]
            self.core.append(session_id, drafts, expected=ANY)

    def text(self) -> str:
        """Return a text like no other; in every third a secret is to be masked."""
        text = urandom(self.random.choice((16, 300, 9_000))).hex()
        if self.is_due(0.3):
            dice = Dice(self.random.randrange(1 << 30))
            return f"{text} {TOKENS['github classic'](dice)} {urandom(16).hex()}"
        return text

    def survived(
        self, disk: str, calls: int, work: Callable[[], object], share: float = 0.3
    ) -> bool:
        """Do *work*, sometimes dying in one of its first *calls* to a disk; return whether it was done."""
        files: FaultyMemory = getattr(self, disk)
        if self.is_due(share):
            number = len(files.calls) + self.random.randrange(calls)
            torn = Short(self.random.choice((99, 5_000, 15_000)), Crash())
            files.plan = at(number, self.random.choice((Crash(), torn, torn)))
        try:
            work()
        except Crash:
            after = files.rebooted()
            after.clock = Soon()
            setattr(self, disk, after)
            self.deaths += 1
            return False
        files.plan = lambda _: None
        return True

    def erase(self) -> None:
        """Erase a few records of a session, sometimes dying in between, or behind a copy of it."""
        session_id = self.random.choice(self.ids)
        there = [
            r
            for r in records(self.core, session_id)
            if r.kind in ("extension", "session_start") and r.withheld is None
        ]
        if not there:
            self.append(session_id)
            return
        chosen = self.random.sample(there, min(len(there), self.random.randrange(1, 4)))
        targets = [Position(session_id, r.seq, r.hash) for r in chosen]
        replaced = {
            r.seq: {"domain": "test", "payload": "gone"}
            for r in chosen
            if r.kind == "extension" and self.is_due(0.3)
        }

        def work() -> None:
            core.erase(session_id, targets, reason="asked for", replacements=replaced)

        core = self.core
        if not self.survived("files", 14, work):
            core = self.core
            work()
        self.erased += chosen
        self.count += len(chosen)

    def erase_with_copies(self) -> None:
        session_id = self.random.choice(self.ids)
        there = [
            r
            for r in records(self.core, session_id)
            if r.kind == "extension" and r.withheld is None and b"copy_end" not in r.body
        ]
        if there:
            secret = self.random.choice(there)
            blocking.erase(self.store, session_id, secret.seq, reason="x", with_copies=True)
            self.erased.append(secret)
            self.count += 1
            if not self.is_copy(session_id):
                self.nowhere.append(secret.body)

    def is_copy(self, session_id: SessionId) -> bool:
        """Return whether the session may hold what another one, its source, still has."""
        found = self.core.origin(session_id)
        return found.forked_from is not None and not found.by_reference

    def seal(self) -> None:
        """Seal a session, by a call or behind what is appended to it; dying is tried again."""
        session_id = self.random.choice(self.ids)
        done = self.is_due(0.5) and self.survived("files", 8, self.sealing(session_id))
        if not done:
            blocking.seal(self.store, session_id, self.key)
        sealed = blocking.seal(self.store, session_id, self.key)
        first, _ = self.sealed.get(session_id, (sealed, None))
        self.sealed[session_id] = first, sealed

    def sealing(self, session_id: SessionId) -> Callable[[], None]:
        session = blocking.open_session(self.store, session_id)
        session.seal_with(Sealer(self.key, every=self.random.randrange(1, 4)))

        def work() -> None:
            for _ in range(self.random.randrange(1, 4)):
                session.save_extension("test", self.text())
            session.close()

        return work

    def prove(self) -> None:
        """Have a proof of a record that is sealed, rarely of one that is erased; with its body or not."""
        session_id = self.random.choice(list(self.sealed))
        sealed = records(self.core, session_id)[: self.sealed[session_id][1].size]
        there = [r for r in sealed if r.kind == "extension" and r.withheld is None]
        record = self.random.choice(sealed if self.is_due(0.2) or not there else there)
        proof = blocking.prove(self.store, session_id, record.seq, with_body=self.is_due(0.3))
        self.proofs.append(Proof(session_id, record, str(proof)))

    def mask(self, session_id: SessionId) -> None:
        """Copy a session and what it lives on to the replica; what dies there is not tried again."""
        source, target = self.store, self.replica

        def work() -> None:
            blocking.mask_session(source, target, session_id, RULES)

        self.survived("replica_files", 12, work, share=0.7)
