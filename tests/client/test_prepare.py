"""What is loaded before a first request, so that it waits for nothing but its server."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, json, sys
from tui.client import Client, Request
from tui.config import Profile

ANSWER = b'data: {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}\\n\\ndata: [DONE]\\n\\n'

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-type: text/event-stream\\r\\nconnection: close\\r\\n\\r\\n" + ANSWER)
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    there = Profile("there", "chat", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    client = Client()
    if sys.argv[1] == "prepared":
        await client.prepare(there)
    known = set(sys.modules)
    events = [type(event).__name__ async for event in client.stream(Request(there, "hello"))]
    print(json.dumps([events[-1], sorted(set(sys.modules) - known)]))

asyncio.run(main())
"""


def loaded(how: str) -> list[str]:
    """The modules that a first request loads."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, timeout=60, check=True)
    last, modules = json.loads(done.stdout)
    assert last == "Finished"
    return list(modules)


@pytest.mark.parametrize(("how", "is_ready"), [("prepared", True), ("not", False)])
def test_a_first_request_loads_nothing_once_the_client_is_prepared(how: str, is_ready: bool) -> None:
    assert (loaded(how) == []) is is_ready
