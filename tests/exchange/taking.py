"""Importing into a chat, for the tests of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tui.chat import Chat
from tui.exchange import Outcome


async def take_in(chat: Chat, *files: Path, label: str = "") -> list[Outcome]:
    """Import files, to the end."""
    return [outcome async for outcome in chat.exchange.take_in(files, label)]


def written(file: Path, content: Any) -> Path:
    """`content` in a file: bytes and text as they are, all else as JSON."""
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file
