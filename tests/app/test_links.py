"""A link is shown in full before it is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.driving import window
from tui.app.widgets.dialogs import ConfirmDialog


@pytest.mark.fault("T15", "T16", "K06")
async def test_a_link_is_shown_in_full_before_it_is_opened(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser is a program that notes what it was given: the address, and no key."""
    browser, note = tmp_path / "browser", tmp_path / "note"
    browser.write_text(f'#!/bin/sh\n{{ echo "$@"; env; }} >> {note}\n')
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(browser))
    text = "[http://good.example](http://evil.example/x) and [code](vscode://file/etc)"
    async with window(history) as w:
        await w.exchange("hello", text)
        view = w.screen.transcript
        line = next(number for number, text in enumerate(w.transcript.splitlines()) if "good" in text)
        await w.pilot.hover(view, offset=(6, line))
        await w.until(lambda: "http://evil.example/x" in w.status)
        await w.pilot.click(view, offset=(6, line))
        await w.until(lambda: isinstance(w.app.screen, ConfirmDialog))
        assert "http://evil.example/x" in w.picture
        await w.press("escape")
        assert not note.exists()
        await w.pilot.click(view, offset=(6, line))
        await w.until(lambda: isinstance(w.app.screen, ConfirmDialog))
        await w.press("enter")
        await w.until(lambda: "Opened in the browser" in w.status)
        given = note.read_text().splitlines()
        assert given[0] == "http://evil.example/x"
        assert f"HOME={tmp_path / 'home'}" in given
        assert not [line for line in given if "CANARY" in line]
        place = w.transcript.splitlines()[line].index("code") + 2
        await w.pilot.click(view, offset=(place, line))
        await w.pilot.pause()
        assert not isinstance(w.app.screen, ConfirmDialog)
        assert note.read_text().splitlines() == given


@pytest.mark.fault("T15")
@pytest.mark.parametrize("size", [(80, 24), (40, 10)])
async def test_where_a_link_goes_is_seen_however_long_it_is(size: tuple[int, int], history: Path) -> None:
    async with window(history, size=size) as w:
        w.screen._links.open(f"https://evil.example/{'A' * 1900}/end")
        await w.until(lambda: isinstance(w.app.screen, ConfirmDialog))
        assert "Open evil.example?" in w.picture
        assert "Enter opens it" in w.picture
