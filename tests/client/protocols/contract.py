"""The contract's means: what it has to know of a protocol, and a stand-in of it with a client before it."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from tests.chatting import Chatting, chatting
from tests.client.protocols.wire import Net, Sent
from tests.client.turns import Told, take
from tests.fake_server import Waits
from tests.servers.base import Running, serving
from tui.client import Client
from tui.config import Profile
from tui.config_file import load
from tui.model import Mapping as Kept
from tui.model import Session, Turn, TurnStatus
from tui.traits import TRAITS, Traits

DONE, CANCELLED = TurnStatus.DONE, TurnStatus.CANCELLED
INTERRUPTED, FAILED = TurnStatus.INTERRUPTED, TurnStatus.FAILED

Shape = tuple[str, str, str, str]
"""An item's kind, name, text and state."""


@dataclass(frozen=True)
class Case:
    """A protocol.

    A request that asks for an answer has a path that matches `turn_path`; `id_in` and `told_in` find the conversation's
    id in it, and the prompts before the newest one. `ends` is whether an event ends an answer, `may_end_after` whether
    the body's end does, after the events there were. `no_route` and `no_model` are what a server says to a wrong address,
    and of a model or the like that is not there (with the status). `failures` are the words of an error before and after
    output. `shows` are the kinds of items that each word for a stand-in's manner leads to, `rich` a prompt whose answer
    has many kinds. `unknown` are events that mean nothing. `empty` is how an answer of nothing ends: its status, and what
    is said of it. `may_move` is whether the server can name another conversation, `is_idle` whether it runs nothing.
    `named_after` is after how many events a run has a name to take it up by; there is none where it is negative.
    """

    protocol: str
    turn_path: str
    ends: Callable[[Any], bool]
    id_in: Callable[[Sent], str]
    told_in: Callable[[Sent], list[str]]
    no_route: str
    no_model: tuple[int, object]
    failures: tuple[str, str]
    shows: dict[str, tuple[str, ...]]
    border: bytes = b"\n\n"
    rich: str = "tool one"
    unknown: tuple[bytes, ...] = ()
    empty: tuple[TurnStatus, str] = (DONE, "")
    is_stale_able: bool = False
    may_move: bool = False
    named_after: int = -1
    options: Mapping[str, Any] = field(default_factory=dict)
    may_end_after: Callable[[list[Any]], bool] = field(default=lambda events: False)
    key_header: str = "authorization"
    key_prefix: str = "Bearer "
    is_idle: Callable[[Any], bool] = field(default=lambda service: True)

    def __str__(self) -> str:
        return "-".join([self.protocol, *self.options])

    @property
    def module(self) -> Any:
        """The stand-in's."""
        return importlib.import_module(f"tests.servers.{self.protocol.replace('-', '_')}")

    @property
    def traits(self) -> Traits:
        return TRAITS[self.protocol]

    @property
    def is_sse(self) -> bool:
        return self.border == b"\n\n"

    def is_turn(self, request: httpx.Request) -> bool:
        return request.method == "POST" and re.search(self.turn_path, request.url.path) is not None


def payload(event: bytes) -> Any:
    """What an event says, whether or not its border has come; None where it says nothing that is whole."""
    lines = event.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    said = "\n".join(line.removeprefix("data: ") for line in lines if line.startswith(("data: ", "{")))
    try:
        return said if said == "[DONE]" else json.loads(said)
    except ValueError:
        return None


@dataclass
class Stand:
    """A protocol's stand-in with a client before it, whose wire can be changed."""

    case: Case
    running: Running
    profile: Profile
    net: Net
    waits: Waits

    @property
    def service(self) -> Any:
        return self.running.service

    @property
    def client(self) -> Client:
        return Client(transport_of=self.net, sleep=self.waits)

    async def take(self, prompt: str, **request: Any) -> Told:
        """One turn, to its end. Nothing of it stays open."""
        async with asyncio.timeout(20):
            told = await take(self.client, self.profile, prompt, **request)
        assert self.net.open == 0
        return told

    @asynccontextmanager
    async def chatting(self, history: Path) -> AsyncIterator[Chatting]:
        async with chatting(history, self.profile, waits=self.waits, transport_of=self.net) as made:
            yield made

    async def idle(self, chat: Chatting) -> None:
        """Wait until the server has seen that it was let go of."""
        await chat.until(lambda: self.case.is_idle(self.service))


@contextmanager
def standing(case: Case, folder: Path, *, key: str = "", **how: Any) -> Iterator[Stand]:
    """A stand-in, running, and the profile that is configured for it."""
    with serving(case.module.make(key=key, **how)) as running:
        file = folder / "config.toml"
        file.write_text(case.module.profile_text(running.url, key=bool(key)), encoding="utf-8")
        file.chmod(0o600)
        profile = load(file).profile()
        profile = replace(profile, options={**profile.options, **case.options})
        yield Stand(case, running, profile, Net(case.is_turn), Waits())


async def mapping_of(chat: Chatting, session: Session) -> Kept | None:
    """What is kept of a session's conversation."""
    profile = chat.profile
    return await chat.store.conversations.get(session.id, profile.origin, profile.protocol, profile.key.principal)


def said(prompt: str, known: int = 1) -> str:
    """What a stand-in says to a prompt of which it knows so many."""
    return f"{known} prompt{'s' if known != 1 else ''} so far. You said: {prompt}"


def shape(turn: Turn) -> list[Shape]:
    """What there is to see of an answer, whatever names its parts have."""
    return [(str(one.kind), one.name, one.text, str(one.state)) for one in turn.items if one.text or one.name]


def is_beginning(part: list[Shape], whole: list[Shape]) -> bool:
    """Whether `part` is what there was to see of `whole` at some moment. A call may be told before its arguments are."""
    if len(part) > len(whole):
        return False
    return all(
        (one[0], one[1]) == (other[0], other[1]) and (other[2].startswith(one[2]) or one[2] == "{}")
        for one, other in zip(part, whole, strict=False)
    )
