"""What the tests of several servers do alike: ask one, and look at what it was sent and what it made of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tests.chatting import Chatting
from tests.client.turns import Told, take
from tests.fake_server import Waits
from tests.servers.base import Asked, Running
from tui.client import Client
from tui.config import Profile
from tui.model import Session


class Ask(Protocol):
    async def __call__(
        self,
        server: Running,
        prompt: str,
        *,
        profile: Profile | None = None,
        waits: Waits | None = None,
        **request: Any,
    ) -> Told:
        """One turn with this server, to its end; under the server's own profile unless another one is given."""
        ...


def asks(profile_of: Callable[[Running], Profile]) -> Ask:
    """How to ask the servers of which this makes profiles."""

    async def ask(
        server: Running,
        prompt: str,
        *,
        profile: Profile | None = None,
        waits: Waits | None = None,
        **request: Any,
    ) -> Told:
        return await take(Client(sleep=waits or Waits()), profile or profile_of(server), prompt, **request)

    return ask


def said(asked: Asked) -> list[tuple[str, str]]:
    """The messages that went along in a request, as who and what."""
    return [(one["role"], one["content"]) for one in asked.json["messages"]]


def text_of(prompt: str, known: int = 1) -> str:
    """What a stand-in answers to a prompt, when it knows of so many."""
    return f"{known} prompt{'s' if known > 1 else ''} so far. You said: {prompt}"


async def mapped(t: Chatting, session: Session) -> str:
    """The conversation a session has at its server; empty where it has none."""
    mapping = await t.chat.conversations.mapping(session)
    return mapping.conversation_id if mapping else ""
