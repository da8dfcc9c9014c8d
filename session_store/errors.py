"""
Every error that session_store raises, named by who must act.

Each carries its facts as attributes and puts them into the message; nobody
needs to parse text. `OSError` passes through where we know no better.
"""

from collections.abc import Sequence


class SessionStoreError(Exception):
    """Base of all errors raised by session_store."""


StoreError = SessionStoreError


class NotFound(SessionStoreError):
    """No such session, or no such record in it."""


class AlreadyExists(SessionStoreError):
    """
    The id or the external key is taken.

    Attributes:
        session_id: The session that holds it.
    """

    def __init__(self, message: str, *, session_id: str) -> None:
        super().__init__(message)
        self.session_id = session_id


class InvalidId(SessionStoreError, ValueError):
    """The text is not a canonical lower-case UUIDv7."""


class InvalidInput(SessionStoreError, ValueError):
    """
    Bytes from outside (a transcript, an entry on standard input) do not fit.

    Attributes:
        source: Where they came from, for people.
        line: 1-based line in it, if it has lines.
    """

    def __init__(self, why: str, *, source: str = "input", line: int | None = None) -> None:
        where = source if line is None else f"{source}, line {line}"
        super().__init__(f"{where}: {why}")
        self.source = source
        self.line = line
        self.why = why


class LimitExceeded(SessionStoreError, ValueError):
    """A limit of docs/FORMAT.md §8 would be broken; nothing was written."""


class Unsupported(SessionStoreError):
    """
    The log or store has another format version than this program.

    Attributes:
        found: Version in the file.
        supported: The version that this program knows.
    """

    def __init__(self, path: str, *, found: int, supported: int) -> None:
        older = "this program" if found > supported else "the file"
        super().__init__(
            f"{path}: format version {found}, supported is {supported}: {older} is too old"
        )
        self.path = path
        self.found = found
        self.supported = supported


class HeadMismatch(SessionStoreError):
    """
    The append lost a race: fork, refresh or give up. Nothing was written.

    Attributes:
        expected: The (seq, hash) that the caller took for the head.
        actual: The (seq, hash) that is the head.
    """

    def __init__(self, session_id: str, *, expected: object, actual: object) -> None:
        super().__init__(f"{session_id}: expected head {expected}, found {actual}")
        self.session_id = session_id
        self.expected = expected
        self.actual = actual


class Locked(SessionStoreError):
    """Another writer held the log for longer than `lock_timeout_s`; nothing was written."""

    def __init__(self, path: str, *, waited_s: float) -> None:
        super().__init__(f"{path}: another writer has held the lock for {waited_s:g} s")
        self.path = path
        self.waited_s = waited_s


class Closed(SessionStoreError):
    """The store or the handle was closed before the call."""


class StoreFull(SessionStoreError):
    """No room for the append; it was rolled back. Work resumes when there is room."""


class DurabilityLost(SessionStoreError):
    """
    A sync to the device failed: what was written since the last one may be gone.

    The handle stays unusable. Open the session anew: what is really on the
    device is then verified, and the log continues from there.
    """


class UnsafePath(SessionStoreError):
    """A file or directory of the store is not what it must be (owner, mode, type, link)."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


class Corrupt(SessionStoreError):
    """
    Stored bytes are not what an honest writer would have left.

    Every record before *seq* is verified and can be read; nothing is skipped.

    Attributes:
        path: File, or the session id where there is no file.
        line: 1-based line.
        offset: Byte at which the line starts.
        seq: The record that cannot be trusted.
        why: What does not hold.
        state: From `restore`: the state before the damage, or None.
    """

    state: object = None

    def __init__(self, path: str, *, line: int, offset: int, seq: int, why: str) -> None:
        super().__init__(f"{path}: line {line}, byte {offset}, seq {seq}: {why}")
        self.path = path
        self.line = line
        self.offset = offset
        self.seq = seq
        self.why = why

    def anew(self) -> "Corrupt":
        """Return the same error, never raised: one that is kept would keep whatever its frames hold."""
        return type(self)(self.path, line=self.line, offset=self.offset, seq=self.seq, why=self.why)


class ChainBroken(Corrupt):
    """The line is well formed, but a hash or a link does not hold."""


class InvalidProof(SessionStoreError, ValueError):
    """A note, a checkpoint or a proof is not of its form, or does not hold. It proves nothing."""


class NotAnExtension(SessionStoreError):
    """
    The log does not continue what was signed or seen of it; nothing was signed.

    Attributes:
        seen: The entry that the log held, as text.
    """

    def __init__(self, session_id: str, *, seen: object) -> None:
        super().__init__(f"{session_id}: the log does not continue {seen}, which it once held")
        self.session_id = session_id
        self.seen = seen


class HasForks(SessionStoreError):
    """
    The session cannot be deleted: forks by reference live on it.

    Attributes:
        children: Their session ids.
    """

    def __init__(self, session_id: str, *, children: Sequence[str]) -> None:
        shown = ", ".join(children[:3]) + (", …" if len(children) > 3 else "")
        super().__init__(f"{session_id}: {len(children)} forks depend on it ({shown})")
        self.session_id = session_id
        self.children = tuple(children)


class NotErasable(SessionStoreError):
    """
    The record says what was done to the log: it holds nobody's data, and is never erased.

    Attributes:
        session_id, seq: The record.
        kind: redaction, seal or recovery.
    """

    def __init__(self, session_id: str, *, seq: int, kind: str) -> None:
        super().__init__(f"{session_id}: seq {seq} is a {kind}, which is never erased")
        self.session_id = session_id
        self.seq = seq
        self.kind = kind


class MissingExtra(SessionStoreError, ImportError):
    """An optional part is not installed; the message names the command."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an extra: pip install 'session-store[{extra}]'")
        self.extra = extra
