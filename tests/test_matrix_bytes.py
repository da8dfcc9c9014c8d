"""Odd and damaged bytes at rest: rows 36 to 44, 48 and 49 of the fault matrix."""

import json
import random
from collections.abc import Callable, Iterator
from itertools import combinations, permutations
from os import urandom
from pathlib import Path

import orjson
import pytest
from cli_tools import Cli
from crash.exhaustive import StoredLog, Verdict, as_readers_see, good_log, judge
from fs_tools import kinds, note, records, start
from matrix_tools import ENTRIES, lines, log, put

from session_store import blocking
from session_store.chain import Invalid, check_line, compute_hash, link, root_head
from session_store.codec import draft
from session_store.entries import UnknownEntry
from session_store.errors import (
    ChainBroken,
    Corrupt,
    NotFound,
    SessionStoreError,
    Unsupported,
)
from session_store.ids import new_session_id
from session_store.stores import ANY
from session_store.stores.face import InlineFace
from session_store.stores.fs import layout


def oracle(changed: list[bytes]) -> Verdict:
    """Corrupt at the first line that is another one; cut there, if there is none."""
    good = lines()
    same = next((n for n, (a, b) in enumerate(zip(good, changed, strict=False)) if a != b), None)
    if same is None:
        same = min(len(good), len(changed))
        if same == len(changed):
            return log().after_cut(log().lines[same])
    begin = log().lines[same]
    return Verdict("corrupt", log().whole_before(begin), same, begin)


def hold_against_the_oracle(edits: Iterator[tuple[str, list[bytes]]]) -> int:
    """Assert the verdict of each edit: the scanner's of all, the store's of every fifth."""
    stored, count = StoredLog(log()), 0
    for name, changed in edits:
        expected = oracle(changed)
        data = b"".join(changed)
        assert expected == judge(data, root_head(log().session_id), 0), name
        if count % 5 == 0:
            assert as_readers_see(expected) == stored.read(data), name
        count += 1
    return count


# -- row 39: lines removed, doubled, moved, exchanged, brought in --------------------------------


def line_edits() -> Iterator[tuple[str, list[bytes]]]:
    good = lines()
    for i in range(ENTRIES):
        yield f"without {i}", [*good[:i], *good[i + 1 :]]
    for i, j in combinations(range(ENTRIES), 2):
        yield f"without {i} to {j}", [*good[:i], *good[j + 1 :]]
        yield f"without {i} and {j}", [*good[:i], *good[i + 1 : j], *good[j + 1 :]]
        yield (
            f"{i} and {j} exchanged",
            [*good[:i], good[j], *good[i + 1 : j], good[i], *good[j + 1 :]],
        )
    for i, j in permutations(range(ENTRIES), 2):
        yield f"{i} again before {j}", [*good[:j], good[i], *good[j:]]
        rest = [*good[:i], *good[i + 1 :]]
        yield f"{i} moved to {j}", [*rest[:j], good[i], *rest[j:]]


def test_no_line_can_be_removed_doubled_or_moved_unseen() -> None:
    """Every line and every pair; only an end cut off at a whole append goes unseen, as is said."""
    assert 1900 < hold_against_the_oracle(line_edits())


def test_no_line_of_another_log_can_be_brought_in() -> None:
    """Of another session, and of this one's own id with another history, at every place."""
    good, other, twin = lines(), good_log(ENTRIES, seed=4), good_log(ENTRIES, seed=5)
    own, head = link(root_head(log().session_id), 1, start(log().session_id))
    history = own + link(head, 2, [note() for _ in range(ENTRIES - 1)])[0]
    foreign = [g.data.splitlines(keepends=True) for g in (other, twin)]
    foreign.append(history.splitlines(keepends=True))
    edits = (
        (f"line of {which} at {i}", [*good[:i], *strange, *good[i + cut :]])
        for which, source in enumerate(foreign)
        for i in range(which == 2, ENTRIES)  # Another beginning for the same id holds by itself.
        for cut in (0, 1)
        for strange in ([source[i]], source[i:])
    )
    assert 280 < hold_against_the_oracle(edits)


# -- rows 40 and 41: glued and strange lines -----------------------------------------------------


def test_a_torn_line_glued_to_the_next_is_corrupt_where_it_began() -> None:
    """Torn at every byte: what a writer that does not look at the end leaves; nothing is skipped."""
    good = lines()
    edits = (
        (f"line {i} torn at {k}", [*good[:i], good[i][:k] + good[i + 1], *good[i + 2 :]])
        for i in range(ENTRIES - 1)
        for k in range(i % 5, len(good[i]), 5)
    )
    assert 1000 < hold_against_the_oracle(edits)


