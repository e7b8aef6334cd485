"""Keys: where each one comes from, and a value that is never shown."""

from __future__ import annotations

from dataclasses import field

from tui.patterns import pattern
from tui.values import dataclass

_VARIABLE = pattern(r"[A-Za-z_][A-Za-z0-9_]*")
_LIKE_A_KEY = pattern(r"(?=.*[a-z])(?=.*[0-9]).{20,}")
"""No one names a variable like this: long, with small letters and with digits."""

_SECRET = pattern(r"(?i)auth|key|token|secret|cookie|credential")


def is_secret(name: str) -> bool:
    """Whether what has this name, or has it in itself, is to be taken for a key: a header, a part of an address."""
    return _SECRET.search(name) is not None


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
    """Where a key comes from: `kind` is "env", "command", "keyring" or "none"; `where` names it.

    `withheld` are environment variables that hold other keys, and that a command has no need of.
    """

    kind: str = "none"
    where: tuple[str, ...] = ()
    withheld: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def variable(self) -> str:
        """The environment variable's name, as it may be shown; empty where what stands in its place may be a key itself."""
        name = self.where[0]
        return name if _VARIABLE.fullmatch(name) and not _LIKE_A_KEY.fullmatch(name) else ""

    def __str__(self) -> str:
        match self.kind:
            case "env":
                return f"environment variable {self.variable or '***'}"
            case "command":
                return f"command {self.where[0]}"
            case "keyring":
                return f"keyring entry {self.where[0]}"
            case _:
                return "no key"

    @property
    def principal(self) -> str:
        """Who the server takes us for, as far as this says: a part of a conversation's address, which is kept and shown."""
        words = " ".join(self.where)
        return f"{self.kind}:{told_command(words) if self.kind == 'command' else words}" if words else ""


def told_command(words: str) -> str:
    """A command by its first word, and by a sum of all of them in place of the others, which may hold a key."""
    from hashlib import sha256

    return f"{words.partition(' ')[0]} #{sha256(words.encode()).hexdigest()[:12]}"
