"""`key`, `seal`, `checkpoint`, `prove`, and `verify` with what they made."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import seal_tools
from cli_tools import Cli
from seal_tools import cut, log_of

import session_store as ss
from session_store import blocking
from session_store.checkpoint import heads

cli, session_id, trusted = seal_tools.cli, seal_tools.session_id, seal_tools.trusted


def test_a_key_is_made_shown_and_never_overwritten(cli: Cli, trusted: str) -> None:
    """Its file is its owner's alone."""
    assert 0o600 == Path("k").stat().st_mode & 0o777
    assert trusted == cli.ok("key", "show", "k").out.strip()
    assert {"public_key": trusted, "path": "k"} == cli.ok("key", "show", "k", "--json").json()
    before = Path("k").read_bytes()
    said = cli("key", "new", "--name", "a", "--out", "k")

    assert (1, before) == (said.code, Path("k").read_bytes())
    assert "exists, and is not overwritten" in said.err
    assert ["k", "k.pub"] == sorted(os.listdir())


KEYS = {
    "read by others": (lambda: Path("k").chmod(0o640), 3, "others may read this key"),
    "gone": (lambda: Path("k").unlink(), 3, "no such file"),
    "a directory": (lambda: (Path("k").unlink(), Path("k").mkdir(0o700)), 3, "not a regular file"),
    "empty": (lambda: Path("k").write_text(""), 2, "a private key"),
    "another": (lambda: Path("k").write_text(Path("k.pub").read_text()), 2, "a private key"),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_is_no_key_seals_nothing(
    cli: Cli, session_id: ss.SessionId, trusted: str, name: str
) -> None:
    """Said in a line; the log is as it was."""
    harm, code, why = KEYS[name]
    before = log_of(session_id).read_bytes()
    harm()
    said = cli("seal", session_id, "--key", "k")

    assert (code, before) == (said.code, log_of(session_id).read_bytes())
    assert why in said.err.lower()


def test_a_key_may_be_a_link(cli: Cli, session_id: ss.SessionId, trusted: str) -> None:
    """As secrets are mounted."""
    Path("linked").symlink_to("k")

    assert trusted == cli.ok("key", "show", "linked").out.strip()


def test_from_a_key_to_a_verdict(cli: Cli, session_id: ss.SessionId, trusted: str) -> None:
    """Sealed, required to be, and told as JSON."""
    assert 1 == cli("verify", session_id, "--trust", "k.pub", "--require", "sealed").code
    told = cli.ok("seal", "--all", "--key", "k", "--json").json()
    (sealed,) = told["sealed"]
    assert (session_id, trusted, []) == (sealed["session_id"], sealed["key"], told["failed"])

    said = cli.ok("verify", session_id, "--trust", trusted, "--require", "sealed")
    assert "SEALED" in said.lines[0]
    assert f"sealed: the first {sealed['size']} records, by example.org/ops+" in said.lines[1]
    report = cli.ok("verify", "--all", "--trust", "k.pub", "--require", "sealed", "--json").json()
    assert (True, "SEALED") == (report["ok"], report["required"])
    (found,) = report["sessions"]
    assert {"size": sealed["size"], "seq": sealed["seq"], "key": trusted} == found["sealed"]
    assert (0, None, "SEALED") == (found["unsealed"], found["anchor"], found["level"])


def test_the_json_of_a_verdict_keeps_its_keys(cli: Cli, session_id: ss.SessionId) -> None:
    """Programs read it: names are not taken away, and not turned round."""
    told = cli.ok("verify", session_id, "--json").json()
    (session,) = told["sessions"]

    assert ["ok", "required", "sessions", "failed"] == list(told)
    keys = "session_id path level records head sealed unsealed anchor findings"
    assert keys.split() == list(session)
    cut(session_id, 7)
    told = cli("verify", session_id, "--json").json()
    (finding,) = told["sessions"][0]["findings"]
    assert ["what", "legal", "session_id", "path", "line", "offset", "seq", "why"] == list(finding)
    assert ("rolled-back", False, 8, None, 7) == tuple(
        finding[name] for name in ("what", "legal", "line", "offset", "seq")
    )


def test_what_is_below_the_required_level_is_said_to_be(
    cli: Cli, session_id: ss.SessionId, trusted: str
) -> None:
    """With the reason, and exit code 1."""
    for arguments, why in (
        ([], "no --trust was given"),
        (["--trust", trusted], "no seal of a trusted key"),
    ):
        said = cli("verify", session_id, "--require", "sealed", *arguments)
        assert 1 == said.code
        assert f"below SEALED: {why}" in said.lines[-1]
    cli.ok("seal", session_id, "--key", "k")
    said = cli("verify", session_id, "--require", "anchored", "--trust", trusted)
    assert (1, "held --against nothing" in said.lines[-1]) == (said.code, True)


def test_the_unsealed_tail_is_bounded_where_that_is_wanted(
    cli: Cli, session_id: ss.SessionId, trusted: str
) -> None:
    """The last seal is older than the policy allows."""
    cli.ok("seal", session_id, "--key", "k")
    cli.ok("label", session_id, "a=b")
    cli.ok("verify", session_id, "--trust", trusted, "--unsealed-max", "1")
    said = cli("verify", session_id, "--trust", trusted, "--unsealed-max", "0")

    assert (1, True) == (said.code, "unsealed-tail: " in said.out)


def test_a_roll_back_is_said_until_it_is_accepted(cli: Cli, session_id: ss.SessionId) -> None:
    """Without any key: heads.db saw more records."""
    cli.ok("verify", session_id)
    cut(session_id, 7)
    for _ in range(2):
        said = cli("verify", session_id)
        assert (1, True) == (said.code, "rolled-back: line 8, seq 7: " in said.out)
    assert 1 == cli("verify", session_id, "--accept").code
    cli.ok("verify", session_id)


def test_a_lost_session_is_said_until_it_is_accepted(cli: Cli, session_id: ss.SessionId) -> None:
    """One that was deleted is not missed."""
    cli.ok("verify", "--all")
    log_of(session_id).unlink()
    deleted = cli.ok("new").out.strip()
    cli("verify", "--all")
    cli.ok("delete", "--yes", deleted)
    for arguments in ([], ["--accept"]):
        said = cli("verify", "--all", *arguments)
        assert (1, True) == (said.code, "lost: line 1, seq 0: seen with" in said.out)
        assert deleted not in said.out
    cli.ok("verify", "--all")


def test_heads_that_cannot_be_written_do_not_stop_a_verdict(
    cli: Cli, session_id: ss.SessionId
) -> None:
    """A warning says that nothing is remembered."""
    said = cli("verify", session_id, "--heads", "nowhere/heads.db")

    assert (0, True) == (said.code, "INTACT" in said.out)
    assert "warning: heads are not remembered" in said.err


def test_heads_db_belongs_to_the_store(cli: Cli, session_id: ss.SessionId) -> None:
    """The doctor knows it, and minds its mode."""
    cli.ok("verify", "--all")
    assert "foreign" not in cli("doctor").out
    Path("store/heads.db").chmod(0o644)
    assert "heads.db" in cli("doctor").out
    cli("doctor", "--fix")
    assert 0o600 == Path("store/heads.db").stat().st_mode & 0o777


def test_proofs_are_printed_as_they_are_checked(
    cli: Cli, session_id: ss.SessionId, trusted: str
) -> None:
    """Byte for byte, and as JSON."""
    assert 1 == cli("prove", session_id, "3").code
    cli.ok("seal", session_id, "--key", "k")
    key = [ss.VerifierKey.parse(trusted)]
    text = cli.ok("prove", session_id, "3").out
    assert 3 == ss.parse_inclusion(text).verify(key).position.seq
    whole = cli.ok("prove", session_id, "3", "--with-body").out
    assert ss.parse_inclusion(whole).verify(key).record.body is not None
    told = cli.ok("prove", session_id, "3", "--json").json()
    assert (text, 3) == (told["proof"], told["seq"])
    grown = cli.ok("prove", session_id, "--consistency", "2").out
    assert 2 == ss.parse_consistency(grown).old_size


def test_a_key_is_handed_over_in_every_session_it_sealed(
    cli: Cli, session_id: ss.SessionId, trusted: str
) -> None:
    """And in no other; run again, it goes on."""
    other = cli.ok("new").out.strip()
    cli.ok("seal", session_id, "--key", "k")
    told = cli("key", "rotate", "k", "--out", "n", "--json").json()
    assert ([session_id], []) == (told["handed_over"], told["failed"])
    assert [] == cli("key", "rotate", "k", "--out", "n", "--json").json()["handed_over"]

    assert 2 == cli("seal", session_id, "--key", "k").code
    cli.ok("seal", "--all", "--key", "n")
    cli.ok("verify", session_id, "--trust", trusted, "--require", "sealed")
    cli.ok("verify", other, "--trust", told["public_key"], "--require", "sealed")
    assert 1 == cli("verify", other, "--trust", trusted, "--require", "sealed").code


USAGE = {
    "seal nothing": ["seal", "--key", "k"],
    "seal both": ["seal", "01", "--all", "--key", "k"],
    "git without a place": ["seal", "--all", "--key", "k", "--git"],
    "the same of heads": ["checkpoint", "--key", "k", "--git"],
    "no key": ["seal", "--all"],
    "prove nothing": ["prove", "ID"],
    "prove both": ["prove", "ID", "1", "--consistency", "1"],
    "a body of nothing": ["prove", "ID", "--consistency", "1", "--with-body"],
    "trust nobody": ["verify", "--all", "--trust", "somebody"],
    "believe what is signed by nobody": ["verify", "--all", "--against", "heads"],
    "an anchor that is none": ["verify", "--all", "--against", "k.pub", "--trust", "k.pub"],
    "all of one": ["verify", "--all", "--against", "one", "--trust", "k.pub"],
    "a name that is none": ["key", "new", "--name", "a b", "--out", "x"],
    "a place that is none": ["key", "new", "--name", "a", "--out", "nowhere/x"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE)
def test_misuse_is_said(
    cli: Cli, session_id: ss.SessionId, trusted: str, arguments: list[str]
) -> None:
    """Exit code 2, and nothing was written."""
    Path("heads").write_text(cli("checkpoint", "--key", "k").out)
    cli.ok("seal", session_id, "--key", "k")
    with blocking.open_store(cli.store) as store:
        Path("one").write_text(str(blocking.prove(store, session_id, 1).note))
    before = log_of(session_id).read_bytes()
    given = [session_id if word == "ID" else word for word in arguments]

    assert 2 == cli(*given).code
    assert before == log_of(session_id).read_bytes()
    assert not Path("x").exists()


def test_one_session_that_cannot_be_sealed_stops_no_other(
    cli: Cli, session_id: ss.SessionId, trusted: str
) -> None:
    """It is said, and counts."""
    other = cli.ok("new").out.strip()
    data = log_of(session_id).read_bytes()
    log_of(session_id).write_bytes(data.replace(b"Thanks", b"Thinks"))
    said = cli("seal", "--all", "--key", "k", "--json")

    assert 1 == said.code
    told = json.loads(said.out)
    assert [other] == [one["session_id"] for one in told["sealed"]]
    assert [session_id] == [one["session_id"] for one in told["failed"]]


def test_a_missing_extra_names_its_install_command(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `cryptography`, nothing but signing is missing."""
    import sys

    for name in [one for one in sys.modules if one.partition(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    said = cli("key", "new", "--name", "a", "--out", "x")

    assert 3 == said.code
    assert "pip install 'session-store[sign]'" in said.err


def test_a_key_is_not_handed_over_to_itself(
    cli: Cli, session_id: ss.SessionId, trusted: str
) -> None:
    """Told to delete it, its owner would have none left; by whatever name the file is called."""
    cli.ok("seal", session_id, "--key", "k")
    Path("link").symlink_to("k")
    before = log_of(session_id).read_bytes()
    for out in ("k", "./k", "link"):
        said = cli("key", "rotate", "k", "--out", out)
        assert (2, "") == (said.code, said.out)
        assert "delete" not in said.err

    assert before == log_of(session_id).read_bytes()


def test_what_may_be_unsealed_is_not_counted_without_a_key(
    cli: Cli, session_id: ss.SessionId
) -> None:
    """A limit that nothing is held against would always be kept."""
    said = cli("verify", session_id, "--unsealed-max", "0")

    assert (2, "") == (said.code, said.out)
    assert "--trust" in said.err


def test_a_memory_that_cannot_forget_stops_no_verdict(
    cli: Cli, session_id: ss.SessionId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session was deleted as it should be, and somebody else holds the memory's lock."""
    monkeypatch.setattr(heads, "_TIMEOUT_S", 0.05)
    deleted = cli.ok("new").out.strip()
    cli.ok("verify", "--all")
    cli.ok("delete", deleted, "--yes")
    with closing(sqlite3.connect("store/heads.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        said = cli("verify", "--all")

    assert (0, "1 session: 1 intact, 0 with problems") == (said.code, said.lines[-1])
    assert "heads are not remembered" in said.err
    cli.ok("verify", "--all")
    with closing(sqlite3.connect("store/heads.db")) as memory:
        assert [(session_id,)] == memory.execute("SELECT session FROM heads").fetchall()
