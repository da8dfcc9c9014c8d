"""Recall and precision of a way to mask, on the corpus."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from attrs import define, field

from .places import Case

Mask = Callable[[bytes], bytes]
"""From the JSON bytes of a body to what may leave."""

_SHARE = 3
"""A part of a secret as long as a third of it, and no shorter than four letters, is a leak."""


@define
class Score:
    """
    What came of it.

    Attributes:
        caught: Secrets of which nothing is left.
        false: Documents without a secret that were changed, and bystanders that are gone.
        missed, hit: Where: (family, place) -> how often.
    """

    secrets: int = 0
    caught: int = 0
    lookalikes: int = 0
    false: int = 0
    missed: Counter[tuple[str, str]] = field(factory=Counter)
    hit: Counter[tuple[str, str]] = field(factory=Counter)

    @property
    def recall(self) -> float:
        return self.caught / self.secrets

    @property
    def precision(self) -> float:
        return self.caught / (self.caught + self.false) if self.caught else 0.0


def measure(mask: Mask, secrets: Iterable[Case], lookalikes: Iterable[Case]) -> Score:
    """Return how *mask* did on the corpus."""
    score = Score()
    for case in secrets:
        left = _plain(mask(json.dumps(case.body).encode()))
        score.secrets += len(case.secrets)
        leaked = [secret for secret in case.secrets if leaks(secret, left)]
        score.caught += len(case.secrets) - len(leaked)
        score.missed[case.family, case.place] += len(leaked)
        gone = sum(bystander not in left for bystander in case.bystanders)
        score.false += gone
        score.hit[case.family, case.place] += gone
    for case in lookalikes:
        body = json.dumps(case.body).encode()
        score.lookalikes += 1
        if json.loads(mask(body)) != case.body:
            score.false += 1
            score.hit[case.family, case.place] += 1
    return score


def leaks(secret: str, left: str) -> bool:
    """Return whether *secret*, or a large part of it, is in what is left."""
    if "\n" in secret:
        return any(len(line) > 20 and line in left for line in secret.split("\n")[1:-1])
    size = max(len(secret) // _SHARE, 4)
    return any(secret[at : at + size] in left for at in range(max(len(secret) - size + 1, 1)))


def _plain(data: bytes) -> str:
    """All texts of a document, those inside texts unescaped as well."""
    texts: list[str] = []
    todo: list[Any] = [json.loads(data)]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            todo += value
        else:
            text = str(value)
            texts.append(text)
            if text[:1] in ("{", "["):
                try:
                    todo.append(json.loads(text))
                except ValueError:
                    continue
    return "\n".join(texts)
