"""What is found in the history, step by step, so that others can read meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from tui.found import Found, Places
from tui.matching import literal
from tui.model import Session, Turn
from tui.query import Query
from tui.store.access import Access
from tui.store.find import Find
from tui.store.search import Search
from tui.store.sql.names import Names


class Finds:
    """Searches of the whole history, or of one session."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._names = Names()

    async def search(
        self, query: Query, *, limit: int, live: Sequence[tuple[Turn, Session]] = ()
    ) -> AsyncGenerator[Found, None]:
        """What fits a query: each time all that is found so far, until that is all. Closing it ends the search at once.

        `live` are turns as they stand now, with their sessions, that may not be on disk yet.
        """
        overlay = self._access.overlay
        unsaved = [(turn, overlay.homes[turn.session_id]) for turn in overlay.turns.values()]
        search = Search(query, limit, self._names, [*unsaved, *live])
        try:
            while not search.is_done:
                found = await self._access.read(search.step, Found(is_done=True))
                yield found
                if found.is_done:
                    return
        finally:
            search.stop()

    async def places(self, session_id: str, text: str) -> AsyncGenerator[Places, None]:
        """Where in a session a text is, whatever its capitals: each time some more of its turns, the newest ones first."""
        find = Find(session_id, literal(text))
        try:
            while not find.is_done:
                places = await self._access.read(find.step, Places(is_done=True))
                yield places
                if places.is_done:
                    return
        finally:
            find.stop()
