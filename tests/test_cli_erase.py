"""`session-store erase`: what it asks, refuses, prints, and leaves."""

import json
import pty
import subprocess
import sys
from os import close, environ, write
from pathlib import Path

import pytest
from cli_tools import Cli, record_session
from session_tools import log_path

from session_store import blocking

SECRET = b"Thanks."


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(str(tmp_path / "store"))


@pytest.fixture
def session(cli: Cli) -> blocking.Session:
    with blocking.open_store(cli.store) as store:
        return record_session(store)


def seq_of_secret(cli: Cli, session: blocking.Session) -> str:
    lines = cli.ok("log", session.id, "--json").lines
    return next(str(json.loads(line)["seq"]) for line in lines if SECRET.decode() in line)


def test_it_erases_and_says_what_it_did(cli: Cli, session: blocking.Session) -> None:
    """And what it does not reach; the session verifies and shows the rest."""
    seq = seq_of_secret(cli, session)
    said = cli.ok("erase", session.id[:20], "--seq", seq, "--reason", "leak", "--by", "me", "--yes")
    erased, redaction, not_reached = said.lines
    assert f"erased 1 record, seq {seq}" == erased
    assert redaction.startswith("redaction ")
    assert redaction.endswith((" disk", " os"))
    assert "backups" in not_reached
    assert SECRET not in log_path(Path(cli.store), session.id).read_bytes()
    assert "intact" in cli.ok("verify", session.id).out.lower()
    assert SECRET.decode() not in cli.ok("show", session.id).out
    body = json.loads(cli.ok("log", session.id, "--json").lines[-1])["body"]
    assert ("leak", "me") == (body["reason"], body["by"])


def test_json_has_all_of_it(cli: Cli, session: blocking.Session) -> None:
    """Copies too, which are named so that they can be erased by hand."""
    seq = int(seq_of_secret(cli, session))
    copy = cli.ok("fork", session.id, "--copy").out.strip()
    arguments = ("erase", session.id, "--range", f"{seq}:{seq + 1}", "--reason", "x", "--yes")
    done = cli.ok(*arguments, "--json").json()
    assert [seq, seq + 1] == done["erased"]
    assert {"session_id", "seq", "hash", "level"} == done["redaction"].keys()
    assert [copy, copy] == [found["session_id"] for found in done["copies"]]
    assert (False, []) == (done["copies_erased"], done["unsearched"])
    again = cli.ok(*arguments, "--json").json()
    assert ([], None) == (again["erased"], again["redaction"])
    assert ["nothing left to erase there"] == cli.ok(*arguments).lines[:1]


def test_copies_are_listed_or_erased(cli: Cli, session: blocking.Session) -> None:
    seq = seq_of_secret(cli, session)
    copy = cli.ok("fork", session.id, "--copy").out.strip()
    with_copies = ("erase", session.id, "--reason", "x", "--yes", "--with-copies")
    assert f"copy in {copy}, seq {seq}: erased" in cli.ok(*with_copies, "--seq", seq).lines
    assert SECRET not in log_path(Path(cli.store), copy).read_bytes()
    said = cli.ok("erase", session.id, "--range", "0:", "--reason", "x", "--yes")
    assert f"copy in {copy}, seq 0: not erased" in said.lines


def test_a_damaged_session_is_named(cli: Cli, session: blocking.Session) -> None:
    seq = seq_of_secret(cli, session)
    copy = cli.ok("fork", session.id, "--copy").out.strip()
    path = log_path(Path(cli.store), copy)
    path.write_bytes(path.read_bytes().replace(b"Lima", b"Rome", 1))
    said = cli("erase", session.id, "--seq", seq, "--reason", "x", "--yes")
    assert 0 == said.code
    assert said.err.startswith(f"session-store: warning: {copy} is damaged")
    said = cli("erase", session.id, "--seq", "1", "--reason", "x", "--yes", "--with-copies")
    assert 1 == said.code
    assert copy in said.err


def test_a_replacement_comes_from_a_file(
    cli: Cli, session: blocking.Session, tmp_path: Path
) -> None:
    """What is wrong with it is said with the file's name; then nothing was done."""
    seq = seq_of_secret(cli, session)
    file = tmp_path / "new.json"
    arguments = ("erase", session.id, "--seq", seq, "--reason", "x", "--yes", "--replacement")
    wrong = {
        b"{": "new.json",
        b"[]": "new.json: the body of an entry is a JSON object",
        b'{"items":1}': "replacement: no body of a user_input",
        b'{"items":[],"items":[]}': "new.json",
    }
    for data, why in wrong.items():
        file.write_bytes(data)
        said = cli(*arguments, str(file))
        assert 2 == said.code
        assert why in said.err
    assert SECRET in log_path(Path(cli.store), session.id).read_bytes()
    file.write_bytes(b'{"items":[{"role":"user","content":"[withheld]"}]}')
    cli.ok(*arguments, str(file))
    assert "[withheld]" in cli.ok("show", session.id).out
    assert 2 == cli(*arguments, str(tmp_path / "missing.json")).code


WRONG = {
    "no entry": ([], "one of --seq and --range"),
    "two": (["--seq", "1", "--range", "1:2"], "one of --seq and --range"),
    "no range": (["--range", "3"], "A:B is expected"),
    "letters": (["--range", "a:b"], "A:B is expected"),
    "a negative one": (["--seq", "-1"], "-1"),
    "nobody to ask": (["--seq", "1"], "erasing wants --yes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_told(cli: Cli, session: blocking.Session, case: str) -> None:
    """With exit code 2, and nothing is done."""
    options, why = WRONG[case]
    yes = [] if case == "nobody to ask" else ["--yes"]
    said = cli("erase", session.id, "--reason", "x", *options, *yes)
    assert 2 == said.code
    assert why in said.err
    assert "redaction" not in cli.ok("log", session.id).out


def test_negative_answers_have_exit_code_1(cli: Cli, session: blocking.Session) -> None:
    """No such entry; one that is never erased; a range of nothing."""
    cli.ok("erase", session.id, "--seq", "1", "--reason", "x", "--yes")
    last = json.loads(cli.ok("log", session.id, "--json").lines[-1])["seq"]
    for options in (["--seq", "999"], ["--seq", str(last)], ["--range", "500:600"]):
        assert 1 == cli("erase", session.id, "--reason", "x", "--yes", *options).code


@pytest.mark.parametrize("answer", [b"y\n", b"n\n"])
def test_on_a_terminal_it_shows_what_it_would_erase_and_asks(
    cli: Cli, session: blocking.Session, answer: bytes
) -> None:
    """What comes from the log is escaped."""
    seq = seq_of_secret(cli, session)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "session_store", "--store", cli.store, "erase", session.id]
    write(ours, answer)
    done = subprocess.run(
        [*command, "--range", f"{int(seq) - 6}:{seq}", "--reason", "x"],
        stdin=theirs,
        capture_output=True,
        env={**environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        timeout=60,
        check=False,
    )
    close(theirs)
    close(ours)
    said = done.stderr.decode()
    assert "and 2 records more" in said
    assert f"Erase this from {session.id} for good?" in said
    agreed = answer == b"y\n"
    assert (0 if agreed else 130) == done.returncode
    assert agreed == (SECRET not in log_path(Path(cli.store), session.id).read_bytes())
