"""Every command on a store, for people and for programs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_tools import FIXTURES, Cli, flip, record_session

from session_store import TurnEnd, blocking
from session_store.cli.text import width


@pytest.fixture
def store(tmp_path: Path) -> Iterator[blocking.Store]:
    with blocking.open_store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(str(tmp_path / "store"))


@pytest.fixture
def session(store: blocking.Store) -> blocking.Session:
    return record_session(store)


READS = {
    "ls": ["ls"],
    "show": ["show", "ID"],
    "show --full": ["show", "ID", "--full"],
    "show --at": ["show", "ID", "--at", "turn:1"],
    "log": ["log", "ID"],
    "state": ["state", "ID"],
    "verify": ["verify", "ID"],
    "verify --all": ["verify", "--all", "--parse"],
    "tree": ["tree"],
    "usage": ["usage", "ID"],
    "trace": ["trace", "ID"],
    "trace --check": ["trace", "ID", "--check"],
    "du": ["du"],
}


def files_of(cli: Cli) -> dict[str, bytes]:
    """Return the files of the store; what `verify` remembers of heads is no part of it."""
    found = (path for path in Path(cli.store).rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in found if path.name != "heads.db"}


@pytest.mark.parametrize("arguments", READS.values(), ids=READS)
def test_reading_fits_80_columns_and_has_a_json_form(
    cli: Cli, session: blocking.Session, arguments: list[str]
) -> None:
    """What is piped is 80 columns wide; each line of JSON is a document; no log is touched."""
    given = [session.id if word == "ID" else word for word in arguments]
    before = files_of(cli)

    assert all(width(line) <= 80 for line in cli.ok(*given).lines)
    for line in cli.ok(*given, "--json").lines:
        assert isinstance(json.loads(line), dict)
    assert before == files_of(cli)


def test_ls_tells_newest_first_what_a_session_is_about(
    cli: Cli, store: blocking.Store, session: blocking.Session
) -> None:
    """Id, entries, size, title, labels and origin are listed."""
    fork = blocking.fork_at(store, session.id, 3, labels={"title": "Branch", "n": "1"})
    listed = cli.ok("ls", "--json").json()["sessions"]

    assert [fork.id, session.id] == [one["session_id"] for one in listed]
    assert ["Branch", "How warm is it in Oslo?"] == [one["title"] for one in listed]
    assert {"title": "Branch", "n": "1"} == listed[0]["labels"]
    assert 3 == listed[0]["forked_from"]["seq"]
    assert session.head.seq + 1 == listed[1]["entries"]


def test_ls_stops_at_its_limit_and_says_so(cli: Cli, store: blocking.Store) -> None:
    """More than --limit sessions are only hinted at."""
    for _ in range(3):
        blocking.create_session(store)

    assert cli.ok("ls", "--limit", "2", "--json").json()["more"]
    assert "older ones" in cli.ok("ls", "--limit", "2").lines[-1]
    assert 3 == len(cli.ok("ls", "--all", "--json").json()["sessions"])


def test_ls_finds_a_session_by_its_key(cli: Cli, session: blocking.Session) -> None:
    """An external key leads to its session, an unknown one to none."""
    found = cli.ok("ls", "--key", "tests:1", "--json").json()["sessions"]

    assert [session.id] == [one["session_id"] for one in found]
    assert [] == cli.ok("ls", "--key", "tests:2", "--json").json()["sessions"]


def test_a_new_session_begins_as_asked(cli: Cli) -> None:
    """Prompt, config, labels and key are recorded, and a store is made for it."""
    config = '{"model": "m", "t": 0.5}'
    options = ["--system-prompt", "Be brief.", "--config", config, "--label", "a=b=c"]
    (session_id,) = cli.ok("new", *options, "--key", "k:1").lines
    state = cli.ok("state", session_id, "--json").json()

    assert "Be brief." == state["system_prompt"]
    assert {"model": "m", "t": 0.5} == state["config"]
    assert {"a": "b=c"} == state["labels"]
    assert session_id in cli("new", "--key", "k:1").err


def test_show_reads_as_a_conversation(cli: Cli, session: blocking.Session) -> None:
    """Roles, text, calls, results and turns come in order."""
    shown = cli.ok("show", session.id).out
    words = ["user (seq 1)", "Oslo?", "call (seq 2)", "weather Oslo", "100 in (60 cached)"]
    words += ["result", "4 °C", "turn 1", "You are welcome.", "turn 2", "And in Lima?"]
    places = [shown.index(word) for word in words]

    assert sorted(places) == places


def test_show_includes_what_a_fork_inherited(
    cli: Cli, store: blocking.Store, session: blocking.Session
) -> None:
    """A fork's conversation begins with its parent's, up to where it was forked."""
    fork = blocking.fork_at(store, session.id, blocking.restore(store, session.id).turns[1])
    shown = cli.ok("show", fork.id).out

    assert "Oslo?" in shown
    assert "Thanks." not in shown
    assert f"forked from {session.id}" in shown


def test_show_abbreviates_results_unless_asked_for_all(
    cli: Cli, store: blocking.Store, session: blocking.Session
) -> None:
    """A long tool result is cut, and --full gives it whole."""
    output = "\n".join(f"line {n}" for n in range(50))
    result = {"type": "function_call_output", "call_id": "c2", "output": output}
    session.save_delta([result])

    assert "line 49" not in cli.ok("show", session.id).out
    assert "line 49" in cli.ok("show", session.id, "--full").out


def test_log_gives_the_entries_between_two_seqs(cli: Cli, session: blocking.Session) -> None:
    """Both ends belong to what is listed, and bodies come as they are stored."""
    lines = cli.ok("log", session.id, "--from", "1", "--to", "3", "--json").lines
    entries = [json.loads(line) for line in lines]

    assert [1, 2, 3] == [entry["seq"] for entry in entries]
    assert "llm_usage" == entries[2]["kind"]
    assert 60 == entries[2]["body"]["cache_read_tokens"]
    assert 3 == len(cli.ok("log", session.id, "--from", "1", "--to", "3").lines)


def test_state_names_what_a_crash_left_open(cli: Cli, session: blocking.Session) -> None:
    """The open run and the call without a result are in both forms."""
    state = cli.ok("state", session.id, "--json").json()
    told = cli.ok("state", session.id).out

    assert ["c2"] == state["open_calls"]
    assert state["open_run"]["seq"] == session.head.seq - 2
    assert "never ended" in told
    assert "c2: no result, outcome unknown" in " ".join(told.split())


def test_state_at_a_turn_a_seq_or_a_hash_is_the_same(cli: Cli, session: blocking.Session) -> None:
    """One entry has three names."""
    first = cli.ok("state", session.id, "--at", "turn:1", "--json").json()
    head = first["head"]

    for point in (str(head["seq"]), head["hash"], f"{session.id}:{head['seq']}:{head['hash']}"):
        assert first == cli.ok("state", session.id, "--at", point, "--json").json()
    assert 1 == first["turn_count"]


def test_fork_prints_the_id_of_the_branch(cli: Cli, session: blocking.Session) -> None:
    """The fork stands at the point, carries its labels, and the tree shows it."""
    (child,) = cli.ok("fork", session.id, "--at", "turn:1", "--label", "b=1").lines
    state = cli.ok("state", child, "--json").json()
    tree = cli.ok("tree", child, "--json").json()["sessions"]

    assert (1, {"team": "a", "b": "1"}) == (state["turn_count"], state["labels"])
    assert [(session.id, 0), (child, 1)] == [(s["session_id"], s["depth"]) for s in tree]
    assert f"{child[:13]}" in cli.ok("tree").out


def test_a_copied_fork_stands_by_itself(cli: Cli, session: blocking.Session) -> None:
    """With --copy the source can be deleted."""
    made = cli.ok("fork", session.id, "--copy", "--json").json()
    cli.ok("delete", session.id, "--yes")

    assert session.id == made["forked_from"]["session_id"]
    cli.ok("verify", made["session_id"])


def test_labels_are_set_and_taken_away(cli: Cli, session: blocking.Session) -> None:
    """K= removes; what is left is printed."""
    assert ["team=a", "x=1"] == cli.ok("label", session.id, "x=1").lines
    assert {"x": "1"} == cli.ok("label", session.id, "team=", "--json").json()["labels"]


def test_a_tree_of_any_depth_is_drawn(cli: Cli, store: blocking.Store) -> None:
    """Generations beyond what a screen holds are numbered."""
    session = blocking.create_session(store)
    for _ in range(40):
        session = blocking.fork(store, session.id)
    lines = cli.ok("tree", session.id).lines

    assert 41 == len(lines)
    assert "generation 40" in lines[-1]
    assert all(width(line) <= 80 for line in lines)


def test_usage_tells_own_from_inherited(
    cli: Cli, store: blocking.Store, session: blocking.Session
) -> None:
    """A fork has inherited what its parent used before."""
    fork = blocking.fork(store, session.id)
    usage = cli.ok("usage", fork.id, "--json").json()

    assert (0, 1, 1) == tuple(usage[name]["calls"] for name in ("own", "inherited", "total"))
    assert 100 == usage["inherited"]["input_total_tokens"]
    assert "own" in cli.ok("usage", fork.id).lines[1]


def test_delete_takes_forks_only_when_told(
    cli: Cli, store: blocking.Store, session: blocking.Session
) -> None:
    """A parent is refused, then goes after its forks."""
    fork = blocking.fork(store, session.id)

    assert 1 == cli("delete", session.id, "--yes").code
    deleted = cli.ok("delete", session.id, "--yes", "--with-forks", "--json").json()["deleted"]
    assert [fork.id, session.id] == deleted
    assert [] == cli.ok("ls").lines


def test_du_adds_up_logs_traces_and_quarantine(
    cli: Cli, store: blocking.Store, session: blocking.Session
) -> None:
    """The sizes are those of the files."""
    writer = blocking.TraceWriter(store, session.id)
    writer.event({"delta": "x"})
    writer.flush()
    log = Path(store.path(session.id))
    log.write_bytes(log.read_bytes() + b'{"v":1,')
    size = log.stat().st_size
    cli.ok("label", session.id, "a=b")
    usage = cli.ok("du", "--json").json()

    assert size - 7 < usage["total"]["log"]
    assert 7 == usage["sessions"][0]["quarantine"] == usage["total"]["quarantine"]
    assert 0 < usage["total"]["trace"]


def test_a_trace_is_printed_replayed_and_proven(
    cli: Cli, store: blocking.Store, session: blocking.Session
) -> None:
    """Events come in order, marks of turn_end hold until a byte is changed."""
    writer = blocking.TraceWriter(store, session.id, turn=3)
    writer.lifecycle("request", {"n": 1})
    writer.event({"delta": "hé"})
    session.append(TurnEnd(3, writer.mark()))
    writer.event({"delta": "later"})
    writer.flush()
    events = [json.loads(line) for line in cli.ok("trace", session.id, "--json").lines]
    checked = cli.ok("trace", session.id, "--check", "--json").json()

    assert [("request", {"n": 1}), (None, {"delta": "hé"})] == [
        (event["label"], event["data"]) for event in events[:2]
    ]
    assert 3 == len(cli.ok("trace", session.id, "--replay", "inf").lines)
    assert checked["ok"]
    assert checked["unproven"] > 0
    trace = Path(store.path(session.id)).with_suffix(".trace.jsonl")
    flip(str(trace), b"request")
    assert 1 == cli("trace", session.id, "--check").code


def test_transcripts_come_in_once(cli: Cli) -> None:
    """Importing again finds the same sessions and adds nothing."""
    for source in ("claude-code", "codex"):
        first = cli.ok("import", source, str(FIXTURES / source), "--json").json()
        again = cli.ok("import", source, str(FIXTURES / source), "--json").json()

        assert all(one["is_new"] for one in first["sessions"])
        assert [0] == list({one["added"] for one in again["sessions"]})
    assert "3 sessions: 3 intact" in cli.ok("verify", "--all").out


def test_completion_scripts_name_the_program(cli: Cli) -> None:
    """Each shell gets a script that calls session-store."""
    for shell in ("bash", "zsh", "fish"):
        assert "_SESSION_STORE_COMPLETE" in cli("completion", shell).out


def test_the_shell_completes_commands_and_ids(
    cli: Cli, session: blocking.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids come from the store that is meant; no store gives none, and no error."""
    monkeypatch.setenv("_SESSION_STORE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_CWORD", "4")
    monkeypatch.setenv("COMP_WORDS", f"session-store --store {cli.store} show 0")
    assert f"plain,{session.id}" in cli().out, cli().err
    monkeypatch.setenv("COMP_WORDS", "session-store --store /nowhere show 0")
    assert "" == cli().out.strip()
