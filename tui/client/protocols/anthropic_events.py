"""The events of the Anthropic Messages API, read into items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tui.client.protocols.anthropic_results import read_result
from tui.client.protocols.fields import Payload, count, plain, rows, table, text
from tui.client.reply import Rejected, Reply, read_error
from tui.errors import Refused
from tui.events import Finished, ItemDelta, ItemWhole, ModelNamed, TurnEvent, Used
from tui.model import Item, ItemKind, Usage
from tui.values import dataclass

HIDDEN = "The server does not show this part of the reasoning."

_NORMAL = ("", "end_turn", "stop_sequence")
_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_DELTAS = {
    "text_delta": (ItemKind.MESSAGE, "text"),
    "thinking_delta": (ItemKind.REASONING, "thinking"),
    "input_json_delta": (ItemKind.TOOL_CALL, "partial_json"),
}
_OPAQUE = ("type", "id", "index", "signature", "encrypted_content", "cache_control")


@dataclass(slots=True)
class _Block:
    """A content block that is open: the item it goes to, and what its start said of it."""

    key: str
    kind: ItemKind
    name: str = ""
    call_id: str = ""
    input: object = None
    came: bool = False


class AnthropicReader:
    """Reads the events of one message. The stop reason ends it; `message_stop` follows."""

    def __init__(self, host: str = "the server") -> None:
        self.over = False
        self._host = host
        self._finish = ""
        self._why = ""
        self._named = ""
        self._blocks: dict[int | None, _Block] = {}
        self._keys: set[str] = set()
        self._newest: tuple[ItemKind, str] | None = None
        self._counts: dict[str, int] = {}
        self._shown = False

    def read(self, payload: Payload) -> Iterator[TurnEvent]:
        kind = text(payload.get("type"))
        if kind == "error" or (not kind and (payload.get("error") or "detail" in payload)):
            if not self.over:
                raise Rejected(_error(payload), in_stream=True)
        elif kind == "message_start":
            yield from self._head(table(payload.get("message")))
        elif kind == "message_delta":
            yield from self._tail(table(payload.get("delta")), table(payload.get("usage")))
        elif kind == "message_stop":
            yield from self._finished()
        elif kind.startswith("content_block_") and not self.over:
            yield from self._content(kind, payload)

    def whole(self, payload: Payload) -> Iterator[TurnEvent]:
        content = payload.get("content")
        if not isinstance(content, list | str):
            raise Refused(f"{self._host} does not speak the anthropic protocol here.", hint="check base_url")
        yield from self._head(payload)
        blocks = rows(content) if isinstance(content, list) else [{"type": "text", "text": content}]
        for index, block in enumerate(blocks):
            yield from self._open(index, block)
            yield from self._close(index)
        yield from self._tail(payload, {})
        yield from self._finished()

    def sentinel(self) -> Iterator[TurnEvent]:
        return self._finished() if self.over else iter(())

    def end(self) -> Iterator[TurnEvent]:
        return self._finished() if self.over else iter(())

    def _head(self, message: Payload) -> Iterator[TurnEvent]:
        model = text(message.get("model"))
        if model and model != self._named:
            self._named = model
            yield ModelNamed(model)
        yield from self._used(table(message.get("usage")))

    def _tail(self, said: Payload, usage: Payload) -> Iterator[TurnEvent]:
        """Why the message ends, where that is said, with the tokens of all of it."""
        yield from self._used(usage)
        reason = text(said.get("stop_reason"))
        if reason:
            self._finish, self.over = reason, True
            self._why = text(table(said.get("stop_details")).get("explanation"))

    def _finished(self) -> Iterator[TurnEvent]:
        for index in list(self._blocks):
            yield from self._close(index)
        if self._finish == "refusal":
            if not self._shown:
                why = f"the model refused to answer{f': {self._why}' if self._why else ''}"
                raise Rejected(Reply(0, why, type="refusal", form="json"), in_stream=True)
            if self._why:
                yield ItemWhole(Item(self._key(ItemKind.NOTICE), ItemKind.NOTICE, self._why, "refusal"))
        yield Finished("" if self._finish in _NORMAL else self._finish)

    def _used(self, usage: Payload) -> Iterator[TurnEvent]:
        """Tokens so far: each count told replaces the one before, and one not told stays."""
        told = {name: count(usage.get(name)) for name in _COUNTS}
        told["thinking_tokens"] = count(table(usage.get("output_tokens_details")).get("thinking_tokens"))
        new = {name: value for name, value in told.items() if value is not None}
        if not new.items() <= self._counts.items():
            self._counts |= new
            read = read_usage(self._counts)
            if read is not None:
                yield Used(read)

    def _content(self, kind: str, payload: Payload) -> Iterator[TurnEvent]:
        index = payload.get("index")
        at = index if isinstance(index, int) else None
        match kind:
            case "content_block_start":
                yield from self._open(at, table(payload.get("content_block")))
            case "content_block_delta":
                yield from self._delta(at, table(payload.get("delta")))
            case "content_block_stop":
                yield from self._close(at)

    def _open(self, at: int | None, block: Payload) -> Iterator[TurnEvent]:
        yield from self._close(at)
        kind = text(block.get("type"))
        match kind:
            case "text":
                yield from self._begin(at, ItemKind.MESSAGE, text(block.get("text")))
            case "thinking":
                yield from self._begin(at, ItemKind.REASONING, text(block.get("thinking")))
            case "redacted_thinking":
                yield self._whole(ItemKind.REASONING, HIDDEN)
            case "compaction":
                yield self._whole(ItemKind.NOTICE, "The server shortened the conversation.")
            case _ if kind.endswith("tool_use"):
                yield from self._begin_call(at, block)
            case _ if kind.endswith("tool_result"):
                self._shown = True
                yield ItemWhole(read_result(self._key(ItemKind.TOOL_RESULT), block))
            case "":
                return
            case _:
                kept = {name: value for name, value in block.items() if name not in _OPAQUE}
                yield self._whole(ItemKind.NOTICE, plain(kept) if kept else "", kind)

    def _begin(self, at: int | None, kind: ItemKind, said: str) -> Iterator[TurnEvent]:
        block = self._blocks[at] = _Block(self._key(kind), kind)
        if said:
            yield self._piece(block, said)

    def _begin_call(self, at: int | None, block: Payload) -> Iterator[TurnEvent]:
        call_id, name, server = text(block.get("id")), text(block.get("name")), text(block.get("server_name"))
        key = self._key(ItemKind.TOOL_CALL, call_id)
        name = f"{server}.{name}" if server else name
        self._blocks[at] = _Block(key, ItemKind.TOOL_CALL, name, call_id, block.get("input"))
        self._shown = True
        yield ItemDelta(key, ItemKind.TOOL_CALL, "", name, call_id)

    def _delta(self, at: int | None, delta: Payload) -> Iterator[TurnEvent]:
        """A piece of a block; one that was never opened, or as something else, is opened by it."""
        kind, field = _DELTAS.get(text(delta.get("type")), (None, ""))
        piece = text(delta.get(field))
        if kind is None or not piece:
            return
        block = self._block(at)
        if block is None or block.kind is not kind:
            block = self._blocks[at] = _Block(self._key(kind), kind)
        yield self._piece(block, piece)

    def _block(self, at: int | None) -> _Block | None:
        """The block at an index; the newest where a server tells none."""
        return next(reversed(self._blocks.values()), None) if at is None else self._blocks.get(at)

    def _close(self, at: int | None) -> Iterator[TurnEvent]:
        """The end of a block. A call whose arguments did not stream has those its start told, often none."""
        block = self._blocks.pop(at, None)
        if block is not None and block.kind is ItemKind.TOOL_CALL and not block.came:
            yield ItemWhole(Item(block.key, block.kind, plain(block.input or {}), block.name, block.call_id))

    def _piece(self, block: _Block, piece: str) -> ItemDelta:
        block.came = self._shown = True
        return ItemDelta(block.key, block.kind, piece, block.name, block.call_id)

    def _whole(self, kind: ItemKind, said: str, name: str = "") -> ItemWhole:
        self._shown = True
        return ItemWhole(Item(self._key(kind), kind, said, name))

    def _key(self, kind: ItemKind, own: str = "") -> str:
        """The key of an item that begins. Text that follows text goes on in the same one: citations cut it up."""
        if kind is ItemKind.MESSAGE and self._newest is not None and self._newest[0] is kind:
            return self._newest[1]
        is_free = own and own not in self._keys and "/" not in own
        key = own if is_free else f"{kind}/{len(self._keys) + 1}"
        self._keys.add(key)
        self._newest = kind, key
        return key


def read_usage(counts: Payload) -> Usage | None:
    """Token counts, or None where all are absent or nought. What was read from a cache, or put in one, is input too."""
    parts = [count(counts.get(name)) for name in _COUNTS[:3]]
    read = Usage(
        None if all(part is None for part in parts) else sum(part or 0 for part in parts),
        count(counts.get("output_tokens")),
        count(counts.get("thinking_tokens")),
        count(counts.get("cache_read_input_tokens")),
    )
    return read if read.input_tokens or read.output_tokens else None


def _error(payload: Payload) -> Reply:
    """An error inside the stream, with the status its type would have had."""
    reply = read_error(payload)
    return replace(reply, status=reply.status or _STATUS.get(reply.type, 0))
