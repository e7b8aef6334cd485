"""JSON too large to be decoded at once: its parts are found where they stand, and decoded one by one.

Decoded, a conversation takes some ten times the memory of its text. Where a value is too large for that there is an object
or an array of it that has its parts by where they begin and end, and decodes one each time it is asked for.
"""

from __future__ import annotations

import functools
import re
from array import array
from collections.abc import Iterator
from typing import Any, NoReturn

from tui.errors import FileRefused
from tui.exchange import strict_json
from tui.exchange.places import Places
from tui.exchange.strict_json import BadJson

LARGE = 1024 * 1024
"""The bytes from which on an object or an array is not decoded at once."""

PARTS_LIMIT = 1_000_000
"""The most parts such a value may have."""

_DEPTH = 5
"""How deep messages nest, as a rule: so much is passed over in one step."""

# Strings and what lies between brackets are passed over in one step, and never gone back into.
_BLANK = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NO_BRACKET = rb'[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+"'
_TO_BRACKET = re.compile(rb"(?:%b)*+([{}\[\]])" % _NO_BRACKET, re.DOTALL)
_SHALLOW = re.compile(
    functools.reduce(lambda inner, _: rb"[{\[](?:%b|%b)*+[}\]]" % (_NO_BRACKET, inner), range(_DEPTH), rb"[{\[][}\]]"),
    re.DOTALL,
)
_SCALAR = re.compile(rb"[^,\]}\[{\" \t\r\n]++")
_BRACE, _BRACKET, _QUOTE, _COLON, _COMMA = b'{[":,'
_CLOSES = {_BRACE: ord("}"), _BRACKET: ord("]")}


class Raw:
    """The text of a value in a file. `offset` is its place there, `name` what messages call the file."""

    def __init__(self, data: bytearray, offset: int, name: str) -> None:
        self.data = data
        self._offset = offset
        self._name = name

    def value(self, begin: int, end: int) -> Any:
        """What the bytes from `begin` up to `end` stand for: decoded, or as a `LargeObject` or `LargeArray`.

        Raises:
            FileRefused: They are no JSON, or JSON that is refused.
        """
        if end - begin > LARGE:
            begin = self.next(begin)
            if self.sign(begin) == _BRACE:
                return LargeObject(self, begin, end)
            if self.sign(begin) == _BRACKET:
                return LargeArray(self, begin, end)
        return self.decoded(begin, end)

    def decoded(self, begin: int, end: int) -> Any:
        """The same, whatever it takes.

        Raises:
            FileRefused: It is not UTF-8, or no JSON.
        """
        try:
            told = str(memoryview(self.data)[begin:end], "utf-8")
        except UnicodeDecodeError as error:
            raise FileRefused(f"{self._name} is not UTF-8 at byte {self._offset + begin + error.start:,}.") from None
        try:
            return strict_json.read(told)
        except BadJson as error:
            self.refuse(begin + len(told[: error.offset].encode()), error.why)

    def next(self, at: int) -> int:
        """Where the next sign that is no blank stands."""
        found = _BLANK.match(self.data, at)
        return found.end() if found else at

    def sign(self, at: int) -> int:
        """The byte that stands there; 0 behind the end."""
        return self.data[at] if at < len(self.data) else 0

    def end_of(self, begin: int) -> int:
        """Where the value that begins there ends."""
        sign = self.sign(begin)
        if sign not in (_BRACE, _BRACKET):
            found = (_STRING if sign == _QUOTE else _SCALAR).match(self.data, begin)
            if found is None:
                self.refuse(begin)
            return found.end()
        found = _SHALLOW.match(self.data, begin)
        if found is not None:
            return found.end()
        at, depth = begin, 0
        while True:
            found = _TO_BRACKET.match(self.data, at)
            if found is None:
                self.refuse(at)
            at = found.end()
            depth += 1 if found[1] in (b"{", b"[") else -1
            if not depth:
                return at

    def refuse(self, at: int, why: str = "that is not JSON") -> NoReturn:
        raise FileRefused(f"{self._name} cannot be read at byte {self._offset + at:,}: {why}.")

    def refuse_parts(self) -> NoReturn:
        raise FileRefused(f"{self._name} has a conversation with more than {PARTS_LIMIT:,} messages.")


