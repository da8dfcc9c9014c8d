"""Random small families of logs, harmed at random: for holding two readers against each other."""

import random
from collections.abc import Callable

from attrs import define

from session_store.entries import Position, Redaction, SessionStart
from session_store.ids import SessionId
from session_store.testing.story import MASKED, Story
from session_store.values import encode

KINDS = (
    "user_input",
    "turn_end",
    "extension",
    "future",
    "redaction",
    "labels_changed",
    "a",
    "z.-_9",
)
BODIES = (
    b"{}",
    b'{"items":[]}',
    b'{"turn_count":1}',
    b'{"targets":[],"reason":"x"}',
    b'{"a":{"$ss":["float","nan"]}}',
    b'{"a":"\\u2028\xe2\x80\xa8"}',
)
HOSTILE = (
    b"{nonsense}",
    b"{}{}",
    b'{"a":NaN}',
    b'{"a":1e999}',
    b'{"a":' + b"9" * 400 + b"}",
    b'{"a":"\\ud800"}',
    b'{"a":"\xff"}',
    b'{"targets":{"$ss":["dict",[]]}}',
    b'{"targets":7,"targets":[]}',
    b'{"a":' * 200 + b"0" + b"}" * 200,
    b'{"a":' * 201 + b"0" + b"}" * 201,
)


@define
class Family:
    """Logs by file name, and how they shall be looked at."""

    logs: dict[str, bytes]
    allow_masked: bool
    parse: bool
    about: str


def random_family(seed: int) -> Family:
    """Return the family of *seed*: one to three logs, forks of each other, perhaps harmed."""
    rng = random.Random(seed)
    stories: list[Story] = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        stories.append(_story(rng, stories))
    for story in stories:
        _withhold(rng, story)
    logs = {story.file: story.data for story in stories}
    about = f"seed {seed}"
    if rng.random() < 0.6:
        file = rng.choice(sorted(logs))
        name = rng.choice(sorted(HARMS))
        logs[file] = HARMS[name](rng, logs[file])
        about += f", {name} in {file}"
    if rng.random() < 0.05:
        del logs[rng.choice(sorted(logs))]
    return Family(logs, rng.random() < 0.5, rng.random() < 0.3, about)


def _story(rng: random.Random, others: list[Story]) -> Story:
    session_id = SessionId(
        f"019ab3d8-{rng.randrange(1 << 16):04x}-7a11-8b22-{rng.randrange(1 << 48):012x}"
    )
    story = _fork(rng, session_id, rng.choice(others)) if others else Story(session_id)
    if not story.lines:
        story.append(SessionStart(session_id, history=[]))
    size = rng.randrange(20)
    while len(story.lines) < size:
        bodies = HOSTILE if rng.random() < 0.03 else BODIES
        append = range(min(rng.choice((1, 1, 1, 2, 5)), size - len(story.lines)))
        story.append_bodies(*((rng.choice(KINDS), rng.choice(bodies)) for _ in append))
    return story


def _fork(rng: random.Random, session_id: SessionId, parent: Story) -> Story:
    at = parent.position(rng.randrange(len(parent.lines)))
    kind = rng.random()
    if kind < 0.7:
        return parent.fork(at.seq, session_id)
    if kind < 0.85:  # A fork of what the parent does not have.
        wrong = Position(at.session_id, at.seq + rng.choice((0, 30)), rng.randbytes(32))
        start = SessionStart(session_id, forked_from=wrong.to_json())
        return Story(session_id, wrong).append(start)
    return Story(session_id).append(SessionStart(session_id, forked_from=at.to_json()))


def _withhold(rng: random.Random, story: Story) -> None:
    while rng.random() < 0.4:
        seqs = [rng.randrange(len(story.lines)) for _ in range(rng.randrange(3))]
        start = {"format": 1, "session_id": story.session_id}
        if story.parent is not None and rng.random() < 0.9:
            start["forked_from"] = story.parent.to_json()
        story.redact(*seqs, replacements=rng.choice((None, {"0": start}, {"0": 7})))
        for seq in seqs:
            if rng.random() < 0.8:
                story.erase(seq)
    if rng.random() < 0.15:  # One that means a record, and does not name it.
        seq = rng.randrange(len(story.lines))
        wrong = rng.choice(({"digest": "00" * 32}, {"seq": str(seq)}, {"seq": seq + 0.5}))
        story.append(Redaction([story.target(seq) | wrong], "x"))
        story.erase(seq)
    if rng.random() < 0.15:
        story.erase(rng.randrange(len(story.lines)))
    if rng.random() < 0.15:
        seq = rng.randrange(len(story.lines))
        told = {"format": 1, "forked_from": story.parent and story.parent.to_json()}
        story.mask(seq, encode(told) if seq == 0 else MASKED)
    if rng.random() < 0.2:  # An erasure that was interrupted, and perhaps of what nobody named.
        seq = rng.randrange(len(story.lines))
        if rng.random() < 0.8:
            story.redact(seq)
        begin = rng.choice((0, rng.randrange(60)))
        story.erase(seq, begin=begin, end=begin + rng.randrange(60))


Harm = Callable[[random.Random, bytes], bytes]


def _bit(rng: random.Random, data: bytes) -> bytes:
    found = bytearray(data)
    found[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _hole(rng: random.Random, data: bytes) -> bytes:
    at, size = rng.randrange(len(data)), rng.choice((1, 15, 16, 100, 5000))
    return data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]


def _lines(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    change = rng.randrange(4)
    if change == 0:
        lines[a], lines[b] = lines[b], lines[a]
    elif change == 1:
        lines.insert(a, lines[b])
    elif change == 2:
        del lines[a]
    else:
        lines.insert(a, rng.choice((b"\n", b"\r\n", bytes(20) + b"\n", b"{}\n")))
    return b"".join(lines)


def _version(rng: random.Random, data: bytes) -> bytes:
    version = rng.choice((b"0", b"2", b"01", b"3000000000", b"9007199254740992", b"2x"))
    return data.replace(b'{"v":1', b'{"v":' + version, rng.choice((1, 1, -1)))


def _tail(rng: random.Random, data: bytes) -> bytes:
    line = data[data.rfind(b"\n", 0, -1) + 1 :]
    nuls = bytes(rng.choice((15, 16, 900)))
    tails = (
        b"\n",
        b"x",
        nuls,
        nuls + b"\n",
        nuls + b"\n" + line,
        nuls + b"\n" + line[:-1],
        line[:-1],
    )
    return data + rng.choice(tails)


HARMS: dict[str, Harm] = {
    "a flipped bit": _bit,
    "another flipped bit": _bit,
    "a hole": _hole,
    "lines moved": _lines,
    "a cut": lambda rng, data: data[: rng.randrange(len(data))],
    "a cut near the end": lambda rng, data: data[: -rng.randrange(1, 4)],
    "bytes taken out": lambda rng, data: data[: (at := rng.randrange(len(data)))] + data[at + 3 :],
    "bytes put in": lambda rng, data: (
        data[: (at := rng.randrange(len(data)))] + b"\xe2\x80\xa8" + data[at:]
    ),
    "another version": _version,
    "a tail": _tail,
    "the last LF": lambda rng, data: data[:-1] + rng.randbytes(1),
}
