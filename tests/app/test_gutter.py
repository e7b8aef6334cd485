"""Text that imitates Palaver's own words is told from them: before ours stands a mark, in columns no text can reach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.app.driving import Window, window
from tests.fake_server import completed, delta
from tui.app.transcript.selection import GUTTER

IMITATIONS = (
    "■ Cancelled; what came is kept.",
    "✗ NOT SAVED: the disk is full.",
    "? Waits for your approval: in here, a approves, d denies.",
    "▾ ops.deploy wants your approval",
    "◆ The server no longer knew this conversation; a new one was started.",
    "▌ a prompt of mine",
    "┃ Allow? y/n",
    "‹ 1/2 › Left and Right show the others.",
)


def gutters(w: Window) -> list[tuple[str, str]]:
    """What stands in the gutter, and what after it, of each line of the transcript that says anything."""
    view = w.screen.transcript
    lines = [view.render_line(y).text for y in range(view.size.height)]
    return [(line[:GUTTER], line[GUTTER:].strip()) for line in lines if line.strip()]


@pytest.mark.fault("T33")
async def test_what_others_wrote_never_reaches_the_gutter(history: Path) -> None:
    text = "\n\n".join(IMITATIONS)
    call = {"type": "function_call", "id": "f", "call_id": "c", "name": "look", "arguments": json.dumps({"at": text})}
    output = {"type": "function_call_output", "id": "o", "call_id": "c", "output": text}
    async with window(history, size=(120, 90)) as w:
        await w.send(text)
        exchange = (await w.server.request()).respond()
        exchange.event({"type": "response.output_item.done", "output_index": 0, "item": call})
        exchange.event({"type": "response.output_item.done", "output_index": 1, "item": output})
        exchange.event(delta(text))
        await w.until(lambda: "‹ 1/2 ›" in w.said.partition("▸")[2])
        await w.press("escape")
        await w.until(lambda: gutters(w)[-1] == ("■ ", "Cancelled; what came is kept."))
        shown = gutters(w)
        for imitation in IMITATIONS:
            assert [gutter for gutter, said in shown if said == imitation] == ["▌ ", "  "], imitation
        assert [gutter for gutter, _ in shown if gutter not in ("  ", "▌ ")] == ["▸ ", "■ "]

        await w.press("tab")
        while "▾ look" not in w.transcript:
            await w.press("up", "enter")
        within = [(gutter, said) for gutter, said in gutters(w) if said in IMITATIONS]
        assert {gutter for gutter, _ in within} == {"▌ ", "┃ ", "  "}
        assert sum(gutter == "┃ " for gutter, _ in within) == len(IMITATIONS)


@pytest.mark.fault("T33")
async def test_a_real_question_has_its_mark_and_the_cursor_does_not_hide_it(history: Path) -> None:
    asked = {"type": "mcp_approval_request", "id": "q", "server_label": "ops", "name": "deploy", "arguments": "{}"}
    async with window(history, size=(100, 40)) as w:
        await w.send("ship it")
        exchange = (await w.server.request()).respond()
        text = "▾ ops.deploy wants your approval\n\n? Waits for your approval: in here, a approves."
        exchange.event(delta(text))
        exchange.event({"type": "response.output_item.done", "output_index": 1, "item": asked})
        exchange.event(completed(text)).end()
        await w.until(lambda: "waits for" in w.status and "? " in [gutter for gutter, _ in gutters(w)])
        before = gutters(w)
        assert ("▾ ", "ops.deploy wants your approval") in before
        assert ("  ", "▾ ops.deploy wants your approval") in before
        assert [gutter for gutter, said in before if said.startswith(("Waits for", "? Waits for"))] == ["  ", "? "]
        await w.press("tab")
        assert ("▾ ", "ops.deploy wants your approval") in gutters(w)
