"""A chat on a real history and a server played by hand, for tests of what happens between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fake_server import PROFILE, Exchange, FakeServer, Waits, client_of, completed, delta
from tui.chat import Change, Chat, SessionChanged, TurnChanged
from tui.client import Client, TransportOf
from tui.clock import SYSTEM, Clock
from tui.config import Config, Profile
from tui.model import Session, Turn
from tui.store import Store


@dataclass(slots=True)
class Talk:
    """A chat, its server, and everything it said."""

    chat: Chat
    store: Store
    server: FakeServer
    waits: Waits
    changes: list[Change] = field(default_factory=list)

    @property
    def turns(self) -> list[Turn]:
        """All states of turns that were published."""
        return [change.turn for change in self.changes if isinstance(change, TurnChanged)]

    @property
    def sessions(self) -> list[Session]:
        """All states of sessions that were published."""
        return [change.session for change in self.changes if isinstance(change, SessionChanged)]

    async def until(self, ready: Callable[[], object]) -> None:
        """Let the loop run until `ready` holds."""
        async with asyncio.timeout(20):
            while not ready():
                await asyncio.sleep(0.001)

    async def follow(self) -> None:
        """Follow the others from here on: nothing they do after this is missed, however late the first look is."""
        self.chat.follow(await self.chat.revision())

    async def answered(self, session: Session, prompt: str, text: str, response_id: str, **send: object) -> Turn:
        """Send a prompt and have it answered well. Gives the turn."""
        self.chat.send(session, prompt, **send)
        exchange = await self.server.request()
        answer_well(exchange, text, response_id)
        turn = await self.chat.settled(session.id)
        assert turn is not None
        return turn


def answer_well(exchange: Exchange, text: str, response_id: str) -> None:
    """A response from its first byte to its last."""
    exchange.respond().event(delta(text)).event(completed(text, response_id)).end()


@dataclass(slots=True)
class Chatting:
    """A chat with a server behind an address, and everything it said."""

    chat: Chat
    store: Store
    profile: Profile
    changes: list[Change] = field(default_factory=list)

    async def say(self, session: Session, prompt: str, **send: object) -> Turn:
        """A prompt, and its answer to the end."""
        self.chat.send(session, prompt, **send)
        return await self.ended(session)

    async def ended(self, session: Session) -> Turn:
        """The newest turn of a session, once it has ended."""
        async with asyncio.timeout(20):
            turn = await self.chat.settled(session.id)
        if turn is None:
            *_, turn = await self.chat.turns(session.id)
        return turn

    async def until(self, ready: Callable[[], object]) -> None:
        """Let things happen until `ready` holds."""
        async with asyncio.timeout(20):
            while not ready():
                await asyncio.sleep(0.005)

    def newest(self) -> Turn:
        """The state of a turn that was told last."""
        return [change.turn for change in self.changes if isinstance(change, TurnChanged)][-1]


@asynccontextmanager
async def chatting(
    history: Path,
    profile: Profile,
    *others: Profile,
    waits: Waits | None = None,
    ttl: float = 14 * 86400.0,
    transport_of: TransportOf | None = None,
) -> AsyncIterator[Chatting]:
    """A chat with a server that is really there: the first profile's. `transport_of` stands between the two."""
    config = Config({one.name: one for one in (profile, *others)}, profile.name, conversation_ttl=ttl)
    store = Store(history)
    chat = Chat(store, Client(sleep=waits or Waits(), transport_of=transport_of), config)
    made = Chatting(chat, store, profile)
    chat.subscribe(made.changes.append)
    await store.open()
    try:
        yield made
    finally:
        await chat.aclose()
        await store.close()


@asynccontextmanager
async def talk(
    history: Path, *profiles: Profile, clock: Clock = SYSTEM, ttl: float = 14 * 86400.0
) -> AsyncIterator[Talk]:
    """A chat with these profiles, the first being the default one."""
    profiles = profiles or (PROFILE,)
    config = Config({profile.name: profile for profile in profiles}, profiles[0].name, conversation_ttl=ttl)
    server, waits = FakeServer(), Waits()
    store = Store(history, clock=clock)
    chat = Chat(store, client_of(server, waits), config, clock=clock)
    store.on_health = chat.tell_health
    made = Talk(chat, store, server, waits)
    chat.subscribe(made.changes.append)
    await store.open()
    try:
        yield made
    finally:
        await chat.aclose()
        await store.close()
