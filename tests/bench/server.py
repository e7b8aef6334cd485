"""A server on loopback that streams at a given rate, in a process of its own: `python -m tests.bench.server`.

The model's name says what comes: shape, characters, tokens per second, such as `mixed-80000-1000`. It speaks Chat
Completions and Ollama's chat. `/stats` tells of every answer when it began, when its last token left, and when the
connection was seen to be closed (seconds of the monotonic clock).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from types import TracebackType
from typing import Any

from tests.bench import texts
from tests.bench.program import ROOT

END = "ENDOFANSWER"

_DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "1B",
    "quantization_level": "Q4",
}
MODELS = ("mixed-400-1000", "mixed-2000-1000", "mixed-20000-1000", "mixed-80000-1000", "mixed-400000-5000")
"""Those that are listed: some programs talk to no other."""


class Stand:
    """The server's process, seen from the one that measures."""

    def __enter__(self) -> Stand:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.server"], stdout=subprocess.PIPE, cwd=ROOT, text=True
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def stats(self) -> list[dict[str, Any]]:
        """What is known of every answer so far, oldest first."""
        with urllib.request.urlopen(f"{self.url}/stats", timeout=10) as reply:
            found: list[dict[str, Any]] = json.load(reply)
        return found

    def newest(self, after: int, key: str, seconds: float = 10.0) -> dict[str, Any]:
        """The answer that came after `after` others, once it has `key`; what there is of it, when that takes too long."""
        deadline = time.monotonic() + seconds
        while True:
            known = self.stats()
            if len(known) > after and key in known[after]:
                return known[after]
            if time.monotonic() > deadline:
                return known[after] if len(known) > after else {}
            time.sleep(0.02)


def _openai(model: str, token: str, last: bool) -> bytes:
    choice = {"index": 0, "delta": {} if last else {"content": token}, "finish_reason": "stop" if last else None}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n".encode() + (b"data: [DONE]\n\n" if last else b"")


def _ollama(model: str, token: str, last: bool) -> bytes:
    line: dict[str, Any] = {"model": model, "created_at": "2025-01-01T00:00:00Z", "done": last}
    line["message"] = {"role": "assistant", "content": token}
    if last:
        counts = ("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count")
        line |= dict.fromkeys((*counts, "eval_duration"), 1) | {"done_reason": "stop"}
    return json.dumps(line).encode() + b"\n"


@lru_cache(16)
def _pieces(model: str, write: Callable[[str, str, bool], bytes]) -> tuple[list[bytes], int]:
    """An answer as pieces of the wire, and how many of them leave in a second."""
    shape, characters, rate = model.split(":")[0].rsplit("-", 2)
    text = f"{texts.long_answer(shape, int(characters))}\n\n{END}\n"
    pieces = [write(model, token, False) for token in texts.tokens(text)] + [write(model, "", True)]
    return [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces], int(rate)


class _Server:
    def __init__(self) -> None:
        self.answers: list[dict[str, float | str | int]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        body = await reader.readexactly(int(headers.get("content-length") or 0))
        path = first.split(" ")[1].partition("?")[0].rstrip("/")
        asked = json.loads(body) if body else {}
        if path.endswith(("/chat/completions", "/api/chat")):
            if asked.get("stream", path == "/api/chat"):
                write = _ollama if path == "/api/chat" else _openai
                await self._stream(str(asked["model"]), write, reader, writer)
                return False
            message = {"role": "assistant", "content": "A title"}
            self._tell(writer, {"id": "c", "object": "chat.completion", "created": 1, "model": asked.get("model"),
                                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                                "message": message, "done": True})  # fmt: skip
        else:
            self._tell(writer, self._facts(path))
        await writer.drain()
        return True

    def _facts(self, path: str) -> Any:
        match path.rpartition("/")[2]:
            case "stats":
                return self.answers
            case "models":
                return {"object": "list", "data": [{"id": name, "object": "model", "created": 1} for name in MODELS]}
            case "tags":
                return {"models": [{"name": name, "model": name, "modified_at": "2025-01-01T00:00:00Z", "size": 1,
                                    "digest": "d" * 64, "details": _DETAILS} for name in MODELS]}  # fmt: skip
            case "show":
                return {"details": _DETAILS, "capabilities": ["completion"], "modelfile": "", "template": "",
                        "modified_at": "2025-01-01T00:00:00Z",
                        "model_info": {"llama.context_length": 131072, "general.architecture": "llama"}}  # fmt: skip
            case "version":
                return {"version": "0.99.0"}
            case _:
                return {"models": []}

    def _tell(self, writer: asyncio.StreamWriter, value: Any) -> None:
        body = json.dumps(value).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )

    async def _stream(
        self,
        model: str,
        write: Callable[[str, str, bool], bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        pieces, rate = _pieces(model, write)
        kind = b"application/x-ndjson" if write is _ollama else b"text/event-stream"
        about: dict[str, float | str | int] = {"model": model, "tokens": len(pieces)}
        self.answers.append(about)
        gone = asyncio.ensure_future(reader.read(1))
        gone.add_done_callback(lambda _: about.__setitem__("closed", time.monotonic()))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n" % kind)
        began = time.monotonic()
        about["first"] = began
        sent = 0
        try:
            while sent < len(pieces) and not gone.done():
                due = min(len(pieces), int((time.monotonic() - began) * rate) + 1)
                if due > sent:
                    writer.write(b"".join(pieces[sent:due]))
                    await writer.drain()
                    sent = due
                    about["half" if sent * 2 >= len(pieces) and "half" not in about else "sent"] = time.monotonic()
                await asyncio.sleep(max(0.001, began + sent / rate - time.monotonic()))
            if sent == len(pieces):
                about["last"] = time.monotonic()
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        except ConnectionError:
            about.setdefault("closed", time.monotonic())
        gone.cancel()


async def _main() -> None:
    handler = _Server()
    server = await asyncio.start_server(handler.serve, "127.0.0.1", 0, limit=1 << 24)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
