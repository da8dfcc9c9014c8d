"""
Lines and logs of somebody who knows the format and wants to do harm: changed, then hashed anew.

All chance comes from the `random.Random` that is given. So the same code makes them from a
seed, from Hypothesis, which shrinks them, and from the bytes of a fuzzer, which learns from
what the code does with them.
"""

from collections.abc import Callable
from random import Random

from attrs import define, evolve, field
from random_logs import HARMS

from session_store.chain import body_digest, compute_hash, fork_head, mask_digest, root_head
from session_store.entries import EntryHash, Position
from session_store.testing.story import CHILD, ROOT

UINTS = [b"0", b"1", b"2", b"15", b"4095", b"4096", b"9007199254740991", b"9007199254740992"]
UINTS += [b"9999999999999999", b"10000000000000000", b"00", b"01", b"-1", b"-0", b"+1", b"1.0"]
UINTS += [b"1e3", b" 1", b"", b"null", b'"1"', b"\xd9\xa1", b"9" * 400]
KINDS = [b"session_start", b"user_input", b"tool_results", b"redaction", b"recovery", b"turn_end"]
KINDS += [b"labels_changed", b"seal", b"llm_usage", b"extension", b"my.kind", b"a", b"a" * 64]
KINDS += [b"a" * 65, b"", b"A", b"1a", b"a b", b"\xc3\xa9", b'a"', b"a\\u0062", b"a\n", b"a\0"]
HEXES = [b"0" * 64, b"f" * 64, b"F" * 64, b"g" * 64, b"0" * 63, b"0" * 65, b"", b"null"]
SALTS = [b"0" * 32, b"a" * 31, b"A" * 32, b"a" * 33, b"", b"null"]
NUMBERS = ["0", "-0", "1", "-1", "1.5", "1e5", "1E-5", "1e308", "1e309", "-1e999", "1e-999", "01"]
NUMBERS += ["18446744073709551615", "18446744073709551616", "-9223372036854775809", "9" * 400]
NUMBERS += ["0.1" + "1" * 400, "NaN", "-Infinity", "+1", ".5", "1.", "0x1", "1_0", "1e", "--1"]
STRINGS = ["", "a", "$ss", "\\u0024ss", "\\u2028", "\u2028", "\\ud83d\\ude00", "\\ud800", "\\udc00"]
STRINGS += [
    "\\u0000",
    "\\n",
    "\n",
    "\r",
    "\x01",
    "\x7f",
    "\\x41",
    "\\",
    "é",
    "\ufeff",
    "\u202e",
    "\0",
]
STRINGS += ["nan", "inf", "AAEC", "7aCA", "A", "=", "0", "-0", "12", "9" * 4300, "9" * 4301]
NAMES = ["a", "b", "$ss", "items", "role", "content", "type", "targets", "seq", "digest", "reason"]
NAMES += ["replacements", "session_id", "forked_from", "hash", "format", "turn_count", "trace"]
NAMES += ["length", "blake3", "labels", "config", "history", "domain", "payload", "result"]
NAMES += [
    "interrupted",
    "message",
    "history_len",
    "output_tokens",
    "input_total_tokens",
    "__proto__",
]
TAGS = ["float", "int", "bytes", "str", "dict", "other", ""]
PIECES = [b"\n", b"\r", b"\0", bytes(15), bytes(16), b"{", b"}", b'"', b",", b" ", b"\xef\xbb\xbf"]
PIECES += [
    b'"hash":"',
    b'"body":',
    b',"salt":null,"body":null',
    b'{"v":1',
    b'{"v":2',
    b"\xff",
    b"\\",
]


def json_text(rng: Random, level: int = 0) -> str:
    """Return the text of some JSON, or of what looks like it."""
    shape = rng.randrange(12)
    if level > 5 or shape < 4:
        return _scalar(rng)
    if shape < 6:
        return "[{}]".format(",".join(json_text(rng, level + 1) for _ in range(rng.randrange(4))))
    if shape < 8:
        return f'{{"$ss":[{_string(rng.choice(TAGS))},{_wrapped(rng, level)}]}}'
    if shape == 8 and level < 3 and rng.randrange(3) == 0:
        depth = rng.choice((10, 60, 196, 197, 198, 199, 200, 201, 300))
        return '{"a":' * depth + json_text(rng, 5) + "}" * depth
    blank = rng.choice(("", "", "", " ", "\t", "\r\n"))
    pairs = (
        f"{_string(rng.choice(NAMES))}:{json_text(rng, level + 1)}" for _ in range(rng.randrange(5))
    )
    return "{{{}}}".format(f",{blank}".join(pairs))


