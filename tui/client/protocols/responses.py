"""The OpenAI Responses API, as the many servers that offer it really speak it.

Events are told apart by their `type` alone, and only `type` and `delta` are relied on: servers leave out the SSE event
name, indices, sequence numbers, `.added` and `.done` in every combination (recordings of four servers).
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from tui.client.http import Http
from tui.client.protocols import Payload, Traits, count, read_events, rows, table, text
from tui.client.reply import Rejected, Reply, read_error
from tui.client.request import Request
from tui.errors import Refused
from tui.events import ConversationIssued, Finished, ItemDelta, ItemWhole, ModelNamed, TurnEvent, Used
from tui.model import Item, ItemKind, Message, Usage

TRAITS = Traits(keeps=True, id_names_point=True)

_ID_LIMIT = 4096
_STALE_WORDS = re.compile(
    r"(?i)previous_response|conversation\b.*\b(not found|not exist|expired|unknown|must match format)"
    r"|no conversation found|(response|session|thread)\b.*\b(not found|no longer)"
)
_UNSUPPORTED = re.compile(r"(?i)(not support|unsupported|unknown|unrecognized|extra)\b.*(previous_response_id|conversation)"
                          r"|(previous_response_id|conversation)\b.*\b(not supported|unsupported|extra)")  # fmt: skip
_OTHER_TROUBLE = re.compile(r"(?i)conversation_locked|another process|mutually_exclusive|both|item with id|tool output")
_OTHER_THING = re.compile(r"(?i)\bmodel\b|\bendpoint\b|\broute\b|\burl\b|\bpath\b|\bfile\b|\bvector store\b")

_REASONING = "response.reasoning"
_CALLS = {
    "function_call": "arguments",
    "custom_tool_call": "input",
    "mcp_call": "arguments",
    "code_interpreter_call": "code",
    "shell_call": "command",
    "local_shell_call": "command",
}
_CALL_DELTAS = {
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
    "response.mcp_call_arguments.delta",
    "response.code_interpreter_call_code.delta",
    "response.shell_call_command.delta",
}


def path() -> str:
    return "/responses"


def body(request: Request) -> dict[str, Any]:
    """The JSON to send. `instructions` go along every time: a server does not carry them over."""
    profile = request.profile
    sent: dict[str, Any] = {"model": profile.model, "input": [*map(_message, request.history)], "stream": True}
    sent["input"].append({"role": "user", "content": request.prompt})
    if profile.system:
        sent["instructions"] = profile.system
    if request.conversation_id:
        name = "conversation" if profile.continue_by == "conversation" else "previous_response_id"
        sent[name] = request.conversation_id
    return sent | dict(profile.params)


def is_stale(reply: Reply, request: Request) -> bool:
    """Whether the id `request` carried is one the server does not know."""
    if not request.conversation_id or reply.status in (401, 403, 409, 429) or reply.form in ("html", "empty"):
        return False
    if reply.code == "previous_response_not_found":
        return True
    if _OTHER_TROUBLE.search(reply.text):
        return False
    if request.conversation_id in reply.message or reply.param in ("previous_response_id", "conversation"):
        return reply.status in (0, 400, 404, 410, 422)
    if reply.status in (0, 400, 404, 410, 422) and _STALE_WORDS.search(reply.text):
        return True
    if reply.status == 404 and reply.param == "response_id":
        return True
    return is_unsupported(reply) and not _OTHER_THING.search(reply.text)


def is_unsupported(reply: Reply) -> bool:
    """Whether the server keeps no responses at all, and says so."""
    return reply.status in (0, 400, 404, 422, 501) and _UNSUPPORTED.search(reply.text) is not None


async def stream(http: Http, request: Request) -> AsyncGenerator[TurnEvent, None]:
    """One answer. With `continue_by = "conversation"` the first turn makes the conversation before it speaks in it."""
    issued = request.conversation_id
    by_conversation = request.profile.continue_by == "conversation"
    if by_conversation and not issued:
        made = await http.call("POST", "/conversations", {})
        issued = check_id(table(made).get("id"), http.host)
    sent = body(request)
    if by_conversation:
        sent["conversation"] = issued
    elif request.profile.continue_by == "nothing":
        sent["store"] = False
    reader = ResponsesReader(http.host, issued if by_conversation else "", request.profile.continue_by != "nothing")
    events = read_events(http, path(), sent, reader)
    async with aclosing(events):
        async for event in events:
            yield event


def check_id(value: object, host: str) -> str:
    """A conversation id that may be kept and sent again.

    Raises:
        Refused: It is empty, huge, or holds what has no place in a header or an address.
    """
    if not isinstance(value, str) or not value or len(value) > _ID_LIMIT or re.search(r"[\x00-\x20\x7f-\x9f]", value):
        shown = quote(str(value)[:40])
        raise Refused(f"{host} issued a conversation id that cannot be used: “{shown}”.")
    return value


class ResponsesReader:
    """Reads the events of one response. `conversation_id` is set where the conversation has an id of its own."""

    def __init__(self, host: str = "the server", conversation_id: str = "", keeps: bool = True) -> None:
        self.over = False
        self._host = host
        self._conversation_id = conversation_id
        self._keeps = keeps
        self._seen: dict[str, ItemKind] = {}
        self._part: dict[str, tuple[str, object]] = {}
        self._numbers: set[int] = set()

    def read(self, payload: Payload) -> Iterator[TurnEvent]:
        kind = text(payload.get("type"))
        match kind:
            case "response.output_text.delta" | "response.refusal.delta":
                yield from self._message_delta(payload, refusal="refusal" in kind)
            case "response.output_text.done" | "response.refusal.done":
                yield from self._message_done(payload, refusal="refusal" in kind)
            case "response.output_item.added":
                yield from self._item(table(payload.get("item")), payload, whole=False)
            case "response.output_item.done":
                yield from self._item(table(payload.get("item")), payload, whole=True)
            case "response.created" | "response.in_progress" | "response.queued":
                if kind == "response.created":
                    self._numbers.clear()
                yield from self._named(table(payload.get("response")))
            case "response.completed" | "response.incomplete" | "response.done":
                yield from self._completed(table(payload.get("response")), kind)
            case "response.failed":
                raise Rejected(read_error({"error": table(payload.get("response")).get("error") or {}}), in_stream=True)
            case "error":
                raise Rejected(read_error(_error_of(payload)), in_stream=True)
            case _ if kind.startswith(_REASONING) and kind.endswith(".delta"):
                yield from self._reasoning_delta(payload, kind)
            case _ if kind in _CALL_DELTAS:
                yield from self._call_delta(payload)
            case "" if payload.get("error"):
                raise Rejected(read_error(payload), in_stream=True)
            case _:
                return

    def whole(self, payload: Payload) -> Iterator[TurnEvent]:
        status = text(payload.get("status"))
        if not isinstance(payload.get("output"), list):
            raise Refused(f"{self._host} does not speak the responses protocol here.", hint="check base_url")
        if status == "failed":
            raise Rejected(read_error({"error": payload.get("error") or {}}), in_stream=True)
        yield from self._completed(payload, "response.incomplete" if status == "incomplete" else "response.completed")

    def sentinel(self) -> Iterator[TurnEvent]:
        return iter(())

    def end(self) -> Iterator[TurnEvent]:
        return iter(())

    def _named(self, response: Payload) -> Iterator[TurnEvent]:
        model = text(response.get("model"))
        if model:
            yield ModelNamed(model)

    def _key(self, payload: Payload, kind: ItemKind) -> str:
        """The item an event belongs to: by its id, else its place, else the newest item of its kind."""
        item_id = text(payload.get("item_id"))
        if item_id in self._seen and self._seen[item_id] is not kind:
            item_id = f"{item_id}/{kind}"
        if item_id:
            return item_id
        place = payload.get("output_index")
        if isinstance(place, int):
            return f"#{place}/{kind}"
        for key in reversed(self._seen):
            if self._seen[key] is kind:
                return key
        return f"#/{kind}"

    def _is_repeat(self, payload: Payload) -> bool:
        """Whether this very delta came before, by its sequence number: a broken proxy may send one twice.

        Servers that give every event the same number do not count, and are not believed.
        """
        number = payload.get("sequence_number")
        if not isinstance(number, int):
            return False
        known = number in self._numbers and len(self._numbers) > 1
        self._numbers.add(number)
        return known

    def _message_delta(self, payload: Payload, *, refusal: bool) -> Iterator[TurnEvent]:
        if self._is_repeat(payload):
            return
        key = self._key(payload, ItemKind.MESSAGE)
        self._seen.setdefault(key, ItemKind.MESSAGE)
        piece = text(payload.get("delta"))
        piece = self._separated(key, "content", payload.get("content_index"), piece)
        yield ItemDelta(key, ItemKind.MESSAGE, piece, "refusal" if refusal else "")

    def _message_done(self, payload: Payload, *, refusal: bool) -> Iterator[TurnEvent]:
        """A part in full: used only where its deltas never came."""
        key = self._key(payload, ItemKind.MESSAGE)
        if key in self._seen and key in self._part:
            return
        whole = text(payload.get("refusal" if refusal else "text"))
        if whole:
            yield from self._message_delta({**payload, "delta": whole}, refusal=refusal)

    def _separated(self, key: str, part: str, index: object, piece: str) -> str:
        """`piece`, with an empty line before it where another part of the same item begins."""
        now = (part, index)
        before = self._part.get(key)
        self._part[key] = now
        return f"\n\n{piece}" if before is not None and before != now and piece else piece

    def _reasoning_delta(self, payload: Payload, kind: str) -> Iterator[TurnEvent]:
        if self._is_repeat(payload):
            return
        key = self._key(payload, ItemKind.REASONING)
        self._seen.setdefault(key, ItemKind.REASONING)
        index = payload.get("summary_index", payload.get("content_index"))
        piece = self._separated(key, "summary" if "summary" in kind else "text", index, text(payload.get("delta")))
        yield ItemDelta(key, ItemKind.REASONING, piece)

    def _call_delta(self, payload: Payload) -> Iterator[TurnEvent]:
        if self._is_repeat(payload):
            return
        key = self._key(payload, ItemKind.TOOL_CALL)
        self._seen.setdefault(key, ItemKind.TOOL_CALL)
        yield ItemDelta(key, ItemKind.TOOL_CALL, text(payload.get("delta")))

    def _item(self, item: Payload, payload: Payload, *, whole: bool) -> Iterator[TurnEvent]:
        for read in read_item(item, payload.get("output_index")):
            key = read.key
            known = key in self._seen
            self._seen[key] = read.kind
            if whole:
                self._part.setdefault(key, ("whole", None))
                if read.text or read.name or not known:
                    yield ItemWhole(read)
            elif not known:
                yield ItemDelta(key, read.kind, read.text, read.name, read.call_id)

    def _completed(self, response: Payload, kind: str) -> Iterator[TurnEvent]:
        yield from self._named(response)
        status = text(response.get("status"))
        if status in ("failed", "cancelled"):
            error = response.get("error") or {"message": f"the response is {status}"}
            raise Rejected(read_error({"error": error}), in_stream=True)
        yield from self._final_items(response)
        usage = read_usage(table(response.get("usage")))
        if usage is not None:
            yield Used(usage)
        if self._keeps:
            yield ConversationIssued(self._conversation_id or check_id(response.get("id"), self._host))
        reason = text(table(response.get("incomplete_details")).get("reason"))
        if kind == "response.incomplete" or status == "incomplete":
            reason = reason or "incomplete"
            if not self._seen:
                raise Refused(f"{self._host} gave no answer: {reason}.")
        self.over = True
        yield Finished(reason)

    def _final_items(self, response: Payload) -> Iterator[TurnEvent]:
        """The response's own list of what it said, which is the truth where the events said otherwise.

        Ids in it may be new ones: items are matched by id, else by their order among those of their kind.
        """
        taken: set[str] = set()
        for place, item in enumerate(rows(response.get("output"))):
            for read in read_item(item, place):
                key = read.key if read.key in self._seen else self._match(read.kind, taken)
                taken.add(key or read.key)
                if key is not None and not read.text:
                    continue
                self._seen.setdefault(key or read.key, read.kind)
                yield ItemWhole(Item(key or read.key, read.kind, read.text, read.name, read.call_id))

    def _match(self, kind: ItemKind, taken: set[str]) -> str | None:
        return next((key for key, seen in self._seen.items() if seen is kind and key not in taken), None)


def read_item(item: Payload, place: object = None) -> Iterator[Item]:
    """The items an output item of any type amounts to: most are one, a tool's call and result may come as one."""
    kind = text(item.get("type"))
    own_id = text(item.get("id"))

    def key(as_kind: ItemKind) -> str:
        return own_id or f"#{place if isinstance(place, int) else ''}/{as_kind}"

    match kind:
        case "message":
            if item.get("role") not in (None, "assistant"):
                return
            parts = rows(item.get("content"))
            said = [text(part.get("text")) or text(part.get("refusal")) for part in parts]
            refusal = any(part.get("refusal") for part in parts)
            yield Item(key(ItemKind.MESSAGE), ItemKind.MESSAGE, _joined(said), "refusal" if refusal else "")
        case "reasoning":
            said = [text(part.get("text")) for part in rows(item.get("summary")) + rows(item.get("content"))]
            yield Item(key(ItemKind.REASONING), ItemKind.REASONING, _joined(said))
        case "mcp_approval_request":
            name = _tool_name(item)
            yield Item(key(ItemKind.APPROVAL), ItemKind.APPROVAL, _plain(item.get("arguments")), name, own_id)
        case _ if kind in _CALLS:
            call_id = text(item.get("call_id")) or own_id
            said_with = item.get(
                _CALLS[kind], table(item.get("action")).get("command", table(item.get("action")).get("commands"))
            )
            yield Item(key(ItemKind.TOOL_CALL), ItemKind.TOOL_CALL, _plain(said_with), _tool_name(item), call_id)
            result = item.get("output") or item.get("error") or item.get("outputs")
            if result:
                yield Item(f"{key(ItemKind.TOOL_CALL)}/result", ItemKind.TOOL_RESULT, _plain(result), "", call_id)
        case _ if kind.endswith("_output"):
            call_id = text(item.get("call_id"))
            result_key = own_id or f"{call_id}/result"
            yield Item(result_key, ItemKind.TOOL_RESULT, _plain(item.get("output")), "", call_id)
        case _ if kind.endswith("_call"):
            query = table(item.get("action")).get("query") or item.get("queries") or ""
            yield Item(key(ItemKind.TOOL_CALL), ItemKind.TOOL_CALL, _plain(query), kind.removesuffix("_call"), own_id)
        case "compaction":
            yield Item(key(ItemKind.NOTICE), ItemKind.NOTICE, "The server shortened the conversation.")
        case "mcp_list_tools" | "":
            return
        case _:
            kept = {name: value for name, value in item.items() if name not in ("id", "type", "status")}
            yield Item(key(ItemKind.NOTICE), ItemKind.NOTICE, _plain(kept) if kept else "", kind)


def read_usage(usage: Payload) -> Usage | None:
    """Token counts, or None where all are absent or the server only pretends to count."""
    read = Usage(
        count(usage.get("input_tokens")),
        count(usage.get("output_tokens")),
        count(table(usage.get("output_tokens_details")).get("reasoning_tokens")),
        count(table(usage.get("input_tokens_details")).get("cached_tokens")),
    )
    return read if read.input_tokens or read.output_tokens else None


def _message(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.text}


def _error_of(payload: Payload) -> dict[str, Any]:
    """An `error` event's error, which is flat in the API and nested in some servers."""
    inner = payload.get("error")
    if isinstance(inner, dict | str):
        return dict(payload)
    return {"error": dict(payload) | {"type": ""}}


def _tool_name(item: Payload) -> str:
    name = text(item.get("name")) or text(item.get("type")).removesuffix("_call")
    server = text(item.get("server_label"))
    return f"{server}.{name}" if server else name


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _joined(parts: list[str]) -> str:
    return "\n\n".join(part for part in parts if part)
