"""
Whether a value looks like a secret: entropy, placeholders, words, code.

Rules of this module:
  * Every pattern is linear in its input, and values are cut before they are looked at.
  * A placeholder is never a secret, whatever names it.
"""

import math
import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise

VALUE_BYTES_MAX = 4096
_LOOKED_AT = 200

_PLACEHOLDER = re.compile(
    rb"\[redacted|example|placeholder|changeme|change[_-]me|change[_-]?this|your[_.\-]|"
    rb"^your|xxxx|\*\*\*|\.\.\.|\xe2\x80\xa6|\xe2\x80\xa2|dummy|replace[_-]?|insert[_-]|"
    rb"foobar|12345678901|0123456789|1234567890|abcdefgh|deadbeef|^<|>$|^\$[a-z_{(]|^\{\{|"
    rb"^%[a-z_]{1,40}%?$|^%[({]|%[sdr]|^\{[a-z_]{0,40}\}$|my[_-]?(?:secret|token|pass|api|key)|"
    rb"(?:secret|token|password|key)[_-]?here|not[_-]?(?:a[_-]?)?real|fake|^test(?:ing)?[_-]|"
    rb"(?:passw(?:or)?d|pwd|token|secret|key)[=:]|^some[_-]|todo|sample|redacted|masked|hidden|omitted"
)
_STOP_WORDS = frozenset(
    b"password passwd pass pwd passphrase passcode secret secrets token tokens key apikey api_key"
    b" api-key string str text bytes int integer number bool boolean object any none null nil true"
    b" false undefined required optional missing invalid incorrect wrong empty unset default user"
    b" username admin root guest postgres mysql redis rabbitmq test testing tester login auth"
    b" basic bearer digest credential credentials private public hash hashed salt value values"
    b" env environ environment config settings input prompt stdin file manual automatic type name"
    b" field label reset forgot forgotten update confirm confirmation current new old encrypted"
    b" plaintext plain cleartext self this that it the a an is are was not and or in to of for"
    b" password1 pass123 password123 admin123 test123 hunter changeit hidden disabled enabled"
    b" yes no on off keyring vault".split()
)
_REPEATED = re.compile(rb"(.)\1{5}", re.DOTALL)
# Words and numbers with something between them: names, dates, versions, models.
_WORD = rb"(?:[A-Za-z]{1,24}[0-9]{0,4}|[0-9]{1,8}[A-Za-z]?)"
_WORDS = re.compile(_WORD + rb"(?:[-_.:/+]" + _WORD + rb"){0,40}")
_IDENTIFIER = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*(?:(?:\.|->|::)[A-Za-z_][A-Za-z0-9_]*)*[,;]?")
_CODE = re.compile(
    rb"[A-Za-z_][\w.]*[(\[]|\$[({]|\{\{|%\(|^(?:self|this|os|process|config|settings|request|env)"
    rb"[.\[]|^[(\[{<$]|^[frb]['\"]|^lambda\b|^new\b|=>|\|\||&&"
)
_PATH = re.compile(
    rb"(?:[a-z]{2,10}:/)?\.{0,2}~?/|[A-Za-z]:\\|(?:[a-z0-9_.-]{1,40}/){2,20}[a-z0-9_.-]{0,40}$"
)
_LETTER, _DIGIT = re.compile(rb"[A-Za-z]"), re.compile(rb"[0-9]")
_SYMBOL = re.compile(rb"[!@#$%^&*+=~?]|[^\x00-\x7f]")
_SPACE = re.compile(rb"[\s\x00-\x1f]")

DEFINITIONS = repr((_PLACEHOLDER.pattern, sorted(_STOP_WORDS), _WORDS.pattern, _CODE.pattern))


def entropy(value: bytes) -> float:
    """Return the bits per byte that the frequencies in *value* leave."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values()) if size else 0.0


@lru_cache(4096)
def is_placeholder(value: bytes) -> bool:
    """Return whether *value* stands for a secret without being one."""
    lower = value[:_LOOKED_AT].lower()
    if lower.strip(b"\"'`.,;:!?") in _STOP_WORDS or _PLACEHOLDER.search(lower):
        return True
    return _REPEATED.search(value[:_LOOKED_AT]) is not None or len(set(value)) < min(
        len(value) // 4 + 1, 6
    )


@lru_cache(4096)
def is_secret(value: bytes) -> bool:
    """Return whether *value*, named as a key or a token, is one rather than a word or code."""
    size = len(value)
    value = value[:_LOOKED_AT]
    if not 8 <= size <= VALUE_BYTES_MAX or _SPACE.search(value) or is_placeholder(value):
        return False
    if _WORDS.fullmatch(value) and not _is_dense(value):
        return False
    if _CODE.search(value) or (_PATH.match(value) and not _is_dense(value)):
        return False
    if not (_LETTER.search(value) and _DIGIT.search(value)) and not (
        size >= 16 and _is_dense(value, share=0.4)  # CamelCase stays below.
    ):
        return False
    return entropy(value) >= (2.5 if size < 12 else 2.9 if size < 20 else 3.1)


def _is_dense(value: bytes, *, share: float = 0.16, size_min: int = 12) -> bool:
    """Upper and lower letters and digits side by side, in one piece."""
    pieces = re.split(rb"[-_.:/+]", value)
    longest = max(pieces, key=len)
    if len(longest) < size_min:
        return False
    changes = sum((a <= 57) != (b <= 57) or (a > 96) != (b > 96) for a, b in pairwise(longest))
    return changes >= share * len(longest) and entropy(longest) >= 2.5


@lru_cache(4096)
def is_password(value: bytes, *, is_certain: bool = False) -> bool:
    """
    Return whether *value*, named as a password, is one.

    Args:
        is_certain: Nothing but a value can stand there (a JSON string under its key), so
            that a bare word counts.
    """
    size = len(value)
    if not 4 <= size <= 256 or _SPACE.search(value) or is_placeholder(value):
        return False
    if _CODE.search(value) or (_PATH.match(value) and value.count(b"/") > 1):
        return False
    if is_certain:
        return True
    if not (
        _DIGIT.search(value) or _SYMBOL.search(value) or _is_dense(value, share=0.4, size_min=8)
    ):
        return False
    return not _IDENTIFIER.fullmatch(value) or _DIGIT.search(value) is not None or size >= 8
