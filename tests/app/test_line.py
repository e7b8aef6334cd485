"""Fields of one line: where the cursor is, is seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from tests.app.driving import window

LONG = f"{'a label far too long for its field ' * 4}with an end"


@pytest.mark.parametrize("key", ["ctrl+o", "ctrl+r", "f2"])
async def test_the_end_of_a_long_paste_is_seen(history: Path, key: str) -> None:
    async with window(history, size=(80, 30)) as w:
        await w.send("hello")
        await w.press(key)
        await w.until(lambda: w.app.focused is not None and w.app.screen is not w.screen)
        w.app.post_message(events.Paste(LONG))
        await w.until(lambda: "with an end" in w.picture)
