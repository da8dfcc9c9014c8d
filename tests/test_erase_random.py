"""Random erasures in families of forks and copies: everything verifies, and nothing is left."""

from os import urandom
from random import Random

import pytest
from attrs import define, field
from doctor_tools import Soon
from erase_tools import verified
from fs_tools import fork, note, records, start

from session_store import blocking
from session_store.chain import Record
from session_store.codec import draft
from session_store.entries import Position, SessionStart
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.face import InlineFace
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import Crash, FaultyMemory, Short, at

ERASURES = 1_000
SEEDS = 4


@define
class Family:
    """
    Sessions of one store, and what was erased in them.

    Attributes:
        erased: Salts and bodies that must be nowhere; of copies those of the copies.
        nowhere: Bodies that were erased with their copies.
    """

    random: Random
    files: FaultyMemory = field(factory=FaultyMemory)
    ids: list[SessionId] = field(factory=list)
    erased: list[Record] = field(factory=list)
    nowhere: list[bytes] = field(factory=list)
    count: int = 0

    @property
    def core(self) -> FsCore:
        return FsCore(self.files)

    def new(self) -> None:
        session_id = new_session_id()
        kind = self.random.random()
        if kind < 0.5 or not self.ids:
            drafts = start(session_id)
            if self.random.random() < 0.3:
                prompt = SessionStart(session_id, system_prompt=urandom(40).hex())
                drafts = [draft(prompt, urandom(16))]
            self.core.create(session_id, drafts)
        else:
            parent = self.core.head(self.random.choice(self.ids))
            at_seq = self.random.randrange(parent.seq + 1)
            session_id = fork(self.core, self.core.position(parent.session_id, at_seq))
        self.ids.append(session_id)
        self.append(session_id)

    def append(self, session_id: SessionId) -> None:
        for _ in range(self.random.randrange(1, 5)):
            sizes = [
                self.random.choice((8, 300, 9_000)) for _ in range(self.random.randrange(1, 4))
            ]
            drafts = [note(urandom(size).hex()) for size in sizes]
            self.core.append(session_id, drafts, expected=ANY)

    def erase(self) -> None:
        """Erase a few records of a session, sometimes dying in between, or behind a copy of it."""
        session_id = self.random.choice(self.ids)
        core = self.core
        there = [
            r
            for r in records(core, session_id)
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
            if r.kind == "extension" and self.random.random() < 0.3
        }
        if self.random.random() < 0.3:
            number = len(self.files.calls) + self.random.randrange(14)
            self.files.plan = at(number, self.random.choice((Crash(), Short(99, Crash()))))
        try:
            core.erase(session_id, targets, reason="asked for", replacements=replaced)
        except Crash:
            self.files = self.files.rebooted()
            self.files.clock = Soon()
            self.core.erase(session_id, targets, reason="asked again", replacements=replaced)
        self.files.plan = lambda _: None
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
            store = blocking.Store(InlineFace(self.core))
            secret = self.random.choice(there)
            blocking.erase(store, session_id, secret.seq, reason="asked for", with_copies=True)
            self.erased.append(secret)
            self.count += 1
            if not self.is_copy(session_id):
                self.nowhere.append(secret.body)

    def is_copy(self, session_id: SessionId) -> bool:
        """Return whether the session may hold what another one, its source, still has."""
        found = self.core.origin(session_id)
        return found.forked_from is not None and not found.by_reference

    def copy(self) -> None:
        """Copies hold what has not been erased yet, under salts of their own."""
        store = blocking.Store(InlineFace(self.core))
        self.ids.append(blocking.flatten(store, self.random.choice(self.ids)).id)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_thousand_random_erasures_keep_every_verification_true(seed: int) -> None:
    """In roots, forks, forks of forks and copies; under deaths; no byte of salt or body is left."""
    family = Family(Random(seed))
    family.files.clock = Soon()
    while family.count < ERASURES // SEEDS:
        if family.random.random() < 0.15 and len(family.ids) < 12:
            family.new()
        elif family.random.random() < 0.1 and family.ids and len(family.ids) < 15:
            family.copy()
        elif family.ids and family.random.random() < 0.1:
            family.erase_with_copies()
        elif family.ids:
            family.erase()
    core = family.core
    for session_id in family.ids:
        report = verified(core, session_id)
        assert "INTACT" == report.level
        assert {"erased"} >= {finding.what for finding in report.findings}
    with family.files.frozen_names() as (nodes, _):
        everything = b"\0".join(bytes(node.data) for node in nodes.values())
    assert [] == [record for record in family.erased if record.salt in everything]
    held = {r.body for i in family.ids for r in records(core, i)}  # By copies of their own.
    bodies = [r.body for r in family.erased if r.kind == "extension" and r.body not in held]
    assert [] == [body for body in bodies if body in everything]
    assert len(bodies) > 100
    assert [] == [body for body in family.nowhere if body in everything]
    assert family.nowhere
