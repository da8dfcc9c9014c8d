"""Secrets for the tests of masking, made when they run, and bodies to put them in."""

from pathlib import Path
from typing import Any

import orjson

from benches.masking.alphabet import HEX, URLSAFE, Dice
from benches.masking.families import TOKENS
from session_store.redaction import Rules, default_rules
from session_store.redaction.bodies import mask_json

RULES = default_rules()
DICE = Dice(5)

TOKEN = TOKENS["github classic"](DICE)
KEY = TOKENS["rsa key"](DICE)
OTHER = TOKENS["stripe"](DICE)


def alnum(size: int) -> str:
    return DICE.text(size)


def hexes(size: int) -> str:
    return DICE.text(size, HEX)


def urlsafe(size: int) -> str:
    return DICE.text(size, URLSAFE)


def masked(value: Any, rules: Rules = RULES) -> Any:
    """Return *value* masked as the JSON document that it makes."""
    return orjson.loads(mask_json(orjson.dumps(value), rules))


def masked_text(text: str, rules: Rules = RULES) -> str:
    found = masked([text], rules)[0]
    assert isinstance(found, str)
    return found


def bytes_below(root: Path) -> bytes:
    """Return all that a directory holds, names included."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return b"\n".join(str(path).encode() + b"\n" + path.read_bytes() for path in files)
