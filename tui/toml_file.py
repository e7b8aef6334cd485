"""A file in TOML that the user writes: read, and explained where it cannot be."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from tui.credentials import is_secret
from tui.errors import ConfigError
from tui.text import clean

_NESTING = 100
"""Tables and lists in each other at most; what writes them as JSON takes several times as many."""


def stat_of(file: Path) -> os.stat_result | None:
    """What the system knows of the file; None where there is none.

    Raises:
        ConfigError: There is something, but no file to be read to its end.
    """
    try:
        info = file.stat()
    except FileNotFoundError:
        if file.is_symlink():
            raise ConfigError(f"{file} is a link to a file that does not exist.") from None
        return None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    if stat.S_ISDIR(info.st_mode):
        raise ConfigError(f"{file} is a folder.", hint="it has to be a file; move the folder away")
    if not stat.S_ISREG(info.st_mode):
        raise ConfigError(f"{file} is no file that could be read.", hint="a pipe or a device has no end")
    return info


def read_toml(file: Path) -> dict[str, Any]:
    """What the file says.

    Raises:
        ConfigError: It cannot be read, or is not valid; the message names file and line, and holds no key.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text (byte {error.start}).") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(file, str(error), text) from None
    except ValueError:
        # What else tomllib raises is Python's refusal to read a number of thousands of digits.
        longest = max(re.finditer(r"[0-9_]*", text), key=lambda found: len(found[0]))
        row = text.count("\n", 0, longest.start()) + 1
        raise ConfigError(f"{file}, line {row}: a number has too many digits.") from None
    except RecursionError:
        data = None
    if data is None or not _is_shallow(data):
        raise ConfigError(f"{file} is nested too deeply.")
    return data


def _syntax(file: Path, message: str, text: str) -> ConfigError:
    from rich.cells import cell_len

    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)", message)
    lines = text.removesuffix("\n").split("\n")
    row, column = len(lines), len(lines[-1]) + 1
    if place:
        message = message[: place.start()]
        if place[1]:
            row, column = int(place[1]), int(place[2])
    shown = _without_keys(lines[min(row, len(lines)) - 1][:200])
    # As it is shown, what stands before the fault may be longer than it is.
    caret = f"  {clean(shown)}\n  {' ' * cell_len(clean(shown[: column - 1]))}^"
    return ConfigError(f"{file}, line {row}, column {column}: {message}.", detail=caret)


def _without_keys(line: str) -> str:
    """A line to be shown, with stars for what may be a key. As nothing is known of it yet, a line may go on with anything
    that has neither a name of its own nor a table's.
    """
    has_name = "=" in line
    if "@" not in line and (not is_secret(line) if has_name else line.lstrip().startswith("[")):
        return line
    named = re.match(r"\s*[\w.\"'-]+\s*=", line)
    start = named.end() if named else 0
    return line[:start] + re.sub(r"[^\s\"'\[\]{}=,#]", "*", line[start:])


def _is_shallow(data: dict[str, Any]) -> bool:
    """Whether nothing in it lies deeper than what reads and writes it can follow."""
    values: list[Any] = [data]
    for _ in range(_NESTING):
        nested = [one for one in values if isinstance(one, dict | list)]
        if not nested:
            return True
        values = [one for each in nested for one in (each.values() if isinstance(each, dict) else each)]
    return False
