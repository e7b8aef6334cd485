"""The events of a Genie answer: whole items, among them what it thinks, the queries it runs and their rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tui.client.protocols.fields import Payload, plain, rows, table, text
from tui.client.protocols.ids import check_id
from tui.client.protocols.response_events import error_of
from tui.client.protocols.response_items import read_item
from tui.client.reply import Rejected, Reply, parse_json, read_error
from tui.errors import Refused
from tui.events import ConversationIssued, Finished, ItemDelta, ItemWhole, TurnEvent
from tui.model import Item, ItemKind, ItemState

_ANSWERS = "output_final_response"
_ASKS = "ask_user_questions"
_MARKER = re.compile(r"<!--[ \t]{0,9}(begin|end)-embedded:([^\s>]{1,200})[ \t]{0,9}-->")
_CHART = re.compile(r"!\[[^\]\n]{0,500}\]\(#viz_[^)\s]{0,200}\)\n?")


class GenieReader:
    """Reads one answer. Only the completed event tells the conversation's id, and only that ends the answer."""

    def __init__(self, host: str = "the server") -> None:
        self.over = False
        self._host = host
        self._count = 0
        self._said: dict[str, str] = {}
        self._final = ""
        self._hidden: set[str] = set()
        self._has_shown = False

    def read(self, payload: Payload) -> Iterator[TurnEvent]:
        self._count += 1
        kind = text(payload.get("type"))
        match kind:
            case "response.output_item.added" | "response.output_item.done":
                yield from self._item(table(payload.get("item")), payload.get("output_index"))
            case "response.completed" | "response.done" | "response.failed" | "response.incomplete":
                yield from self._completed(table(payload.get("response")), kind)
            case "error":
                raise Rejected(_failure(payload), in_stream=True)
            case "" if payload.get("error") or payload.get("error_code"):
                raise Rejected(_failure(payload), in_stream=True)
            case _:
                return

    def whole(self, payload: Payload) -> Iterator[TurnEvent]:
        if payload.get("error_code"):
            raise Rejected(_failure(payload), in_stream=True)
        raise Refused(f"{self._host} does not speak the genie protocol here.", hint="check base_url")

    def sentinel(self) -> Iterator[TurnEvent]:
        return iter(())

    def end(self) -> Iterator[TurnEvent]:
        return iter(())

    def _item(self, item: Payload, place: object) -> Iterator[TurnEvent]:
        key = text(item.get("id")) or (f"#{place}" if isinstance(place, int) else f"#/{self._count}")
        is_whole = item.get("status") != "in_progress"
        match item.get("type"):
            case "reasoning":
                for read in read_item({**item, "id": key}):
                    yield ItemWhole(read) if read.text else ItemDelta(key, ItemKind.REASONING)
            case "message" if is_whole and item.get("role") == "assistant":
                yield from self._message(key, item)
            case "function_call":
                yield from self._call(key, item, is_whole=is_whole)
            case "function_call_output" if is_whole:
                yield from self._result(key, item)
            case _:
                return

    def _message(self, key: str, item: Payload) -> Iterator[TurnEvent]:
        parts = [text(part.get("text")) for part in rows(item.get("content")) if part.get("type") == "output_text"]
        said = clean("\n\n".join(part for part in parts if part))
        if not said:
            return
        if table(item.get("metadata")).get("ui_type") == "THOUGHT":
            yield ItemWhole(Item(key, ItemKind.REASONING, said))
            return
        if self._final and key != self._final and _holds(said, self._said[self._final]):
            # The tool that gives the answer came before the message with it.
            yield ItemWhole(Item(self._final, ItemKind.MESSAGE))
            del self._said[self._final]
            self._final = ""
        yield self._shown(Item(key, ItemKind.MESSAGE, said))

    def _call(self, key: str, item: Payload, *, is_whole: bool) -> Iterator[TurnEvent]:
        """A tool call. Two tools are ways to say something: their calls are what they say."""
        name, call_id = text(item.get("name")), text(item.get("call_id"))
        said = ""
        if name in (_ANSWERS, _ASKS):
            self._hidden.add(call_id)
            if not is_whole or not item.get("arguments"):
                return
            arguments = _parsed(item["arguments"])
            said = clean(text(arguments.get("response"))) if name == _ANSWERS else _questions(arguments)
        if said:
            if name == _ANSWERS:
                if any(_holds(other, said) for at, other in self._said.items() if at != key):
                    return
                self._final = key
            yield self._shown(Item(key, ItemKind.MESSAGE, said))
            return
        for read in read_item({**item, "id": key}):
            if is_whole and read.text:
                yield self._shown(read)
            else:
                yield ItemDelta(key, ItemKind.TOOL_CALL, "", name, call_id)

    def _result(self, key: str, item: Payload) -> Iterator[TurnEvent]:
        call_id, about = text(item.get("call_id")), table(item.get("metadata"))
        if call_id and call_id in self._hidden:
            return
        if about.get("ui_type") == "VIZ":
            yield self._shown(Item(key, ItemKind.NOTICE, _chart(about.get("viz_definition"))))
            return
        is_bad = item.get("status") in ("failed", "incomplete", "error")
        for read in read_item({**item, "id": key}):
            said = _rows(about.get("result_data")) if about.get("ui_type") == "QUERY_EXECUTION" else ""
            if said or read.text:
                state = ItemState.FAILED if is_bad else ItemState.NONE
                yield self._shown(replace(read, text=said or read.text, state=state))

    def _shown(self, item: Item) -> ItemWhole:
        self._has_shown = True
        if item.kind is ItemKind.MESSAGE:
            self._said[item.key] = item.text
        return ItemWhole(item)

    def _completed(self, response: Payload, kind: str) -> Iterator[TurnEvent]:
        status = text(response.get("status"))
        if status not in ("", "completed") or kind in ("response.failed", "response.incomplete"):
            said = f"the answer ended as {status or kind.removeprefix('response.')}"
            error = response.get("error")
            raise Rejected(_failure({"error": error}) if error else Reply(0, said), in_stream=True)
        if not self._has_shown:
            events = f"{self._count} event{'s' if self._count != 1 else ''}"
            raise Refused(
                f"{self._host} ended without an answer (received {events}).",
                hint="its interface may have changed; --raw shows what it sends",
            )
        if response.get("conversation_id"):
            yield ConversationIssued(check_id(response["conversation_id"], self._host))
        self.over = True
        yield Finished()


