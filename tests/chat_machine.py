"""Whatever is done to a chat, in whatever order, and whatever its server does: nothing shown is lost, nothing sent twice."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.chatting import Change
from tests.fake_server import PROFILE, Exchange, FakeServer, completed, delta
from tests.store.conftest import Disk
from tests.store.histories import NOW, rows
from tests.virtual_time import VirtualLoop
from tui.changes import TurnChanged
from tui.chat import Chat
from tui.client import Client
from tui.clock import Clock
from tui.config import Config
from tui.errors import SessionBusy, UsageError
from tui.exchange import Form, Result, reading
from tui.model import Item, ItemKind, Mapping, Session, Turn, TurnStatus, new_id
from tui.store import Store
from tui.store.upkeep import check

T = TypeVar("T")

ANY = st.integers(0, 7)
MOST_SESSIONS = 3
PENDING, STREAMING = TurnStatus.PENDING, TurnStatus.STREAMING
FINAL = {status for status in TurnStatus if status.is_final}
EDGES = {PENDING: {PENDING, STREAMING} | FINAL, STREAMING: {STREAMING} | FINAL}
CUTS: tuple[Callable[[], Exception], ...] = (
    lambda: httpx.ReadError("cut"),
    lambda: httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
    lambda: httpx.ReadTimeout(""),
)
REFUSALS = (401, 403, 400, 422, 500)
DAY = 86400.0
TTL = 14 * DAY
JUMPS = (1.0, 60.0, DAY, 15 * DAY, 3653 * DAY)
"""Seconds by which a clock is set forward or back."""

DURABLE_AFTER = 0.25
HEAL_EVERY = 10.0


class InlineLoop(VirtualLoop):
    """Where a thread would work, it is done here: at a moment of its own, in the order it was asked for."""

    def run_in_executor(self, _executor: Any, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        done: asyncio.Future[Any] = self.create_future()

        def work() -> None:
            try:
                result = function(*args)
            except Exception as error:  # noqa: BLE001 - it is raised where it is awaited
                if not done.done():
                    done.set_exception(error)
            else:
                if not done.done():
                    done.set_result(result)

        self.call_later(0.002, work)
        return done


async def inline(work: Callable[[], T]) -> T:
    """What a thread that no one has to wait for would give: a loop of such a time waits for no thread."""
    return await asyncio.get_running_loop().run_in_executor(None, work)


@dataclass(eq=False)
class Request:
    """A request that came to the server, and what became of it. `took` is false where it said that it did not take it."""

    exchange: Exchange
    prompt: str
    earlier: list[str]
    sent_id: str
    said: str = ""
    took: bool = True
    is_over: bool = False


@dataclass(eq=False)
class Server(FakeServer):
    """A server that knows the conversations it issued, until it forgets them. `turns_on_disk` is asked for each prompt, and
    `may_go_on` for each conversation that one goes on with."""

    turns_on_disk: Callable[[str], bool] = lambda _prompt: True
    may_go_on: Callable[[str, str], bool] = lambda _prompt, _conversation_id: True
    requests: list[Request] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sent = Exchange(request, await request.aread()).json
        said = [one["content"] for one in sent["input"] if one["role"] == "user"]
        assert self.turns_on_disk(said[-1]), "a prompt was sent before it was on disk"
        sent_id = sent.get("previous_response_id", "")
        assert not sent_id or self.may_go_on(said[-1], sent_id), "a conversation was sent that is too old"
        answer = asyncio.ensure_future(super().handle_async_request(request))
        await asyncio.sleep(0)
        self.requests.append(Request(self.seen[-1], said[-1], said[:-1], sent_id))
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            answer.cancel()
            raise

    def open(self, *, begun: bool) -> list[Request]:
        """Requests that can be told more: those whose answer has begun, or has not."""
        return [
            one
            for one in self.requests
            if not one.is_over and not one.exchange.closed.is_set() and one.exchange.response.done() is begun
        ]


class ChatMachine(RuleBasedStateMachine):
    """A chat with a server, in virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="palaver-machine-"))
        self.loop = InlineLoop()
        self.number = 0
        self.sent: dict[str, str] = {}
        self.shown: dict[str, Turn] = {}
        self.ended: set[str] = set()
        self.broken: list[str] = []
        self.server = Server(self.is_on_disk, self.may_go_on)
        self.skew = NOW
        self.clock = Clock(lambda: self.loop.time() + self.skew, self.loop.time)
        self.used: dict[str, float] = {}
        """When each conversation was used last, by the clock as it was then."""
        self.lowest: dict[str, float] = {}
        """The least that the clock has shown since each prompt was sent."""
        self.disk = Disk()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(sqlite3, "connect", self.disk.connect)
        self.patch.setattr(reading, "aside", inline)
        self.is_ailing = False
        self.sent_ailing: set[str] = set()
        self.elsewhere: dict[str, str] = {}
        """What was answered in another window, by the turn's id."""
        self.imported = 0
        self.is_deaf = False

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something to its end, which is to be within a minute."""
        return self.loop.run_until_complete(asyncio.wait_for(work, 60))

    def is_on_disk(self, prompt: str) -> bool:
        """Whether a prompt is on disk, or came when nothing could be written."""
        found = rows(self.folder / "history.db", "SELECT 1 FROM items WHERE position = 0 AND text = ?", prompt)
        return bool(found) or prompt in self.sent_ailing

    def may_go_on(self, prompt: str, conversation_id: str) -> bool:
        return self.lowest[prompt] - self.used[conversation_id] <= TTL

    @initialize()
    def start(self) -> None:
        async def started() -> tuple[Store, Chat]:
            store = Store(self.folder / "history.db", clock=self.clock)
            client = Client(transport_of=lambda _: self.server, sleep=asyncio.sleep, clock=self.clock)
            config = Config({PROFILE.name: PROFILE}, PROFILE.name, conversation_ttl=TTL)
            chat = Chat(store, client, config, clock=self.clock)
            chat.subscribe(self.hear)
            await store.open()
            self.other = Store(self.folder / "history.db", clock=self.clock)
            await self.other.open()
            return store, chat

        self.store, self.chat = self.do(started())

    def hear(self, change: Change) -> None:
        """What a window is told: it goes on from what it was told before."""
        if not isinstance(change, TurnChanged) or self.is_deaf:
            return
        turn, before = change.turn, self.shown.get(change.turn.id)
        if before is not None:
            if turn.id in self.ended:
                self.fails(
                    turn.status is before.status and turn.items == before.items, f"changed after its end: {turn}"
                )
            elif turn.status not in EDGES[before.status]:
                self.fails(False, f"{before.status} became {turn.status}")
            self.fails(turn.text.startswith(before.text), f"{before.text!r} was shown, and then {turn.text!r}")
            self.fails(turn.prompt == before.prompt, "another prompt")
        self.shown[turn.id] = turn
        if turn.status is TurnStatus.DONE and turn.id not in self.ended:
            self.used[turn.conversation_id] = self.clock.now()
        if turn.status.is_final:
            self.ended.add(turn.id)

    def fails(self, holds: bool, what: str) -> None:
        # A subscriber's own errors are logged and passed over.
        if not holds:
            self.broken.append(what)

    # The user

    def sessions(self) -> list[Session]:
        return self.do(self.chat.sessions())

    def session(self, which: int) -> Session | None:
        found = self.sessions()
        return found[which % len(found)] if found else None

    @precondition(lambda self: self.number < 40)
    @rule(which=ANY, is_new=st.booleans(), at=st.none() | ANY, pause=st.booleans())
    def send(self, which: int, is_new: bool, at: int | None, pause: bool) -> None:
        found = self.sessions()
        if not found or (is_new and len(found) < MOST_SESSIONS):
            session = self.do(self.chat.new())
            at = None
        else:
            session = found[which % len(found)]
            at = None if at is None else at % (session.turns + 1)
        self.number += 1
        prompt = f"prompt {self.number}"

        async def sent() -> Turn:
            return self.chat.send(session, prompt, at=at)

        if self.chat.is_running(session.id):
            try:
                self.do(sent())
            except UsageError:
                return
            raise AssertionError("two answers at a time in one session")
        if self.is_ailing:
            self.sent_ailing.add(prompt)
        self.lowest[prompt] = self.clock.now()
        self.sent[prompt] = self.do(sent()).id
        if pause:
            self.wait(0.1)

    @rule(which=ANY, twice=st.booleans(), pause=st.booleans())
    def stop(self, which: int, twice: bool, pause: bool) -> None:
        running = self.chat.running()
        if not running:
            return
        session_id = running[which % len(running)]

        async def stopped() -> None:
            assert self.chat.cancel(session_id)
            if twice:
                self.chat.cancel(session_id)
            if pause:
                await asyncio.sleep(0.1)
                assert session_id not in self.chat.running()

        self.do(stopped())

    @rule(which=ANY, turn=ANY)
    def leaf_through(self, which: int, turn: int) -> None:
        session = self.session(which)
        if session is None or self.chat.is_running(session.id):
            return
        found = self.do(self.chat.variants(session.id))
        ids = [one for variants in found.values() for one in variants.turn_ids]
        if ids and not self.is_ailing:
            self.do(self.chat.choose(session.id, ids[turn % len(ids)]))

    @rule(which=ANY, what=st.sampled_from(("rename", "pin", "draft", "delete", "read", "fork")))
    def tidy(self, which: int, what: str) -> None:
        session = self.session(which)
        if session is None:
            return
        self.number += 1
        match what:
            case "rename":
                self.do(self.chat.rename(session.id, f"label {self.number}"))
            case "pin":
                self.do(self.chat.pin(session.id, not session.pinned))
            case "draft":
                self.do(self.chat.keep_place(session.id, f"draft {self.number}", session.scroll))
            case "read":
                self.do(self.chat.mark_read(session.id))
            case "delete":
                self.do(self.chat.delete(session.id))
                assert not self.chat.is_running(session.id)
            case _:
                turns = self.do(self.chat.turns(session.id))
                is_room = len(self.sessions()) < MOST_SESSIONS and not self.is_ailing
                if is_room and any(turn.status is TurnStatus.DONE for turn in turns):
                    self.do(self.chat.conversations.fork(session, f"label {self.number}"))

    @rule(seconds=st.sampled_from((0.0, 0.001, 0.01, 0.1, 0.3, 3.0)))
    def wait(self, seconds: float) -> None:
        self.do(asyncio.sleep(seconds))

    @rule()
    def quit_and_start(self) -> None:
        self.end()
        self.start()

    @precondition(lambda self: not self.is_ailing)
    @rule()
    def crash(self) -> None:
        """What was shown for long enough is there again after it; what the process did later was never done."""
        shown, file = dict(self.shown), self.folder / "history.db"
        self.wait(DURABLE_AFTER)
        kept = file.read_bytes()
        self.is_deaf = True
        self.end()
        self.is_deaf = False
        file.write_bytes(kept)
        for request in self.server.requests:
            request.is_over = True
        self.start()
        for turn in shown.values():
            found = self.do(self.store.turn(turn.id))
            if found is None:
                assert not turn.has_output, f"{turn} was shown and is gone"
                continue
            assert found.status.is_final
            assert found.text.startswith(turn.text)
            assert found.status is turn.status or not turn.status.is_final
        for turn_id in self.shown:
            found = self.do(self.store.turn(turn_id))
            if found is not None:
                self.shown[turn_id] = found
                self.ended.add(turn_id)

    @precondition(lambda self: not self.is_ailing)
    @rule(which=ANY)
    def hand_on(self, which: int) -> None:
        """A session is written to a file, and taken in from it once."""
        session = self.session(which)
        if session is None or len(self.sessions()) >= MOST_SESSIONS:
            return
        turns = self.do(self.chat.turns(session.id))
        said = [turn for turn in turns if turn.status.is_final and turn.status is not TurnStatus.FAILED]
        if not said:
            return
        self.imported += 1
        file = self.folder / f"{self.imported}.jsonl"

        async def handed() -> list[Any]:
            await self.chat.exchange.export(session, Form.BUNDLE, file)
            return [outcome for _ in range(2) async for outcome in self.chat.exchange.take_in([file])]

        first, second = self.do(handed())
        assert first.result in (Result.IMPORTED, Result.KNOWN)
        assert second.result is Result.KNOWN
        assert first.session.id == second.session.id
        if first.result is Result.IMPORTED:
            taken = self.do(self.chat.turns(first.session.id))
            assert [(one.prompt, one.text, one.status) for one in taken] == [
                (one.prompt, one.text, one.status) for one in said
            ]

    # The clock, the disk, another window

    @rule(seconds=st.sampled_from(JUMPS), is_back=st.booleans())
    def set_the_clock(self, seconds: float, is_back: bool) -> None:
        self.skew += -seconds if is_back else seconds
        for prompt in self.lowest:
            self.lowest[prompt] = min(self.lowest[prompt], self.clock.now())

    @precondition(lambda self: not self.is_ailing)
    @rule(is_full=st.booleans())
    def break_the_disk(self, is_full: bool) -> None:
        self.do(self.disk.fill(self.store) if is_full else self.disk.protect(self.store))
        self.is_ailing = True

    @precondition(lambda self: self.is_ailing)
    @rule()
    def mend_the_disk(self) -> None:
        """What was only in memory is written before long, without anyone's doing."""
        self.do(self.disk.mend(self.store))
        self.is_ailing = False
        self.wait(HEAL_EVERY + 1.0)
        assert self.store.health.message == ""
        assert not self.store.overlay

    @precondition(lambda self: not self.is_ailing)
    @rule(which=ANY, fails=st.booleans())
    def speak_in_another_window(self, which: int, fails: bool) -> None:
        session = self.session(which)
        if session is None:
            return
        self.number += 1
        prompt, status = f"prompt {self.number}", TurnStatus.FAILED if fails else TurnStatus.DONE
        turn = Turn(
            new_id(), session.id, 0, prompt, created_at=self.clock.now(), profile=PROFILE.name,
            protocol=PROFILE.protocol, origin=PROFILE.origin,
        )  # fmt: skip
        is_running = self.chat.is_running(session.id)
        try:
            begun = self.do(self.other.begin(turn, session))
        except SessionBusy:
            assert is_running
            return
        if is_running:
            # It was begun before the chat's own turn was: that one finds the session busy.
            self.do(self.chat.settled(session.id))
        conversation = "" if fails else f"resp_{self.number:06}"
        ended = replace(
            begun,
            status=status,
            items=(Item("m", ItemKind.MESSAGE, f"word{self.number}"),),
            conversation_id=conversation,
        )
        mapping = None
        if not fails:
            now = self.clock.now()
            address = (session.id, PROFILE.origin, PROFILE.protocol, PROFILE.key.principal)
            mapping = Mapping(*address, conversation, begun.depth, now, now)
            self.server.known.add(conversation)
            self.used[conversation] = now
        assert self.do(self.other.save(ended, begun, session, mapping))
        self.sent[prompt], self.shown[turn.id] = turn.id, ended
        self.elsewhere[turn.id] = ended.text
        self.ended.add(turn.id)

    # The server

    def one(self, which: int, *, begun: bool) -> Request | None:
        found = self.server.open(begun=begun)
        return found[which % len(found)] if found else None

    @rule(which=ANY, pause=st.booleans())
    def begin_to_answer(self, which: int, pause: bool) -> None:
        request = self.one(which, begun=False)
        if request is None:
            return
        if request.sent_id and request.sent_id not in self.server.known:
            self.say_that_it_is_gone(request)
            return
        request.exchange.respond()
        if pause:
            self.wait(0.01)

    @staticmethod
    def say_that_it_is_gone(request: Request) -> None:
        message = f"Previous response with id '{request.sent_id}' not found."
        request.exchange.answer(400, {"error": {"message": message, "code": "previous_response_not_found"}})
        request.took, request.is_over = False, True

    @rule(which=ANY, status=st.sampled_from((*REFUSALS, 429, 503)))
    def refuse(self, which: int, status: int) -> None:
        request = self.one(which, begun=False)
        if request is not None:
            request.exchange.answer(status, {"error": {"message": "no"}}, {"retry-after": "1"})
            request.took, request.is_over = status not in (429, 503), True

    @rule(
        which=ANY, error=st.sampled_from((httpx.ConnectError("no"), httpx.ConnectTimeout(""), *(cut() for cut in CUTS)))
    )
    def break_before_the_answer(self, which: int, error: Exception) -> None:
        request = self.one(which, begun=False)
        if request is not None:
            request.exchange.break_off(error)
            request.took = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            request.is_over = True

    @rule(which=ANY, count=st.integers(1, 4), pause=st.sampled_from((None, 0.0, 0.02, 0.3)))
    def say(self, which: int, count: int, pause: float | None) -> None:
        request = self.one(which, begun=True)
        if request is None:
            return
        for _ in range(count):
            self.number += 1
            piece = f"word{self.number} "
            request.said += piece
            request.exchange.event(delta(piece))
        if pause is not None:
            self.wait(pause)

    @rule(which=ANY, pause=st.booleans())
    def finish(self, which: int, pause: bool) -> None:
        request = self.one(which, begun=True)
        if request is None:
            return
        self.number += 1
        response_id = f"resp_{self.number:06}"
        request.said = request.said or "all at once"
        self.server.known.add(response_id)
        request.exchange.event(completed(request.said, response_id)).end()
        request.is_over = True
        if pause:
            self.wait(0.1)

    @rule(which=ANY, how=st.sampled_from((None, *CUTS)))
    def cut(self, which: int, how: Callable[[], Exception] | None) -> None:
        request = self.one(which, begun=True)
        if request is not None:
            request.exchange.break_off(how()) if how else request.exchange.end()
            request.is_over = True

    @rule(which=ANY, code=st.sampled_from(("server_error", "rate_limit_exceeded")))
    def say_that_it_failed(self, which: int, code: str) -> None:
        request = self.one(which, begun=True)
        if request is not None:
            error = {"code": code, "message": "failed"}
            request.exchange.event(
                {"type": "response.failed", "response": {"id": "x", "status": "failed", "error": error}}
            )
            request.exchange.end()
            request.is_over = True
            # Where nothing was said, this is a refusal that only came late.
            request.took = bool(request.said) or code != "rate_limit_exceeded"

    @rule(which=ANY)
    def forget(self, which: int) -> None:
        if self.server.known:
            self.server.known.discard(sorted(self.server.known)[which % len(self.server.known)])

    # What holds

    @invariant()
    def nothing_was_told_that_cannot_be(self) -> None:
        assert self.broken == []

    @invariant()
    def no_prompt_was_taken_twice(self) -> None:
        by_prompt: dict[str, list[Request]] = {}
        for request in self.server.requests:
            by_prompt.setdefault(request.prompt, []).append(request)
        for prompt, requests in by_prompt.items():
            assert prompt in self.sent
            assert not any(one.took for one in requests[:-1]), f"{prompt} was sent again"

    @invariant()
    def what_was_said_before_is_told_as_it_was(self) -> None:
        """A request names the newest finished answer before it, or tells of those that are part of the talk."""
        for request in self.server.requests:
            turn = self.shown.get(self.sent.get(request.prompt, ""))
            assert turn is not None
            for prompt in request.earlier:
                assert self.shown[self.sent[prompt]].is_context, f"{prompt} came to nothing, and was told"

    @invariant()
    def one_answer_at_a_time(self) -> None:
        if not hasattr(self, "chat"):
            return
        for session in self.sessions():
            turns = self.do(self.chat.turns(session.id))
            assert [turn.depth for turn in turns] == [*range(len(turns))]
            running = [turn for turn in turns if not turn.status.is_final and turn.session_id == session.id]
            assert len(running) <= 1, running
            for turn in turns:
                shown = self.shown.get(turn.id)
                if shown is not None and shown.status.is_final:
                    assert turn.text == shown.text
            self.names_the_right_point(session)

    def names_the_right_point(self, session: Session) -> None:
        """At rest, the conversation kept is that of the newest finished answer on the branch gone on with."""
        if self.chat._of(session.id):
            return
        # Read at rest: a message sent anew stands in its place until it is known that it cannot be kept.
        turns = self.do(self.chat.turns(session.id))
        mapping = self.do(
            self.store.conversations.get(session.id, PROFILE.origin, PROFILE.protocol, PROFILE.key.principal)
        )
        if mapping is not None:
            on_branch = [turn.conversation_id for turn in turns if turn.status is TurnStatus.DONE]
            assert mapping.conversation_id in on_branch, "a conversation of another branch"
            assert mapping.conversation_id == on_branch[-1]

    def end(self) -> None:
        if not hasattr(self, "chat"):
            return

        if self.is_ailing:
            self.mend_the_disk()

        async def ended() -> None:
            await self.chat.aclose()
            await self.store.close()
            await self.other.close()
            # Generators that were left to the collector are closed by tasks of their own.
            for _ in range(5):
                await asyncio.sleep(0)

        self.do(ended())
        assert asyncio.all_tasks(self.loop) == set()
        for request in self.server.requests:
            response = request.exchange.response
            if response.done() and not response.cancelled() and response.exception() is None:
                assert request.exchange.closed.is_set(), "an answer was left open"
        del self.chat, self.store

    def teardown(self) -> None:
        try:
            self.end()
            assert self.broken == []
            if (self.folder / "history.db").exists():
                assert check(self.folder / "history.db").wrong == ()
                self.all_is_kept()
        finally:
            self.patch.undo()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()
            shutil.rmtree(self.folder)

    def all_is_kept(self) -> None:
        """On disk is what was shown last, and of finished answers, what was said."""
        said = {self.sent[one.prompt]: one.said for one in self.server.requests} | self.elsewhere
        file = self.folder / "history.db"
        for turn in self.shown.values():
            kept = rows(file, "SELECT status FROM turns WHERE id = ?", turn.id)
            texts = rows(
                file, "SELECT text FROM items WHERE turn_id = ? AND kind = 'message' ORDER BY position", turn.id
            )
            if not kept:
                assert not turn.has_output, turn
                continue
            assert kept == [(turn.status,)]
            assert "\n\n".join(text for (text,) in texts) == turn.text
            if turn.status is TurnStatus.DONE:
                assert turn.text == said[turn.id]


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))
