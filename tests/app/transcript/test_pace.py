"""A key comes before what streams, and does not hold it back for long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.app.driving import window
from tests.fake_server import completed, delta
from tui.app.transcript.pace import LONGEST_REST

LONG = "\n\n".join(f"Paragraph {number} with **strong** words and `code`." for number in range(40))


async def test_a_key_comes_before_what_streams(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("first", LONG)
        await w.send("second")
        exchange = await w.server.request()
        exchange.respond().event(delta("One word "))
        await w.until(lambda: "One word" in w.transcript)
        view, turn = w.screen.transcript, w.talk.turns[-1]
        pace = view.pace
        await w.until(lambda: pace._tick is None)
        pace._busy_until = 0.0

        pace.make_way()
        view.put([replace(turn, items=(replace(turn.items[0], text="One word more"),))])
        assert "One word more" not in w.transcript
        assert pace._tick is not None
        await w.until(lambda: "One word more" in w.transcript)

        await w.until(lambda: pace._tick is None)
        pace.make_way()
        view.put([replace(turn, items=(replace(turn.items[0], text="One word more, and another"),))])
        assert pace._tick is not None
        # Someone keeps a key pressed all the time.
        pace._wanted_at -= LONGEST_REST
        pace._paint_timed()
        assert "and another" in w.transcript
        exchange.event(completed("One word more, and another")).end()
        await w.until(lambda: not w.talk.chat.running())


async def test_a_key_pressed_is_told_to_the_transcript(history: Path) -> None:
    async with window(history) as w:
        before = w.screen.transcript.pace._pressed_at
        await w.press("x")
        assert w.screen.transcript.pace._pressed_at > before
