"""
What others do to a log that is in use: cut it, replace it, delete it, lose a block of it, forbid it.

A writer appends all the while; whatever was done is refused with a typed error, or
found by verification at its place. Nothing is made anew in silence.
"""

import fcntl
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from fs_tools import born, log_of, note, records, store
from real_tools import Unavailable, punch_hole

from session_store.errors import Corrupt, SessionStoreError
from session_store.ids import SessionId
from session_store.stores.fs.core import FsCore

from . import processes
from .acks import Acks, look_after
from .busy_store import LastWord
from .exhaustive import good_log
from .subject import Row, Subject

SEED = 20261121
_PAGE = 4096


class Writing:
    """A process that appends to one log until it is refused or ended."""

    def __init__(self, root: Path, session_id: SessionId, *, shared: bool) -> None:
        self.acks, self.last_word = Acks(), LastWord()
        self._root, self._session_id, self._shared = root, session_id, shared
        self._pid = processes.start(self._work)
        self.let_it_work(3)

    def _work(self) -> None:
        core = store(self._root, lock_timeout_s=60)
        cursor = core.open(self._session_id, shared=self._shared)
        try:
            while True:
                drafts = [note("x" * 700) for _ in range(2)]
                self.acks.add(core.append(self._session_id, drafts, cursor=cursor))
        except SessionStoreError as error:
            self.last_word.say(error)

    def let_it_work(self, appends: int) -> None:
        """Wait until it made *appends* more, or ended."""
        wanted, deadline = len(self.acks) + appends, time.monotonic() + processes.TIMEOUT_S
        while len(self.acks) < wanted and not str(self.last_word):
            assert time.monotonic() < deadline, "the writer got nowhere"
            time.sleep(0.0005)

    def refusal(self) -> str:
        """Return the name of the error that ended it; "" if it had to be killed."""
        self.let_it_work(50)
        if not str(self.last_word):
            os.kill(self._pid, signal.SIGKILL)
        assert {0, -signal.SIGKILL} >= set(processes.wait([self._pid]))
        return str(self.last_word).partition("(")[0]


def shrunk(root: Path, *, trials: int, seed: int) -> Counter[str]:
    """Cut a log at any byte under a writer that knows its head."""
    random, counts = Random(seed), Counter[str]()
    core = store(root)
    for _ in range(trials):
        session_id = born(core)
        path, writing = log_of(core, session_id), Writing(root, session_id, shared=False)
        os.truncate(path, random.randrange(core.record(session_id, 0).end, path.stat().st_size))
        refusal = writing.refusal()
        counts.update(trials=1, acked=len(writing.acks), **{refusal or "went on": 1})
        # The cut may come between the writer's last look at the length and its write.
        counts["wrong"] += refusal not in {"HeadMismatch", "Corrupt", "ChainBroken"} and (
            _holds(core, session_id)
        )
    core.close()
    return counts


def _holds(core: FsCore, session_id: SessionId) -> bool:
    try:
        records(core, session_id)
    except Corrupt:
        return False
    return True


def replaced(root: Path, *, trials: int) -> Counter[str]:
    """Put a copy in the place of a log, again and again, as recovery does: under its lock."""
    counts = Counter[str]()
    core = store(root)
    session_id = born(core)
    path, writing = log_of(core, session_id), Writing(root, session_id, shared=True)
    for _ in range(trials):
        with path.open("rb") as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            copy = path.with_name("copy")
            copy.write_bytes(log.read())
            copy.chmod(0o600)
            copy.rename(path)
        writing.let_it_work(2)
    counts.update(trials=trials, refused=int(writing.refusal() != ""))
    found = look_after(core, writing.acks)
    counts.update(acked=found.acked, wrong=found.wrong + counts["refused"])
    core.close()
    return counts


def replaced_by_older(root: Path, *, trials: int) -> Counter[str]:
    """Put an older copy in the place of a log under a writer that knows its head."""
    counts = Counter[str]()
    core = store(root)
    for _ in range(trials):
        session_id = born(core, 2)
        path = log_of(core, session_id)
        older = path.with_name("older")
        shutil.copy(path, older)
        writing = Writing(root, session_id, shared=False)
        older.rename(path)
        refusal = writing.refusal()
        counts.update({"trials": 1, refusal: 1})
        counts["wrong"] += refusal != "HeadMismatch" or core.head(session_id).seq != 2
    core.close()
    return counts


def deleted(root: Path, *, trials: int) -> Counter[str]:
    """Take the file, its directory, or all of the day away under a writer."""
    counts = Counter[str]()
    core = store(root)
    for number in range(trials):
        session_id = born(core)
        path = log_of(core, session_id)
        where = (path, path.parent, path.parents[1])[number % 3]
        writing = Writing(root, session_id, shared=number % 2 == 0)
        aside = root.parent / f"gone-{number}"
        where.rename(aside)
        refusal = writing.refusal()
        counts.update({"trials": 1, refusal: 1})
        counts["wrong"] += refusal != "NotFound" or where.exists()
    core.close()
    return counts


def holes(root: Path, *, trials: int, seed: int) -> Counter[str]:
    """Lose a page from the middle of a log: everything before it is read, then its place is told."""
    random, counts = Random(seed), Counter[str]()
    core = store(root)
    for _ in range(trials):
        good = good_log(120, random.randrange(1 << 30))
        path = log_of(core, good.session_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(good.data)
        # Behind the first append, and before the last line: that one alone may be torn.
        pages = range(good.lines[1] // _PAGE + 1, good.lines[-2] // _PAGE)
        page = random.choice(pages) * _PAGE
        punch_hole(path, page, _PAGE)
        expected = good.after_flip(page)
        found, error = [], None
        try:
            for batch in core.read(good.session_id):
                found += [record.seq for record in batch]
        except Corrupt as damage:
            error = (damage.seq, damage.offset)
        counts["trials"] += 1
        is_right = error == (expected.seq, expected.offset)
        counts["wrong"] += not is_right or found != list(range(expected.last + 1))
    core.close()
    return counts


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    def row(name: str, matrix: int, work: Callable[[Path], Counter[str]]) -> Row:
        where = root / name.replace(" ", "-")
        where.mkdir()
        try:
            counts = work(where / "store")
        except Unavailable as why:
            return Row(name, {}, 0, (matrix,), str(why))
        wrong = counts.pop("wrong", 0)
        return Row(name, dict(counts), wrong, (matrix,))

    def some(few: int, many: int) -> int:
        return few if smoke else many

    trials = some(3, 50)
    yield lambda: row(
        "a log cut under its writer", 45, lambda r: shrunk(r, trials=trials, seed=SEED)
    )
    yield lambda: row(
        "a log replaced under its writer", 46, lambda r: replaced(r, trials=some(5, 200))
    )
    yield lambda: row(
        "a log replaced by an older one", 46, lambda r: replaced_by_older(r, trials=trials)
    )
    yield lambda: row("a log deleted under its writer", 47, lambda r: deleted(r, trials=trials))
    yield lambda: row(
        "a page lost from a log", 44, lambda r: holes(r, trials=some(10, 300), seed=SEED)
    )
