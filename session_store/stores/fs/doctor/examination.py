"""The examination: all checks, each finding looked at twice, and mended if that is wanted."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from attrs import evolve

from ....errors import SessionStoreError, Unsupported
from .. import layout
from ..core import FsCore
from ..files import Files
from ..listing import session_ids
from ..reading import FsReading
from .family import marker_checks
from .findings import Case, Check, StoreFinding, Verify, unreadable
from .leftovers import key_checks, quarantine_checks, root_temp_checks
from .logs import session_checks
from .marks import mark_checks
from .place import check_is_store, clock_check, describe, place_checks

Progress: TypeAlias = Callable[[int, int], None]
"""Called with bytes of logs: those looked at so far, and all."""

_LOOK_AGAIN_S = 1.0
_LOCK_TIMEOUT_S = 0.5


class Examination:
    """
    One examination of one store, which need not be one that can be opened.

    What may be a writer's work in progress is looked at again a second later, and is
    found only if it has not changed. Without *fix* nothing is changed.

    Args:
        verify: Reads all of a log; None: a look at both ends of each.
        fix: Mend what is fixable, each thing when it is found.
    """

    suspects_max = 10_000
    """So many findings are held at once for their second look."""

    def __init__(
        self,
        files: Files,
        *,
        verify: Verify | None = None,
        fix: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._files = files
        self._verify = verify
        self._fix = fix
        self._progress = progress
        self._core: FsCore | None = None
        self._suspects: list[tuple[Check, StoreFinding]] = []

    def findings(self) -> Iterator[StoreFinding]:
        """
        Give what is found, as it is found. Memory does not grow with the number of sessions.

        Raises:
            NotFound: There is no store.
            OSError: Its root cannot be read.
        """
        check_is_store(self._files)
        try:
            case = self._case()
            yield from self._examined(case, place_checks(case))
            if not self._can_go_on():
                return
            case = self._case()  # The description may have been made anew.
            # In an order in which no group finds again what an earlier one has mended.
            yield from self._examined(case, root_temp_checks(case))
            yield from self._examined(case, mark_checks(case))
            yield from self._examined(case, self._counted(case))
            yield from self._examined(case, marker_checks(case))
            yield from self._examined(case, key_checks(case))
            yield from self._examined(case, quarantine_checks(case))
            yield from self._examined(case, [clock_check(case)])
        finally:
            if self._core is not None:
                self._core.close()

    def _case(self) -> Case:
        try:
            info = describe(self._files)
        except Unsupported:
            info = None
        # Of a store that cannot tell, nothing is said to be wrong for being masked or shared.
        reading = FsReading(self._files, allow_masked=info is None or info.masked is not None)
        shared_group = None if info is None else info.shared_group
        now_ms = self._files.clock.now_ms()
        return Case(self._files, reading, shared_group, self._verify, now_ms)

    def _can_go_on(self) -> bool:
        """Return whether what lies below the root can be understood."""
        root, tombstones = (self._files.stat(path) for path in (".", layout.TOMBSTONES))
        try:
            describe(self._files)
        except Unsupported:
            return False
        is_ours = root is not None and root.owner == self._files.owner()
        return is_ours and (tombstones is None or tombstones.is_regular)

    def _counted(self, case: Case) -> Iterator[Check]:
        """Give the checks of sessions, and tell how far they are."""
        if self._progress is None:
            yield from session_checks(case)
            return
        total = self._total()
        for check in session_checks(case):
            self._progress(min(case.seen, total), total)
            yield check
        self._progress(total, total)

    def _total(self) -> int:
        logs = (self._files.stat(layout.log_path(one)) for one in session_ids(self._files))
        try:
            return sum(found.size for found in logs if found is not None)
        except OSError:  # The checks will say what; how long they take is then not known.
            return 0

    def _examined(self, case: Case, checks: Iterable[Check]) -> Iterator[StoreFinding]:
        for check in checks:
            for finding in _look(check):
                if check.is_steady:
                    yield self._treated(check, finding)
                    continue
                self._suspects.append((check, finding))
            if len(self._suspects) >= self.suspects_max:
                yield from self._second_look()
        yield from self._second_look()
        yield from case.unread
        case.unread.clear()

    def _second_look(self) -> Iterator[StoreFinding]:
        suspects, self._suspects = self._suspects, []
        if suspects:
            self._files.clock.sleep(_LOOK_AGAIN_S)
        for check, finding in suspects:
            if finding in _look(check):
                yield self._treated(check, finding)

    def _treated(self, check: Check, finding: StoreFinding) -> StoreFinding:
        if not self._fix or finding.fix is None:
            return finding
        failure: Exception | None = None
        try:
            finding.fix(self._opened())
        except (SessionStoreError, OSError) as error:
            # What its frames hold open, a lock perhaps, is let go of.
            failure = error.with_traceback(None)
        if finding in _look(check):
            return evolve(finding, failure=failure)
        return evolve(finding, is_mended=True)

    def _opened(self) -> FsCore:
        if self._core is None:
            self._core = FsCore(self._files, lock_timeout_s=_LOCK_TIMEOUT_S)
        return self._core


def _look(check: Check) -> list[StoreFinding]:
    found: list[StoreFinding] = []
    try:
        found.extend(check.look())  # Up to the error, if there is one.
    except FileNotFoundError:
        pass  # It went away in this moment; so did what was to be said of it.
    except OSError as error:
        found.append(unreadable(check.path, error, check.session_id))
    return found
