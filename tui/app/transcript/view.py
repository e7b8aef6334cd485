"""The widget that shows a transcript: it paints what is in view.

While an answer streams nothing is laid out anew: the scrollbar is moved, while the lines that changed are repainted.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from textual.binding import Binding
from textual.geometry import Region
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip

from tui.app.once import Once
from tui.app.transcript.blocks import Ground, NamedKeys
from tui.app.transcript.cursor import Cursor
from tui.app.transcript.finding_view import FindingView
from tui.app.transcript.folds import FoldBlock
from tui.app.transcript.pace import Pace
from tui.app.transcript.painted_view import PaintedView
from tui.app.transcript.palette import make_palette
from tui.app.transcript.pointer_view import PointerView
from tui.app.transcript.scrollbar import move_scrollbar
from tui.app.transcript.selection import GUTTER, depth_of, selected_text
from tui.app.transcript.strips import hint_strip, news_start, restyled, row_strip, with_news
from tui.app.transcript.viewport import Place, Row, Viewport
from tui.model import Scroll, Turn, Variants

MEASURE = 116
"""The widest a line of text gets, in cells: longer ones are hard to read."""

FORESEE_AFTER = 0.03
"""Seconds after a move at which the lines beyond the window are made ready."""


class TranscriptView(PointerView, PaintedView, FindingView, can_focus=True):
    """A session's turns. Whoever owns it gives it turns when it asks for them, and whenever they change."""

    DEFAULT_CSS = """
    TranscriptView {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        background: $background;
        color: $foreground;
    }
    """

    BINDINGS = [
        Binding("a", "answer(True)", "Approve", id="transcript.approve"),
        Binding("A,shift+a", "answer(True, True)", "Approve all", id="transcript.approve-all", show=False),
        Binding("d", "answer(False)", "Deny", id="transcript.deny"),
        Binding("D,shift+d", "answer(False, False, True)", "Deny, with a reason", id="transcript.deny-why", show=False),
        Binding("up", "step(-1)", "Message up", id="transcript.previous"),
        Binding("down", "step(1)", "Message down", id="transcript.next", show=False),
        Binding("enter", "toggle_fold", "Unfold", id="transcript.fold"),
        Binding("y", "copy_block", "Copy", id="transcript.copy"),
        Binding("u", "next_code", "Copy code", id="transcript.code"),
        Binding("f", "fork", "Fork", id="transcript.fork", show=False),
        Binding("e", "edit", "Change", id="transcript.edit", show=False),
        Binding("r", "resend", "Send again", id="transcript.resend"),
        Binding("left", "variant(-1)", "The one before", id="transcript.variant-before", show=False),
        Binding("right", "variant(1)", "The one after", id="transcript.variant-after", show=False),
        Binding("escape", "leave", "Back", id="transcript.leave", show=False),
        Binding("home", "go_home", "First line", id="transcript.home", show=False),
    ]

    class Needed(Message):
        """Turns from depth `start` to before `until` are to be given."""

        def __init__(self, start: int, until: int) -> None:
            super().__init__()
            self.start = start
            self.until = until

    class Left(Message):
        """The user is done here."""

    class Moved(Message):
        """The place, or the way it follows the end, has changed."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.hint: tuple[str, ...] = ()
        self.has_news = False
        self._port = Viewport(self._need)
        self._painted: list[Row] = []
        self._cursor = Cursor(self._port)
        self.pace = Pace(self._paint, partial(Once, self))
        self._foreseeing: Once | None = None

    # What is shown

    def show(
        self,
        count: int,
        scroll: Scroll,
        turns: list[Turn],
        *,
        notice: str = "",
        shared: int | None = None,
        variants: dict[int, Variants] | None = None,
    ) -> None:
        """Begin to show a session of `count` turns, at the place given; `turns` are those at hand."""
        port = self._port.beside()
        port.at_hand.mark(notice, shared)
        port.at_hand.mark_variants(variants or {})
        port.open(count, Place(scroll.depth, scroll.unit, scroll.line), following=scroll.at_end)
        port.put(turns)
        self._look_through(port)

    @property
    def port(self) -> Viewport:
        """What is shown, to be shown again by `show_kept`."""
        return self._port

    def show_kept(self, port: Viewport) -> None:
        """Show again what was shown before, where it was left."""
        port.fit(self._port)
        self._look_through(port)

    def _look_through(self, port: Viewport) -> None:
        self._stop_finding()
        self._port = port
        self._cursor, self.has_news = Cursor(port), False
        self._paint(everything=True)

    def mark(self, notice: str, shared: int | None) -> None:
        """Have a notice above everything, and a line after the last of the `shared` turns that others may read."""
        if self._port.at_hand.mark(notice, shared):
            self._paint_soon()

    def mark_variants(self, variants: dict[int, Variants]) -> None:
        """Say where there are other turns in the place of one."""
        if self._port.at_hand.mark_variants(variants):
            self._paint_soon()

    def show_again(self, count: int, turns: list[Turn]) -> None:
        """Show the same session where other turns are on its present branch; the cursor stays at its depth."""
        depth = self._cursor.depth
        self.show(count, self.place, turns, **self._port.at_hand.marks)
        blocks = self._port.at_hand.blocks_of(depth)
        if blocks is not None:
            self._set_cursor((depth, blocks.prompt))

    def put(self, turns: list[Turn]) -> None:
        """Take in turns, new or changed."""
        self._port.put(turns)
        self._refind([turn.depth for turn in turns])
        self._paint_soon()

    def drop_from(self, count: int) -> None:
        """Forget the turns from depth `count` on."""
        if count < self.count:
            self._port.drop_from(count)
            if self._finding is not None:
                self._finding.drop_from(count)
            self._paint(everything=True)

    @property
    def count(self) -> int:
        return len(self._port.layout)

    @property
    def following(self) -> bool:
        return self._port.following

    @property
    def place(self) -> Scroll:
        """What is shown, to come back to."""
        return Scroll(*self._port.place, at_end=self._port.following)

    def turn_at(self, depth: int) -> Turn | None:
        """A turn, if it is at hand."""
        return self._port.at_hand.turn_at(depth)

    def set_theme(self, variables: dict[str, str]) -> None:
        """Draw in another theme's colours."""
        self._draw_on(replace(self._port.ground, palette=make_palette(variables)))

    def name_keys(self, keys: NamedKeys) -> None:
        """Name keys as they are bound."""
        if keys != self._port.ground.keys:
            self._draw_on(replace(self._port.ground, keys=keys))

    def _draw_on(self, ground: Ground) -> None:
        self._port.ground = ground
        self.paint_anew()
        self._paint(everything=True)

    # Moving

    def go_to_end(self) -> None:
        """Go back to the live end, and follow it. Keys mean the newest turn again."""
        if self._cursor.depth >= 0:
            self._cursor = Cursor(self._port)
            self._paint(everything=True)
            if self.is_attached:
                self.refresh_bindings()
        self._go_down()

    def _go_down(self) -> None:
        self._port.following = True
        self.has_news = False
        self._paint()
        self.post_message(self.Moved())

    def move(self, lines: int) -> None:
        """Move by a number of lines, down where it is positive."""
        self._port.move(lines)
        self._moved()
        if self._foreseeing is not None:
            self._foreseeing.stop()
        if self.is_attached:
            self._foreseeing = Once(self, FORESEE_AFTER, partial(self._foresee, lines))

    def _foresee(self, direction: int) -> None:
        """While the user looks at a page: make the next one ready."""
        self._foreseeing = None
        self._port.foresee(direction)

    def page(self, pages: int) -> None:
        self.move(pages * max(1, self._port.height - 1))

    def action_leave(self) -> None:
        self.find(None)
        self.post_message(self.Left())

    def action_go_home(self) -> None:
        self._port.go_to(Place())
        self._moved()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "find_step":
            return self._finding is not None
        if action == "step":
            return bool(self.count)
        return super().check_action(action, parameters)

    def _need(self, start: int, until: int) -> None:
        self.post_message(self.Needed(start, until))

    def _show_found(self) -> None:
        if self._finding is not None and self._finding.block is not None:
            self._cursor.put(self._finding.block)
        self._paint(everything=True)
        self.refresh_bindings()
        if self.is_attached:
            self.post_message(self.Moved())

    def _moved(self) -> None:
        if self._port.following:
            self.has_news = False
        self._paint()
        self.post_message(self.Moved())

    def _toggle(self, block: FoldBlock) -> None:
        block.toggle()
        if self._port.following and not block.is_folded:
            # The user looks at what was unfolded, not at the end it has pushed away.
            self._port.following = False
        self._paint(everything=True)
        self._port.following = self._port.is_at_end()

    def _show_cursor(self, *, has_moved: bool) -> None:
        if has_moved:
            self.post_message(self.Moved())
        self._paint(everything=True)
        # What moves it may have waited for the history while the window closed.
        if self.is_attached:
            self.refresh_bindings()

    # Painting

    def _paint_soon(self) -> None:
        """Paint, in time."""
        if self.is_attached:
            self.pace.paint_soon()

    def _paint(self, *, everything: bool = False) -> None:
        """Bring the rows up to date, and repaint those that differ from what is on the screen."""
        port = self._port
        if not port.height or not self.is_attached:
            return
        port.update()
        self._see_found()
        before, self._painted = self._painted, port.rows
        if not port.following and not self.has_news and self._grows_out_of_sight():
            self.has_news = everything = True
        above, total = port.position()
        move_scrollbar(self, total, port.height, above)
        if everything or len(before) != len(port.rows) or not port.layout:
            self.refresh(self.size.region)
            return
        pairs = zip(before, port.rows, strict=True)
        changed = [number for number, (old, new) in enumerate(pairs) if old.line is not new.line or old.key != new.key]
        if changed:
            self.refresh(Region(0, changed[0], self.size.width, changed[-1] - changed[0] + 1))

    def _grows_out_of_sight(self) -> bool:
        newest = self.turn_at(self.count - 1)
        return newest is not None and not newest.status.is_final and newest.has_output and not self._port.is_at_end()

    def render_line(self, y: int) -> Strip:
        """A line with the offsets that a selection is made by."""
        rows = self._port.rows
        strip = self._line_strip(y)
        return strip.apply_offsets(0, rows[y].key) if self.count and y < len(rows) else strip

    def _line_strip(self, y: int) -> Strip:
        width, base, palette = self.size.width, self.base_style, self._port.ground.palette
        rows = self._port.rows
        if not self.count:
            room, height = self.scrollable_content_region.width, self._port.height
            return hint_strip(self.hint, y, (width, height), room, palette).apply_style(base)
        if y >= len(rows):
            return Strip.blank(width, base)
        row = rows[y]
        strip = self._with_marks(row_strip(row, width, palette, has_cursor=self._has_cursor_on(row)), row)
        selection = self.text_selection
        span = selection.get_span(row.key) if selection is not None else None
        if span is not None:
            strip = restyled(strip, *span, palette.selection)
        if self.has_news and y == self._port.height - 1:
            strip = with_news(strip, self.scrollable_content_region.width, palette)
        return strip.apply_style(base)

    def _is_plain(self, y: int) -> bool:
        if not self.count or self._finding is not None or self.text_selection is not None:
            return False
        return not self.has_news or y != self._port.height - 1

    def _has_cursor_on(self, row: Row) -> bool:
        return self.has_focus and row.block is not None and row.block is self._cursor.block

    def _is_news_at(self, x: int, y: int) -> bool:
        return self.has_news and y == self._port.height - 1 and x >= news_start(self.scrollable_content_region.width)

    # What Textual says

    def on_mount(self) -> None:
        self.set_theme(self.app.theme_variables)

    def on_resize(self) -> None:
        region = self.scrollable_content_region
        self.paint_anew()
        self._port.resize(max(10, min(region.width - GUTTER - 1, MEASURE)), region.height)
        self._paint(everything=True)

    def on_focus(self) -> None:
        if self.current is None:
            self._put_cursor_in_view(last=True, is_chosen=False)
        self._paint(everything=True)

    def on_blur(self) -> None:
        self._paint(everything=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Someone else moved the scrollbar: a drag, or a selection that goes beyond the edge."""
        if round(old_value) == round(new_value) or not self.count:
            return
        if self.scrollable_content_region.height != self._port.height:
            # Textual keeps it within a window of another height: that is no one's wish, and the rows follow by themselves.
            return
        if abs(new_value - old_value) <= 2 * self._port.height:
            self.move(round(new_value) - round(old_value))
        else:
            self._port.go_to(self._port.locate(round(new_value)))
            self._moved()

    @property
    def allow_select(self) -> bool:
        return True

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        first = depth_of(selection.start.y) if selection.start else 0
        last = depth_of(selection.end.y) if selection.end else self.count - 1
        return selected_text(self._port.all_lines(first, last), selection), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002 - Textual's shape
        self.refresh(self.size.region)
