"""Random text of the kinds that tokens are made of, from one seeded source."""

import base64
import random
import string

ALNUM = string.ascii_letters + string.digits
URLSAFE = ALNUM + "-_"
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits
SYMBOLS = "!#%*+=?^_~-"
WORDS = """
amber anchor basket birch bridge candle canyon cedar copper coral cotton crater
delta ember falcon fern forest glacier granite harbor hazel island ivory jasper
juniper kettle lagoon lantern lemon linen maple marble meadow mirror nectar olive
orchid otter pebble pepper pine prairie quartz raven river saddle saffron silver
sparrow spruce summit thistle timber velvet walnut willow winter
""".split()  # noqa: SIM905 - read as a text


class Dice:
    """One seeded source."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self, size: int, alphabet: str = ALNUM) -> str:
        """Return *size* letters, digits among them."""
        while True:
            found = "".join(self.random.choices(alphabet, k=size))
            if size < 12 or (any(c.isdigit() for c in found) and any(c.isalpha() for c in found)):
                return found

    def base64(self, size: int) -> str:
        return base64.b64encode(self.random.randbytes(size)).decode()

    def word(self) -> str:
        return self.random.choice(WORDS)

    def number(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def pick(self, *options: str) -> str:
        return self.random.choice(options)

    def uuid(self) -> str:
        h = self.text(32, HEX)
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"
