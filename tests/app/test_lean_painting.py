"""The window asks only for the lines that changed, and paints what Textual itself would have drawn."""

from __future__ import annotations

import asyncio
import inspect
import io
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual import events, messages
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual._compositor import Compositor, CompositorUpdate
from textual._queue import Queue
from textual.app import App
from textual.geometry import Region
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import TextArea

from tests.app.driving import Window, window
from tests.fake_server import completed, delta
from tui.app.compositor import paint_changes, put_back
from tui.app.driver import MOST_WAITING, Writer, without_ways
from tui.app.keyboard import is_busy
from tui.app.transcript.painted_view import KEPT_SCREENS
from tui.app.transcript.view import TranscriptView
from tui.app.widgets.sidebar import Sidebar

LONG = "\n\n".join(f"Paragraph {number} with **strong** words and `code`." for number in range(40))


def looks(strip: Strip) -> list[tuple[str, str]]:
    """A line's characters, each with how it looks; what only selections need is left out."""
    return [(char, str(style)) for text, style, _ in strip.discard_meta() for char in text]


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How many lines each kind of widget is asked for meanwhile."""
    asked: Counter[str] = Counter()

    def counting(cls: type[Widget], name: str) -> None:
        real = getattr(cls, name)

        def count(widget: Widget, crop: Region) -> list[Strip]:
            asked[type(widget).__name__] += crop.height
            strips: list[Strip] = real(widget, crop)
            return strips

        patch.setattr(cls, name, count)

    with monkeypatch.context() as patch:
        counting(Widget, "render_lines")
        counting(TranscriptView, "paint_lines")
        yield asked


def assert_painted_as_drawn(w: Window) -> None:
    view = w.screen.transcript
    whole = view.size.region
    view._styles_cache.clear()
    painted = [looks(strip) for strip in view.paint_lines(whole)]
    assert painted == [looks(strip) for strip in view.render_lines(whole)]
    assert "Paragraph" in "".join(char for line in painted for char, _ in line)


async def test_what_is_painted_is_what_is_drawn(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("first", LONG)
        assert_painted_as_drawn(w)
        await w.press("pageup")
        assert_painted_as_drawn(w)
        await w.press("tab", "up", "up")
        assert_painted_as_drawn(w)
        w.screen.transcript.text_select_all()
        await w.pilot.pause()
        assert_painted_as_drawn(w)
        w.screen.clear_selection()
        w.app.theme = "textual-light"
        await w.pilot.pause()
        assert_painted_as_drawn(w)
        await w.pilot.resize_terminal(70, 24)
        await w.pilot.pause()
        assert_painted_as_drawn(w)


async def test_a_letter_costs_the_lines_of_the_input(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with window(history) as w:
        await w.exchange("first", LONG)
        await w.type("a")
        with counted(monkeypatch) as asked:
            await w.type("b")
        assert asked["Prompt"] == w.screen.prompt.outer_size.height
        assert not {"Sidebar", "TranscriptView", "ChatScreen", "Horizontal", "Vertical"} & set(asked)


async def test_what_streams_costs_the_transcript_alone(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with window(history) as w:
        await w.exchange("first", LONG)
        await w.send("second")
        exchange = await w.server.request()
        exchange.respond().event(delta("One word "))
        await w.until(lambda: "One word" in w.transcript and w.screen.sidebar._answering)
        await w.until(lambda: w.screen._sidebar_timer is None)
        with counted(monkeypatch) as asked:
            exchange.event(delta("and another"))
            await w.until(lambda: "and another" in w.transcript)
            await w.until(lambda: asked["TranscriptView"])
        assert not {"Prompt", "KeyBar", "ChatScreen", "Horizontal", "Vertical"} & set(asked)
        exchange.event(completed("One word and another")).end()
        await w.until(lambda: not w.talk.chat.running())


@contextmanager
def lines_of(cls: type[Widget], name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The lines for which a widget's method is called meanwhile."""
    drawn: list[int] = []
    real = getattr(cls, name)

    def draw(widget: Widget, y: int) -> Strip:
        drawn.append(y)
        strip: Strip = real(widget, y)
        return strip

    with monkeypatch.context() as patch:
        patch.setattr(cls, name, draw)
        yield drawn


