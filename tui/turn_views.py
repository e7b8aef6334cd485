"""Turns as they stand: what is on disk of them, with those that run as they are at this moment."""

from __future__ import annotations

from dataclasses import replace

from tui.clock import Clock
from tui.config import Config, Profile
from tui.errors import ConfigError
from tui.figures import Figures, figures_of
from tui.model import Branch, Session, Turn, Variants
from tui.runs import NO_SILENCE, Outline, Run, Silence
from tui.sessions import Sessions
from tui.store import Store
from tui.traits import Can, Traits


class TurnViews(Sessions):
    """What front ends see of the turns in sessions. Running them is for those who derive from it."""

    def __init__(self, store: Store, config: Config, clock: Clock) -> None:
        super().__init__(store, config, clock)
        self._runs: dict[str, Run] = {}
        self._ending: dict[str, Run] = {}
        self._mine: dict[str, Outline] = {}
        # Those of this window's turns whose prompt was put into words for the user.
        self._worded: set[str] = set()
        # As servers told them, by origin and profile.
        self._windows: dict[tuple[str, str], int] = {}

    async def count(self, session_id: str) -> int:
        """How many turns a session has."""
        coming = self._coming(session_id)
        saved = await self._store.count(session_id)
        coming = self._coming(session_id) or coming
        if coming is not None:
            return coming.turn.depth + 1
        return max([saved, *(run_.turn.depth + 1 for run_ in self._shown(session_id))])

    async def turns(
        self, session_id: str, start: int = 0, stop: int | None = None, *, must_read: bool = False
    ) -> list[Turn]:
        """A session's turns from depth `start` up to, not including, `stop`; a running one as it stands now.

        Raises:
            StoreError: They cannot be read, and they `must`.
        """
        coming = self._coming(session_id)
        saved = await self._store.turns(session_id, start, stop, must_read=must_read)
        coming = self._coming(session_id) or coming
        runs = self._shown(session_id)
        if coming is not None:
            saved = [turn for turn in saved if turn.depth < coming.turn.depth]
            # It may have come and ended while this was read.
            runs = [*(run_ for run_ in runs if run_.turn.depth < coming.turn.depth), coming]
        turns = {turn.id: turn for turn in saved}
        for run_ in runs:
            if run_.turn.depth >= start and (stop is None or run_.turn.depth < stop):
                turns[run_.turn.id] = run_.turn
        return sorted(turns.values(), key=lambda turn: turn.depth)

    def is_typed_here(self, turn_id: str) -> bool:
        """Whether a turn's prompt was typed in this window."""
        return turn_id in self._mine and turn_id not in self._worded

    async def turn(self, turn_id: str) -> Turn | None:
        """One turn, with its attempts."""
        return await self._store.turn(turn_id)

    async def prompts(self, session_id: str) -> list[str]:
        """What the user said in a session, oldest first."""
        return await self._store.prompts(session_id)

    async def prompts_elsewhere(self, session_id: str) -> list[str]:
        """What the user said last in other sessions, oldest first."""
        return await self._store.prompts_elsewhere(session_id)

    async def variants(self, session_id: str) -> dict[int, Variants]:
        """Where a session was gone on with in several ways: by the depths at which those on its present branch part."""
        return await self._store.branches.variants(session_id)

    async def branches(self, session_id: str) -> list[Branch]:
        """The ways a session was gone on, the one begun first first."""
        return await self._store.branches.of(session_id)

    def window_of(self, turn: Turn) -> int | None:
        """How many tokens the context of the model that answered a turn may have, where the profile or its server says."""
        profile = self.config.profiles.get(turn.profile)
        is_same = profile is not None and (profile.origin, profile.protocol) == (turn.origin, turn.protocol)
        said = profile.context_window if profile is not None and is_same else None
        return said or self._windows.get((turn.origin, turn.profile))

    def figures(self, turn: Turn) -> Figures:
        """What a turn came to in numbers."""
        return figures_of(turn, self.window_of(turn))

    def is_running(self, session_id: str) -> bool:
        return session_id in self._runs

    def silence(self, session_id: str) -> Silence:
        """How long the server has been silent that answers in a session; not at all where none does, in this window."""
        run_ = self._runs.get(session_id)
        if run_ is None or not run_.told:
            return NO_SILENCE
        now = self._clock.monotonic()
        return Silence(now - run_.told, now - max(run_.told, run_.heard))

    def running(self) -> tuple[str, ...]:
        """The sessions that are answering in this window."""
        return tuple(self._runs)

    def goes_on(self, session_id: str) -> bool:
        """Whether the server's work on a session's running turn goes on when it is let go of, and can be taken up again."""
        run_ = self._runs.get(session_id)
        return run_ is not None and Can.RESUME in run_.profile.traits.can and bool(run_.name)

    def lets_go_of(self, session_id: str) -> bool:
        """Whether Ctrl+C means to let go of a session's running turn, not to stop it."""
        run_ = self._runs.get(session_id)
        return run_ is not None and Can.DETACH in run_.profile.traits.can and bool(run_.name)

    def profile_of(self, session: Session | None, profile: str = "", model: str = "") -> Profile:
        """Where a session's next turn goes, unless told otherwise. What was said to one server goes to no other one only
        because the session's profile is there no more.

        Raises:
            ConfigError: There is no such profile.
        """
        known = session.profile if session else ""
        if known and not profile and known not in self.config.profiles | self.config.unusable.keys():
            raise ConfigError(f"The profile {known!r} is not configured any more.", hint="/profile or -p names another")
        found = self.config.profile(profile or known)
        model = model or (session.model if session and not profile else "")
        return replace(found, model=model) if model else found

    def server_of(self, session: Session | None) -> dict[str, str]:
        """The profile and model that a session begun beside this one has; empty, for the default ones, where its profile
        is not configured any more."""
        if session is None or (session.profile and session.profile not in self.config.profiles):
            return {"profile": "", "model": ""}
        return {"profile": session.profile, "model": session.model}

    def traits_of(self, session: Session) -> Traits:
        """What a session's server can do: nothing, where its profile is not configured any more."""
        try:
            return self.profile_of(session).traits
        except ConfigError:
            return Traits(keeps=False)

    def _coming(self, session_id: str) -> Run | None:
        """The running turn that is about to take the place of others, where those are still to be read in it."""
        run_ = self._runs.get(session_id)
        return run_ if run_ is not None and run_.at is not None and run_.saved is None else None

    def _shown(self, session_id: str) -> list[Run]:
        """What runs in a session, or is being saved, and lies on its present branch."""
        shown: list[Run] = []
        for run_ in self._of(session_id):
            if run_.at is not None:
                shown = [one for one in shown if one.turn.depth < run_.turn.depth]
            shown.append(run_)
        return shown

    def _of(self, session_id: str) -> list[Run]:
        """What runs in a session, or has just ended and is being saved."""
        ending = [run_ for run_ in self._ending.values() if run_.turn.session_id == session_id]
        return [*ending, self._runs[session_id]] if session_id in self._runs else ending
