"""Reading JSON that others wrote: what no program would write is refused."""

from __future__ import annotations

import json
import math
from typing import Any

BIGGEST = 1 << 63


class BadJson(ValueError):
    """Why a text is not JSON that can be taken in, in words that go on from a place; `offset` is where, in characters."""

    def __init__(self, why: str, offset: int = 0) -> None:
        super().__init__(why)
        self.why = why
        self.offset = offset


def read(text: str) -> Any:
    """The value a JSON text stands for.

    Raises:
        BadJson: It is no JSON, or has in it what has no place in a file of messages: numbers beyond 64 bits, NaN, a field
            that is there twice, depth without end.
    """
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise BadJson("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise BadJson("that is not JSON", error.pos) from None


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -BIGGEST <= (number := int(digits)) < BIGGEST:
        raise BadJson("it has a number that is too large")
    return number


def _fraction(digits: str) -> float:
    number = float(digits) if len(digits) < 400 else math.inf
    if math.isinf(number):
        raise BadJson("it has a number that is too large")
    return number


def _no_number(name: str) -> float:
    raise BadJson(f"it has {name} in place of a number")


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadJson("it has a field that is there twice")
    return fields


_DECODER = json.JSONDecoder(
    parse_int=_whole, parse_float=_fraction, parse_constant=_no_number, object_pairs_hook=_fields
)
