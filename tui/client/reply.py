"""What a server said when it did not answer: every known shape of error body, read by one function."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tui.client.sse import Decoder
from tui.patterns import pattern
from tui.values import dataclass

BODY_LIMIT = 64 * 1024
"""How much of an error body is read, in bytes."""

MESSAGE_LIMIT = 2000
"""How much of a message is kept, in characters. Less of it is shown, once the key has been taken out of it."""

_WORD_LIMIT = 200
_MARKUP = pattern(r"(?is)\s*(<!doctype|<html|<\?xml|<head|<body|<!--)")
_MILLISECONDS = pattern(r"[0-9]{1,11}(\.[0-9]{1,9})?")
_EVENTS = pattern(r"(data|event|id|retry)?:")


class Rejected(Exception):
    """The server refused a request, or ended an answer with an error. `in_stream`: it had begun to answer."""

    def __init__(self, reply: Reply, *, in_stream: bool = False) -> None:
        super().__init__(reply.message)
        self.reply = reply
        self.in_stream = in_stream


@dataclass(frozen=True, slots=True)
class Reply:
    """An error as the server put it.

    `status` is the HTTP status, or for errors inside a stream the one its code stands for (0 if none). `form` is
    "json", "html", "text" or "empty". `retry_after` and `should_retry` are headers, where there were any.
    """

    status: int
    message: str = ""
    code: str = ""
    type: str = ""
    param: str = ""
    form: str = "empty"
    retry_after: str | None = None
    should_retry: bool | None = None

    @property
    def text(self) -> str:
        """Everything said, for rules that look for words."""
        return " ".join(part for part in (self.code, self.type, self.param, self.message) if part)


def parse_json(text: str | bytes) -> Any:
    """The JSON value in `text`.

    Raises:
        ValueError: It is not JSON, or is nested or sized beyond reason.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_reply(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
    """The error in an HTTP response's body, whatever its shape or its content type."""
    headers = headers or {}
    should = headers.get("x-should-retry", "").lower()
    reply = _read_body(status, body.decode("utf-8", "replace").lstrip("\ufeff").strip())
    return Reply(
        status=reply.status,
        message=_cut(reply.message),
        code=reply.code,
        type=reply.type,
        param=reply.param,
        form=reply.form,
        retry_after=_retry_after(headers),
        should_retry={"true": True, "false": False}.get(should),
    )


def _retry_after(headers: Mapping[str, str]) -> str | None:
    """How long a server asks to wait, as a header says it; where it says it in milliseconds as well, those are closer."""
    exact = headers.get("retry-after-ms", "").strip()
    if _MILLISECONDS.fullmatch(exact):
        return f"{float(exact) / 1000:.3f}"
    return headers.get("retry-after")


def _read_body(status: int, text: str) -> Reply:
    if not text:
        return Reply(status)
    if _MARKUP.match(text):
        return Reply(status, _title(text), form="html")
    if _EVENTS.match(text):
        event = next(Decoder().feed(f"{text}\n\n".encode()), None)
        text = event.data if event else text
    try:
        value = parse_json(text)
    except ValueError:
        return Reply(status, "" if _is_binary(text) else text, form="text")
    if value is None:
        return Reply(status)
    return read_error(value, status)


def _title(page: str) -> str:
    """A web page's title, found in one pass."""
    from html import unescape

    lower = page.lower()
    start = page.find(">", lower.find("<title")) + 1 if "<title" in lower else 0
    end = lower.find("</title", start) if start else -1
    return unescape(page[start:end]) if end > 0 else ""


def _is_binary(text: str) -> bool:
    """Whether a text is no text, going by its first thousand characters."""
    start = text[:1000]
    return sum(char == "\ufffd" or char < "\t" for char in start) * 10 > len(start)


def read_error(value: Any, status: int = 0) -> Reply:
    """The error in a JSON value, from a body or from an event inside a stream."""
    try:
        return _error(value, status)
    except RecursionError:
        return Reply(status, form="json")


def _error(value: Any, status: int) -> Reply:
    match value:
        case {"error": {"message": _} | {"type": _} | {"code": _} as inner, **rest}:
            told = rest.get("status")
            return _fields(inner, status or (told if isinstance(told, int) and 100 <= told <= 999 else 0))
        case {"error": str() as message}:
            return _fields({**value, "message": message}, status)
        case {"detail": detail}:
            return _detail(detail, status)
        case {"errors": [first, *_]}:
            return _error(first, status)
        case {"status": {"message": _} as inner}:
            return _fields(inner, status)
        case {"message": _} | {"error_code": _}:
            return _fields(value, status)
        case [{"msg": _}, *_]:
            return _detail(value, status)
        case [first, *_] if isinstance(first, dict):
            return _error(first, status)
        case str():
            return Reply(status, _cut(value), form="json")
        case _:
            return Reply(status, _cut(json.dumps(value, ensure_ascii=False)), form="json")


def _fields(value: Mapping[str, Any], status: int) -> Reply:
    message = value.get("message")
    if isinstance(message, Mapping | list):
        message = json.dumps(message, ensure_ascii=False)
    code = value.get("code") if value.get("code") is not None else value.get("error_code")
    return Reply(
        status,
        message=_cut(message if isinstance(message, str) else _word(message)),
        code=_word(code),
        type=_word(value.get("type")),
        param=_word(value.get("param")),
        form="json",
    )


def _detail(detail: Any, status: int) -> Reply:
    match detail:
        case str():
            return Reply(status, _cut(detail), form="json")
        case [{"msg": str() as message} as first, *_]:
            where = first.get("loc")
            place = _word(".".join(str(part) for part in where if part != "body")) if isinstance(where, list) else ""
            return Reply(status, _cut(f"{place}: {message}" if place else message), param=place, form="json")
        case dict():
            return _error({"error": detail} if "message" in detail else detail, status)
        case _:
            return Reply(status, _cut(json.dumps(detail, ensure_ascii=False)), form="json")


def _word(value: Any) -> str:
    """A short field as text, whatever it is."""
    return "" if value is None or isinstance(value, bool) else str(value)[:_WORD_LIMIT]


def _cut(text: str) -> str:
    text = " ".join(text[: 4 * MESSAGE_LIMIT].split())
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"
