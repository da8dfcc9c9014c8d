"""
Patterns of others, compiled: written for Python or for Go, refused if they may explode.

A backtracking matcher takes exponential time where an unbounded repeat holds another repeat,
or alternatives, that can share the same text in more than one way. Such a pattern is refused,
unless each round begins with a letter that what is repeated inside cannot hold.
"""

import re
import warnings
from typing import Any

from ..errors import InvalidInput

_UNBOUNDED = 16


def compile_pattern(pattern: str, source: str) -> re.Pattern[bytes]:
    """
    Return a pattern written for Python or for Go, compiled.

    Raises:
        InvalidInput: It is none, or may take exponential time.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            text = _from_go(pattern).encode()
            _refuse_explosive(re._parser.parse(text), source)  # type: ignore[attr-defined] # noqa: SLF001
            return re.compile(text)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        raise InvalidInput(f"not a pattern: {error}", source=source) from error


_FLAGS_INSIDE = re.compile(r"\(\?([ims]+)\)")
_POSIX = {
    "[:alnum:]": "0-9A-Za-z",
    "[:alpha:]": "A-Za-z",
    "[:digit:]": "0-9",
    "[:lower:]": "a-z",
    "[:upper:]": "A-Z",
    "[:space:]": r"\s",
    "[:xdigit:]": "0-9A-Fa-f",
    "[:punct:]": r"!-/:-@\[-`{-~",
}


def _from_go(pattern: str) -> str:
    """In Python's words: Go's end of text, its classes, flags from the middle of a group on."""
    for name, members in _POSIX.items():
        pattern = pattern.replace(name, members)
    pattern = pattern.replace(r"\z", r"\Z")
    while found := _FLAGS_INSIDE.search(pattern):
        flags = found.group(1)
        bars, end = _level(pattern, found.end())
        cuts = [found.end(), *(bar + 1 for bar in bars)]
        parts = [pattern[a:b] for a, b in zip(cuts, [*bars, end], strict=True)]
        inside = "|".join(f"(?{flags}:{part})" for part in parts)
        pattern = pattern[: found.start()] + inside + pattern[end:]
    return pattern


def _level(pattern: str, start: int) -> tuple[list[int], int]:
    """Return where the group that *start* lies in has its bars from there on, and where it ends."""
    bars: list[int] = []
    depth, at, is_class = 0, start, False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            at += 1
        elif is_class:
            is_class = char != "]"
        elif char == "[":
            is_class = True
            at += pattern.startswith("^", at + 1)
            at += pattern.startswith("]", at + 1)
        elif char == "|" and depth == 0:
            bars.append(at)
        elif char == ")" and depth == 0:
            break
        else:
            depth += {"(": 1, ")": -1}.get(char, 0)
        at += 1
    return bars, min(at, len(pattern))


def _refuse_explosive(parsed: Any, source: str, *, is_repeated: bool = False) -> None:
    for operator, argument in parsed:
        name = str(operator)
        if name in _REPEATS:
            least, most, inside = argument
            if is_repeated and most != least:
                raise InvalidInput(_EXPLOSIVE.format("a repeat"), source=source)
            is_open = most > _UNBOUNDED and most != least and not _is_marked(inside)
            _refuse_explosive(inside, source, is_repeated=is_repeated or is_open)
        elif name == "BRANCH" and is_repeated:
            raise InvalidInput(_EXPLOSIVE.format("alternatives"), source=source)
        elif name == "GROUPREF_EXISTS":
            raise InvalidInput("conditional groups are not supported", source=source)
        else:
            for inside in _parts(name, argument):
                _refuse_explosive(inside, source, is_repeated=is_repeated)


def _parts(name: str, argument: Any) -> list[Any]:
    """Return the patterns that one item of a parsed pattern holds."""
    if name == "BRANCH":
        return list(argument[1])
    if name == "SUBPATTERN":
        return [argument[3]]
    if name in ("ASSERT", "ASSERT_NOT"):
        return [argument[1]]
    return [argument] if name == "ATOMIC_GROUP" else []


_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_EXPLOSIVE = (
    "{} inside an unbounded repeat may take exponential time: bound the outer one to "
    f"{_UNBOUNDED}"
)


def _is_marked(inside: Any) -> bool:
    """Return whether each round begins with a letter that no repeat inside can take."""
    items = list(inside)
    while len(items) == 1 and str(items[0][0]) == "SUBPATTERN":
        items = list(items[0][1][3])
    if not items or str(items[0][0]) != "LITERAL":
        return False
    mark = bytes([items[0][1]])
    for operator, argument in items[1:]:
        name = str(operator)
        if name in _REPEATS:
            body = list(argument[2])
            if len(body) != 1 or _takes(body[0], mark):
                return False
        elif name not in ("LITERAL", "NOT_LITERAL", "IN", "ANY", "AT"):
            return False
    return True


def _takes(item: tuple[Any, Any], letter: bytes) -> bool:
    """Return whether one item of a parsed pattern matches *letter*; in doubt it does."""
    name, argument = str(item[0]), item[1]
    if name == "LITERAL":
        return bool(argument == letter[0])
    if name != "IN":
        return True
    is_negated = str(argument[0][0]) == "NEGATE"
    return any(_is_member(one, letter) for one in argument) is not is_negated


def _is_member(one: tuple[Any, Any], letter: bytes) -> bool:
    name, argument = str(one[0]), one[1]
    if name == "LITERAL":
        return bool(argument == letter[0])
    if name == "RANGE":
        return bool(argument[0] <= letter[0] <= argument[1])
    if name == "CATEGORY":
        return re.match(_CATEGORIES[str(argument)], letter) is not None
    return False


_CATEGORIES = {
    "CATEGORY_DIGIT": rb"\d",
    "CATEGORY_NOT_DIGIT": rb"\D",
    "CATEGORY_SPACE": rb"\s",
    "CATEGORY_NOT_SPACE": rb"\S",
    "CATEGORY_WORD": rb"\w",
    "CATEGORY_NOT_WORD": rb"\W",
}
