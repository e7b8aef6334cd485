"""Keeping keys out of what is handed on: whatever is a configured key is shown as stars."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from tui.config import Config
from tui.errors import ConfigError
from tui.keys import read_key
from tui.model import Turn
from tui.values import dataclass

STARS = "***"

SHORTEST = 8
"""The shortest key that is looked for: a shorter one is no secret, and may be any word."""

_SECRET_HEADER = re.compile(r"(?i)auth|key|token|secret|cookie|credential")


@dataclass(frozen=True, slots=True)
class Mask:
    """The keys to look for. `unread` names the profiles whose keys could not be had."""

    secrets: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def text(self, text: str) -> str:
        """`text` without them."""
        for secret in self.secrets:
            text = text.replace(secret, STARS)
        return text

    def turn(self, turn: Turn) -> Turn:
        """A turn without them."""
        if not self.secrets:
            return turn
        items = tuple(replace(item, text=self.text(item.text), name=self.text(item.name)) for item in turn.items)
        return replace(turn, prompt=self.text(turn.prompt), model=self.text(turn.model), items=items)


async def mask_for(config: Config, used: Collection[str]) -> Mask:
    """The mask for a thread in which the profiles `used` took part.

    Keys in the environment are all looked at. Commands and keyrings may ask the user for something, so only those of
    `used` are.
    """
    secrets: set[str] = set()
    unread: list[str] = []
    for name, profile in config.profiles.items():
        secrets |= {value for header, value in profile.headers if _SECRET_HEADER.search(header)}
        if profile.key.kind != "env" and name not in used:
            continue
        try:
            key = await read_key(profile.key)
        except ConfigError:
            if profile.key.kind != "env":
                unread.append(name)
            continue
        if key is not None:
            secrets.add(key.reveal())
    return Mask(tuple(sorted((one for one in secrets if len(one) >= SHORTEST), key=len, reverse=True)), tuple(unread))
