"""JSON, events and errors as servers written with Go's Echo put them on the wire."""

from __future__ import annotations

import json

from tests.servers.base import Answer

_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def go_json(value: object) -> str:
    """A value as Go's encoder writes it: without blanks, and with nothing in it that a web page would obey."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate({ord(char): escaped for char, escaped in _ESCAPED.items()})


def go_event(value: object) -> bytes:
    return f"data: {go_json(value)}\n\n".encode()


def go_answer(value: object, status: int = 200, **headers: str) -> Answer:
    """A whole answer, with the line end Echo puts after it."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, {"content-type": "application/json"} | named, f"{go_json(value)}\n".encode())


def message(status: int, text: str, **headers: str) -> Answer:
    """An error in the framework's own envelope."""
    return go_answer({"message": text}, status, **headers)


def not_found() -> Answer:
    return message(404, "Not Found")
