"""Vectors of damage: each is one good log, harmed in one way."""

import re
from collections.abc import Callable, Mapping

import orjson
from attrs import frozen

from .scenario import SCENARIOS, Expected, Scenario, one
from .story import STRANGER, told

FILE = told().file


@frozen
class Damage:
    """
    What was done to the log of `told` (0 | 1 2 | 3 4 | 5 | 6), and what is found.

    Attributes:
        harm: The bytes of the log -> other bytes.
        records: Records that still count.
        what: The finding, or None if nothing is wrong.
        seq: Its place; None: behind the records that count.
    """

    about: str
    harm: Callable[[list[bytes]], bytes]
    records: int
    what: str = "corrupt"
    seq: int | None = None

    def scenario(self) -> Scenario:
        what = "unborn" if self.what == "torn" and not self.records else self.what
        status = what if what in ("corrupt", "unborn", "unsupported") else "intact"
        seq = self.records if self.seq is None else self.seq
        expected = Expected(status, self.records, [(what, seq)])
        return one(self.about, FILE, self.harm(told().lines), expected)


def lines(change: Callable[[list[bytes]], object]) -> Callable[[list[bytes]], bytes]:
    """Return the harm that *change* does to the list of lines."""

    def harm(found: list[bytes]) -> bytes:
        change(found)
        return b"".join(found)

    return harm


def flip(seq: int, before: bytes, *, at: int = 0, bit: int = 0) -> Callable[[list[bytes]], bytes]:
    """Return the harm of one flipped bit, *at* bytes behind *before* in line *seq*."""

    def harm(found: list[bytes]) -> bytes:
        line = bytearray(found[seq])
        line[line.index(before) + len(before) + at] ^= 1 << bit
        found[seq] = bytes(line)
        return b"".join(found)

    return harm


def cut(seq: int, size: int) -> Callable[[list[bytes]], bytes]:
    """Return the harm of a log that ends *size* bytes into line *seq*, or that far from its end."""
    return lambda found: b"".join(found[:seq]) + found[seq][:size]


def tail(data: bytes, keep: int = 7) -> Callable[[list[bytes]], bytes]:
    """Return the harm of *data* behind the first *keep* lines."""
    return lambda found: b"".join(found[:keep]) + data


def foreign(found: list[bytes]) -> bytes:
    return b"".join([*found[:3], told(STRANGER).lines[3], *found[3:]])


def reserialised(found: list[bytes]) -> bytes:
    """Do what a script does that reads each line as JSON and writes it back."""
    return b"".join(
        orjson.dumps(orjson.loads(line), option=orjson.OPT_SORT_KEYS) + b"\n" for line in found
    )


def versioned(seq: int, version: bytes) -> Callable[[list[bytes]], bytes]:
    """Return the harm of another version in line *seq*, its hash as it was."""

    def harm(found: list[bytes]) -> bytes:
        found[seq] = found[seq].replace(b'"v":1', b'"v":' + version, 1)
        return b"".join(found)

    return harm


def hole(begin: int, size: int) -> Callable[[list[bytes]], bytes]:
    """Return the harm of NULs over *size* bytes from *begin*, counted from the end if negative."""

    def harm(found: list[bytes]) -> bytes:
        data = bytearray(b"".join(found))
        at = begin if begin >= 0 else len(data) + begin
        data[at : at + size] = bytes(size)
        return bytes(data)

    return harm


FIELDS = {
    "v": (b'"v":', 0),
    "seq": (b'"seq":', 0),
    "ts": (b'"ts":', 12),
    "kind": (b'"kind":"', 3),
    "batch": (b'"batch":', 0),
    "prev-hash": (b'"prev_hash":"', 31),
    "digest": (b'"digest":"', 63),
    "salt": (b'"salt":"', 0),
    "body": (b'"body":{"', 2),
    "hash": (b',"hash":"', 63),
    "quote": (b'"seq"', -1),
    "brace": (b'{"v"', -4),
}

FLIPS: Mapping[str, Damage] = {
    **{
        f"flip-{name}": Damage(f"one flipped bit: {name}", flip(2, before, at=at), 1, seq=2)
        for name, (before, at) in FIELDS.items()
    },
    "flip-first-version": Damage(
        "one flipped bit: v of the first line", flip(0, b'"v":', bit=1), 0
    ),
    "flip-last-lf": Damage(
        "the last LF is another byte", flip(6, b'"}', bit=0), 7, "missing-lf", 6
    ),
    "flip-inner-lf": Damage(
        "an LF inside the log is another byte",
        lines(lambda f: f.insert(5, f.pop(5)[:-1] + b"J")),
        5,
    ),
}