async def test_going_to_another_session_draws_two_lines_of_the_list(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with window(history) as w:
        for label in ("one", "two", "three"):
            await w.talk.chat.open(label)
        await w.exchange("first", LONG)
        await w.until(lambda: w.screen._sidebar_timer is None)
        for key in ("alt+down", "alt+down", "alt+up"):
            left = w.screen.session
            with lines_of(Sidebar, "render_line", monkeypatch) as drawn:
                await w.press(key)
                await w.until(lambda left=left: w.screen.session not in (None, left))
                await w.until(lambda: w.screen._sidebar_timer is None)
                await w.pilot.pause()
            assert len(drawn) == 2, (key, drawn)


async def test_coming_back_to_a_session_paints_no_line_again(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with window(history) as w:
        view = w.screen.transcript

        async def go(key: str, words: str) -> None:
            await w.press(key)
            await w.until(lambda: words in w.transcript)
            await w.until(lambda: {id(row.line) for row in view.port.rows} <= view._strips[view.port].keys())

        await w.exchange("first", LONG)
        await w.press("ctrl+n")
        await w.exchange("second", "\n\n".join(f"Section {number}" for number in range(400)), "resp_2")
        await go("alt+down", "Paragraph")
        await go("alt+up", "Section")
        view.focus()
        await w.press(*["pageup"] * (KEPT_SCREENS + 2))
        with lines_of(TranscriptView, "_line_strip", monkeypatch) as painted:
            await go("alt+down", "Paragraph")
            await w.pilot.pause()
        assert not painted


async def test_a_draft_that_is_kept_repaints_no_list(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with window(history) as w:
        await w.exchange("first", "fine")
        session = w.screen.session
        assert session is not None
        await w.talk.chat.keep_place(session.id, "a draft", session.scroll)
        await w.until(lambda: w.screen._sidebar_timer is None)
        with counted(monkeypatch) as asked:
            await w.talk.chat.keep_place(session.id, "another draft", session.scroll)
            await w.pilot.pause()
            assert w.screen._sidebar_timer is None
        assert not asked["Sidebar"]
        assert not asked["TranscriptView"]


def test_a_frame_is_handed_to_the_terminal_whole() -> None:
    writer = Writer(io.StringIO())
    for part in (SYNC_START, "\x1b[1;1H", "text"):
        writer.write(part)
    assert not writer._waiting
    writer.write(SYNC_END)
    assert list(writer._waiting) == [f"{SYNC_START}\x1b[1;1Htext{SYNC_END}"]
    writer.write("\x07")
    assert len(writer._waiting) == 2


def test_a_terminal_left_amid_a_frame_is_left_all_the_same() -> None:
    """A signal to stop comes between any two steps, also while a frame is being drawn."""
    terminal = io.StringIO()
    writer = Writer(terminal)
    writer.start()
    writer.write(SYNC_START)
    writer.write("\x1b[?1049l")
    writer.stop()
    assert terminal.getvalue() == f"{SYNC_START}\x1b[?1049l{SYNC_END}"
    assert not writer.is_stuck


def test_of_the_mouses_way_only_where_it_led_is_looked_at() -> None:
    def move(at: int) -> events.MouseMove:
        return events.MouseMove(None, at, 0, 0, 0, 0, False, False, False)

    def press(at: int) -> events.MouseDown:
        return events.MouseDown(None, at, 0, 0, 0, 1, False, False, False)

    key = events.Key("a", "a")
    came = [move(1), move(2), press(2), move(3), key, move(4), move(5), move(6)]
    assert list(without_ways(came)) == [came[index] for index in (1, 2, 3, 4, 7)]
    assert list(without_ways([])) == []


def test_no_frame_may_come_before_the_ones_there_are_are_taken() -> None:
    writer, caught_up = Writer(io.StringIO()), threading.Event()
    writer.on_caught_up = caught_up.set
    writer.write("\x1b[?1049h")
    assert writer.may_come()
    writer.write("a frame" * MOST_WAITING)
    assert not writer.may_come()
    writer.write("\x1b[?25l")
    assert [text[:7] for text in writer._waiting] == ["\x1b[?1049", "a frame", "\x1b[?25l"]
    writer.start()
    assert caught_up.wait(10)
    assert writer.may_come()
    writer.stop()


async def test_what_is_not_painted_for_now_is_painted_later(history: Path) -> None:
    async with window(history) as w:
        await w.exchange("hello", LONG)
        compositor = w.screen._compositor
        for regions in ({Region(3, 2, 20, 3), Region(40, 3, 9, 1)}, {compositor.size.region}):
            compositor._dirty_regions = set(regions)
            left = compositor.render_update()
            assert not compositor._dirty_regions
            assert put_back(compositor, left)
            again = compositor.render_update()
            assert isinstance(left, CompositorUpdate)
            assert isinstance(again, CompositorUpdate)
            assert again.render_segments(w.app.console) == left.render_segments(w.app.console) != ""
        assert not put_back(compositor, compositor.render_update())


async def test_what_is_not_painted_amid_changes_is_painted_after_them(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Textual forgets it: an answer was seen to stop half-way on the screen."""
    async with window(history) as w:
        await w.exchange("hello", LONG)
        painted: list[object] = []
        monkeypatch.setattr(App, "_display", lambda _app, _screen, update: painted.append(update))
        region = Region(3, 2, 20, 1)
        with w.app.batch_update():
            w.screen._compositor._dirty_regions = {region}
            w.screen._compositor_refresh()
            assert w.screen._compositor._dirty_regions == {region}
        assert [update for update in painted if update] == []
        await w.until(lambda: [update for update in painted if update])
        assert not w.screen._compositor._dirty_regions


async def test_what_changes_before_what_was_left_is_painted_is_painted_too(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with window(history) as w:
        await w.until(lambda: not w.screen._dirty_widgets)
        painted: list[object] = []
        monkeypatch.setattr(App, "_display", lambda _app, _screen, update: painted.append(update))
        w.screen.prompt.refresh()
        await w.screen._on_update(messages.Update(w.screen.prompt))
        assert w.screen.prompt in w.screen._dirty_widgets
        paint_changes(w.app)
        (update,) = painted
        assert isinstance(update, CompositorUpdate)
        top = w.screen.prompt.region
        assert f"\x1b[{top.y + 1};{top.x + 1}H" in update.render_segments(w.app.console)


def test_the_compositor_is_what_ours_was_made_for() -> None:
    assert "if self._batch_count:\n                return" in inspect.getsource(App._display)
    chops = inspect.getsource(Compositor._render_chops)
    assert "self._get_renders(crop)" in chops
    assert "if get_chops_line(cut) is None" in chops
    partial = inspect.getsource(Compositor.render_partial_update)
    assert "self._dirty_regions.copy()" in partial
    assert "self._render_chops(crop, is_rendered_line)" in partial
    assert "self._render_chops(crop, lambda y: True)" in inspect.getsource(Compositor.render_full_update)
    assert "self._compositor = Compositor()" in inspect.getsource(Screen.__init__)
    assert "self._compositor.render_update(" in inspect.getsource(Screen._compositor_refresh)
    assert "self._compositor.update_widgets(self._dirty_widgets)" in inspect.getsource(Screen._on_timer_update)
    assert "app._display(self, update)" in inspect.getsource(Screen._compositor_refresh)
    assert list(inspect.signature(App._display).parameters) == ["self", "screen", "renderable"]


def test_a_text_area_dresses_where_we_keep_it_from() -> None:
    source = inspect.getsource(TextArea.render_lines)
    assert "theme.apply_css(self)" in source
    assert "super().render_lines(crop)" in source


async def test_a_pump_is_busy_until_it_waits_again() -> None:
    assert "self._message_queue.get()" in inspect.getsource(MessagePump._get_message)
    assert isinstance(MessagePump()._message_queue, Queue)
    pump = MessagePump()
    assert is_busy(pump)
    waiting = asyncio.ensure_future(pump._message_queue.get())
    await asyncio.sleep(0)
    assert not is_busy(pump)
    pump._message_queue.put_nowait(None)
    assert is_busy(pump)
    await waiting
    assert is_busy(pump)
