"""The frames of an agent server's turn: the Responses API's events, of several responses that follow one another.

What tells items apart there is relied on less: numbers and places start again with every response, and ids are often the
same constant for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from tui.client.protocols.fields import Payload, rows, table, text
from tui.client.protocols.ids import check_id
from tui.client.protocols.response_events import NO_ID, NotDone, ResponsesReader
from tui.client.reply import Rejected, Reply, read_error
from tui.errors import Refused
from tui.events import ConversationIssued, Finished, ItemDelta, ItemWhole, Noted, RunNamed, TurnEvent
from tui.model import Item, ItemState

RESTARTED = "The server began anew where it had broken off; what it had not finished saying is left out."

_RUN = re.compile(r"resp_[0-9a-f]{24}")  # as the server makes them, which no model's own responses are called
_STATUS = re.compile(r"([45]\d\d): ")

_Told = tuple[int, ItemDelta | ItemWhole]


class AgentServerReader(ResponsesReader):
    """Reads the frames of one turn in the conversation `session`. `[DONE]` alone ends it.

    With `runs` it is a run in the background, which is named together with its conversation: the server never tells which
    one that is. `run` is its name at the server, where that is known.
    """

    def __init__(self, host: str = "the server", session: str = "", *, runs: bool = False, run: str = "") -> None:
        super().__init__(host, session, runs=runs, run=run)
        self.session = session
        self.has_begun = False
        """Whether anything came but a failure."""

        self._reason = ""
        self._told: dict[str, list[_Told]] = {}

    def read(self, payload: Payload) -> Iterator[TurnEvent]:
        named = text(payload.get("response_id"))
        number = payload.get("sequence_number")
        if self.runs and named:
            if not self.run:
                yield self._name(named)
            if isinstance(number, int) and number <= self.last_number:
                return
        self._adopt(payload)
        if not payload.get("type") and payload.get("error") is not None:
            raise Rejected(_failure(payload), in_stream=True)
        self.has_begun = self.has_begun or payload.get("type") != "error"
        if payload.get("type") == "response.resumed":
            yield from self._resumed(payload)
            return
        for event in super().read(_without_fake_ids(payload)):
            yield self._noted(event)

    def whole(self, payload: Payload) -> Iterator[TurnEvent]:
        status = text(payload.get("status"))
        self.is_queued = False
        if self.runs and status in ("queued", "in_progress"):
            yield from self._named(payload)
            raise NotDone
        if status != "failed" and not isinstance(payload.get("output"), list):
            raise Refused(f"{self._host} does not speak the agent-server protocol here.", hint="check base_url")
        yield from self._completed(_without_fake_ids({"response": payload})["response"], "response.completed")
        self._adopt(payload)
        yield from self.sentinel()

    def sentinel(self) -> Iterator[TurnEvent]:
        if self.session:
            yield ConversationIssued(self.session)
        if self.run:
            yield RunNamed("")
        self.over = True
        yield Finished(self._reason)

    def end(self) -> Iterator[TurnEvent]:
        return iter(())

    def _adopt(self, payload: Payload) -> None:
        """Go on in the conversation that the server says this is, where it says so."""
        said = table(payload.get("custom_outputs")).get("session_id")
        if said:
            self.session = check_id(said, self._host)

    def _run_of(self, response: Payload) -> str:
        name = text(response.get("id"))
        return name if not self.run and _RUN.fullmatch(name) else ""

    def _name(self, run: str) -> TurnEvent:
        super()._name(run)
        return RunNamed(f"{self.run} {self.session}")

    def _is_repeat(self, payload: Payload) -> bool:  # noqa: ARG002 - the shape of what it replaces
        return False

    def _completed(self, response: Payload, kind: str) -> Iterator[TurnEvent]:
        now = list(self._now)
        self._reason = yield from self._closed(response, kind)
        self._parts.update((key, "whole", None) for key in now)

    def _noted(self, event: TurnEvent) -> TurnEvent:
        """`event` as it is told, remembered with its number where it may have to be taken back."""
        if isinstance(event, ItemWhole) and event.item.state is ItemState.OPEN:
            # The user's word to it is the next message: there is no call to give it by.
            event = ItemWhole(replace(event.item, state=ItemState.NONE))
        if self.runs and isinstance(event, ItemDelta | ItemWhole):
            key = event.key if isinstance(event, ItemDelta) else event.item.key
            self._told.setdefault(key, []).append((self.last_number, event))
        return event

    def _resumed(self, payload: Payload) -> Iterator[TurnEvent]:
        """The run began again elsewhere, in another conversation.

        What it said from a number on is void; where that number is the event's own, what it had begun and not finished is.
        """
        number, since = payload.get("sequence_number"), payload.get("from_seq")
        here = number if isinstance(number, int) else self.last_number + 1
        since = since if isinstance(since, int) else here
        dropped = False
        for key, told in list(self._told.items()):
            kept = [(at, event) for at, event in told if at < since]
            if since >= here and (key, "whole", None) not in self._parts:
                kept = []
            if len(kept) < len(told):
                dropped = True
                yield ItemWhole(_added_up(Item(key, self._seen[key]), kept))
                self._forget(key, kept)
        self.last_number = here
        self._responses += 1
        self._now.clear()
        self._open.clear()
        if payload.get("conversation_id"):
            self.session = check_id(payload["conversation_id"], self._host)
        if dropped:
            yield Noted(RESTARTED)

    def _forget(self, key: str, kept: list[_Told]) -> None:
        """Take back what was told of an item, but for `kept`."""
        self._parts = {part for part in self._parts if part[0] != key}
        self._part.pop(key, None)
        if kept:
            self._told[key] = kept
        else:
            del self._told[key]
            self._seen.pop(key, None)


def as_meant(reply: Reply, *, in_stream: bool) -> Reply:
    """`reply` with the status that its agent raised, which is told in words: the server's own is always 500."""
    said = _STATUS.match(reply.message)
    if said and reply.status in (0, 500):
        return replace(reply, status=int(said[1]), message=reply.message[said.end() :])
    return replace(reply, status=500) if in_stream and not reply.status else reply


def _failure(payload: Payload) -> Reply:
    reply = read_error(dict(payload))
    return reply if reply.message or reply.code else replace(reply, message="the agent failed without a word")


def _added_up(item: Item, told: list[_Told]) -> Item:
    """What becomes of an item that was opened as `item`."""
    for _, event in told:
        if isinstance(event, ItemWhole):
            item = event.item
        else:
            name, call_id = item.name or event.name, item.call_id or event.call_id
            item = replace(item, text=item.text + event.text, name=name, call_id=call_id)
    return item


def _without_fake_ids(payload: Payload) -> Payload:
    """A payload without the constant that stands where there is no id."""
    changed = dict(payload)
    if payload.get("item_id") == NO_ID:
        del changed["item_id"]
    if table(payload.get("item")).get("id") == NO_ID:
        changed["item"] = {**payload["item"], "id": ""}
    output = table(payload.get("response")).get("output")
    if any(item.get("id") == NO_ID for item in rows(output)):
        without = [{**item, "id": ""} if item.get("id") == NO_ID else item for item in rows(output)]
        changed["response"] = {**payload["response"], "output": without}
    return changed
