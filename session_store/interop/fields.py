"""Single fields of foreign lines: taken if they are what they should be, else None."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from ..entries import Json

LABEL_LEN_MAX = 4096
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")


def unix_ms(timestamp: Json) -> int | None:
    """Return the Unix milliseconds of an ISO 8601 text (UTC if it has no zone), or None."""
    if not isinstance(timestamp, str):
        return None
    try:
        when = datetime.fromisoformat(timestamp)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        ms = (when - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return None
    return ms if ms >= 0 else None


def tokens(usage: Json, required: str, *others: str) -> list[int] | None:
    """Return the counts of *usage*, an absent other one as 0; None if any is not a count."""
    if not isinstance(usage, dict) or usage.get(required) is None:
        return None
    counts = [usage.get(name) or 0 for name in (required, *others)]
    return counts if all(type(n) is int and 0 <= n < 1 << 53 for n in counts) else None


def text_at(value: Json, *keys: str) -> str | None:
    """Return the text found under *keys*, if there is one and it is short enough for a label."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) and 0 < len(value) <= LABEL_LEN_MAX else None


def is_name(value: Json) -> bool:
    """Return whether *value* can be part of a key or a domain."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def present(values: Mapping[str, T | None]) -> dict[str, T]:
    """Return *values* without those that are None."""
    return {key: value for key, value in values.items() if value is not None}
