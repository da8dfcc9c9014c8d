"""The limits of docs/FORMAT.md §8, at them and one beyond: writer, reader and stand-alone verifier agree."""

from collections.abc import Callable

import pytest
from attrs import frozen
from hostile_lines import HEXES, KINDS, SALTS, START, UINTS, Fields
from hostile_stores import kept, stored
from hostile_witness import run_line, slow_witness, witness

from session_store import blocking
from session_store.chain import Invalid, check_line
from session_store.errors import Corrupt, InvalidInput
from session_store.ids import id_bytes
from session_store.limits import APPEND_BYTES_MAX, BATCH_MAX, DEPTH_MAX, KEYS_MAX, LINE_BYTES_MAX
from session_store.testing.story import ROOT, Story, begun
from session_store.values import parse


def fields(**changed: object) -> Fields:
    return Fields(**{"seq": b"1", "ts": b"2", "prev": b"0" * 64, **changed})


def of_size(size: int) -> Fields:
    """Return a line of *size* bytes, its LF included."""
    short, _ = fields(body=b'{"a":""}').line(ROOT)
    return fields(body=b'{"a":"%b"}' % (b"x" * (size - 1 - len(short))))


@frozen
class Limit:
    """A line at a limit, and one that is beyond it."""

    within: Callable[[], Fields]
    beyond: Callable[[], Fields]


SAFE = b"%d" % (2**53 - 1)
LIMITS = {
    "16 MiB": Limit(lambda: of_size(LINE_BYTES_MAX), lambda: of_size(LINE_BYTES_MAX + 1)),
    "4,096 records": Limit(lambda: fields(batch=b"4095"), lambda: fields(batch=b"4096")),
    "seq": Limit(lambda: fields(seq=SAFE), lambda: fields(seq=b"9007199254740992")),
    "ts": Limit(lambda: fields(ts=SAFE), lambda: fields(ts=b"9007199254740992")),
    "digits": Limit(lambda: fields(seq=SAFE), lambda: fields(seq=b"1" + b"0" * 16)),
    "kind": Limit(lambda: fields(kind=b"a" * 64), lambda: fields(kind=b"a" * 65)),
}


def accepts(line: bytes) -> tuple[bool, bool]:
    """Return whether the library takes *line*, and whether the stand-alone verifier does."""
    theirs = witness.read_line(line, id_bytes(ROOT))
    try:
        check_line(line, ROOT)
    except Invalid:
        return False, not isinstance(theirs, str)
    return True, not isinstance(theirs, str)


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_a_line_at_a_limit_is_read_and_one_beyond_is_not(limit: Limit) -> None:
    """Though every hash of both holds."""
    within, _ = limit.within().line(ROOT)
    beyond, _ = limit.beyond().line(ROOT)

    assert ((True, True), (False, False)) == (accepts(within), accepts(beyond))


VARIANTS = {
    "seq": UINTS,
    "ts": UINTS,
    "batch": UINTS,
    "version": UINTS,
    "kind": KINDS,
    "prev": HEXES,
    "digest": HEXES,
    "hash": HEXES,
    "mask": HEXES,
    "salt": SALTS,
}


@pytest.mark.parametrize("form", ["complete", "masked", "erased"])
@pytest.mark.parametrize("name", VARIANTS)
def test_both_readers_judge_every_field_alike(name: str, form: str) -> None:
    """Whatever stands in it, hashed anew; by the verifier's own hash function too."""
    for value in VARIANTS[name]:
        line, _ = fields(form=form, **{name: value}).line(ROOT)
        run_line(line)
        is_record = not isinstance(slow_witness.read_line(line, id_bytes(ROOT)), str)
        # A line end in a field makes two lines of it, and neither is one.
        assert accepts(line)[0] == is_record


BODIES = {
    "depth 200": (b'{"a":' * DEPTH_MAX + b"0" + b"}" * DEPTH_MAX, True),
    "depth 201": (b'{"a":' * (DEPTH_MAX + 1) + b"0" + b"}" * (DEPTH_MAX + 1), False),
    "depth 201 in a value that counts for nothing": (
        b'{"a":%b,"a":0}' % (b"[" * DEPTH_MAX + b"]" * DEPTH_MAX),
        False,
    ),
    "a surrogate in a value that counts for nothing": (b'{"a":"\\ud800","a":0}', False),
    "a surrogate in a name that is given twice": (b'{"\\ud800":0,"\\ud800":1}', False),
    "a name given twice": (b'{"a":[],"a":0}', True),
    "an integer of 400 digits": (b'{"a":%b}' % (b"9" * 400), False),
    "an integer of 300 digits": (b'{"a":%b}' % (b"9" * 300), True),
}


@pytest.mark.parametrize(("body", "is_json"), BODIES.values(), ids=BODIES)
def test_both_readers_agree_on_what_a_body_may_be(body: bytes, is_json: bool) -> None:
    """What the last of two equal names hides must be JSON within the limits too."""
    try:
        ours = isinstance(parse(body), dict)
    except ValueError:
        ours = False

    assert (is_json, is_json) == (ours, witness.read_json(body) is not None)


def test_lines_beyond_a_limit_are_not_taken_in() -> None:
    """Of another store: too long a line, too many records, too many bytes; nothing is written."""
    story = begun()
    head = story.head
    after = {"seq": b"1", "ts": b"%d" % head.ts, "prev": head.hash.hex().encode()}
    long, _ = Fields(**{**after, "body": of_size(LINE_BYTES_MAX + 1).body}).line(ROOT)
    many, _ = Fields(**after, batch=b"%d" % (BATCH_MAX + 1)).line(ROOT)
    with blocking.open_store("memory:") as store:
        store.append_lines(ROOT, story.data)
        for lines, error in (
            (long + b"\n", Corrupt),
            (many + b"\n", Corrupt),
            (bytes(APPEND_BYTES_MAX + 1), InvalidInput),
            (b"", InvalidInput),
        ):
            with pytest.raises(error):
                store.append_lines(ROOT, lines)
        assert head.position == store.head(ROOT)
        assert "INTACT" == blocking.verify(store, ROOT).level


def test_a_damaged_line_of_16_mib_is_found_in_a_store() -> None:
    """And cut by repair, with all of it kept."""
    story = Story(ROOT).append_bodies(("session_start", START))
    body = of_size(LINE_BYTES_MAX - 100).body
    data = story.append_bodies(("my.kind", body)).append_bodies(("my.kind", b"{}")).data
    files, core = stored(data.replace(b"xxx", b"xyx", 1))
    done = core.repair(ROOT)

    assert (len(story.lines[0]), 1) == (done.cut_at, done.head.seq)
    assert len(data) - done.cut_at == done.removed == len(kept(files)[done.quarantine or ""])


def test_limits_are_the_numbers_of_the_format() -> None:
    """docs/FORMAT.md §8; writers and readers keep them (test_chain, test_values, test_fs_lines)."""
    assert (4_096, 1 << 26, 1 << 24, 200, 10_000) == (
        BATCH_MAX + 1,
        APPEND_BYTES_MAX,
        LINE_BYTES_MAX,
        DEPTH_MAX,
        KEYS_MAX,
    )
