"""
Disks that are really full, or really fail: what does not fit is refused, and what was told holds.

  * full: a tmpfs, and ext4 on a loop device, written to the brim
  * limits: how large a file may be, and how many may be open
  * thin: ext4 on a device that has no room for what it took, which only a sync tells
"""

import errno
import os
import resource
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random
from time import time_ns

from fs_tools import born, kinds, log_of, note, start, store
from real_tools import Disk, Unavailable, limited, loop_ext4, resize, tmpfs

from session_store.chain import Draft, Head, link
from session_store.entries import Position, Receipt
from session_store.errors import DurabilityLost, StoreFull
from session_store.ids import SessionId, new_session_id
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore
from session_store.stores.fs.files import Files, OpenFile, SyncFailed
from session_store.stores.protocol import Cursor

from . import processes
from .acks import look_after, not_intact
from .subject import Row, Subject

SEED = 20261121
_BLOCK, _JOURNAL_BLOCKS = 4096, 1024
_TORN = b'{"v":1,"seq":1,' + bytes(2000)

Work = Callable[[], Receipt]


def everything(core: FsCore, session_id: SessionId, torn: SessionId) -> dict[str, Work]:
    """Return one of each thing that needs room; each may be done again until it is done."""
    at, new = core.head(session_id), [new_session_id() for _ in range(4)]
    drafts = [start(new[0]), start(new[1]), start(new[2], at), start(new[3])]
    notes = [[note("x" * 3000)] for _ in range(3)]

    def whole() -> Receipt:
        birth = core.begin_whole(new[3])
        try:
            core.add_whole(birth, [drafts[3], notes[2]])
            return core.publish_whole(birth, None)
        finally:
            birth.abort()

    def whole_once() -> Receipt:
        return core.flush(new[3]) if core.is_born(new[3]) else whole()

    return {
        "append": lambda: core.append(session_id, notes[0], expected=ANY),
        "append behind a torn tail": lambda: core.append(torn, notes[1], expected=ANY),
        "create": lambda: core.create(new[0], drafts[0]),
        "create with a key": lambda: core.create(new[1], drafts[1], key=f"test:{new[1]}"),
        "fork": lambda: core.create(new[2], drafts[2], parent=at),
        "create whole": whole_once,
    }


class Trial:
    """A store in which everything is tried where it cannot be done, and again where it can."""

    def __init__(self, root: Path) -> None:
        self.core = store(root)
        self.root = root
        self.counts = Counter[str](trials=1)
        self.session_id, self.torn = born(self.core, 1), born(self.core)
        with log_of(self.core, self.torn).open("ab") as log:
            log.write(_TORN)
        self._acked: list[Receipt] = []
        self._left = everything(self.core, self.session_id, self.torn)

    def ack(self, receipt: Receipt) -> None:
        self._acked.append(receipt)

    def attempt(self, may_raise: Callable[[OSError | StoreFull], bool]) -> None:
        """Do what is left to do; what is refused stays to be done."""
        for name, work in list(self._left.items()):
            try:
                self.ack(work())
            except (OSError, StoreFull) as error:
                if not may_raise(error):
                    raise
                self.counts["refused"] += 1
            else:
                del self._left[name]

    def finish(self) -> Counter[str]:
        """Do the rest where nothing stands in the way; count what is wrong then."""
        self.attempt(lambda _: False)
        acks = [Position(ack.session_id, ack.seq, ack.hash) for ack in self._acked]
        found = look_after(self.core, acks, [info.session_id for info in self.core.list()])
        levels = sum(ack.level != self.core.info.best for ack in self._acked)
        self.core.close()
        self.counts["acked"] += len(acks)
        self.counts["wrong"] += found.wrong + levels + not_intact(self.root)
        return self.counts


# -- full -----------------------------------------------------------------------------------------


def full(mounted: Callable[[], AbstractContextManager[Path]], *, trials: int, seed: int) -> Counter:
    """Append until a disk is full, and a little later; make room; go on."""
    random, counts = Random(seed), Counter[str]()
    for number in range(trials):
        with mounted() as where:
            counts += _to_the_brim(where, random)
        if counts["wrong"]:
            print(f"seed {seed}, trial {number}")
    return counts


