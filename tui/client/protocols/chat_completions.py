"""Chat Completions, the wire format every OpenAI-compatible server speaks. The server keeps nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

from tui.client.http import Http
from tui.client.protocols import Payload, Traits, count, read_events, rows, table, text
from tui.client.reply import Rejected, Reply, read_error
from tui.client.request import Request
from tui.errors import Refused
from tui.events import Finished, ItemDelta, ItemWhole, ModelNamed, TurnEvent, Used
from tui.model import Item, ItemKind, Usage

TRAITS = Traits(keeps=False)


def body(request: Request) -> dict[str, Any]:
    """The JSON to send: everything said so far, each time."""
    messages = [{"role": said.role, "content": said.text} for said in request.history]
    if request.profile.system:
        messages.insert(0, {"role": "system", "content": request.profile.system})
    messages.append({"role": "user", "content": request.prompt})
    sent = {"model": request.profile.model, "messages": messages, "stream": True}
    return sent | {"stream_options": {"include_usage": True}} | dict(request.profile.params)


def is_stale(reply: Reply, request: Request) -> bool:  # noqa: ARG001 - the contract's shape
    """Never: no id is ever sent."""
    return False


def is_unsupported(reply: Reply) -> bool:  # noqa: ARG001 - the contract's shape
    return False


async def stream(http: Http, request: Request) -> AsyncGenerator[TurnEvent, None]:
    events = read_events(http, "/chat/completions", body(request), ChatReader(http.host))
    async with aclosing(events):
        async for event in events:
            yield event


class ChatReader:
    """Reads the chunks of one completion. The finish reason ends it; usage and `[DONE]` may follow."""

    def __init__(self, host: str = "the server") -> None:
        self.over = False
        self._host = host
        self._finish = ""
        self._named = ""
        self._inline = InlineReasoning()
        self._messages = 0
        self._last: ItemKind | None = None
        self._call_place = ""

    def read(self, payload: Payload) -> Iterator[TurnEvent]:
        if payload.get("error"):
            raise Rejected(read_error(payload), in_stream=True)
        yield from self._head(payload)
        for choice in rows(payload.get("choices")):
            if choice.get("index", 0) not in (0, None):
                continue
            yield from self._delta(table(choice.get("delta")))
            finish = text(choice.get("finish_reason"))
            if finish == "error":
                raise Rejected(Reply(0, "the server ended the answer with an error"), in_stream=True)
            if finish:
                self._finish, self.over = finish, True

    def whole(self, payload: Payload) -> Iterator[TurnEvent]:
        choices = rows(payload.get("choices"))
        if not choices:
            raise Refused(f"{self._host} does not speak the chat protocol here.", hint="check base_url")
        yield from self._head(payload)
        yield from self._delta(table(choices[0].get("message")))
        self._finish = text(choices[0].get("finish_reason")) or "stop"
        yield from self._finished()

    def sentinel(self) -> Iterator[TurnEvent]:
        return self._finished() if self.over else iter(())

    def end(self) -> Iterator[TurnEvent]:
        return self._finished() if self.over else iter(())

    def _finished(self) -> Iterator[TurnEvent]:
        yield from self._text(self._inline.flush())
        if not self._last and self._finish == "content_filter":
            raise Refused(f"{self._host} gave no answer: content_filter.")
        yield Finished("" if self._finish == "stop" else self._finish)

    def _head(self, payload: Payload) -> Iterator[TurnEvent]:
        model = text(payload.get("model"))
        if model and model != self._named:
            self._named = model
            yield ModelNamed(model)
        usage = read_usage(table(payload.get("usage")))
        if usage is not None:
            yield Used(usage)

    def _delta(self, delta: Payload) -> Iterator[TurnEvent]:
        thought = text(delta.get("reasoning_content")) or text(delta.get("reasoning"))
        if thought:
            yield self._piece(ItemKind.REASONING, thought)
        said = text(delta.get("content"))
        if said:
            yield from self._text(self._inline.feed(said))
        refusal = text(delta.get("refusal"))
        if refusal:
            yield ItemDelta("refusal", ItemKind.MESSAGE, refusal, "refusal")
            self._last = ItemKind.MESSAGE
        for call in rows(delta.get("tool_calls")):
            yield from self._call(call)
        if delta.get("function_call"):
            yield from self._call({"index": 0, "function": delta["function_call"]})

    def _text(self, pieces: list[tuple[ItemKind, str]]) -> Iterator[TurnEvent]:
        for kind, piece in pieces:
            yield self._piece(kind, piece)

    def _piece(self, kind: ItemKind, piece: str) -> ItemDelta:
        """A piece of text; one of another kind than the last begins a new item."""
        if kind is not self._last:
            self._messages += 1
            self._last = kind
        return ItemDelta(f"{kind}/{self._messages}", kind, piece)

    def _call(self, call: Payload) -> Iterator[TurnEvent]:
        """A piece of a tool call. Its place is absent where the server counts from a zero it does not say."""
        function = table(call.get("function"))
        call_id = text(call.get("id"))
        place = call.get("index")
        if isinstance(place, int):
            self._call_place = str(place)
        elif call_id:
            self._call_place = call_id
        arguments = function.get("arguments")
        said = arguments if isinstance(arguments, str) else ""
        self._last = ItemKind.TOOL_CALL
        key = f"call/{self._call_place or '0'}"
        if isinstance(arguments, dict):
            import json

            yield ItemWhole(Item(key, ItemKind.TOOL_CALL, json.dumps(arguments), text(function.get("name")), call_id))
            return
        yield ItemDelta(key, ItemKind.TOOL_CALL, said, text(function.get("name")), call_id)


class InlineReasoning:
    """Finds reasoning that a model writes into its answer between `<think>` and `</think>`, at the very start."""

    OPEN, CLOSE = "<think>", "</think>"

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"

    def feed(self, piece: str) -> list[tuple[ItemKind, str]]:
        """What `piece` adds, by kind; text that may be a tag's beginning is held back."""
        if self._state == "after":
            return [(ItemKind.MESSAGE, piece)]
        self._held += piece
        if self._state == "start":
            start = self._held.lstrip()
            if start.startswith(self.OPEN):
                self._state = "inside"
                self._held = start.removeprefix(self.OPEN).lstrip("\n")
            elif self.OPEN.startswith(start):
                return []
            else:
                self._state = "after"
                return [(ItemKind.MESSAGE, self._take())]
        thought, tag, rest = self._held.partition(self.CLOSE)
        if tag:
            self._state, self._held = "after", ""
            answer = rest.lstrip("\n")
            pieces = [(ItemKind.REASONING, thought.rstrip("\n")), (ItemKind.MESSAGE, answer)]
            return [(kind, one) for kind, one in pieces if one]
        keep = next(
            (
                size
                for size in range(min(len(self.CLOSE) - 1, len(thought)), 0, -1)
                if self.CLOSE.startswith(thought[-size:])
            ),
            0,
        )
        self._held = thought[len(thought) - keep :]
        ready = thought[: len(thought) - keep]
        return [(ItemKind.REASONING, ready)] if ready else []

    def flush(self) -> list[tuple[ItemKind, str]]:
        """What was held back at the end."""
        kind = ItemKind.REASONING if self._state == "inside" else ItemKind.MESSAGE
        held = self._take()
        return [(kind, held)] if held.strip() else []

    def _take(self) -> str:
        held, self._held = self._held, ""
        return held


def read_usage(usage: Payload) -> Usage | None:
    """Token counts, or None where all are absent or nought."""
    read = Usage(
        count(usage.get("prompt_tokens")),
        count(usage.get("completion_tokens")),
        count(table(usage.get("completion_tokens_details")).get("reasoning_tokens")),
        count(table(usage.get("prompt_tokens_details")).get("cached_tokens")),
    )
    return read if read.input_tokens or read.output_tokens else None
