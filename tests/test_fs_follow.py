"""Following a log while it grows, is redacted, healed, or loses what was given."""

import errno
from os import urandom
from pathlib import Path

import pytest
from fs_tools import born, log_of, note, records, store

from session_store.codec import draft
from session_store.entries import Redaction
from session_store.errors import ChainBroken, DurabilityLost, NotFound
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import OpenFile
from session_store.stores.fs.reader import Follower
from session_store.testing.faults import FaultyMemory, error


def seqs(follower: Follower) -> list[int]:
    return [record.seq for record in follower.more()]


def redaction(core: FsCore, session_id: str, seq: int):
    digest = core.record(session_id, seq).digest.decode()
    return draft(Redaction([{"seq": seq, "digest": digest}], "test"), urandom(16))


def test_each_record_is_given_once_as_it_arrives(tmp_path: Path) -> None:
    """Whole appends only; nothing new is an empty answer; a deleted log is NotFound."""
    core = store(tmp_path)
    session_id = born(core, 1)
    follower = core.follower(session_id, 1)
    assert [1] == seqs(follower)
    assert [] == seqs(follower)
    core.append(session_id, [note(), note()], expected=ANY)
    assert [2, 3] == seqs(follower)
    core.delete(session_id)
    with pytest.raises(NotFound):
        follower.more()


def test_a_record_that_a_redaction_names_is_never_given_out(tmp_path: Path) -> None:
    """Also when both arrive between two looks, with the body still in the file."""
    core = store(tmp_path)
    session_id = born(core)
    follower = core.follower(session_id, 0)
    assert [0] == seqs(follower)
    core.append(session_id, [note("secret")], expected=ANY)
    core.append(session_id, [redaction(core, session_id, 1)], expected=ANY)
    assert b"secret" in log_of(core, session_id).read_bytes()
    bodies = [record.body for record in follower.more()]
    assert None is bodies[0]
    assert 2 == len(bodies)


def test_a_log_much_longer_than_a_batch_is_given_whole(tmp_path: Path) -> None:
    """In pieces, with what is redacted at its end held back from its beginning on."""
    core = store(tmp_path, durability="os")
    session_id = born(core)
    for _ in range(12):
        core.append(session_id, [note("x" * 1_000_000)], expected=ANY)
    core.append(session_id, [redaction(core, session_id, 1)], expected=ANY)
    follower, found = core.follower(session_id, 0), []
    while len(found) < 14:
        batch = follower.more()
        assert len(batch) < 14
        found += batch
    assert list(range(14)) == [record.seq for record in found]
    assert None is found[1].body


class Forgetful(FaultyMemory):
    """Its device lacks what a failed sync should have brought."""

    forgets = False

    def drop_cache(self, file: OpenFile) -> None:
        node = self.node(file)
        if self.forgets:
            node.data[:] = self.on_device(file)


@pytest.mark.parametrize("forgets", [False, True])
def test_a_healed_log_is_followed_where_it_still_holds_what_was_given(forgets: bool) -> None:
    """Another file is in its place: what was given is looked for there first."""
    files = Forgetful()
    files.forgets = forgets
    core = FsCore(files)
    session_id = born(core, 1)
    follower = core.follower(session_id, 0)
    files.plan = lambda call: error(errno.EIO, call) if call.name == "sync_data" else None
    with pytest.raises(DurabilityLost):
        core.append(session_id, [note()], expected=ANY)
    assert [0, 1, 2] == seqs(follower)
    del files.plan
    core.append(session_id, [note()], expected=ANY)
    if forgets:
        with pytest.raises(ChainBroken, match="does not hold this record any more"):
            follower.more()
    else:
        assert [3, 4] == seqs(follower)
    assert "recovery" in [r.kind for r in records(core, session_id)]
