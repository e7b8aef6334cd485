"""A session screen on which what was said is found: in the session shown, in all of them."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from textual import on
from textual.binding import Binding
from textual.widget import Widget

from tui.app.screens.session_screen import SessionScreen
from tui.app.transcript.view import TranscriptView
from tui.app.widgets.find_bar import FindBar
from tui.model import Scroll, Session

if TYPE_CHECKING:
    from tui.app.screens.search import Chosen


class FindScreen(SessionScreen):
    """Ctrl+F finds in the transcript, Ctrl+R searches everything."""

    BINDINGS = [
        Binding("ctrl+f", "find", "Find", id="view.find", show=False, priority=True),
        Binding("ctrl+r", "search", "Search", id="session.search", priority=True),
    ]

    _found: Chosen | None = None
    _sought = ""
    _outside: Widget | None = None
    """What has the focus, or had it before the find bar."""

    # In all sessions

    def action_search(self) -> None:
        from tui.app.screens.search import SearchScreen

        self.app.push_screen(SearchScreen(self._chat, self._found), self._searched)

    def _searched(self, chosen: Chosen | None) -> None:
        if chosen is not None:
            self._found = chosen
            self.do(self._land(chosen))

    async def _land(self, chosen: Chosen) -> None:
        """Go to what was found, and mark it."""
        from tui.matching import matcher_of
        from tui.query import ASSISTANT, parse_query

        session = await self._chat.session(chosen.session.session_id)
        if session is None or session.deleted_at is not None:
            self.say("That session is gone")
            return
        hit = chosen.hit
        if hit is None:
            self._go_to(session)
            return
        if self._session is None or self._session.id != session.id:
            await self.visit(replace(session, scroll=Scroll(hit.depth, at_end=False)))
        elif self.transcript.turn_at(hit.depth) is None:
            await self._bring_turns(session.id, hit.depth, hit.depth + 24)
        if self._session is not None and self._session.id == session.id:
            words = matcher_of(parse_query(chosen.text, self._chat.now()))
            self.transcript.land(hit.depth, words, on_answer=hit.role == ASSISTANT)
            self.transcript.focus()

    # In the session shown

    @property
    def _bar(self) -> FindBar | None:
        return next(iter(self.query(FindBar)), None)

    def action_find(self) -> None:
        self.do(self._open_bar())

    def set_focus(self, widget: Widget | None, scroll_visible: bool = True, from_app_focus: bool = False) -> None:
        if widget is not None and not isinstance(widget.parent, FindBar):
            self._outside = widget
        super().set_focus(widget, scroll_visible, from_app_focus)

    async def _open_bar(self) -> None:
        bar = self._bar
        if bar is None:
            bar = FindBar(self._sought)
            await self.query_one("#main").mount(bar, after=self.transcript)
            if self._sought:
                self._look_for(self._sought)
        bar.begin()

    @on(FindBar.Changed)
    def _find(self, event: FindBar.Changed) -> None:
        if event.text != self._sought or self.transcript.finding is None:
            self._look_for(event.text)

    def _look_for(self, text: str) -> None:
        from tui.matching import literal

        self._sought = text
        self.transcript.find(literal(text))
        if self._session is not None and text.strip():
            self.run_worker(self._follow_places(self._session, text), group="find", exclusive=True)

    async def _follow_places(self, session: Session, text: str) -> None:
        """Tell the transcript where else it is. Begun anew with every key, which ends what was under way."""
        finding = self.transcript.finding
        async with aclosing(self._chat.places(session.id, text)) as search:
            async for places in search:
                if finding is None or self.transcript.finding is not finding:
                    return
                self.transcript.add_places(places)

    @on(FindBar.Stepped)
    def _step(self, event: FindBar.Stepped) -> None:
        self.transcript.action_find_step(event.direction)

    @on(TranscriptView.FindingChanged)
    def _count(self) -> None:
        bar, finding = self._bar, self.transcript.finding
        if bar is not None and finding is None and self._session is not None and self._sought.strip():
            # Another session is shown: the same is looked for there.
            self._look_for(self._sought)
        elif bar is not None and finding is not None:
            bar.show(finding.number, finding.total, is_done=finding.is_done)

    @on(FindBar.Closed)
    async def _close_bar(self) -> None:
        """Close the bar, stay where it was found, and go on with what had the focus before."""
        self.set_focus(self._outside or self.prompt)
        bar = self._bar
        if bar is not None:
            await bar.remove()
        self.transcript.find(None)
