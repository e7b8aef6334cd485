"""Keys: where each one comes from, and a value that is never shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from tui.patterns import pattern
from tui.values import dataclass

_VARIABLE = pattern(r"[A-Za-z_][A-Za-z0-9_]*")
_LIKE_A_KEY = pattern(r"(?=.*[a-z])(?=.*[0-9]).{20,}")
"""No one names a variable like this: long, with small letters and with digits."""

_IS_A_KEY = pattern(
    r"(?:(?i:bearer)\s|sk-|eyJ)\S{4}|dapi[0-9a-f]{8}"
    r"|(?:AIza|gh[opsu]_|github_pat_|glpat-|gsk_|hf_|nvapi-|pplx-|xai-)[A-Za-z0-9]{16}"
    r"|[^/]*(?<![A-Za-z0-9])(?=[A-Za-z0-9]{16})[0-9]*(?:[A-Za-z]+[0-9]+){2}"
)
"""How keys begin; or, before any slash, a long word in which letters and digits take turns: no program, service or
variable is called like this, but a folder or a user may be."""

_SECRET = pattern(
    r"(?i)auth|key|token|secret|cookie|credential|pass(?:word|wd|phrase)|pwd|jwt|bearer|signature|(?<![a-z])sig(?![a-z])"
)
_NO_SECRET = pattern(
    r"(?i)keyword|keep|tokens|tokeni[sz]|author(?!i)|(?:cache|sort|primary|foreign)[_-]?key"
    r"|(?:bos|eos|pad|unk|mask|sep|cls|start|end|stop|first|image|audio|next)[_-]?token"
)
"""What words of a parameter's name sound like a key, and are about text."""


def is_secret(name: str) -> bool:
    """Whether what has this name, or has it in itself, is to be taken for a key: a header, a part of an address."""
    return _SECRET.search(name) is not None


def is_secret_parameter(name: str, value: object) -> bool:
    """Whether a field of a request's body is to be taken for a key: text, under a name for one."""
    return isinstance(value, str) and is_secret(_NO_SECRET.sub("", name))


def secret_parameters(params: object) -> Iterator[tuple[str, str]]:
    """Those fields of a request's body that are keys, however deep they lie: their names, and what they hold."""
    match params:
        case dict():
            for name, value in params.items():
                if is_secret_parameter(name, value):
                    yield name, value
                yield from secret_parameters(value)
        case list():
            for value in params:
                yield from secret_parameters(value)


def is_like_a_key(name: str) -> bool:
    """Whether what should name a key's place has to be taken for the key itself."""
    return _IS_A_KEY.match(name) is not None


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
        is_key = _LIKE_A_KEY.fullmatch(name) or (is_like_a_key(name) and not name.isupper())
        return name if _VARIABLE.fullmatch(name) and not is_key else ""

    @property
    def named(self) -> str:
        """The variable, the command's first word or the keyring's entry, as it may be shown: what may be a key is not."""
        if self.kind == "env":
            return self.variable or "***"
        name = self.where[0] if self.where else ""
        if self.kind == "command":
            # A whole command line in one word is no program's name, and may have the key in it.
            program, blank, _ = name.partition(" ")
            name = f"{program} …" if blank else program
        return "***" if is_like_a_key(name) else name

    def __str__(self) -> str:
        match self.kind:
            case "env":
                return f"environment variable {self.named}"
            case "command":
                return f"command {self.named}"
            case "keyring":
                return f"keyring entry {self.named}"
            case _:
                return "no key"

    @property
    def principal(self) -> str:
        """Who the server takes us for, as far as this says: a part of a conversation's address, which is kept and shown."""
        words = " ".join(self.where)
        if not words:
            return ""
        if self.kind == "command":
            return f"command:{told_command(words)}"
        is_plain = self.variable if self.kind == "env" else not is_like_a_key(words)
        return f"{self.kind}:{words if is_plain else f'*** {_sum(words)}'}"


def told_command(words: str) -> str:
    """A command by its first word, and by a sum of all of them in place of the others, which may hold a key."""
    program = words.partition(" ")[0]
    return f"{'***' if is_like_a_key(program) else program} {_sum(words)}"


def _sum(words: str) -> str:
    """What tells words apart, and does not tell them."""
    from hashlib import sha256

    return f"#{sha256(words.encode()).hexdigest()[:12]}"
