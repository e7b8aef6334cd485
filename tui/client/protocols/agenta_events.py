"""The stream of one turn of an Agenta agent: the parts of a message, and the items they add up to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tui.client.protocols.agenta_parts import EVENTS, finish_word, parts_of
from tui.client.protocols.fields import Payload, count, plain, rows, table, text
from tui.client.reply import Rejected, Reply, read_error
from tui.errors import Refused
from tui.events import ConversationIssued, Finished, ItemDelta, ItemWhole, Noted, RunNamed, TurnEvent, Used
from tui.model import Item, ItemKind, ItemState, Usage

_SESSION_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_NORMAL = ("", "stop", "unknown")
_NOTICES = (
    "data-input-request",
    "data-interaction",
    "data-approval-manifest",
    "data-mcp-server-failed",
    "data-committed-revision",
)


def is_session_id(value: object) -> bool:
    """Whether every version of the server takes `value` as a session's id."""
    return isinstance(value, str) and _SESSION_ID.fullmatch(value) is not None


def tool_call_id(approval: Item) -> str:
    """The call that an approval is about, where the server named it."""
    return approval.key.removesuffix("/approval") if approval.key.endswith("/approval") else ""


class AgentaReader:
    """Reads the stream of one turn. `session` is the id of its session, as far as is known; `turn` the server's name for
    the turn, once it has said it. `open` are the approvals that wait for the user."""

    def __init__(self, host: str = "the server", session: str = "") -> None:
        self.over = False
        self.session = session
        self.turn = ""
        self.open: dict[str, Item] = {}
        self._host = host
        self._named = ""
        self._keys: dict[str, str] = {}
        self._uses: dict[str, int] = {}
        self._calls: dict[str, tuple[str, str]] = {}
        self._usage: dict[str, Any] = {}
        self._failure: Reply | None = None
        self._finish = ""
        self._count = 0

    @property
    def has_begun(self) -> bool:
        """Whether the server has begun to answer, so that there is a run."""
        return bool(self._named)

    def opened(self, headers: Mapping[str, str]) -> Iterator[TurnEvent]:
        """The events in the answer's headers: from here on the run goes on without us."""
        yield from self._adopt(headers.get("x-ag-session-id"))

    def read(self, payload: Payload) -> Iterator[TurnEvent]:
        kind, data = text(payload.get("type")), payload.get("data")
        if not kind and payload.get("reason") == "stolen":
            yield from self.displaced()
        elif kind in EVENTS and isinstance(data, dict):
            self._count += 1
            for part in parts_of(kind, data, f"#{self._count}"):
                yield from self.part(part)
        else:
            yield from self.part(payload)

    def whole(self, payload: Payload) -> Iterator[TurnEvent]:
        """An answer that was not streamed, which holds no more than what was said."""
        status = table(payload.get("status"))
        code = status.get("code")
        if isinstance(code, int) and code >= 400:
            raise Rejected(read_error({"error": status}, code), in_stream=True)
        outputs = table(table(payload.get("data")).get("outputs"))
        if not isinstance(outputs.get("messages"), list):
            raise Refused(
                f"{self._host} does not speak the agenta protocol here.", hint="check base_url and service_url"
            )
        yield from self._adopt(payload.get("session_id"))
        for number, message in enumerate(rows(outputs["messages"])):
            said = message.get("content")
            if isinstance(said, list):
                said = "".join(text(block.get("text")) for block in rows(said))
            if message.get("role") == "assistant" and text(said):
                yield ItemWhole(Item(f"text/{number}", ItemKind.MESSAGE, text(said)))
        self.over, self._finish = True, finish_word(outputs.get("stop_reason"))
        yield from self._finished()

    def sentinel(self) -> Iterator[TurnEvent]:
        return self.end()

    def end(self) -> Iterator[TurnEvent]:
        if self._failure is not None:
            yield from self._failed()
        if self.over:
            yield from self._finished()

    def displaced(self) -> Iterator[TurnEvent]:
        """The end of what this client is told, as another one is told it from now on."""
        self.over = True
        yield Noted("Another client has taken over this session; the answer goes on there.")
        yield from self.last("stolen")

    def last(self, reason: str) -> Iterator[TurnEvent]:
        """The events that end a turn well."""
        if self.session:
            yield ConversationIssued(self.session)
        yield RunNamed("")
        yield Finished(reason)

    def part(self, part: Payload) -> Iterator[TurnEvent]:
        """The events in one part of a message stream."""
        kind = text(part.get("type"))
        match kind:
            case "start" | "message-metadata":
                yield from self._metadata(table(part.get("messageMetadata")))
            case "text-start" | "reasoning-start":
                self._keys.pop(_block(part), None)
                yield self._piece(part, "")
            case "text-delta" | "reasoning-delta":
                yield self._piece(part, text(part.get("delta")))
            case "text-end" | "reasoning-end":
                self._keys.pop(_block(part), None)
            case "tool-input-start" | "tool-input-delta":
                yield self._call_piece(part)
            case "tool-input-available" | "tool-input-error":
                yield from self._call(part)
                if kind == "tool-input-error":
                    yield self._result(part, text(part.get("errorText")), ItemState.FAILED)
            case "tool-output-available" | "tool-output-error" | "tool-output-denied":
                yield from self._output(part, kind)
            case "tool-approval-request" | "tool-approval-response":
                yield from self._approval(part, kind)
            case "data-agent-error":
                said = table(part.get("data"))
                self._failure = Reply(0, text(said.get("errorText")), text(said.get("code")), form="json")
            case "error":
                known = self._failure or Reply(0, code=text(part.get("code")), form="json")
                self._failure = replace(known, message=text(part.get("errorText")) or known.message)
                yield from self._failed()
            case "usage":
                yield from self._used(part)
            case "finish":
                yield from self._end_of(part)
            case "file":
                yield self._notice(part, "file", _file(part))
            case _ if kind in _NOTICES:
                yield self._notice(part, kind.removeprefix("data-"), _told(part.get("data")))
            case _:
                return

    def _adopt(self, session: object) -> Iterator[TurnEvent]:
        """Go on under the name the server has for the session, where it is another one than ours."""
        if is_session_id(session):
            self.session = str(session)
        if self.session and self.session != self._named:
            self._named = self.session
            yield RunNamed(self.session)

    def _metadata(self, said: Payload) -> Iterator[TurnEvent]:
        self.turn = text(said.get("turnId")) or self.turn
        yield from self._adopt(said.get("sessionId"))
        yield from self._used(table(said.get("usage")))

    def _used(self, counts: Payload) -> Iterator[TurnEvent]:
        """Token counts, which may come a few at a time."""
        self._usage |= {name: counts[name] for name in ("input", "output") if count(counts.get(name)) is not None}
        usage = Usage(count(self._usage.get("input")), count(self._usage.get("output")))
        if counts and (usage.input_tokens or usage.output_tokens):
            yield Used(usage)

    def _piece(self, part: Payload, piece: str) -> ItemDelta:
        """A piece of a block of text, or its beginning. An id that comes again after its block's end names another one."""
        block = _block(part)
        key = self._keys.get(block)
        if key is None:
            self._uses[block] = self._uses.get(block, 0) + 1
            key = self._keys[block] = f"{block}#{self._uses[block]}" if self._uses[block] > 1 else block
        return ItemDelta(key, ItemKind.MESSAGE if block.startswith("text/") else ItemKind.REASONING, piece)

    def _call_piece(self, part: Payload) -> ItemDelta:
        call = text(part.get("toolCallId"))
        name = text(part.get("toolName")) or self._calls.get(call, ("", ""))[0]
        self._calls[call] = name, self._calls.get(call, ("", ""))[1]
        return ItemDelta(f"call/{call}", ItemKind.TOOL_CALL, text(part.get("inputTextDelta")), name, call)

    def _call(self, part: Payload) -> Iterator[TurnEvent]:
        """A call in full, which replaces what was told of it before; an approval shows what would really run."""
        call = text(part.get("toolCallId"))
        name = text(part.get("toolName")) or self._calls.get(call, ("", ""))[0]
        self._calls[call] = name, plain(part.get("input"))
        yield ItemWhole(Item(f"call/{call}", ItemKind.TOOL_CALL, self._calls[call][1], name, call))
        if call in self.open:
            asked = self.open[call] = replace(self.open[call], text=self._calls[call][1], name=name)
            yield ItemWhole(asked)

    def _output(self, part: Payload, kind: str) -> Iterator[TurnEvent]:
        call, said = text(part.get("toolCallId")), plain(part.get("output"))
        state = ItemState.NONE
        if kind == "tool-output-error":
            said, state = text(part.get("errorText")) or said, ItemState.FAILED
        elif kind == "tool-output-denied":
            state = ItemState.DENIED
        yield self._result(part, said, state)
        asked = self.open.pop(call, None)
        if asked is not None:
            yield ItemWhole(replace(asked, state=ItemState.DENIED if state is ItemState.DENIED else ItemState.APPROVED))

    def _result(self, part: Payload, said: str, state: ItemState) -> ItemWhole:
        call = text(part.get("toolCallId"))
        name = self._calls.get(call, ("", ""))[0] if state is ItemState.DENIED else ""
        return ItemWhole(Item(f"result/{call}", ItemKind.TOOL_RESULT, said, name, call, state))

    def _approval(self, part: Payload, kind: str) -> Iterator[TurnEvent]:
        call, asks = text(part.get("toolCallId")), text(part.get("approvalId"))
        if kind == "tool-approval-response":
            known = next((one for one, item in self.open.items() if item.call_id == asks), None)
            if known is not None and isinstance(part.get("approved"), bool):
                state = ItemState.APPROVED if part["approved"] else ItemState.DENIED
                yield ItemWhole(replace(self.open.pop(known), state=state))
            return
        name, arguments = self._calls.get(call, ("", ""))
        key = f"{call}/approval" if call else f"approval/{asks}"
        asked = Item(key, ItemKind.APPROVAL, arguments, name or "a tool", asks or call, ItemState.OPEN)
        self.open[call or asks] = asked
        yield ItemWhole(asked)

    def _notice(self, part: Payload, name: str, said: str) -> ItemWhole:
        self._count += 1
        return ItemWhole(Item(f"{name}/{text(part.get('id')) or self._count}", ItemKind.NOTICE, said, name))

    def _end_of(self, part: Payload) -> Iterator[TurnEvent]:
        """The end of the turn, which is told once what follows it has come."""
        yield from self._metadata(table(part.get("messageMetadata")))
        self._finish = text(part.get("finishReason")) or self._finish
        self.over = True
        if self._failure is None and self._finish == "error":
            self._failure = Reply(0, "the run failed", form="json")
        if self._failure is not None:
            yield from self._failed()

    def _failed(self) -> Iterator[TurnEvent]:
        """The error that ends the turn: the server tells it twice, and it is one.

        Raises:
            Rejected, Refused: Always, as there is a failure.
        """
        assert self._failure is not None
        yield RunNamed("")
        if self._failure.code == "no_output":
            raise Refused("The agent produced no output.")
        raise Rejected(self._failure, in_stream=True)

    def _finished(self) -> Iterator[TurnEvent]:
        yield from self.last(finish_of(self._finish, asks=bool(self.open)))


def finish_of(reason: str, *, asks: bool) -> str:
    """The word for how a turn ended; `asks` is whether it waits for the user."""
    if asks:
        return "approval"
    return "" if reason in _NORMAL else reason


def _block(part: Payload) -> str:
    return f"{text(part.get('type')).partition('-')[0]}/{text(part.get('id'))}"


def _file(part: Payload) -> str:
    """A file, by its address; one that is in the address itself only by what it is."""
    address, media = text(part.get("url")), text(part.get("mediaType"))
    if address.startswith("data:"):
        return f"{media or 'data'}, {len(address):,} characters in the answer itself"
    return f"{address} ({media})" if media else address


def _told(data: object) -> str:
    """What there is to read in a notice."""
    said = table(data)
    words = next((text(said.get(name)) for name in ("message", "prompt", "title") if text(said.get(name))), "")
    server = text(said.get("serverName"))
    return (f"{server}: {words}" if server else words) or plain(data)
