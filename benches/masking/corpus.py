"""The labelled corpus: secrets in their surroundings, and what only looks like them."""

import re
from collections.abc import Iterator

from .alphabet import Dice
from .families import HARD, NAMED, TOKENS, Maker
from .lookalikes import HARD as HARD_LOOKALIKES
from .lookalikes import LOOKALIKES
from .measure import leaks
from .places import NAMED_PLACES, PASSWORD_PLACES, TOKEN_PLACES, Case, said

SEED = 20261127
LOOKALIKES_EACH = 65
HARD_EACH = 2
"""Of what the rules are known to get wrong: figures that are perfect by design tell nothing."""

_PLACES = {**TOKEN_PLACES, **NAMED_PLACES, **PASSWORD_PLACES}
_NAMES = {
    "password": ("DB_PASSWORD", "SMTP_PASSWD", "ADMIN_PASSWORD", "REDIS_PASSWORD", "PGPASSWORD"),
    "secret": ("API_KEY", "CLIENT_SECRET", "ACCESS_TOKEN", "SIGNING_KEY", "STRIPE_SECRET_KEY"),
}
_MULTI_LINE = frozenset({"env file", "JSON file", "JSON in tool arguments", "YAML", "Python",
                         "structured value", "prose", "JSON in JSON in a string", "wrapped bytes"})  # fmt: skip


def secrets(seed: int = SEED) -> Iterator[Case]:
    """Yield the documents that hold one secret each."""
    dice = Dice(seed)
    for family, make in TOKENS.items():
        places = [*TOKEN_PLACES, *NAMED_PLACES]
        if "\n" in make(Dice(seed)):
            places = [place for place in places if place in _MULTI_LINE]
        for place in dice.random.sample(places, min(11, len(places))):
            yield _case(dice, family, place, make, "secret")
    for family, make in NAMED.items():
        places = list(NAMED_PLACES)
        sort = "password" if "password" in family else "secret"
        if sort == "password":
            places += PASSWORD_PLACES
        for place in places * (2 if family == "password" else 1):
            yield _case(dice, family, place, make, sort)
    for family, text in HARD.items():
        for _ in range(HARD_EACH):
            secret = NAMED["password"](dice)
            yield Case(family, "", said(text.format(secret)), (secret,))


def _case(dice: Dice, family: str, place: str, make: Maker, sort: str) -> Case:
    while True:
        secret = make(dice)
        body, bystanders = _PLACES[place](dice, dice.pick(*_NAMES[sort]), secret)
        # A host that is named like a part of the password would tell nothing.
        if not any(leaks(secret, one) or one in secret for one in bystanders):
            return Case(family, place, body, (_as_stored(place, body, secret),), bystanders)


def _as_stored(place: str, body: dict[str, object], secret: str) -> str:
    """Return the text that may not be left: what the place made of the secret."""
    if place == "basic header":
        found = re.search(r"Basic ([\w+/=]+)", str(body))
    elif place == "wrapped bytes":
        found = re.search(r"'\$ss': \['bytes', '([\w+/=]+)'", str(body))
    else:
        return secret
    assert found is not None
    return found.group(1)


def lookalikes(seed: int = SEED) -> Iterator[Case]:
    """Yield the documents that hold none."""
    dice = Dice(seed + 1)
    for family, make in LOOKALIKES.items():
        for _ in range(LOOKALIKES_EACH):
            yield Case(family, "", make(dice))
    for family, make in HARD_LOOKALIKES.items():
        for _ in range(HARD_EACH):
            yield Case(family, "", make(dice))
