"""
Rules as TOML, in the manner of gitleaks: `[[rules]]` with id, regex, secretGroup, keywords,
entropy and allowlists; `[allowlist]` for all of them.

A rule for some paths holds everywhere, one for names of files alone nowhere: sessions have
neither. What this reader does not know it refuses.
"""

import tomllib
from types import NoneType
from typing import Any, Literal

from attrs import evolve

from ..errors import InvalidInput
from .custom import Allowed, CustomRule, custom_rule
from .patterns import compile_pattern
from .rules import Rules, default_rules

_DESCRIPTIVE = {"description", "tags", "title", "minVersion"}
_RULE_KEYS = {
    "id", "regex", "secretGroup", "keywords", "entropy", "allowlist", "allowlists", "confidence",
    "path",
}  # fmt: skip
_ALLOW_KEYS = {"regexes", "stopwords", "regexTarget", "condition", "paths", "commits"}
_ALLOW_PARTS = {"regexes", "stopwords", "paths", "commits"}
_TOP_KEYS = {"rules", "allowlist", "allowlists"}


def load_rules(text: str, *, source: str = "rules") -> Rules:
    """
    Return the built-in rules together with those in TOML *text*.

    What is known to be harmless belongs into an allow-list; built-in rules cannot be left out.

    Raises:
        InvalidInput: Not TOML, an unknown key, a pattern that is none or too large.
        MissingExtra: There is a pattern, and `google-re2` is not installed.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"not TOML: {error}", source=source) from error
    _check_keys(data, _TOP_KEYS, source)
    tables = _tables(data.get("rules", []), source)
    # A rule for names of files alone has nothing to look at here.
    rules = tuple(_rule(one, source) for one in tables if "regex" in one or "path" not in one)
    allow = [one for one in _allowed(data, source) if one.target == "secret"]
    return evolve(default_rules(), custom=rules, allow=tuple(one.pattern for one in allow))


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


def _rule(table: dict[str, Any], source: str) -> CustomRule:
    name = str(table.get("id", "?"))
    place = f"{source}: rule {name[:64]!r}"
    _check_keys(table, _RULE_KEYS, place)
    if "regex" not in table:
        raise InvalidInput("no regex", source=place)
    group, entropy_min = table.get("secretGroup"), table.get("entropy", 0)
    if not isinstance(entropy_min, (int, float)) or not isinstance(group, (int, NoneType)):
        raise InvalidInput("secretGroup and entropy are numbers", source=place)
    return custom_rule(
        name.lower(),
        _text(table, "regex", place),
        group=group,
        keywords=tuple(_texts(table, "keywords", place)),
        entropy_min=float(entropy_min),
        allow=tuple(_allowed(table, place)),
        confidence="candidate" if table.get("confidence") == "candidate" else "definite",
    )


def _allowed(table: dict[str, Any], source: str) -> list[Allowed]:
    single = table.get("allowlist", [])
    lists = _tables([single] if isinstance(single, dict) else single, source)
    found: list[Allowed] = []
    for one in lists + _tables(table.get("allowlists", []), source):
        _check_keys(one, _ALLOW_KEYS, f"{source}: allowlist")
        target = _TARGETS.get(one.get("regexTarget", "secret"))
        if target is None:
            raise InvalidInput(f"regexTarget {one['regexTarget']!r} is unknown", source=source)
        if one.get("condition", "OR") != "OR" and len(_ALLOW_PARTS & set(one)) > 1:
            continue  # All must hold, and one is of paths or commits: it never does here.
        patterns = _texts(one, "regexes", source)
        found += (Allowed(compile_pattern(pattern, source), target) for pattern in patterns)
        words = [f"(?i:{_escaped(word)})" for word in _texts(one, "stopwords", source)]
        found += (Allowed(compile_pattern(word, source)) for word in words)
    return found


_TARGETS: dict[object, Literal["secret", "match", "line"]] = {
    "secret": "secret",
    "match": "match",
    "line": "line",
}


def _tables(value: object, source: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise InvalidInput("a list of tables is expected", source=source)
    return list(value)


def _text(table: dict[str, Any], key: str, source: str) -> str:
    value = table[key]
    if not isinstance(value, str):
        raise InvalidInput(f"{key}: text is expected", source=source)
    return value


def _texts(table: dict[str, Any], key: str, source: str) -> list[str]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidInput(f"{key}: a list of texts is expected", source=source)
    return list(value)


def _check_keys(table: dict[str, Any], known: set[str], source: str) -> None:
    unknown = sorted(set(table) - known - _DESCRIPTIVE)
    if unknown:
        raise InvalidInput(f"unknown key {unknown[0]!r}", source=source)
