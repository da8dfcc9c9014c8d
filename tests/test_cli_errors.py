"""What goes wrong: exit codes, one line of error, never a traceback."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_tools import FIXTURES, Cli, flip, record_session

from session_store import blocking, new_session_id
from session_store.cli.app import COMMANDS, commands
from session_store.cli.failures import explain
from session_store.cli.text import escape
from session_store.errors import (
    Closed,
    Corrupt,
    DurabilityLost,
    Locked,
    StoreFull,
    UnsafePath,
    Unsupported,
)

UNKNOWN = str(new_session_id())


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(str(tmp_path / "store"))


@pytest.fixture
def session_id(cli: Cli) -> str:
    with blocking.open_store(cli.store) as store:
        return record_session(store).id


def damage(cli: Cli, session_id: str, needle: bytes = b"welcome") -> None:
    with blocking.open_store(cli.store) as store:
        flip(store.path(session_id), needle)


LINES = {
    "no such command": (["frobnicate"], 2),
    "almost a command": (["verfy"], 2),
    "no such option": (["ls", "--nope"], 2),
    "missing argument": (["show"], 2),
    "not an id": (["show", "hello"], 2),
    "upper case": (["show", UNKNOWN.upper()], 2),
    "path for an id": (["show", "../../etc/passwd"], 2),
    "empty id": (["show", ""], 2),
    "no such session": (["show", UNKNOWN], 1),
    "no such prefix": (["show", "f"], 1),
    "not a point": (["state", "ID", "--at", "last"], 2),
    "no such seq": (["state", "ID", "--at", "999"], 1),
    "no such turn": (["fork", "ID", "--at", "turn:9"], 1),
    "no such hash": (["fork", "ID", "--at", "0" * 64], 1),
    "seq beyond all": (["fork", "ID", "--at", "9" * 16], 1),
    "negative seq": (["log", "ID", "--from", "-1"], 2),
    "not a label": (["label", "ID", "x"], 2),
    "label twice": (["label", "ID", "x=1", "x=2"], 2),
    "not a config": (["new", "--config", "{"], 2),
    "config that is no object": (["new", "--config", "[]"], 2),
    "config with NaN": (["new", "--config", '{"a":NaN}'], 2),
    "verify nothing": (["verify"], 2),
    "verify all and one": (["verify", "--all", "ID"], 2),
    "speed of nothing": (["trace", "ID", "--replay", "0"], 2),
    "speed that is none": (["trace", "ID", "--replay", "nan"], 2),
    "replay and check": (["trace", "ID", "--replay", "1", "--check"], 2),
    "two expectations": (["append", "ID", "--any", "--expect", "1:x"], 2),
    "expectation that is none": (["append", "ID", "--expect", "1"], 2),
    "delete unasked": (["delete", "ID"], 2),
    "key taken": (["new", "--key", "tests:1"], 1),
    "import what is not there": (["import", "codex", "/nonexistent"], 2),
    "import from an unknown program": (["import", "notepad", "/tmp"], 2),
    "import of no transcript": (["import", "codex", __file__], 1),
    "import of an empty place": (["import", "codex", str(FIXTURES / "claude-code")], 1),
    "demo into what exists": (["demo", "--keep", "/tmp"], 2),
    "completion of an unknown shell": (["completion", "tcsh"], 2),
}


@pytest.mark.parametrize(("arguments", "code"), LINES.values(), ids=LINES)
def test_each_mistake_has_its_exit_code_and_one_line(
    cli: Cli, session_id: str, arguments: list[str], code: int
) -> None:
    """Standard error says what is wrong in the program's form; standard output stays empty."""
    said = cli(*(session_id if word == "ID" else word for word in arguments))
    first, *hints = said.err.splitlines()

    assert (code, "") == (said.code, said.out)
    assert first.startswith("session-store: error: ")
    assert not first.endswith(".")
    assert all(line.startswith("session-store: hint: ") for line in hints)


NO_STORE = {"nothing": lambda path: None, "empty": Path.mkdir, "a file": lambda p: p.write_text("")}


@pytest.mark.parametrize("make", NO_STORE.values(), ids=NO_STORE)
@pytest.mark.parametrize("arguments", [["ls"], ["show", "0"], ["verify", "--all"], ["fork", "0"]])
def test_no_store_is_the_environment_and_none_is_made(
    cli: Cli, make: Callable[[Path], object], arguments: list[str]
) -> None:
    """Commands that do not begin a session leave the place as it is."""
    make(Path(cli.store))
    before = [(p, p.stat().st_mode) for p in Path(cli.store).parent.rglob("*")]

    assert 3 == cli(*arguments).code
    assert before == [(p, p.stat().st_mode) for p in Path(cli.store).parent.rglob("*")]


@pytest.mark.parametrize("arguments", [["ls"], ["new"]])
def test_a_directory_that_is_no_store_keeps_its_rights(cli: Cli, arguments: list[str]) -> None:
    """A home directory named by mistake is neither closed to others nor filled."""
    home = Path(cli.store)
    home.mkdir(mode=0o755)
    (home / "letters").write_text("")

    assert 3 == cli(*arguments).code
    assert (0o755, ["letters"]) == (home.stat().st_mode & 0o777, [p.name for p in home.iterdir()])


@pytest.mark.parametrize("where", ["ftp://x/y", "", "a\0b", "memory:x:y"])
def test_what_is_no_place_for_a_store_is_no_traceback(where: str) -> None:
    """A store that cannot be is usage, or not there."""
    assert Cli(where)("verify", UNKNOWN).code in (1, 2, 3)


