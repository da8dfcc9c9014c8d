"""`session-store demo`: the story it tells is true each time it is told."""

import os
import re
import subprocess
import sys
from pathlib import Path

from session_store import blocking
from session_store.cli.demo import TRANSCRIPT
from session_store.cli.demo_kills import LIVES
from session_store.interop.claude_code import read_claude_code


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "session_store", "demo", *arguments],
        capture_output=True,
        timeout=60,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "SESSION_STORE"},
    )


def test_the_demo_loses_nothing_and_finds_the_damage(tmp_path: Path) -> None:
    """Every kill hits an append, every receipt is found, the flipped byte is located."""
    keep = tmp_path / "demo"
    done = run("--keep", str(keep))
    text = done.stdout.decode()
    receipts = sum(LIVES)

    assert 0 == done.returncode, done.stderr
    assert len(LIVES) >= 20
    assert re.search(rf"{len(LIVES)} kills: +{receipts} .* 0 lost, +{len(LIVES)} left half", text)
    assert re.search(r"corrupt: line \d+, byte \d+, seq \d+: the body does not match", text)
    assert "tool call call_" in text
    assert "└─ " in text
    assert "it adds 0 entries" in text
    assert all(len(line) <= 80 for line in text.splitlines() if str(tmp_path) not in line)
    check_what_is_kept(keep)


def check_what_is_kept(keep: Path) -> None:
    """The store that the demo leaves is whole; the copy that it damaged is not."""
    with blocking.open_store(keep / "sessions", create=False) as store:
        reports = [blocking.verify(store, info.session_id) for info in blocking.sessions(store)]
        assert [[]] * 3 == [report.problems for report in reports]
    with blocking.open_store(keep / "damaged", create=False) as store:
        problems = [blocking.verify(store, i.session_id).problems for i in blocking.sessions(store)]
    assert [0, 1] == sorted(map(len, problems))


def test_the_transcript_that_ships_is_read_whole() -> None:
    """Every line of it is accounted for, and one is cut short as a crash does."""
    (item,) = read_claude_code(TRANSCRIPT)
    report = item.report

    assert report.lines == report.mapped + sum(report.kept.values()) + 1
    assert [report.lines] == list(report.unreadable)
