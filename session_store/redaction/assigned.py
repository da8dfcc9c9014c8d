"""
Secrets that a name gives away: `password=…`, `"apiKey": "…"`, `export TOKEN=…`.

A name counts where a word for a secret ends it, whatever stands before: DB_PASSWORD,
stripeSecretKey, x-api-key; not max_tokens, tokenizer, primary_key.
"""

import re
from collections.abc import Iterator
from typing import Literal

from .plausible import is_password, is_secret
from .spans import Span

Sort = Literal["password", "secret"]

_ANCHORS = (
    b"pass",
    b"pwd",
    b"secret",
    b"token",
    b"credential",
    b"key",
)
_BEFORE_KEY = tuple(
    before + gap
    for before in (
        b"api", b"access", b"secret", b"private", b"signing", b"encryption", b"account", b"auth",
        b"master", b"service", b"app", b"storage", b"subscription", b"deploy", b"license", b"hmac",
        b"webhook", b"jwt", b"session", b"django_secret", b"application", b"integration", b"write",
        b"admin", b"server", b"cipher", b"aes", b"shared", b"sharedaccess", b"ingest", b"ssh",
    )
    for gap in (b"_", b"-", b"", b" ", b".")
)  # fmt: skip
# Words for a secret at the end of a name from which all but letters and digits was taken.
_PASSWORD_NAME = re.compile(
    rb"(?:password|passwd|passphrase|passcode|(?<![a-z])pwd|dbpwd|userpwd|rootpwd|adminpwd|"
    rb"(?:db|user|root|admin|smtp|mysql|redis|mail|ftp|pg|email)pass|^pass)(?:[0-9]{0,2}|value|"
    rb"prod|production|dev|staging|live|s)$"
)
_SECRET_NAME = re.compile(
    rb"(?:secret|token|credentials?|(?:api|access|secret|private|signing|encryption|account|auth|"
    rb"master|service|app|storage|subscription|deploy|license|hmac|webhook|jwt|session|"
    rb"application|integration|write|admin|server|cipher|aes|shared|sharedaccess|ingest)keys?)"
    rb"(?:[0-9]{0,2}|value|string|key|prod|production|dev|staging|live|test|base64|s)$"
)
_NO_SECRET_NAME = re.compile(
    rb"(?:next|page|continuation|continue|sync|eos|bos|pad|unk|stop|mask|cls|sep|cancel|paging|"
    rb"previous|prev|max|input|output|start|end|special|last|first|total|cached?|prompt|"
    rb"completion|reasoning|resume|delta|lock|fencing)(?:page|_)?tokens?$|publickeys?$|"
    rb"^tokens?(?:type|count|ids?)$|keyid$"
)

_NAME_MAX = 64
_NAME_BEFORE = bytes(
    c in b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-." for c in range(256)
)
_NAME_REST = re.compile(rb"[A-Za-z0-9_\-]{0,40}")
_QUOTE = rb"\\{0,8}[\"'`]"
_SIGN = re.compile(
    rb"(?:" + _QUOTE + rb")?\]?(?P<space>[ \t]?)[ \t]{0,8}"
    rb"(?:: ?[A-Za-z_][A-Za-z0-9_.\[\]| ]{0,30} ?= ?(?=[\"'])|:=|=>|=(?![=~])|:(?!:))"
    rb"[ \t]{0,8}"
)
_PAIR = re.compile(_QUOTE + rb"\s{0,2},\s{0,4}\\{0,8}[\"']value" + _QUOTE + rb"\s{0,2}:\s{0,2}")
_ARGUMENT = re.compile(_QUOTE + rb"\s{0,2},\s{0,2}(?=" + _QUOTE + rb")")
_ELEMENT = re.compile(rb">(?=[^<>\s]{4,200}</)")
_OPTION = re.compile(rb"\s{1,4}(?=[^\s\-|&;])")
_PROSE = re.compile(rb"\s{1,2}(?:is|was)(?: set to| now)?:?\s{1,2}")
_OPENED = re.compile(rb"(\\{0,8})([\"'`])")
_BARE = re.compile(rb"[^\s\"'`,;<>\\]{1,400}")
# What may be a secret once it is decoded: a structure, a text with escapes.
_OPENS = re.compile(
    rb"(?:" + _QUOTE + rb")?\s{0,4}[:=]\s{0,8}(?:[\[{]|" + _QUOTE + rb"[^\"'`\\]{0,400}\\)"
)
# `{"name": "DB_PASSWORD", "type": "plain", "value": …}`
_LISTED = re.compile(_QUOTE + rb"\s{0,8}[,}]")
_NAMED_BY = re.compile(rb"(?:name|key)\\{0,8}\"\s{0,4}:\s{0,4}\\{0,8}\"$")
_LABEL = re.compile(rb"[A-Z][a-z]{2,24}")
_QUOTED_MAX = 400

DEFINITIONS = repr(
    (_ANCHORS, _BEFORE_KEY, _SIGN.pattern, _PASSWORD_NAME.pattern, _SECRET_NAME.pattern)
)


def sort_of(name: bytes) -> Sort | None:
    """Return what a thing of this *name* holds: a password, another secret, or neither."""
    if len(name) > _NAME_MAX * 2:
        return None
    plain = re.sub(rb"[^a-z0-9]", b"", name.lower())
    if _PASSWORD_NAME.search(plain):
        return "password"
    if _SECRET_NAME.search(plain) and not _NO_SECRET_NAME.search(plain):
        return "secret"
    return None


