"""What writers were told, in memory that outlives them, and what is there when they are dead."""

import mmap
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen
from fs_tools import note, records

from session_store import blocking
from session_store.entries import EntryHash, Position, Receipt
from session_store.ids import SessionId
from session_store.stores import ANY
from session_store.stores.fs.core import FsCore

_COUNT = struct.Struct("<Q")
_ACK = struct.Struct("<36sQ32s")


class Acks:
    """
    The receipts of one writer, in memory that it shares with its parent.

    No call to the system is needed to leave one, so nothing that is done to the
    writer's calls can change or delay it. One that was not counted was not left.
    """

    def __init__(self, size: int = 1 << 20) -> None:
        self._memory = mmap.mmap(-1, size)
        self._max = (size - _COUNT.size) // _ACK.size

    @property
    def room(self) -> int:
        """How many more there is room for."""
        return self._max - len(self)

    def __len__(self) -> int:
        return int(_COUNT.unpack_from(self._memory)[0])

    def __iter__(self) -> Iterator[Position]:
        for number in range(len(self)):
            at = _COUNT.size + number * _ACK.size
            session_id, seq, digest = _ACK.unpack_from(self._memory, at)
            yield Position(SessionId(session_id.decode()), seq, EntryHash(digest))

    def add(self, receipt: Receipt) -> None:
        number = len(self)
        assert number < self._max, "more receipts than there is room for"
        at = _COUNT.size + number * _ACK.size
        _ACK.pack_into(self._memory, at, receipt.session_id.encode(), receipt.seq, receipt.hash)
        _COUNT.pack_into(self._memory, 0, number + 1)

    def clear(self) -> None:
        _COUNT.pack_into(self._memory, 0, 0)


@frozen
class Aftermath:
    """
    What is found when the writers are dead.

    Attributes:
        lost: Acknowledged records that are not in their log.
        broken: Logs that do not open, hold and take one more append.
    """

    acked: int = 0
    lost: int = 0
    broken: int = 0

    @property
    def wrong(self) -> int:
        return self.lost + self.broken

    def __add__(self, other: "Aftermath") -> "Aftermath":
        return Aftermath(
            self.acked + other.acked, self.lost + other.lost, self.broken + other.broken
        )


def look_after(
    core: FsCore, acks: Iterable[Position], sessions: Iterable[SessionId] = ()
) -> Aftermath:
    """
    Read, append to and read again every log that *acks* or *sessions* name.

    What is wrong is printed with its log.
    """
    wanted: dict[SessionId, list[Position]] = defaultdict(list)
    for session_id in sessions:
        wanted[session_id] = []
    for ack in acks:
        wanted[ack.session_id].append(ack)
    total = Aftermath()
    for session_id, told in wanted.items():
        total += _look_after(core, session_id, told)
    return total


def _look_after(core: FsCore, session_id: SessionId, told: list[Position]) -> Aftermath:
    begin = min((ack.seq for ack in told), default=0)
    found: dict[int, bytes] = {}
    try:
        found = {record.seq: record.hash for record in records(core, session_id, begin)}
        receipt = core.append(session_id, [note()], expected=ANY)
        again = {record.seq: record.hash for record in records(core, session_id, begin)}
        assert receipt.hash == again[receipt.seq]
        assert found.items() <= again.items(), "a reader saw what is no longer there"
    except Exception as error:  # noqa: BLE001 - counted, told
        print(f"{session_id}: {error!r}")
        return Aftermath(len(told), 0, 1)
    lost = [ack for ack in told if found.get(ack.seq) != ack.hash]
    for ack in lost[:3]:
        print(f"{session_id}: acknowledged and lost: {ack}")
    return Aftermath(len(told), len(lost))


def not_intact(root: Path) -> int:
    """Return how many sessions of a store `verify` finds something wrong with; they are printed."""
    found = 0
    with blocking.open_store(root, create=False) as opened:
        for info in opened.list(limit=100_000):
            report = blocking.verify(opened, info.session_id)
            if report.problems:
                print(f"{info.session_id}: {report.problems}")
                found += 1
    return found
