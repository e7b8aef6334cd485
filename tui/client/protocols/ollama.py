"""Ollama's own API. The server keeps nothing, so everything said goes along each time."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tui.client.http import Http, bearer
from tui.client.protocols import list_models, read_events
from tui.client.protocols.chat_completions import InlineReasoning
from tui.client.protocols.fields import Payload, count, plain, rows, table, text
from tui.client.reply import Rejected, Reply, read_error
from tui.client.request import Request
from tui.config import Profile
from tui.errors import Incomplete, NotAllowed, Refused, TurnError
from tui.events import Finished, ItemDelta, ItemWhole, ModelNamed, TurnEvent, Used
from tui.model import Item, ItemKind, Message, Usage

headers = bearer

_OPTIONS = frozenset(
    "num_keep seed num_predict top_k top_p min_p tfs_z typical_p repeat_last_n temperature repeat_penalty "
    "presence_penalty frequency_penalty mirostat mirostat_tau mirostat_eta penalize_newline stop numa num_ctx num_batch "
    "num_gpu main_gpu low_vram use_mmap use_mlock num_thread".split()
)
"""What the server takes in a table of its own, and ignores beside it."""

_NO_MODEL = re.compile(r"(?i)\bmodel\b.*\bnot found\b")


def body(request: Request) -> dict[str, Any]:
    """The JSON to send. What a model is sampled with may be written in `params` with or without `options` around it."""
    profile = request.profile
    messages = [_message(said) for said in request.history]
    if profile.system:
        messages.insert(0, {"role": "system", "content": profile.system})
    messages.append(_message(Message("user", request.prompt, request.pictures)))
    sent: dict[str, Any] = {"model": profile.model, "messages": messages, "stream": True}
    if profile.option("keep_alive"):
        sent["keep_alive"] = _duration(profile.option("keep_alive"))
    sent |= {name: value for name, value in profile.params.items() if name not in _OPTIONS}
    sampling = {name: value for name, value in profile.params.items() if name in _OPTIONS}
    if sampling:
        sent["options"] = sampling | dict(table(sent.get("options")))
    return sent


def _message(said: Message) -> dict[str, Any]:
    shown = {"images": [picture.base64 for picture in said.pictures]} if said.pictures else {}
    return {"role": said.role, "content": said.text} | shown


def is_stale(reply: Reply, request: Request) -> bool:  # noqa: ARG001 - the contract's shape
    """Never: no id is ever sent."""
    return False


def is_unsupported(reply: Reply) -> bool:  # noqa: ARG001 - the contract's shape
    return False


async def models(http: Http) -> list[str]:
    """The names of the models there are, the newest first."""
    return await list_models(http, _at_root(http, "/api/tags"), among="models", name="name")


async def stream(http: Http, request: Request) -> AsyncGenerator[TurnEvent, None]:
    """One answer, from the first model the server lists where the profile names none."""
    if not request.profile.model:
        names = await models(http)
        if not names:
            raise Refused(f"{http.host} has no models.", hint="get one with: ollama pull NAME")
        request = replace(request, profile=replace(request.profile, model=names[0]))
    events = read_events(
        http,
        _at_root(http, "/api/chat"),
        body(request),
        OllamaReader(http.host),
        accept="application/x-ndjson, application/json",
        lines=True,
    )
    try:
        async with aclosing(events):
            async for event in events:
                yield event
    except Rejected as rejected:
        known = _explain(rejected.reply, http, request.profile)
        if known is None:
            raise
        raise known from None


class OllamaReader:
    """Reads the lines of one answer. The one that is `done` ends it."""

    def __init__(self, host: str = "the server") -> None:
        self.over = False
        self._host = host
        self._named = ""
        self._inline = InlineReasoning()
        self._items = 0
        self._newest: ItemKind | None = None

    def read(self, payload: Payload) -> Iterator[TurnEvent]:
        if self.over:
            return
        if payload.get("error"):
            raise Rejected(read_error(payload), in_stream=True)
        model = text(payload.get("model"))
        if model and model != self._named:
            self._named = model
            yield ModelNamed(model)
        yield from self._message(table(payload.get("message")))
        if payload.get("done") is True:
            yield from self._finished(payload)

    def whole(self, payload: Payload) -> Iterator[TurnEvent]:
        if not isinstance(payload.get("message"), dict):
            raise Refused(f"{self._host} does not speak the ollama protocol here.", hint="check base_url")
        if payload.get("done") is False:
            raise Incomplete("the server stopped before the answer was finished")
        yield from self.read({**payload, "done": True})

    def sentinel(self) -> Iterator[TurnEvent]:
        return iter(())

    def end(self) -> Iterator[TurnEvent]:
        return iter(())

    def _message(self, message: Payload) -> Iterator[TurnEvent]:
        thought = text(message.get("thinking")) or text(message.get("reasoning_content"))
        if thought:
            yield self._piece(ItemKind.REASONING, thought)
        for kind, piece in self._inline.feed(text(message.get("content"))):
            yield self._piece(kind, piece)
        for call in rows(message.get("tool_calls")):
            function = table(call.get("function"))
            name, arguments = text(function.get("name")), plain(function.get("arguments"))
            yield ItemWhole(
                Item(self._key(ItemKind.TOOL_CALL), ItemKind.TOOL_CALL, arguments, name, text(call.get("id")))
            )

    def _finished(self, payload: Payload) -> Iterator[TurnEvent]:
        self.over = True
        for kind, piece in self._inline.flush():
            yield self._piece(kind, piece)
        usage = read_usage(payload)
        if usage is not None:
            yield Used(usage)
        reason = text(payload.get("done_reason"))
        yield Finished("" if reason == "stop" else reason)

    def _piece(self, kind: ItemKind, piece: str) -> ItemDelta:
        """A piece of text; one of another kind than the newest begins a new item."""
        key = self._key(kind) if kind is not self._newest else f"{kind}/{self._items}"
        return ItemDelta(key, kind, piece)

    def _key(self, kind: ItemKind) -> str:
        self._items += 1
        self._newest = kind
        return f"{kind}/{self._items}"


def read_usage(payload: Payload) -> Usage | None:
    """Token counts, or None where all are absent or nought: a prompt the server had in its cache is not counted."""
    read = Usage(count(payload.get("prompt_eval_count")), count(payload.get("eval_count")))
    return read if read.input_tokens or read.output_tokens else None


def _at_root(http: Http, path: str) -> str:
    """`path` from the server's root, where the profile's address is that of one of its APIs."""
    parts = urlsplit(http.profile.base_url)
    root = re.sub(r"/(v1|api)$", "", parts.path)
    return path if root == parts.path else urlunsplit((parts.scheme, parts.netloc, root + path, parts.query, ""))


def _explain(reply: Reply, http: Http, profile: Profile) -> TurnError | None:
    """What only this server's user can be told of a refusal: there are two that a command on that machine puts right."""
    if reply.status == 404 and _NO_MODEL.search(reply.message):
        return Refused(f"{http.host} has no model {profile.model}.", hint=f"ollama pull {profile.model}", status=404)
    if reply.status == 401 and reply.message.strip().lower() == "unauthorized" and not profile.key.where:
        return NotAllowed(
            f"{http.host} is not signed in to run {profile.model}.",
            hint=f"run ollama signin there, or set api_key_env in profile {profile.name}",
            status=401,
        )
    return None


def _duration(said: str) -> str | int | float:
    """How long to keep a model loaded. Without a unit it is seconds, which the server takes as a number only."""
    if re.fullmatch(r"-?\d{1,9}", said):
        return int(said)
    return float(said) if re.fullmatch(r"-?\d{1,9}\.\d{1,9}", said) else said
