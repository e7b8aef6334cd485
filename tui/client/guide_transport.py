"""The way from httpx to guide: a transport that ends in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from tui.client.library import httpx
from tui.guide.server import GuideServer


class GuideTransport(httpx.AsyncBaseTransport):
    """Hands requests to a guide server. Closing the answer's stream stops it."""

    def __init__(self, server: GuideServer | None = None) -> None:
        self._server = server or GuideServer()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._server.handle(request.method, request.url.path, await request.aread())
        headers = {"content-type": answer.content_type}
        return httpx.Response(answer.status, headers=headers, stream=_Stream(answer.chunks))


class _Stream(httpx.AsyncByteStream):
    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        # The very generator that is closed below: httpx closes none that it is given.
        return self._chunks

    async def aclose(self) -> None:
        await self._chunks.aclose()
