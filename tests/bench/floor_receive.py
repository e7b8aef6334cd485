"""Receives a stream with httpx and does nothing with it: the floor of streaming. Prints the CPU seconds it took."""

import asyncio
import sys
import time

import httpx


async def main() -> None:
    url, model = sys.argv[1:]
    async with httpx.AsyncClient(timeout=300) as client:
        began = time.process_time()
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "go"}]}
        async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as reply:
            async for _ in reply.aiter_raw():
                pass
    print(time.process_time() - began)


if __name__ == "__main__":
    asyncio.run(main())
