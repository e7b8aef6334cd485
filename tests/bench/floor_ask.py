"""The floor of `palaver ask`: the same answer, read with asyncio and httpx alone (`python floor_ask.py URL MODEL`)."""

from __future__ import annotations

import asyncio
import json
import sys

# As the program does it: httpx imports its own command line where it can.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

import httpx  # noqa: E402


async def ask(url: str, model: str) -> None:
    """Print an answer as it comes."""
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    async with (
        httpx.AsyncClient(trust_env=False, verify=False) as client,
        client.stream("POST", f"{url}/v1/chat/completions", json=body) as response,
    ):
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:]).get("choices", ()):
                    sys.stdout.write(choice.get("delta", {}).get("content") or "")
                    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(ask(*sys.argv[1:]))