def _to_the_brim(where: Path, random: Random) -> Counter:
    trial = Trial(where / "store")
    core, path = trial.core, log_of(trial.core, trial.session_id)
    ballast = where / "ballast"
    _stuff(ballast, leave=random.randrange(64 * 1024))
    while True:
        before, drafts = path.read_bytes(), [note("x" * random.randrange(9000)) for _ in range(3)]
        try:
            trial.ack(core.append(trial.session_id, drafts, expected=ANY))
        except StoreFull as error:
            trial.counts["short writes"] += "fitted" in str(error)
            trial.counts["wrong"] += path.read_bytes() != before
            break
    trial.attempt(lambda error: isinstance(error, StoreFull))
    ballast.unlink()
    return trial.finish()


def _stuff(ballast: Path, *, leave: int) -> None:
    with ballast.open("wb", buffering=0) as file:
        size = 64 * 1024
        while size:
            try:
                file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC
                size //= 2
        os.truncate(ballast, max(0, file.tell() - leave))
        os.fsync(file.fileno())


@contextmanager
def small_ext4() -> Iterator[Path]:
    with loop_ext4(mib=16) as disk:
        yield disk.path


# -- limits ---------------------------------------------------------------------------------------


def small_files(root: Path, *, trials: int, seed: int) -> Counter:
    """Let no file grow beyond some byte of what is next appended."""
    random, counts = Random(seed), Counter[str]()
    for number in range(trials):
        trial = Trial(root / str(number))
        path = log_of(trial.core, trial.session_id)
        before = path.read_bytes()
        with limited(resource.RLIMIT_FSIZE, len(before) + random.randrange(3000)):
            trial.attempt(lambda error: isinstance(error, StoreFull))
        trial.counts["wrong"] += path.read_bytes() != before
        counts += trial.finish()
    return counts


def killed_by_the_limit(root: Path, *, trials: int, seed: int) -> Counter:
    """Where SIGXFSZ is not ignored, a process dies of the first byte too many, at any work."""
    random, counts = Random(seed), Counter[str]()
    for number in range(trials):
        trial = Trial(root / str(number))
        size = random.randrange(4000)

        def child(trial: Trial = trial, size: int = size) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            trial.attempt(lambda error: isinstance(error, StoreFull))

        (code,) = processes.wait([processes.start(child)])
        assert code in {0, -signal.SIGXFSZ}
        trial.counts["killed"] += code < 0
        counts += trial.finish()
    return counts


def few_files(root: Path, spares: range) -> Counter:
    """Leave a process so many descriptors and no more."""
    counts = Counter[str]()
    with (root / "any").open("wb") as lowest:
        free = lowest.fileno()
    for spare in spares:
        trial = Trial(root / str(spare))
        with limited(resource.RLIMIT_NOFILE, free + spare):
            trial.attempt(lambda error: getattr(error, "errno", None) == errno.EMFILE)
        counts += trial.finish()
    return counts


# -- thin -----------------------------------------------------------------------------------------


class RoomReturns(Files):
    """The device gets room again in the moment in which it said that it has none."""

    make_room: Callable[[], None] = staticmethod(lambda: None)

    def sync_data(self, file: OpenFile) -> None:
        try:
            super().sync_data(file)
        except SyncFailed:
            self.make_room()
            raise


def thin(*, trials: int, can_mark: bool) -> Counter:
    """
    Write to a device that has no room: the sync fails, and what the cache shows was never there.

    Args:
        can_mark: There is room again for the mark that tells other processes.
    """
    counts = Counter[str]()
    while counts["trials"] < trials:
        with thin_disk() as (disk, device):
            acks: list[Receipt] = []
            for _ in range(min(20, trials - counts["trials"])):
                counts += _lose(disk.path / "store", device, acks, can_mark=can_mark)
            disk.reboot()
            core = store(disk.path / "store")
            told = [Position(ack.session_id, ack.seq, ack.hash) for ack in acks]
            counts["acked"] += len(told)
            counts["wrong"] += look_after(core, told).wrong + not_intact(disk.path / "store")
            core.close()
    return counts


