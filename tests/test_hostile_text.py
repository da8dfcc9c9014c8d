"""Hostile text in every place that takes some: printed harmless, and never a path, a query or a command."""

import json
from pathlib import Path

import pytest
from cli_tools import CALL, Cli, ask, record_session
from fs_tools import tree

import session_store as ss
from session_store import UnknownEntry, blocking
from session_store.cli.app import COMMANDS
from session_store.errors import InvalidId
from session_store.ids import parse_session_id

ESCAPES = (
    "\x1b]52;c;QUFB\x07\x1b]8;;x:y\x1b\\\x1b[2J\x1b]0;t\x9c\x9b2J\x90q\x9d0;t\x07\x08\r\x7f\v\f"
)
MARKS = "\u061c\u200b\u200e\u202a\u202e\u2066\u2069\u2028\u2029\ufeff\ufff9\U000e0041"
EVIL = f"a{ESCAPES}b{MARKS}c"
TEXTS = {
    "control codes": EVIL,
    "SQL": "'; DROP TABLE sessions; -- \" ` \\ % _ $1 ?",
    "format fields": "{0.__class__} %s%n %(x)s ${HOME} $(id) `id` \\x1b",
    "a path": "../../etc/passwd",
    "lone surrogates": "\ud800x\udfff",
    "NUL": "a\0b",
    "an overlong word": "漢" * 3_000,
}


def told(store: str, text: str) -> str:
    """Record a session with *text* wherever text may be; return its id."""
    with blocking.open_store(store, durability="os") as opened:
        start = ss.SessionStartState(text, {"model": text, text: text}, labels={"title": text})
        session = blocking.create_session(opened, start, key=text)
        call = {**CALL, "name": text, "call_id": text, "arguments": text}
        blocks = [{"type": "text", "text": text}, {"type": "tool_use", "name": text, "input": {}}]
        items = [
            ask(text),
            {"role": text, "content": text},
            {"role": "assistant", "content": blocks},
        ]
        session.save_delta([*items, call, {"type": text, "content": text}, {text: text}])
        session.append(ss.LlmUsage(2, 100, output_tokens=7, model=text))
        session.append(ss.Extension(text, text), ss.RunStarted(text), ss.RunErrored(text))
        session.append(UnknownEntry("my.kind", {text: [text]}), ss.Seal(text))
        session.append(
            UnknownEntry("turn_end", {"turn_count": 1, "trace": {"length": 0, "blake3": text}})
        )
        session.save_labels({text: text})
        writer = blocking.TraceWriter(opened, session.id)
        writer.event({text: text})
        writer.lifecycle(text, text)
        writer.flush()
        opened.inner.core.append_trace(session.id, b'{"kind":"\x1b[2J"}\n')
        blocking.fork(opened, session.id)
        return session.id


SHOWN = ["ls", "show ID --full", "log ID", "state ID", "usage ID", "trace ID", "trace ID --check"]
SHOWN += [
    "verify ID --parse",
    "verify --all",
    "tree",
    "tree ID",
    "du",
    "ls --key TEXT",
    "show TEXT",
]
SHOWN += ["show ID --at TEXT", "fork ID --at TEXT", "label ID TEXT", "label ID TEXT=TEXT", "TEXT"]
SHOWN += [
    "new --label TEXT",
    "append ID --expect TEXT",
    "append ID --durability TEXT",
    "ls --limit TEXT",
]
SHOWN += ["completion TEXT", "import codex TEXT", "import TEXT", "--store TEXT ls", "ls --TEXT"]
SHOWN += ["repair TEXT", "salvage ID", "repair ID"]


def as_argument(text: str) -> str:
    """Return *text* as the system gives it to a program: no NUL, other bytes as surrogates."""
    return (
        text.replace("\0", "").encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    )


def is_harmless(text: str) -> bool:
    return all(char.isprintable() or char == "\n" for char in text)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_nothing_that_is_printed_moves_a_cursor(tmp_path: Path, text: str) -> None:
    """By no command, in neither form, on neither stream, in no error."""
    cli = Cli(str(tmp_path / "store"))
    session_id = told(cli.store, text)
    given = as_argument(text)
    for line in SHOWN:
        words = [w.replace("ID", session_id).replace("TEXT", given) for w in line.split()]
        for form in ([], ["--json"]):
            said = cli(*words, *form, stdin=json.dumps({"kind": text, "body": text}).encode())
            assert said.code in (0, 1, 2, 3), line
            assert is_harmless(said.out + said.err), (line, said)
            assert "please report it" not in said.err, (line, said.err)


