"""The events of a docker agent's run, and the items they add up to.

What a sub-agent does comes in the same stream under a session of its own: it is shown, and is neither the answer nor its
end. The server says nothing once a run is over: the body's end ends it, and what came last says whether it went well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tui.client.protocols.fields import Payload, count, plain, table, text
from tui.client.reply import Rejected, Reply, read_error
from tui.errors import Refused
from tui.events import ConversationIssued, Finished, ItemDelta, ItemWhole, RunNamed, TurnEvent, Used, WindowTold
from tui.model import Item, ItemKind, ItemState, Usage

CONFIRMATION, ELICITATION, LIMIT = "confirmation/", "elicitation/", "limit/"
"""What the keys of questions begin with: whether a tool may run, what a tool wants to know, whether to go on."""

_STATUS = {
    "model_error": 500,
    "tool_failed": 500,
    "rate_limited": 429,
    "context_exceeded": 400,
    "request_too_large": 413,
    "media_too_large": 413,
    "hook_blocked": 400,
    "loop_detected": 400,
}
_CODE = {"context_exceeded": "context_length_exceeded"}
_WELL = ("", "normal")
_ENDS = {"error": "the run ended in an error", "canceled": "the run was cancelled at the server"}


class DockerAgentReader:
    """Reads the events of one run of a session. `begun` is whether the server has taken the prompt, which it keeps from
    then on; `shown`, whether the user has been shown anything; `error`, what the server said went wrong."""

    def __init__(self, host: str = "the server", session_id: str = "") -> None:
        self.over = False
        self.begun = False
        self.shown = False
        self.error: Reply | None = None
        self._host = host
        self._session_id = session_id
        self._root = ""
        self._reason: str | None = None
        self._questions: dict[str, Item] = {}
        self._calls = _Calls()
        self._count = 0
        self._last: tuple[ItemKind, str] | None = None
        self._key = ""
        self._is_limited = False

    @property
    def asks(self) -> bool:
        """Whether the run waits for the user's word, for however long that takes."""
        return bool(self._questions)

    def read(self, payload: Payload) -> Iterator[TurnEvent]:
        kind = text(payload.get("type"))
        if not kind and payload.get("error"):
            self.error = self.error or read_error(payload)
        if not kind or self.over:
            return
        if not self.begun:
            self.begun = True
            yield RunNamed(self._session_id)
        for event in self._read(kind, payload):
            self.shown = self.shown or isinstance(event, ItemDelta | ItemWhole)
            yield event

    def whole(self, payload: Payload) -> Iterator[TurnEvent]:  # noqa: ARG002 - the contract's shape
        raise Refused(f"{self._host} does not speak the docker-agent protocol here.", hint="check base_url")

    def sentinel(self) -> Iterator[TurnEvent]:
        return self.end()

    def end(self) -> Iterator[TurnEvent]:
        """The end of the run: a bad one if the server said so. Where the server did not say that it stopped, which it may
        leave out, it is a good one only if the agent was answering and doing nothing else."""
        if self.error is not None:
            yield RunNamed("")
            raise Rejected(self.error, in_stream=True)
        if not self.begun or (self._reason is None and not self._is_answering):
            return
        reason = self._reason or ""
        if reason in _ENDS or (reason not in _WELL and not self._is_limited):
            yield RunNamed("")
            words = _ENDS.get(reason, f"the run ended: {reason}")
            raise Rejected(Reply(500, words, form="json"), in_stream=True)
        yield RunNamed("")
        yield ConversationIssued(self._session_id)
        yield Finished("max_iterations" if self._is_limited else "")

    @property
    def _is_answering(self) -> bool:
        is_speaking = self._last is not None and self._last[0] is ItemKind.MESSAGE
        return is_speaking and not self._questions and not self._calls.running

    def _read(self, kind: str, payload: Payload) -> Iterator[TurnEvent]:
        match kind:
            case "stream_started":
                self._root = self._root or text(payload.get("session_id"))
            case "stream_stopped":
                yield from self._stopped(payload)
            case "agent_choice":
                yield from self._said(payload, ItemKind.MESSAGE)
            case "agent_choice_reasoning":
                yield from self._said(payload, ItemKind.REASONING)
            case "partial_tool_call" | "tool_call" | "tool_call_confirmation":
                yield from self._call(kind, payload)
            case "tool_call_output" | "tool_call_response":
                yield from self._result(kind, payload)
            case "elicitation_request":
                yield from self._elicitation(payload)
            case "max_iterations_reached":
                yield from self._limit(payload)
            case "error":
                yield from self._failed(payload)
            case "token_usage" if self._is_ours(payload):
                counts = table(payload.get("usage"))
                usage = read_usage(counts)
                if usage is not None:
                    yield Used(usage)
                if window := count(counts.get("context_limit")):
                    yield WindowTold(window)
            case "warning":
                yield from self._notice(text(payload.get("message")))
            case "model_fallback":
                yield from self._notice(_fallback(payload))
            case "session_compaction" if self._is_ours(payload) and payload.get("status") == "completed":
                if payload.get("outcome") in (None, "", "applied"):
                    yield from self._notice("The server shortened the conversation.")
            case _:
                return

    def _is_ours(self, payload: Payload) -> bool:
        """Whether an event is of the run itself, and not of a sub-agent's session."""
        session_id = text(payload.get("session_id"))
        return session_id in ("", self._session_id, self._root)

    def _stopped(self, payload: Payload) -> Iterator[TurnEvent]:
        """The end of the loop of the agent or of a sub-agent. One that was told not to go on ends here."""
        is_ours = self._is_ours(payload)
        for item in [item for key, item in self._questions.items() if is_ours or key.startswith(LIMIT)]:
            self._is_limited = self._is_limited or (is_ours and item.key.startswith(LIMIT))
            yield self._settled(item, ItemState.DENIED)
        if is_ours:
            self._reason = text(payload.get("reason"))
            self.over = True

    def _said(self, payload: Payload, kind: ItemKind) -> Iterator[TurnEvent]:
        """A piece of text. Where another kind of text or another speaker begins, so does a new item."""
        yield from self._goes_on()
        piece, agent = text(payload.get("content")), text(payload.get("agent_name"))
        if not piece:
            return
        is_ours = self._is_ours(payload)
        kind = kind if is_ours else ItemKind.REASONING
        if self._last != (kind, agent):
            self._last = (kind, agent)
            self._key = self._next(str(kind))
        yield ItemDelta(self._key, kind, piece, "" if is_ours else agent)

    def _call(self, kind: str, payload: Payload) -> Iterator[TurnEvent]:
        """A tool's call: as the model begins it, as it is asked about, as it is made."""
        yield from self._goes_on()
        self._last = None
        call = table(payload.get("tool_call"))
        function = table(call.get("function"))
        name = text(function.get("name")) or _tool_of(payload)
        arguments = plain(function.get("arguments"))
        call_id = self._calls.begun(text(call.get("id")) or name or "call")
        match kind:
            case "partial_tool_call":
                if name and call_id not in self._calls.running:
                    yield ItemDelta(call_id, ItemKind.TOOL_CALL, "", name, call_id)
            case "tool_call_confirmation":
                yield self._asked(Item(f"{CONFIRMATION}{call_id}", ItemKind.APPROVAL, arguments, name, call_id))
            case _:
                question = self._questions.get(f"{CONFIRMATION}{call_id}")
                if question is not None:
                    yield self._settled(question, ItemState.APPROVED)
                self._calls.running.add(call_id)
                yield ItemWhole(Item(call_id, ItemKind.TOOL_CALL, arguments, name, call_id))

    def _result(self, kind: str, payload: Payload) -> Iterator[TurnEvent]:
        """What a tool gives, piece by piece or whole. A result without a call is a refusal of the question before it."""
        name = _tool_of(payload)
        call_id = self._calls.known(text(payload.get("tool_call_id")) or name or "call")
        key = f"{call_id}/result"
        if kind == "tool_call_output":
            if text(payload.get("output")):
                yield ItemDelta(key, ItemKind.TOOL_RESULT, text(payload.get("output")), name, call_id)
            return
        self._last = None
        result = table(payload.get("result"))
        state = ItemState.FAILED if result.get("isError") is True else ItemState.NONE
        question = self._questions.get(f"{CONFIRMATION}{call_id}")
        if question is not None:
            state = ItemState.DENIED
            yield self._settled(question, state)
        # A tool that wanted to know something has gone on; the server does not say what it was told.
        for item in [item for key, item in self._questions.items() if key.startswith(ELICITATION)]:
            yield self._settled(item, ItemState.DENIED if state is ItemState.FAILED else ItemState.APPROVED)
        self._calls.ended(call_id)
        given = text(payload.get("response")) or plain(result.get("output"))
        yield ItemWhole(Item(key, ItemKind.TOOL_RESULT, given, name, call_id, state))

    def _elicitation(self, payload: Payload) -> Iterator[TurnEvent]:
        self._last = None
        asked = {name: payload[name] for name in ("message", "schema", "url") if payload.get(name)}
        own_id = text(payload.get("elicitation_id"))
        key = self._next(ELICITATION.rstrip("/")) if not own_id else f"{ELICITATION}{own_id}"
        yield self._asked(Item(key, ItemKind.APPROVAL, plain(asked), "question", own_id))

    def _limit(self, payload: Payload) -> Iterator[TurnEvent]:
        """The agent has made as many steps as it may, and waits for word whether to go on."""
        self._last = None
        asked = plain({"max_iterations": payload.get("max_iterations")})
        yield self._asked(Item(self._next(LIMIT.rstrip("/")), ItemKind.APPROVAL, asked, "continue"))

    def _goes_on(self) -> Iterator[TurnEvent]:
        """The agent speaks or acts: if it had reached its limit, it was told to go on."""
        for item in [item for key, item in self._questions.items() if key.startswith(LIMIT)]:
            yield self._settled(item, ItemState.APPROVED)

    def _asked(self, item: Item) -> ItemWhole:
        self._questions[item.key] = replace(item, state=ItemState.OPEN)
        return ItemWhole(self._questions[item.key])

    def _settled(self, item: Item, state: ItemState) -> ItemWhole:
        del self._questions[item.key]
        return ItemWhole(replace(item, state=state))

    def _failed(self, payload: Payload) -> Iterator[TurnEvent]:
        """An error: of the run, which it ends, or of a sub-agent, which the agent may get over."""
        said = text(payload.get("error")) or "an error without words"
        if not self._is_ours(payload):
            agent = text(payload.get("agent_name"))
            yield from self._notice(f"{agent}: {said}" if agent else said)
        elif self.error is None:
            code = text(payload.get("code"))
            self.error = Reply(_STATUS.get(code, 500), said, _CODE.get(code, code), form="json")

    def _notice(self, words: str) -> Iterator[TurnEvent]:
        self._last = None
        if words:
            yield ItemWhole(Item(self._next("notice"), ItemKind.NOTICE, words))

    def _next(self, kind: str) -> str:
        self._count += 1
        return f"{kind}/{self._count}"