STRANGE = {
    "an empty line": (b"\n", "an empty line"),
    "blanks": (b"  \n", "not a record"),
    "a tab": (b"\t\n", "not a record"),
    "CRLF alone": (b"\r\n", "carriage return"),
    "a byte-order mark alone": (b"\xef\xbb\xbf\n", "byte-order mark"),
    "a NUL": (b"\0\n", "NUL"),
    "a conflict of git": (b"<<<<<<< HEAD\n", "another program"),
    "JSON of another program": (b'{"type":"user","uuid":"x"}\n', "another program"),
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_a_strange_line_is_corrupt_at_its_place_and_says_why(strange: tuple[bytes, str]) -> None:
    """Before every line and behind the last."""
    line, why = strange
    good = lines()
    for i in range(ENTRIES + 1):
        hold_against_the_oracle(iter([(f"at {i}", [*good[:i], line, *good[i:]])]))
    assert why in why_of(b"".join([*good[:7], line, *good[7:]]))


CHANGED_LINES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "CRLF": (lambda line: line[:-1] + b"\r\n", "other line ends"),
    "byte-order mark": (lambda line: b"\xef\xbb\xbf" + line, "editor"),
    "a blank before": (lambda line: b" " + line, "does not begin as a record"),
    "a blank behind": (lambda line: line[:-1] + b" \n", "does not end as a record"),
    "a CR for its LF": (lambda line: line[:-1] + b"\r", "carriage return"),
}


@pytest.mark.parametrize("change", CHANGED_LINES.values(), ids=CHANGED_LINES)
def test_a_line_that_an_editor_changed_is_corrupt_and_says_why(
    change: tuple[Callable[[bytes], bytes], str],
) -> None:
    """Every line but the last, whose line end may be another byte."""
    edit, why = change
    good = lines()
    for i in range(ENTRIES - 1):
        data = b"".join([*good[:i], edit(good[i]), *good[i + 1 :]])
        begin = log().lines[i]
        found = judge(data, root_head(log().session_id), 0)
        assert Verdict("corrupt", log().whole_before(begin), i, begin) == found
        assert why in why_of(data)


def why_of(data: bytes) -> str:
    core = put(data)
    with pytest.raises(Corrupt) as raised:
        list(core.read(log().session_id))
    return raised.value.why


# -- row 42: written anew by other programs ------------------------------------------------------


def rewritten(**options: object) -> Callable[[bytes], bytes]:
    return lambda line: json.dumps(json.loads(line), **options).encode() + b"\n"


REWRITTEN: dict[str, Callable[[bytes], bytes]] = {
    "json.dumps": rewritten(),
    "json.dumps, sorted keys": rewritten(sort_keys=True, separators=(",", ":")),
    "pretty": rewritten(indent=2),
    "orjson, sorted keys": lambda line: orjson.dumps(
        orjson.loads(line), option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    ),
}


@pytest.mark.parametrize("rewrite", REWRITTEN.values(), ids=REWRITTEN)
@pytest.mark.parametrize(
    "which", [range(1), range(4, 5), range(ENTRIES)], ids=["first", "one", "all"]
)
def test_what_another_program_wrote_anew_is_corrupt_with_a_hint(
    tmp_path: Path, rewrite: Callable[[bytes], bytes], which: range
) -> None:
    """The same JSON is not the same bytes: verify says where and what may have happened, exit code 1."""
    cli = Cli(str(tmp_path / "store"))
    cli.ok("new")
    changed = [rewrite(line) if n in which else line for n, line in enumerate(lines())]
    path = Path(cli.store) / layout.log_path(log().session_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(changed))
    said = cli("verify", log().session_id)
    assert 1 == said.code
    assert f"line {which[0] + 1}, byte {log().lines[which[0]]}" in said.out
    assert "was the file written by another program?" in said.out
    assert str(path) in said.out
    shown = cli("show", log().session_id)
    assert (1, True) == (shown.code, "session-store: hint: " in shown.err)


def test_what_another_program_wrote_byte_for_byte_holds() -> None:
    """jq -c, say, of bodies without escapes or numbers that it writes otherwise."""
    same = [rewritten(separators=(",", ":"), ensure_ascii=False)(line) for line in lines()]
    assert lines() == same


# -- rows 43 and 44: next to nothing, and holes --------------------------------------------------

NOTHINGS = [b"", *(bytes([n]) for n in range(256)), *(bytes(n) for n in (15, 16, 17, 4096, 70_000))]
NOTHINGS += [b"\n" * n for n in (2, 100)] + [b"\0\n", bytes(16) + b"\n", b"{}", b"{}\n", b"null\n"]


def test_next_to_nothing_is_unborn_or_corrupt_and_never_a_crash() -> None:
    """Whole lines that are none are damage of the first append; what has no line end was never born."""
    sid = log().session_id
    for data in NOTHINGS:
        core = put(data)
        is_corrupt = b"\n" in data and bytes(16) not in data
        expected = Corrupt if is_corrupt else NotFound
        for call in (core.head, core.repair, lambda sid, core=core: list(core.read(sid))):
            with pytest.raises((Corrupt, NotFound)) as raised:
                call(sid)
            assert expected is type(raised.value) or call == core.repair, data[:20]
        assert data == b"".join(core.raw(sid))
        assert [] == list(core.list()) or is_corrupt
        if not is_corrupt:
            core.create(sid, start(sid))
            assert ["session_start"] == kinds(core, sid)


