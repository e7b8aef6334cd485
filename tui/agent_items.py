"""What scripts of the OpenAI Agents SDK say in sessions: their items, kept exactly and shown as turns."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tui.clock import Clock
from tui.errors import LabelTaken, StoreError
from tui.model import Item, ItemKind, ItemState, Session, new_id
from tui.store import Store
from tui.store.sql.agent_items import AgentItem
from tui.values import dataclass

if TYPE_CHECKING:
    from tui.exchange.thread import Said


@dataclass(frozen=True, slots=True)
class Script:
    """Where a script is in the history: the label it speaks under, the session it found there, and its newest turn."""

    label: str
    session_id: str = ""
    turn_id: str = ""


class AgentItems:
    """Reads and writes the items of scripts. `changed` is told of every session that is new or different."""

    def __init__(self, store: Store, clock: Clock, *, changed: Callable[[Session], None]) -> None:
        self._store = store
        self._clock = clock
        self._changed = changed

    async def get(self, script: Script, limit: int | None = None) -> list[Any]:
        """The newest `limit` items of a script's session (None, or less than 0: all), in the order they were said.

        What was said in it otherwise is told as messages.

        Raises:
            StoreError: They cannot be read.
        """
        session = await self._session(script)
        items = await self._store.agent_items.get(session.id, limit) if session is not None else []
        if self._store.health.is_unreadable:
            raise StoreError(self._store.health.message)
        return items

    async def add(self, script: Script, items: Sequence[Any]) -> Script:
        """Say something in a script's session, which is made if it is not there. Gives where the script is then.

        Raises:
            TypeError, ValueError: An item cannot be written as JSON; none is kept.
            SessionBusy: A window is answering in the session.
            StoreError: They cannot be kept.
        """
        told = [_readable(item) for item in items]
        if not told:
            return script
        session = await self._session(script) or self._new(script.label)
        try:
            session, turn_id = await self._store.agent_items.add(session, told, script.turn_id)
        except LabelTaken:
            # Another process has made it at this very moment: it is that one that is meant.
            session = await self._store.find(script.label) or session
            session, turn_id = await self._store.agent_items.add(session, told, script.turn_id)
        self._changed(session)
        return replace(script, session_id=session.id, turn_id=turn_id)

    async def pop(self, script: Script) -> Any:
        """Take back what was said last, and give it; None where there is nothing.

        What Palaver itself wrote is kept, on a branch of its own.

        Raises:
            SessionBusy, StoreError: As for `add`.
        """
        session = await self._session(script)
        if session is None:
            return None
        item = await self._store.agent_items.pop(session.id)
        await self._tell(session)
        return item

    async def clear(self, script: Script) -> None:
        """Let a script's session begin again; what was said in it stays, on a branch of its own.

        Raises:
            SessionBusy, StoreError: As for `add`.
        """
        session = await self._session(script)
        if session is not None:
            await self._store.agent_items.clear(session.id)
            await self._tell(session)

    async def _session(self, script: Script) -> Session | None:
        """The session a script found, under whatever label it goes now; else the one of its label."""
        known = await self._store.session(script.session_id) if script.session_id else None
        if known is not None and known.deleted_at is None:
            return known
        return await self._store.find(script.label)

    def _new(self, label: str) -> Session:
        return Session(new_id(), label, created_at=self._clock.now())

    async def _tell(self, session: Session) -> None:
        now = await self._store.session(session.id)
        if now is not None:
            self._changed(now)


def _readable(item: Any) -> AgentItem:
    """An item as it is kept: its JSON, and what people read of it."""
    from tui.exchange.agents_sdk import said_in
    from tui.exchange.fields import table, words

    original = json.dumps(item, separators=(",", ":"))
    fields = table(item)
    said = list(said_in(fields, None, aside=""))
    if fields.get("role") == "user":
        return AgentItem(original, prompt=said[0].text)
    return AgentItem(original, parts=tuple(map(_part, said)) or (_nothing_read(fields, words(item)),))


def _part(said: Said) -> Item:
    kind, name = said.kind, said.name
    if kind is ItemKind.MESSAGE and said.role != "assistant":
        kind, name = ItemKind.NOTICE, name or said.role
    state = ItemState.FAILED if said.failed else ItemState.NONE
    return Item("", kind, said.text, name, said.call_id, state)


def _nothing_read(fields: dict[str, Any], whole: str) -> Item:
    if fields.get("type") == "reasoning":
        return Item("", ItemKind.REASONING)
    if fields.get("role") == "assistant":
        return Item("", ItemKind.MESSAGE)
    return Item("", ItemKind.NOTICE, whole)
