"""
Verification: what holds, what was found, and where. Reads everything, remembers nothing.

A fork holds if its own log holds and its parents' logs hold up to where it
was forked; a log is read once for all the sessions that one `Verifier` looks at.
"""

import time
from collections.abc import Sequence

from attrs import define, field

from ..chain import Head, Record, Withheld, is_blank, root_head
from ..checkpoint.keys import VerifierKey
from ..codec import decode_body
from ..entries import Position
from ..errors import Corrupt, NotFound, Unsupported
from ..ids import SessionId, parse_session_id
from ..redacted import Named, redaction_targets
from ..scan import Scanner, Tail
from ..stores.protocol import Store
from .levels import Anchor, Levels, Watch
from .reports import Finding, Level, Report, What

_BROKEN = frozenset({"corrupt", "parent-missing"})
_MAY_BE_ERASING = frozenset({"corrupt", "erased-without-redaction"})
_IN_FLIGHT_S = 1.0
_ERASING_S = 5.0
_LOOK_AGAIN_S = 0.05


@define
class _Log:
    """One log, read once."""

    session_id: SessionId
    head: Position | None = None
    origin: Position | None = None
    findings: list[Finding] = field(factory=list)
    error: Corrupt | Unsupported | None = None
    tail: Tail | None = None
    is_in_flight: bool = False
    watch: Watch = field(factory=Watch)


class Verifier:
    """
    Verifies sessions of one store.

    Args:
        allow_masked: Masked records are legal wherever they stand.
        parse: Also parse every body as JSON.
        trust: Keys whose seals count.
        against: A signed head of the session, the signed heads of the store, or another store.
        unsealed_max: More records than that behind the newest seal are a problem.

    Raises:
        ValueError: *against* is signed, or *unsealed_max* given, and no key is trusted.
    """

    def __init__(
        self,
        store: Store,
        *,
        allow_masked: bool = False,
        parse: bool = False,
        trust: Sequence[VerifierKey] = (),
        against: Anchor | None = None,
        unsealed_max: int | None = None,
    ) -> None:
        self._levels = Levels(trust, against, unsealed_max)
        self._heads: list[tuple[Position, bool]] = []
        self._lost: list[SessionId] = []
        self._deleted: list[SessionId] = []
        self._store = store
        self._allow_masked = allow_masked
        self._parse = parse
        self._logs: dict[SessionId, _Log] = {}

    async def verify(self, session_id: SessionId) -> Report:
        """
        Verify one session and what it lives on.

        Raises:
            NotFound: There is no such log.
            Unsupported: It is of another version.
            InvalidProof: *against* is about something else, or not signed by a trusted key.

        Cost: linear in the bytes of the logs not read before.
        """
        log = await self._read(parse_session_id(session_id))
        if isinstance(log.error, Unsupported):
            raise log.error
        findings = list(log.findings)
        if log.head is None and log.error is None:
            why = "empty, or wholly a torn tail: the session was never born"
            findings = [Finding("unborn", log.session_id, 1, 0, 0, why)]
        broken = log.error is not None or log.head is None
        if log.origin is not None and log.head is not None:
            inherited = await self._lineage(log)
            broken = broken or any(f.what in _BROKEN for f in inherited)
            findings = [*inherited, *findings]
        records = 0 if log.head is None else log.head.seq + 1
        level: Level | None = None if broken else "INTACT"
        report = Report(session_id, level, records, log.head, findings)
        report = await self._levels.lift(self._store, report, log.watch)
        if report.level is not None and report.head is not None:
            self._heads.append((report.head, report.has_gone_back))
        return report

    async def missing(self) -> Sequence[Report]:
        """Return a report for each session that was seen or signed, and is not there any more."""
        missing, deleted = await self._levels.missing(self._store)
        self._deleted += deleted
        self._lost += [report.session_id for report in missing]
        return missing

    async def remember(self, *, also_back: bool = False) -> None:
        """
        Let the store's head memory, if it has one, know the heads of the logs that were verified,
        and forget what `missing` found deleted as it should be.

        Args:
            also_back: Those too that do not continue what was seen before: from here on, they
                do; and what `missing` has found is forgotten.
        """
        kept = [head for head, has_gone_back in self._heads if also_back or not has_gone_back]
        await self._store.remember(kept, also_back=also_back)
        if self._store.heads is not None:
            for session_id in (*self._deleted, *(self._lost if also_back else ())):
                self._store.heads.forget(session_id)
        self._heads.clear()

    async def verify_log(self, session_id: SessionId) -> Sequence[Finding]:
        """
        Return what is wrong with one log now, whatever it lives on; errors as for `verify`.

        What is in flight is not waited for.
        """
        log = await self._log_reader(parse_session_id(session_id)).read()
        if isinstance(log.error, Unsupported):
            raise log.error
        return [finding for finding in log.findings if not finding.is_legal]

    async def _lineage(self, log: _Log) -> list[Finding]:
        findings: list[Finding] = []
        seen = {log.session_id}
        while (parent := log.origin) is not None:
            if parent.session_id in seen:
                why = "its parents lead back to itself"
                return [*findings, Finding("corrupt", log.session_id, 1, 0, 0, why)]
            seen.add(parent.session_id)
            child = log.session_id
            try:
                log = await self._read(parent.session_id)
            except NotFound:
                why = f"its parent {parent.session_id} is not in the store"
                return [*findings, Finding("parent-missing", child, 1, 0, 0, why)]
            if isinstance(log.error, Unsupported):
                raise log.error
            findings += await self._prefix_findings(log, parent, child)
            if any(f.what in _BROKEN for f in findings):
                break
        return findings

    async def _prefix_findings(
        self, log: _Log, parent: Position, child: SessionId
    ) -> list[Finding]:
        """Return what is wrong with the part of a parent's log that its fork stands on."""
        found = [f for f in log.findings if f.seq <= parent.seq and f.what != "torn"]
        if any(f.what == "corrupt" for f in found):
            return found
        if log.head is None:
            why = f"its parent {parent.session_id} was never born"
            return [*found, Finding("parent-missing", child, 1, 0, 0, why)]
        # The log was verified beyond that record, so the one found there is the one verified.
        is_there = log.head.seq >= parent.seq
        if is_there and await self._store.position(parent.session_id, parent.seq) == parent:
            return found
        why = f"its parent {parent.session_id} has another record at seq {parent.seq}, or none"
        return [*found, Finding("corrupt", child, 1, 0, 0, why)]

    def _log_reader(self, session_id: SessionId, watch: Watch | None = None) -> "_LogReader":
        return _LogReader(
            self._store, session_id, watch, allow_masked=self._allow_masked, parse=self._parse
        )

    async def _read(self, session_id: SessionId) -> _Log:
        if session_id not in self._logs:
            waited_s = 0.0
            while True:
                began = time.monotonic()
                watch = await self._levels.begin(self._store, session_id)
                log = await self._log_reader(session_id, watch).read()
                took_s = time.monotonic() - began
                if not log.is_in_flight or waited_s >= _IN_FLIGHT_S:
                    break
                await self._store.pause(_LOOK_AGAIN_S)
                # What was in flight had the time of the reading, too.
                waited_s += _LOOK_AGAIN_S + took_s
            self._logs[session_id] = log
        return self._logs[session_id]