def _wrapped(rng: Random, level: int) -> str:
    """Return what may stand behind the tag of a wrapper."""
    if rng.randrange(3):
        return _scalar(rng)
    pairs = (
        f"[{json_text(rng, level + 2)},{json_text(rng, level + 2)}]"
        for _ in range(rng.randrange(4))
    )
    return "[{}]".format(",".join(pairs))


def _scalar(rng: Random) -> str:
    kind = rng.randrange(5)
    if kind == 0:
        return rng.choice(("true", "false", "null", "True", "nul"))
    return rng.choice(NUMBERS) if kind < 3 else _string(rng.choice(STRINGS))


def _string(text: str) -> str:
    return f'"{text}"'


def body(rng: Random) -> bytes:
    """Return the bytes of a body: mostly an object, mostly JSON."""
    shape = rng.randrange(8)
    text = json_text(rng, 1)
    if shape:
        pairs = [f'"{rng.choice(NAMES)}":{json_text(rng, 2)}' for _ in range(rng.randrange(4))]
        text = "{{{}}}".format(",".join([*pairs, f'"a":{text}'] if shape < 6 else pairs))
    data = text.encode("utf-8", "surrogatepass")
    return data if rng.randrange(10) else damaged(rng, data)


def damaged(rng: Random, data: bytes) -> bytes:
    """Return *data* with bytes flipped, cut out, doubled, or put in."""
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((0, 1, 1, 2, 8, 64, 300)))
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + data[end:]
        elif kind == 2:
            data = data[:end] + data[at:]
        elif kind == 3:
            data = data[:at] + bytes(rng.randrange(256) for _ in range(end - at)) + data[end:]
        else:
            data = data[:at] + rng.choice(PIECES) + data[at if kind == 4 else end :]
    return data


@define
class Fields:
    """
    One line, field by field, each as the bytes that stand there.

    A hash that is None is computed, so that it holds.
    """

    seq: bytes
    ts: bytes
    prev: bytes
    kind: bytes = b"my.kind"
    batch: bytes = b"0"
    salt: bytes = b"5a" * 16
    body: bytes = b"{}"
    form: str = "complete"
    version: bytes = b"1"
    digest: bytes | None = None
    mask: bytes | None = None
    hash: bytes | None = None

    def line(self, session_id: str) -> tuple[bytes, bytes]:
        """Return the line without LF, and its hash as hex."""
        digest = self.digest or body_digest(self.salt, self.body)
        head = b'{"v":%b,"seq":%b,"ts":%b,"kind":"%b","batch":%b,"prev_hash":"%b","digest":"%b"' % (
            *(self.version, self.seq, self.ts, self.kind, self.batch, self.prev, digest),
        )
        own = compute_hash(session_id, head)
        if self.form == "complete":
            middle = b',"salt":"%b","body":%b' % (self.salt, self.body)
        elif self.form == "masked":
            mask = self.mask or mask_digest(own, self.body)
            middle = b',"salt":null,"mask":"%b","body":%b' % (mask, self.body)
        else:
            middle = b',"salt":null,"body":null' + b" " * len(self.body)
        return b'%b%b,"hash":"%b"}' % (
            head,
            middle,
            self.hash or own.hex().encode(),
        ), own.hex().encode()


Change = Callable[[Random, Fields], Fields]

CHANGES: list[Change] = [
    lambda rng, f: evolve(f, seq=rng.choice(UINTS)),
    lambda rng, f: evolve(f, ts=rng.choice(UINTS)),
    lambda rng, f: evolve(f, batch=rng.choice(UINTS)),
    lambda rng, f: evolve(f, kind=rng.choice(KINDS)),
    lambda rng, f: evolve(f, prev=rng.choice(HEXES)),
    lambda rng, f: evolve(f, digest=rng.choice(HEXES)),
    lambda rng, f: evolve(f, hash=rng.choice(HEXES)),
    lambda rng, f: evolve(f, salt=rng.choice(SALTS)),
    lambda rng, f: evolve(f, body=body(rng)),
    lambda rng, f: evolve(f, body=body(rng)),
    lambda rng, f: evolve(f, body=body(rng)),
    lambda rng, f: evolve(f, form=rng.choice(("masked", "erased"))),
    lambda rng, f: evolve(f, form="masked", mask=rng.choice(HEXES)),
    lambda rng, f: evolve(f, version=rng.choice(UINTS)),
]


