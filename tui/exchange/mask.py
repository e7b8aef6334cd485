"""Keeping keys out of what is handed on: whatever is a configured key is shown as stars."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from dataclasses import replace

from tui.config import Config
from tui.credentials import Secret, is_secret, secret_parameters
from tui.errors import ConfigError
from tui.keys import read_key
from tui.model import Turn
from tui.values import dataclass

STARS = "***"

SHORTEST = 8
"""The shortest key that is looked for: a shorter one is no secret, and may be any word."""

SHORTEST_PART = 4
"""The shortest beginning of a key that is looked for where a text was cut."""


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

    def name(self, text: str) -> str:
        """A label or a title without them, and without the beginning of one where it was cut."""
        text = self.text(text)
        head = text.removesuffix("…")
        if head == text:
            return text
        cut = max((_overlap(head, secret) for secret in self.secrets), default=0)
        return f"{head[:-cut]}{STARS}…" if cut else text

    def turn(self, turn: Turn) -> Turn:
        """A turn without them."""
        if not self.secrets:
            return turn
        items = tuple(replace(item, text=self.text(item.text), name=self.text(item.name)) for item in turn.items)
        return replace(turn, prompt=self.text(turn.prompt), model=self.text(turn.model), items=items)


def plain_mask(config: Config, known: Iterable[Secret] = ()) -> Mask:
    """The mask for the keys that no one has to be asked for: those in the environment and in headers, and those `known`."""
    return _mask(_plain_secrets(config) | {key.reveal() for key in known})


async def mask_for(config: Config, used: Collection[str]) -> Mask:
    """The mask for a thread in which the profiles `used` took part.

    Keys in the environment are all looked at. Commands and keyrings may ask the user for something, so only those of
    `used` are.
    """
    secrets = _plain_secrets(config)
    unread: list[str] = []
    for name, profile in config.profiles.items():
        if profile.key.kind in ("none", "env") or name not in used:
            continue
        try:
            key = await read_key(profile.key)
        except ConfigError:
            unread.append(name)
            continue
        if key is not None:
            secrets.add(key.reveal())
    return _mask(secrets, unread)


def _plain_secrets(config: Config) -> set[str]:
    secrets: set[str] = set()
    for profile in config.profiles.values():
        for header, value in profile.headers:
            if is_secret(header):
                # The last word alone, too: “Bearer” and the like stand before a key, and are no part of it.
                secrets |= {value, value.rpartition(" ")[2]}
        secrets |= {value for _, value in secret_parameters(profile.params)}
    return secrets | {os.environ.get(name, "").strip() for name in config.key_variables}


def _mask(secrets: Collection[str], unread: Collection[str] = ()) -> Mask:
    long = {form for one in secrets if len(one) >= SHORTEST for form in _forms(one)}
    return Mask(tuple(sorted(long, key=len, reverse=True)), tuple(unread))


def _forms(secret: str) -> set[str]:
    """A key as it may stand in a text: also as JSON has it, which the arguments of tools are."""
    return {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}


def _overlap(head: str, secret: str) -> int:
    """How many characters at the end of `head` are the beginning of a key; 0 where they are too few to be one."""
    lengths = range(min(len(head), len(secret)), SHORTEST_PART - 1, -1)
    return next((length for length in lengths if head.endswith(secret[:length])), 0)
