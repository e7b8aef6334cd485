"""A session screen on which what is being typed is completed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual import on
from textual.binding import Binding
from textual.widgets import TextArea

from tui.app.editor import Editor
from tui.app.path_offers import Folders, named_file, path_word, place_of
from tui.app.run import Wish
from tui.app.screens import slash
from tui.app.screens.queue_screen import QueueScreen
from tui.app.widgets.offer_list import OfferList
from tui.app.widgets.prompt import Prompt
from tui.aside import aside
from tui.attachments import Attachment, read_attachment, with_attachments
from tui.chat import Chat
from tui.drafts import Folded, folded_file
from tui.errors import UsageError
from tui.pictures import Picture
from tui.shown_pictures import refuse_pictures
from tui.store import Store
from tui.text import one_line

READING = 10.0
"""Seconds a file may take to be read."""


@asynccontextmanager
async def _in_time(name: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(READING):
            yield
    except TimeoutError:
        raise UsageError(f"{one_line(name, 200)} could not be read in {READING:.0f} s.") from None


class ComposerScreen(QueueScreen):
    """While a command is typed, those that fit are listed above the input. Ctrl+G opens an editor on the prompt."""

    BINDINGS = [Binding("ctrl+g", "edit_prompt", "Edit in your editor", id="prompt.editor", show=False)]

    def __init__(self, chat: Chat, store: Store, wish: Wish) -> None:
        super().__init__(chat, store, wish)
        self._folders = Folders()
        self._editor = Editor(lambda: self.app.lend_terminal(), chat.config.key_variables)  # type: ignore[attr-defined]

    _has_placeholders = False
    _word: tuple[int, int, str] | None = None

    def slash_commands(self) -> slash.Commands:
        """What can be typed after a slash at this moment."""
        raise NotImplementedError

    @on(TextArea.Changed, "#prompt")
    @on(TextArea.SelectionChanged, "#prompt")
    def _look_for_offers(self) -> None:
        """Offer what the text up to the cursor may become, and the key for pastes where there are some."""
        prompt = self.prompt
        if bool(prompt.placeholders()) is not self._has_placeholders:
            self._has_placeholders = not self._has_placeholders
            self.refresh_bindings()
        is_command = prompt.text.startswith("/") and prompt.selection.is_empty and prompt.cursor_at_end_of_text
        row, column = prompt.cursor_location
        word = path_word(prompt.document.get_line(row)[:column]) if prompt.selection.is_empty else None
        before, self._word = self._word, None if is_command or word is None else (row, *word)
        if is_command:
            prompt.offer(slash.offers(prompt.text, self.slash_commands()), "/")
        elif self._word is None:
            prompt.offer([])
        elif self._word != before:
            # No coroutine that is there already: one given up before it began would be complained of.
            self.run_worker(self._offer_paths, group="paths", exclusive=True)  # type: ignore[arg-type]

    async def _offer_paths(self) -> None:
        """Offer what a path may become, unless something else is being typed by the time that is known."""
        word = self._word
        if word is None:
            return
        row, column, path = word
        offers = await aside(lambda: self._folders.offers(path, lambda: self._word == word))
        if self._word == word and self.is_attached:
            self.prompt.offer(offers, f"@{row}:{column}", (row, column))

    @on(Prompt.FileChosen)
    def _file_chosen(self, event: Prompt.FileChosen) -> None:
        self.do(self._attach_file(event), may_be_left=True)

    async def _attach_file(self, chosen: Prompt.FileChosen) -> None:
        file: Folded | None = None
        try:
            file = await self._read(chosen.path)
        finally:
            self.prompt.attach(chosen, file)

    async def _read(self, path: str) -> Folded:
        async with _in_time(path):
            read, picture = await aside(lambda: read_attachment(place_of(path), path))
        if picture is not None:
            await self._keep_picture(read, picture)
        return folded_file(read)

    @on(TextArea.Changed, "#prompt")
    def _attach_meant(self) -> None:
        """Attach what was named in full before there was a list to take it from, as where much is typed at once."""
        self.prompt.name_files(but_at_cursor=True)

    @on(Prompt.FileNamed)
    def _file_named(self, event: Prompt.FileNamed) -> None:
        self.do(self._attach_named(event.word), may_be_left=True)

    async def _attach_named(self, word: str) -> None:
        part, file, is_refused = "", None, True
        try:
            async with _in_time(word):
                part, path = await aside(lambda: named_file(word))
            file = await self._read(path) if path else None
            is_refused = False
        finally:
            self.prompt.attach_named(word, part, file, is_refused=is_refused)

    @on(Prompt.Pasted)
    def _pasted(self, event: Prompt.Pasted) -> None:
        self.do(self._tell_pasted(event), may_be_left=True)

    async def _tell_pasted(self, pasted: Prompt.Pasted) -> None:
        """Say that files named in a paste are not attached: whoever wrote it, the user may not mean them."""
        found = await aside(lambda: list(filter(None, (named_file(word)[0] for word in pasted.words))))
        if found:
            more = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
            are, them = ("are", "them") if more else ("is", "it")
            taking = "" if pasted.is_folded else f", or press {self.key('list.complete')} behind {them}"
            self.say(f"{one_line(found[0], 60)}{more} {are} not attached: type {them}{taking}")

    async def _keep_picture(self, file: Attachment, picture: Picture) -> None:
        refuse_pictures(self._chat.profile_of(self.session), with_attachments("", [file]))
        await self._chat.keep_picture(picture)

    # In an editor

    def action_edit_prompt(self) -> None:
        self.do(self._edit_prompt())

    async def _edit_prompt(self) -> None:
        before = self.prompt.unfolded
        made = await self._editor.edit(before)
        self.prompt.focus()
        if made == before:
            self.say("The editor changed nothing")
        else:
            prompt = self.prompt
            known = {word for _, word in prompt.words()}
            prompt.retype(made)
            prompt.mean({word for _, word in prompt.words()} - known)

    async def on_unmount(self) -> None:
        await self._editor.close()

    # What was said elsewhere

    @on(Prompt.OthersWanted)
    def _bring_others(self) -> None:
        if self._session is not None:
            self.do(self._bring_said_elsewhere(self._session.id))

    async def _bring_said_elsewhere(self, session_id: str) -> None:
        said = await self._chat.prompts_elsewhere(session_id)
        if self._session is not None and self._session.id == session_id:
            self.prompt.fill_others(said)

    @on(OfferList.Clicked)
    def _take_clicked(self) -> None:
        self.prompt.focus()
        self.prompt.action_take_offer(False)
