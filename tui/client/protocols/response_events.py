"""The events of the OpenAI Responses API, read into the items they add up to.

Events are told apart by their `type` alone, and only `type` and `delta` are relied on: servers leave out the SSE event
name, indices, sequence numbers, `.added` and `.done` in every combination (recordings of four servers).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Set
from dataclasses import replace
from typing import Any

from tui.client.protocols.fields import Payload, count, rows, table, text
from tui.client.protocols.ids import check_id
from tui.client.protocols.response_items import read_item
from tui.client.reply import Rejected, read_error
from tui.errors import Incomplete, Refused
from tui.events import (
    ConversationIssued,
    ConversationUnsupported,
    Finished,
    ItemDelta,
    ItemWhole,
    ModelNamed,
    RunNamed,
    TurnEvent,
    Used,
)
from tui.model import Item, ItemKind, Usage

NO_ID = "__fake_id__"  # what the OpenAI Agents SDK says where there is no id
_REASONING = "response.reasoning"
_SAID = ("sequence_number", "type", "item_id", "output_index", "content_index", "summary_index", "delta")
_ENDS = {"response.completed", "response.incomplete", "response.done", "response.failed", "error"}
_CALL_EVENTS = {
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
    "response.mcp_call_arguments": "arguments",
    "response.code_interpreter_call_code": "code",
    "response.shell_call_command": "command",
}
_LEFT_TO_US = {
    "function_call",
    "custom_tool_call",
    "computer_call",
    "shell_call",
    "local_shell_call",
    "apply_patch_call",
}


class NotDone(Exception):
    """The server told of a response as a whole while that was still on its way."""


class ResponsesReader:
    """Reads the events of one response. `conversation_id` is set where the conversation has an id of its own.

    With `runs` it is one in the background: `run` is its name, once that is known, and `last_number` the sequence number
    of the last event read (-1 before there is one). `rejoin` is called before what follows on that is read.
    """

    def __init__(
        self,
        host: str = "the server",
        conversation_id: str = "",
        keeps: bool = True,
        *,
        runs: bool = False,
        run: str = "",
    ) -> None:
        self.over = False
        self.runs = runs
        self.run = run
        self.last_number = -1
        self.is_queued = False
        """Whether the response waits for its turn, as far as the last event tells."""

        self._host = host
        self._conversation_id = conversation_id
        self._keeps = keeps
        self._seen: dict[str, ItemKind] = {}
        self._now: dict[str, ItemKind] = {}
        self._open: dict[str, ItemKind] = {}
        self._part: dict[str, tuple[str, object]] = {}
        self._parts: set[tuple[str, str, object]] = set()
        self._nameless = 0
        self._calls: dict[str, str] = {}
        self._claimed: set[str] = set()
        self._numbers: set[int] = set()
        self._deltas: set[int] = set()
        self._known_to = -1
        self._counts = False
        self._newest: Payload = {}
        self._responses = 0
        self._asked: set[str] = set()
        self._approvals = 0
        self._may_go_on = False

    def read(self, payload: Payload) -> Iterator[TurnEvent]:
        kind = text(payload.get("type"))
        number = payload.get("sequence_number")
        if isinstance(number, int):
            if self._is_known(number) and kind not in _ENDS:
                return
            self._counts = self._counts or self.last_number not in (-1, number)
            self.last_number = number
        self.is_queued = kind == "response.queued"
        match kind:
            case "response.output_text.delta" | "response.refusal.delta":
                yield from self._message_delta(payload, refusal="refusal" in kind)
            case "response.output_text.done" | "response.refusal.done":
                yield from self._message_done(payload, refusal="refusal" in kind)
            case _ if kind.startswith(_REASONING) and kind.endswith("_text.done"):
                yield from self._reasoning_done(payload, kind)
            case "response.output_item.added":
                yield from self._item(table(payload.get("item")), payload, whole=False)
            case "response.output_item.done":
                yield from self._item(table(payload.get("item")), payload, whole=True)
            case "response.created" | "response.in_progress" | "response.queued":
                if kind == "response.created":
                    self._numbers.clear()
                    self._deltas.clear()
                    self._may_go_on = False
                yield from self._named(table(payload.get("response")))
            case "response.completed" | "response.incomplete" | "response.done":
                yield from self._completed(table(payload.get("response")), kind)
            case "response.failed":
                raise Rejected(read_error({"error": table(payload.get("response")).get("error") or {}}), in_stream=True)
            case "error":
                raise Rejected(read_error(error_of(payload)), in_stream=True)
            case _ if kind.startswith(_REASONING) and kind.endswith(".delta"):
                yield from self._reasoning_delta(payload, kind)
            case _ if kind.rpartition(".")[0] in _CALL_EVENTS:
                yield from self._call(payload, kind)
            case "" if payload.get("error"):
                raise Rejected(read_error(payload), in_stream=True)
            case _:
                return

    def rejoin(self) -> None:
        """Another connection tells on: from after the last number, or all again, where its server looks at no numbers."""
        self._known_to = self.last_number if self._counts else -1

    def _is_known(self, number: int) -> bool:
        """Whether an event was read before its connection was lost."""
        if number > self._known_to:
            self._known_to = -1
        return number <= self._known_to

    def whole(self, payload: Payload) -> Iterator[TurnEvent]:
        status = text(payload.get("status"))
        self.is_queued = False
        if not isinstance(payload.get("output"), list):
            raise Refused(f"{self._host} does not speak the responses protocol here.", hint="check base_url")
        if status in ("queued", "in_progress"):
            if self.runs:
                yield from self._named(payload)
                raise NotDone
            raise Incomplete(f"the server answered before it was done (status {status})")
        yield from self._completed(payload, "response.incomplete" if status == "incomplete" else "response.completed")

    def sentinel(self) -> Iterator[TurnEvent]:
        return self.end()

    def end(self) -> Iterator[TurnEvent]:
        if self._may_go_on:
            yield Finished()

    def _named(self, response: Payload) -> Iterator[TurnEvent]:
        self.is_queued = self.is_queued or response.get("status") == "queued"
        model = text(response.get("model"))
        if model:
            yield ModelNamed(model)
        run = self._run_of(response)
        if self.runs and run and run != self.run:
            yield self._name(run)

    def _run_of(self, response: Payload) -> str:
        """The name a response has as a run in the background."""
        return text(response.get("id"))

    def _name(self, run: str) -> TurnEvent:
        self.run = check_id(run, self._host)
        return RunNamed(run)

    def _key(self, payload: Payload, kind: ItemKind) -> str:
        """The item an event belongs to: by its id, else its place, else the newest item of its kind."""
        key = text(payload.get("item_id"))
        if key and self._seen.get(key, kind) is not kind:
            key = f"{key}/{kind}"
        place = self._place(payload.get("output_index"))
        if not key and not place:
            # Nothing is added to what is whole; what only says that a part is whole may still come.
            is_piece = text(payload.get("type")).endswith(".delta")
            key = _newest(self._open if is_piece else self._now, kind) or self._next_nameless(kind)
        key = key or f"#{place}/{kind}"
        if key not in self._seen:
            self._open[key] = kind
        self._seen[key] = self._now[key] = kind
        return key

    def _next_nameless(self, kind: ItemKind) -> str:
        self._nameless += 1
        return f"#/{kind}/{self._nameless}"

    def _place(self, index: object) -> str:
        """An item's place, for items without an id: its index within its response."""
        return f"{self._responses}.{index}" if isinstance(index, int) else ""

    def _is_repeat(self, payload: Payload) -> bool:
        """Whether this very delta came before, by its number and all it says: a broken proxy may send one twice.

        Servers that give every event the same number do not count, and are not believed; nor are those that count other
        events, unless the very same comes at once. Some count anew in every item.
        """
        number = payload.get("sequence_number")
        if not isinstance(number, int):
            return False
        counts = len(self._numbers) > 1 or (self._counts and payload == self._newest)
        said = hash(tuple(value for name in _SAID if isinstance(value := payload.get(name), int | str)))
        known = said in self._deltas and counts
        self._numbers.add(number)
        self._deltas.add(said)
        self._newest = payload
        return known

    def _message_delta(self, payload: Payload, *, refusal: bool) -> Iterator[TurnEvent]:
        if self._is_repeat(payload):
            return
        key = self._key(payload, ItemKind.MESSAGE)
        piece = self._separated(key, "content", payload.get("content_index"), text(payload.get("delta")))
        yield ItemDelta(key, ItemKind.MESSAGE, piece, "refusal" if refusal else "")

    def _message_done(self, payload: Payload, *, refusal: bool) -> Iterator[TurnEvent]:
        """A part in full: used only where its deltas never came."""
        whole = text(payload.get("refusal" if refusal else "text"))
        key = self._key(payload, ItemKind.MESSAGE)
        if whole and not self._came(key, "content", payload.get("content_index")):
            yield from self._message_delta({**payload, "item_id": key, "delta": whole}, refusal=refusal)

    def _reasoning_delta(self, payload: Payload, kind: str) -> Iterator[TurnEvent]:
        if self._is_repeat(payload):
            return
        key = self._key(payload, ItemKind.REASONING)
        part, index = _reasoning_part(payload, kind)
        yield ItemDelta(key, ItemKind.REASONING, self._separated(key, part, index, text(payload.get("delta"))))

    def _reasoning_done(self, payload: Payload, kind: str) -> Iterator[TurnEvent]:
        whole = text(payload.get("text"))
        key = self._key(payload, ItemKind.REASONING)
        if whole and not self._came(key, *_reasoning_part(payload, kind)):
            yield from self._reasoning_delta({**payload, "item_id": key, "delta": whole}, kind)

    def _separated(self, key: str, part: str, index: object, piece: str) -> str:
        """`piece`, with an empty line before it where another part of the same item begins."""
        now = (part, index)
        before = self._part.get(key)
        if piece:
            self._part[key] = now
            self._parts.add((key, part, _hashable(index)))
        return f"\n\n{piece}" if before is not None and before != now and piece else piece

    def _came(self, key: str, part: str, index: object) -> bool:
        """Whether this part of an item, or all of it, has been told already."""
        return (key, part, _hashable(index)) in self._parts or (key, "whole", None) in self._parts

    def _call(self, payload: Payload, kind: str) -> Iterator[TurnEvent]:
        """A piece of what a tool is called with; or all of it, used only where the pieces never came."""
        key = self._key(payload, ItemKind.TOOL_CALL)
        event, _, step = kind.rpartition(".")
        if step == "delta" and not self._is_repeat(payload):
            piece = text(payload.get("delta"))
        elif step == "done" and not self._came(key, "call", None):
            piece = text(payload.get(_CALL_EVENTS[event]))
        else:
            return
        self._parts.add((key, "call", None))
        yield ItemDelta(key, ItemKind.TOOL_CALL, piece)

    def _item(self, item: Payload, payload: Payload, *, whole: bool) -> Iterator[TurnEvent]:
        self._count_call(item)
        place = self._place(payload.get("output_index"))
        reads = list(read_item(item, place))
        if reads and not item.get("id") and not place:
            reads = self._told_apart(reads)
        for read in reads:
            key = read.key
            known = key in self._seen
            self._seen[key] = self._now[key] = read.kind
            if whole:
                self._parts.add((key, "whole", None))
                self._open.pop(key, None)
                if read.text or read.name or not known:
                    yield ItemWhole(read)
            elif not known:
                self._open[key] = read.kind
                yield ItemDelta(key, read.kind, read.text, read.name, read.call_id)

    def _told_apart(self, reads: list[Item]) -> list[Item]:
        """What an item amounts to that has neither id nor place: the call with its id or the open item of its kind, else
        one of its own."""
        kind, call_id, named = reads[0].kind, reads[0].call_id, reads[0].key
        if kind is ItemKind.TOOL_RESULT and call_id:
            return reads
        # Calls may be told of one after another before the first of them is whole.
        is_call = kind is ItemKind.TOOL_CALL and bool(call_id)
        key = self._calls.get(call_id, "") if is_call else ""
        key = key or _newest(self._open, kind, besides=self._claimed) or self._next_nameless(kind)
        if is_call:
            self._calls[call_id] = key
            self._claimed.add(key)
        return [replace(read, key=key + read.key.removeprefix(named)) for read in reads]

    def _count_call(self, item: Payload) -> None:
        """Keep count of the calls that someone else than the server's model has to answer."""
        kind, call_id = text(item.get("type")), text(item.get("call_id")) or text(item.get("id"))
        self._approvals += kind == "mcp_approval_request"
        if kind in _LEFT_TO_US:
            self._asked.add(call_id)
        elif kind.endswith("_output"):
            self._asked.discard(call_id)

    def _completed(self, response: Payload, kind: str) -> Iterator[TurnEvent]:
        """The end of a response.

        An agent's server may answer its model's tool calls itself and begin another response in the same stream. So a
        response that ends in an unanswered call ends the answer only if nothing follows; nor is its id safe to go on
        from, as servers refuse to until the call is answered.
        """
        reason = yield from self._closed(response, kind)
        yield from self._issued(response)
        if self.run:
            yield RunNamed("")
        if self._approvals and not reason:
            reason = "approval"
        if self._asked and not reason:
            self._may_go_on = True
            return
        self.over = True
        yield Finished(reason)

    def _closed(self, response: Payload, kind: str) -> Generator[TurnEvent, None, str]:
        """All that the end of a response says of it. Gives the server's word for why it stopped early, if it did."""
        yield from self._named(response)
        status = text(response.get("status"))
        if status in ("failed", "cancelled"):
            error = response.get("error") or {"message": f"the response is {status}"}
            raise Rejected(read_error({"error": error}), in_stream=True)
        yield from self._final_items(response)
        usage = read_usage(table(response.get("usage")))
        if usage is not None:
            yield Used(usage)
        reason = text(table(response.get("incomplete_details")).get("reason"))
        if kind == "response.incomplete" or status == "incomplete":
            reason = reason or "incomplete"
            if not self._seen:
                if self.run:
                    yield RunNamed("")
                raise Refused(f"{self._host} gave no answer: {reason}.")
        self._responses += 1
        self._now.clear()
        self._open.clear()
        return reason

    def _issued(self, response: Payload) -> Iterator[TurnEvent]:
        """What the next turn can go on from."""
        if not self._keeps:
            return
        if self._conversation_id:
            yield ConversationIssued(self._conversation_id)
        elif response.get("store") is False or response.get("id") in (None, NO_ID):
            yield ConversationUnsupported()
        elif not self._asked:
            yield ConversationIssued(check_id(response.get("id"), self._host))

    def _final_items(self, response: Payload) -> Iterator[TurnEvent]:
        """The response's own list of what it said, which is the truth where the events said otherwise.

        Ids in it may be new ones, or all the same: items are matched by id, else by their order among those of their
        kind. Where it lists fewer than there were, it is the last ones that it lists.
        """
        reads: list[Item] = []
        for place, item in enumerate(rows(response.get("output"))):
            self._count_call(item)
            reads += read_item(item, self._place(place))
        named: dict[str, int] = {}
        for at, read in enumerate(reads):
            if read.key in self._now:
                named.setdefault(read.key, at)
        others = Counter(read.kind for at, read in enumerate(reads) if named.get(read.key) != at)
        free = {kind: [key for key, of in self._now.items() if of is kind and key not in named] for kind in others}
        free = {kind: keys[max(0, len(keys) - others[kind]) :][::-1] for kind, keys in free.items()}
        for at, read in enumerate(reads):
            known = read.key if named.get(read.key) == at else None
            if known is None and free[read.kind]:
                known = free[read.kind].pop()
            key = known or (f"{read.key}/{len(self._seen)}" if read.key in self._seen else read.key)
            self._seen[key] = self._now[key] = read.kind
            if read.text or known is None:
                yield ItemWhole(replace(read, key=key))


def _newest(items: dict[str, ItemKind], kind: ItemKind, besides: Set[str] = frozenset()) -> str:
    return next((key for key in reversed(items) if items[key] is kind and key not in besides), "")


def read_usage(usage: Payload) -> Usage | None:
    """Token counts, or None where all are absent or the server only pretends to count."""
    read = Usage(
        count(usage.get("input_tokens")),
        count(usage.get("output_tokens")),
        count(table(usage.get("output_tokens_details")).get("reasoning_tokens")),
        count(table(usage.get("input_tokens_details")).get("cached_tokens")),
    )
    return read if read.input_tokens or read.output_tokens else None


def error_of(payload: Payload) -> dict[str, Any]:
    """An `error` event's error, which is flat in the API and nested in some servers."""
    inner = payload.get("error")
    if isinstance(inner, dict | str):
        return dict(payload)
    return {"error": dict(payload) | {"type": ""}}


def _reasoning_part(payload: Payload, kind: str) -> tuple[str, object]:
    """Which part of a reasoning item an event is about."""
    return "summary" if "summary" in kind else "text", payload.get("summary_index", payload.get("content_index"))


def _hashable(index: object) -> object:
    return index if isinstance(index, int | str | None) else None