def is_assigned(value: bytes, sort: Sort) -> bool:
    """Return whether a quoted *value*, which nothing but a value can be, is what *sort* says."""
    if sort == "secret":
        return is_secret(value)
    return is_password(value, is_certain=True) and not _LABEL.fullmatch(value)


def name_hits(lower: bytes) -> Iterator[int]:
    """Yield where in the lower-case text a word stands that may end a secret's name."""
    for anchor in _ANCHORS:
        is_key = anchor == b"key"
        at = lower.find(anchor)
        while at >= 0:
            if not is_key or lower.endswith(_BEFORE_KEY, max(at - 16, 0), at):
                yield at
            at = lower.find(anchor, at + len(anchor))


def find_assigned(text: bytes, lower: bytes) -> Iterator[Span]:
    """Yield what is assigned to a secret's name in *text*; *lower* is it in lower case."""
    for start, end, sort in _names(text, lower):
        span = _value_of(text, start, end, sort)
        if span is not None:
            yield span


def names_one(text: bytes, lower: bytes) -> bool:
    """Return whether *text*, JSON as it stands, may assign something to a secret's name."""
    return any(
        _OPENS.match(text, end)
        or _value_of(text, start, end, sort)
        or (_LISTED.match(text, end) and _NAMED_BY.search(lower, max(start - 24, 0), start))
        for start, end, sort in _names(text, lower)
    )


def _names(text: bytes, lower: bytes) -> Iterator[tuple[int, int, Sort]]:
    for hit in name_hits(lower):
        rest = _NAME_REST.match(text, hit)
        assert rest is not None
        end = rest.end()
        # Most names go on as a sentence or a call: one byte tells.
        if text[end : end + 1] not in _AFTER_NAME:
            continue
        start = _name_start(lower, hit)
        sort = sort_of(text[start:end])
        if sort is not None:
            yield start, end, sort


_AFTER_NAME = frozenset(bytes([c]) for c in b"\\\"'`]=:, >\t\n\r")


def _name_start(lower: bytes, hit: int) -> int:
    floor = max(hit - _NAME_MAX, 0)
    start = floor + lower[floor:hit].translate(_NAME_BEFORE).rfind(b"\0") + 1
    if start == hit and lower.endswith(_BEFORE_KEY, max(hit - 16, 0), hit):
        return max(hit - 8, 0)  # two words: API key
    return start


def _value_of(text: bytes, start: int, end: int, sort: Sort) -> Span | None:
    before = text[start - 2 : start]
    for form, is_quoted_only in ((_SIGN, False), (_PAIR, True), (_ARGUMENT, True)):
        if found := form.match(text, end):
            is_loose = form is _ARGUMENT
            return _quoted(text, found.end(), sort, is_loose=is_loose) or (
                None if is_quoted_only else _bare(text, found, before, sort)
            )
    if found := _ELEMENT.match(text, end):
        return _plain(text, found.end(), sort, text.find(b"<", found.end()), is_strict=False)
    name = text[start:end]
    if (before == b"--" or name.startswith(b"--")) and (found := _OPTION.match(text, end)):
        return _quoted(text, found.end(), sort) or _plain(text, found.end(), sort)
    if found := _PROSE.match(text, end):
        return _quoted(text, found.end(), sort) or _plain(text, found.end(), sort)
    return None


def _quoted(text: bytes, at: int, sort: Sort, *, is_loose: bool = False) -> Span | None:
    """Return what stands between quotes at *at*, escaped as often as the first one is."""
    opened = _OPENED.match(text, at)
    if opened is None:
        return None
    close, begin = opened.group(), opened.end()
    end = text.find(close, begin, begin + _QUOTED_MAX)
    while end > 0 and text[end - 1 : end] == b"\\":  # escaped once more: part of the value
        end = text.find(close, end + 1, begin + _QUOTED_MAX)
    if end < 0:
        return None
    value = text[begin:end]
    is_one = is_secret(value) and len(value) >= 16 if is_loose else is_assigned(value, sort)
    return Span(begin, end, f"named-{sort}", "candidate") if is_one else None


def _bare(text: bytes, sign: re.Match[bytes], before: bytes, sort: Sort) -> Span | None:
    begin = sign.end()
    is_query = before[-1:] in (b"?", b"&")
    found = _BARE.match(text, begin)
    if found is None:
        return None
    end = found.end()
    if is_query:
        end = min(at for at in (*(text.find(c, begin, end) for c in (b"&", b"#")), end) if at >= 0)
    is_code = bool(sign.group("space"))
    return _plain(text, begin, sort, end, is_strict=is_code)


def _plain(
    text: bytes, begin: int, sort: Sort, end: int | None = None, *, is_strict: bool = False
) -> Span | None:
    if end is None:
        found = _BARE.match(text, begin)
        if found is None:
            return None
        end = found.end()
    value = text[begin:end].rstrip(b")]}.,:;|")
    is_one = is_secret(value) if sort == "secret" or is_strict else is_password(value)
    return Span(begin, begin + len(value), f"named-{sort}", "candidate") if is_one else None
