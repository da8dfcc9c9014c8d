"""Secrets that what stands around them tells: key blocks, URLs, headers, command lines."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .plausible import entropy, is_password, is_placeholder, is_secret
from .spans import Confidence, Span

_Check = Callable[[bytes], bool]


class _Shape(NamedTuple):
    """
    One shape.

    Attributes:
        anchors: Lower-case literals, one of which is in every occurrence.
        pattern: What stands there, from `back` bytes before the anchor on at the earliest;
            group 1 is the secret.
    """

    rule: str
    confidence: Confidence
    anchors: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    check: _Check
    back: int = 0


def _always(value: bytes) -> bool:
    return b"[REDACTED:" not in value


def _is_block(value: bytes) -> bool:
    """A whole key, not the two lines around a placeholder."""
    body = re.sub(rb"-----[A-Z0-9 ]{1,40}-----|\\[nrt]|[^A-Za-z0-9+/=]", b"", value[:4096])
    return len(body) >= 40 and entropy(body) >= 3.5


def _is_userinfo(value: bytes) -> bool:
    return (
        2 < len(value)
        and not value[:1].isspace()
        and re.match(rb"[0-9]{1,5}(?:/|$)", value) is None
        and re.search(rb"[({<$]", value[:2]) is None
        and not is_placeholder(value)
    )


def _is_basic(value: bytes) -> bool:
    try:
        plain = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    name, colon, password = plain.partition(b":")
    return bool(colon and name) and len(password) > 2 and not is_placeholder(password)


def _is_bearer(value: bytes) -> bool:
    return len(value) >= 16 and is_secret(value) and entropy(value) >= 3.0


def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.IGNORECASE)


_Q = rb"\\{0,8}[\"'`]"
_WORD = rb"[^\s\"'`;|&<>()\\]{4,256}"
_SHAPES = (
    _Shape(
        "private-key",
        "definite",
        (b"-----begin",),
        re.compile(
            rb"(-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
            rb"(?:(?!-----BEGIN)[^\x00]){0,20000}?"
            rb"(?:-----END (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----|\Z))"
        ),
        _is_block,
    ),
    _Shape(
        "putty-key",
        "definite",
        (b"private-lines:",),
        re.compile(rb"Private-Lines: [0-9]{1,3}(?:\\r|\\n|\s){1,4}([A-Za-z0-9+/=\\\s]{40,8000})"),
        _is_block,
    ),
    _Shape(
        "url-password",
        "definite",
        (b"://", b":\\/\\/"),
        re.compile(rb":(?:\\{0,4}/){2}[^\s/:@\"'<>]{0,80}:([^\s/\"'<>]{1,200})@(?=[A-Za-z0-9\[$])"),
        _is_userinfo,
    ),
    _Shape(
        "authorization",
        "definite",
        (b"bearer",),
        # Where the next one begins, this one ends: a row of them would be read again and again.
        _compiled(rb"bearer(?:\s{1,4}|%20|\+)((?:(?!bearer\+)[A-Za-z0-9_\-.~+/=]){16,4000})"),
        _is_bearer,
    ),
    _Shape(
        "authorization",
        "definite",
        (b"basic",),
        _compiled(rb"basic ([A-Za-z0-9+/]{8,400}={0,2})(?![A-Za-z0-9+/=])"),
        _is_basic,
    ),
    _Shape(
        "authorization",
        "candidate",
        (b"auth",),
        _compiled(
            rb"authorization(?:" + _Q + rb")?\s{0,4}[:=]\s{0,4}(?:" + _Q + rb")?"
            rb"(?:(?:token|apikey|api-key|key|bot|digest|negotiate|aws4-hmac-sha256)\s{1,4})?"
            rb"([A-Za-z0-9_\-.~+/=]{16,4000})"
        ),
        _is_bearer,
    ),
    _Shape(
        "docker-auth",
        "definite",
        (b"auth",),
        _compiled(rb"auth\\{0,8}\"\s{0,4}:\s{0,4}\\{0,8}\"([A-Za-z0-9+/]{8,400}={0,2})\\{0,8}\""),
        _is_basic,
    ),
    _Shape(
        "npm-auth",
        "candidate",
        (b"auth",),
        _compiled(rb"auth=\"?([A-Za-z0-9+/]{8,400}={0,2})"),
        _always,
    ),
    _Shape(
        "cookie",
        "candidate",
        (b"cookie",),
        _compiled(
            rb"cookie\\{0,8}[\"']?\s{0,4}[:=]\s{0,4}\\{0,8}[\"']?(?:[^\"'\r\n;]{1,200};\s?){0,8}"
            rb"[\w.\-]{0,30}(?:sess(?:ion)?(?:_?id)?|sid|auth|jwt|remember\w{0,12})[\w.\-]{0,12}="
            rb"([^\s;\"'\\]{16,2000})"
        ),
        is_secret,
    ),
    _Shape(
        "url-signature",
        "definite",
        (b"sig=",),
        re.compile(rb"[?&;]sig=([A-Za-z0-9%+/_\-]{40,120}(?:%3D|=)?)"),
        is_secret,
        back=1,
    ),
    _Shape(
        "command-line-password",
        "candidate",
        (b"pass",),
        re.compile(rb"pass -p ?(?:" + _Q + rb")?(" + _WORD + rb")"),
        lambda value: is_password(value, is_certain=True),
    ),
    _Shape(
        "command-line-password",
        "candidate",
        (b"mysql", b"mariadb"),
        re.compile(
            rb"(?:mysql(?:dump|admin|import)?|mariadb) (?:[^\s|;&]{1,120} ){0,16}?-p(?:"
            + _Q
            + rb")?"
            rb"(" + _WORD + rb")"
        ),
        is_password,
    ),
    _Shape(
        "command-line-password",
        "candidate",
        (b"curl", b"wget"),
        re.compile(
            rb"(?:curl|wget) (?:[^\s|;&]{1,120} ){0,16}?(?:-u|--user) ?=?(?:" + _Q + rb")?"
            rb"[^\s:\"'\\]{1,80}:(" + _WORD + rb")"
        ),
        lambda value: is_password(value, is_certain=True),
    ),
    _Shape(
        "command-line-password",
        "candidate",
        (b"redis-cli",),
        re.compile(rb"redis-cli (?:[^\s|;&]{1,120} ){0,16}?-a (?:" + _Q + rb")?(" + _WORD + rb")"),
        lambda value: is_password(value, is_certain=True),
    ),
    _Shape(
        "netrc-password",
        "definite",
        (b"machine",),
        re.compile(
            rb"machine\s{1,4}\S{1,120}(?:\s|\\n){1,8}login\s{1,4}\S{1,120}(?:\s|\\n){1,8}"
            rb"password\s{1,4}(" + _WORD + rb")"
        ),
        lambda value: is_password(value, is_certain=True),
    ),
    _Shape(
        "aws-secret-key",
        "definite",
        (b"akia", b"asia"),
        re.compile(
            rb"A[KS]IA[A-Z0-9]{16}[^A-Za-z0-9/+]{1,4}(?:[A-Za-z_ ]{0,40}[^A-Za-z0-9/+]{1,6})?"
            rb"([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
        ),
        is_secret,
    ),
)

DEFINITIONS = repr([(s.rule, s.anchors, s.pattern.pattern) for s in _SHAPES])
_AHEAD = 24_000


def _by_anchor() -> list[tuple[bytes, list[_Shape]]]:
    found: dict[bytes, list[_Shape]] = {}
    for shape in _SHAPES:
        for anchor in shape.anchors:
            found.setdefault(anchor, []).append(shape)
    return list(found.items())


_BY_ANCHOR = _by_anchor()


def find_enclosed(text: bytes, lower: bytes) -> Iterator[Span]:
    """Yield what stands in one of the shapes in *text*; *lower* is the same in lower case."""
    for anchor, shapes in _BY_ANCHOR:
        at = lower.find(anchor)
        while at >= 0:
            after = at + len(anchor)
            for shape in shapes:
                found = shape.pattern.match(text, max(at - shape.back, 0), at + _AHEAD)
                if found is not None and shape.check(found.group(1)):
                    yield Span(*found.span(1), shape.rule, shape.confidence)
                    after = max(after, found.end(1))
            at = lower.find(anchor, after)
