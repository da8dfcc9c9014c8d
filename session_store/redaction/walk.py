"""
A walk over JSON text: every string of it, with where it stands and what its key says of it.

Rules of this module:
  * The text is never encoded again: what comes out are places in it, and what to put there.
  * What was taken out of a text inside a string is put there as that string needs it.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Literal, NamedTuple

import orjson
from attrs import define, field

from .assigned import Sort, is_assigned, sort_of
from .escapes import decoded, encoded, raw_places
from .plausible import is_secret
from .rules import Deadline, Rules
from .spans import MARKER, Confidence, Span, marker

Path = tuple[str | int, ...]
Kept = Callable[[Path], bool] | None
"""Whether what stands at a path is never masked; None: nothing is kept."""


class NotJson(Exception):
    """The text is no JSON document; it is looked at as text."""


class Edit(NamedTuple):
    """
    One secret in a JSON text.

    Attributes:
        start, end: Bytes of the text that go.
        new: What is put there.
        path: Keys and indexes that lead to it.
    """

    start: int
    end: int
    new: bytes
    rule: str
    confidence: Confidence
    path: Path


@define
class _Frame:
    is_object: bool
    sort: Sort | None = None
    """What the key says under which this stands."""
    is_nested: bool = False
    """An object lies between that key and this."""
    wrapped: Literal["content", "pairs", "pair"] | None = None
    """What of a wrapped dict this is."""
    key: bytes | None = None
    index: int = 0
    named: Sort | None = None
    """A string of this object was a secret's name: `{"name": "DB_PASSWORD", "value": …}`."""
    masked_keys: int = field(default=0)


_TOKEN = re.compile(
    rb'[ \t\n\r]*+(?:"((?:[^"\\]++|\\.)*+)"|([{}\[\]:,])|([^ \t\n\r{}\[\]:,"]++))', re.DOTALL
)
_SS = rb'\s*+"(?:\$|\\u0024)(?:s|\\u0073)(?:s|\\u0073)"\s*+:\s*+\[\s*+"'
_TAG = rb'((?:[a-z]|\\u00[67][0-9a-fA-F]){3,5})"\s*+,\s*+'
_WRAPPED = re.compile(
    rb"\{" + _SS + _TAG + rb'"((?:[A-Za-z0-9+/=\-]|\\/|\\u00[2-7][0-9a-fA-F])*+)"\s*+\]\s*+\}'
)
_WRAPPED_TAGS = frozenset({b"str", b"bytes", b"int"})
_WRAPPED_DICT = re.compile(rb"\{" + _SS + _TAG + rb"(?=\[)")
_NESTED = re.compile(rb"\s*+[{\[]")
_WRAPPED_BELOW: dict[str | None, Literal["pairs", "pair"]] = {"content": "pairs", "pairs": "pair"}
_NAME_KEYS = frozenset({b"name", b"key", b"Name", b"Key"})
_VALUE_KEYS = frozenset({b"value", b"Value"})


def edits_of(data: bytes, rules: Rules, deadline: Deadline, kept: Kept) -> list[Edit]:
    """
    Return what to change in the JSON document *data*, in order.

    Raises:
        NotJson: It is none.
        OutOfTime: It took too long.
    """
    _check_json(data)
    walk = _Walk(data, rules, deadline, kept)
    walk.run()
    return walk.edits