class _Calls:
    """The calls of a run, `running` being those without a result. Some models give all of theirs the same id: to what is
    not the first of its id a number is added."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self._names: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._ended: set[str] = set()

    def begun(self, own_id: str) -> str:
        """The name of the call with this id that is going on, or begins now."""
        name = self._names.get(own_id, "")
        if not name or name in self._ended:
            number = self._numbers[own_id] = self._numbers.get(own_id, 0) + 1
            name = self._names[own_id] = f"{own_id}#{number}" if number > 1 else own_id
        return name

    def known(self, own_id: str) -> str:
        """The name of the call with this id that came last."""
        return self._names.get(own_id) or self.begun(own_id)

    def ended(self, name: str) -> None:
        self.running.discard(name)
        self._ended.add(name)


def read_usage(usage: Payload) -> Usage | None:
    """Token counts, or None where all are absent or nought."""
    newest = table(usage.get("last_message"))
    read = Usage(
        count(usage.get("input_tokens")),
        count(usage.get("output_tokens")),
        count(newest.get("reasoning_tokens")),
        count(newest.get("cached_input_tokens")),
    )
    return read if read.input_tokens or read.output_tokens else None


def _tool_of(payload: Payload) -> str:
    return text(table(payload.get("tool_definition")).get("name"))


def _fallback(payload: Payload) -> str:
    failed, other = text(payload.get("failed_model")), text(payload.get("fallback_model"))
    if not failed or not other:
        return ""
    reason = text(payload.get("reason")).rstrip(".")
    return f"{failed} failed{f' ({reason})' if reason else ''}; {other} answers instead."
