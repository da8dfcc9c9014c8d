"""Which fault comes at which call: a few kinds in each run, as a seed says."""

from collections.abc import Collection
from random import Random
from types import MappingProxyType

from ..faults import CHANGES, LOOKS

_ALL = CHANGES | LOOKS
_NAMES = frozenset({"create", "make_directory", "rename", "link", "unlink", "remove_directory"})
_BLANKS = frozenset({"write_at"})
_FILE_SYNCS = frozenset({"sync", "sync_data"})

FAULTS = MappingProxyType(
    {
        "kill": (_ALL, 1 / 800),
        "power": (_ALL, 1 / 2500),
        "stop": (_ALL, 1 / 1500),
        "clock": (_ALL, 1 / 2000),
        "slow": (_FILE_SYNCS, 1 / 40),
        "sync": (_FILE_SYNCS | {"sync_directory"}, 1 / 80),
        "full": (frozenset({"write", "create", "make_directory"}) | _BLANKS, 1 / 50),
        "short": (frozenset({"write"}) | _BLANKS, 1 / 40),
        "tear": (frozenset({"write"}) | _BLANKS, 1 / 60),
        "blank": (_BLANKS, 1 / 4),
        "truncate": (frozenset({"truncate"}), 1 / 6),
        "names": (_NAMES, 1 / 60),
        "open": (frozenset({"open", "create"}), 1 / 150),
        "read": (frozenset({"read"}), 1 / 300),
    }
)
"""Kind of fault -> the calls that it comes at, and how probable it is at one of them."""


class Weather:
    """
    The faults of one run.

    Args:
        kinds: Which of FAULTS may come; None lets the random generator choose some, and how often.
    """

    def __init__(self, random: Random, kinds: Collection[str] | None = None) -> None:
        strengths: tuple[float, ...] = (1,)
        if kinds is None:
            kinds = [kind for kind in FAULTS if random.random() < 0.5]
            strengths = (0.3, 1, 3)
        self.kinds = frozenset(kinds)
        self._random = random
        self._limits: dict[str, list[tuple[float, str]]] = {}
        for kind, (names, rate) in FAULTS.items():
            if kind in self.kinds:
                strength = rate * random.choice(strengths)
                for name in sorted(names):
                    limits = self._limits.setdefault(name, [])
                    limits.append((strength + (limits[-1][0] if limits else 0), kind))

    def at(self, name: str) -> str | None:
        """Return the kind of fault that comes at this call of the kind *name*, mostly none."""
        limits = self._limits.get(name)
        if limits is None:
            return None
        draw = self._random.random()
        return next((kind for limit, kind in limits if draw < limit), None)

    def clear(self) -> None:
        """Let no more faults come."""
        self._limits.clear()
