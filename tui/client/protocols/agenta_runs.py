"""A run on an Agenta server that goes on without us: whether it does, when to look again, and what it has said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, aclosing
from typing import Any
from urllib.parse import urlencode

from tui.client.http import Http
from tui.client.protocols.agenta_events import AgentaReader
from tui.client.protocols.agenta_records import Account, Record, Wanted, read_records, runs_of, tell
from tui.client.protocols.background import GONE, LOST, WAITS
from tui.client.protocols.fields import Payload, table, text
from tui.client.reply import Rejected, Reply, parse_json
from tui.client.retry import is_limited
from tui.client.sse import Decoder, ServerSentEvent
from tui.client.verdict import explain
from tui.errors import Incomplete, Refused, TurnError, Unreachable
from tui.events import ItemWhole, Noted, RunNamed, TurnEvent, Used, Waiting
from tui.model import Item
from tui.values import dataclass

WATCH_FOR = 60.0
"""Seconds without a notice after which the records are looked at all the same: a notice may be lost."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 8.0
_RECONNECT = 1.0
_SETTLING = (0.5, 1.0, 2.0, 4.0)
_BEGINNING = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
_NOTICES = ("ready", "records-changed", "lifecycle", "interaction")


@dataclass(frozen=True, slots=True)
class Liveness:
    """How a session stands on its server: what is attached is running, and what is running is alive."""

    is_known: bool = False
    is_alive: bool = False
    is_running: bool = False
    is_attached: bool = False
    turn: str = ""


def place(http: Http, path: str, **query: str) -> str:
    """A path with its query, in the project of the profile."""
    fields = {**query, "project_id": http.profile.option("project_id")}
    asked = urlencode({name: value for name, value in fields.items() if value})
    return f"{path}?{asked}" if asked else path


async def look(http: Http, session: str) -> Liveness:
    """How a session stands. One the server does not know is one that is not known, and no error."""
    answer = table(await http.call("GET", place(http, "/sessions/streams/", session_id=session)))
    stream = answer.get("stream")
    if not isinstance(stream, dict):
        return Liveness()
    flags = table(stream.get("flags")) or stream
    running = _flag(flags, "running") or table(stream.get("status")).get("code") == "running"
    return Liveness(
        True, _flag(flags, "alive") or running, running, _flag(flags, "attached"), text(stream.get("turn_id"))
    )


def _flag(flags: Payload, name: str) -> bool:
    """A flag of a session, which servers call by its name or `is_` and its name."""
    return flags.get(f"is_{name}") is True or flags.get(name) is True


async def records_of(http: Http, session: str) -> list[Record]:
    """What the server has kept of a session."""
    return read_records(await http.call("POST", place(http, "/sessions/records/query"), {"session_id": session}))


class Displaced(Exception):
    """Another client watches the session from now on."""


class Bell:
    """Says when to look at a session again: when the server gives notice, or, where it gives none, after pauses that
    grow. Close it when done."""

    def __init__(self, http: Http, session: str) -> None:
        self._http = http
        self._path = place(http, "/sessions/streams/watch", session_id=session)
        self._stack: AsyncExitStack | None = None
        self._events: AsyncGenerator[ServerSentEvent | Any, None] | None = None
        self._decoder = Decoder()
        self._gives_notice = True
        self._pause = 0.0

    async def ring(self, patience: float | None, *, news: bool = False) -> None:
        """Wait until it is time to look: `patience` seconds, or, where that is None, until there may be something.
        `news` is whether the last look was worth it.

        Raises:
            Displaced: Another client watches instead.
            Unreachable: The server cannot be watched now.
        """
        if patience is not None:
            await self._http.sleep(patience)
        elif self._gives_notice:
            try:
                async with asyncio.timeout(WATCH_FOR):
                    await self._notice()
            except TimeoutError:
                await self.aclose()
        else:
            await self._http.sleep(self._pause)
            self._pause = max(0.5, min(_LONGEST_PAUSE, 0.5 if news else self._pause * 1.5))

    async def aclose(self) -> None:
        self._events = None
        if self._stack is not None:
            stack, self._stack = self._stack, None
            await stack.aclose()

    async def _notice(self) -> None:
        """Wait for a notice, over a connection that may break and is made again."""
        while self._gives_notice:
            try:
                if self._events is None:
                    await self._open()
                event = await anext(self._events, None) if self._events is not None else None
            except Incomplete:
                event = None
            except (Rejected, Refused):
                # Older servers cannot be watched.
                self._gives_notice = False
                break
            if event is None:
                await self.aclose()
                asked = self._decoder.retry
                await self._http.sleep(_RECONNECT if asked is None else max(_SHORTEST_PAUSE, asked / 1000))
            elif not isinstance(event, ServerSentEvent):
                self._gives_notice = False
            elif _is_displacement(event):
                raise Displaced
            elif event.name in _NOTICES:
                return
        await self.aclose()

    async def _open(self) -> None:
        async with AsyncExitStack() as stack:
            opened = self._http.open("GET", self._path, accept="text/event-stream")
            response = await stack.enter_async_context(opened)
            self._decoder = Decoder()
            events = self._http.events(response, decoder=self._decoder)
            self._events = await stack.enter_async_context(aclosing(events))
            self._stack = stack.pop_all()


