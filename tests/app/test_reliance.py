"""What Palaver relies on in Textual that Textual does not promise. Each test fails when that changes."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from rich.segment import Segment
from textual import constants
from textual.app import App
from textual.color import Color
from textual.drivers import linux_driver
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.reactive import Reactive
from textual.screen import Screen
from textual.scroll_view import ScrollView
from textual.widget import Widget
from textual.widgets import Static

from tests.app.driving import window
from tests.payloads import payloads
from tui.app.driver import Driver, Writer, install
from tui.app.gate import Gate
from tui.app.screens.chat import ChatScreen
from tui.app.transcript.view import TranscriptView
from tui.app.widgets.key_bar import KeyBar
from tui.app.widgets.prompt import Prompt
from tui.app.widgets.sidebar import Sidebar
from tui.app.widgets.status_bar import StatusBar
from tui.text import FORBIDDEN


def test_a_layout_sends_its_screen_the_size_it_is_laid_out_for() -> None:
    source = inspect.getsource(Screen._refresh_layout)
    assert "hidden, shown, resized = self._compositor.reflow(self, size)" in source
    assert "widget.post_message(" in source
    assert "self._refresh_layout(size)" in inspect.getsource(Screen._screen_resized)


def test_what_is_removed_is_told_from_what_is_hidden_where_both_lose_the_focus() -> None:
    assert "screen._reset_focus(screen.focused, list(pruning_nodes))" in inspect.getsource(App._prune)
    assert "node._pruning = True" in inspect.getsource(App._prune)
    assert "self.blur()" in inspect.getsource(Widget._on_hide)
    assert "self.screen._reset_focus(self)" in inspect.getsource(Widget.blur)


def test_the_driver_writes_through_our_thread() -> None:
    assert linux_driver.WriterThread in (WriterThread, Writer)
    source = inspect.getsource(LinuxDriver.start_application_mode)
    assert "WriterThread(self._file)" in source
    assert install() is Driver
    assert linux_driver.WriterThread is Writer
    for name in ("start", "write", "flush", "isatty", "fileno", "stop"):
        assert hasattr(WriterThread, name) == hasattr(Writer, name) or name == "start"


def test_the_driver_reads_keys_where_we_replace_it() -> None:
    assert "self.run_input_thread()" in inspect.getsource(LinuxDriver._run_input_thread)
    assert "exit_event" in inspect.getsource(LinuxDriver.disable_input)
    assert isinstance(constants.ESCAPE_DELAY, float)


def test_mistakes_come_to_the_place_we_replace() -> None:
    assert hasattr(App, "_handle_exception")
    assert hasattr(App, "_close_messages_no_wait")
    assert list(inspect.signature(App._handle_exception).parameters) == ["self", "error"]


@pytest.mark.parametrize("widget", [TranscriptView, Sidebar, Prompt, StatusBar, KeyBar, ChatScreen])
def test_our_attributes_do_not_hide_textuals(widget: type[Widget]) -> None:
    """A private name of ours that Textual uses as well breaks in ways no one would guess."""
    base = next(cls for cls in widget.__mro__ if cls.__module__.startswith("textual"))
    own = set(vars(widget())) if widget is not ChatScreen else set()
    theirs = set(vars(base())) | {name for cls in base.__mro__ for name in vars(cls)}
    theirs -= {name for name in theirs if isinstance(inspect.getattr_static(base, name, None), Reactive)}  # settings
    source = inspect.getsource(widget.__init__)
    ours = {name for name in own | theirs if f"self.{name} =" in source or f"self.{name}:" in source}
    assert not ours & theirs


async def test_the_gate_is_before_the_terminal_for_every_widget(history: Path) -> None:
    async with window(history) as w:
        assert any(isinstance(one, Gate) and one.enabled for one in w.app.get_line_filters())
        for payload in payloads()[::8]:
            evil = Static(payload, markup=False)
            await w.screen.mount(evil, before=0)
            await w.pilot.pause()
            assert not FORBIDDEN.search(w.picture.replace("\n", ""))
            await evil.remove()


def test_the_gate_leaves_clean_lines_alone() -> None:
    line = [Segment("plain"), Segment("naïve 日本 👩‍👩‍👧")]
    assert Gate().apply(line, Color(0, 0, 0)) is line
    evil = [Segment("a\x1b]0;x\x07b"), Segment("c\u202ed"), Segment("     ")]
    assert "".join(one.text for one in Gate().apply(evil, Color(0, 0, 0))) == "a�]0;x�bc�d  "


def test_the_scrollbar_is_moved_without_a_layout() -> None:
    for name in ("virtual_size", "scroll_y", "scroll_target_y"):
        assert hasattr(ScrollView, name)
    assert hasattr(Screen, "active_bindings")
    assert hasattr(Screen, "bindings_updated_signal") or "bindings_updated_signal" in inspect.getsource(Screen.__init__)
