"""The window, driven without a terminal: keys go in, and what it shows comes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from tests.chatting import Talk
from tests.fake_server import PROFILE, FakeServer, Waits, client_of, completed, delta
from tui.app.app import PalaverApp
from tui.app.run import Wish
from tui.app.screens.chat import ChatScreen
from tui.app.transcript.view import TranscriptView
from tui.chat import Chat
from tui.client import Client
from tui.clock import SYSTEM, Clock
from tui.config import Config, Profile
from tui.store import Store

SIZE = (100, 30)


async def until(pilot: Pilot[None], ready: Callable[[], object], seconds: float = 30) -> None:
    """Let things happen until `ready` holds. It is asked again and again: what the store's thread does has no event here."""
    async with asyncio.timeout(seconds):
        while True:
            await pilot.pause()
            if ready():
                return
            await asyncio.sleep(0.005)


def text_in_view(transcript: TranscriptView) -> str:
    """The text in view, with its marks."""
    return "\n".join(row.line.marked for row in transcript.port.rows)


@dataclass(slots=True)
class Window:
    """A running window, its server, and what there is to see."""

    app: PalaverApp
    pilot: Pilot[None]
    talk: Talk

    @property
    def screen(self) -> ChatScreen:
        screen = self.app.screen_stack[0]
        assert isinstance(screen, ChatScreen)
        return screen

    @property
    def server(self) -> FakeServer:
        return self.talk.server

    @property
    def status(self) -> str:
        return self.screen.status_bar.text

    @property
    def transcript(self) -> str:
        return text_in_view(self.screen.transcript)

    @property
    def said(self) -> str:
        """The transcript's words, however they were broken into lines."""
        return " ".join(self.transcript.split())

    @property
    def picture(self) -> str:
        """Everything on the screen, as text."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text[:width] for strip in strips[:height])

    @property
    def label(self) -> str:
        return self.app.come_back

    async def until(self, ready: Callable[[], object]) -> None:
        """Let things happen until `ready` holds."""
        await until(self.pilot, ready)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type text into whatever has the focus."""
        await self.press(*("space" if char == " " else char for char in text))

    async def send(self, text: str) -> None:
        """Put a text into the prompt and press Enter."""
        self.screen.prompt.focus()
        self.screen.prompt.replace_text(text)
        await self.press("enter")

    async def exchange(self, prompt: str, answer: str, response_id: str = "resp_1") -> None:
        """A prompt, and its answer, to the end."""
        await self.send(prompt)
        exchange = await self.server.request()
        exchange.respond().event(delta(answer)).event(completed(answer, response_id)).end()
        await self.until(lambda: not self.talk.chat.running())
        await self.until(lambda: "done in" in self.status and not self.screen.transcript.pace.is_due)


@asynccontextmanager
async def window(
    history: Path,
    *profiles: Profile,
    wish: Wish | None = None,
    size: tuple[int, int] = SIZE,
    theme: str = "",
    keys: dict[str, str] | None = None,
    warnings: tuple[str, ...] = (),
    client: Client | None = None,
    clock: Clock = SYSTEM,
) -> AsyncIterator[Window]:
    """A window on a history, with a server played by hand behind its profiles; or with a client of its own, any."""
    profiles = profiles or (PROFILE,)
    config = Config(
        {profile.name: profile for profile in profiles},
        profiles[0].name,
        theme=theme,
        keys=keys or {},
        warnings=warnings,
    )
    server, waits = FakeServer(), Waits()
    store = Store(history)
    chat = Chat(store, client or client_of(server, waits), config, clock=clock)
    store.on_health = chat.tell_health
    app = PalaverApp(chat, store, wish or Wish())
    talk = Talk(chat, store, server, waits)
    chat.subscribe(talk.changes.append)
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            made = Window(app, pilot, talk)
            await made.until(lambda: made.label)
            yield made
    finally:
        await chat.aclose()
        await store.close()
    if app.failure is not None:
        raise app.failure


def input_seen(w: Window) -> str:
    """The input as it is drawn, without its border."""
    prompt = w.screen.prompt
    lines = [strip.text for strip in prompt.render_lines(prompt.region.reset_offset)]
    return " ".join(" ".join(line[1:-1] for line in lines[1:-1]).split())


async def prompt_sent(w: Window) -> str:
    """The prompt that the server gets next."""
    return str((await w.server.request()).json["input"][-1]["content"])
