"""A title that a model makes of a session's first exchange, by a request of its own that no conversation is part of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

from tui.client import Client, Request
from tui.config import Profile
from tui.errors import PalaverError
from tui.events import ItemDelta, ItemWhole
from tui.model import ItemKind, Session, TitleSource, Turn
from tui.store import Store
from tui.text import one_line
from tui.traits import TRAITS

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds a model may take to name a session."""

MOST = 60
"""The longest title, in characters; a model that says more was not giving a title."""

_SHOWN = 2000  # characters of each side of the exchange: enough to tell what it is about

_ASKED = """\
Name this conversation in at most six words, in the language it is held in. Answer with the name only.

<user>
{prompt}
</user>

<assistant>
{text}
</assistant>"""


def title_profile(profile: Profile) -> Profile | None:
    """The profile as a title is asked for: with nothing kept of it. None where the server would keep a conversation."""
    if TRAITS[profile.protocol].keeps and profile.protocol != "responses":
        return None
    params = {name: value for name, value in profile.params.items() if not name.startswith("tool")}
    return replace(profile, continue_by="nothing", system="", params=params, options={})


def question(turn: Turn) -> str:
    """What the model is asked."""
    return _ASKED.format(prompt=turn.prompt[:_SHOWN], text=turn.text[:_SHOWN])


def title_in(answer: str) -> str:
    """The title in a model's answer; nothing where there is none."""
    line = next((line for line in answer.splitlines() if line.strip()), "")
    title = one_line(line).strip(" #*_`\"'“”„«»").rstrip(".").strip()
    return title if len(title) <= MOST else ""


class Namer:
    """Has models name sessions, each beside all else; `tell` is told of one that has its name."""

    def __init__(self, store: Store, client: Client, tell: Callable[[Session], None]) -> None:
        self._store = store
        self._client = client
        self._tell = tell
        self._naming: set[asyncio.Task[None]] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a session is being named."""
        return bool(self._naming)

    def begin(self, turn: Turn, profile: Profile) -> None:
        """Have the session of this turn, its first, named."""
        naming = asyncio.get_running_loop().create_task(self._name(turn, profile))
        self._naming.add(naming)
        naming.add_done_callback(self._naming.discard)

    async def stop(self) -> None:
        """Name none any more."""
        namings = set(self._naming)
        for naming in namings:
            naming.cancel()
        if namings:
            await asyncio.wait(namings)

    async def _name(self, turn: Turn, profile: Profile) -> None:
        """Have the model give a session its title. Where it gives none, the one made of the prompt stays."""
        asked = title_profile(profile)
        session = await self._store.session(turn.session_id)
        if asked is None or session is None or session.title_source is TitleSource.USER:
            return
        request = Request(asked, question(turn), allow_fresh=False, budget=0.0)
        said: dict[str, str] = {}
        try:
            async with asyncio.timeout(PATIENCE), aclosing(self._client.stream(request)) as events:
                async for event in events:
                    if isinstance(event, ItemDelta) and event.kind is ItemKind.MESSAGE:
                        said[event.key] = said.get(event.key, "") + event.text
                    elif isinstance(event, ItemWhole) and event.item.kind is ItemKind.MESSAGE:
                        said[event.item.key] = event.item.text
            title = title_in("\n".join(said.values()))
            named = await self._store.name(turn.session_id, title) if title else None
        except (PalaverError, TimeoutError) as error:
            log.info("no title was made: %s", error)
            return
        if named is not None:
            self._tell(named)
