"""Logs whose chain holds and whose content is anything: the commands say something of each."""

import random
from pathlib import Path

import pytest
from cli_tools import Cli, flip, record_session

from session_store import UnknownEntry, blocking
from session_store.entries import KINDS

READERS = ["show", "log", "state", "usage", "trace", "tree", "fork"]
SHOWN = ["show ID --full", "show ID --json", "log ID", "log ID --json", "state ID"]
SHOWN += ["state ID --json", "usage ID", "trace ID --check"]
VALUES = [None, True, -1, 2**60, 2**80, 1.5, float("nan"), "x\x1b[1m\u202e", b"\xff", "\ud800", []]
VALUES += [{}, [1], [[]], [{}], [None], {"a": {"b": 1}}, {1: 2}, {"$ss": 1}, [{"role": []}]]
VALUES += [[{"role": "user", "content": {"a": 1}}], [{"type": "function_call", "name": 3}]]
FIELDS = ["items", "history", "config", "turn_count", "trace", "trigger", "result", "message"]
FIELDS += ["interrupted", "labels", "domain", "payload", "model", "session_id", "cause", "note"]
FIELDS += ["history_len", "input_total_tokens", "cache_read_tokens", "output_tokens", "targets"]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(str(tmp_path / "store"))


@pytest.mark.parametrize("kind", [*(kind for kind in KINDS if kind != "redaction"), "my.kind"])
def test_bodies_of_any_shape_are_shown_or_named_corrupt(cli: Cli, kind: str) -> None:
    """No body that a valid record can hold gives anything but a documented exit code."""
    for value in VALUES:
        with blocking.open_store(cli.store) as store:
            session = blocking.create_session(store)
            session.append(UnknownEntry(kind, dict.fromkeys(FIELDS, value)), durability="os")
            session.append(UnknownEntry(kind, {}), durability="os")
        for line in SHOWN:
            said = cli(*line.replace("ID", session.id).split())
            assert said.code in (0, 1), (line, value, said.err)


def test_a_body_as_deep_as_the_format_allows_is_printed(cli: Cli) -> None:
    """What stands inside a document of ours may be nested to the limit itself."""
    body: dict[str, object] = {}
    for _ in range(199):
        body = {"a": body}
    with blocking.open_store(cli.store) as store:
        session = blocking.create_session(store)
        session.append(UnknownEntry("my.kind", body))
        session.save_extension("d", body["a"])
    for command in ("log", "state", "show"):
        assert 0 == cli(command, session.id, "--json").code


def test_random_damage_is_never_more_than_an_answer(cli: Cli) -> None:
    """Flipped, cut, doubled and foreign bytes: a documented exit code from every reader."""
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    with blocking.open_store(cli.store) as store:
        session = record_session(store)
        log = Path(store.path(session.id))
    good = log.read_bytes()
    for _ in range(50):
        data = bytearray(good)
        at, size = rng.randrange(len(data)), rng.choice([1, 1, 5, 400])
        data[at : at + size] = rng.choice([b"", rng.randbytes(size), data[:at], bytes(20)])
        log.write_bytes(data)
        for command in READERS:
            assert cli(command, session.id).code in (0, 1, 3), (seed, command)
        assert cli("ls", "--json").code == 0


def test_a_fork_whose_parent_changed_is_said_to_be_none(cli: Cli) -> None:
    """Reading it stops where its parent does not hold, with exit code 1."""
    with blocking.open_store(cli.store) as store:
        session = record_session(store)
        fork = blocking.fork(store, session.id)
        flip(store.path(session.id), b"welcome")
    for command in ("show", "state", "verify"):
        assert 1 == cli(command, fork.id).code