def line(rng: Random) -> bytes:
    """Return one line without LF: changed in fields or in bytes, hashed anew in most cases."""
    fields = Fields(b"7", b"1764000000000", b"ab" * 32, kind=rng.choice(KINDS[:13]), body=body(rng))
    for _ in range(rng.choice((0, 0, 1, 1, 1, 2))):
        fields = rng.choice(CHANGES)(rng, fields)
    data, _ = fields.line(ROOT)
    return damaged(rng, data) if rng.randrange(4) == 0 else data


START = b'{"format":1,"session_id":"%b","history":[]}' % ROOT.encode()
PARENT = Position(CHILD, 3, EntryHash(b"\x11" * 32))
FORKED = b'{"format":1,"session_id":"%b","forked_from":{"session_id":"%b","seq":3,"hash":"%b"}}' % (
    *(ROOT.encode(), CHILD.encode(), b"11" * 32),
)
GOOD = [
    (b"user_input", b'{"items":[{"type":"message","role":"user","content":"hi"}]}'),
    (b"assistant_items", b'{"items":[{"type":"function_call","call_id":"c","name":"f"}]}'),
    (b"turn_end", b'{"turn_count":1}'),
    (
        b"llm_usage",
        b'{"history_len":1,"input_total_tokens":9,"cache_read_tokens":0,"output_tokens":1}',
    ),
    (b"labels_changed", b'{"labels":{"a":"b"}}'),
    (b"extension", b'{"domain":"d","payload":{"$ss":["float","nan"]}}'),
    (b"my.kind", b"{}"),
]


@define
class _Writer:
    """Writes records that continue each other, unless chance wants it otherwise."""

    rng: Random
    prev: bytes
    harm: int
    seq: int = 0
    ts: int = 1_764_000_000_000
    lines: list[bytes] = field(factory=list)
    digests: list[bytes] = field(factory=list)

    def write(self, kind: bytes, text: bytes, batch: int, **fields: object) -> None:
        self.ts += self.rng.randrange(3)
        number, ts = b"%d" % self.seq, b"%d" % self.ts
        record = Fields(number, ts, self.prev, kind, b"%d" % batch, body=text, **fields)
        if self.harm and self.rng.randrange(self.harm) == 0:
            record = self.rng.choice(CHANGES)(self.rng, record)
        data, self.prev = record.line(ROOT)
        self.digests.append(record.digest or body_digest(record.salt, record.body))
        self.lines.append(data + b"\n")
        self.seq += 1

    def redact(self) -> None:
        """Append a redaction of some record, and perhaps erase that."""
        seq = self.rng.randrange(self.seq)
        target = b'{"seq":%d,"digest":"%b"}' % (seq, self.digests[seq])
        given = self.rng.choice((b"", b',"replacements":{"%d":%b}' % (seq, START)))
        self.write(b"redaction", b'{"targets":[%b],"reason":"x"%b}' % (target, given), 0)


def log(rng: Random) -> bytes:
    """Return a log of `ROOT`: in links, numbers and bodies almost as it should be, or damaged."""
    is_fork = rng.randrange(5) == 0
    head = fork_head(ROOT, PARENT) if is_fork else root_head(ROOT)
    harm = rng.choice((0, 0, 4, 10, 30))
    writer = _Writer(rng, head.hash.hex().encode(), harm)
    first = rng.choice((0, 0, 0, 1))
    writer.write(b"session_start", FORKED if is_fork else START, first)
    if first:
        writer.write(*rng.choice(GOOD), 0)
    for _ in range(rng.randrange(8)):
        if rng.randrange(8) == 0:
            writer.redact()
            continue
        for batch in range(rng.choice((0, 0, 0, 1, 3)), -1, -1):
            writer.write(*rng.choice(GOOD), batch)
    data = b"".join(writer.lines)
    for _ in range(rng.choice((0, 1, 1, 2))):
        data = rng.choice(list(HARMS.values()))(rng, data) if data else data
    return data
