"""Runs one turn through the client and the runner, as a chat does, and gives what became of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.fake_server import PROFILE, Waits
from tui.client import Client, Request
from tui.client.protocols import Reader
from tui.client.protocols.fields import Payload
from tui.client.reply import Rejected
from tui.config import Profile
from tui.errors import PalaverError
from tui.events import ConversationIssued, ConversationUnsupported, ItemDelta, ItemWhole, TurnEvent
from tui.model import ItemKind, Turn, TurnStatus
from tui.runner import Fold, run


@dataclass
class Told:
    """What a turn came to: its final state, every state that was shown or saved, and every event."""

    turn: Turn
    shown: list[Turn] = field(default_factory=list)
    saved: list[Turn] = field(default_factory=list)
    events: list[TurnEvent] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """The status `ask` ends with."""
        return self.turn.error.exit_status if self.turn.error else 0

    @property
    def words(self) -> str:
        """The error as the user reads it."""
        return str(self.turn.error) if self.turn.error else ""

    @property
    def unsupported(self) -> bool:
        return ConversationUnsupported() in self.events

    def of(self, kind: ItemKind) -> list[tuple[str, str]]:
        """The items of one kind, as name and text."""
        return [(item.name, item.text) for item in self.turn.items if item.kind is kind]


def new_turn(profile: Profile = PROFILE, prompt: str = "hello") -> Turn:
    return Turn("turn", "session", 0, prompt, protocol=profile.protocol, profile=profile.name, model=profile.model)


async def take(
    client: Client, profile: Profile = PROFILE, prompt: str = "hello", *, told: Told | None = None, **request: Any
) -> Told:
    """One turn, to its end. `told` is filled in meanwhile."""
    told = told or Told(new_turn(profile, prompt))

    async def noted() -> AsyncGenerator[TurnEvent, None]:
        async with aclosing(client.stream(Request(profile, prompt, "session", **request))) as events:
            async for event in events:
                told.events.append(event)
                yield event

    async def save(turn: Turn) -> None:
        told.saved.append(turn)

    told.turn = await run(told.turn, noted(), publish=told.shown.append, save=save)
    return told


def over(transport: httpx.AsyncBaseTransport, waits: Waits | None = None) -> Client:
    """A client whose network is `transport`."""
    return Client(transport_of=lambda _profile: transport, sleep=waits or Waits())


class Bytes(httpx.AsyncBaseTransport):
    """Answers every request with the same bytes. `requests` counts them, `open` those whose answer is not closed yet."""

    def __init__(
        self,
        chunks: Iterable[bytes],
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        breaks: Exception | None = None,
    ) -> None:
        self._chunks = list(chunks)
        self._status = status
        self._headers = {"content-type": "text/event-stream"} | (headers or {})
        self._breaks = breaks
        self.requests = 0
        self.open = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        self.open += 1
        return httpx.Response(self._status, headers=self._headers, stream=_Answer(self))


class _Answer(httpx.AsyncByteStream):
    def __init__(self, server: Bytes) -> None:
        self._server = server

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for chunk in self._server._chunks:
            yield chunk
        if self._server._breaks is not None:
            raise self._server._breaks

    async def aclose(self) -> None:
        self._server.open -= 1


@dataclass
class Read:
    """What a reader made of payloads, without any connection. `refused` is how it ended, where it ended badly."""

    turn: Turn
    events: list[TurnEvent]
    finished: bool
    refused: Rejected | PalaverError | None = None

    @property
    def items(self) -> list[tuple[str, str, str]]:
        """Kind, name and text of each item that says anything."""
        return [(str(item.kind), item.name, item.text) for item in self.turn.items if item.text or item.name]

    @property
    def text(self) -> str:
        return self.turn.text

    @property
    def issued(self) -> str:
        """The conversation id that was given out last."""
        given = [event.conversation_id for event in self.events if isinstance(event, ConversationIssued)]
        return given[-1] if given else ""

    @property
    def visible(self) -> int:
        """How many events showed something."""
        return sum(isinstance(event, ItemDelta | ItemWhole) for event in self.events)


def read(reader: Reader, *payloads: Payload | str, whole: bool = False, end: bool = True) -> Read:
    """Feed `payloads` to a reader: objects, `"[DONE]"`, and then, unless told otherwise, the body's end."""
    fold, events = Fold(new_turn()), list[TurnEvent]()

    def take_in(found: Iterable[TurnEvent]) -> None:
        for event in found:
            events.append(event)
            fold.apply(event)

    refused: Rejected | PalaverError | None = None
    try:
        for payload in payloads:
            if isinstance(payload, str):
                take_in(reader.sentinel())
            else:
                take_in(reader.whole(payload) if whole else reader.read(payload))
        if end and not fold.finished:
            take_in(reader.end())
    except (Rejected, PalaverError) as error:
        refused = error
    status = TurnStatus.DONE if fold.finished else TurnStatus.INTERRUPTED
    return Read(fold.end(status), events, fold.finished, refused)