def _holds(said: str, answer: str) -> bool:
    """Whether a text holds all lines of an answer as lines of its own: what is short stands within many others."""
    return f"\n{_trimmed(answer)}\n" in f"\n{_trimmed(said)}\n"


def _trimmed(said: str) -> str:
    return "\n".join(line.strip() for line in said.strip().splitlines())


def clean(said: str) -> str:
    """Text without what only Genie's own page can show: charts go, other embedded things become the text they hold."""
    pieces: list[str] = []
    at, in_chart = 0, False
    for marker in _MARKER.finditer(said):
        begins, is_chart = marker[1] == "begin", marker[2].startswith("viz_")
        if in_chart and (begins or not is_chart):
            continue
        if not in_chart:
            pieces.append(said[at : marker.start()])
        in_chart = begins and is_chart
        at = marker.end()
        if (begins or is_chart) and said.startswith("\n", at):
            at += 1
    # A chart that never ends hides nothing.
    pieces.append(_MARKER.sub("", said[at:]))
    return _CHART.sub("", "".join(pieces)).strip("\n")


def _failure(payload: Payload) -> Reply:
    """The error in an event; all that came, where its shape is not known."""
    reply = read_error(error_of(payload))
    return replace(reply, message=reply.message or reply.code or plain(payload)[:500])


def _parsed(value: object) -> Payload:
    """A JSON object that may come as text."""
    if not isinstance(value, str):
        return table(value)
    try:
        return table(parse_json(value))
    except ValueError:
        return {}


def _questions(arguments: Payload) -> str:
    """What the user is asked, as a list in Markdown; empty where that cannot be told."""
    lines: list[str] = []
    for number, question in enumerate(rows(arguments.get("questions")), 1):
        asked = f"{number}. {text(question.get('question'))}"
        lines.append(asked + (" (yes / no)" if question.get("type") == "confirmation" else ""))
        for choice in rows(question.get("choices")):
            label, more = text(choice.get("label")), text(choice.get("description"))
            lines.append(f"   - {label}: {more}" if more else f"   - {label}")
    return "\n".join(lines)


def _rows(data: object) -> str:
    """The rows of a query, every one as wide as the widest; empty where there are no columns."""
    named = table(data).get("columns")
    columns = [_column(column) for column in named] if isinstance(named, list) else []
    if not columns:
        return ""
    given = table(data).get("preview_rows")
    found = [row if isinstance(row, list) else [row] for row in given] if isinstance(given, list) else []
    width = max([len(columns), *map(len, found)])
    columns += [""] * (width - len(columns))
    filled = [[*row, *[""] * (width - len(row))] for row in found]
    return plain({"columns": columns, "rows": filled})


def _column(column: Any) -> str:
    return column if isinstance(column, str) else text(table(column).get("name"))


def _chart(definition: object) -> str:
    """Which chart there is, in words."""
    spec = table(_parsed(definition).get("renderSpec"))
    kind, title = text(spec.get("widgetType")), text(table(spec.get("frame")).get("title"))
    axes = table(spec.get("encodings"))
    fields = [_field(table(axes.get(axis))) for axis in ("y", "x")]
    over = " by ".join(field for field in fields if field)
    about = ": ".join(part for part in (kind, over) if part)
    return "A chart is not drawn here" + (f": “{title}”" if title else "") + (f" ({about})" if about else "") + "."


def _field(axis: Payload) -> str:
    names = [text(axis.get("fieldName")), *(text(one.get("fieldName")) for one in rows(axis.get("fields")))]
    return ", ".join(name for name in names if name)