def test_lost_pages_are_corrupt_unless_nothing_holds_behind_them() -> None:
    """Every run of pages as NULs, as a hole in a file reads: with its place, never "end of log"."""
    page = 1024
    good, end = log(), len(log().data)
    stored = StoredLog(good)
    pages = -(-end // page)
    for first, behind in combinations(range(pages + 1), 2):
        begin, stop = first * page, min(behind * page, end)
        data = good.data[:begin] + bytes(stop - begin) + good.data[stop:]
        line = max(n for n, at in enumerate(good.lines[:-1]) if at <= begin)
        at = good.lines[line]
        # The first line that holds behind the hole, if there is one.
        is_corrupt = any(stop <= n for n in good.lines[:-1])
        last = good.whole_before(at)
        verdict = Verdict("corrupt", last, line, at) if is_corrupt else Verdict("torn", last)
        assert as_readers_see(verdict) == stored.read(data), (begin, stop)


# -- row 48: versions, kinds, fields ------------------------------------------------------------


def test_another_version_is_refused_with_both_numbers() -> None:
    """As the whole log, not as damage of it; nothing is changed by an append or a repair."""
    data = log().data.replace(b'{"v":1', b'{"v":7').replace(b'"digest":"', b'"digest7":"')
    core = put(data)
    for call in (core.head, core.repair, lambda sid: core.append(sid, [note()], expected=ANY)):
        with pytest.raises(Unsupported, match="version 7, supported is 1"):
            call(log().session_id)
    assert data == b"".join(core.raw(log().session_id))


def test_an_unknown_kind_passes_and_an_unknown_field_of_the_line_does_not() -> None:
    """Kinds are the writers' business, the line is the format's, however right its hash is."""
    sid = new_session_id()
    first, head = link(root_head(sid), 1, start(sid))
    line, _ = link(head, 2, [draft(UnknownEntry("x.kind", {"a": 1}), urandom(16))])
    assert "x.kind" == check_line(line[:-1], sid).kind
    at = line.index(b',"salt"')
    for extra in (b',"extra":1', b',"v":1', b" "):
        changed = line[:at] + extra
        digest = compute_hash(sid, changed).hex().encode()
        forged = changed + line[at:-67] + digest + b'"}'
        with pytest.raises(Invalid):
            check_line(forged, sid)
    assert first


# -- row 49: anything ---------------------------------------------------------------------------


def mutated(rng: random.Random) -> bytes:
    """Return the log with a few things done to it that know where lines and fields are."""
    data = bytearray(log().data)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at = rng.choice([rng.randrange(len(data)), data.find(b'"', rng.randrange(len(data))) + 1])
        size = rng.choice([0, 1, 2, 16, 64, 600])
        piece = rng.randrange(len(data))
        tokens = [b"", b"\n", b"\0" * 16, b'"', b"9" * 17, b"-1", b"null", b"\xff", b'"batch":0']
        tokens += [
            bytes(data[piece : piece + size]),
            rng.randbytes(size),
            bytes([rng.randrange(256)]),
        ]
        data[at : at + rng.choice([0, 1, size])] = rng.choice(tokens)
    return bytes(data)


def test_mutated_logs_give_typed_errors_and_no_record_that_was_not_there() -> None:
    """Whatever is read was written, in its order; a repair ends with a log that takes appends."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng, good = random.Random(seed), [line[:-1] for line in lines()]
    for _ in range(400):
        core, found = put(mutated(rng)), []
        try:
            for batch in core.read(log().session_id):
                found += [r.line for r in batch]
        except SessionStoreError as error:
            assert type(error) in (Corrupt, ChainBroken, NotFound, Unsupported)
        assert good[: len(found)] == found
        try:
            core.repair(log().session_id)
        except (NotFound, Unsupported):
            assert [] == found
        else:
            core.append(log().session_id, [note()], expected=ANY)
            assert (
                good[: len(found)]
                == [r.line for r in records(core, log().session_id)][: len(found)]
            )


def test_a_mutated_log_is_salvaged_or_nothing_in_it_can_be_read() -> None:
    """What is rescued restores; the original is as it was."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(60):
        data = mutated(rng)
        opened = blocking.Store(InlineFace(put(data)))
        try:
            salvaged = blocking.salvage(opened, log().session_id)
        except NotFound:
            continue
        blocking.restore(opened, salvaged.id)
        assert [] == blocking.verify(opened, salvaged.id).problems
        assert data == b"".join(opened.inner.core.raw(log().session_id))
