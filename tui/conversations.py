"""What servers have beside answers: conversations to fork, adopt, share or forget; models to choose from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from tui.account import Account
from tui.client import Client
from tui.clock import Clock
from tui.config import Config, Profile
from tui.continuity import plan, point_after, was_stopped
from tui.errors import ConfigError, LabelTaken, StoreError, TurnError, UsageError
from tui.figures import figures_of
from tui.model import (
    AttemptKind,
    Conversation,
    ItemKind,
    Mapping,
    MappingState,
    Provenance,
    Scroll,
    Session,
    TitleSource,
    Turn,
    TurnStatus,
    check_label,
    new_id,
    title_from,
)
from tui.resending import NOTHING, Resending, Said
from tui.store import Store
from tui.text import one_line
from tui.traits import Can, Traits
from tui.values import dataclass

log = logging.getLogger(__name__)

FORK_NOTICE = "This was forked from someone's conversation, who may be allowed to see more than you are."

MOST_COUNTED = 64
"""How many sessions it is remembered of how much was said in them."""

_FORKED = " (forked)"


@dataclass(frozen=True, slots=True)
class Forked:
    """A session made from another one. `note` says what its server had to do with it, where that is worth knowing."""

    session: Session
    note: str = ""


class Conversations:
    """Talks to servers about conversations. `profile_of` tells where a session's next turn goes, `window_of` how
    large the context of a turn's model may be; `changed` is told of every session that is new or different."""

    def __init__(
        self,
        store: Store,
        client: Client,
        config: Config,
        clock: Clock,
        *,
        profile_of: Callable[[Session], Profile],
        window_of: Callable[[Turn], int | None],
        changed: Callable[[Session], None],
    ) -> None:
        self._store = store
        self._client = client
        self._config = config
        self._clock = clock
        self._profile_of = profile_of
        self._window_of = window_of
        self._said: dict[tuple[str, str, int], tuple[int, Said]] = {}
        self._changed = changed

    async def models(self, profile: Profile) -> list[str]:
        """The models a profile's server has.

        Raises:
            UsageError: It has no list of them.
            TurnError, ConfigError: It cannot be asked.
        """
        self._require(profile, Can.MODELS, "has no list of models")
        return await self._client.ask(profile, lambda wire, http: wire.models(http))

    async def listed(self, profile: Profile) -> list[Conversation]:
        """The conversations a profile's server has for this user, the newest first.

        Raises:
            UsageError: It has no list of them.
            TurnError, ConfigError: It cannot be asked.
        """
        self._require(profile, Can.LIST, "does not list conversations")
        return await self._client.ask(profile, lambda wire, http: wire.conversations(http))

    async def mapping(self, session: Session) -> Mapping | None:
        """The conversation a session's next turn would go on with, as far as is known."""
        return await self._mapping(session, self._profile_of(session))

    async def fork(self, session: Session, label: str, at: int | None = None) -> Forked:
        """Make a session that goes on from another one: from its last finished answer, or the last one among its first
        `at` turns. It has a conversation of its own where the server can make one of that point.

        Raises:
            UsageError: Nothing of it is finished, or the label cannot be one.
            LabelTaken: Another session has that label.
            StoreError: It has fewer than `at` turns, or the new one cannot be kept.
        """
        turns = await self._turns_to(session, at)
        last, is_own = _last_done(session, turns), session.provenance in (Provenance.OWN, Provenance.IMPORTED)
        new = replace(
            session,
            id=new_id(),
            label=check_label(label),
            title=session.title,
            created_at=self._clock.now(),
            pinned=False,
            unread=False,
            archived_at=None,
            deleted_at=None,
            draft="",
            scroll=Scroll(),
            shared=None,
            last_turn_at=last.created_at,
            last_status=last.status,
            provenance=session.provenance if is_own else Provenance.FORKED,
            notice=session.notice if is_own else FORK_NOTICE,
        )
        made = await self._store.fork(new, last.id)
        note = await self._fork_conversation(session, made, turns[: last.depth + 1])
        self._changed(made)
        return Forked(made, note)

    async def _fork_conversation(self, old: Session, new: Session, kept: list[Turn]) -> str:
        """Give a forked session a conversation of its own, if its server can make one. Gives a note for the user."""
        try:
            profile = self._profile_of(old)
        except ConfigError:
            return ""
        mapping = await self._mapping(old, profile)
        if mapping is None or mapping.state is not MappingState.LIVE or not kept:
            return ""
        traits, last = profile.traits, kept[-1]
        there = [turn for turn in kept if (turn.origin, turn.protocol) == (profile.origin, profile.protocol)]
        conversation_id = ""
        if traits.names_point:
            point = point_after(last, profile)
            if point is not None:
                await self._store.conversations.keep(replace(point, session_id=new.id))
                return ""
        elif Can.FORK in traits.can or Can.FORK_AT in traits.can:
            # After the conversation: one that is of another branch by now is seen to be.
            newest = [turn.id for turn in await self._store.turns(old.id, last.depth, last.depth + 2)]
            if last.id not in newest:
                return "The session went on from an earlier turn meanwhile; this one begins a new conversation."
            is_whole = mapping.depth == last.depth and len(newest) == 1
            if not is_whole and Can.FORK_AT not in traits.can:
                return "The server can fork whole conversations only; this one begins a new one there."
            told = None if is_whole else sum(turn.status is not TurnStatus.FAILED for turn in there)
            try:
                conversation_id = await self._client.ask(
                    profile, lambda wire, http: wire.fork(http, mapping.conversation_id, told)
                )
            except (TurnError, ConfigError) as error:
                log.info("the server did not fork: %s", error)
                return f"The server did not fork its conversation: {error.message}"
        if conversation_id:
            await self._keep(new, profile, conversation_id, last.depth)
        elif old.provenance is Provenance.FOREIGN:
            return "The server did not fork it; the next prompt begins a new conversation."
        return ""

    async def adopt(self, label: str, conversation_id: str, profile: Profile) -> Session:
        """Make a session of a conversation that a server has, with what was said in it where the server tells.

        Raises:
            UsageError: The protocol knows no conversations, or the label cannot be one.
            LabelTaken: Another session has that label.
            TurnError, ConfigError: The server cannot be asked, or does not know it.
            StoreError: It cannot be kept.
        """
        traits = profile.traits
        if not traits.keeps:
            raise UsageError(f"The {profile.protocol} protocol knows no conversations.")
        label = check_label(label)
        if await self._store.find(label):
            raise LabelTaken(label)
        turns = list[Turn]()
        if Can.READ in traits.can:
            turns = await self._client.ask(profile, lambda wire, http: wire.recall(http, conversation_id))
        found = await self._about(profile, conversation_id)
        title = found.title or (title_from(turns[0].prompt) if turns else "")
        notice = f"This conversation was found on {profile.origin.partition('://')[2]}, as {conversation_id}."
        provenance = Provenance.OWN
        if not found.is_own:
            notice, provenance = f"{notice} It is someone else's: fork it to go on.", Provenance.FOREIGN
        elif found.title.endswith(_FORKED):
            notice, provenance = f"{notice} {FORK_NOTICE}", Provenance.FORKED
        session = await self._store.create(
            Session(
                new_id(),
                label,
                title=title,
                title_source=TitleSource.GENERATED if title else TitleSource.NONE,
                profile=profile.name,
                created_at=self._clock.now(),
                notice=notice,
                provenance=provenance,
            )
        )
        await self._take_in(session, turns)
        await self._keep(session, profile, conversation_id, len(turns) - 1)
        session = await self._store.session(session.id) or session
        self._changed(session)
        return session

    async def _take_in(self, session: Session, turns: list[Turn]) -> None:
        for depth, turn in enumerate(turns):
            await self._store.save(replace(turn, session_id=session.id, depth=depth), None, session)

    async def account(self, session: Session, newest: int = 20) -> Account:
        """What is known of a session's conversations, of the requests that were more than a plain answer, and what its
        `newest` turns came to in numbers."""
        mappings, events = await self._store.conversations.account(session.id)
        count = await self._store.count(session.id)
        turns = await self._store.turns(session.id, max(0, count - newest))
        resumed = {event.turn for event in events if event.kind is AttemptKind.RESUMED}
        figures = tuple(
            (turn.depth + 1, figures_of(turn, self._window_of(turn), is_resumed=turn.depth + 1 in resumed))
            for turn in turns
        )
        lifetime = self._config.conversation_ttl
        return Account(session, mappings, events, lifetime, figures, await self.resending(session))

    async def resending(self, session: Session) -> Resending:
        """What a session's next prompt takes along of what was said before, as far as is known."""
        try:
            profile = self._profile_of(session)
        except ConfigError:
            return NOTHING
        if session.provenance is Provenance.FOREIGN:
            return NOTHING

        async def earlier(after: int) -> list[Turn]:
            return await self._store.turns(session.id, after + 1)

        mapping = await self._mapping(session, profile)
        planned = plan(
            profile,
            mapping,
            was_stopped=await was_stopped(profile, mapping, earlier),
            now=self._clock.now(),
            lifetime=self._config.conversation_ttl,
        )
        if planned.goes_on and planned.after is None:
            return NOTHING
        said = await self._said_after(session, -1 if planned.after is None else planned.after)
        return Resending(said, planned.is_new, planned.after is not None)

    async def _said_after(self, session: Session, depth: int) -> Said:
        """How much was said in a session after the turn at `depth`. Only what has come since the last time is counted:
        all but the newest turn of a branch stays as it is."""
        key = (session.id, session.branch, depth)
        newest = await self._store.count(session.id) - 1
        until, known = self._said.pop(key, (depth + 1, Said()))
        if until > newest:
            until, known = depth + 1, Said()
        if newest > until:
            until, known = newest, known + await self._store.said(session.id, until, newest)
        if session.branch:
            self._said[key] = (until, known)
            while len(self._said) > MOST_COUNTED:
                del self._said[next(iter(self._said))]
        return known + await self._store.said(session.id, until, newest + 1)

    async def forget(self, session: Session, profile: Profile | None = None) -> bool:
        """Let go of the conversation a session has with its server, or with that of `profile`; it is not told. False where
        there was none.

        Raises:
            StoreError: It cannot be read whether there is one.
        """
        mapping = await self._mapping(session, profile or self._profile_of(session), must_read=True)
        if mapping is None or mapping.state is MappingState.DETACHED:
            return False
        await self._store.conversations.let_go(mapping)
        self._changed(await self._store.session(session.id) or session)
        return True

    async def share(self, session: Session, at: int | None = None) -> str:
        """Let others read a session's conversation up to its last finished answer, or the last one among its first `at`
        turns. Gives the conversation's id, which they need.

        Raises:
            UsageError: The server does not share, or there is nothing to share.
            StoreError: It has fewer than `at` turns.
            TurnError, ConfigError: The server refuses, or cannot be asked.
        """
        profile, mapping = await self._shared(session)
        last = _last_done(session, await self._turns_to(session, at))
        is_newest = last.depth == mapping.depth
        until = None if is_newest else await self._server_key(session, profile, mapping, last.depth)
        await self._client.ask(profile, lambda wire, http: wire.share(http, mapping.conversation_id, until))
        await self._note_shared(session, last.depth + 1)
        return mapping.conversation_id

    async def _turns_to(self, session: Session, at: int | None) -> list[Turn]:
        """The first `at` turns of a session, or all of them.

        Raises:
            StoreError: There are fewer.
        """
        turns = await self._store.turns(session.id, 0, at)
        if at is not None and at > len(turns):
            raise StoreError(f"There is no turn {at:,} in “{one_line(session.label, 60)}”: it has {len(turns):,}.")
        return turns

    async def _server_key(self, session: Session, profile: Profile, mapping: Mapping, depth: int) -> str:
        """The server's name for a turn's answer. What a fork copied has another one than it had before, so it is asked."""
        told = await self._client.ask(profile, lambda wire, http: wire.recall(http, mapping.conversation_id))
        ours = await self._store.turns(session.id, 0, depth + 1)
        place = sum(turn.status is not TurnStatus.FAILED for turn in ours) - 1
        answers = [item.key for turn in told[place : place + 1] for item in turn.items if item.kind is ItemKind.MESSAGE]
        if not answers:
            raise UsageError("The server does not know this answer.", hint="share up to another one")
        return answers[-1]

    async def _note_shared(self, session: Session, turns: int | None) -> None:
        now = await self._store.update(session.id, shared=turns)
        if now is not None:
            self._changed(now)

    async def unshare(self, session: Session) -> None:
        """Let others read a session's conversation no longer.

        Raises:
            UsageError, TurnError, ConfigError: As for `share`.
        """
        profile, mapping = await self._shared(session)
        await self._client.ask(profile, lambda wire, http: wire.share(http, mapping.conversation_id, ""))
        await self._note_shared(session, None)

    async def _shared(self, session: Session) -> tuple[Profile, Mapping]:
        profile = self._profile_of(session)
        self._require(profile, Can.SHARE, "does not share conversations")
        mapping = await self._mapping(session, profile)
        if mapping is None or mapping.state is not MappingState.LIVE:
            raise UsageError("The server has no conversation for this session yet.", hint="say something first")
        return profile, mapping

    async def _mapping(self, session: Session, profile: Profile, *, must_read: bool = False) -> Mapping | None:
        return await self._store.conversations.get(
            session.id,
            profile.origin,
            profile.protocol,
            profile.principal,
            must_read=must_read and not self._store.is_only_here(session.id),
        )

    async def _keep(self, session: Session, profile: Profile, conversation_id: str, depth: int) -> None:
        now = self._clock.now()
        await self._store.conversations.keep(
            Mapping(session.id, profile.origin, profile.protocol, profile.principal, conversation_id, depth, now, now)
        )

    async def _about(self, profile: Profile, conversation_id: str) -> Conversation:
        """What a server tells of a conversation besides what was said in it: all of it where it shares, else the title."""
        if Can.SHARE in profile.traits.can:
            return await self._client.ask(profile, lambda wire, http: wire.conversation(http, conversation_id))
        unnamed = Conversation(conversation_id)
        if Can.LIST not in profile.traits.can:
            return unnamed
        try:
            listed = await self.listed(profile)
        except TurnError as error:
            log.info("a conversation is adopted without its title: %s", error)
            return unnamed
        return next((one for one in listed if one.id == conversation_id), unnamed)

    @staticmethod
    def _require(profile: Profile, what: Can, otherwise: str) -> Traits:
        if what not in profile.traits.can:
            raise UsageError(f"A server of the {profile.protocol} protocol {otherwise}.")
        return profile.traits


def _last_done(session: Session, turns: Sequence[Turn]) -> Turn:
    """The last of `turns` whose answer came to its end.

    Raises:
        UsageError: There is none.
    """
    done = [turn for turn in turns if turn.status is TurnStatus.DONE]
    if done:
        return done[-1]
    name = one_line(session.label, 60)
    if not turns:
        raise UsageError(f"Nothing was said in “{name}” yet.", hint="say something in it first")
    if any(not turn.status.is_final for turn in turns):
        raise UsageError(f"No answer in “{name}” is finished yet.", hint="wait for one")
    raise UsageError(f"No answer in “{name}” came to its end.", hint="send the prompt again, or begin a new session")
