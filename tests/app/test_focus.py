"""What has the focus, whatever becomes of the window."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.driving import SIZE, Window, window
from tui.app.screens.help import HelpScreen

TOO_SMALL = [(38, 24), (80, 9), (20, 6), (1, 1)]

PLACES = {
    "the input": [],
    "the transcript": ["tab"],
    "the sidebar": ["tab", "tab"],
    "the find bar": ["ctrl+f"],
    "a name": ["f2"],
    "the keys": ["f1"],
    "the switcher": ["ctrl+o"],
    "a search": ["ctrl+r"],
    "the commands": ["ctrl+p"],
}


async def resized(w: Window, *sizes: tuple[int, int]) -> None:
    for size in sizes:
        await w.pilot.resize_terminal(*size)
        await w.pilot.pause()


@pytest.mark.parametrize("size", TOO_SMALL)
async def test_typing_goes_on_in_a_window_that_was_too_small(size: tuple[int, int], history: Path) -> None:
    async with window(history) as w:
        await w.type("my draft")
        await resized(w, size, (80, 24))
        await w.type(" goes on")
        assert w.screen.prompt.text == "my draft goes on"
        await w.until(lambda: "Send" in w.picture)
        await w.press("enter")
        assert (await w.server.request()).json["input"][-1]["content"] == "my draft goes on"


@pytest.mark.parametrize("keys", PLACES.values(), ids=PLACES)
async def test_the_focus_stays_in_a_window_that_is_too_small_for_a_while(keys: list[str], history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "An answer.")
        await w.press(*keys)
        focused = w.app.focused
        assert focused is not None
        for size in TOO_SMALL:
            await resized(w, size, SIZE)
            assert w.app.focused is focused
            assert focused.has_focus


async def test_the_focus_behind_a_dialog_stays_as_well(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", "An answer.")
        await w.press("tab", "f1")
        await resized(w, (20, 6))
        await w.press("escape")
        await w.until(lambda: not isinstance(w.app.screen, HelpScreen))
        await resized(w, SIZE)
        assert w.screen.transcript.has_focus


async def test_a_list_over_the_transcript_stays_there_with_the_focus(history: Path) -> None:
    async with window(history, size=(60, 16)) as w:
        await w.press("ctrl+b")
        await resized(w, (38, 24), (60, 16))
        assert w.screen.sidebar.display
        assert w.screen.sidebar.has_focus


@pytest.mark.parametrize("between", [[], [(38, 24)], [(20, 6)]])
async def test_a_sidebar_that_has_no_room_any_more_leaves_the_focus_to_the_input(
    between: list[tuple[int, int]], history: Path
) -> None:
    async with window(history) as w:
        await w.press("tab", "tab")
        assert w.screen.sidebar.has_focus
        await resized(w, *between, (60, 16))
        assert not w.screen.sidebar.display
        await w.type("hello")
        assert w.screen.prompt.text == "hello"


async def test_a_window_that_comes_back_to_its_user_narrower_has_the_focus_in_the_input(history: Path) -> None:
    async with window(history) as w:
        await w.press("tab", "tab")
        w.app.app_focus = False
        await resized(w, (60, 16))
        w.app.app_focus = True
        await w.pilot.pause()
        await w.type("hello")
        assert w.screen.prompt.text == "hello"


async def test_what_is_typed_into_a_window_that_is_too_small_is_not_lost(history: Path) -> None:
    async with window(history, size=(20, 6)) as w:
        await w.type("hel")
        await resized(w, SIZE)
        await w.type("lo")
        assert w.screen.prompt.text == "hello"