LINES: Mapping[str, Damage] = {
    "line-removed": Damage("a line is gone", lines(lambda found: found.pop(5)), 5),
    "line-duplicated": Damage("a line stands twice", lines(lambda f: f.insert(5, f[5])), 6),
    "lines-swapped": Damage("two lines changed places", lines(lambda f: f.insert(5, f.pop(6))), 5),
    "line-foreign": Damage("a line of another session", foreign, 3),
    "first-line-removed": Damage("the beginning is gone", lines(lambda found: found.pop(0)), 0),
    "line-glued": Damage("two records on one line", lines(lambda f: f.insert(5, f.pop(5)[:-1])), 5),
    "line-blank": Damage("an empty line", lines(lambda found: found.insert(5, b"\n")), 5),
    "line-of-spaces": Damage("a line of blanks", lines(lambda found: found.insert(5, b"  \n")), 5),
    "blank-line-at-the-end": Damage("an empty line behind the last", tail(b"\n"), 7),
    "crlf": Damage("CRLF for LF", lambda f: b"".join(f).replace(b"\n", b"\r\n"), 0),
    "bom": Damage("a byte-order mark", lambda f: b"\xef\xbb\xbf" + b"".join(f), 0),
    "reserialised": Damage("every line parsed and written anew", reserialised, 0),
    "not-a-log": Damage("another program's lines", lambda _: b'{"type":"user"}\n' * 3, 0),
    "lf-only": Damage("nothing but an LF", lambda _: b"\n", 0),
    "upper-case-hex": Damage(
        "hex in upper case",
        lines(
            lambda f: f.insert(2, re.sub(rb'[0-9a-f]{64}"}\n', lambda m: m[0].upper(), f.pop(2)))
        ),
        1,
        seq=2,
    ),
    "torn-then-glued": Damage(
        "a torn line with the next record glued to it",
        lambda found: b"".join(found[:5]) + found[5][:100] + found[5] + found[6],
        5,
    ),
}

ENDS: Mapping[str, Damage] = {
    "empty": Damage("no bytes at all", lambda _: b"", 0, "torn"),
    "one-byte": Damage("one byte of a first line", lambda _: b"{", 0, "torn"),
    "torn-first-line": Damage("a first line cut short", cut(0, 200), 0, "torn"),
    "torn-line": Damage("the last line cut short", cut(6, 150), 6, "torn"),
    "torn-before-the-brace": Damage("the last brace is missing", cut(6, -2), 6, "torn"),
    "torn-append": Damage("an append without its last line", cut(4, 0), 3, "torn"),
    "torn-append-and-line": Damage("… and with a piece of it", cut(4, 300), 3, "torn"),
    "torn-append-no-lf": Damage("a valid line that announces more", cut(3, -1), 3, "torn"),
    "missing-lf": Damage("the last LF is not there", cut(6, -1), 7, "missing-lf", 6),
    "missing-lf-in-an-append": Damage("… of two records", cut(4, -1), 5, "missing-lf", 4),
    "two-wrong-bytes": Damage(
        "two bytes in place of the last LF", lambda f: b"".join(f)[:-1] + b"xy", 6, "torn"
    ),
    "foreign-line-no-lf": Damage(
        "a whole record of another place, without LF", lambda f: b"".join(f) + f[2][:-1], 7, "torn"
    ),
    "nul-tail-15": Damage("15 NUL bytes and an LF", tail(bytes(15) + b"\n"), 7),
    "nul-tail-16": Damage("16 NUL bytes and an LF", tail(bytes(16) + b"\n"), 7, "torn"),
    "nul-tail": Damage("NUL bytes to the end", tail(bytes(886)), 7, "torn"),
    "nul-in-the-last-line": Damage("one NUL in the last line", hole(-300, 1), 6),
    "hole-in-the-last-line": Damage("NUL bytes in the last line", hole(-300, 64), 6, "torn"),
    "hole-over-two-lines": Damage("NUL bytes over an LF", hole(-700, 600), 5, "torn"),
    "holes-and-a-piece": Damage(
        "holes, then a piece", tail(bytes(20) + b"\nx" + bytes(16) + b"\nrest", 5), 5, "torn"
    ),
    "hole-and-a-bad-line": Damage(
        "a hole, then a line without one", tail(bytes(20) + b"\nx\n", 5), 5
    ),
    "hole-and-a-record": Damage(
        "a hole, then a record that holds", lambda f: b"".join(f[:5]) + bytes(20) + b"\n" + f[6], 5
    ),
    "hole-and-a-record-no-lf": Damage(
        "a hole, then a record that holds, without LF",
        lambda found: b"".join(found[:5]) + bytes(20) + b"\n" + found[6][:-1],
        5,
    ),
    "hole-that-took-an-lf": Damage(
        "a hole up to where the last record begins", lambda f: hole(-len(f[6]) - 64, 64)(f), 5
    ),
    "hole-at-the-start": Damage("NUL bytes in the first line of all", hole(100, 64), 0),
    "only-nuls": Damage("nothing but NUL bytes", lambda _: bytes(512), 0, "torn"),
}

VERSIONS: Mapping[str, Damage] = {
    "version-2": Damage("a log of version 2", lambda _: b'{"v":2,"n":0}\n', 0, "unsupported"),
    "version-0": Damage("a log of version 0", lambda _: b'{"v":0}\n', 0, "unsupported"),
    "version-2-no-lf": Damage("… without an LF", lambda _: b'{"v":2,"n":0', 0, "unsupported"),
    "version-2-digits": Damage("… of which only digits are there", lambda _: b'{"v":2', 0, "torn"),
    "version-2-digits-lf": Damage("… and an LF", lambda _: b'{"v":2\n', 0, "unsupported"),
    "version-01": Damage("a version with a leading zero", lambda _: b'{"v":01}\n', 0),
    "version-too-large": Damage(
        "a version beyond 2^53-1", lambda _: b'{"v":9007199254740992}\n', 0
    ),
    "version-flipped": Damage("version 3 on a line whose hash holds for 1", versioned(0, b"3"), 0),
    "version-flipped-no-lf": Damage(
        "… without an LF", lambda found: versioned(0, b"33")(found[:1])[:-1], 0
    ),
    "version-2-late": Damage("version 2 on a later line", versioned(5, b"2"), 5),
}


def _register(table: Mapping[str, Damage]) -> None:
    for name, damage in table.items():
        assert name not in SCENARIOS, name
        SCENARIOS[name] = damage.scenario


for _table in (FLIPS, LINES, ENDS, VERSIONS):
    _register(_table)
