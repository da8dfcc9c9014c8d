"""Verify session logs against FORMAT.md, with nothing but the standard library.

Written from FORMAT.md alone, so that it can bear witness against the product.
Nothing is written, nothing is repaired, nothing in a file is trusted: a line meets
grammar, hashes and links before any JSON parser sees it (FORMAT.md §3).

With --proof it verifies one record of a sealed log, or that one sealed log continues another,
by the signer's public key alone (FORMAT.md §10).

Exit code: 0 if every chain or proof holds and nothing was found but legally withheld records,
1 for any other finding, 2 for wrong usage, 3 for an unsupported version, a file that
cannot be read, or a file name that is no session id.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import errno
import json
import os
import re
import stat
import struct
import sys
from array import array
from datetime import UTC, datetime
from hashlib import sha256, sha512
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# --- BLAKE3: keyed hash and derive_key with 32 bytes of output (FORMAT.md §4) ---

Words = tuple[int, ...]

WORD = 0xFFFFFFFF
BLOCK, CHUNK = 64, 1024
CHUNK_START, CHUNK_END, PARENT, ROOT, KEYED, CONTEXT, MATERIAL = (1 << bit for bit in range(7))
IV: Words = (
    *(0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A),
    *(0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19),
)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def all_rounds() -> Iterator[Words]:
    """Give each mixing step: four places in the state, two in the message."""
    order = tuple(range(16))
    for _ in range(7):
        for step, places in enumerate(COLUMNS + DIAGONALS):
            yield (*places, order[2 * step], order[2 * step + 1])
        order = tuple(order[place] for place in PERMUTATION)


ROUNDS = tuple(all_rounds())


def compress(value: Words, block: Words, counter: int, size: int, flags: int) -> Words:
    state = [*value, *IV[:4], counter & WORD, counter >> 32, size, flags]
    for i, j, k, m, x, y in ROUNDS:
        a = (state[i] + state[j] + block[x]) & WORD
        d = state[m] ^ a
        d = (d >> 16 | d << 16) & WORD
        c = (state[k] + d) & WORD
        b = state[j] ^ c
        b = (b >> 12 | b << 20) & WORD
        a = (a + b + block[y]) & WORD
        d ^= a
        d = (d >> 8 | d << 24) & WORD
        c = (c + d) & WORD
        b ^= c
        state[i], state[j] = a, (b >> 7 | b << 25) & WORD
        state[k], state[m] = c, d
    return tuple(state[n] ^ state[n + 8] for n in range(8))


def chunk_value(key: Words, chunk: bytes, index: int, mode: int, last: int) -> Words:
    """Chain the blocks of one chunk; the flags `last` go with its last block."""
    value, final = key, max(len(chunk) - 1, 0) // BLOCK * BLOCK
    for at in range(0, final + 1, BLOCK):
        block = chunk[at : at + BLOCK]
        flags = mode | (CHUNK_START if at == 0 else 0)
        flags |= CHUNK_END | last if at == final else 0
        words = struct.unpack("<16I", block.ljust(BLOCK, b"\0"))
        value = compress(value, words, index, len(block), flags)
    return value


def blake3(message: bytes, key: Words, mode: int) -> bytes:
    subtrees: list[Words] = []  # complete ones, the larger to the left
    final = max(len(message) - 1, 0) // CHUNK
    for index in range(final):
        chunk = message[index * CHUNK : (index + 1) * CHUNK]
        value, count = chunk_value(key, chunk, index, mode, 0), index + 1
        while count % 2 == 0:
            value = compress(key, subtrees.pop() + value, 0, BLOCK, mode | PARENT)
            count //= 2
        subtrees.append(value)
    last = 0 if subtrees else ROOT
    value = chunk_value(key, message[final * CHUNK :], final, mode, last)
    while subtrees:
        pair = subtrees.pop() + value
        flags = mode | PARENT | (0 if subtrees else ROOT)
        value = compress(key, pair, 0, BLOCK, flags)
    return struct.pack("<8I", *value)


def derive_key(context: str, material: bytes = b"") -> Words:
    key = struct.unpack("<8I", blake3(context.encode(), IV, CONTEXT))
    return struct.unpack("<8I", blake3(material, key, MATERIAL))


KEYS = {
    role: derive_key("session-store 2026-11 log v1 " + role)
    for role in ("genesis", "fork", "body", "record", "mask")
}


def keyed(role: str, message: bytes) -> bytes:
    return blake3(message, KEYS[role], KEYED)


# --- One line (FORMAT.md §3, §4) ---

MAX_LINE = 16 * 1024 * 1024  # LF included (FORMAT.md §8)
MAX_BATCH = 4095
MAX_UINT = 2**53 - 1
MAX_DEPTH = 200
NULS = bytes(16)  # so many in a row are what a power cut leaves (FORMAT.md §6)
COMPLETE, MASKED, ERASED, HALF = "complete", "masked", "erased", "half erased"
MIN_BODY = len(b',"salt":null,"body":null')

HEAD = rb"""
    (?P<head> \{"v":1
        ,"seq":(?P<seq> 0|[1-9][0-9]{0,15} )
        ,"ts":(?P<ts> 0|[1-9][0-9]{0,15} )
        ,"kind":"(?P<kind> [a-z][a-z0-9_.-]{0,63} )"
        ,"batch":(?P<batch> 0|[1-9][0-9]{0,15} )
        ,"prev_hash":"(?P<prev> [0-9a-f]{64} )"
        ,"digest":"(?P<digest> [0-9a-f]{64} )" )
"""
TRAIL = rb',"hash":"(?P<hash>[0-9a-f]{64})"\}'
LINE = re.compile(
    HEAD
    + rb"""
    ,"salt":(?:
        (?: "(?P<salt> [0-9a-f]{32} )" | null,"mask":"(?P<mask> [0-9a-f]{64} )" )
        ,"body":(?P<object> \{ [^\n\r]* \} )
        | null,"body":null[ ]* )
    """
    + TRAIL,
    re.VERBOSE,
)
SEALED = re.compile(HEAD + b".*" + TRAIL, re.VERBOSE | re.DOTALL)
VERSION = re.compile(rb'\{"v":(0|[1-9][0-9]{0,15})(?![0-9])')
SESSION_ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
FILE_NAME = re.compile(SESSION_ID.pattern + r"\.jsonl")


class Record(NamedTuple):
    seq: int
    ts: int
    kind: str
    batch: int
    prev: bytes
    digest: bytes
    hash: bytes
    form: str
    body: bytes


def read_line(line: bytes, sid: bytes) -> Record | str:
    """Give the record of a self-consistent line (FORMAT.md §4), or what is wrong."""
    if len(line) >= MAX_LINE:
        return "the line is longer than 16 MiB"
    match = LINE.fullmatch(line)
    if not match:
        return "the line does not follow the grammar"
    seq, ts, batch = (int(match[name]) for name in ("seq", "ts", "batch"))
    prev, digest, own, mask = (
        bytes.fromhex((match[name] or b"").decode()) for name in ("prev", "digest", "hash", "mask")
    )
    salt, text, form, holds = match["salt"], match["object"] or b"", ERASED, True
    if salt:
        form, holds = COMPLETE, keyed("body", salt + text) == digest
    elif mask:
        form, holds = MASKED, keyed("mask", own + text) == mask
    faults = (
        (max(seq, ts) > MAX_UINT, "a number is larger than 2^53-1"),
        (batch > MAX_BATCH, f"batch is larger than {MAX_BATCH}"),
        (keyed("record", sid + match["head"]) != own, "the hash does not hold"),
        (not holds, f"the body does not match its {'mask' if mask else 'digest'}"),
    )
    record = Record(seq, ts, match["kind"].decode(), batch, prev, digest, own, form, text)
    return next((why for is_so, why in faults if is_so), record)


def read_half(line: bytes, sid: bytes) -> Record | None:
    """Give the record of a line that holds but for its BODY, as an erasure may leave it (§7)."""
    match = SEALED.fullmatch(line)
    if not match or len(line) >= MAX_LINE or b"\r" in line:
        return None
    if match.start("hash") - len(',"hash":"') - match.end("head") < MIN_BODY:
        return None
    seq, ts, batch = (int(match[name]) for name in ("seq", "ts", "batch"))
    prev, digest, own = (bytes.fromhex(match[name].decode()) for name in ("prev", "digest", "hash"))
    if max(seq, ts) > MAX_UINT or batch > MAX_BATCH or keyed("record", sid + match["head"]) != own:
        return None
    return Record(seq, ts, match["kind"].decode(), batch, prev, digest, own, HALF, b"")


class Piece(NamedTuple):
    """What lies between two LF, or behind the last one."""

    data: bytes  # without its LF; cut where it is too long to be a line
    offset: int
    end: int
    ended: bool  # by an LF
    nuls: bool


def read_pieces(file: BinaryIO, size: int) -> Iterator[Piece]:
    """Read `size` bytes: what a live writer adds meanwhile is not looked at."""
    at = 0
    while data := file.readline(min(MAX_LINE + 1, size - at)):
        start, at, part, nuls = at, at + len(data), data, NULS in data
        while not part.endswith(b"\n") and at < size:
            more = file.readline(min(MAX_LINE, size - at))
            if not more:
                break
            nuls = nuls or NULS in part[-len(NULS) :] + more
            at, part = at + len(more), more
        ended = part.endswith(b"\n")
        yield Piece(data.removesuffix(b"\n"), start, at, ended, nuls)


# --- JSON, once a line has earned it ---

Json = dict[str, object]


def refuse(what: str) -> NoReturn:
    raise ValueError(what)


def read_float(digits: str) -> float:
    value = float(digits)
    return value if isfinite(value) else refuse("a number beyond binary64")


def read_int(digits: str) -> int | float:
    """Python refuses to read very long integers; the format allows what fits a float."""
    return int(digits) if len(digits) <= len(str(MAX_UINT)) else read_float(digits)


def keep_all(pairs: list[tuple[str, object]]) -> Json:
    """Lose nothing where a name is given twice: what the last one hides must be JSON too."""
    return {f"{number} {name}": value for number, (name, value) in enumerate(pairs)}


def decoder(hook: Callable[[list[tuple[str, object]]], Json]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=hook,
        parse_constant=refuse,
        parse_int=read_int,
        parse_float=read_float,
    )


STRICT, EVERYTHING = decoder(dict), decoder(keep_all)


def depth(value: object) -> int:
    level, below = 0, [value]
    while below := [item for item in below if isinstance(item, dict | list)]:
        level += 1
        below = [i for item in below for i in (item.values() if isinstance(item, dict) else item)]
    return level


def read_json(body: bytes) -> Json | None:
    """Parse strictly (FORMAT.md §3); None is what is not an object, or nested too deeply."""
    try:
        whole = EVERYTHING.decode(body.decode())
        json.dumps(whole, ensure_ascii=False).encode()  # fails on a lone surrogate
        value = STRICT.decode(body.decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and depth(whole) <= MAX_DEPTH else None


def read_uint(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value <= MAX_UINT else None
    return None


def raw_id(session_id: str) -> bytes:
    return bytes.fromhex(session_id.replace("-", ""))


class Position(NamedTuple):
    session_id: str
    seq: int
    hash: bytes


def read_position(value: object) -> Position | None:
    if not isinstance(value, dict):
        return None
    name, seq, own = (value.get(key) for key in ("session_id", "seq", "hash"))
    number = read_uint(seq)
    if number is None or not isinstance(name, str) or not isinstance(own, str):
        return None
    if not SESSION_ID.fullmatch(name) or not re.fullmatch("[0-9a-f]{64}", own):
        return None
    return Position(name, number, bytes.fromhex(own))


def fork_parent(sid: bytes, prev: bytes, start: object) -> Position | None:
    """Give the parent entry of a session_start if `prev` is bound to it (§5)."""
    entry = start.get("forked_from") if isinstance(start, dict) else None
    parent = read_position(entry)
    if parent is None:
        return None
    place = raw_id(parent.session_id) + parent.seq.to_bytes(8, "big") + parent.hash
    return parent if keyed("fork", sid + place) == prev else None


def targets(redaction: Json) -> list[object]:
    found = redaction.get("targets")
    return found if isinstance(found, list) else []


def names(target: object, seq: int, digest: bytes) -> bool:
    """Tell whether a target of a redaction is the record with this seq and digest (§7)."""
    if not isinstance(target, dict) or read_uint(target.get("seq")) != seq:
        return False
    return target.get("digest") == digest.hex()


# --- One log (FORMAT.md §3 to §7) ---


class Finding(NamedTuple):
    what: str
    offset: int
    seq: int
    why: str

    @property
    def line(self) -> int:
        return self.seq + 1  # a line is a record, and seq has no gaps

    @property
    def place(self) -> str:
        return f"line {self.line}, byte {self.offset}, seq {self.seq}: {self.why}"


class Rules(NamedTuple):
    masks_allowed: bool
    parse_all: bool


class Log:
    """One log, read once from its first byte to its last."""

    def __init__(self, path: Path, rules: Rules) -> None:
        self.path, self.rules = path, rules
        self.session_id = path.name.removesuffix(".jsonl")
        self.sid = raw_id(self.session_id)
        self.genesis = keyed("genesis", self.sid)
        # Of valid records, whether their append is complete or not:
        self.last: Record | None = None
        self.offsets = array("Q")
        self.digests, self.hashes = bytearray(), bytearray()
        self.withheld: dict[int, str] = {}  # seq: its form
        self.named: dict[int, int] = {}  # seq: the first redaction that names it
        self.all_redactions: list[tuple[int, Json]] | None = None
        self.unreadable: Finding | None = None
        self.parent: Position | None = None
        # Of complete appends:
        self.records = self.end = 0
        self.findings: list[Finding] = []

    @property
    def head(self) -> str | None:
        return self.hash_at(self.records - 1).hex() if self.records else None

    def hash_at(self, seq: int) -> bytes:
        return bytes(self.hashes[32 * seq : 32 * seq + 32])

    def note(self, what: str, offset: int, seq: int, why: str) -> None:
        self.findings.append(Finding(what, offset, seq, why))

    def scan(self, file: BinaryIO, size: int) -> None:
        self.source = file, size
        pieces = read_pieces(file, size)
        for piece in pieces:
            if self.last is None and self.is_other_version(piece):
                break
            if not piece.ended:
                self.take_last_piece(piece)
                break
            record = self.judge(piece.data)
            if isinstance(record, str):
                self.take_damage(piece, pieces, record)
                break
            self.accept(record, piece)
            if self.findings:
                break
        else:
            if not self.offsets:
                self.stop_at_end("the log is empty")
            elif self.records < len(self.offsets):
                self.stop_at_end("the last append is not complete")
        self.close()

    def is_other_version(self, piece: Piece) -> bool:
        """Let the first line decide, unless its 1 was merely damaged (FORMAT.md §3)."""
        match = VERSION.match(piece.data)
        if not match or not (piece.ended or match.end() < len(piece.data)):
            return False
        version = int(match[1])
        if version == 1 or version > MAX_UINT:
            return False
        readings = [piece.data] if piece.ended else [piece.data, piece.data[:-1]]
        if any(self.holds_as_version_1(line, match.end()) for line in readings):
            self.note("corrupt", 0, 0, f"version {version}, but its hash holds for version 1")
        else:
            self.note("unsupported", 0, 0, f"version {version} of the format")
        return True

    def holds_as_version_1(self, line: bytes, version_end: int) -> bool:
        match = SEALED.fullmatch(b'{"v":1' + line[version_end:])
        if not match or len(line) >= MAX_LINE:
            return False
        return keyed("record", self.sid + match["head"]) == bytes.fromhex(match["hash"].decode())

    def judge(self, line: bytes) -> Record | str:
        record = self.continues(line)
        if isinstance(record, str) or record.form != MASKED or self.rules.masks_allowed:
            return record
        return "a masked record where masks are not allowed"

    def continues(self, line: bytes) -> Record | str:
        """Give the record of a valid line (FORMAT.md §4), or what is wrong with it."""
        record, last = read_line(line, self.sid), self.last
        if isinstance(record, str):
            half = read_half(line, self.sid)
            if half is None or not self.is_named(half):
                return record
            record = half
        if record.seq != len(self.offsets):
            return f"seq is {record.seq}"
        if last is None:
            return self.start_fault(record) or record
        faults = (
            (record.prev != last.hash, "prev_hash is not the hash before it"),
            (record.ts < last.ts, "ts is smaller than the one before it"),
            (last.batch not in (0, record.batch + 1), "batch does not count down"),
        )
        return next((why for is_so, why in faults if is_so), record)

    def start_fault(self, record: Record) -> str:
        if record.kind != "session_start":
            return "the first record is not a session_start"
        if not self.is_fork(record):
            return ""
        start = read_json(record.body) if record.body else self.replacement(record.digest)
        self.parent = fork_parent(self.sid, record.prev, start)
        return "" if self.parent else "prev_hash is neither a root's nor of its forked_from"

    def replacement(self, digest: bytes) -> object:
        """Give what the last redaction that says so puts in the place of record 0 (§5)."""
        start = None
        for by, body in self.redactions():
            given = body.get("replacements")
            if by and any(names(target, 0, digest) for target in targets(body)):
                found = given.get("0") if isinstance(given, dict) else None
                start = found if isinstance(found, dict) else start
        return start

    def is_named(self, record: Record) -> bool:
        """Tell whether any redaction in the file names a record (§7)."""
        return any(
            record.seq < by and any(names(t, record.seq, record.digest) for t in targets(body))
            for by, body in self.redactions()
        )

    def redactions(self) -> list[tuple[int, Json]]:
        """Give every self-consistent redaction of the file: its seq and its body."""
        if self.all_redactions is None:
            file, size = self.source
            at, self.all_redactions = file.tell(), []
            file.seek(0)
            for piece in read_pieces(file, size):
                for line in [piece.data] if piece.ended else [piece.data, piece.data[:-1]]:
                    record = read_line(line, self.sid) if b'"kind":"redaction"' in line else ""
                    if isinstance(record, Record) and record.kind == "redaction" and record.body:
                        self.all_redactions.append((record.seq, read_json(record.body) or {}))
            file.seek(at)
        return self.all_redactions

    def is_fork(self, record: Record) -> bool:
        return record.seq == 0 and record.prev != self.genesis

    def accept(self, record: Record, piece: Piece) -> None:
        self.last = record
        self.offsets.append(piece.offset)
        self.digests += record.digest
        self.hashes += record.hash
        if record.form != COMPLETE:
            self.withheld[record.seq] = record.form
        if record.form not in (ERASED, HALF):
            self.read_content(record)
        if record.batch == 0 and self.unreadable:
            self.findings.append(self.unreadable)
        elif record.batch == 0:
            self.records, self.end = len(self.offsets), piece.end

    def read_content(self, record: Record) -> None:
        """Read what the verdict needs: redactions, and all if asked to."""
        if not (record.kind == "redaction" or self.rules.parse_all):
            return
        body = read_json(record.body)
        if body is None:
            why = "the body is not a JSON object"
            found = Finding("corrupt", self.offsets[record.seq], record.seq, why)
            self.unreadable = self.unreadable or found
        elif record.kind == "redaction":
            for target in targets(body):
                seq = read_uint(target.get("seq")) if isinstance(target, dict) else None
                if seq is not None and seq < record.seq:
                    digest = bytes(self.digests[32 * seq : 32 * seq + 32])
                    if names(target, seq, digest):
                        self.named.setdefault(seq, record.seq)

    def take_last_piece(self, piece: Piece) -> None:
        """Classify bytes that no LF ends: a missing LF, or torn (FORMAT.md §6)."""
        for line in (piece.data, piece.data[:-1]):
            record = self.judge(line)
            if isinstance(record, str) or record.batch:
                continue
            self.accept(record, piece)
            if not self.findings:
                why = "the LF of the last line is missing"
                self.note("missing-lf", piece.offset, record.seq, why)
            return
        self.stop_at_end("the last line was not written to its end")

    def take_damage(self, first: Piece, rest: Iterator[Piece], why: str) -> None:
        """Tell corruption from what a power cut leaves (FORMAT.md §6)."""
        for piece in chain([first], rest):
            lines = (piece.data, piece.data.rpartition(b"\0")[2])
            is_whole = any(isinstance(read_line(line, self.sid), Record) for line in lines)
            if (is_whole and len(piece.data) <= MAX_LINE) or (piece.ended and not piece.nuls):
                self.note("corrupt", first.offset, len(self.offsets), why)
                return
        self.stop_at_end("NUL bytes stand where the last append was to be written")

    def stop_at_end(self, why: str) -> None:
        what = "torn" if self.records else "unborn"
        self.note(what, self.end, self.records, why)

    def close(self) -> None:
        if not self.records:
            self.parent = None
        self.findings[:0] = self.withheld_findings()

    def withheld_findings(self) -> Iterator[Finding]:
        named = {seq: by for seq, by in self.named.items() if by < self.records}
        for seq in sorted(named.keys() | self.withheld.keys()):
            if seq >= self.records:
                return
            form, by = self.withheld.get(seq, COMPLETE), named.get(seq)
            if form == ERASED and by:
                what, why = "erased", f"redaction {by} names it"
            elif form in (ERASED, HALF) and not by:
                what, why = "erased-without-redaction", "no redaction names it"
            elif by:
                what, why = "erasure-unfinished", f"redaction {by} names it"
            else:
                what, why = "masked", "the body is not the one that was written"
            yield Finding(what, self.offsets[seq], seq, why)


# --- A log and the logs that it continues (FORMAT.md §5) ---


class Report(NamedTuple):
    file: str
    session_id: str | None
    log: Log | None
    findings: list[Finding]
    error: str = ""

    @property
    def status(self) -> str:
        if self.error:
            return "error"
        found = {finding.what for finding in self.findings}
        order = ("unsupported", "corrupt", "parent-missing", "unborn")
        return next((status for status in order if status in found), "intact")

    @property
    def exit_code(self) -> int:
        if self.status in ("error", "unsupported"):
            return 3
        return int(any(f.what not in ("erased", "masked") for f in self.findings))


YEAR_10000 = 253_402_300_800  # where datetime ends; 48 bits of milliseconds do not


def open_regular(path: Path) -> BinaryIO:
    if not stat.S_ISREG(path.stat().st_mode):  # a FIFO would keep us waiting
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.open("rb")


class Verifier:
    """Reads each log once, however many files continue it."""

    def __init__(self, store: Path | None, rules: Rules) -> None:
        self.store, self.rules = store, rules
        self.logs: dict[Path, Log] = {}

    def verify(self, file: str) -> Report:
        path, log, findings = Path(file), None, list[Finding]()
        if not FILE_NAME.fullmatch(path.name):
            return Report(file, None, None, [], "not named <session_id>.jsonl")
        session_id, error = path.name.removesuffix(".jsonl"), ""
        try:
            log = self.read(path)
            findings += log.findings
            findings += self.ancestry(log)
        except (OSError, MemoryError) as problem:
            error = str(problem) or "not enough memory"
        return Report(file, session_id, log, findings, error)

    def read(self, path: Path) -> Log:
        if path not in self.logs:
            with open_regular(path) as file:
                log = Log(path, self.rules)
                log.scan(file, os.fstat(file.fileno()).st_size)
            self.logs[path] = log
        return self.logs[path]

    def ancestry(self, log: Log) -> Iterator[Finding]:
        """Find all that touches `log` in the records that it continues."""
        child, told, met = log, "", {log.session_id}
        while at := child.parent:
            if at.session_id in met:
                why = f"{told}forked_from returns to {at.session_id}, already met"
                yield Finding("corrupt", 0, 0, why)
                return
            met.add(at.session_id)
            parent = self.find(at.session_id, (log.path.parent, child.path.parent))
            if parent is None:
                why = f"{told}the parent {at.session_id} is not there"
                yield Finding("parent-missing", 0, 0, why)
                return
            told_of_parent = f"in the parent {parent.path}: "
            touched = [
                found for found in parent.findings if found.seq <= at.seq and found.what != "torn"
            ]
            for found in touched:
                yield found._replace(why=told_of_parent + found.why)
            if any(found.what in ("corrupt", "unsupported") for found in touched):
                return
            if at.seq >= parent.records or parent.hash_at(at.seq) != at.hash:
                why = f"{told}{parent.path} has no record {at.seq} with the hash named"
                yield Finding("corrupt", 0, 0, why)
                return
            child, told = parent, told_of_parent

    def find(self, session_id: str, folders: tuple[Path, Path]) -> Log | None:
        for folder in (*folders, *self.in_store(session_id)):
            try:
                log = self.read(folder / f"{session_id}.jsonl")
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not any(found.what == "unborn" for found in log.findings):
                return log
        return None

    def in_store(self, session_id: str) -> list[Path]:
        """Give the folder of a log in the store, by the UTC time in its id (§2)."""
        if not self.store:
            return []
        seconds = min(int.from_bytes(raw_id(session_id)[:6], "big") // 1000, YEAR_10000 - 1)
        hour = datetime.fromtimestamp(seconds, UTC)
        return [self.store / "sessions" / f"{hour:%Y-%m-%d}" / f"{hour:%H}"]


# --- Ed25519 (RFC 8032 §5.1), verification alone; points are (X, Y, Z, T) ---

Point = tuple[int, int, int, int]

FIELD = 2**255 - 19
GROUP = 2**252 + 27742317777372353535851937790883648493
CURVE = -121665 * pow(121666, -1, FIELD) % FIELD
SQRT_OF_MINUS_1 = pow(2, (FIELD - 1) // 4, FIELD)
NEUTRAL: Point = (0, 1, 1, 0)


def add_points(p: Point, q: Point) -> Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % FIELD, (p[1] + p[0]) * (q[1] + q[0]) % FIELD
    c, d = 2 * p[3] * q[3] * CURVE % FIELD, 2 * p[2] * q[2] % FIELD
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % FIELD, g * h % FIELD, f * g % FIELD, e * h % FIELD


def multiply(times: int, point: Point) -> Point:
    total = NEUTRAL
    while times:
        if times & 1:
            total = add_points(total, point)
        point, times = add_points(point, point), times >> 1
    return total


def read_point(data: bytes) -> Point | None:
    number = int.from_bytes(data, "little")
    odd, y = number >> 255, number & (2**255 - 1)
    if y >= FIELD:
        return None
    square = (y * y - 1) * pow(CURVE * y * y + 1, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if (x * x - square) % FIELD:
        x = x * SQRT_OF_MINUS_1 % FIELD
    if (x * x - square) % FIELD or (x == 0 and odd):
        return None
    x = x if x & 1 == odd else FIELD - x
    return x, y, 1, x * y % FIELD


def write_point(point: Point) -> bytes:
    inverse = pow(point[2], -1, FIELD)
    x, y = point[0] * inverse % FIELD, point[1] * inverse % FIELD
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = read_point((4 * pow(5, -1, FIELD) % FIELD).to_bytes(32, "little")) or NEUTRAL


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether an Ed25519 signature is the key's, of the message."""
    key = read_point(public)
    if key is None or len(signature) != 64:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    if scalar >= GROUP:
        return False
    challenge = sha512(signature[:32] + public + message).digest()
    minus_key = FIELD - key[0], key[1], 1, FIELD - key[3]
    times = int.from_bytes(challenge, "little") % GROUP
    found = add_points(multiply(scalar, BASE), multiply(times, minus_key))
    return write_point(found) == signature[:32]


# --- Signed notes, checkpoints and proofs (FORMAT.md §10) ---

MAX_NOTE, MAX_SIGNATURES, MAX_PATH = 1024 * 1024, 100, 63
PROOF = "c2sp.org/tlog-proof@v1"
ORIGIN = "session-store/session/"
NUMBER = re.compile("0|[1-9][0-9]{0,15}")


class Refused(Exception):
    """A proof is not of its form, or does not hold."""


def check(is_so: bool, why: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not is_so:
        raise Refused(why)


def read_base64(text: str) -> bytes:
    """Read standard base64 in its one canonical form."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    check(base64.b64encode(data).decode() == text, "what should be base64 is not")
    return data


def read_number(text: str) -> int:
    check(bool(NUMBER.fullmatch(text)) and int(text) <= MAX_UINT, f"not a number: {text[:40]!r}")
    return int(text)


def is_name(name: str) -> bool:
    return bool(name) and not any(c.isspace() or c == "+" or c < " " for c in name)


class Key(NamedTuple):
    name: str
    id: bytes
    public: bytes

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}"


def read_key(text: str) -> Key:
    """Read the text form of a public key: NAME+ID+BASE64."""
    name, _, rest = text.strip().partition("+")
    number, _, encoded = rest.partition("+")
    data = read_base64(encoded)
    check(is_name(name) and len(data) == 33 and data[0] == 1, "not an Ed25519 public key")
    own = sha256(name.encode() + b"\n" + data).digest()[:4]
    check(own.hex() == number, "the id of the public key is not its own")
    return Key(name, own, data[1:])


class Checkpoint(NamedTuple):
    origin: str
    size: int
    root: bytes
    key: Key


def read_checkpoint(note: str, keys: list[Key]) -> Checkpoint:
    """Read a signed note about a tree; what no given key has signed says nothing."""
    check(len(note.encode()) <= MAX_NOTE, "the note is larger than 1 MiB")
    check(not re.search("[\0-\t\v-\x1f]", note), "a control character in the note")
    text, gap, block = note.rpartition("\n\n")
    lines = block.removesuffix("\n").split("\n")
    check(bool(gap) and block.endswith("\n"), "the note has no signatures")
    check(len(lines) <= MAX_SIGNATURES, f"more than {MAX_SIGNATURES} signatures")
    signers = []
    for line in lines:
        name, _, encoded = line.removeprefix("\u2014 ").partition(" ")
        check(line.startswith("\u2014 ") and is_name(name), "a line of the note is no signature")
        data = read_base64(encoded)
        check(len(data) > 4, "a signature of the note is too short")
        for key in keys:
            if (key.name, key.id) == (name, data[:4]):
                holds = is_signed(key.public, f"{text}\n".encode(), data[4:])
                check(holds, f"a signature of {key} does not hold")
                signers.append(key)
    check(bool(signers), "no key that was given has signed the note")
    origin, size, root, *more = [*text.split("\n"), "", ""]
    check(len(more) > 1 and bool(origin) and all(more[:-2]), "the note is no checkpoint")
    tree = Checkpoint(origin, read_number(size), read_base64(root), signers[0])
    check(len(tree.root) == 32, "the root is no hash")
    check(tree.size > 0 or tree.root == sha256().digest(), "no leaves, but a root")
    return tree


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def root_of(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes | None:
    """Climb from a leaf to the root, as RFC 9162 §2.1.3.2 has it."""
    at, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if at % 2 or at == last:
            root = node(sibling, root)
            while at % 2 == 0 and at:
                at, last = at // 2, last // 2
        else:
            root = node(root, sibling)
        at, last = at // 2, last // 2
    return root if last == 0 else None


def continues(old: Checkpoint, new: Checkpoint, path: list[bytes]) -> bool:
    """Climb from the edge of the old tree to both roots, as RFC 9162 §2.1.4.2 has it."""
    if not 0 < old.size <= new.size:  # every log continues an empty one: that proves nothing
        return False
    if old.size == new.size:
        return not path and old.root == new.root
    hashes = path if old.size & (old.size - 1) else [old.root, *path]
    at, last = old.size - 1, new.size - 1
    while at % 2:
        at, last = at // 2, last // 2
    if not hashes:
        return False
    before = after = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if at % 2 or at == last:
            before, after = node(sibling, before), node(sibling, after)
            while at % 2 == 0 and at:
                at, last = at // 2, last // 2
        else:
            after = node(after, sibling)
        at, last = at // 2, last // 2
    return last == 0 and (before, after) == (old.root, new.root)


def session_of(tree: Checkpoint) -> str:
    session_id = tree.origin.removeprefix(ORIGIN)
    is_one = tree.origin.startswith(ORIGIN) and SESSION_ID.fullmatch(session_id)
    check(bool(is_one), f"not about a session: {tree.origin[:80]!r}")
    return session_id


def proven_record(extra: bytes, session_id: str) -> Record:
    """Read the record that a proof carries: its HEAD alone, or its line."""
    sid, line = raw_id(session_id), extra
    if not extra.endswith(b"}"):
        own = keyed("record", sid + extra).hex().encode()
        line = extra + b',"salt":null,"body":null,"hash":"' + own + b'"}'
    record = read_line(line, sid)
    if isinstance(record, str):
        raise Refused(f"the record in the proof does not hold: {record}")
    match = SEALED.fullmatch(line)
    check(line is extra or bool(match and match["head"] == extra), "the proof carries no HEAD")
    return record


def read_path(lines: list[str]) -> list[bytes]:
    path = [read_base64(line) for line in lines]
    is_path = len(path) <= MAX_PATH and all(len(one) == 32 for one in path)
    check(is_path, f"the path is not of up to {MAX_PATH} hashes")
    return path


def prove_record(proof: str, keys: list[Key]) -> Json:
    """Verify that a record is in a sealed log; give what that tells."""
    top, _, note = proof.partition("\n\n")
    lines = top.split("\n")
    check(lines[0] == PROOF and len(lines) >= 3, f"not a proof: no {PROOF}")
    is_form = lines[1].startswith("extra ") and lines[2].startswith("index ")
    check(is_form, "not a proof: a record and an index are expected")
    tree = read_checkpoint(note, keys)
    session_id = session_of(tree)
    record = proven_record(read_base64(lines[1].removeprefix("extra ")), session_id)
    index = read_number(lines[2].removeprefix("index "))
    check(index == record.seq and index < tree.size, "the index is not the record's")
    leaf = sha256(b"\0" + record.hash).digest()
    root = root_of(index, tree.size, leaf, read_path(lines[3:]))
    check(root == tree.root, "the path does not lead to the root that was signed")
    return {
        "session_id": session_id,
        "seq": record.seq,
        "ts": record.ts,
        "kind": record.kind,
        "hash": record.hash.hex(),
        "digest": record.digest.hex(),
        "form": record.form if record.body else "head",
        "body": record.body.decode("utf-8", "replace") if record.body else None,
        "size": tree.size,
        "key": str(tree.key),
    }


def prove_growth(proof: str, old_note: str, keys: list[Key]) -> Json:
    """Verify that one sealed log continues another; give what that tells."""
    top, _, note = proof.partition("\n\n")
    first, *lines = top.split("\n")
    check(first.startswith("old "), "not a proof that a log was continued")
    old, new = read_checkpoint(old_note, keys), read_checkpoint(note, keys)
    check(
        old.size == read_number(first.removeprefix("old ")), "the old checkpoint has another size"
    )
    check(old.origin == new.origin, "the checkpoints are of two logs")
    check(
        continues(old, new, read_path(lines)),
        "the path does not lead to both roots that were signed",
    )
    return {
        "session_id": session_of(new),
        "old_size": old.size,
        "size": new.size,
        "key": str(new.key),
    }


def read_text(path: str, limit: int) -> str:
    with open_regular(Path(path)) as file:
        data = file.read(limit + 1)
    check(len(data) <= limit, "larger than any proof")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused("not UTF-8") from None


def verify_proof(file: str, old: str | None, keys: list[Key]) -> Json:
    proof = read_text(file, 2 * MAX_LINE)
    if old is None:
        return prove_record(proof, keys)
    return prove_growth(proof, read_text(old, MAX_NOTE), keys)


def told(found: Json) -> str:
    if "old_size" in found:
        what = f"the first {found['size']} records continue the first {found['old_size']}"
    else:
        what = f"record {found['seq']} ({found['kind']}, hash {found['hash']})"
        what += f" is among the first {found['size']}"
    return f"PROVEN: {what} of session {found['session_id']}, signed by {found['key']}"


def run_proof(options: argparse.Namespace) -> int:
    """Verify one proof, say so, and give the exit code."""
    found, why, code = Json(), "", 0
    try:
        keys = [read_key(text) for text in options.key]
        found = verify_proof(options.proof, options.old, keys)
    except Refused as refused:
        why, code = str(refused), 1
    except OSError as problem:
        why, code = str(problem), 3
    status = ("proven", "refused", "", "error")[code]
    if options.json:
        told_of = {"file": options.proof, "status": status, **found, "why": why or None}
        print(json.dumps(told_of), flush=True)
    else:
        verdict = f"{status.upper()}: {why}" if why else told(found)
        print(printable(f"{options.proof}: {verdict}"), flush=True)
    return code


# --- The command line ---


def printable(text: str) -> str:
    """Keep the terminal safe from control codes in file names."""
    return text.encode("unicode_escape").decode()


def print_text(report: Report) -> None:
    status, findings = report.status, list(report.findings)
    if status == "intact" and report.log:
        verdict = f"INTACT, {report.log.records} records, head {report.log.head}"
    elif status == "error":
        verdict = f"ERROR: {report.error}"
    else:
        first = next(found for found in findings if found.what == status)
        findings.remove(first)
        verdict = f"{status.upper()} at {first.place}"
    lines = [f"{report.file}: {verdict}"]
    lines += [f"  {found.what} at {found.place}" for found in findings]
    for line in lines:
        print(printable(line), flush=True)


def print_json(report: Report) -> None:
    log = report.log
    record: Json = {
        "file": report.file,
        "session_id": report.session_id,
        "status": report.status,
        "records": log.records if log else 0,
        "head": log.head if log else None,
        "findings": [
            {"what": found.what, "line": found.line, **found._asdict()} for found in report.findings
        ],
    }
    print(json.dumps(record), flush=True)
    if report.error:
        print(printable(f"{report.file}: {report.error}"), file=sys.stderr, flush=True)


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(printable(message))

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if sys.stdout:  # a help text that nobody reads fails here, not at exit
            sys.stdout.flush()
        super().exit(status, message)


def parse_arguments() -> argparse.Namespace:
    about = (__doc__ or "").splitlines()[0]
    parser = Parser("verify_log.py", description=about, allow_abbrev=False)
    parser.add_argument("files", nargs="*", metavar="FILE", help="<session_id>.jsonl")
    parser.add_argument("--store", type=Path, metavar="DIR", help="where parents are")
    parser.add_argument("--allow-masked", action="store_true", help="masks are legal")
    parser.add_argument("--parse", action="store_true", help="parse every body as JSON")
    parser.add_argument("--json", action="store_true", help="one JSON object per file")
    parser.add_argument("--proof", metavar="FILE", help="verify a proof instead of logs")
    parser.add_argument("--key", action="append", default=[], help="the public key that counts")
    parser.add_argument("--old", metavar="FILE", help="the checkpoint that was continued")
    options = parser.parse_args()
    if bool(options.files) == bool(options.proof):
        parser.error("logs to verify, or one --proof")
    if bool(options.proof) != bool(options.key) or (options.old and not options.proof):
        parser.error("--proof needs --key NAME+ID+KEY; both, and --old, are of proofs alone")
    return options


def is_masked(store: Path) -> bool:
    try:
        with open_regular(store / "store.json") as file:
            settings = read_json(file.read(MAX_LINE))
    except OSError:
        return False
    return bool(settings and settings.get("masked") is not None)


def run() -> int:
    options = parse_arguments()
    if options.proof:
        return run_proof(options)
    masks = options.allow_masked or bool(options.store and is_masked(options.store))
    verifier, exit_code = Verifier(options.store, Rules(masks, options.parse)), 0
    for file in options.files:
        report = verifier.verify(file)
        (print_json if options.json else print_text)(report)
        exit_code = max(exit_code, report.exit_code)
    return exit_code


def main() -> int:
    try:
        return run()
    except (OSError, KeyboardInterrupt):
        # Nobody listens any more, and what is still buffered must not raise at exit.
        if sys.stdout:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 3


if __name__ == "__main__":
    sys.exit(main())
