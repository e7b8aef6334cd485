"""Chat Completions, the wire format every OpenAI-compatible server speaks. The server keeps nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

from tui.client.http import Http, bearer
from tui.client.protocols import list_models, read_events
from tui.client.protocols.fields import Payload, count, plain, rows, table, text
from tui.client.reply import Rejected, Reply, read_error
from tui.client.request import Request
from tui.errors import Refused
from tui.events import Finished, ItemDelta, ItemWhole, ModelNamed, TurnEvent, Used
from tui.model import Item, ItemKind, Usage
from tui.pictures import Picture

headers = bearer
models = list_models


def body(request: Request) -> dict[str, Any]:
    """The JSON to send: everything said so far, each time."""
    messages = [{"role": said.role, "content": _parts(said.text, said.pictures)} for said in request.history]
    if request.profile.system:
        messages.insert(0, {"role": "system", "content": request.profile.system})
    messages.append({"role": "user", "content": _parts(request.prompt, request.pictures)})
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
        self._calls: dict[int | None, tuple[str, str]] = {}
        self._names: dict[str, str] = {}
        self._ended: dict[str, bool] = {}
        self._call_count = 0

    def read(self, payload: Payload) -> Iterator[TurnEvent]:
        if payload.get("error") and not self.over:
            raise Rejected(read_error(payload), in_stream=True)
        yield from self._head(payload)
        for choice in rows(payload.get("choices")):
            if choice.get("index", 0) not in (0, None):
                continue
            delta = table(choice.get("delta"))
            if self.over and not self._goes_on(delta):
                continue
            yield from self._delta(delta)
            finish = text(choice.get("finish_reason"))
            if finish == "error":
                raise Rejected(Reply(0, "the server ended the answer with an error"), in_stream=True)
            if finish:
                self._finish, self.over = finish, True

    def _goes_on(self, delta: Payload) -> bool:
        """Whether an answer that ended in a tool call is taken up again, by a server that runs its tools itself."""
        if self._finish in ("tool_calls", "function_call") and (delta.get("content") or delta.get("tool_calls")):
            self.over, self._finish = False, ""
            self._calls.clear()
        return not self.over

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
        counted = payload.get("usage")
        usage = read_usage(table(counted)) if counted else None
        if usage is not None:
            yield Used(usage)

    def _delta(self, delta: Payload) -> Iterator[TurnEvent]:
        thought = text(delta.get("reasoning_content")) or text(delta.get("reasoning"))
        if thought:
            yield self._piece(ItemKind.REASONING, thought)
        said = _content(delta.get("content"))
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
        """A piece of a tool call."""
        function = table(call.get("function"))
        name, call_id, arguments = text(function.get("name")), text(call.get("id")), function.get("arguments")
        self._last = ItemKind.TOOL_CALL
        key = self._call_key(call.get("index"), call_id, name, plain(arguments).strip())
        if isinstance(arguments, dict):
            yield ItemWhole(Item(key, ItemKind.TOOL_CALL, plain(arguments), name, call_id))
        else:
            yield ItemDelta(key, ItemKind.TOOL_CALL, text(arguments), name, call_id)

    def _call_key(self, index: object, call_id: str, name: str, arguments: str) -> str:
        """The call a piece belongs to: the one at its index, which some servers leave out or give to every call."""
        at = index if isinstance(index, int) else None
        key, known_id = self._calls.get(at, ("", ""))
        if at is None and not call_id and not name and self._call_count:
            return f"call/{self._call_count}"
        begins = call_id != known_id if call_id and known_id else at is None and bool(name) and not call_id
        begins = begins or (not call_id and self._is_another(key, name, arguments))
        if not key or begins:
            self._call_count += 1
            key, known_id = f"call/{self._call_count}", ""
        self._calls[at] = key, known_id or call_id
        self._names[key] = self._names.get(key) or name
        if arguments:
            self._ended[key] = arguments.endswith("}")
        return key

    def _is_another(self, key: str, name: str, arguments: str) -> bool:
        """Whether a piece without an id begins a call, although there is one at its index: it has a name of its own, or
        arguments that begin where those were at their end."""
        known = self._names.get(key, "")
        return bool(name and known) and (name != known or (self._ended.get(key, False) and arguments.startswith("{")))


class InlineReasoning:
    """Finds reasoning that a model writes into its answer between `<think>` and `</think>`, at the very start.

    How the text is cut makes no difference: line ends around the reasoning are dropped, and what may be a tag's
    beginning is held back. Blanks that are held back are not looked at again, however many come.
    """

    OPEN, CLOSE = "<think>", "</think>"

    def __init__(self) -> None:
        self._blanks: list[str] = []
        self._held = ""
        self._state = "start"

    def feed(self, piece: str) -> list[tuple[ItemKind, str]]:
        """What `piece` adds, by kind."""
        self._held += piece
        found: list[tuple[ItemKind, str]] = []
        if self._state == "start":
            start = self._held.lstrip()
            self._blanks.append(self._held[: len(self._held) - len(start)])
            self._held = start
            if start != self.OPEN and self.OPEN.startswith(start):
                return []
            self._state = "opened" if start.startswith(self.OPEN) else "after"
            if self._state == "opened":
                self._held = start.removeprefix(self.OPEN)
                self._blanks.clear()
        if self._state in ("opened", "inside"):
            found += self._reasoning()
        if self._state == "closed":
            self._held = self._held.lstrip("\n")
            self._state = "after" if self._held else "closed"
        if self._state == "after" and (said := self._take()):
            found.append((ItemKind.MESSAGE, said))
        return found

    def flush(self) -> list[tuple[ItemKind, str]]:
        """What was held back at the end."""
        kind = ItemKind.REASONING if self._state in ("opened", "inside") else ItemKind.MESSAGE
        held = self._take().rstrip("\n")
        return [(kind, held)] if held.strip() else []

    def _reasoning(self) -> list[tuple[ItemKind, str]]:
        if self._state == "opened":
            self._held = self._held.lstrip("\n")
        thought, tag, rest = self._held.partition(self.CLOSE)
        if not tag:
            sizes = range(min(len(self.CLOSE) - 1, len(thought)), 0, -1)
            tail = next((size for size in sizes if self.CLOSE.startswith(thought[-size:])), 0)
            thought, rest = thought[: len(thought) - tail], thought[len(thought) - tail :]
        ready = thought.rstrip("\n")
        found = [(ItemKind.REASONING, "".join(self._blanks) + ready)] if ready else []
        if ready:
            self._state = "inside"
            self._blanks.clear()
        self._blanks.append(thought[len(ready) :])
        self._held = rest
        if tag:
            self._state = "closed"
            self._blanks.clear()
        return found

    def _take(self) -> str:
        held = "".join(self._blanks) + self._held
        self._blanks.clear()
        self._held = ""
        return held


def _parts(said: str, pictures: tuple[Picture, ...]) -> str | list[dict[str, Any]]:
    """What is said, as the server takes it: in parts where a picture is among it."""
    if not pictures:
        return said
    shown = [{"type": "image_url", "image_url": {"url": picture.url}} for picture in pictures]
    return [{"type": "text", "text": said}, *shown]


def _content(value: object) -> str:
    """What a message says, which some servers give in parts."""
    return "".join(text(part.get("text")) for part in rows(value)) if isinstance(value, list) else text(value)


def read_usage(usage: Payload) -> Usage | None:
    """Token counts, or None where all are absent or nought."""
    read = Usage(
        count(usage.get("prompt_tokens")),
        count(usage.get("completion_tokens")),
        count(table(usage.get("completion_tokens_details")).get("reasoning_tokens")),
        count(table(usage.get("prompt_tokens_details")).get("cached_tokens")),
    )
    return read if read.input_tokens or read.output_tokens else None