def test_an_ambiguous_beginning_lists_its_candidates(cli: Cli, session_id: str) -> None:
    """The hint has the ids to choose from; a longer beginning is enough."""
    other = cli.ok("new").out.strip()
    said = cli("show", "0")
    common = next(n for n, (a, b) in enumerate(zip(other, session_id, strict=True)) if a != b)

    assert 2 == said.code
    assert session_id in said.err
    assert other in said.err
    assert other in cli.ok("state", other[: common + 1]).out


def test_a_close_miss_is_named(cli: Cli) -> None:
    """A mistyped command or option leads to the one that was meant."""
    assert "did you mean verify?" in cli("verfy").err
    assert "did you mean --full?" in cli("show", "--ful").err


def test_damage_is_shown_after_everything_before_it(cli: Cli, session_id: str) -> None:
    """Readers print the verified part, then the place and what can be done; exit code 1."""
    damage(cli, session_id)
    said = cli("show", session_id)

    assert 1 == said.code
    assert "Oslo?" in said.out
    assert "Thanks." not in said.out
    assert "seq 8" in said.err
    assert "salvage" in said.err
    assert 1 == cli("state", session_id).code


def test_verify_locates_damage(cli: Cli, session_id: str) -> None:
    """Path, line, byte, seq and reason of the first record that does not hold."""
    damage(cli, session_id)
    (finding,) = cli("verify", session_id, "--json").json()["sessions"][0]["findings"]

    assert ("corrupt", 9, 8, False) == tuple(finding[k] for k in ("what", "line", "seq", "legal"))
    assert finding["path"].endswith(f"{session_id}.jsonl")
    assert "digest" in finding["why"]
    assert "1 with problems" in cli("verify", "--all").out


def test_one_bad_session_does_not_keep_verify_from_the_others(cli: Cli, session_id: str) -> None:
    """An unsupported version is 3 in the end, and the rest is verified."""
    other = cli.ok("new").out.strip()
    with blocking.open_store(cli.store) as store:
        path = Path(store.path(other))
    path.write_bytes(path.read_bytes().replace(b'{"v":1', b'{"v":2'))
    path.write_bytes(b'{"v":2,"other":"format"}\n')
    said = cli("verify", session_id, other)

    assert 3 == said.code
    assert "INTACT" in said.out
    assert "format version 2" in said.err


def test_repair_cuts_and_salvage_copies(cli: Cli, session_id: str) -> None:
    """Salvage keeps what stands behind the damage, repair makes the log whole before it."""
    damage(cli, session_id)
    salvaged, *missing = cli.ok("salvage", session_id).lines
    repaired = cli.ok("repair", session_id, "--json").json()

    assert ["missing: seq [[8,8]]", "left out: "] == [missing[0], missing[1][:10]]
    assert "And in Lima?" in cli.ok("show", salvaged).out
    assert repaired["removed"] > 0
    assert repaired["quarantine"]
    assert "And in Lima?" not in cli.ok("show", session_id).out
    cli.ok("verify", "--all")


ERRORS = {
    "locked": (Locked("p", waited_s=5), 3),
    "full": (StoreFull("no room"), 3),
    "lost": (DurabilityLost("sync failed"), 3),
    "unsafe": (UnsafePath("p", "is a link"), 3),
    "unsupported": (Unsupported("p", found=2, supported=1), 3),
    "closed": (Closed("the store is closed"), 3),
    "corrupt": (Corrupt("p", line=1, offset=0, seq=0, why="x"), 1),
    "operating system": (PermissionError(13, "Permission denied", b"/x\xff"), 3),
    "memory": (MemoryError(), 3),
    "anything": (ZeroDivisionError("oops"), 3),
}


@pytest.mark.parametrize(("error", "code"), ERRORS.values(), ids=ERRORS)
def test_every_error_has_an_exit_code(error: BaseException, code: int) -> None:
    """Errors of the library, the system and of nobody's making are explained."""
    explained = explain(error)

    assert code == explained.code
    assert explained.message


def test_errors_are_escaped(cli: Cli) -> None:
    """What a user or a file name brings cannot move the cursor."""
    for text in ("\x1b[2J", "\u202e", "\udcff", "a\nb", "\x9b31m"):
        err = cli("show", text).err + cli("import", "codex", text.strip("\0")).err
        assert escape(err.replace("\n", "")) == err.replace("\n", "")


def test_help_of_every_command_says_what_the_group_says(cli: Cli) -> None:
    """The one-liner in the list is how the command's own help begins."""
    for name, entry in COMMANDS.items():
        text = " ".join(cli.ok(name, "--help").out.split())
        assert entry.help.split(";")[0].removesuffix(".") in text, name
    with commands.make_context("session-store", [], resilient_parsing=True) as ctx:
        assert list(COMMANDS) == commands.list_commands(ctx)


def test_no_line_of_arguments_is_too_strange(
    cli: Cli, session_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random arguments of random characters end with an exit code of the documented ones."""
    monkeypatch.chdir(tmp_path)  # A word behind --store becomes a store.
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    words = [*COMMANDS, session_id, "0", "--json", "--at", "--full", "--expect", "--label", "--to"]
    words += ["", "-", "--", "--store", "\x1b[1m", "\udcfe", "\u202e", "a=b", "9" * 40, "turn:1"]
    # The one works for seconds, the other for ever.
    words = [word for word in words if word not in ("demo", "follow")]
    for _ in range(400):
        line = [rng.choice(words) for _ in range(rng.randrange(1, 5))]
        assert cli(*line, stdin=rng.randbytes(20)).code in (0, 1, 2, 3), (seed, line)
