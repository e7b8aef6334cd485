"""What the user does with files: the session shown is written to one, threads are read from one."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tui.app.screens.asking import ask
from tui.app.screens.session_actions import Stage
from tui.app.screens.sessions import SessionList
from tui.chat import Chat
from tui.errors import UsageError
from tui.model import Session
from tui.text import counted, one_line

if TYPE_CHECKING:
    from tui.exchange import Exported, Form, Outcome

_SAID_EVERY = 50
"""Threads, or turns of the only one, between two words on how far an import is; a shorter export needs none."""


class FileActions:
    """Each action asks for a file, has `Chat` write or read it, and tells what came of it."""

    def __init__(self, chat: Chat, sessions: SessionList, stage: Stage) -> None:
        self._chat = chat
        self._list = sessions
        self._stage = stage

    def export(self, form: Form | None = None, name: str = "") -> None:
        """Write the session shown to a new file: the one named, or one to be asked for. Its name tells the form, where
        that is not given."""
        from tui.exchange import Form, form_of

        session = self._stage.session
        if session is None:
            return
        if name:
            self._write(session, form or form_of(name), name)
            return
        form = form or Form.BUNDLE
        proposal = self._chat.exchange.file_name(session, form)
        question = f"The new file, in {one_line(str(Path.cwd()), 60)}"
        self._ask(question, proposal, self._chat.exchange.check_new, lambda name: self._write(session, form, name))

    def _write(self, session: Session, form: Form, name: str) -> None:
        self._stage.do(self._export(session, form, name), name="the export")

    async def _export(self, session: Session, form: Form, name: str) -> None:
        self._stage.say("Writing the file…")
        exported = await self._chat.exchange.export(session, form, _path(name), on_written=self._tell_written)
        self._stage.say(_written(exported))

    def _tell_written(self, written: int, turns: int) -> None:
        if turns > _SAID_EVERY and written < turns:
            self._stage.tell_progress(f"Writing: {written:,} of {turns:,} turns")

    def take_in(self, name: str = "") -> None:
        """Make sessions of what is in a file: the one named, or one to be asked for."""
        if name:
            self._stage.do(self._take_in(name), name="the import")
        else:
            self._ask("The file to import", "", self._chat.exchange.check_known, self.take_in)

    async def _take_in(self, name: str) -> None:
        from tui.exchange import Result, summary

        self._stage.say("Reading the file…")
        found: list[Outcome] = []
        async with aclosing(self._chat.exchange.take_in([_path(name)], on_saved=self._tell_saved)) as outcomes:
            async for outcome in outcomes:
                found.append(outcome)
                if outcome.total > _SAID_EVERY and outcome.done % _SAID_EVERY == 0:
                    self._stage.tell_progress(f"Importing: {outcome.done:,} of {outcome.total:,}")
        if len(found) > 1:
            await self.show_sessions()
        if len(found) == 1 and found[0].session is not None and found[0].session.deleted_at is None:
            self._list.put(found[0].session)
            await self._stage.enter(found[0].session)
        refused = [one.why for one in found if one.result is Result.REFUSED]
        self._stage.say(refused[0] if len(found) == 1 and refused else summary(found))

    async def show_sessions(self) -> None:
        """List what there is. Each session of an import comes to the front as it is told of, and stands below what was
        used here."""
        self._list.reset(await self._chat.sessions())
        self._stage.show_list()

    def _tell_saved(self, saved: int, turns: int) -> None:
        if turns > _SAID_EVERY and saved % _SAID_EVERY == 1:
            self._stage.app.call_later(self._stage.tell_progress, f"Importing: {saved:,} of {turns:,} turns")

    def _ask(
        self, question: str, proposal: str, check: Callable[[Path], Awaitable[object]], then: Callable[[str], None]
    ) -> None:
        async def take(name: str) -> None:
            if not name.strip():
                raise UsageError("The name is empty.", hint="name a file")
            await check(_path(name.strip()))

        ask(self._stage.app, question, proposal, take, lambda name: then(name.strip()))

    def commands(self) -> list[tuple[str, str, Callable[[], object]]]:
        """What the palette offers: title, note, action."""
        from tui.exchange import Form

        return [
            ("Export as a bundle", "A file that others import to go on from here", partial(self.export, Form.BUNDLE)),
            ("Export as Markdown", "A file for reading", partial(self.export, Form.MARKDOWN)),
            ("Export as HTML", "A page for reading, in any browser", partial(self.export, Form.HTML)),
            ("Import", "Make sessions of a bundle, or of another program's export", self.take_in),
        ]


def _written(exported: Exported) -> str:
    count = len(exported.plan.outline.turns)
    said = f"Wrote {counted(count, 'turn')} to {one_line(str(exported.file), 200)}"
    if exported.plan.unread:
        said += "; not all keys could be read, so look whether one is in it"
    return said


def _path(name: str) -> Path:
    """The file a user means, in their home folder where it begins with a tilde."""
    return Path(os.path.expanduser(name))
