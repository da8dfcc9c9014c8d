"""
What redactions name, and what a reader gives out in its place (docs/FORMAT.md §7).

Pure: the lines of a log in, a verdict out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import orjson

from .chain import Record
from .entries import Json, Redaction
from .ids import SessionId
from .positions import is_hash
from .search import KindSearch
from .values import encode, parse

_TARGETS_MAX = 5_000
_REPLACEMENTS_BYTES_MAX = 4 * 1024 * 1024

Named = dict[tuple[int, bytes], bytes | None]
"""(seq, digest as hex bytes) -> JSON bytes of the replacement, or None."""


def redaction_targets(record: Record) -> Named:
    """
    Return what a redaction names.

    A target that the log's format does not allow names nothing: the record it
    may have meant is then reported as erased without redaction.
    """
    if record.kind != "redaction" or record.body is None:
        return {}
    return named_by(record.body, record.seq)


def named_by(redaction: bytes, seq_max: int) -> Named:
    """Return what the body of a *redaction* names before seq *seq_max*."""
    try:
        body = parse(redaction)
    except ValueError:
        return {}
    targets = body.get("targets") if isinstance(body, dict) else None
    replacements = body.get("replacements") if isinstance(body, dict) else None
    named: Named = {}
    for target in targets if isinstance(targets, list) else ():
        seq, digest = _target(target)
        if seq is None or digest is None or seq >= seq_max:
            continue
        given = replacements.get(str(seq)) if isinstance(replacements, dict) else None
        named[seq, digest] = orjson.dumps(given) if isinstance(given, dict) else None
    return named


def _target(target: Json) -> tuple[int | None, bytes | None]:
    if not isinstance(target, dict):
        return None, None
    seq, digest = target.get("seq"), target.get("digest")
    if type(seq) is int and is_hash(digest):
        return seq, digest.encode()
    return None, None


def withhold(record: Record, named: Named) -> Record:
    """Return *record* as it may be given out: erased if a redaction names it."""
    if not named or (record.seq, record.digest) not in named:
        return record
    return record._replace(body=named[record.seq, record.digest], withheld="erased")


class RedactionSearch:
    """Finds what the redactions in the bytes of a log name, without checking every line."""

    def __init__(self, session_id: SessionId) -> None:
        self.named: Named = {}
        self._search = KindSearch(session_id, "redaction")

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the log."""
        self._note(self._search.feed(data))

    def finish(self) -> Named:
        """Return what was found; the last line counts without its LF too."""
        self._note(self._search.finish())
        return self.named

    def _note(self, redactions: Iterable[Record]) -> None:
        for record in redactions:
            for target, replacement in redaction_targets(record).items():
                # The last replacement given is the one that stands.
                if replacement is not None or target not in self.named:
                    self.named[target] = replacement


Target = tuple[int, str, Mapping[str, Json] | None]
"""What a redaction says of a record: seq, digest, replacement."""


def redactions_of(targets: Sequence[Target], reason: str, by: str | None) -> Iterator[Redaction]:
    """Give the redactions that name *targets*, each within the limits of a record."""
    begin = size = 0
    for index, (_, _, replacement) in enumerate(targets):
        added = 0 if replacement is None else len(encode(replacement))
        if index - begin == _TARGETS_MAX or (
            begin < index and size + added > _REPLACEMENTS_BYTES_MAX
        ):
            yield _redaction(targets[begin:index], reason, by)
            begin, size = index, 0
        size += added
    yield _redaction(targets[begin:], reason, by)


def _redaction(targets: Sequence[Target], reason: str, by: str | None) -> Redaction:
    replacements = {str(seq): given for seq, _, given in targets if given is not None}
    return Redaction(
        [{"seq": seq, "digest": digest} for seq, digest, _ in targets],
        reason,
        by,
        replacements or None,
    )


def find_redactions(chunks: Iterable[bytes], session_id: SessionId) -> Named:
    """Return what all redactions in a log name."""
    search = RedactionSearch(session_id)
    for chunk in chunks:
        search.feed(chunk)
    return search.finish()
