"""The transcript in the window: it scrolls, its messages are stepped through, its text is selected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.app.driving import window
from tests.fake_server import PROFILE, completed, delta
from tui.app.widgets.key_bar import KeyBar
from tui.credentials import KeySource


async def test_scrolling_away_from_a_growing_answer_and_back(history: Path) -> None:
    async with window(history) as w:
        await w.send("hello")
        exchange = (await w.server.request()).respond()
        for number in range(50):
            exchange.event(delta(f"Line {number}.\n\n"))
        await w.until(lambda: "Line 49." in w.transcript)
        await w.press("pageup")
        assert not w.screen.transcript.following
        seen = w.transcript
        exchange.event(delta("Line 50.\n\n"))
        await w.until(lambda: "↓ new text" in w.picture)
        assert w.transcript == seen
        await w.press("end")
        await w.until(lambda: "Line 50." in w.transcript)
        assert "↓ new text" not in w.picture
        exchange.event(delta("Line 51.\n\n"))
        await w.until(lambda: "Line 51." in w.transcript)


async def test_what_is_scrolled_to_is_painted(history: Path) -> None:
    """Also where nothing else changes: not the length of the whole, and no turn that is on its way."""
    async with window(history) as w:
        for number in range(3):
            text = "\n\n".join(f"Line {line} of answer {number}." for line in range(30))
            await w.exchange(f"question {number}", text, f"resp_{number}")
        await w.press("ctrl+n")
        await w.until(lambda: w.label == "chat-2")
        await w.exchange("elsewhere", "Short.", "resp_9")
        await w.press("alt+down")
        await w.until(lambda: "Line 29 of answer 2" in w.picture)
        for key in ["pageup"] * 7 + ["pagedown"] * 7 + ["tab", "home", "end", "pageup", "pageup"]:
            await w.press(key)
            shown = [line for line in w.transcript.splitlines() if line.strip()]
            assert all(line.strip() in w.picture for line in shown), key


async def test_a_click_on_the_mark_goes_to_the_new_text(history: Path) -> None:
    async with window(history) as w:
        await w.send("hello")
        exchange = (await w.server.request()).respond()
        exchange.event(delta("".join(f"Line {number}.\n\n" for number in range(50))))
        await w.until(lambda: "Line 49." in w.transcript)
        await w.press("pageup")
        exchange.event(delta("Line 50.\n\n"))
        await w.until(lambda: "↓ new text" in w.picture)
        view = w.screen.transcript
        await w.pilot.click(view, offset=(view.size.width - 6, view.size.height - 1))
        await w.until(lambda: "Line 50." in w.transcript)


async def test_stepping_copying_and_code(history: Path) -> None:
    text = "Some *words*.\n\n```python\nprint('one')\n```\n\nMore.\n\n```sh\n\techo two\n```\n"
    async with window(history) as w:
        await w.exchange("hello", text)
        await w.press("tab")
        await w.press("y")
        assert w.app.clipboard == text
        await w.press("u")
        assert w.app.clipboard == "print('one')\n"
        assert "code block 1 of 2" in w.status
        await w.press("u")
        assert w.app.clipboard == "\techo two\n"
        await w.press("up", "y")
        assert w.app.clipboard == "hello"
        await w.press("escape")
        assert w.screen.focused is w.screen.prompt


async def test_code_is_that_of_the_newest_answer_that_has_any_unless_one_is_chosen(history: Path) -> None:
    async with window(history) as w:
        keys = w.screen.query_one(KeyBar)
        await w.exchange("none", "No code.")
        await w.press("tab")
        assert "Copy code" not in keys.text
        await w.press("u")
        assert (w.app.clipboard, "No code here" in w.status) == ("", True)
        await w.exchange("some", "```sh\necho one\n```\n\n```sh\necho two\n```\n", "resp_2")
        await w.exchange("thanks", "You are welcome.", "resp_3")
        await w.press("tab")
        assert "u Copy code" in keys.text
        await w.press("u")
        assert (w.app.clipboard, "code block 1 of 2" in w.status) == ("echo one\n", True)
        await w.press("u")
        assert w.app.clipboard == "echo two\n"
        await w.press("up", "u")
        assert (w.app.clipboard, "No code here" in w.status) == ("echo two\n", True)
        assert "Copy code" not in keys.text
        await w.press("up", "u")
        assert w.app.clipboard == "echo one\n"


async def test_folded_parts_unfold(history: Path) -> None:
    call = {"type": "function_call", "id": "f", "call_id": "c", "name": "look", "arguments": '{"where": "here"}'}
    result = {"type": "function_call_output", "id": "o", "call_id": "c", "output": "found it"}
    async with window(history) as w:
        await w.send("hello")
        exchange = (await w.server.request()).respond()
        exchange.event({"type": "response.output_item.done", "output_index": 0, "item": call})
        exchange.event({"type": "response.output_item.done", "output_index": 1, "item": result})
        exchange.event(delta("Done.")).event(completed("Done.")).end()
        await w.until(lambda: "done in" in w.status and "Done." in w.transcript)
        assert '▸ look {"where": "here"} → found it' in w.transcript
        await w.press("tab", "up", "enter")
        assert "▾ look" in w.transcript
        assert '"where": "here"' in w.transcript
        await w.press("enter")
        assert "▾ look" not in w.transcript
        line = next(number for number, text in enumerate(w.transcript.splitlines()) if "▸ look" in text)
        await w.pilot.click(w.screen.transcript, offset=(6, line))
        await w.pilot.pause()
        assert "▾ look" in w.transcript


async def test_text_is_selected_with_the_mouse_and_copied(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "The quick **brown** fox jumps.")
        view = w.screen.transcript
        line = next(number for number, text in enumerate(w.transcript.splitlines()) if "quick" in text)
        await w.pilot.mouse_down(view, offset=(6, line))
        await w.pilot.hover(view, offset=(16, line))
        await w.pilot.mouse_up(view, offset=(16, line))
        await w.pilot.pause()
        assert w.screen.get_selected_text() == "quick brown"
        await w.press("ctrl+c")
        assert w.app.clipboard == "quick brown"
        assert "Copied 11 characters" in w.status


@pytest.mark.fault("K07")
async def test_a_key_is_masked_in_what_is_copied(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "sk-other-0d9e3b77")
    profiles = (
        replace(PROFILE, key=KeySource("command", ("printf", "sk-asked-51c0a277"))),
        replace(PROFILE, name="other", key=KeySource("env", ("OTHER_KEY",))),
    )
    text = "It is sk-asked-51c0a277.\n\n```sh\nexport KEY=sk-other-0d9e3b77\n```\n"
    async with window(history, *profiles) as w:
        await w.exchange("mine is sk-other-0d9e3b77", text)
        await w.press("tab", "y")
        assert w.app.clipboard == "It is ***.\n\n```sh\nexport KEY=***\n```\n"
        assert "Copied the message (37 characters), a key in it as ***" in w.status
        await w.press("u")
        assert w.app.clipboard == "export KEY=***\n"
        await w.press("up", "y")
        assert w.app.clipboard == "mine is ***"
        view = w.screen.transcript
        line = next(number for number, text in enumerate(w.transcript.splitlines()) if "It is" in text)
        await w.pilot.mouse_down(view, offset=(2, line))
        await w.pilot.hover(view, offset=(26, line))
        await w.pilot.mouse_up(view, offset=(26, line))
        await w.pilot.pause()
        await w.press("ctrl+c")
        assert w.app.clipboard == "It is ***."
        assert "Copied 10 characters, a key in it as ***" in w.status
        # What is being typed is the user's own.
        await w.press("escape")
        await w.type("sk-other-0d9e3b77")
        w.screen.prompt.select_all()
        await w.press("ctrl+c")
        assert w.app.clipboard == "sk-other-0d9e3b77"
        assert "Copied 17 characters" in w.status
        assert "as ***" not in w.status