def _check_json(data: bytes) -> None:
    """Raise NotJson unless a parser takes *data*: others take lone surrogates, and NaN."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            json.loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise NotJson from error


@define
class _Walk:
    data: bytes
    rules: Rules
    deadline: Deadline
    kept: Kept
    edits: list[Edit] = field(factory=list)
    stack: list[_Frame] = field(factory=list)

    def run(self) -> None:
        at, end = 0, len(self.data)
        while at < end and (found := _TOKEN.match(self.data, at)) is not None:
            at = found.end()
            if found.lastindex == 1:
                self._string(found)
            elif found.lastindex == 3:
                self._scalar(found)
            else:
                at = self._mark(found, at)

    def _mark(self, found: re.Match[bytes], at: int) -> int:
        mark = found.group(2)
        if mark in b"{[":
            wrapped = _WRAPPED.match(self.data, at - 1) if mark == b"{" else None
            if wrapped is not None and decoded(wrapped.group(1)) in _WRAPPED_TAGS:
                self._wrapped(wrapped)
                return wrapped.end()
            pairs = _WRAPPED_DICT.match(self.data, at - 1) if mark == b"{" else None
            if pairs is not None and decoded(pairs.group(1)) == b"dict":
                self._push_wrapped_dict()
                return pairs.end()
            self._push(is_object=mark == b"{")
        elif mark in b"}]":
            self.stack.pop()
        elif mark == b",":
            frame = self.stack[-1]
            if frame.is_object:
                frame.key = None
            else:
                frame.index += 1
        return at

    def _push(self, *, is_object: bool) -> None:
        above = self.stack[-1] if self.stack else None
        frame = _Frame(is_object)
        if above is not None:
            frame.sort, is_nested = self._sort_here()
            frame.is_nested = is_nested or is_object
            if not is_object:
                frame.wrapped = _WRAPPED_BELOW.get(above.wrapped)
        self.stack.append(frame)

    def _push_wrapped_dict(self) -> None:
        """Two of its brackets were read: its object's, and its content's."""
        self._push(is_object=True)
        self.stack[-1].key = b"$ss"
        sort, is_nested = self.stack[-1].sort, self.stack[-1].is_nested
        self.stack.append(_Frame(False, sort, is_nested, wrapped="content", index=1))

    def _sort_here(self) -> tuple[Sort | None, bool]:
        """Return what the keys above say of the value at hand, and whether an object lies between."""
        frame = self.stack[-1] if self.stack else None
        if frame is None:
            return None, False
        if frame.wrapped == "pair" or frame.is_object:
            own = None if frame.key is None else sort_of(frame.key)
            if own is None and frame.key in _VALUE_KEYS:
                own = frame.named
            if own is not None:
                return own, False
        return frame.sort, frame.is_nested

    def _path(self) -> Path:
        return _path_of(self.stack)

    def _is_kept(self) -> bool:
        return self.kept is not None and bool(self.stack) and self.kept(self._path())

    def _string(self, found: re.Match[bytes]) -> None:
        raw, start = found.group(1), found.start(1)
        frame = self.stack[-1] if self.stack else None
        if frame is not None and frame.is_object and frame.key is None:
            self._key(frame, raw, start)
            return
        text = decoded(raw)
        if self._is_kept():
            return
        sort, is_nested = self._sort_here()
        if frame is not None and frame.wrapped == "pair" and frame.index == 0:
            frame.key, sort = text, None
        if frame is not None and frame.key in _NAME_KEYS:
            frame.named = sort_of(text)
        if sort is not None and self._is_named_secret(text, sort, is_nested=is_nested):
            found_too = self.rules.find(text, self.deadline)
            whole = Span(0, len(text), f"named-{sort}", "candidate")
            covers = bool(found_too) and found_too[0][:2] == whole[:2]
            self._change(raw, start, found_too if covers else [whole])
        else:
            self._text(text, raw, start)

    def _is_named_secret(self, text: bytes, sort: Sort, *, is_nested: bool) -> bool:
        if self.rules.confidence == "definite" or MARKER.search(text):
            return False
        is_one = is_secret(text) if is_nested else is_assigned(text, sort)
        return is_one and not self.rules.is_allowed(text, self.deadline)

    def _text(self, text: bytes, raw: bytes, start: int) -> None:
        if len(text) < _SHORTEST:
            return
        if _NESTED.match(text) is not None and self._nested(text, raw, start):
            return
        spans = self.rules.find(text, self.deadline)
        if spans:
            self._change(raw, start, spans)

    def _nested(self, text: bytes, raw: bytes, start: int) -> bool:
        """Mask a JSON document inside a string; False if the string holds none."""
        here = self._path()
        try:
            inner = edits_of(text, self.rules, self.deadline, None)
        except NotJson:
            return False
        places = [place for edit in inner for place in edit[:2]]
        raws = iter(list(raw_places(raw, places)))
        for edit in inner:
            self.edits.append(
                edit._replace(
                    start=start + next(raws),
                    end=start + next(raws),
                    new=encoded(edit.new),
                    path=here + edit.path,
                )
            )
        return True

    def _change(self, raw: bytes, start: int, spans: list[Span]) -> None:
        path = self._path()
        raws = iter(list(raw_places(raw, [place for span in spans for place in span[:2]])))
        for span in spans:
            new = marker(span.rule)
            begin, end = start + next(raws), start + next(raws)
            self.edits.append(Edit(begin, end, new, span.rule, span.confidence, path))

    def _key(self, frame: _Frame, raw: bytes, start: int) -> None:
        text = frame.key = decoded(raw)
        if len(text) < _SHORTEST or self._is_kept():
            return
        spans = self.rules.find(text, self.deadline)
        if not spans:
            return
        frame.key = b"[REDACTED]"
        self._change(raw, start, spans)
        last = self.edits[-1]
        self.edits[-1] = last._replace(new=self._unlike_others(frame, last, start + len(raw)))

    def _unlike_others(self, frame: _Frame, edit: Edit, end: int) -> bytes:
        """Return what *edit* puts into a key, so that no two keys become the same."""
        rest = self.data[edit.end : end]
        while True:
            self.deadline.check()
            frame.masked_keys += 1
            suffix = b"" if frame.masked_keys == 1 else b"#%d" % frame.masked_keys
            if not _is_key_in(self.data, edit.new + suffix + rest + b'"'):
                return edit.new + suffix

    def _scalar(self, found: re.Match[bytes]) -> None:
        """A number under a password's key is a password."""
        sort, is_nested = self._sort_here()
        text = found.group(3)
        if sort != "password" or is_nested or not text.isdigit() or self._is_kept():
            return
        if self._is_named_secret(text, sort, is_nested=False):
            self._replace_value(found.start(3), found.end(3), "named-password", "candidate")

    def _wrapped(self, found: re.Match[bytes]) -> None:
        """A value that JSON cannot carry; with a secret in it, a marker stands for all of it."""
        if self._is_kept():
            return
        tag, content = map(decoded, found.groups())
        if tag != b"int":
            # If it is no wrapper, but an object that looks like one, its text is looked at.
            with suppress(binascii.Error, ValueError):
                content = base64.b64decode(content, validate=True)
        sort, is_nested = self._sort_here()
        if sort is not None and self._is_named_secret(content, sort, is_nested=is_nested):
            self._replace_value(found.start(), found.end(), f"named-{sort}", "candidate")
        elif spans := self.rules.find(content, self.deadline):
            self._replace_value(found.start(), found.end(), spans[0].rule, spans[0].confidence)

    def _replace_value(self, start: int, end: int, rule: str, confidence: Confidence) -> None:
        new = b'"' + marker(rule) + b'"'
        self.edits.append(Edit(start, end, new, rule, confidence, self._path()))


