"""A store with seals and anchors, and everybody who may write to its files."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from attrs import define, field
from seal_tools import drafts_of, rewritten
from session_tools import log_path

import session_store as ss
from session_store import blocking
from session_store.chain import Draft, check_line, make_draft
from session_store.checkpoint.merkle import Tree
from session_store.checkpoint.note import session_checkpoint, sign_note
from session_store.codec import draft
from session_store.testing.story import Story, erased_body

KEY = ss.SigningKey.generate("example.org/signer")
TRUST = [KEY.verifier]

SEALS = 6, 12
"""Where the seals of a victim stand; two records follow the last one."""


@define
class Scene:
    """
    A store with two sessions and a fork of the first, and copies of their heads elsewhere.

    Attributes:
        victim, other: 15 records each, seals at 6 and 12.
        child: A fork by reference of the victim at seq 4.
    """

    root: Path
    victim: ss.SessionId
    other: ss.SessionId
    child: ss.SessionId
    heads: ss.Inventory
    saved: dict[Path, bytes] = field(factory=dict)

    def reset(self) -> None:
        """Undo every attack."""
        for path in self.root.rglob("*.jsonl"):
            if path not in self.saved:
                path.unlink()
        for path, data in self.saved.items():
            if not path.exists() or path.read_bytes() != data:
                overwrite(path, data)

    def path(self, session_id: ss.SessionId) -> Path:
        return log_path(self.root, session_id)

    def lines(self, session_id: ss.SessionId) -> list[bytes]:
        return self.path(session_id).read_bytes().splitlines(keepends=True)

    def put(self, lines: list[bytes], session_id: ss.SessionId | None = None) -> None:
        overwrite(self.path(session_id or self.victim), b"".join(lines))

    def relink(self, seq: int, drafts: list[Draft]) -> None:
        """Put *drafts* from *seq* on, all hashes made anew."""
        self.put(rewritten(self.victim, self.lines(self.victim)[:seq], drafts))

    def drafts(self) -> list[Draft]:
        return drafts_of(self.victim, self.lines(self.victim))


def overwrite(path: Path, data: bytes) -> None:
    """Write in place: a file that is emptied or unlinked first makes file systems wait for the device."""
    with open(path, "r+b" if path.exists() else "wb") as file:
        file.write(data)
        file.truncate()


def set_scene(root: Path) -> Scene:
    with blocking.open_store(root / "store") as store:
        sessions = [blocking.create_session(store) for _ in range(2)]
        for session in sessions:
            for seq in range(1, 15):
                if seq in SEALS:
                    blocking.seal(store, session.id, KEY)
                else:
                    session.save_extension("tests", {"seq": seq})
        victim, other = (session.id for session in sessions)
        child = blocking.fork_at(store, victim, 4).id
        scene = Scene(root / "store", victim, other, child, blocking.sign_store(store, KEY))
    scene.saved = {path: path.read_bytes() for path in scene.root.rglob("*.jsonl")}
    shutil.copytree(scene.root, root / "replica")
    return scene


def note(text: str) -> Draft:
    return draft(ss.Extension("tests", text), bytes(16))


def flip_a_bit(scene: Scene, at: random.Random) -> None:
    data = bytearray(scene.path(scene.victim).read_bytes())
    data[at.randrange(len(data))] ^= 1 << at.randrange(8)
    overwrite(scene.path(scene.victim), data)


def edit_and_fix_the_digest(scene: Scene, at: random.Random) -> None:
    lines, seq = scene.lines(scene.victim), at.randrange(1, 15)
    story = Story(scene.victim, lines=scene.lines(scene.victim))
    old, new = story.record(seq), note("forged")
    line = lines[seq].replace(old.digest, new.digest)
    start, end = line.index(b',"salt"'), len(line) - 76
    body = b',"salt":"%b","body":%b' % (new.salt, new.body)
    scene.put([*lines[:seq], line[:start] + body + line[end:], *lines[seq + 1 :]])


def rewrite(scene: Scene, at: random.Random, *, first: int = 1, last: int = 11) -> None:
    drafts = scene.drafts()
    seq = at.choice([n for n in range(first, last + 1) if n not in SEALS])
    drafts[seq] = note(f"forged {at.random()}")
    scene.relink(seq, drafts[seq:])


def rewrite_behind_the_seals(scene: Scene, at: random.Random) -> None:
    rewrite(scene, at, first=13, last=14)


def harm_the_middle(scene: Scene, at: random.Random) -> None:
    lines = scene.lines(scene.victim)
    seq, two = at.sample(range(1, 14), 2)
    how = at.randrange(4)
    if how == 0:
        del lines[seq]
    elif how == 1:
        lines[seq], lines[two] = lines[two], lines[seq]
    elif how == 2:
        lines.insert(two, lines[seq])
    else:
        lines.insert(seq, lines[two].replace(b'"ts":', b'"ts":1'))
    scene.put(lines)


def cut_behind_the_last_seal(scene: Scene, at: random.Random) -> None:
    scene.put(scene.lines(scene.victim)[: at.choice([13, 14])])


def cut_between_the_seals(scene: Scene, at: random.Random) -> None:
    scene.put(scene.lines(scene.victim)[: at.randrange(7, 13)])


def cut_before_the_seals(scene: Scene, at: random.Random) -> None:
    scene.put(scene.lines(scene.victim)[: at.randrange(5, 7)])


def delete_the_session(scene: Scene, at: random.Random) -> None:
    scene.path(scene.other).unlink()


def put_an_older_copy_back(scene: Scene, at: random.Random) -> None:
    scene.put(scene.lines(scene.victim)[: at.choice([7, 10, 13])])


def go_on_differently(scene: Scene, at: random.Random) -> None:
    seq = at.randrange(7, 12)
    lines = scene.lines(scene.victim)[:seq]
    more = [note(str(at.random())) for _ in range(at.randrange(20))]
    scene.put(rewritten(scene.victim, lines, more))


def splice(scene: Scene, at: random.Random) -> None:
    lines, seq = scene.lines(scene.victim), at.randrange(1, 15)
    lines[seq] = scene.lines(scene.other)[seq]
    scene.put(lines)


def rename(scene: Scene, at: random.Random) -> None:
    scene.path(scene.victim).write_bytes(scene.path(scene.other).read_bytes())


def change_what_a_fork_stands_on(scene: Scene, at: random.Random) -> None:
    rewrite(scene, at, first=1, last=4)


def strip_a_body(scene: Scene, at: random.Random) -> None:
    lines = scene.lines(scene.victim)
    blank(lines, at.choice([n for n in range(1, 15) if n not in SEALS]))
    scene.put(lines)


def blank(lines: list[bytes], seq: int) -> None:
    line = lines[seq]
    start, end = line.index(b',"salt"'), len(line) - 76
    lines[seq] = line[:start] + erased_body(end - start) + line[end:]


def redaction_of(scene: Scene, seq: int) -> Draft:
    target = Story(scene.victim, lines=scene.lines(scene.victim)).target(seq)
    return draft(ss.Redaction([target], "asked for", by="an officer"), bytes(16))


def append_a_redaction(scene: Scene, at: random.Random) -> None:
    erase(scene, at.choice([n for n in range(1, 15) if n not in SEALS]))


def erase(scene: Scene, seq: int, **more: object) -> None:
    with blocking.open_store(scene.root) as store:
        blocking.erase(store, scene.victim, seq, reason="asked for", by="an officer", **more)


def redate_a_redaction(scene: Scene, at: random.Random) -> None:
    drafts, seq = scene.drafts(), at.randrange(1, 4)
    lines = rewritten(
        scene.victim, scene.lines(scene.victim)[:5], [redaction_of(scene, seq), *drafts[5:]]
    )
    blank(lines, seq)
    scene.put(lines)


def alter_a_replacement(scene: Scene, at: random.Random) -> None:
    erase(scene, 3, replacement={"domain": "tests", "payload": "told"})
    lines = scene.lines(scene.victim)
    scene.put([*lines[:-1], lines[-1].replace(b'"told"', b'"lied"')])


def rewrite_and_seal(scene: Scene, key: ss.SigningKey) -> None:
    """Make the whole log anew, with seals of *key* that hold."""
    drafts = scene.drafts()
    drafts[2] = note("forged")
    lines: list[bytes] = []
    for seq, one in enumerate(drafts):
        made = one
        if seq in SEALS:
            made = draft(ss.Seal(_seal_text(scene.victim, lines, key)), bytes(16))
        lines = rewritten(scene.victim, lines, [made])
    scene.put(lines)


def _seal_text(session_id: ss.SessionId, lines: list[bytes], key: ss.SigningKey) -> str:
    tree = Tree()
    for line in lines:
        tree.add(check_line(line[:-1], session_id).hash)
    return str(sign_note(session_checkpoint(session_id, tree.size, tree.root()).text(), key))


def steal_the_key(scene: Scene, at: random.Random) -> None:
    rewrite_and_seal(scene, KEY)


def take_the_name(scene: Scene, at: random.Random) -> None:
    rewrite_and_seal(scene, ss.SigningKey.from_seed(KEY.name, at.randbytes(32)))


def steal_the_next_key(scene: Scene, at: random.Random) -> None:
    """The key was handed over, the old one deleted; the thief has the new one."""
    new = ss.SigningKey.from_seed("example.org/next", at.randbytes(32))
    with blocking.open_store(scene.root) as store:
        blocking.seal(store, scene.victim, KEY, successor=new)
    rewrite_and_seal(scene, new)


def raise_the_version(scene: Scene, at: random.Random) -> None:
    lines = scene.lines(scene.victim)
    scene.put([line.replace(b'{"v":1', b'{"v":2') for line in lines])


def backdate(scene: Scene, at: random.Random) -> None:
    with blocking.open_store(scene.root) as store:
        session = blocking.open_session(store, scene.victim)
        body = draft(ss.Extension("tests", "late"), at.randbytes(16))
        store.append(session.id, [body._replace(ts=1)], expected=session.head)
        blocking.seal(store, scene.victim, KEY)


def lie(scene: Scene, at: random.Random) -> None:
    with blocking.open_store(scene.root) as store:
        session = blocking.open_session(store, scene.victim)
        session.save_delta([{"role": "assistant", "content": "I have deleted nothing."}])
        blocking.seal(store, scene.victim, KEY)


def replay_a_seal(scene: Scene, at: random.Random) -> None:
    stolen = Story(scene.other, lines=scene.lines(scene.other)).record(12).body
    assert stolen is not None
    lines = scene.lines(scene.victim)[:5]
    pasted = make_draft("seal", stolen, bytes(16))
    scene.put(rewritten(scene.victim, lines, [*[note(str(n)) for n in range(8)], pasted]))


Attack = Callable[[Scene, random.Random], None]
