"""What the next prompt takes along of what was said before, as it can be told before it is sent."""

from __future__ import annotations

from typing import Any

from tui.model import Turn, messages_of
from tui.text import counted
from tui.values import dataclass

BYTES_A_TOKEN = 4
"""Bytes of UTF-8 that make a token, on average: a rule of thumb for prose and code. Each model counts its own way."""


@dataclass(frozen=True, slots=True)
class Said:
    """How much was said in some turns: the messages that a server may be told of, and their length in bytes of UTF-8."""

    messages: int = 0
    size: int = 0

    def __add__(self, other: Said) -> Said:
        return Said(self.messages + other.messages, self.size + other.size)


def said_in(turns: list[Turn]) -> Said:
    """How much of `turns` a server may be told of."""
    messages = messages_of(turns)
    return Said(len(messages), sum(len(one.text.encode("utf-8", "replace")) for one in messages))


@dataclass(frozen=True, slots=True)
class Resending:
    """What goes out with the next prompt.

    `is_new`: it begins a new conversation on the server. `is_told`: that one is told what was said before; `said` is that,
    whether told or not.
    """

    said: Said = Said()
    is_new: bool = False
    is_told: bool = True

    @property
    def tokens(self) -> int:
        """An estimate of the tokens sent along, with two digits that mean something."""
        tokens = -(-self.said.size // BYTES_A_TOKEN) if self.is_told else 0
        return int(round(tokens, min(0, 2 - len(str(tokens)))))

    @property
    def text(self) -> str:
        """It in words; empty where there is nothing to tell."""
        if not self.said.messages:
            return ""
        if not self.is_told:
            return "New conversation: it is not told what was said before" if self.is_new else ""
        messages = "1 message" if self.said.messages == 1 else f"{self.said.messages:,} messages"
        verb = "is" if self.said.messages == 1 else "are"
        tokens = counted(self.tokens, "token")
        along = f"{messages} (≈ {tokens}) {verb} sent along"
        return f"New conversation: {along}" if self.is_new else along

    def text_within(self, room: int) -> str:
        """The same in so many characters, if it can be said in so few: the shortest way, where it cannot."""
        ways = [self.text]
        if self.text and self.is_told:
            tokens = f"{self.tokens:,}" if self.tokens < 10_000 else f"{self.tokens // 1000:,}k"
            count = f"{counted(self.said.messages, 'message')}, ≈ {tokens} tokens"
            ways += [f"New conversation: {count}", f"New: {count}"] if self.is_new else [count]
        elif self.text:
            ways.append("New conversation: it is told nothing")
        return next((way for way in ways if len(way) <= room), ways[-1])


NOTHING = Resending()
"""Nothing is sent along."""


def resending_object(resending: Resending) -> dict[str, Any]:
    """It, as scripts get it."""
    return {
        "new_conversation": resending.is_new,
        "messages": resending.said.messages if resending.is_told else 0,
        "estimated_tokens": resending.tokens,
    }