def _is_key_in(data: bytes, ending: bytes) -> bool:
    """Return whether a key in *data* ends so, its quote included."""
    at = data.find(ending)
    while at >= 0:
        if _COLON.match(data, at + len(ending)):
            return True
        at = data.find(ending, at + 1)
    return False


_COLON = re.compile(rb"\s*+:")
_SHORTEST = 8
"""Bytes of the shortest text in which anything is found that no key names."""


class Leaf(NamedTuple):
    """
    One string or number of a JSON document.

    Attributes:
        start: Where *raw*, without its quotes, stands.
    """

    path: Path
    start: int
    raw: bytes
    is_text: bool


def leaves(data: bytes) -> Iterator[Leaf]:
    """
    Yield the strings and numbers of the JSON document *data* that are no keys.

    Raises:
        NotJson: It is none.
    """
    _check_json(data)
    stack: list[_Frame] = []
    for found in _TOKEN.finditer(data):
        mark, kind = found.group(2), found.lastindex
        top = stack[-1] if stack else None
        if mark is None and kind == 1 and top is not None and top.is_object and top.key is None:
            top.key = decoded(found.group(1))
        elif mark is None and kind is not None:
            yield Leaf(_path_of(stack), found.start(kind), found.group(kind), kind == 1)
        elif mark in (b"{", b"["):
            stack.append(_Frame(mark == b"{"))
        elif mark in (b"}", b"]"):
            stack.pop()
        elif mark == b"," and top is not None:
            top.key = None
            top.index += 0 if top.is_object else 1


def _path_of(stack: list[_Frame]) -> Path:
    return tuple(
        frame.key.decode("utf-8", "replace")
        if frame.is_object and frame.key is not None
        else frame.index
        for frame in stack
    )