class _LogReader:
    """Reads one log in bounded memory and gathers what is to be said about it."""

    def __init__(
        self,
        store: Store,
        session_id: SessionId,
        watch: Watch | None,
        *,
        allow_masked: bool,
        parse: bool,
    ) -> None:
        self._store = store
        self._parse = parse
        self._allow_masked = allow_masked or store.is_masked
        self._log = _Log(session_id, watch=watch or Watch())
        self._last: Head | None = None  # Not the record: it may be 16 MiB twice.
        self._named: Named = {}
        self._wanted: Named = {}
        self._wanted_seqs: set[int] = set()
        self._withheld: list[tuple[int, bytes, int, Withheld]] = []
        self._still_there: dict[tuple[int, bytes], int] = {}

    async def read(self) -> _Log:
        log = self._log
        if self._parse or log.watch.audit is not None or not await self._skim():
            await self._read_all()
        if self._last is not None:
            log.head = self._last.position
        self._conclude()
        is_torn = log.tail is not None and log.tail.state == "torn"
        log.is_in_flight = is_torn or await self._may_be_erasing()
        return log

    async def _skim(self) -> bool:
        """
        Return whether the log holds, and nothing in it is withheld or a redaction.

        Then one pass is enough: only what is erased must be known before it is read.
        """
        log = self._log
        scanner = self._scanner(skim=True)
        try:
            async for chunk in self._store.raw(log.session_id):
                if not all(map(self._is_plain, scanner.feed(chunk))) or scanner.error is not None:
                    return False
            tail = scanner.finish()
        except (Corrupt, Unsupported):
            return False
        if not all(map(self._is_plain, tail.records)):
            return False
        log.tail, log.origin = tail, scanner.origin
        self._last = scanner.head if scanner.head.seq >= 0 else None
        return True

    async def _read_all(self) -> None:
        log, store = self._log, self._store
        self._wanted = await store.redactions(log.session_id)
        self._wanted_seqs = {seq for seq, _ in self._wanted}
        scanner = self._scanner()
        try:
            async for chunk in store.raw(log.session_id):
                self._take(scanner.feed(chunk))
                if scanner.error is not None:
                    break
            log.tail = scanner.finish()
            self._take(log.tail.records)
        except (Corrupt, Unsupported) as error:
            log.error = error
        log.origin = scanner.origin

    def _scanner(self, *, skim: bool = False) -> Scanner:
        return Scanner(
            self._log.session_id,
            root_head(self._log.session_id),
            allow_masked=self._allow_masked,
            replacements=self._wanted,
            skim=skim,
        )

    async def _may_be_erasing(self) -> bool:
        """Return whether an erasure that is under way may be all that is wrong."""
        found = {finding.what for finding in self._log.findings}
        if "erasure-unfinished" in found:
            assert self._last is not None
            return time.time() - self._last.ts / 1000 < _ERASING_S
        if found.isdisjoint(_MAY_BE_ERASING):
            return False
        return await self._store.redactions(self._log.session_id) != self._wanted

    def _take(self, records: Sequence[Record]) -> None:
        if not self._parse and all(map(self._is_plain, records)):
            if records:
                self._last = _head_of(records[-1], self._log.session_id)
                self._audit(records)
            return
        begin = 0
        for index, record in enumerate(records):
            if record.kind == "redaction" or self._parse:
                decode_body(record, self._log.session_id)
            if record.batch == 0:  # A body that does not parse spoils its whole append.
                self._count(records[begin : index + 1])
                begin = index + 1

    def _is_plain(self, record: Record) -> bool:
        is_named = record.seq in self._wanted_seqs
        return record.withheld is None and record.kind != "redaction" and not is_named

    def _audit(self, records: Sequence[Record]) -> None:
        if self._log.watch.audit is not None:
            self._log.watch.audit.take(records)

    def _count(self, append: Sequence[Record]) -> None:
        self._audit(append)
        for record in append:
            self._last = _head_of(record, self._log.session_id)
            key = record.seq, record.digest
            if record.withheld is not None:
                self._withheld.append((*key, record.offset, record.withheld))
            if key in self._wanted and not is_blank(record):
                self._still_there[key] = record.offset
            self._named.update(redaction_targets(record))

    def _conclude(self) -> None:
        log = self._log
        for seq, digest, offset, withheld in self._withheld:
            named = (seq, digest) in self._named
            if withheld == "masked" and not named:
                self._found("masked", seq, offset, "masked by its sender")
            elif withheld == "erased" and named and (seq, digest) not in self._still_there:
                self._found("erased", seq, offset, "erased, as a redaction says")
            elif withheld == "erased" and not named:
                why = "erased, but no later redaction names it"
                self._found("erased-without-redaction", seq, offset, why)
        for key in self._named.keys() & self._still_there.keys():
            why = "a redaction names it, but its body is still there, or a part of it"
            self._found("erasure-unfinished", key[0], self._still_there[key], why)
        log.findings.sort(key=lambda f: f.seq)
        self._conclude_end()

    def _conclude_end(self) -> None:
        log = self._log
        seq = 0 if log.head is None else log.head.seq + 1
        if isinstance(log.error, Corrupt):
            self._found("corrupt", log.error.seq, log.error.offset, log.error.why)
        elif log.tail is not None and log.head is not None:
            if log.tail.state == "torn":
                why = f"{log.tail.size} bytes of an unfinished append"
                self._found("torn", seq, log.tail.offset, why)
            elif log.tail.state == "missing_lf":
                last = log.tail.records[-1]
                why = "the last line has no end; the next append puts it there"
                self._found("missing-lf", last.seq, last.offset, why)

    def _found(self, what: What, seq: int, offset: int, why: str) -> None:
        session_id = self._log.session_id
        self._log.findings.append(Finding(what, session_id, seq + 1, offset, seq, why))


def _head_of(record: Record, session_id: SessionId) -> Head:
    return Head(session_id, record.seq, record.ts, record.hash)


async def verify(
    store: Store,
    session_id: SessionId,
    *,
    allow_masked: bool = False,
    parse: bool = False,
    trust: Sequence[VerifierKey] = (),
    against: Anchor | None = None,
    unsealed_max: int | None = None,
) -> Report:
    """Verify one session; see `Verifier`. The store's head memory remembers what was found good."""
    verifier = Verifier(
        store,
        allow_masked=allow_masked,
        parse=parse,
        trust=trust,
        against=against,
        unsealed_max=unsealed_max,
    )
    report = await verifier.verify(session_id)
    await verifier.remember()
    return report
