"""Every call of every protocol, as it is really made: what has to be there before it, and the call itself."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tests.client.protocols.contract import Case
from tests.client.protocols.contract_cases import CASES
from tests.client.turns import Told, new_turn, take
from tests.fake_server import Waits
from tests.servers.base import Running
from tui.client import Client
from tui.client.http import Http
from tui.client.protocols import _MODULES, Wire
from tui.config import Profile
from tui.errors import PalaverError
from tui.model import ItemState, Verdict
from tui.traits import Can

PROMPT = "a prompt/that+no one else~may read?"
"""What nobody but its server may be told."""

PARTS = {"made_once", "read_events", "list_models", "listed", "follow", "look", "records_of", "to_its_end"}
"""What protocols' modules import to make their calls of."""


@dataclass
class Visit:
    """A stand-in with a profile for it, and the profile of the address that the call goes to."""

    case: Case
    running: Running
    direct: Profile
    profile: Profile
    client: Client = field(default_factory=lambda: Client(sleep=Waits()))
    _talking: list[asyncio.Task[Told]] = field(default_factory=list)

    async def say(self, prompt: str = PROMPT, profile: Profile | None = None, **request: Any) -> str:
        """A turn, and the words it ends with."""
        async with asyncio.timeout(20) as limit:
            told = await take(self.client, profile or self.profile, prompt, **request)
        assert not limit.expired(), "the turn did not end by itself"
        return told.words

    async def before(self, prompt: str = "one", **request: Any) -> Told:
        """A turn at the server itself."""
        async with asyncio.timeout(20):
            return await take(self.client, self.direct, prompt, **request)

    async def running_turn(self, prompt: str, ready: Callable[[Told], bool]) -> Told:
        """A turn at the server itself that is left running once it is ready."""
        told = Told(new_turn(self.direct, prompt))
        self._talking.append(asyncio.create_task(take(self.client, self.direct, prompt, told=told)))
        async with asyncio.timeout(20):
            while not (told.shown and ready(told)):
                await asyncio.sleep(0.002)
        return told

    async def ended(self) -> None:
        """Wait until what was left running has ended by itself."""
        async with asyncio.timeout(20):
            await asyncio.gather(*self._talking)

    async def ask(self, question: Callable[[Any, Http], Awaitable[Any]]) -> str:
        """A small call, and the words it fails with."""
        try:
            async with asyncio.timeout(20):
                await self.client.ask(self.profile, question)
        except PalaverError as error:
            return str(error)
        return ""

    async def aclose(self) -> None:
        for task in self._talking:
            task.cancel()
        await asyncio.gather(*self._talking, return_exceptions=True)


Action = Callable[[], Awaitable[str]]
Preparing = Callable[[Visit], Awaitable[Action]]


@dataclass(frozen=True)
class Call:
    """One of a protocol's calls. `name` is the function's, `how` says in which circumstances."""

    case: Case
    name: str
    how: str
    prepare: Preparing
    service: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.case.protocol}-{self.name}-{self.how}"


async def _first(visit: Visit) -> Action:
    return visit.say


async def _cut(visit: Visit) -> Action:
    return lambda: visit.say(f"cut {PROMPT}")


async def _by_conversation(visit: Visit) -> Action:
    return lambda: visit.say(profile=replace(visit.profile, continue_by="conversation"))


async def _next(visit: Visit) -> Action:
    told = await visit.before()
    return lambda: visit.say(conversation_id=told.turn.conversation_id)


async def _forgotten(visit: Visit) -> Action:
    told = await visit.before()
    visit.running.call(visit.running.service.forget)
    return lambda: visit.say(conversation_id=told.turn.conversation_id)


async def _named_run(visit: Visit) -> str:
    told = await visit.running_turn(f"hang {PROMPT}", lambda told: bool(told.shown[-1].run))
    return told.shown[-1].run


async def _taken_up(visit: Visit) -> Action:
    run = await _named_run(visit)
    # The run is over: whether it were at the first look would differ from time to time, and so would the requests.
    visit.running.service.go_on.set()
    await visit.ended()
    return lambda: visit.say(f"hang {PROMPT}", run=run)


async def _approved(visit: Visit) -> Action:
    told = await visit.before("approve one")
    asked = [item for item in told.turn.items if item.state is ItemState.OPEN]
    answers = tuple((item, Verdict(True, reason=PROMPT)) for item in asked)
    assert answers
    return lambda: visit.say(conversation_id=told.turn.conversation_id, answers=answers)


async def _models(visit: Visit) -> Action:
    return lambda: visit.ask(lambda wire, http: wire.models(http))


async def _stop(visit: Visit) -> Action:
    run = await _named_run(visit)
    return lambda: visit.ask(lambda wire, http: wire.stop(http, run))


async def _answer(visit: Visit) -> Action:
    def asks(told: Told) -> bool:
        return any(item.state is ItemState.OPEN for item in told.shown[-1].items)

    turn = (await visit.running_turn("approve one", asks)).shown[-1]
    [item] = [item for item in turn.items if item.state is ItemState.OPEN]
    return lambda: visit.ask(lambda wire, http: wire.answer(http, turn.run, item, Verdict(False, reason=PROMPT)))


