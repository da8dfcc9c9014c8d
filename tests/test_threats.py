"""The threat table of docs/SECURITY.md: what finds each attack, and what does not."""

import random
import re
from pathlib import Path

import pytest
import threat_scene as attacks
from attrs import frozen
from blake3 import blake3
from seal_tools import grow, new_key, sealed_session
from threat_scene import KEY, TRUST, Attack, Scene, set_scene
from verdicts import DOCS

import session_store as ss
from session_store import blocking, chain
from session_store.checkpoint import merkle

LEVELS = ("INTACT", "SEALED", "ANCHORED")


@frozen
class Threat:
    """An attack, the levels at which it is found, and how often it is tried, each time differently."""

    attack: Attack
    found_at: tuple[str, ...]
    trials: int = 1
    whose: str = "victim"


ALL, SIGNED, KEPT, NONE = LEVELS, LEVELS[1:], LEVELS[2:], ()

THREATS = {
    "T1": Threat(attacks.flip_a_bit, ALL, 200),
    "T2": Threat(attacks.edit_and_fix_the_digest, ALL, 200),
    "T3": Threat(attacks.rewrite, SIGNED, 200),
    "T3 behind the last seal": Threat(attacks.rewrite_behind_the_seals, KEPT, 200),
    "T4": Threat(attacks.harm_the_middle, ALL, 200),
    "T5": Threat(attacks.cut_between_the_seals, KEPT, 200),
    "T5 behind the last seal": Threat(attacks.cut_behind_the_last_seal, KEPT, 2),
    "T6": Threat(attacks.delete_the_session, KEPT, whose="all"),
    "T7": Threat(attacks.put_an_older_copy_back, KEPT, 200),
    "T8": Threat(attacks.go_on_differently, KEPT, 200),
    "T9": Threat(attacks.splice, ALL, 200),
    "T10": Threat(attacks.rename, ALL),
    "T11": Threat(attacks.change_what_a_fork_stands_on, ALL, 200, whose="child"),
    "T12": Threat(attacks.strip_a_body, ALL, 200),
    "T13": Threat(attacks.append_a_redaction, NONE, 20),
    "T13 before a seal": Threat(attacks.redate_a_redaction, SIGNED, 20),
    "T15": Threat(attacks.alter_a_replacement, ALL),
    "T16": Threat(attacks.steal_the_key, KEPT),
    "T16 after a hand-over": Threat(attacks.steal_the_next_key, SIGNED),
    "T17": Threat(attacks.raise_the_version, ALL),
    "T17 without its seals": Threat(attacks.cut_before_the_seals, SIGNED, 2),
    "T18": Threat(attacks.take_the_name, SIGNED),
    "T19": Threat(attacks.backdate, NONE),
    "T20": Threat(attacks.lie, NONE),
    "T21": Threat(attacks.rewrite, SIGNED),
    "T23": Threat(attacks.replay_a_seal, SIGNED),
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return set_scene(tmp_path_factory.mktemp("threats"))


def is_found(scene: Scene, level: str, whose: str) -> bool:
    """Return whether verifying at *level* says that something is wrong."""
    heads = scene.heads if level == "ANCHORED" else None
    trust = [] if level == "INTACT" else TRUST
    with blocking.open_store(scene.root) as store:
        verifier = blocking.Verifier(store, trust=trust, against=heads)
        if whose == "all":
            wanted = [i.session_id for i in blocking.sessions(store) if i.session_id != scene.child]
        else:
            wanted = [getattr(scene, whose)]
        # The fork has no seal of its own: what it stands on is what counts.
        least = "INTACT" if (whose, level) == ("child", "SEALED") else level
        if any(is_wrong(verifier, one, least) for one in wanted):
            return True
        return bool(heads and whose == "all" and verifier.missing())


def is_wrong(verifier: blocking.Verifier, session_id: ss.SessionId, least: str) -> bool:
    try:
        report = verifier.verify(session_id)
    except (ss.NotFound, ss.Unsupported):
        return True
    is_reached = report.level in LEVELS[LEVELS.index(least) :]
    return bool(report.problems) or not is_reached


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", THREATS)
def test_an_attack_is_found_where_the_table_says(scene: Scene, name: str, level: str) -> None:
    """And, asserted just the same, not found where it says that."""
    threat, at = THREATS[name], random.Random(f"{name} {level}")
    for _ in range(threat.trials):
        scene.reset()
        threat.attack(scene, at)
        assert (level in threat.found_at) == is_found(scene, level, threat.whose)


@pytest.mark.parametrize("level", LEVELS)
def test_what_nobody_attacked_is_not_found(scene: Scene, level: str) -> None:
    """Or the table above would say nothing."""
    scene.reset()

    assert not is_found(scene, level, "all")


def test_an_erased_body_cannot_be_guessed(scene: Scene) -> None:
    """With its salt any short body is guessed at once; the salt goes with the body."""
    scene.reset()
    lines = scene.lines(scene.victim)
    record = chain.check_line(lines[3][:-1], scene.victim)
    guesses = [b'{"domain":"tests","payload":{"seq":%d}}' % n for n in range(10)]
    assert record.salt is not None
    assert record.digest in [chain.body_digest(record.salt, guess) for guess in guesses]
    attacks.erase(scene, 3)

    left = scene.path(scene.victim).read_bytes()
    assert record.salt not in left
    assert guesses[3] not in left
    assert record.digest in left  # a commitment to 128 random bits that are gone


def test_hashes_of_one_role_are_not_those_of_another() -> None:
    """Keys differ by role, what is joined has a fixed width, and no length can be extended."""
    keys = [chain._GENESIS, chain._FORK, chain.BODY_KEY, chain.RECORD_KEY, chain._MASK]
    message, more = b"m" * 32, b"n"

    assert len(keys) == len(set(keys))
    assert len(keys) == len({blake3(message, key=key).digest() for key in keys})
    assert merkle.leaf_hash(message * 2) != merkle.node_hash(message, message)
    extended = blake3(blake3(message, key=keys[0]).digest() + more, key=keys[0])
    assert blake3(message + more, key=keys[0]).digest() != extended.digest()
    forked = ss.Position(ss.new_session_id(), 1, ss.EntryHash(message))
    other = ss.Position(forked.session_id, 256, ss.EntryHash(message))
    child = ss.new_session_id()
    assert chain.fork_head(child, forked).hash != chain.fork_head(child, other).hash


async def test_two_continuations_are_found_by_those_who_compare(
    tmp_path: Path, store: ss.Store
) -> None:
    """Each holds, and each is sealed; held against the other, they part at a record."""
    session = await sealed_session(store, KEY)
    async with await ss.open_store("memory:") as shown:
        data = b"".join([chunk async for chunk in store.raw(session.id)])
        await shown.append_lines(session.id, data)
        for one in (store, shown):
            await grow(await ss.open_session(one, session.id), 3)
            await ss.seal(one, session.id, KEY)
            report = await ss.verify(one, session.id, trust=TRUST)
            assert ("SEALED", []) == (report.level, report.problems)

        report = await ss.verify(store, session.id, trust=TRUST, against=shown)
    assert report.anchor is not None
    assert ("INTACT", "forked", 12) == (report.level, report.anchor.relation, report.anchor.common)


async def test_a_stale_copy_is_found_by_what_was_seen(tmp_path: Path) -> None:
    """A remote that shows an older state shows nothing wrong; the memory of its reader does."""
    remote, stale = tmp_path / "remote", tmp_path / "stale"
    async with await ss.open_store(remote) as store:
        session = await sealed_session(store, KEY)
        lines = [chunk async for chunk in store.raw(session.id)]
        await grow(session, 2)
        newer = await store.head(session.id)
    async with await ss.open_store(stale) as store:
        await store.append_lines(session.id, b"".join(lines))
        report = await ss.verify(store, session.id, trust=TRUST)
        assert ("SEALED", []) == (report.level, report.problems)
        store.heads = ss.HeadMemory(tmp_path / "heads.db", store.store_id)
        store.heads.remember([newer])

        report = await ss.verify(store, session.id, trust=TRUST)
    assert ("INTACT", ["rolled-back"]) == (report.level, [f.what for f in report.problems])


async def test_a_foreign_seal_lifts_nothing(store: ss.Store) -> None:
    """Whoever trusts nobody knows nothing of seals; an unknown key's are passed over."""
    session = await sealed_session(store, new_key("example.org/stranger"))

    report = await ss.verify(store, session.id, trust=TRUST)
    assert ("INTACT", None, []) == (report.level, report.sealed, report.problems)


PAGE = (DOCS / "SECURITY.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| T\d", line)
]


def test_the_table_has_every_threat_and_says_what_the_tests_say() -> None:
    """Row by row: yes where it is found, no where it is not."""
    said = {row[0]: tuple(row[2:5]) for row in ROWS if row[0] in THREATS}
    shown = {
        name: tuple("yes" if level in threat.found_at else "no" for level in LEVELS)
        for name, threat in THREATS.items()
    }

    assert shown == said
    numbers = {int(re.sub(r"T(\d+).*", r"\1", row[0])) for row in ROWS}
    assert set(range(1, 25)) == numbers


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_test_of_a_threat_exists(row: list[str]) -> None:
    """Each row names it."""
    file, _, name = row[-1].strip("`").partition("::")
    text = (DOCS.parent / "tests" / file).read_text("utf-8")

    assert re.search(rf"def {name}\(", text), row
