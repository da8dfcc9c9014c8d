"""What fuzzing has found once: each with the smallest input that shows it."""

import json
from pathlib import Path

import orjson
import pytest
from cli_tools import Cli
from hostile_witness import run_line, witness
from parse_tools import said

from session_store import blocking
from session_store.entries import UnknownEntry
from session_store.interop.claude_code import read_claude_code
from session_store.testing.story import begun

WIDEST = 10**4_300 - 1
"""The integer with the most digits that a body can carry."""


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(str(tmp_path / "store"))


TYPELESS = {
    "no type and no role": {"message": {"content": "x"}},
    "no type": {"message": {"role": "user", "content": "x"}},
    "a type of another shape": {"type": ["user"], "message": {"role": ["user"], "content": "x"}},
    "null": {"type": None, "message": {"role": None, "content": "x"}},
    "neither user nor assistant": {"type": "tool", "message": {"role": "tool", "content": "x"}},
}


@pytest.mark.parametrize("odd", TYPELESS.values(), ids=TYPELESS)
def test_a_message_of_no_known_type_is_kept_as_it_is(tmp_path: Path, odd: object) -> None:
    """Importing goes on behind it, and the line is in an extension, whole."""
    path = tmp_path / "x.jsonl"
    path.write_text(
        "".join(json.dumps(x) + "\n" for x in (said("user", "hi"), odd, said("user", "x")))
    )
    (found,) = read_claude_code(path)

    assert (3, 2, 1) == (found.report.lines, found.report.mapped, sum(found.report.kept.values()))
    assert odd in [getattr(entry, "payload", None) for group in found.appends for _, entry in group]


def test_sums_of_more_digits_than_can_be_written_are_told(cli: Cli) -> None:
    """`usage` answers, though no body could carry the sum."""
    counts = dict.fromkeys(("history_len", "input_total_tokens", "output_tokens"), WIDEST)
    with blocking.open_store(cli.store) as store:
        session = blocking.create_session(store)
        for _ in range(2):
            body = {**counts, "cache_read_tokens": 0, "cache_write_tokens": 0}
            session.append(UnknownEntry("llm_usage", body))

    assert "very many" in cli.ok("usage", session.id).out
    for command in ("usage", "state"):
        assert 1 == cli(command, session.id, "--json").code


def test_times_too_far_apart_for_a_float_are_replayed(cli: Cli) -> None:
    """The pause between them is the longest there is, as for any long gap."""
    wrapped = {"$ss": ["int", str(WIDEST)]}
    event = {"turn": wrapped, "kind": "lifecycle", "label": "x", "data": 1}
    lines = [orjson.dumps({**event, "ts": ts}) + b"\n" for ts in (0, wrapped)]
    with blocking.open_store(cli.store) as store:
        session = blocking.create_session(store)
        store.inner.core.append_trace(session.id, b"".join(lines))

    assert 2 == len(cli.ok("trace", session.id, "--replay", "1e9", "--json").lines)


@pytest.mark.parametrize("limit", [str(2**63 - 1), "9" * 40])
def test_a_limit_beyond_every_count_lists_all(cli: Cli, limit: str) -> None:
    with blocking.open_store(cli.store) as store:
        blocking.create_session(store)

    assert cli.ok("ls").out == cli.ok("ls", "--limit", limit).out


def test_a_store_below_a_name_of_other_bytes_lists_its_damage(tmp_path: Path) -> None:
    """In JSON too, which cannot carry such a name."""
    cli = Cli(str(tmp_path / "\udcff"))
    story = begun()
    with blocking.open_store(cli.store) as store:
        store.append_lines(story.session_id, story.data)
        log = Path(store.path(story.session_id))
    log.write_bytes(story.data.replace(b"brief", b"Brief"))
    (listed,) = cli.ok("ls", "--json").json()["sessions"]

    assert "\\udcff" in listed["damage"]


HIDDEN = {
    "a surrogate": b'{"a":"\\ud800","a":0}',
    "too deep a value": b'{"a":%b,"a":0}' % (b"[" * 200 + b"]" * 200),
}


@pytest.mark.parametrize("body", HIDDEN.values(), ids=HIDDEN)
def test_what_a_repeated_name_hides_is_no_body_for_either_verifier(body: bytes) -> None:
    """docs/FORMAT.md §3 is about the bytes, not about what is left of them."""
    story = begun().append_bodies(("my.kind", body))

    assert witness.read_json(body) is None
    assert "taken" == run_line(story.lines[1].removesuffix(b"\n"))
