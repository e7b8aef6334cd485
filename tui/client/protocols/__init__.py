"""Wire formats: what every protocol module offers, and the table that finds one by its name.

A protocol is a module. `body` and the reader it makes do no I/O; `stream` joins them to a connection. Nothing is
imported until a profile asks for it.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any, Protocol, cast

from tui.client.http import Http
from tui.client.protocols.fields import Payload, rows, table, text
from tui.client.reply import Rejected, Reply, parse_json, read_error
from tui.client.request import Request
from tui.client.sse import ServerSentEvent
from tui.client.tally import Tally
from tui.config import Profile
from tui.errors import Incomplete, Refused
from tui.events import Finished, Noted, TurnEvent
from tui.model import Conversation, Item, Turn, Verdict

_MODULES = {
    "responses": "tui.client.protocols.responses",
    "chat": "tui.client.protocols.chat_completions",
    "anthropic": "tui.client.protocols.anthropic",
    "ollama": "tui.client.protocols.ollama",
    "genie": "tui.client.protocols.genie",
    "agent-server": "tui.client.protocols.agent_server",
    "rill": "tui.client.protocols.rill",
    "agenta": "tui.client.protocols.agenta",
    "docker-chat": "tui.client.protocols.docker_chat",
    "docker-agent": "tui.client.protocols.docker_agent",
    "guide": "tui.client.protocols.responses",
}

TRAILER_WAIT = 2.0
"""Seconds allowed for what follows an answer's end (usage, `[DONE]`) before the connection is closed on it."""


class Reader(Protocol):
    """Reads one answer's payloads, in order. Raises Rejected where the server ends the answer with an error."""

    over: bool
    """Whether the answer is finished and only a trailer may follow."""

    def read(self, payload: Payload) -> Iterator[TurnEvent]:
        """The events in one payload, which may be anything that is JSON."""

    def whole(self, payload: Payload) -> Iterator[TurnEvent]:
        """The events in an answer that was not streamed."""

    def sentinel(self) -> Iterator[TurnEvent]:
        """The events of `[DONE]`."""

    def end(self) -> Iterator[TurnEvent]:
        """The events of the body's end."""


class Wire(Protocol):
    """What a protocol module offers. What comes after `stream` only those offer whose traits say so."""

    def headers(self, profile: Profile, key: str) -> dict[str, str]:
        """The headers every request carries; `key` is empty where there is none."""

    def body(self, request: Request) -> dict[str, Any]:
        """The JSON to send."""

    def is_stale(self, reply: Reply, request: Request) -> bool:
        """Whether `reply` says, in this server's way, "no such conversation" of the id `request` carried."""

    def is_unsupported(self, reply: Reply) -> bool:
        """Whether a stale reply means that the server keeps no conversations at all."""

    def stream(self, http: Http, request: Request) -> AsyncGenerator[TurnEvent, None]:
        """Send `request` and give what comes of it, up to and including Finished.

        Where the request names a run, that is taken up again instead, and told from its beginning.
        """

    async def models(self, http: Http) -> list[str]:
        """The models there are (`Can.MODELS`)."""

    async def stop(self, http: Http, run: str) -> None:
        """Stop a run (`Can.STOP`)."""

    async def answer(self, http: Http, run: str, item: Item, verdict: Verdict) -> None:
        """Answer a question that a run waits with (`Can.CONFIRM`)."""

    async def steer(self, http: Http, run: str, text: str) -> None:
        """Say more to a run (`Can.STEER`)."""

    async def conversations(self, http: Http) -> list[Conversation]:
        """The conversations the server has for this user, the newest first (`Can.LIST`)."""

    async def recall(self, http: Http, conversation_id: str) -> list[Turn]:
        """What was said in a conversation, as turns that are done (`Can.READ`)."""

    async def conversation(self, http: Http, conversation_id: str) -> Conversation:
        """One conversation, which may be someone else's (`Can.SHARE`)."""

    async def share(self, http: Http, conversation_id: str, until: str | None) -> None:
        """Let others read a conversation up to the item of key `until`; where that is None, up to the newest answer;
        where it is empty, up to none (`Can.SHARE`)."""

    async def fork(self, http: Http, conversation_id: str, turns: int | None) -> str:
        """Make a conversation of the first `turns` turns of another one, or of all. Gives its id (`Can.FORK`)."""


