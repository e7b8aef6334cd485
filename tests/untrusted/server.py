"""A server that says payloads in everything a server can say, as the prompt's first word wants it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.fake_server import completed, delta
from tests.loopback import Call

FAILURES = (
    "message",
    "code",
    "type",
    "text",
    "html",
    "bytes",
    "missing",
    "key",
    "busy",
    "reason",
    "header",
    "late",
    "plain",
    "id",
)
"""Ways for a server to say no, each with the payload in another place."""


def answers(some: list[str]) -> Callable[[Call], None]:
    """What answers a request with these payloads."""

    def answer(call: Call) -> None:
        if call.path.endswith("/models"):
            call.answer(200, {"object": "list", "data": [{"id": one} for one in some]})
            return
        if call.prompt.startswith("Name this conversation") and (named := re.search(r"named (\d+)", call.prompt)):
            call.well(f"T{framed(int(named[1]), some[int(named[1])])}", "resp_t")
            return
        word, *more = call.prompt.split() or ["answer"]
        if word == "named":
            call.well("said")
            return
        if word == "fail":
            _fail(call, more[0], " ".join(some[int(more[1]) : int(more[2])]))
            return
        if word == "finish":
            one = " ".join(some[int(more[0]) : int(more[1])])
            response = {"status": "incomplete", "incomplete_details": {"reason": one}, "model": one}
            call.head().event(delta("it ")).event(
                {"type": "response.incomplete", "response": completed("it", **response)["response"]}
            )
            return
        output = _OUTPUTS.get(word, _markdown)(some)
        text = some[0] if word == "answer" else "said"
        call.head()
        for place, item in enumerate(output):
            call.event({"type": "response.output_item.done", "output_index": place, "item": item})
        call.event(completed(text, "resp_1", model=some[-1], output=output))

    return answer


def is_phrase(text: str) -> bool:
    """Whether a text can stand in the first line of a reply: where there is more than that in it, the reply is none."""
    return not re.search(rb"[\x00\s]", text.encode("latin-1", "replace").replace(b" ", b"").replace(b"\t", b""))


def framed(number: int, payload: str) -> str:
    """A payload between marks by which it is found again."""
    return f"q{number}q{payload}q"


def in_markdown(some: list[str]) -> str:
    """The payloads in every construct of Markdown, and each once as a paragraph of its own."""
    parts = ["\n\n".join(some)]
    for number, one in enumerate(some):
        mark, line = framed(number, one), framed(number, " ".join(one.splitlines()))
        parts += [
            f"p{mark}", f"# h{line}", f"- l{line}", f"> b{line}", f"| t | {line} |\n|---|---|\n| d{line} | x |",
            f"```text\nf{mark}\n```", f"```{line}\nx\n```", f"[n{line}](http://a.example/)", f"[x](http://a.example/{line})",
            f"[y]({line})", f'[z](http://a.example/ "{line}")', f"![i{line}](http://a.example/{line})",
            f"<http://a.example/{line}>", f"`c{line}`", f"<b {line}>", f"**e{line}**", f"[r{number}]: http://a/{line}",
            f"[see][r{number}]",
        ]  # fmt: skip
    return "\n\n".join(parts)


def _message(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": content}


def _call(number: int, name: str, arguments: str, result: str) -> list[dict[str, Any]]:
    call = {"type": "function_call", "id": f"f{number}", "call_id": f"c{number}", "name": name, "arguments": arguments}
    return [call, {"type": "function_call_output", "id": f"o{number}", "call_id": f"c{number}", "output": result}]


def _in_lines(some: list[str], letter: str) -> str:
    return "\n".join(letter + framed(number, one) for number, one in enumerate(some))


def _markdown(some: list[str]) -> list[dict[str, Any]]:
    return [_message(in_markdown(some))]


def _inside(some: list[str]) -> list[dict[str, Any]]:
    """Reasoning, a tool's arguments, results of three kinds."""
    reasoning = {"type": "reasoning", "id": "r1"}
    thought = "\n\n".join(f"r{framed(number, one)}" for number, one in enumerate(some))
    rows = [[f"w{framed(number, one)}"] for number, one in enumerate(some)]
    query = f"select 1 -- {_in_lines(some, 's')}"
    return [
        {**reasoning, "summary": [{"type": "summary_text", "text": thought}]},
        *_call(1, "plain", _in_lines(some, "a"), _in_lines(some, "o")),
        *_call(2, "table", json.dumps({"query": query}), json.dumps({"columns": some[:1], "rows": rows})),
        *_call(3, "json", json.dumps({f"k{some[0]}": some}), json.dumps([*map(list, enumerate(some))])),
        _message("said"),
    ]


def _names(some: list[str]) -> list[dict[str, Any]]:
    """A call of a tool named so, with that as its arguments and its result, for each."""
    calls = [
        _call(number, f"n{framed(number, one)}", f"a{framed(number, one)}", f"o{framed(number, one)}")
        for number, one in enumerate(some)
    ]
    return [*(item for call in calls for item in call), _message("said")]


def _notices(some: list[str]) -> list[dict[str, Any]]:
    """Things no one knows, named so."""
    kinds = [
        {"type": f"x{framed(number, one)}", "id": f"i{number}", "more": f"y{framed(number, one)}"}
        for number, one in enumerate(some)
    ]
    return [*kinds, _message("said")]


def _asks(some: list[str]) -> list[dict[str, Any]]:
    return [
        {"type": "mcp_approval_request", "id": f"a{number}", "name": f"n{framed(number, one)}", "server_label": one,
         "arguments": f"g{framed(number, one)}"}
        for number, one in enumerate(some)
    ]  # fmt: skip


_OUTPUTS = {"answer": _markdown, "inside": _inside, "names": _names, "notices": _notices, "asks": _asks}
KINDS = tuple(_OUTPUTS)
"""The prompts it answers well."""


def _fail(call: Call, way: str, text: str) -> None:
    match way:
        case "message":
            call.answer(400, {"error": {"message": text}})
        case "code":
            call.answer(400, {"error": {"code": text, "message": ""}})
        case "type":
            call.answer(422, {"detail": [{"loc": ["body", text], "msg": text, "type": text}]})
        case "text":
            call.head(400, "text/plain").send(text.encode("utf-8", "replace"))
        case "html":
            call.head(400, "text/html").send(f"<html><title>{text}</title>".encode("utf-8", "replace"))
        case "bytes":
            call.head(400, "text/plain").send(text.encode("latin-1", "replace") * 3)
        case "missing":
            call.answer(404, {"error": {"message": text}})
        case "key":
            call.answer(401, {"error": {"message": text}}, www_authenticate="Basic")
        case "busy":
            call.answer(429, {"error": {"message": text, "code": "insufficient_quota"}})
        case "reason":
            _raw(call, f"HTTP/1.1 418 {text}\r\nconnection: close\r\n\r\n")
        case "header":
            line = " ".join(text.split())
            head = (
                f"content-type: {line}\r\nretry-after: {line}\r\nx-request-id: {line}\r\nlocation: http://a/{line}\r\n"
            )
            _raw(call, f"HTTP/1.1 302 Found\r\n{head}connection: close\r\n\r\n")
        case "late":
            call.head().event(delta("it ")).event({"type": "error", "code": text, "message": text})
        case "id":
            call.head().event(completed("it", f"resp_{text}"))
        case "plain":
            call.head(200, "text/plain").send(text.encode("utf-8", "replace"))
        case _:
            raise ValueError(way)


def _raw(call: Call, text: str) -> None:
    """A reply that no library would let one write."""
    call.send(text.encode("latin-1", "replace"))
