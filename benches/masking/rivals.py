"""
Other ways to mask, on the same footing: each gets the strings of the document.

The two rule lists were written anew from what is known of what they look for (the kinds, the
fields, the order, the marker); neither program nor code of theirs is here.
"""

import json
import re
from collections.abc import Callable
from typing import Any

TextMask = Callable[[str], str]


def on_strings(mask: TextMask, fields: re.Pattern[str] | None = None) -> Callable[[bytes], bytes]:
    """Return what masks every string of a document; all of it below a key that *fields* matches."""

    def walk(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {name: walk(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner, key) for inner in value]
        if isinstance(value, str):
            return "[REDACTED]" if fields is not None and fields.search(key) else mask(value)
        return value

    return lambda data: json.dumps(walk(json.loads(data), "")).encode()


def _sequence(rules: list[tuple[str, int]]) -> TextMask:
    compiled = [(re.compile(pattern), group) for pattern, group in rules]

    def mask(text: str) -> str:
        for pattern, group in compiled:
            text = pattern.sub(lambda m, g=group: _cut(m, g), text)  # type: ignore[misc]
        return text

    return mask


def _cut(found: re.Match[str], group: int) -> str:
    start, end = found.span(group)
    whole = found.group()
    return whole[: start - found.start()] + "[REDACTED]" + whole[end - found.start() :]


# 34 value patterns and one for the names of fields, specific ones first.
UPLOADER = _sequence(
    [
        (r"sk-ant-api\d{2}-[A-Za-z0-9_-]{80,120}", 0),
        (r"sk-(?:proj-)?[A-Za-z0-9_-]{20,200}", 0),
        (r"AKIA[0-9A-Z]{16}", 0),
        (r"(?i)aws_secret_access_key[\"'\s:=]+([A-Za-z0-9/+=]{40})", 1),
        (r"(?i)aws[_-]?secret[\"'\s:=]+([A-Za-z0-9/+=]{40})", 1),
        (r"ghp_[A-Za-z0-9]{36}", 0),
        (r"github_pat_[A-Za-z0-9_]{82}", 0),
        (r"gho_[A-Za-z0-9]{36}", 0),
        (r"gh[us]_[A-Za-z0-9]{36}", 0),
        (r"ghr_[A-Za-z0-9]{36}", 0),
        (r"eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", 0),
        (r"Bearer\s+([A-Za-z0-9_\-.=]{20,})", 1),
        (r"(?s)-----BEGIN RSA PRIVATE KEY-----.*?-----END RSA PRIVATE KEY-----", 0),
        (r"(?s)-----BEGIN EC PRIVATE KEY-----.*?-----END EC PRIVATE KEY-----", 0),
        (r"(?s)-----BEGIN OPENSSH PRIVATE KEY-----.*?-----END OPENSSH PRIVATE KEY-----", 0),
        (r"(?s)-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----", 0),
        (r"(postgres(?:ql)?://[^:\s]+:)([^@\s]+)@", 2),
        (r"(mysql://[^:\s]+:)([^@\s]+)@", 2),
        (r"(mongodb(?:\+srv)?://[^:\s]+:)([^@\s]+)@", 2),
        (r"(redis://[^:\s]*:)([^@\s]+)@", 2),
        (r"([a-z][a-z0-9+.-]*://[^:\s/]+:)([^@\s/]+)@", 2),
        (r"xox[abeprs]-[A-Za-z0-9-]{10,}", 0),
        (r"xoxe\.[A-Za-z0-9.-]{10,}", 0),
        (r"xapp-[A-Za-z0-9-]{10,}", 0),
        (r"sk_(?:live|test)_[A-Za-z0-9]{24,}", 0),
        (r"rk_(?:live|test)_[A-Za-z0-9]{24,}", 0),
        (r"AIza[A-Za-z0-9_-]{35}", 0),
        (r"SK[0-9a-f]{32}", 0),
        (r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", 0),
        (r"[0-9a-f]{32}-us\d{1,2}", 0),
        (r"npm_[A-Za-z0-9]{36}", 0),
        (r"pypi-[A-Za-z0-9_-]{50,}", 0),
        (r"cfb_[A-Za-z0-9]{32,}", 0),
    ]
)
UPLOADER_FIELDS = re.compile(
    r"(?i)^(password|passwd|secret|api_key|apikey|api_secret|token|auth_token|access_token|"
    r"refresh_token|private_key|credential|credentials)$"
)

# 13 patterns, one after the other.
MIRROR = _sequence(
    [
        (r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b", 0),
        (r"ghp_[A-Za-z0-9]{36}", 0),
        (r"gho_[A-Za-z0-9]{36}", 0),
        (r"gh[us]_[A-Za-z0-9]{36}", 0),
        (r"ghr_[A-Za-z0-9]{36}", 0),
        (r"xox[pboa]-[0-9]{10,13}-[0-9]{10,13}-[A-Za-z0-9-]{24,}", 0),
        (r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}", 0),
        (r"-----BEGIN (?:RSA |EC |DSA )?PRIVATE KEY-----", 0),
        (r"(?i)(?:api[_-]?key|apikey)\s*[:=]\s*['\"]([A-Za-z0-9_\-]{32,})['\"]", 0),
        (r"(?i)(?:secret|password|passwd|token)\s*[:=]\s*['\"]([^'\"]{16,})['\"]", 0),
        (r"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}", 0),
        (r"sk-ant-[A-Za-z0-9_-]{40,}", 0),
        (r"(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|redis)://[^:\s]+:[^@\s]+@[^\s'\"]+", 0),
    ]
)


def detect_secrets() -> TextMask | None:
    """Return the library of that name with its default plugins and filters; None: not installed."""
    try:
        from detect_secrets.core.scan import scan_line  # noqa: PLC0415 - an extra of the benches
        from detect_secrets.settings import default_settings  # noqa: PLC0415 - the same
    except ImportError:
        return None

    def mask(text: str) -> str:
        lines = []
        with default_settings():
            for line in text.split("\n"):
                found = {s.secret_value for s in scan_line(line) if s.secret_value}
                for value in sorted(found, key=len, reverse=True):
                    line = line.replace(value, "[REDACTED]")  # noqa: PLW2901 - bit by bit
                lines.append(line)
        return "\n".join(lines)

    return mask
