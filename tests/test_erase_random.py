"""Random erasures in families of forks, copies, seals and masked copies: all verifies, nothing is left."""

import re
from pathlib import Path
from random import Random

import pytest
from erase_family import RULES, Family
from fs_tools import records

from session_store import blocking
from session_store.checkpoint.note import parse_checkpoint, parse_note
from session_store.checkpoint.proof import parse_inclusion
from session_store.ids import SessionId
from session_store.session import masking
from session_store.session.reports import Report
from session_store.testing.faults import FaultyMemory

ERASURES = 1_000
SEEDS = 4

_TEXT = re.compile(rb'"payload":"([0-9a-f]{32})')


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_thousand_random_erasures_keep_every_verification_true(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forked, copied, sealed, masked, under deaths: no salt, no body, no masked body is left."""
    monkeypatch.setattr(masking, "_GROUP_BYTES", 20_000)  # Copies come in pieces.
    family = Family(Random(seed), tmp_path / "heads.db")
    while family.count < ERASURES // SEEDS:
        family.step()
    assert family.deaths > 10
    for session_id in family.ids:
        family.mask(session_id)  # And perhaps dies in what was the last thing to do.
        blocking.mask_session(family.store, family.replica, session_id, RULES)

    check_reports(family)
    check_proofs(family)
    check_nothing_is_left(family, tmp_path)


def verified(family: Family, store: blocking.Store) -> dict[SessionId, Report]:
    verifier = blocking.Verifier(store, trust=[family.key.verifier])
    reports = {session_id: verifier.verify(session_id) for session_id in family.ids}
    verifier.remember()
    assert [] == verifier.missing()
    return reports


def check_reports(family: Family) -> None:
    """Both stores have the same heads, reach the same levels, and lack the same bodies."""
    kinds = set()
    plain, masked = verified(family, family.store), verified(family, family.replica)
    for session_id, report in plain.items():
        copied = masked[session_id]
        level = "SEALED" if session_id in family.sealed else "INTACT"
        assert (level, level) == (report.level, copied.level)
        assert report.head == copied.head
        assert {"erased"} >= {finding.what for finding in report.findings}
        kinds |= {finding.what for finding in copied.findings}
        assert erased_in(report) == erased_in(copied)
    assert {"erased", "masked"} == kinds
    assert len(family.sealed) > 4


def erased_in(report: Report) -> list[tuple[SessionId, int]]:
    return [(f.session_id, f.seq) for f in report.findings if f.what == "erased"]


def check_proofs(family: Family) -> None:
    """Those made before an erasure hold after it; what is made after it tells no more than the log."""
    trust, store = [family.key.verifier], family.store
    erased_since = 0
    for proof in family.proofs:
        proven = parse_inclusion(proof.text).verify(trust)
        before, now = proof.record, family.core.record(proof.session_id, proof.record.seq)
        place = family.core.position(proof.session_id, now.seq)
        assert (place, now.digest) == (proven.position, proven.record.digest)
        if now.withheld is None or before.withheld is not None:
            continue
        erased_since += 1
        assert proven.record.body in (before.body, None)
        after = blocking.prove(store, proof.session_id, now.seq, with_body=True)
        assert now.line[: now.head_size] == after.extra
        assert (place, None) == (after.verify(trust).position, after.verify(trust).record.body)
    assert erased_since > 10
    for session_id, (first, _) in family.sealed.items():
        old = parse_checkpoint(parse_note(first.note).text)
        continued = blocking.prove_consistency(store, session_id, first.size).verify(old, trust)
        assert continued.size >= old.size


def check_nothing_is_left(family: Family, outside: Path) -> None:
    """Of salts and bodies in both stores and the head memory, nor of masked bodies what was not masked."""
    plain, masked = bytes_of(family.files), bytes_of(family.replica_files)
    kept = b"\0".join(path.read_bytes() for path in outside.iterdir())
    assert kept
    everything = b"\0".join((plain, masked, kept))
    assert [] == [record for record in family.erased if record.salt in everything]
    held = {r.body for i in family.ids for r in records(family.core, i)}  # By copies of their own.
    bodies = [r.body for r in family.erased if r.kind == "extension" and r.body not in held]
    assert len(bodies) > 100
    assert family.nowhere
    # The beginning of a text is in its masked body, too; the end of a copy is told without one.
    found = [(_TEXT.search(body), body) for body in (*bodies, *family.nowhere)]
    wanted = [body if text is None else text[1] for text, body in found]
    assert [] == [one for one in wanted if one in everything]


def bytes_of(files: FaultyMemory) -> bytes:
    with files.frozen_names() as (nodes, _):
        return b"\0".join(bytes(node.data) for node in nodes.values())
