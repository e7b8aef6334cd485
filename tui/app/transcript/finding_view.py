"""The part of a transcript's widget that finds: what is marked in it, with the way from one match to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.app.transcript.selection import GUTTER
from tui.app.transcript.strips import restyled
from tui.app.transcript.viewport import Row, Viewport

if TYPE_CHECKING:
    from tui.app.transcript.find import Finding
    from tui.found import Places
    from tui.matching import Matcher


class FindingView(ScrollView):
    """Lines with marks on what is looked for. Those who derive from it draw them."""

    BINDINGS = [
        Binding("n", "find_step(1)", "Next match", id="transcript.next-match", show=False),
        Binding("N,shift+n", "find_step(-1)", "Match before", id="transcript.previous-match", show=False),
    ]

    _port: Viewport
    _finding: Finding | None = None

    class FindingChanged(Message):
        """There are other matches, or another one is the present one."""

    @property
    def finding(self) -> Finding | None:
        """What is looked for, if anything is."""
        return self._finding

    def find(self, matcher: Matcher | None) -> None:
        """Mark what fits, and go to the match nearest to what is in view; None ends that."""
        from tui.app.transcript.find import Finding

        self._finding = Finding(matcher, self._port) if matcher else None
        if self._finding is not None:
            self._finding.begin()
        self._found_anew()

    def land(self, depth: int, matcher: Matcher, *, on_answer: bool) -> None:
        """Show a turn's prompt, or its answer, where it fits, and mark what does."""
        from tui.app.transcript.find import Finding
        from tui.matching import Matcher

        self._finding = Finding(matcher, self._port) if matcher else None
        # Without words there is still a message to go to.
        (self._finding or Finding(Matcher([]), self._port)).land(depth, on_answer=on_answer)
        self._found_anew()

    def add_places(self, places: Places) -> None:
        """Take in where else it is in the session."""
        if self._finding is not None:
            self._finding.add(places)
            self._found_anew()

    def action_find_step(self, direction: int) -> None:
        """Go to the next match, or to the one before."""
        if self._finding is not None:
            self._finding.step(direction)
            self._found_anew()

    def _found_anew(self) -> None:
        self._show_found()
        self.post_message(self.FindingChanged())

    def _show_found(self) -> None:
        """Paint everything, the place having moved."""
        raise NotImplementedError

    def _refind(self, depths: list[int]) -> None:
        """Turns have come, or have changed."""
        if self._finding is not None and depths:
            before = (self._finding.total, self._finding.current)
            for depth in depths:
                self._finding.refresh(depth)
            if before != (self._finding.total, self._finding.current):
                self.post_message(self.FindingChanged())

    def _see_found(self) -> None:
        """Other lines are in view."""
        if self._finding is not None:
            before = self._finding.total
            self._finding.see()
            if self._finding.total != before:
                self.post_message(self.FindingChanged())

    def _stop_finding(self) -> None:
        """Another session is shown."""
        if self._finding is not None:
            self._finding = None
            self.post_message(self.FindingChanged())

    def _with_marks(self, strip: Strip, row: Row) -> Strip:
        """A line with what was found in it marked."""
        if self._finding is None:
            return strip
        palette = self._port.ground.palette
        for start, end, is_current in self._finding.marks(row):
            style = palette.mark if is_current else palette.match
            strip = restyled(strip, GUTTER + start, GUTTER + end, style)
        return strip
