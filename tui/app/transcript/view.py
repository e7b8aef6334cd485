"""The widget that shows a transcript: it paints what is in view, and hears keys and mouse.

While an answer streams nothing is laid out anew: the scrollbar is moved, and the lines that changed are repainted.
"""

from __future__ import annotations

import time
from functools import partial
from math import ceil
from textwrap import wrap

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.selection import Selection
from textual.strip import Strip
from textual.timer import Timer

from tui.app.transcript.blocks import Block, Ground, Look
from tui.app.transcript.finding_view import FindingView, restyled
from tui.app.transcript.folds import ApprovalBlock, FoldBlock
from tui.app.transcript.painted_view import PaintedView
from tui.app.transcript.palette import make_palette
from tui.app.transcript.selection import GUTTER, depth_of, selected_text
from tui.app.transcript.viewport import Place, Row, Viewport
from tui.model import Item, Scroll, Turn, Variants

MEASURE = 116
"""The widest a line of text gets, in cells: longer ones are hard to read."""

FRAME = 1 / 30
"""Seconds between two paintings of an answer that streams."""

CALM_FRAME = 1 / 12
"""The same while nobody presses a key: who reads does not see more, and the machine has other work."""

CALM_AFTER = 1.0
"""Seconds since the last key after which nobody does."""

SHARE = 5
"""Of all the time, an answer that streams is painted for one part in so many: typing and stopping have the rest."""

FORESEE_AFTER = 0.03
"""Seconds after a move at which the lines beyond the window are made ready."""

LONGEST_REST = 0.25
"""Seconds between two paintings, whatever one costs."""

_NEWS = " ↓ new text "
_REVERSED = Style(reverse=True)


