"""Masking at write: what a store with rules does to everything that is given to it."""

from collections.abc import Sequence

from attrs import frozen

from ..chain import Draft
from ..ids import SessionId
from ..redaction.bodies import mask_draft, refuse_secrets
from ..redaction.rules import Rules
from ..redaction.stream import mask_events


@frozen
class Masking:
    """Drafts, lines and events on their way to the disk; given again, they come out the same."""

    rules: Rules

    def drafts(self, drafts: Sequence[Draft]) -> Sequence[Draft]:
        return [mask_draft(draft, self.rules) for draft in drafts]

    def lines(self, session_id: SessionId, lines: bytes) -> bytes:
        """Return *lines* as they are. Raises InvalidInput if they hold a secret."""
        refuse_secrets(lines, session_id, self.rules)
        return lines

    def events(self, data: bytes) -> bytes:
        return b"\n".join(mask_events(data.split(b"\n"), self.rules))