def load(name: str) -> Wire:
    """The protocol of that name, which `config` has checked."""
    return cast(Wire, importlib.import_module(_MODULES[name]))


async def list_models(http: Http, path: str = "/models", *, among: str = "data", name: str = "id") -> list[str]:
    """The names of the models a server lists, in its order."""
    found = table(await http.call("GET", path))
    return [text(row.get(name)) for row in rows(found.get(among)) if text(row.get(name))]


async def read_events(
    http: Http,
    path: str,
    body: Payload | None,
    reader: Reader,
    *,
    method: str = "POST",
    accept: str = "text/event-stream, application/json",
    headers: Mapping[str, str] | None = None,
    lines: bool = False,
    opened: Callable[[Mapping[str, str]], Iterator[TurnEvent]] | None = None,
    waits: Callable[[], bool] | None = None,
) -> AsyncGenerator[TurnEvent, None]:
    """Make a request and read the answer with `reader`, up to and including Finished. `lines`: it is NDJSON. `opened` gives
    the events there are in an answer's headers, once it has begun. While `waits` says so, as where the user has been asked
    something, the server may be silent for as long as it likes.

    Raises:
        Incomplete: It ended without the protocol's terminal event.
        Refused: It is not in this protocol.
    """
    state = _Reading(http.host, reader)
    now = asyncio.get_running_loop().time
    patience: float | None = None
    is_patient = waits is not None
    async with http.open(method, path, body, accept=accept, headers=headers, is_patient=is_patient) as response:
        for one in opened(response.headers) if opened else ():
            yield one
        events = http.events(response, lines=lines, waits=waits)
        with closing(state):
            async with aclosing(events):
                while not state.at_end:
                    patience = (patience or now() + TRAILER_WAIT) if reader.over else None
                    try:
                        if patience is None:
                            event = await anext(events)
                        else:
                            async with asyncio.timeout_at(patience):
                                event = await anext(events)
                    except StopAsyncIteration:
                        break
                    except (TimeoutError, Incomplete, Refused):
                        # Whatever follows an answer's end, it is the answer.
                        if not reader.over:
                            raise
                        break
                    for one in state.take(event):
                        yield one
                        if isinstance(one, Finished):
                            return
    for one in state.finish():
        yield one
        if isinstance(one, Finished):
            return


class _Reading:
    """Turns what a connection gives into payloads, and forgives what can be forgiven."""

    def __init__(self, host: str, reader: Reader) -> None:
        self._host = host
        self._reader = reader
        self._good = 0
        self._bad = 0
        self._tally = Tally()
        self.at_end = False

    def take(self, event: ServerSentEvent | Any) -> Iterator[TurnEvent]:
        if not isinstance(event, ServerSentEvent):
            if not isinstance(event, dict):
                raise Refused(f"{self._host} does not speak this protocol here.", hint="check protocol and base_url")
            yield from self._with_notes(self._tally.count(self._reader.whole(event), is_over=False))
            return
        data = event.data.strip()
        if not data:
            # A sign of life, of servers that know no comments.
            return
        if data == "[DONE]":
            self.at_end = True
            yield from self._with_notes(self._reader.sentinel())
            return
        try:
            payload = parse_json(event.data)
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            self._bad += 1
            if self._bad >= 2 and not self._good:
                raise Refused(f"{self._host} does not speak this protocol here.", hint="check protocol and base_url")
            return
        self._good += 1
        if event.name == "error" and not payload.get("type") and not self._reader.over:
            raise Rejected(read_error(payload), in_stream=True)
        yield from self._with_notes(self._tally.count(self._reader.read(payload), is_over=self._reader.over))

    def close(self) -> None:
        """Note in the log what was of no use."""
        self._tally.write(self._bad)

    def finish(self) -> Iterator[TurnEvent]:
        yield from self._with_notes(self._reader.end())
        raise Incomplete("the server stopped before the answer was finished")

    def _with_notes(self, events: Iterator[TurnEvent]) -> Iterator[TurnEvent]:
        for event in events:
            if isinstance(event, Finished) and self._bad:
                plural = "s were" if self._bad > 1 else " was"
                yield Noted(f"{self._bad} unreadable event{plural} skipped.")
            yield event
