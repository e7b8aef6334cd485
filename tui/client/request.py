"""What a turn asks of a client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from tui.config import Profile
from tui.model import Item, Message, Verdict
from tui.pictures import Picture
from tui.values import dataclass


async def _nothing() -> tuple[Message, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt on its way to a server.

    `conversation_id` is the server's, or empty. `history` is what was said that the server does not know yet: all of it
    without an id, what happened elsewhere since with one. `recall` gives all that was said, for starting afresh. `answers`
    are the user's words to what the turn before asked; `run` is a run to take up again, instead of asking anything.
    `pictures` are those that `prompt` names. `preface` is what the model is told of what was said before, where it is told
    that. `is_forked` is whether the conversation was made from one that may be someone else's. `budget` is how many seconds
    may be spent waiting between attempts. `is_watched` says whether the user looks at what comes: else it may come a moment
    later. `heard` is called whenever something comes from the server, whatever it is.
    """

    profile: Profile
    prompt: str
    session_id: str = ""
    history: tuple[Message, ...] = ()
    recall: Callable[[], Awaitable[tuple[Message, ...]]] = _nothing
    conversation_id: str = ""
    answers: tuple[tuple[Item, Verdict], ...] = ()
    run: str = ""
    pictures: tuple[Picture, ...] = ()
    preface: str = ""
    allow_fresh: bool = True
    is_forked: bool = False
    budget: float = 60.0
    is_watched: Callable[[], bool] = lambda: True
    heard: Callable[[], None] = lambda: None

    async def fresh(self, *, with_history: bool) -> Request:
        """The same without the id, telling all that was said where the protocol takes it."""
        return replace(self, conversation_id="", history=await self.recall() if with_history else ())
