"""Keys: where each one comes from, read only when a request needs it, and never shown."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from tui.errors import ConfigError

COMMAND_TIMEOUT = 30.0
"""Seconds a key command may take: it may have to ask for a finger on a token."""


class Secret:
    """A value that is only given out on purpose: its text forms are all `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where a key comes from: `kind` is "env", "command", "keyring" or "none"; `where` names it."""

    kind: str = "none"
    where: tuple[str, ...] = ()

    def __str__(self) -> str:
        match self.kind:
            case "env":
                return f"environment variable {self.where[0]}"
            case "command":
                return f"command {self.where[0]}"
            case "keyring":
                return f"keyring entry {self.where[0]}"
            case _:
                return "no key"

    @property
    def principal(self) -> str:
        """Who the server takes us for, as far as the configuration says; part of a conversation's address."""
        return f"{self.kind}:{' '.join(self.where)}" if self.where else ""


def read_key(source: KeySource, environ: Mapping[str, str] | None = None) -> Secret | None:
    """The key a source holds. Blocks: commands and keyrings take their time.

    Raises:
        ConfigError: The source holds none, or one that cannot be sent.
    """
    match source.kind:
        case "env":
            return _checked(_from_env(source.where[0], os.environ if environ is None else environ), source)
        case "command":
            return _checked(_from_command(source.where), source)
        case "keyring":
            return _checked(_from_keyring(source.where[0]), source)
        case _:
            return None


def _from_env(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if value is None or not value.strip():
        state = "not set" if value is None else "empty"
        raise ConfigError(f"The environment variable {name} is {state}.", hint=f"export {name}=… with your key")
    return value


def _from_command(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_TIMEOUT)
    except FileNotFoundError:
        raise ConfigError(f"The key command {command[0]} was not found.", hint="check api_key_command") from None
    except subprocess.TimeoutExpired:
        raise ConfigError(f"The key command {command[0]} took longer than {COMMAND_TIMEOUT:.0f} s.") from None
    except OSError as error:
        raise ConfigError(f"The key command {command[0]} could not be run: {error.strerror}.") from None
    if done.returncode:
        raise ConfigError(
            f"The key command {command[0]} ended with status {done.returncode}.", hint="run it by hand to see why"
        )
    value = done.stdout.decode("utf-8", "replace")
    if not value.strip():
        raise ConfigError(f"The key command {command[0]} printed nothing.")
    return value


def _from_keyring(entry: str) -> str:
    try:
        import keyring  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise ConfigError(
            "Keys from the keyring need the package keyring.", hint="pip install 'palaver[keyring]'"
        ) from None
    service, _, user = entry.partition("/")
    value = keyring.get_password(service, user)
    if not value:
        raise ConfigError(f"The keyring has no entry {entry}.", hint=f"keyring set {service} {user}")
    return str(value)


def _checked(value: str, source: KeySource) -> Secret:
    """`value` without surrounding blanks, if it can go into a header. The error names a place, never the key."""
    key = value.strip()
    for position, char in enumerate(key, 1):
        if not "\x20" < char < "\x7f":
            raise ConfigError(
                f"The key from {source} has a character that cannot be sent (position {position}).",
                hint="it holds more than a key, or the wrong thing",
            )
    return Secret(key)