@contextmanager
def thin_disk() -> Iterator[tuple[Disk, Path]]:
    """Give an ext4 with a store, and the tmpfs that is its device; its journal has room already."""
    with tmpfs("64m") as device, loop_ext4(inside=device) as disk:
        core = store(disk.path / "store")
        session_id = born(core)
        for _ in range(_JOURNAL_BLOCKS // 2):
            core.append(session_id, [note()], expected=ANY)
        core.close()
        yield disk, device


def use_up(device: Path, *, spare: int = 0) -> None:
    """Leave the device room for *spare* blocks more than it holds."""
    os.sync()
    found = os.statvfs(device)
    held = (found.f_blocks - found.f_bfree) * found.f_frsize
    resize(device, str(held + spare * _BLOCK))


def block_of(core: FsCore, session_id: SessionId) -> list[Draft]:
    """
    Return a draft whose line fills the log's last block of the disk, or one more.

    A loop device whose file takes only a part of a request says that it took all of it.
    So each request is one block, which it takes or not.
    """
    head, size = core.head(session_id), log_of(core, session_id).stat().st_size
    now = Head(session_id, head.seq, time_ns() // 1_000_000, head.hash)
    empty = len(link(now, now.ts, [note("")])[0])
    return [note("x" * ((-size - empty) % _BLOCK))]


def _lose(root: Path, device: Path, acks: list[Receipt], *, can_mark: bool) -> Counter:
    files = RoomReturns(root)
    core = FsCore(files)
    session_id = born(core)
    acks.append(core.append(session_id, block_of(core, session_id), expected=ANY))
    older, cursor = core.open(session_id, shared=True), core.open(session_id)
    opened, tell = os.pipe()
    with processes.together(1) as begin:
        elsewhere = processes.start(lambda: _be_refused(root, session_id, tell, begin))
        os.close(tell)
        assert os.read(opened, 1), "the other process did not come up"
        os.close(opened)
        use_up(device, spare=len(acks) % 5)
        if can_mark:
            files.make_room = lambda: resize(device, "64m")
        try:
            while True:
                draft = block_of(core, session_id)
                acks.append(core.append(session_id, draft, cursor=cursor))
        except DurabilityLost as lost:
            is_said = "could not be written" in str(lost)
    refused = _is_refused(core, session_id, older) + (processes.wait([elsewhere]) == [0])
    shown = core.head(session_id).seq
    resize(device, "64m")
    # Without a mark only this process knows; with one, any that comes later.
    healer = core if is_said else store(root)
    acks.append(healer.append(session_id, [note()], expected=ANY))
    found = kinds(healer, session_id)
    # What the cache shows is gone from the device: behind the last ack come recovery and append.
    is_back = acks[-1].seq != cursor.head.seq + 2
    wrong = [is_said and can_mark, refused != 2, found.count("recovery") != 1, is_back]
    for each in {core, healer}:
        each.close()
    taken_back = int(shown > cursor.head.seq)
    return Counter(trials=1, taken_back=taken_back, unmarked=int(is_said), wrong=sum(wrong))


def _be_refused(root: Path, session_id: SessionId, tell: int, begin: Callable[[], None]) -> None:
    """Be a process that had the log open when the sync of another one failed."""
    core = store(root)
    cursor = core.open(session_id, shared=True)
    os.write(tell, b"!")
    begin()
    assert _is_refused(core, session_id, cursor)


def _is_refused(core: FsCore, session_id: SessionId, cursor: Cursor) -> bool:
    try:
        core.append(session_id, [note()], cursor=cursor)
    except DurabilityLost:
        return True
    return False


def subjects(root: Path, *, smoke: bool) -> Iterator[Subject]:
    def row(name: str, matrix: tuple[int, ...], work: Callable[[], Counter]) -> Row:
        try:
            counts = work()
        except Unavailable as why:
            return Row(name, {}, 0, matrix, str(why))
        wrong = counts.pop("wrong", 0)
        return Row(name, dict(counts), wrong, matrix)

    def some(few: int, many: int) -> int:
        return few if smoke else many

    def dirs(name: str) -> Path:
        (root / name).mkdir()
        return root / name

    yield lambda: row(
        "a full tmpfs", (15,), lambda: full(lambda: tmpfs("1m"), trials=some(4, 400), seed=SEED)
    )
    yield lambda: row(
        "a full ext4", (15,), lambda: full(small_ext4, trials=some(2, 200), seed=SEED)
    )
    yield lambda: row(
        "RLIMIT_FSIZE, SIGXFSZ ignored",
        (17,),
        lambda: small_files(dirs("small"), trials=some(4, 200), seed=SEED),
    )
    yield lambda: row(
        "RLIMIT_FSIZE, killed by SIGXFSZ",
        (17,),
        lambda: killed_by_the_limit(dirs("killed"), trials=some(4, 200), seed=SEED),
    )
    yield lambda: row(
        "RLIMIT_NOFILE", (21,), lambda: few_files(dirs("few"), range(0, 12, some(4, 1)))
    )
    yield lambda: row(
        "a write-back that fails, marked",
        (12, 13),
        lambda: thin(trials=some(1, 100), can_mark=True),
    )
    yield lambda: row(
        "a write-back that fails, no room for the mark",
        (12, 13),
        lambda: thin(trials=some(1, 50), can_mark=False),
    )
