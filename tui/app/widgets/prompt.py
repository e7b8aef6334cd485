"""The input: many lines, a history, and a paste that never sends."""

from __future__ import annotations

from textual import events
from textual.binding import Binding
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea

from tui.app.widgets.folding_area import Place
from tui.app.widgets.naming_area import NamingArea, plain
from tui.app.widgets.offer_list import Offer, OfferList
from tui.app.widgets.recall import Recall
from tui.drafts import OPEN, Folded, fold, sent, written

MOST_FOLDED = 20
"""How many texts it is remembered of what was folded in them."""


class Prompt(NamingArea):
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
        Binding("space", "take_typed_out", show=False, priority=True),
        Binding("up", "step_offer(-1)", "Up in the list", id="list.up", show=False, priority=True),
        Binding("down", "step_offer(1)", "Down in the list", id="list.down", show=False, priority=True),
        Binding("up", "cursor_up", show=False),
        Binding("down", "cursor_down", show=False),
        Binding("enter", "submit", "Send", id="prompt.send"),
        Binding("f7", "expand", "Show the paste", id="prompt.expand"),
        Binding("ctrl+j,shift+enter,alt+enter", "newline", "New line", id="prompt.newline", key_display="^j"),
    ]

    class Submitted(Message):
        """The user wants this sent. What was being written when it was recalled is `aside`, and in the input again."""

        def __init__(self, text: str, aside: str) -> None:
            super().__init__()
            self.text = text
            self.aside = aside

    class OthersWanted(Message):
        """What was said in other sessions is wanted."""

    class FileChosen(Message):
        """A file is to be attached, which is `named` between two places."""

        def __init__(self, path: str, start: Place, end: Place, named: str) -> None:
            super().__init__()
            self.path = path
            self.start = start
            self.end = end
            self.named = named

    class EndWanted(Message):
        """End was pressed where it could not move the cursor: the user means the transcript's end."""

    def __init__(
        self,
        offers: OfferList | None = None,
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
    ) -> None:
        self._known = {}
        self._meant_in = {}
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
        self._offers = OfferList() if offers is None else offers
        self._unwanted: str | None = None
        self._recall = Recall()
        self._steps = 0
        self._recalled = ""
        self._pending = 0
        self._is_to_be_sent = False
        self._offered_at: Place | None = None
        self._offered_for = ""
        self._folded: dict[str, str] = {}

    # What was said before

    def set_history(self, prompts: list[str]) -> None:
        """What was said before in this session, oldest first."""
        self._recall.set(prompts)
        self._steps = 0

    @property
    def said(self) -> list[str]:
        """What was said in this session, oldest first; or written, where something else is in the input by now."""
        aside = self._recall.aside
        return [*self._recall.said, *([sent(aside)] if aside.strip() and aside != self.written else [])]

    def fill_history(self, prompts: list[str]) -> None:
        """Add what was said before what is known so far; who has begun to recall stays where they are."""
        self._recall.fill(prompts)

    def fill_others(self, prompts: list[str]) -> None:
        """Take what was said in other sessions, oldest first, and go on to it."""
        self._recall.fill_others(prompts)
        steps, self._steps = self._steps, 0
        for _ in range(steps):
            self._step_back(-1)

    def add_history(self, prompt: str) -> None:
        self._recall.add(prompt)

    def put_by(self) -> None:
        """Have Up bring back the text, which is about to make way."""
        draft = self.written
        self._keep_folded(draft)
        self._recall.put_by(sent(draft))

    @property
    def has_put_by(self) -> bool:
        """Whether Up brings back what was put by last."""
        return self._recall.is_put_by

    def is_rewritten(self, text: str) -> bool:
        """Whether something else has been made of a text that was put here."""
        draft = self.written
        return bool(draft.strip()) and sent(draft) != plain(text) and draft != self._as_folded(text)

    @property
    def written(self) -> str:
        """What is being written, as a draft is kept: a prompt from before that is only looked at takes nothing's place."""
        aside = self._recall.aside
        is_looking = aside.strip() and not self._recall.is_unsaid and self.whole == self._recalled
        return aside if is_looking else self.kept

    def _keep_folded(self, draft: str) -> None:
        """Remember what is folded in a text: it is so again when the text comes back."""
        if OPEN in draft:
            self._folded[sent(draft)] = draft
            for text in list(self._folded)[:-MOST_FOLDED]:
                del self._folded[text]

    def give_back(self, text: str) -> None:
        """Put back what could not be sent, before whatever was typed since."""
        draft = self._as_folded(text)
        self.restore(f"{draft}\n{self.kept}" if self.text.strip() else draft)

    def replace_text(self, text: str) -> None:
        """Put `text`, cleaned, in place of everything, with the cursor at its end."""
        self.restore(self._as_folded(text))

    def restore(self, draft: str) -> None:
        # Another text is not what was to be sent.
        self._is_to_be_sent = False
        super().restore(draft)
        self._recall.leave()

    def _as_folded(self, text: str) -> str:
        """A text as a draft: with the same folded in it as when it was written here."""
        text = plain(text)
        return self._folded.get(text) or written(text)

    def retype(self, text: str) -> None:
        """Put `text` in place of everything as if it had been typed: it can be undone. What was folded stays so, and files
        are meant where they were."""
        meant = self._meant
        self.replace(self.folded_again(plain(text)), (0, 0), self.document.end, maintain_selection_offset=False)
        self._meant = meant
        self.move_cursor(self.document.end)

    def action_submit(self) -> None:
        row, column = self.cursor_location
        if self.document.get_line(row)[:column].endswith("\\"):
            self.replace("\n", (row, column - 1), (row, column), maintain_selection_offset=False)
            return
        self.name_files()
        text = self.whole
        if self._pending or self._asked:
            self._is_to_be_sent = True
        elif text.strip():
            self._keep_folded(self.kept)
            aside = self._recall.aside if sent(self._recall.aside) != text else ""
            self.restore(aside)
            self.post_message(self.Submitted(text, aside))

    def action_newline(self) -> None:
        self._replace_via_keyboard("\n", *self.selection)

    # The list above it

    def offer(self, offers: list[Offer], what: str = "", at: Place | None = None) -> None:
        """Show what the text may become, or with `at` what is between there and the cursor.

        `what` names that: where the user has closed the list over it, it stays closed.
        """
        self._offered_for, self._offered_at = what, at
        if what != self._unwanted:
            self._unwanted = None
        if self._unwanted is not None or not self.has_focus:
            offers = []
        if offers or self._offers.offers:
            self._offers.show(offers)
            self.screen.refresh_bindings()

    def action_take_offer(self, sends: bool) -> None:
        """Put what is highlighted in place of what it was offered for, and with `sends` send that if nothing need follow."""
        chosen, at = self._offers.chosen, self._offered_at
        if chosen is None:
            return
        if at is None:
            self.retype(chosen.text)
            if sends and chosen.ends:
                self.action_submit()
        elif chosen.path:
            self._pending += 1
            end = self.cursor_location
            self.do_not_mean(self.word_from(at))
            self.post_message(self.FileChosen(chosen.path, at, end, self.get_text_range(at, end)))
            self.offer([])
        else:
            self.replace(chosen.text, at, self.cursor_location, maintain_selection_offset=False)
            self.mean([self.word_from(at)])

    def action_take_typed_out(self) -> None:
        """A blank after the whole path of a file attaches it."""
        self.action_take_offer(False)
        self.insert(" ")

    def attach(self, chosen: FileChosen, file: Folded | None) -> None:
        """Put a file that was chosen where it was named, if it still is; without one it could not be read."""
        self._pending -= 1
        if file is None:
            self._is_to_be_sent = False
        elif self.get_text_range(chosen.start, chosen.end) == chosen.named:
            self.replace(fold(file, self._known), chosen.start, chosen.end)
        self._send_if_ready()

    def attach_named(self, word: str, part: str, file: Folded | None, *, is_refused: bool) -> None:
        """Put a file in place of the `part` of a word that names it. It may be none after all, or one that `is_refused`."""
        if self.put_named(word, part, file):
            self._is_to_be_sent &= not is_refused
            self._send_if_ready()

    def _send_if_ready(self) -> None:
        if not self._pending and not self._asked and self._is_to_be_sent:
            self._is_to_be_sent = False
            self.action_submit()

    def action_step_offer(self, step: int) -> None:
        self._offers.step(step)
        self.screen.refresh_bindings()

    def action_close_offers(self) -> None:
        self._unwanted = self._offered_for
        if self._offered_at is not None:
            self.do_not_mean(self.word_from(self._offered_at))
        self.offer([], self._offered_for)

    def on_blur(self) -> None:
        self.offer([])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "expand":
            return any(not folded.name for _, _, folded in self.placeholders())
        if action == "take_typed_out":
            at, file = self._offered_at, self._offers.chosen
            if at is None or file is None or not file.path or not self.is_meant(at):
                return False
            return self.get_text_range(at, self.cursor_location) == file.text
        if action not in ("take_offer", "step_offer", "close_offers"):
            return super().check_action(action, parameters)
        chosen = self._offers.chosen
        if self._offered_at is not None:
            # Where a file was pasted, and not meant, Enter sends.
            is_enter = action == "take_offer" and parameters == (True,)
            return chosen is not None and (not is_enter or self.is_meant(self._offered_at))
        # What is typed out already Enter sends, as it does without a list.
        return chosen is not None and (parameters != (True,) or chosen.text.rstrip() != self.text.rstrip())

    # Recalling

    def action_cursor_up(self, select: bool = False) -> None:
        if select or not self.cursor_at_first_line or not self._step_back(-1):
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        if select or not self.cursor_at_last_line or not self._step_back(1):
            super().action_cursor_down(select)

    def action_cursor_line_end(self, select: bool = False) -> None:
        before = self.cursor_location
        super().action_cursor_line_end(select)
        if not select and self.cursor_location == before:
            self.post_message(self.EndWanted())

    def _step_back(self, step: int) -> bool:
        """Show the prompt before or after in the history. False where there is none that way."""
        if self._recall.is_back and self.whole != self._recalled:
            # What was recalled and then changed is a text of its own: the arrows move in it.
            return False
        if step < 0 and self._recall.needs_others:
            self._steps += 1
            self.post_message(self.OthersWanted())
            return True
        text = self._recall.step(step, self.kept)
        if text is None:
            return False
        if self._recall.is_back:
            text = plain(text)
        super().restore(self._folded.get(text) or (text if OPEN in text else written(text)))
        self._recalled = self.whole
        if step < 0:
            self.move_cursor((0, 0))
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
        self.paste(event.text)

    def action_paste(self) -> None:
        self.paste(self.app.clipboard)

    def action_expand(self) -> None:
        """Show in full the paste at the cursor, or the one before it, or the first."""
        found = [one for one in self.placeholders() if not one[2].name]
        if found:
            before = [one for one in found if one[0] <= self.cursor_location]
            start, end, folded = (before or found[:1])[-1]
            self.replace(folded.text, start, end, maintain_selection_offset=False)
