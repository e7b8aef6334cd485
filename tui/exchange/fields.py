"""Looking into values that other programs wrote, where anything may be anything."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any, Protocol

from tui.exchange.large_json import LargeArray, LargeObject, SmallObject


class Fields(Protocol):
    """An object of any size."""

    def get(self, name: str, /) -> Any:
        """The value of a field; None where there is none."""


def table(value: Any) -> dict[str, Any]:
    """`value` if it is an object that is decoded, else an empty one."""
    return value if isinstance(value, dict) else {}


def fields_of(value: Any) -> Fields:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict | LargeObject) else {}


def placed(value: Any) -> SmallObject | LargeObject:
    """`value` if it is an object, else an empty one; its fields have places."""
    return value if isinstance(value, LargeObject) else SmallObject(value if isinstance(value, dict) else {})


def rows(value: Any) -> list[Any] | LargeArray:
    """`value` if it is an array, else an empty one."""
    return value if isinstance(value, list | LargeArray) else []


def text(value: Any) -> str:
    """`value` if it is text, else none."""
    return value if isinstance(value, str) else ""


def words(value: Any) -> str:
    """`value` as it can be read: text as it is, nothing as nothing, all else as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, LargeArray | LargeObject):
        value = value.whole()
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        # YAML has keys that JSON has not.
        return ""


def seconds(value: Any) -> float | None:
    """A time in seconds since the epoch, from a number or from ISO 8601 (UTC where it does not say); None for none."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = float(value)
    return number if math.isfinite(number) and 0 < number < 253_402_300_800 else None
