"""Masked copies of logs in which something is erased: before they are made, after, and meanwhile."""

from os import urandom

import pytest
from doctor_tools import Soon
from erase_tools import LONG, erase, findings, left_of
from fs_tools import born, note, records
from mask_tools import RULES, TOKEN

from session_store import blocking
from session_store.codec import draft
from session_store.entries import SessionStart
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.face import InlineFace
from session_store.stores.fs import layout
from session_store.stores.fs.core import FsCore
from session_store.testing.faults import FaultyMemory, deaths

WORDS = b"secret secret"


def disk() -> FaultyMemory:
    files = FaultyMemory()
    files.clock = Soon()
    return files


def replica(files: FaultyMemory) -> FsCore:
    return FsCore(files, masked=RULES.version)


def mask(source: FsCore, target: FsCore, session_id: SessionId) -> None:
    stores = [blocking.Store(InlineFace(core)) for core in (source, target)]
    blocking.mask_session(*stores, session_id, RULES)


def with_secrets(core: FsCore) -> SessionId:
    """Return a session of four records; the third is masked in a copy, the fourth is not."""
    session_id = born(core, 1)
    for text in (f"{LONG}{TOKEN}", LONG):
        core.append(session_id, [note(text)], expected=ANY)
    return session_id


def has_words(files: FaultyMemory) -> bool:
    with files.frozen_names() as (nodes, _):
        return any(WORDS in node.data for node in nodes.values())


@pytest.mark.parametrize("seqs", [(2,), (3,), (2, 3)], ids=str)
def test_a_copy_made_again_loses_what_was_erased_since(seqs: tuple[int, ...]) -> None:
    """Masked or not: salt and body go, and the heads agree as before."""
    source, target = FsCore(disk()), replica(disk())
    session_id = with_secrets(source)
    mask(source, target, session_id)
    assert [("masked", 2)] == findings(target, session_id)
    secrets = [source.record(session_id, seq) for seq in seqs]
    erase(source, session_id, *seqs)

    mask(source, target, session_id)

    assert source.head(session_id) == target.head(session_id)
    kept = [("masked", 2)] if seqs == (3,) else []
    assert [*kept, *[("erased", seq) for seq in seqs]] == findings(target, session_id)
    assert [] == left_of(target.files, secrets)
    assert has_words(target.files) == (seqs != (2, 3))


@pytest.mark.parametrize("tear_at", [None, 0, 50])
def test_a_death_in_a_copy_made_again_is_mended_by_the_next_one(tear_at: int | None) -> None:
    """Wherever it dies; also where nothing is left to be copied, and the blanks are."""
    source, first = FsCore(disk()), disk()
    session_id = with_secrets(source)
    mask(source, replica(first), session_id)
    secrets = [source.record(session_id, seq) for seq in (2, 3)]
    erase(source, session_id, 2, 3)
    begun = 0
    for _, dead in deaths(
        first.rebooted, lambda files: mask(source, replica(files), session_id), tear_at=tear_at
    ):
        files = dead.rebooted()
        is_copied = replica(files).head(session_id) == source.head(session_id)
        begun += is_copied and has_words(files)
        mask(source, replica(files), session_id)
        assert [] == left_of(files, secrets)
        assert not has_words(files)
        assert [("erased", 2), ("erased", 3)] == findings(replica(files), session_id)
        assert not files.exists(layout.pending_path(session_id))
    assert begun


def test_a_copy_made_again_is_on_disk_though_it_adds_nothing() -> None:
    """What an earlier one wrote and did not live to sync is synced."""
    source, first = FsCore(disk()), disk()
    session_id = with_secrets(source)
    replica(first)
    for call, dead in deaths(
        first.rebooted, lambda files: mask(source, replica(files), session_id)
    ):
        if call.name != "sync_data":
            continue
        # The page cache outlives the process.
        dead.is_dead, dead.plan = False, FaultyMemory.plan
        mask(source, replica(dead), session_id)
        after = replica(dead.after_power_loss(names_kept=False, share=0))
        assert source.head(session_id) == after.head(session_id)


def test_a_fork_whose_first_record_was_erased_is_copied_in_pieces() -> None:
    """The redaction that says where it was forked comes long behind the first piece."""
    source, target = FsCore(disk()), replica(disk())
    parent = born(source, 1)
    child = new_session_id()
    at = source.head(parent)
    secret = SessionStart(child, system_prompt=f"secret {TOKEN}", forked_from=at.to_json())
    source.create(child, [draft(secret, urandom(16))], parent=at)
    first = source.record(child, 0)
    for _ in range(3):
        source.append(child, [note(urandom(400_000).hex())], expected=ANY)
    erase(source, child, 0)

    mask(source, target, child)

    assert source.head(child) == target.head(child)
    assert [("erased", 0)] == findings(target, child)
    assert [] == left_of(target.files, [first])
    assert records(source, child)[0].body == records(target, child)[0].body
    assert at == target.origin(child).forked_from
