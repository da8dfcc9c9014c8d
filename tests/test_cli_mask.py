"""`session-store scan` and `session-store mask`."""

from pathlib import Path

import pytest
from cli_tools import Cli
from mask_tools import KEY, RULES, TOKEN, bytes_below

import session_store as ss
from session_store import blocking


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A session with secrets, one without, a fork of the first."""
    where = tmp_path / "store"
    with blocking.open_store(where) as store:
        first = blocking.create_session(store, ss.SessionStartState(f"key {TOKEN}"))
        first.save_delta([{"role": "user", "content": "password=a1b2c3d4"}])
        blocking.create_session(store)
        blocking.fork(store, first.id)
    return Cli(str(where))


def ids(cli: Cli) -> list[str]:
    """Return the sessions' ids, oldest first."""
    with blocking.open_store(cli.store) as store:
        return [info.session_id for info in blocking.sessions(store)][::-1]


def test_scan_says_where_and_never_what(cli: Cli) -> None:
    """Exit code 1; a line for each, and sums."""
    said = cli("scan", "--all")

    assert 1 == said.code
    assert f"{ids(cli)[0]}  seq 0  $.system_prompt  github-token (definite, 40 bytes)" in said.lines
    assert "3 sessions: 2 secrets" == said.lines[-1]
    assert TOKEN not in said.out + said.err


def test_scan_for_programs(cli: Cli) -> None:
    """One document: places, sums, what failed, by which rules."""
    said = cli("scan", ids(cli)[0], "--json").json()

    assert isinstance(said, dict)
    assert {"github-token": 1, "named-password": 1} == said["counts"]
    assert {"seq": 1, "path": "$.items[0].content", "rule": "named-password"}.items() <= (
        said["secrets"][1].items()
    )
    assert (RULES.version, []) == (said["rules"], said["failed"])


def test_scan_of_what_holds_none_is_ok(cli: Cli) -> None:
    assert ["1 session: 0 secrets"] == cli.ok("scan", ids(cli)[1]).lines


def test_scan_goes_on_behind_damage(cli: Cli) -> None:
    """What is damaged is said."""
    path = next(Path(cli.store).rglob(f"{ids(cli)[1]}.jsonl"))
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":2'))

    said = cli("scan", "--all")

    assert (1, "3 sessions: 2 secrets") == (said.code, said.lines[-1])
    assert "does not match its digest" in said.err


def test_mask_copies_a_session_with_its_parents(cli: Cli, tmp_path: Path) -> None:
    """Heads are printed; the copy verifies."""
    out = tmp_path / "masked"

    said = cli.ok("mask", ids(cli)[2], "--out", str(out))

    assert [ids(cli)[0], ids(cli)[2]] == [line.split(":")[0] for line in said.lines[:2]]
    assert f"2 sessions masked by rules {RULES.version}" == said.lines[2]
    assert TOKEN.encode() not in bytes_below(out)
    assert "2 sessions: 2 intact, 0 with problems" == Cli(str(out)).ok("verify", "--all").lines[-1]


def test_mask_of_all_for_programs(cli: Cli, tmp_path: Path) -> None:
    said = cli.ok("mask", "--all", "--out", str(tmp_path / "m"), "--json").json()

    assert isinstance(said, dict)
    assert ids(cli) == sorted(one["session_id"] for one in said["sessions"])


def test_mask_test_shows_what_would_change(cli: Cli, tmp_path: Path) -> None:
    """Line by line, text and JSON lines mixed; the file stays."""
    path = tmp_path / "log"
    text = f'a\nTOKEN={TOKEN}\n{{"password":"a1b2c3d4"}}\n{KEY}\nlast {TOKEN}\n'
    path.write_text(text)

    said = cli("mask", "--test", str(path))

    expected = [
        "2  TOKEN=[REDACTED:github-token]",
        '3  {"password":"[REDACTED:named-password]"}',
        "4  [REDACTED:private-key]",
        "5  last [REDACTED:github-token]",
        f"4 lines would change, by rules {RULES.version}",
    ]
    assert (1, expected) == (said.code, [line.strip() for line in said.lines])
    assert text == path.read_text()


def test_mask_test_for_programs(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"nothing\n")

    assert {"rules": RULES.version, "changed": []} == cli.ok(
        "mask", "--test", str(path), "--json"
    ).json()


def test_rules_of_a_team(cli: Cli, tmp_path: Path) -> None:
    """Beside the built-in ones; the masked store is one of their version."""
    rules, text = tmp_path / "team.toml", tmp_path / "text"
    rules.write_text("[[rules]]\nid='word'\nregex='secretword'\n")
    text.write_text("a secretword\n")

    said = cli("mask", "--test", str(text), "--rules", str(rules))

    assert (1, "1  a [REDACTED:word]") == (said.code, said.lines[0].strip())


WRONG = {
    "scan nothing": (["scan"], "name sessions, or give --all"),
    "mask nothing": (["mask", "--out", "x"], "name sessions or give --all"),
    "mask to nowhere": (["mask", "--all"], "--out DIR"),
    "test and copy": (
        ["mask", "--all", "--test", __file__],
        "--test takes a file and nothing else",
    ),
    "rules that are none": (["scan", "--all", "--rules", __file__], "not TOML"),
}


@pytest.mark.parametrize(("arguments", "why"), WRONG.values(), ids=WRONG)
def test_wrong_usage_is_explained(cli: Cli, arguments: list[str], why: str) -> None:
    said = cli(*arguments)

    assert (2, True) == (said.code, why in said.err)


def test_a_store_that_is_not_masked_takes_no_copy(cli: Cli, tmp_path: Path) -> None:
    """It is told, and stays as it is."""
    plain = tmp_path / "plain"
    blocking.open_store(plain).close()

    said = cli("mask", "--all", "--out", str(plain))

    assert (2, True) == (said.code, "it is not masked" in said.err)
