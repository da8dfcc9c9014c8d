"""
The records of one kind in the bytes of a log, found without checking every line.

Pure and incremental, as scanning is. What is found holds by itself; whether it is linked to what
stands before it, and whether its append is whole, is for whoever scans.
"""

from .chain import Invalid, Record, check_line
from .ids import SessionId
from .limits import LINE_BYTES_MAX
from .scan import Rest


class KindSearch:
    """
    Finds the records of *kind*.

    A byte search finds candidates; each is then checked as a record by itself.
    """

    def __init__(self, session_id: SessionId, kind: str) -> None:
        self._session_id = session_id
        self._kind = kind
        # Stands in the HEAD of every record of that kind, and hardly anywhere else.
        self._mark = b',"kind":"%s","batch":' % kind.encode()
        self._rest = Rest()

    def feed(self, data: bytes) -> list[Record]:
        """Take the next bytes of the log; return what is found in the lines that they complete."""
        self._rest.add(data)
        if b"\n" not in data and self._rest.size <= LINE_BYTES_MAX:
            return []
        buffer = self._rest.take()
        found: list[Record] = []
        end = buffer.rfind(b"\n") + 1
        at = buffer.find(self._mark, 0, end)
        while at >= 0:
            line_end = buffer.index(b"\n", at)
            self._take(buffer[buffer.rfind(b"\n", 0, at) + 1 : line_end], found)
            at = buffer.find(self._mark, line_end, end)
        rest = buffer[end:]
        # Too long for a record, and so is what follows up to the next LF.
        self._rest.add(b" " if len(rest) > LINE_BYTES_MAX else rest)
        return found

    def finish(self) -> list[Record]:
        """Return what is found in the last line, which counts without its LF too."""
        rest = self._rest.take()
        found: list[Record] = []
        if self._mark in rest:
            self._take(rest, found)
            self._take(rest[:-1], found)
        return found

    def _take(self, line: bytes, found: list[Record]) -> None:
        try:
            record = check_line(line, self._session_id)
        except Invalid:
            return
        if record.kind == self._kind:
            found.append(record)
