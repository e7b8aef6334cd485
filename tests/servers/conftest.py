"""What tests of servers get."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chatting import Chatting, chatting
from tests.servers.base import Running


@pytest.fixture
async def t(request: pytest.FixtureRequest, server: Running, history: Path) -> AsyncIterator[Chatting]:
    """A chat with the module's `server`, under what its `profile_of` makes of that."""
    async with chatting(history, request.module.profile_of(server)) as made:
        yield made
