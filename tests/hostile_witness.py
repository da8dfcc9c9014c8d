"""Hostile lines and logs, held against docs/verify_log.py: what one of the two takes, the other takes."""

import contextlib
from io import BytesIO
from pathlib import Path
from typing import Any

from blake3 import blake3
from verdicts import load_verify_log

from session_store.chain import Invalid, Record, check_line, other_version, root_head
from session_store.codec import hashed_entry, typed
from session_store.errors import Corrupt, InvalidInput, LimitExceeded, Unsupported
from session_store.ids import id_bytes
from session_store.positions import position_from
from session_store.redacted import Named, find_redactions, redaction_targets
from session_store.scan import Scanner
from session_store.testing.story import ROOT
from session_store.values import decode, encode, parse

witness: Any = load_verify_log()
"""docs/verify_log.py: its own grammar and rules, hashing by the library's BLAKE3 to be fast."""

slow_witness: Any = load_verify_log()
"""The same with its own BLAKE3."""

_KEYS = {
    role: blake3(b"", derive_key_context=f"session-store 2026-11 log v1 {role}").digest()
    for role in witness.KEYS
}
witness.keyed = lambda role, message: blake3(message, key=_KEYS[role]).digest()
_SLOW_ONE_IN = 64


def run_line(data: bytes) -> str:
    """What is no line is Invalid; what is one is one for the witness, field for field."""
    return max([_run_piece(piece) for piece in data.split(b"\n")], default="refused")


def _run_piece(line: bytes) -> str:
    judge = slow_witness if blake3(line).digest()[0] % _SLOW_ONE_IN == 0 else witness
    theirs = judge.read_line(line, id_bytes(ROOT))
    for ended in (True, False):
        with contextlib.suppress(Invalid):
            other_version(line, ROOT, ended=ended)
    try:
        ours = check_line(line, ROOT)
    except Invalid as invalid:
        assert isinstance(theirs, str), f"refused ({invalid}), but the witness accepts it"
        return "refused"
    assert not isinstance(theirs, str), f"accepted, but the witness says {theirs}"
    mine = (ours.seq, ours.ts, ours.kind, ours.batch, ours.prev_hash, ours.digest, ours.hash)
    seen = (*theirs[:5], theirs.digest.hex().encode(), _hash_of(line))
    assert mine == seen
    assert (ours.withheld or "complete", ours.body or b"") == (theirs.form, theirs.body)
    if ours.body is not None:
        _read_body(ours)
    return "taken"


def _hash_of(line: bytes) -> bytes:
    return bytes.fromhex(line[-66:-2].decode())


def _read_body(record: Record) -> None:
    assert record.body is not None
    is_json = witness.read_json(record.body) is not None
    try:
        ours = parse(record.body)
    except ValueError:
        ours = None
    assert is_json == isinstance(ours, dict), "one of the two parses this body"
    redaction_targets(record)
    position_from(record.body, "forked_from")
    try:
        entry = hashed_entry(record, ROOT, "a log")
    except Corrupt:
        return
    with contextlib.suppress(InvalidInput):
        typed(entry.kind, entry.body or {})
    try:
        again = decode(encode(dict(entry.body or {})))
    except LimitExceeded:  # A look-alike of a wrapper takes one more to be written.
        return
    assert repr(entry.body) == repr(again), "what was read does not survive being written"


def run_log(data: bytes) -> str:
    """The verdict of the scanner is that of the witness, however the bytes come in."""
    theirs = _witnessed(data)
    if theirs is None:
        return "body"
    for step in (max(len(data), 1), 7, 1 + len(data) % 600):
        ours = scanned(data, step)
        assert theirs == ours, f"in steps of {step}: {ours}, the witness: {theirs}"
    return theirs[0]


Verdict = tuple[str, int, int, int | None]
"""What is at the end; records that count; where the last append ends, or the damage stands; its seq."""


def scanned(data: bytes, step: int, named: Named | None = None) -> Verdict:
    if named is None:
        named = find_redactions((data[at : at + step] for at in range(0, len(data), step)), ROOT)
    scanner = Scanner("a log", root_head(ROOT), replacements=named)
    given: list[Record] = []
    for at in range(0, len(data), step):
        given += scanner.feed(data[at : at + step])
    try:
        tail = scanner.finish()
    except Unsupported:
        return "unsupported", 0, 0, None
    except Corrupt as error:
        return "corrupt", len(given), error.offset, error.seq
    given += tail.records
    assert [*range(len(given))] == [record.seq for record in given]
    state = tail.state if given else "unborn"
    return state.replace("_", "-"), len(given), scanner.end, None


def _witnessed(data: bytes) -> Verdict | None:
    log = witness.Log(Path(f"{ROOT}.jsonl"), witness.Rules(False, False))
    log.scan(BytesIO(data), len(data))
    told = ("unsupported", "corrupt", "torn", "unborn", "missing-lf")
    found = next((f for f in log.findings if f.what in told), None)
    if found is not None and found.why == "the body is not a JSON object":
        return None  # The scanner leaves that to whoever reads the body.
    if found is None:
        return "clean", log.records, log.end, None
    if found.what == "unsupported":
        return "unsupported", 0, 0, None
    if found.what == "corrupt":
        return "corrupt", log.records, found.offset, found.seq
    end = log.end
    if found.what == "missing-lf":  # The witness counts a wrong byte in the LF's place.
        end -= isinstance(witness.read_line(data[found.offset :], log.sid), str)
    return found.what, log.records, end, None