class _Large:
    """What is common to both: parts that have places, in the order they stand in, and are decoded when they are asked for."""

    def __init__(self, raw: Raw, begin: int, end: int) -> None:
        self._raw = raw
        self._begin, self._end = begin, end
        self._begins, self._ends = array("I"), array("I")
        self._large: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, place: int) -> Any:
        found = self._large.get(place)
        if found is None:
            found = self._raw.value(self._begins[place], self._ends[place])
            if isinstance(found, _Large):
                self._large[place] = found
        return found

    def __iter__(self) -> Iterator[Any]:
        return map(self.__getitem__, range(len(self)))

    def whole(self) -> Any:
        """All of it, decoded at once."""
        return self._raw.decoded(self._begin, self._end)

    def _add(self, begin: int, end: int) -> None:
        if len(self._ends) == PARTS_LIMIT:
            self._raw.refuse_parts()
        self._begins.append(begin)
        self._ends.append(end)


class LargeArray(_Large):
    """An array."""

    def __init__(self, raw: Raw, begin: int, end: int) -> None:
        super().__init__(raw, begin, end)
        for at, after in _parts(raw, begin, end):
            self._add(at, after)


class LargeObject(_Large):
    """An object. Its parts are the values of its fields."""

    def __init__(self, raw: Raw, begin: int, end: int) -> None:
        super().__init__(raw, begin, end)
        self._names = array("I")
        self._places = Places()
        for name_at, after in _parts(raw, begin, end):
            self._names.append(name_at)
            place, colon = len(self), raw.next(raw.end_of(name_at))
            self._add(raw.next(colon + 1), after)
            if self._places.put(self.name(place), place):
                raw.refuse(name_at, "it has a field that is there twice")

    def get(self, name: str) -> Any:
        """The value of a field; None where there is none."""
        place = self.place(name)
        return None if place is None else self[place]

    def place(self, name: str) -> int | None:
        """The place of a field; None where there is none."""
        return self._places.get(name)

    def name(self, place: int) -> str:
        """The name of the field in a place."""
        begin = self._names[place]
        return str(self._raw.decoded(begin, self._raw.end_of(begin)))


class SmallObject:
    """An object that is decoded, with places as a large one has them."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._names = list(fields)
        self._values = list(fields.values())
        self._places = {name: place for place, name in enumerate(fields)}

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, place: int) -> Any:
        return self._values[place]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def place(self, name: str) -> int | None:
        """The place of a field; None where there is none."""
        return self._places.get(name)

    def name(self, place: int) -> str:
        """The name of the field in a place."""
        return self._names[place]


def check(value: Any) -> None:
    """Decode all parts of a value once.

    Raises:
        FileRefused: One of them is no JSON, or JSON that is refused.
    """
    if isinstance(value, LargeObject | LargeArray):
        for part in value:
            check(part)


def _parts(raw: Raw, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the values of an array, or the fields of an object, begin and end. It goes up to `end` itself."""
    is_object, close = raw.sign(begin) == _BRACE, _CLOSES[raw.sign(begin)]
    at = raw.next(begin + 1)
    is_over = raw.sign(at) == close
    while not is_over:
        after = raw.end_of(at)
        if is_object:
            colon = raw.next(after)
            if raw.sign(at) != _QUOTE or raw.sign(colon) != _COLON:
                raw.refuse(at)
            after = raw.end_of(raw.next(colon + 1))
        yield at, after
        at = raw.next(after)
        is_over = raw.sign(at) == close
        if not is_over:
            if raw.sign(at) != _COMMA:
                raw.refuse(at)
            at = raw.next(at + 1)
    if raw.next(at + 1) < end:
        raw.refuse(raw.next(at + 1))
