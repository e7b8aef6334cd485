"""The end of an asyncio server that listens, with no socket left open."""

from __future__ import annotations

import asyncio


async def stop_listening(server: asyncio.Server) -> None:
    """Close a server. Connections it has accepted are handed to their callback first.

    Before Python 3.12 one that is on its way there when its server closes is left open: its transport asserts that the
    server still has its sockets.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(10):
        await asyncio.sleep(0)
    server.close()