class TranscriptView(PaintedView, FindingView, can_focus=True):
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

    class LinkHovered(Message):
        """The pointer is over a link, or (an empty one) over none any more."""

        def __init__(self, url: str) -> None:
            super().__init__()
            self.url = url

    class LinkClicked(Message):
        """A link was clicked."""

        def __init__(self, url: str) -> None:
            super().__init__()
            self.url = url

    class ResendWanted(Message):
        """The prompt of this turn is to be sent again."""

        def __init__(self, turn: Turn) -> None:
            super().__init__()
            self.turn = turn

    class AnswerWanted(Message):
        """A question of the server's is to be answered: with yes or no, for all like it, with a reason to ask for."""

        def __init__(self, turn: Turn, item: Item, approved: bool, for_all: bool, with_reason: bool) -> None:
            super().__init__()
            self.turn = turn
            self.item = item
            self.approved = approved
            self.for_all = for_all
            self.with_reason = with_reason

    class ForkWanted(Message):
        """A session that goes on after this turn is wanted."""

        def __init__(self, turn: Turn) -> None:
            super().__init__()
            self.turn = turn

    class EditWanted(Message):
        """The prompt of this turn is to be changed and sent in its place."""

        def __init__(self, turn: Turn) -> None:
            super().__init__()
            self.turn = turn

    class VariantWanted(Message):
        """Another turn is wanted in the place of one."""

        def __init__(self, turn_id: str) -> None:
            super().__init__()
            self.turn_id = turn_id

    class Copied(Message):
        """Text is to be copied; `what` names it."""

        def __init__(self, text: str, what: str) -> None:
            super().__init__()
            self.text = text
            self.what = what

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.hint: tuple[str, ...] = ()
        self.has_news = False
        self._port = Viewport(self._need)
        self._painted: list[Row] = []
        self._cursor: tuple[int, Block] | None = None
        self._code = (-1, -1)
        self._busy_until = self._spent = self._wanted_at = self._pressed_at = 0.0
        self._tick: Timer | None = None
        self._foreseeing: Timer | None = None
        self._hovered = ""

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
        port.mark(notice, shared)
        port.mark_variants(variants or {})
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
        self._cursor, self._code, self.has_news = None, (-1, -1), False
        self._paint(everything=True)

    def mark(self, notice: str, shared: int | None) -> None:
        """Have a notice above everything, and a line after the last of the `shared` turns that others may read."""
        if self._port.mark(notice, shared):
            self._paint_soon()

    def mark_variants(self, variants: dict[int, Variants]) -> None:
        """Say where there are other turns in the place of one."""
        if self._port.mark_variants(variants):
            self._paint_soon()

    def show_again(self, count: int, turns: list[Turn]) -> None:
        """Show the same session where other turns are on its present branch; the cursor stays at its depth."""
        depth = self._cursor[0] if self._cursor is not None else -1
        self.show(count, self.place, turns, **self._port.marks)
        blocks = self._port.blocks_of(depth)
        if blocks is not None:
            self._set_cursor(depth, blocks.prompt)

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

    @property
    def current(self) -> tuple[Turn, Block] | None:
        """The message the cursor is on, with its turn."""
        if self._cursor is None:
            return None
        depth, block = self._cursor
        blocks = self._port.blocks_of(depth)
        return (blocks.turn, block) if blocks is not None and block in blocks.blocks else None

    def turn_at(self, depth: int) -> Turn | None:
        """A turn, if it is at hand."""
        blocks = self._port.blocks_of(depth)
        return blocks.turn if blocks else None

    @property
    def visible_text(self) -> str:
        """The text in view, for tests and for those who cannot see."""
        return "\n".join(row.line.marked for row in self._port.rows)

    def set_theme(self, variables: dict[str, str]) -> None:
        """Draw in another theme's colours."""
        self._port.ground = Ground(self._port.ground.width, make_palette(variables))
        self.paint_anew()
        self._paint(everything=True)

    # Moving

    def go_to_end(self) -> None:
        """Go back to the live end, and follow it."""
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
            self._foreseeing = self.set_timer(FORESEE_AFTER, partial(self._foresee, lines))

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

    def action_step(self, direction: int) -> None:
        """Put the cursor on the next block, or the one before."""
        if self.current is None or self._cursor is None:
            self._put_cursor_in_view(last=direction < 0)
            return
        depth, block = self._cursor
        blocks = self._port.blocks_of(depth)
        assert blocks is not None
        place = blocks.blocks.index(block) + direction
        other = self._port.blocks_of(depth + direction)
        if 0 <= place < len(blocks.blocks):
            self._set_cursor(depth, blocks.blocks[place])
        elif other is not None:
            self._set_cursor(depth + direction, other.blocks[0 if direction > 0 else -1])
        elif direction > 0:
            self.go_to_end()

    def action_toggle_fold(self) -> None:
        if self._cursor is not None and isinstance(self._cursor[1], FoldBlock):
            self._toggle(self._cursor[1])

    def action_copy_block(self) -> None:
        if self.current is not None:
            self.post_message(self.Copied(self.current[1].source, "the message"))

    def action_next_code(self) -> None:
        """Copy the next code block of the answer the cursor is on, or else of the newest one that has any."""
        from tui.app.transcript.code_blocks import code_blocks

        current = self.current
        known = [self.turn_at(depth) for depth in reversed(self._port.depths())]
        for turn in [current[0]] if current else known:
            found = code_blocks(turn.text) if turn else []
            if turn and found:
                depth, number = self._code
                number = (number + 1) % len(found) if depth == turn.depth else 0
                self._code = (turn.depth, number)
                self.post_message(self.Copied(found[number], f"code block {number + 1} of {len(found)}"))
                return

    def action_answer(self, approved: bool, for_all: bool = False, with_reason: bool = False) -> None:
        asked = self.question
        if asked is not None:
            self.post_message(self.AnswerWanted(*asked, approved, for_all, with_reason))

    @property
    def question(self) -> tuple[Turn, Item] | None:
        """What waits for the user's word: under the cursor, or else first in the newest turn."""
        current = self.current
        if current and isinstance(current[1], ApprovalBlock) and current[1].is_open:
            return current[0], current[1].item
        newest = self.turn_at(self.count - 1)
        waiting = newest.open_approvals if newest is not None else ()
        return (newest, waiting[0]) if newest is not None and waiting else None

    def action_fork(self) -> None:
        turn = self.current[0] if self.current else self.turn_at(self.count - 1)
        if turn is not None:
            self.post_message(self.ForkWanted(turn))

    def action_resend(self) -> None:
        turn = self._resendable()
        if turn is not None:
            self.post_message(self.ResendWanted(turn))

    def action_edit(self) -> None:
        turn = self._resendable()
        if turn is not None:
            self.post_message(self.EditWanted(turn))

    def action_variant(self, step: int) -> None:
        variants = self._variants_here()
        if variants is not None and 0 <= variants.place + step < len(variants.turn_ids):
            self.post_message(self.VariantWanted(variants.turn_ids[variants.place + step]))

    def _variants_here(self) -> Variants | None:
        return self._port.variants_at(self.current[0].depth if self.current else self.count - 1)

    def _resendable(self) -> Turn | None:
        """The turn to send again: the one under the cursor, or else the newest, once it is over."""
        turn = self.current[0] if self.current else self.turn_at(self.count - 1)
        return turn if turn is not None and turn.status.is_final else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's shape
        if action == "toggle_fold":
            return self._cursor is not None and isinstance(self._cursor[1], FoldBlock)
        if action == "find_step":
            return self._finding is not None
        if action == "copy_block":
            return self.current is not None
        if action == "answer":
            return self.question is not None
        if action in ("resend", "edit"):
            return self._resendable() is not None
        if action == "variant":
            return self._variants_here() is not None
        return bool(self.count) or action != "step"

    def _need(self, start: int, until: int) -> None:
        self.post_message(self.Needed(start, until))

    def _show_found(self) -> None:
        if self._finding is not None and self._finding.block is not None:
            self._cursor = self._finding.block
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

    def _put_cursor_in_view(self, *, last: bool) -> None:
        rows = [row for row in self._port.rows if row.block is not None and row.block.look is not Look.FOOT]
        if rows:
            row = rows[-1 if last else 0]
            self._set_cursor(row.depth, row.block)

    def _set_cursor(self, depth: int, block: Block | None) -> None:
        if block is None:
            return
        self._cursor, self._code = (depth, block), (-1, -1)
        shown = [row for row in self._port.rows if row.block is block]
        blocks = self._port.blocks_of(depth)
        if blocks is not None:
            units = blocks.units()
            first = next((number for number, unit in enumerate(units) if unit.block is block), 0)
            height = sum(unit.height(self._port.ground) for unit in units if unit.block is block)
            if len(shown) < min(height, self._port.height):
                self._port.go_to(self._port.up(Place(depth, first), min(3, self._port.height // 4)))
                self._port.following = self._port.is_at_end()
                self.post_message(self.Moved())
        self._paint(everything=True)
        # What moves it may have waited for the history while the window closed.
        if self.is_attached:
            self.refresh_bindings()

    # Painting

    def _paint_soon(self) -> None:
        """Paint, but not more often than is seen, nor for more than a quarter of the time."""
        if self._tick is None and self.is_attached:
            self._wanted_at = time.perf_counter()
            wait = self._busy_until - self._wanted_at
            if wait <= 0:
                self._paint_timed()
            else:
                self._tick = self.set_timer(wait, self._paint_timed)

    def make_way(self) -> None:
        """A key was pressed: let what it changes be seen before what streams, which waits for a frame."""
        self._pressed_at = time.perf_counter()

    def _paint_timed(self) -> None:
        began = time.perf_counter()
        # Keys that never end shall not hold back what streams.
        wait = min(self._pressed_at + FRAME, self._wanted_at + LONGEST_REST) - began
        if wait > 0:
            self._tick = self.set_timer(wait, self._paint_timed)
            return
        self._tick = None
        self._spent = 0.0
        self._paint()
        self._busy_until = began + (FRAME if began - self._pressed_at < CALM_AFTER else CALM_FRAME)
        self.rest(time.perf_counter() - began)

    def rest(self, cost: float) -> None:
        """Wait with the next painting for as long as it takes, more having been spent on one, whoever it was for."""
        self._spent += cost
        wait = min(LONGEST_REST, (SHARE - 1) * self._spent)
        self._busy_until = max(self._busy_until, time.perf_counter() + wait)

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
        self._move_scrollbar()
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

    def _move_scrollbar(self) -> None:
        """Let the scrollbar show the place, without the layout that a new virtual size would cause."""
        above, total = self._port.position()
        self.set_reactive(ScrollView.virtual_size, Size(self.size.width, total))
        self.set_reactive(ScrollView.scroll_y, float(above))
        self.set_reactive(ScrollView.scroll_target_y, float(above))
        bar = self.vertical_scrollbar
        before, now = (bar.window_virtual_size, bar.window_size, bar.position), (total, self._port.height, above)
        if _thumb(*before) == _thumb(*now):
            # It is what it was, to an eighth of a cell: its values are noted, and it is not painted again.
            bar.set_reactive(ScrollBar.window_virtual_size, total)
            bar.set_reactive(ScrollBar.window_size, self._port.height)
            bar.set_reactive(ScrollBar.position, above)
            return
        bar.window_virtual_size, bar.window_size, bar.position = now

    def render_line(self, y: int) -> Strip:
        """A line with the offsets that a selection is made by."""
        rows = self._port.rows
        strip = self._line_strip(y)
        return strip.apply_offsets(0, rows[y].key) if self.count and y < len(rows) else strip

    def _line_strip(self, y: int) -> Strip:
        width, base = self.size.width, self.base_style
        rows = self._port.rows
        if not self.count:
            return self._hint_line(y, width).apply_style(base)
        if y >= len(rows):
            return Strip.blank(width, base)
        row = rows[y]
        strip = self._with_marks(self._row_strip(row, width), row)
        selection = self.text_selection
        span = selection.get_span(row.key) if selection is not None else None
        if span is not None:
            strip = self._with_selection(strip, span)
        if self.has_news and y == self._port.height - 1:
            strip = self._with_news(strip)
        return strip.apply_style(base)

    def _is_plain(self, y: int) -> bool:
        if not self.count or self._finding is not None or self.text_selection is not None:
            return False
        return not self.has_news or y != self._port.height - 1

    def _has_cursor_on(self, row: Row) -> bool:
        return self.has_focus and self._cursor is not None and row.block is self._cursor[1]

    def _row_strip(self, row: Row, width: int) -> Strip:
        palette = self._port.ground.palette
        fill: Style | None = None
        gutter = Segment("  ")
        is_gap = row.unit is not None and row.unit.gap and not row.line.segments
        if row.block is not None and row.block.look is Look.PROMPT and not is_gap:
            gutter, fill = Segment("▌ ", palette.prompt_bar), palette.prompt
        mark = row.line.mark
        if self._has_cursor_on(row) and not is_gap:
            bar = palette.cursor_bar if fill is None else palette.cursor_bar + Style(bgcolor=fill.bgcolor)
            gutter = Segment(mark.text, bar + _REVERSED) if mark is not None else Segment("┃ ", bar)
        elif mark is not None:
            gutter = mark
        return Strip([gutter, *row.line.segments]).adjust_cell_length(width, fill)

    def _with_selection(self, strip: Strip, span: tuple[int, int]) -> Strip:
        return restyled(strip, *span, self._port.ground.palette.selection)

    def _news_start(self) -> int:
        return self.scrollable_content_region.width - len(_NEWS) - 1

    def _with_news(self, strip: Strip) -> Strip:
        start = self._news_start()
        mark = Strip([Segment(_NEWS, self._port.ground.palette.mark)])
        return Strip.join([strip.crop(0, start), mark, strip.crop(start + len(_NEWS))])

    def _hint_line(self, y: int, width: int) -> Strip:
        """A line of what is said while there is nothing to show, in the middle."""
        room = self.scrollable_content_region.width
        lines = [line for text in self.hint for line in wrap(text, max(10, room - 2)) or [""]]
        at = y - max(0, (self._port.height - len(lines)) // 2)
        if not 0 <= at < len(lines):
            return Strip.blank(width)
        palette = self._port.ground.palette
        text = lines[at]
        pad = " " * max(0, (room - cell_len(text)) // 2)
        style = palette.strong if at == 0 else palette.muted
        return Strip([Segment(pad), Segment(text, style)]).adjust_cell_length(width)

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
            self._put_cursor_in_view(last=True)
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

    def _on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.move(3)
        event.stop()

    def _on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.move(-3)
        event.stop()

    def on_click(self, event: events.Click) -> None:
        if self.has_news and event.y == self._port.height - 1 and event.x >= self._news_start():
            self.go_to_end()
            return
        row = self._row_at(event.y)
        if row is None or row.block is None:
            return
        url = self._link_at(event.x, event.y)
        if url:
            self.post_message(self.LinkClicked(url))
            return
        self._cursor = (row.depth, row.block)
        if isinstance(row.block, FoldBlock) and row.unit is not None and row.unit.is_title:
            self._toggle(row.block)
        self._paint(everything=True)
        self.refresh_bindings()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._hover(self._link_at(event.x, event.y))

    def on_leave(self) -> None:
        self._hover("")

    def _hover(self, url: str) -> None:
        if url != self._hovered:
            self._hovered = url
            self.styles.pointer = "pointer" if url else "default"
            self.post_message(self.LinkHovered(url))

    def _row_at(self, y: int) -> Row | None:
        return self._port.rows[y] if 0 <= y < len(self._port.rows) else None

    def _link_at(self, x: int, y: int) -> str:
        row = self._row_at(y)
        at = x - GUTTER
        return next((link.url for link in row.line.links if link.start <= at < link.end), "") if row else ""

    @property
    def allow_select(self) -> bool:
        return True

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        first = depth_of(selection.start.y) if selection.start else 0
        last = depth_of(selection.end.y) if selection.end else self.count - 1
        return selected_text(self._port.all_lines(first, last), selection), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002 - Textual's shape
        self.refresh(self.size.region)


def _thumb(total: int, height: int, above: float) -> tuple[int, int]:
    """Where a scrollbar's thumb begins and ends, in the eighths of a cell it is drawn in."""
    if not height or total <= height:
        return 0, 0
    # In the order in which Textual reckons it, as the last bit counts.
    size = max(1.0, height / (total / height))
    start = int((height - size) * (above / (total - height)) * 8)
    return start, start + ceil(size * 8)
