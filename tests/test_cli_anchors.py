"""Anchors on the command line: what is kept elsewhere, and is not given up for less."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import seal_tools
from cli_tools import Cli
from seal_tools import cut, log_of

import session_store as ss
from session_store import blocking

cli, session_id, trusted = seal_tools.cli, seal_tools.session_id, seal_tools.trusted


def test_anchors_show_what_was_cut(cli: Cli, session_id: ss.SessionId, trusted: str) -> None:
    """A checkpoint of the session, the heads of the store, another store."""
    Path("anchors").mkdir()
    cli.ok("seal", session_id, "--key", "k", "--anchor", "anchors")
    cli("checkpoint", "--key", "k", "--anchor", "anchors")
    one, heads = f"anchors/{session_id}.checkpoint", next(Path("anchors").glob("*.heads"))
    subprocess.run(["cp", "-r", "store", "replica"], check=True)
    against = [(session_id, one), ("--all", str(heads)), (session_id, "replica")]
    for what, where in against:
        cli.ok("verify", what, "--trust", trusted, "--against", where, "--require", "anchored")
    cut(session_id, 7)
    for (what, where), relation in zip(against, ("truncated", "truncated", "behind"), strict=True):
        said = cli("verify", what, "--trust", trusted, "--against", where, "--heads", "none.db")
        assert (1, True) == (said.code, f"{relation}: line 8, seq 7: " in said.out)


def test_an_anchor_does_not_go_back(cli: Cli, session_id: ss.SessionId, trusted: str) -> None:
    """A shorter log does not take the place of what was anchored."""
    Path("anchors").mkdir()
    before = log_of(session_id).read_bytes()
    cli.ok("label", session_id, "a=b")
    cli.ok("seal", session_id, "--key", "k", "--anchor", "anchors")
    kept = Path(f"anchors/{session_id}.checkpoint").read_bytes()
    log_of(session_id).write_bytes(before)
    said = cli("seal", session_id, "--key", "k", "--anchor", "anchors", "--heads", "none.db")

    assert (1, kept) == (said.code, Path(f"anchors/{session_id}.checkpoint").read_bytes())
    assert "does not continue" in said.err


def write_anew(session_id: ss.SessionId) -> None:
    """Put another log in the place of one, without its seals, all hashes right."""
    with blocking.open_store("store") as store:
        start, *_ = lines = log_of(session_id).read_bytes().splitlines(keepends=True)
        assert 1 < len(lines)
        log_of(session_id).write_bytes(start)
        for _ in lines:
            blocking.open_session(store, session_id).save_extension("tests", "another past")


def test_an_anchor_is_not_replaced_by_another_history(
    cli: Cli, session_id: ss.SessionId, trusted: str
) -> None:
    """Longer than what was anchored, sealed by nobody yet: it is not signed, and the anchor stays."""
    Path("anchors").mkdir()
    cli.ok("seal", session_id, "--key", "k", "--anchor", "anchors")
    kept = Path(f"anchors/{session_id}.checkpoint").read_bytes()
    write_anew(session_id)
    before = log_of(session_id).read_bytes()
    said = cli("seal", session_id, "--key", "k", "--anchor", "anchors", "--heads", "none.db")

    assert (1, kept) == (said.code, Path(f"anchors/{session_id}.checkpoint").read_bytes())
    assert "does not continue" in said.err
    assert before == log_of(session_id).read_bytes()


def test_signed_heads_are_not_replaced_by_those_of_another_past(
    cli: Cli, session_id: ss.SessionId, trusted: str
) -> None:
    """What is kept misses a session that is gone, and one that was cut; a deleted one is deleted."""
    Path("anchors").mkdir()
    sign = ["checkpoint", "--key", "k", "--anchor", "anchors", "--heads", "none.db"]
    other = cli.ok("new").out.strip()
    cli(*sign)
    kept = next(Path("anchors").glob("*.heads"))
    before, log, whole = kept.read_bytes(), log_of(other), log_of(session_id).read_bytes()

    for harm in (log.unlink, lambda: cut(session_id, 7)):
        left = log.read_bytes() if log.exists() else b""
        harm()
        Path("none.db").unlink(missing_ok=True)
        said = cli(*sign)
        assert (1, before) == (said.code, kept.read_bytes())
        assert "does not continue" in said.err
        log.write_bytes(left)
    log_of(session_id).write_bytes(whole)
    cli.ok("delete", other, "--yes")
    Path("none.db").unlink(missing_ok=True)

    assert 0 == cli(*sign).code
    assert session_id in kept.read_text() != before
    assert other not in kept.read_text()


def git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", "anchors", *arguments], capture_output=True, check=True, encoding="utf-8"
    )
    return done.stdout


def sign_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give git a name to commit under."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "tests")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "tests@localhost")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_anchors_are_committed(
    cli: Cli, session_id: ss.SessionId, trusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once; what else lies in the work tree is left alone."""
    sign_commits(monkeypatch)
    Path("anchors").mkdir()
    assert 3 == cli("seal", session_id, "--key", "k", "--anchor", "anchors", "--git").code
    git("init", "--quiet")
    Path("anchors/draft").write_text("not ours")
    for _ in range(2):
        cli.ok("seal", session_id, "--key", "k", "--anchor", "anchors", "--git")
    cli("checkpoint", "--key", "k", "--anchor", "anchors", "--git")

    assert 2 == len(git("log", "--oneline").splitlines())
    assert "?? draft\n" == git("status", "--porcelain")
    kept = git("show", f"HEAD:{session_id}.checkpoint")
    assert kept == Path(f"anchors/{session_id}.checkpoint").read_text()


def test_a_missing_git_is_named(
    cli: Cli, session_id: ss.SessionId, trusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The anchor is kept all the same."""
    Path("anchors").mkdir()
    monkeypatch.setenv("PATH", str(Path("anchors").absolute()))
    said = cli("seal", session_id, "--key", "k", "--anchor", "anchors", "--git")

    assert (3, True) == (said.code, "git is not installed" in said.err)
    assert [f"{session_id}.checkpoint"] == os.listdir("anchors")


def test_a_store_is_no_anchor_of_itself(cli: Cli, session_id: ss.SessionId) -> None:
    """Whatever was cut off, it would agree."""
    Path("link").symlink_to("store")
    for place in ("store", "./store/../store", "link", f"file:{Path('store').absolute()}"):
        said = cli("verify", session_id, "--against", place, "--require", "anchored")
        assert (2, "") == (said.code, said.out)
        assert "itself" in said.err
    shutil.copytree("store", "copy")

    cli.ok("verify", session_id, "--against", "copy", "--require", "anchored")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_anchors_are_committed_to_their_own_repository(
    cli: Cli, session_id: ss.SessionId, trusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also from a hook of another one, which git tells its children by their environment."""
    sign_commits(monkeypatch)
    for name in ("anchors", "other"):
        subprocess.run(["git", "init", "--quiet", name], check=True)
    monkeypatch.setenv("GIT_DIR", str(Path("other/.git").absolute()))
    monkeypatch.setenv("GIT_INDEX_FILE", str(Path("other/.git/index").absolute()))
    cli.ok("seal", session_id, "--key", "k", "--anchor", "anchors", "--git")
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_INDEX_FILE")

    assert f"{session_id}.checkpoint\n" == git("ls-files")
