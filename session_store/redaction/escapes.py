"""JSON strings: what they say, and where each byte of that stands in them."""

import json
import re
from collections.abc import Iterator

import orjson

_PIECE = re.compile(
    rb"[^\\]+|(?:\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u....|\\.", re.DOTALL
)


def decoded(raw: bytes) -> bytes:
    """
    Return what the JSON string with *raw* between its quotes says, as UTF-8.

    Lone surrogates come as the three bytes of their code point.
    """
    if b"\\" not in raw:
        return raw
    try:
        text: str = orjson.loads(b'"' + raw + b'"')
    except orjson.JSONDecodeError:
        text = json.loads('"' + raw.decode("utf-8", "surrogateescape") + '"', strict=False)
    return text.encode("utf-8", "surrogatepass")


def encoded(text: bytes) -> bytes:
    """Return ASCII *text* as it stands between the quotes of a JSON string."""
    return json.dumps(text.decode("ascii")).encode()[1:-1]


def raw_places(raw: bytes, places: list[int]) -> Iterator[int]:
    """Yield where in *raw* each of the ascending *places* in `decoded(raw)` begins."""
    if b"\\" not in raw:
        yield from places
        return
    at = 0
    pending = iter(places)
    place = next(pending, None)
    for piece in _PIECE.finditer(raw):
        while place is not None and place <= at:
            yield piece.start()
            place = next(pending, None)
        if raw[piece.start()] != 0x5C:
            size = piece.end() - piece.start()
            while place is not None and place < at + size:
                yield piece.start() + place - at
                place = next(pending, None)
            at += size
        else:
            at += len(decoded(piece.group()))
    while place is not None:
        yield len(raw)
        place = next(pending, None)