async def _steer(visit: Visit) -> Action:
    run = await _named_run(visit)
    return lambda: visit.ask(lambda wire, http: wire.steer(http, run, PROMPT))


async def _conversations(visit: Visit) -> Action:
    return lambda: visit.ask(lambda wire, http: wire.conversations(http))


async def _about(visit: Visit, question: Callable[[Any, Http, str], Awaitable[Any]]) -> Action:
    told = await visit.before()
    return lambda: visit.ask(lambda wire, http: question(wire, http, told.turn.conversation_id))


async def _recall(visit: Visit) -> Action:
    return await _about(visit, lambda wire, http, name: wire.recall(http, name))


async def _conversation(visit: Visit) -> Action:
    return await _about(visit, lambda wire, http, name: wire.conversation(http, name))


async def _share(visit: Visit) -> Action:
    return await _about(visit, lambda wire, http, name: wire.share(http, name, None))


async def _unshare(visit: Visit) -> Action:
    return await _about(visit, lambda wire, http, name: wire.share(http, name, ""))


async def _fork(visit: Visit) -> Action:
    return await _about(visit, lambda wire, http, name: wire.fork(http, name, None))


async def _fork_at(visit: Visit) -> Action:
    told = await visit.before()
    await visit.before("two", conversation_id=told.turn.conversation_id)
    return lambda: visit.ask(lambda wire, http: wire.fork(http, told.turn.conversation_id, 1))


async def _mounts(visit: Visit) -> Action:
    return await _about(visit, lambda wire, http, name: wire.mounts(http, name))


def _of(case: Case) -> list[Call]:
    """The calls of a protocol, as its traits say them."""
    can, keeps = case.traits.can, case.traits.keeps
    in_background = replace(case, options={"background": True}) if "background" in case.traits.options else case
    found: list[tuple[bool, Case, str, str, Preparing, dict[str, Any]]] = [
        (True, case, "stream", "first", _first, {}),
        (keeps, case, "stream", "next", _next, {}),
        (case.protocol == "responses", case, "stream", "by conversation", _by_conversation, {}),
        (case.protocol == "agenta", case, "stream", "cut", _cut, {}),
        (case.protocol == "agenta", case, "stream", "taken over", _next, {"clings": True, "forces": True}),
        (case.protocol == "agenta", case, "stop", "not taken", _stop, {"commands": False}),
        (case.is_stale_able, case, "stream", "forgotten", _forgotten, {}),
        (Can.RESUME in can, in_background, "stream", "taken up", _taken_up, {}),
        (Can.APPROVE in can, case, "stream", "approved", _approved, {}),
        (case.protocol == "agenta", case, "stream", "approved, the older shape", _approved, {"shape": "pr"}),
        (Can.MODELS in can, case, "models", "all", _models, {}),
        (Can.STOP in can, in_background, "stop", "running", _stop, {}),
        (Can.CONFIRM in can, case, "answer", "waiting", _answer, {}),
        (Can.STEER in can, case, "steer", "running", _steer, {}),
        (case.protocol == "agenta", case, "steer", "strict", _steer, {"is_strict": True}),
        (Can.LIST in can, case, "conversations", "all", _conversations, {}),
        (case.protocol == "agenta", case, "conversations", "the older shape", _conversations, {"shape": "pr"}),
        (Can.READ in can, case, "recall", "one", _recall, {}),
        (Can.SHARE in can, case, "conversation", "one", _conversation, {}),
        (Can.SHARE in can, case, "share", "all", _share, {}),
        (Can.SHARE in can, case, "share", "none", _unshare, {}),
        (bool({Can.FORK, Can.FORK_AT} & can), case, "fork", "all", _fork, {}),
        (Can.FORK_AT in can, case, "fork", "a beginning", _fork_at, {}),
        (case.protocol == "agenta", case, "mounts", "one", _mounts, {}),
    ]
    return [Call(at, name, how, prepare, service) for there, at, name, how, prepare, service in found if there]


CALLS = [call for case in CASES for call in _of(case)]


def functions(protocol: str) -> set[str]:
    """The names of all functions of a protocol's module that are given a connection."""
    module = importlib.import_module(_MODULES[protocol])
    found = {
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and next(iter(inspect.signature(function).parameters), "") == "http"
    }
    wire = {name for name in vars(Wire) if not name.startswith("_")} - {"headers", "body", "is_stale", "is_unsupported"}
    return (found - PARTS) | (wire & set(vars(module)))


@asynccontextmanager
async def visiting(call: Call, running: Running, direct: Profile, profile: Profile) -> AsyncIterator[Action]:
    """The call, ready to be made."""
    visit = Visit(call.case, running, direct, profile)
    try:
        yield await call.prepare(visit)
    finally:
        await visit.aclose()
