"""The client: one turn's events from its server, with every retry that is safe and one fresh start where it forgot.

Heavy imports (httpx, the protocols) happen when the first turn needs them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from tui.client.request import Request
from tui.clock import SYSTEM, Clock
from tui.config import Profile
from tui.credentials import KeySource, Secret
from tui.errors import Incomplete, Stale, TurnError, Unreachable
from tui.events import (
    AttemptFailed,
    AttemptStarted,
    ConversationUnsupported,
    Finished,
    ItemDelta,
    ItemWhole,
    Noted,
    RunNamed,
    TurnEvent,
    Waiting,
)
from tui.keys import read_key
from tui.model import AttemptKind, Item
from tui.text import counted
from tui.traits import Telling

if TYPE_CHECKING:
    import httpx

    from tui.client.http import Http
    from tui.client.protocols import Wire
    from tui.client.reply import Rejected

__all__ = ["Client", "Request"]

FORGOTTEN = "The server no longer knew this conversation"

MAY_BE_RECEIVED = "it may have been received; press r to send it again"
"""The hint of a turn whose connection was lost before an answer came, on a server that may have acted on it."""

T = TypeVar("T")

TransportOf = Callable[[Profile], "httpx.AsyncBaseTransport | None"]


class Client:
    """Talks to the servers of profiles.

    `transport_of` replaces the network, for tests. `on_bytes` is given every answer's body as it comes off the wire.
    """

    def __init__(
        self,
        *,
        on_bytes: Callable[[bytes], None] | None = None,
        transport_of: TransportOf | None = None,
        clock: Clock = SYSTEM,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._transport_of = transport_of or _own_transport
        self._on_bytes = on_bytes
        self._clock = clock
        self._sleep = sleep
        self._keys: dict[KeySource, Secret] = {}

    @property
    def keys(self) -> tuple[Secret, ...]:
        """The keys that were read so far, the last one of each source."""
        return tuple(self._keys.values())

    async def prepare(self, profile: Profile) -> None:
        """Load what a profile's first request needs: 150 ms of imports, in a thread, so that whoever sends it need not
        wait for them and nothing on the screen stands still."""
        await asyncio.to_thread(_prepare, profile.protocol)

    async def stream(self, request: Request) -> AsyncGenerator[TurnEvent, None]:
        """The events of one turn, up to and including Finished.

        Raises:
            TurnError: It could not be carried out, or not to its end.
            ConfigError: The profile cannot be used as it is.
        """

        def come(data: bytes) -> None:
            request.heard()
            if self._on_bytes is not None:
                self._on_bytes(data)

        async with self._connected(request.profile, come, request.is_watched) as (http, wire):
            turn = _Turn(http, wire, request, self._clock, self._sleep)
            events = turn.attempts()
            async with aclosing(events):
                async for event in events:
                    yield event

    async def ask(self, profile: Profile, question: Callable[[Wire, Http], Awaitable[T]]) -> T:
        """What `question` learns from a profile's protocol over a connection of its own.

        Raises:
            TurnError, ConfigError: As for `stream`.
        """
        from tui.client.reply import Rejected
        from tui.client.verdict import explain

        async with self._connected(profile) as (http, wire):
            try:
                return await question(wire, http)
            except Rejected as rejected:
                raise explain(rejected.reply, http) from None

    @asynccontextmanager
    async def _connected(
        self,
        profile: Profile,
        on_bytes: Callable[[bytes], None] | None = None,
        is_watched: Callable[[], bool] = lambda: True,
    ) -> AsyncIterator[tuple[Http, Wire]]:
        from tui.client import protocols
        from tui.client.http import Http

        key = await read_key(profile.key)
        if key is not None:
            self._keys[profile.key] = key
        wire = protocols.load(profile.protocol)
        transport = self._transport_of(profile)
        async with Http(
            profile,
            key,
            transport,
            on_bytes,
            headers=wire.headers,
            sleep=self._sleep,
            now=self._clock.now,
            is_watched=is_watched,
        ) as http:
            yield http, wire


def _prepare(protocol: str) -> None:
    # These httpx leaves to its first connection.
    import anyio._backends._asyncio  # noqa: F401
    import httpcore  # noqa: F401

    from tui.client import protocols, retry, verdict  # noqa: F401

    protocols.load(protocol)


class _Turn:
    """The attempts made for one request."""

    def __init__(
        self,
        http: Http,
        wire: Wire,
        request: Request,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        from tui.client.retry import Policy

        self._http = http
        self._wire = wire
        self._request = request
        self._policy = Policy(request.profile.traits.keeps, request.budget, now=clock.now)
        self._sleep = sleep
        self._shown = False
        self._fresh_note = ""
        """What to note once something has come of the request that was made afresh: without that nothing was started."""

        self._has_run = bool(request.run)
        """Whether the server has work with a name, which may go on by itself: then the prompt is not sent again."""

    async def attempts(self) -> AsyncGenerator[TurnEvent, None]:
        from tui.client.reply import Rejected

        kind = AttemptKind.RESUMED if self._request.run else AttemptKind.FIRST
        while True:
            yield AttemptStarted(kind, self._request.conversation_id)
            failure: Rejected | Unreachable
            had_come = self._http.events_read
            try:
                events = self._wire.stream(self._http, self._request)
                async with aclosing(events):
                    async for event in events:
                        if self._fresh_note and (isinstance(event, Finished) or _is_visible(event)):
                            yield Noted(self._fresh_note)
                            self._fresh_note = ""
                        self._shown = self._shown or _is_visible(event)
                        self._has_run = self._has_run or (isinstance(event, RunNamed) and bool(event.run))
                        yield event
                        if isinstance(event, Finished):
                            return
                raise Incomplete("the server stopped before the answer was finished")
            except Rejected as rejected:
                failure = rejected
            except Unreachable as unreachable:
                failure = unreachable
            except TurnError:
                if self._fresh_note:
                    yield Noted(f"{FORGOTTEN}.")
                raise
            if isinstance(failure, Rejected) and self._is_stale(failure):
                for event in await self._start_afresh(failure):
                    yield event
                kind = AttemptKind.FRESH
                continue
            # One event may be the failure itself; before another one the server has begun to answer.
            begun = self._http.events_read > had_come + 1
            wait = self._policy.after(failure, begun=begun) if self._may_repeat else None
            if wait is None:
                if self._fresh_note:
                    yield Noted(f"{FORGOTTEN}.")
                raise self._explain(failure) from None
            yield AttemptFailed(self._explain(failure).message)
            yield Waiting(wait.seconds, wait.reason)
            await self._sleep(wait.seconds)
            kind = AttemptKind.RETRY

    @property
    def _may_repeat(self) -> bool:
        """Whether what was sent may be sent again, as far as what came of it tells."""
        return not (self._shown or self._has_run)

    def _is_stale(self, failure: Rejected) -> bool:
        return self._may_repeat and self._wire.is_stale(failure.reply, self._request)

    async def _start_afresh(self, failure: Rejected) -> list[TurnEvent]:
        """What to say before the one request without the id.

        Raises:
            Stale: Starting afresh is not wanted.
        """
        reply = failure.reply
        unsupported = self._wire.is_unsupported(reply)
        message = self._http.said(reply.message) or "no such conversation"
        if not self._request.allow_fresh:
            raise Stale(
                f"{self._http.host} does not know this conversation any more: {message}",
                hint="without --no-fresh a new one is started",
                status=reply.status or None,
                unsupported=unsupported,
            )
        profile = self._request.profile
        replay = profile.replay and profile.traits.telling is not Telling.NOTHING
        self._request = await self._request.fresh(with_history=replay)
        told = sum(said.role == "user" for said in self._request.history)
        failed, note = AttemptFailed(f"stale: {message}"), fresh_note(told, unsupported=unsupported)
        if unsupported:
            return [failed, Noted(note), ConversationUnsupported()]
        self._fresh_note = note
        return [failed]

    def _explain(self, failure: Rejected | Unreachable) -> TurnError:
        if isinstance(failure, Unreachable):
            return explain_unreachable(failure, self._policy.keeps)
        from tui.client.retry import may_be_at_work
        from tui.client.verdict import explain

        error = explain(failure.reply, self._http, shown=self._shown)
        if self._policy.keeps and not failure.in_stream and may_be_at_work(failure.reply):
            error.hint = MAY_BE_RECEIVED
        return error


def _is_visible(event: TurnEvent) -> bool:
    """Whether an event shows the user anything: an item is often opened well before it says something."""
    match event:
        case ItemDelta(text=text, name=name) | ItemWhole(Item(text=text, name=name)):
            return bool(text or name)
        case _:
            return False


def fresh_note(told: int, *, unsupported: bool = False, why: str = "") -> str:
    """The note a turn carries when it started a new conversation, `told` being the earlier turns sent along."""
    begin = "The server keeps no conversations" if unsupported else why or f"{FORGOTTEN}; a new one was started"
    if not told:
        return f"{begin}."
    return f"{begin}, with {counted(told, 'earlier turn')} sent along."


def explain_unreachable(failure: Unreachable, keeps: bool) -> Unreachable:
    """The same, saying what a lost connection means for a server that may have acted."""
    if failure.sent and keeps:
        return Unreachable(failure.message, hint=MAY_BE_RECEIVED, sent=True)
    return failure


def _own_transport(profile: Profile) -> httpx.AsyncBaseTransport | None:
    if profile.protocol != "guide":
        return None
    from tui.client.guide_transport import GuideTransport

    return GuideTransport()