def _is_displacement(event: ServerSentEvent) -> bool:
    try:
        return table(parse_json(event.data)).get("reason") == "stolen"
    except ValueError:
        return False


class _Telling:
    """What has been told of a run, so that each item is told once and again only when it is different.

    Nothing is told before there is as much to read as `shown`, the characters that were shown of it already: what was
    being said when a run was ended is in no record.
    """

    def __init__(self, shown: int) -> None:
        self._shown = shown
        self._told: dict[str, Item] = {}

    def items(self, account: Account, *, is_over: bool) -> list[ItemWhole]:
        if account.size < self._shown and not (is_over and account.ended_well):
            return []
        new = [item for item in account.items if self._told.get(item.key) != item]
        self._told |= {item.key: item for item in new}
        return [ItemWhole(item) for item in new]


async def follow(
    http: Http, session: str, wanted: Wanted, *, shown: int = 0, trouble: Incomplete | None = None
) -> AsyncGenerator[TurnEvent, None]:
    """What a session's run says, from its beginning to its end, as its records come.

    `shown` is how many characters of it the user has seen; `trouble` is what cut off its stream, if something did.

    Raises:
        Incomplete: It did not come to its end, or its end cannot be known.
        Refused: The server does not know of it.
    """
    reader, telling, bell = AgentaReader(http.host, session), _Telling(shown), Bell(http, session)
    schedule = _BEGINNING if wanted.asked or wanted.is_steered else _SETTLING
    tried = quiet = size = 0
    news = False
    try:
        while True:
            try:
                await bell.ring(schedule[quiet - 1] if quiet else None, news=news)
                live = await look(http, session)
                records = await records_of(http, session)
            except Displaced:
                for event in reader.displaced():
                    yield event
                return
            except (Incomplete, Unreachable, Rejected, Refused) as error:
                _check_patience(http, error, trouble, tried)
                yield Waiting(WAITS[tried], LOST)
                await http.sleep(WAITS[tried])
                tried += 1
                continue
            if tried:
                yield Waiting(0.0, "")
            tried, news, size = 0, len(records) != size, len(records)
            runs = wanted.among(runs_of(records), is_running=live.is_running)
            # A session may count as running although no one works on what was said to it.
            is_quiet = not live.is_running or (wanted.is_steered and not runs)
            is_over = (bool(runs) and runs[-1].is_whole) or (is_quiet and quiet == len(schedule))
            account = tell(runs, whole=is_over)
            for item in telling.items(account, is_over=is_over):
                yield item
            if is_over:
                break
            if runs:
                schedule = _SETTLING
            quiet = 0 if not is_quiet else 1 if news else min(quiet + 1, len(schedule))
    finally:
        await bell.aclose()
    if not runs and wanted.is_steered:
        yield Noted("Nothing has come of what was added.")
        for event in reader.last("other"):
            yield event
        return
    if not runs:
        raise _nothing(wanted, trouble, is_known=live.is_known or bool(records))
    for event in _end(account, http, reader, was_shown=shown > 0):
        yield event


def _end(account: Account, http: Http, reader: AgentaReader, *, was_shown: bool) -> Iterator[TurnEvent]:
    """The last events of a run that is over. `was_shown`: the user has seen something of it.

    Raises:
        TurnError: It did not end well.
    """
    if account.usage is not None:
        yield Used(account.usage)
    failure = account.failure
    if failure is None and account.stop == "error":
        failure = Reply(0, "the run failed", form="json")
    is_empty = not account.items and not was_shown
    if failure is not None or is_empty:
        yield RunNamed("")
    if failure is not None:
        raise explain(failure, http, shown=not is_empty)
    if is_empty:
        raise Refused("The agent produced no output.")
    if account.stop is None and not account.ends_in_words:
        raise Incomplete("the run ended without an answer")
    yield from reader.last(account.finish)


def _check_patience(http: Http, error: Exception, trouble: Incomplete | None, tried: int) -> None:
    """Whether to try again after `error`.

    Raises:
        TurnError: It is of no use, or was tried often enough.
    """
    if isinstance(error, Rejected) and error.reply.status < 500 and not is_limited(error.reply):
        if trouble is None and error.reply.status in (404, 410):
            raise Refused(GONE, status=error.reply.status) from None
        raise trouble or explain(error.reply, http) from None
    if isinstance(error, Refused):
        raise trouble or error from None
    if tried == len(WAITS):
        said = explain(error.reply, http).message if isinstance(error, Rejected) else str(error)
        raise trouble or Incomplete(f"the run cannot be followed: {said}") from None


def _nothing(wanted: Wanted, trouble: Incomplete | None, *, is_known: bool) -> TurnError:
    """The error of a run that nothing was written of."""
    if trouble is not None:
        return trouble
    if wanted.asked:
        return Incomplete("the server took the answer, and nothing has come of it yet")
    return Refused("The server has no record of this answer." if is_known else GONE)
