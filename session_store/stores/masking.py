"""
Masking at write: what a store with rules does to everything that is given to it.

The rules' modules are imported where they are used: a store without rules does not pay for them.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from ..chain import Draft
from ..entries import Json
from ..ids import SessionId
from ..values import decode, encode

if TYPE_CHECKING:
    from ..redaction.rules import Rules


@frozen
class Masking:
    """Drafts, lines and events on their way to the disk; without rules they pass as they are."""

    rules: "Rules | None"

    def drafts(self, drafts: Sequence[Draft]) -> Sequence[Draft]:
        """Return *drafts* masked; given again, they come out the same."""
        if self.rules is None:
            return drafts
        from ..redaction.bodies import mask_draft  # noqa: PLC0415 - see above

        return [mask_draft(draft, self.rules) for draft in drafts]

    def lines(self, session_id: SessionId, lines: bytes) -> bytes:
        """Return *lines* as they are. Raises InvalidInput if they hold a secret."""
        if self.rules is not None:
            from ..redaction.bodies import refuse_secrets  # noqa: PLC0415 - see above

            refuse_secrets(lines, session_id, self.rules)
        return lines

    def replacements(
        self, given: Mapping[int, Mapping[str, Json]] | None
    ) -> Mapping[int, Mapping[str, Json]] | None:
        """Return what shall stand for erased bodies; the identity of a session's beginning is kept."""
        if self.rules is None or not given:
            return given
        from ..redaction.bodies import mask_body  # noqa: PLC0415 - see above

        body = encode({"replacements": {str(seq): dict(one) for seq, one in given.items()}})
        masked = decode(mask_body("redaction", body, self.rules))
        assert isinstance(masked, dict)
        return {int(seq): one for seq, one in masked["replacements"].items()}

    def text(self, text: str) -> str:
        if self.rules is None:
            return text
        masked = self.rules.mask_text(text.encode("utf-8", "surrogatepass"))
        return masked.decode("utf-8", "surrogatepass")

    def events(self, data: bytes) -> bytes:
        if self.rules is None:
            return data
        from ..redaction.stream import mask_events  # noqa: PLC0415 - see above

        return b"\n".join(mask_events(data.split(b"\n"), self.rules))
