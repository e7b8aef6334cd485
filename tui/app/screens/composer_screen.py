"""A session screen on which what is being typed is completed."""

from __future__ import annotations

from textual import on
from textual.widgets import TextArea

from tui.app.screens import slash
from tui.app.screens.queue_screen import QueueScreen
from tui.app.widgets.offer_list import OfferList


class ComposerScreen(QueueScreen):
    """While a command is typed, those that fit are listed above the input."""

    def slash_commands(self) -> slash.Commands:
        """What can be typed after a slash at this moment."""
        raise NotImplementedError

    @on(TextArea.Changed, "#prompt")
    @on(TextArea.SelectionChanged, "#prompt")
    def _look_for_offers(self) -> None:
        """Offer what the text up to the cursor may become."""
        prompt = self.prompt
        is_command = prompt.text.startswith("/") and prompt.selection.is_empty and prompt.cursor_at_end_of_text
        prompt.offer(slash.offers(prompt.text, self.slash_commands()) if is_command else [])

    @on(OfferList.Clicked)
    def _take_clicked(self) -> None:
        self.prompt.focus()
        self.prompt.action_take_offer(False)