PLACES = {"control codes": EVIL.encode(), "bytes that are no UTF-8": b"\xff\xfe\x9b2J\xc3"}


@pytest.mark.parametrize("name", PLACES.values(), ids=PLACES)
def test_file_names_are_printed_harmless(tmp_path: Path, name: bytes) -> None:
    """That of the store in every error and finding, those of transcripts in every report."""
    place = tmp_path / name.replace(b"/", b"").decode("utf-8", "surrogateescape")
    cli = Cli(str(place))
    session_id = told(cli.store, "x")
    with blocking.open_store(cli.store) as store:
        log = Path(store.path(session_id))
    log.write_bytes(log.read_bytes().replace(b'"kind":"my.kind"', b'"kind":"my.kinD"'))
    transcript = place.with_name(place.name + ".jsonl")
    transcript.write_bytes(b"\x1b[2J\n{}\n")
    lines = [*SHOWN, f"import codex {transcript}", f"import claude-code {transcript}"]
    for line in (*lines, "repair ID", "repair ID", "delete ID --yes"):
        words = [word.replace("ID", session_id).replace("TEXT", "x") for word in line.split(" ")]
        for form in ([], ["--json"]):
            said = cli(*words, *form)
            assert is_harmless(said.out + said.err), (line, said)
            assert "please report it" not in said.err, (line, said.err)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_of_any_kind_is_data(tmp_path: Path, text: str) -> None:
    """As key, label, domain, role and name it comes back as it was, and makes no file of its own name."""
    session_id = told(str(tmp_path / "store"), text)
    with blocking.open_store(tmp_path / "store") as store:
        state = blocking.restore(store, session_id)
        assert session_id == store.find(text)
        assert store.find(text + "x") is None
    assert {"title": text, text: text} == state.labels
    assert (text, {"model": text, text: text}) == (state.system_prompt, state.config)
    assert [(text, text)] == list(state.extensions)
    assert text == state.usage_history[0].model
    assert not any(text[:40] in name for name in tree(tmp_path))


GOOD = "019ab3d8-6c00-7a11-8b22-0000000000a1"
IDS = [
    "../x",
    "/etc/passwd",
    f"/{GOOD}",
    f"../{GOOD}",
    f"{GOOD}/..",
    "a\0b",
    f"{GOOD}\0",
    "x" * 300,
]
IDS += [
    f"urn:uuid:{GOOD}",
    f"{{{GOOD}}}",
    GOOD.upper(),
    GOOD.replace("0", "\u0660"),
    f"{GOOD}\n",
    "",
]
IDS += [
    f"{GOOD}.jsonl",
    GOOD.replace("-", ""),
    GOOD.replace("-7a11", "-4a11"),
    ".",
    "..",
    "*",
    "~",
    "-",
]
IDS += ["%2e%2e%2f", "..\\x", "con", "\u202e", "' OR 1=1 --", GOOD.replace("a1", "\u00e11")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a store, and with what a wrong path would lead to."""
    place = tmp_path_factory.mktemp("ids")
    with blocking.open_store(place / "store") as store:
        record_session(store)
    (place / "x.jsonl").write_bytes(b"not ours")
    return place


@pytest.mark.parametrize("text", IDS, ids=ascii)
def test_what_is_no_id_is_refused_by_every_command(place: Path, text: str) -> None:
    """Exit code 2 before any file is looked at, whatever there is at that path."""
    with pytest.raises(InvalidId):
        parse_session_id(text)
    cli = Cli(str(place / "store"))
    before = tree(place)
    commands = {
        "show",
        "log",
        "state",
        "usage",
        "trace",
        "verify",
        "fork",
        "append",
        "repair",
        "salvage",
    }
    assert commands <= COMMANDS.keys()
    for command in sorted(commands | {"delete --yes", "label a=b", "tree"}):
        name, *rest = command.split()
        said = cli(name, "--", text, *[word for word in rest if word != "--yes"])
        assert 2 == said.code, (command, said)
        assert is_harmless(said.err)
    assert before == tree(place)
