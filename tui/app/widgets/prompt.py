"""The input: many lines, a history, and a paste that never sends."""

from __future__ import annotations

from textual import events
from textual.binding import Binding
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea

from tui.app.widgets.letters import letter_end, letter_start
from tui.app.widgets.offer_list import Offer, OfferList
from tui.text import typed


class Prompt(TextArea):
    """Where the user writes. Enter sends; what was sent before is found with Up and Down."""

    DEFAULT_CSS = """
    Prompt {
        height: auto;
        min-height: 3;
        max-height: 40%;
        border: round $border-blurred;
        padding: 0 1;
        background: $background;
        scrollbar-size-vertical: 1;
        & .text-area--cursor-line { background: transparent; }
        &:focus { border: round $primary; }
    }
    """

    # What a class binds takes the place of what its base has on the same key: so the arrows are named here as well.
    BINDINGS = [
        Binding("enter", "take_offer(True)", "Take", id="list.take", priority=True),
        Binding("tab", "take_offer(False)", "Complete", id="list.complete", priority=True),
        Binding("escape", "close_offers", "Close the list", id="list.close", priority=True),
        Binding("up", "step_offer(-1)", "Up in the list", id="list.up", show=False, priority=True),
        Binding("down", "step_offer(1)", "Down in the list", id="list.down", show=False, priority=True),
        Binding("up", "cursor_up", show=False),
        Binding("down", "cursor_down", show=False),
        Binding("enter", "submit", "Send", id="prompt.send"),
        Binding("ctrl+j,shift+enter,alt+enter", "newline", "New line", id="prompt.newline", key_display="^j"),
    ]

    class Submitted(Message):
        """The user wants this sent."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class EndWanted(Message):
        """End was pressed where it could not move the cursor: the user means the transcript's end."""

    def __init__(self, offers: OfferList, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(
            id=id,
            show_line_numbers=False,
            soft_wrap=True,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder="Type a message",
        )
        # A blinking cursor would have the screen painted twice a second for nothing.
        self.cursor_blink = False
        self._is_dressed = False
        self._offers = offers
        self._unwanted: str | None = None
        self._prompts: list[str] = []
        self._place = 0
        self._unsent = ""

    def set_history(self, prompts: list[str]) -> None:
        """What was said before in this session, oldest first."""
        prompts = [typed(prompt) for prompt in prompts]
        self._prompts = [prompt for place, prompt in enumerate(prompts) if prompts[place - 1 : place] != [prompt]]
        self._place = len(self._prompts)

    @property
    def said(self) -> list[str]:
        """What can be recalled, oldest first."""
        return list(self._prompts)

    def fill_history(self, prompts: list[str]) -> None:
        """Add what was said before what is known so far; who has begun to recall stays where they are."""
        added, from_end = self._prompts, len(self._prompts) - self._place
        self.set_history(prompts)
        for prompt in added:
            self.add_history(prompt)
        self._place = len(self._prompts) - from_end

    def add_history(self, prompt: str) -> None:
        prompt = typed(prompt)
        if self._prompts[-1:] != [prompt]:
            self._prompts.append(prompt)
        self._place = len(self._prompts)

    def give_back(self, text: str) -> None:
        """Put back what could not be sent, before whatever was typed since."""
        self.replace_text(f"{text}\n{self.text}" if self.text.strip() else text)

    def replace_text(self, text: str) -> None:
        """Put `text`, cleaned, in place of everything, with the cursor at its end."""
        self.load_text(typed(text))
        self.move_cursor(self.document.end)
        self._place = len(self._prompts)

    def retype(self, text: str) -> None:
        """Put `text` in place of everything as if it had been typed: it can be undone."""
        self.replace(typed(text), (0, 0), self.document.end, maintain_selection_offset=False)
        self.move_cursor(self.document.end)

    def action_submit(self) -> None:
        row, column = self.cursor_location
        if self.document.get_line(row)[:column].endswith("\\"):
            self.replace("\n", (row, column - 1), (row, column), maintain_selection_offset=False)
            return
        if self.text.strip():
            text = self.text
            self.replace_text("")
            self.post_message(self.Submitted(text))

    def action_newline(self) -> None:
        self._replace_via_keyboard("\n", *self.selection)

    # The list above it

    def offer(self, offers: list[Offer]) -> None:
        """Show what the text may become; not where the user has closed the list over what is typed."""
        if self._unwanted is not None and not self.text.startswith(self._unwanted):
            self._unwanted = None
        if self._unwanted is not None or not self.has_focus:
            offers = []
        if offers or self._offers.offers:
            self._offers.show(offers)
            self.screen.refresh_bindings()

    def action_take_offer(self, sends: bool) -> None:
        """Put what is highlighted in place of the text, and with `sends` send that if nothing need follow."""
        chosen = self._offers.chosen
        if chosen is None:
            return
        self.retype(chosen.text)
        if sends and chosen.ends:
            self.action_submit()

    def action_step_offer(self, step: int) -> None:
        self._offers.step(step)
        self.screen.refresh_bindings()

    def action_close_offers(self) -> None:
        self._unwanted = self.text
        self.offer([])

    def on_blur(self) -> None:
        self.offer([])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action not in ("take_offer", "step_offer", "close_offers"):
            return super().check_action(action, parameters)
        chosen = self._offers.chosen
        # What is typed out already Enter sends, as it does without a list.
        return chosen is not None and (parameters != (True,) or chosen.text.rstrip() != self.text.rstrip())

    # The cursor passes and takes out whole letters, and is never within one.

    def get_cursor_left_location(self) -> tuple[int, int]:
        row, column = super().get_cursor_left_location()
        return row, letter_start(self.document.get_line(row), column)

    def get_cursor_right_location(self) -> tuple[int, int]:
        return self._after_letter(super().get_cursor_right_location())

    def get_cursor_up_location(self) -> tuple[int, int]:
        return self._after_letter(super().get_cursor_up_location())

    def get_cursor_down_location(self) -> tuple[int, int]:
        return self._after_letter(super().get_cursor_down_location())

    def get_target_document_location(self, event: events.MouseEvent) -> tuple[int, int]:
        return self._after_letter(super().get_target_document_location(event))

    def _after_letter(self, place: tuple[int, int]) -> tuple[int, int]:
        row, column = place
        return row, letter_end(self.document.get_line(row), column)

    def action_cursor_up(self, select: bool = False) -> None:
        if select or not self.cursor_at_first_line or not self._recall(-1):
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        if select or not self.cursor_at_last_line or not self._recall(1):
            super().action_cursor_down(select)

    def action_cursor_line_end(self, select: bool = False) -> None:
        before = self.cursor_location
        super().action_cursor_line_end(select)
        if not select and self.cursor_location == before:
            self.post_message(self.EndWanted())

    def _recall(self, step: int) -> bool:
        """Show the prompt before or after in the history. False where there is none that way."""
        place = self._place + step
        if not 0 <= place <= len(self._prompts):
            return False
        if self._place == len(self._prompts):
            self._unsent = self.text
        elif self.text != self._prompts[self._place]:
            # What was recalled and then changed is a text of its own: the arrows move in it.
            return False
        text = self._unsent if place == len(self._prompts) else self._prompts[place]
        self.load_text(text)
        self._place = place
        self.move_cursor((0, 0) if step < 0 else self.document.end)
        return True

    def notify_style_update(self) -> None:
        self._is_dressed = False
        super().notify_style_update()

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines; the theme's colours are looked up once, and not for every letter."""
        if self._is_dressed:
            return super(TextArea, self).render_lines(crop)
        self._is_dressed = True
        return super().render_lines(crop)

    def _on_key(self, event: events.Key) -> None:  # type: ignore[override]
        """Leave to its binding what would be typed without one: Enter."""
        if not event.is_printable and event.key in self.screen.active_bindings:
            event.prevent_default()

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        result = self._replace_via_keyboard(typed(event.text), *self.selection)
        if result is not None:
            self.move_cursor(result.end_location)
