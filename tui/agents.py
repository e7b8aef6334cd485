"""`PalaverSession`: a session of Palaver's as the memory of an agent of the OpenAI Agents SDK.

The SDK is not needed to import it: its `Session` is a matter of shape.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from tui import paths
from tui.agent_items import Script
from tui.chat import Chat
from tui.client import Client
from tui.config import GUIDE, Config
from tui.model import HolderKind, check_label
from tui.runner import to_end
from tui.store import Store

__all__ = ["PalaverSession"]


class PalaverSession:
    """What is said under a label, for the `session` argument of the SDK's `Runner`.

    What an agent says is there in Palaver's window and on its command line, as it is said; what was said there, the agent
    is told. Each call opens the history and closes it again, so there is nothing to close, and any event loop may call.
    """

    def __init__(self, label: str, *, session_settings: Any = None, history: str | PathLike[str] | None = None) -> None:
        """The session of `label`, which is made with the first thing said in it.

        `session_settings` are the SDK's own; of them `limit` counts here. `history` is the history's file, where it is not
        the user's own.

        Raises:
            UsageError: The label cannot be one.
        """
        self.session_id = check_label(label)
        self.session_settings = session_settings
        self._history = Path(history) if history is not None else None
        self._script = Script(self.session_id)

    async def get_items(self, limit: int | None = None) -> list[Any]:
        """The newest `limit` items in the order they were said; all, where neither it nor the settings say how many.

        Raises:
            StoreError: The history cannot be read.
        """
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        async with self._chat() as chat:
            return await chat.agent_items.get(self._script, limit)

    async def add_items(self, items: list[Any]) -> None:
        """Say something. It is kept to the last item or not at all, even if the caller is cancelled.

        Raises:
            TypeError, ValueError: An item cannot be written as JSON.
            SessionBusy: A window is answering in this session.
            StoreError: The history cannot be written.
        """
        if items:
            await to_end(self._add(list(items)))

    async def pop_item(self) -> Any:
        """Take back what was said last, and give it; None where there is nothing.

        Raises:
            SessionBusy, StoreError: As for `add_items`.
        """
        return await to_end(self._pop())

    async def clear_session(self) -> None:
        """Begin again. What was said stays in the history, on a branch of its own.

        Raises:
            SessionBusy, StoreError: As for `add_items`.
        """
        await to_end(self._clear())

    async def _add(self, items: list[Any]) -> None:
        async with self._chat() as chat:
            self._script = await chat.agent_items.add(self._script, items)

    async def _pop(self) -> Any:
        async with self._chat() as chat:
            return await chat.agent_items.pop(self._script)

    async def _clear(self) -> None:
        async with self._chat() as chat:
            await chat.agent_items.clear(self._script)
            self._script = replace(self._script, turn_id="")

    @asynccontextmanager
    async def _chat(self) -> AsyncIterator[Chat]:
        """A chat on the history, which no server is asked from.

        Raises:
            StoreError: There is no history to be had.
        """
        store = Store(self._history or paths.find().history_file, kind=HolderKind.AGENTS)
        chat = Chat(store, Client(), Config({GUIDE.name: GUIDE}, GUIDE.name))
        await store.open()
        try:
            await store.require()
            yield chat
        finally:
            await chat.aclose()
            await store.close()
