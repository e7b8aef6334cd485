"""Runs in the background on servers that go away and come back: one prompt is sent once, and what was shown stays."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.client.fault_server import Chunk, FaultServer, Fin, Request, Rst, Script, Step, answer, chunked, events, head
from tests.client.turns import Told, new_turn, take
from tests.fake_server import PROFILE, Waits, completed, delta
from tui.client import Client
from tui.config import Profile
from tui.credentials import KeySource
from tui.events import RunNamed
from tui.model import AttemptKind, Item, ItemKind, Turn, TurnStatus

pytestmark = pytest.mark.usefixtures("nothing_left")

DONE, FAILED, INTERRUPTED = TurnStatus.DONE, TurnStatus.FAILED, TurnStatus.INTERRUPTED
RUN = f"resp_{7:024x}"
PATIENCE = [0.5, 1.0, 2.0, 4.0, 8.0]

both = pytest.mark.parametrize("protocol", ["responses", "agent-server"])
shown_or_not = pytest.mark.parametrize("shown", ["", "half an "], ids=["nothing shown", "half shown"])

CREATED = {"type": "response.created", "sequence_number": 1, "response_id": RUN, "response": {"id": RUN}}


def begun(shown: str) -> Script:
    """The run has its name, and has said something or not, when its connection is lost."""
    said = [{**delta(shown), "sequence_number": 2, "response_id": RUN}] if shown else []
    return [Request(), head(200, "transfer-encoding: chunked"), Chunk(events(CREATED, *said)), Rst()]


def told(text: str) -> Script:
    """The run's rest, and its end."""
    last = completed(text, RUN) | {"sequence_number": 9, "response_id": RUN}
    return [Request(), *chunked(last, "[DONE]")]


def says(status: int, value: Any = None, *fields: str) -> list[Step]:
    return answer(status, json.dumps(value or {"error": {"message": "come back later"}}).encode(), *fields)


TROUBLES: dict[str, Script] = {
    "unavailable": [Request(), *says(503)],
    "overloaded": [Request(), *says(529, None, "retry-after: 1")],
    "too many requests": [Request(), *says(429)],
    "failing": [Request(), *says(500)],
    "no gateway": [Request(), *answer(502, b"<html><title>Bad gateway</title></html>", content_type="text/html")],
    "closes": [Request(), Fin()],
    "resets": [Rst()],
    "breaks off": [Request(), head(200, "transfer-encoding: chunked"), Rst()],
}
passing = pytest.mark.parametrize("trouble", TROUBLES)


def profile_of(protocol: str) -> Profile:
    return replace(PROFILE, protocol=protocol, options={"background": True})


async def ask(server: FaultServer, protocol: str, waits: Waits | None = None, **request: Any) -> Told:
    profile = replace(profile_of(protocol), base_url=server.url)
    return await take(Client(sleep=waits or Waits()), profile, **request)


def posts(server: FaultServer) -> int:
    return sum(heard.startswith(b"POST") for heard in server.received)


def name_of(protocol: str, turn: Turn) -> str:
    """The run's name at its server, as the turn has it."""
    return turn.run.partition(" ")[0] if protocol == "agent-server" else turn.run


@both
@shown_or_not
@passing
@pytest.mark.fault("N14", "N15", "H22")
async def test_a_run_is_asked_for_until_its_server_is_back(protocol: str, shown: str, trouble: str) -> None:
    away = [TROUBLES[trouble]] * len(PATIENCE[1:])
    async with FaultServer(begun(shown), *away, told("half an answer")) as server:
        waits = Waits()
        got = await ask(server, protocol, waits)
        assert posts(server) == 1
        assert len(server.received) == 6
    assert (got.turn.status, got.turn.text, got.turn.run) == (DONE, "half an answer", "")
    assert [attempt.kind for attempt in got.turn.attempts] == [AttemptKind.FIRST]
    assert waits.seconds == PATIENCE


@both
@shown_or_not
@passing
@pytest.mark.fault("N14", "N15", "H22")
async def test_a_server_that_stays_away_leaves_the_run_to_be_taken_up(protocol: str, shown: str, trouble: str) -> None:
    async with FaultServer(begun(shown), TROUBLES[trouble]) as server:
        waits = Waits()
        got = await ask(server, protocol, waits)
        assert posts(server) == 1
    assert (got.turn.status, got.turn.text) == (INTERRUPTED, shown)
    assert got.exit_status == (7 if shown else 5)
    assert name_of(protocol, got.turn) == RUN
    assert waits.seconds == PATIENCE
    assert "press r" not in got.words


@pytest.mark.fault("N02", "N14")
@both
@shown_or_not
async def test_a_server_that_is_gone_altogether_leaves_the_run_too(protocol: str, shown: str) -> None:
    class Gone(Waits):
        async def __call__(self, seconds: float) -> None:
            if not self.seconds:
                await server.__aexit__()
            await super().__call__(seconds)

    async with FaultServer(begun(shown)) as server:
        got = await ask(server, protocol, Gone())
        assert len(server.received) == 1
    assert (got.turn.status, got.turn.text, name_of(protocol, got.turn)) == (INTERRUPTED, shown, RUN)
    assert got.exit_status == (7 if shown else 5)
    assert f"The run cannot be followed: Nothing answers at 127.0.0.1:{server.port}" in got.words


def broken_off(protocol: str) -> Told:
    """A turn whose run is to be taken up, with what was shown of it."""
    run = RUN if protocol == "responses" else f"{RUN} session"
    item = Item("msg_1", ItemKind.MESSAGE, "half an answer")
    turn = replace(new_turn(profile_of(protocol)), status=TurnStatus.STREAMING, run=run, items=(item,), first_text_at=1)
    return Told(turn)


@both
@passing
@pytest.mark.fault("N02", "N14", "H22")
async def test_what_was_shown_stays_where_the_run_cannot_be_taken_up(protocol: str, trouble: str) -> None:
    got = broken_off(protocol)
    async with FaultServer(TROUBLES[trouble]) as server:
        await ask(server, protocol, told=got, run=got.turn.run)
        assert posts(server) == 0
        assert len(server.received) == 1 + len(PATIENCE)
    assert (got.turn.status, got.turn.text, name_of(protocol, got.turn)) == (INTERRUPTED, "half an answer", RUN)
    assert all(turn.text == "half an answer" for turn in (*got.shown, *got.saved))
    assert got.exit_status == 7
    assert [attempt.kind for attempt in got.turn.attempts] == [AttemptKind.RESUMED]


@both
@passing
@pytest.mark.fault("N14", "H22")
async def test_a_run_is_taken_up_once_its_server_is_back(protocol: str, trouble: str) -> None:
    got = broken_off(protocol)
    async with FaultServer(TROUBLES[trouble], TROUBLES[trouble], told("half an answer, and the rest")) as server:
        await ask(server, protocol, told=got, run=got.turn.run)
        assert posts(server) == 0
    assert (got.turn.status, got.turn.text, got.turn.run) == (DONE, "half an answer, and the rest", "")
    assert [attempt.kind for attempt in got.turn.attempts] == [AttemptKind.RESUMED]


@both
async def test_what_is_told_again_in_part_takes_nothing_away(protocol: str) -> None:
    """Of a run that is taken up, less may come than was shown, before its server goes away for good."""
    got = broken_off(protocol)
    async with FaultServer(begun("half"), TROUBLES["unavailable"]) as server:
        await ask(server, protocol, told=got, run=got.turn.run)
    assert (got.turn.status, got.turn.text, name_of(protocol, got.turn)) == (INTERRUPTED, "half an answer", RUN)
    assert got.saved[-1] == got.turn


UNKNOWN = [
    {"error": {"message": f"Response with id '{RUN}' not found.", "type": "invalid_request_error", "param": None}},
    {"error": {"message": f"Response with id '{RUN}' not found.", "param": "response_id", "code": 404}},
    {"detail": "Response not found"},
]


@both
@shown_or_not
@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("value", UNKNOWN)
@pytest.mark.fault("H09")
async def test_a_run_that_is_not_known_is_no_conversation_that_is_not_known(
    protocol: str, shown: str, status: int, value: Any
) -> None:
    async with FaultServer(begun(shown), [Request(), *says(status, value)]) as server:
        got = await ask(server, protocol, conversation_id="resp_before")
        assert posts(server) == 1
        assert len(server.received) == 2
    assert (got.turn.status, got.turn.text, got.turn.run) == (INTERRUPTED if shown else FAILED, shown, "")
    assert got.words == "The server does not know this run any more."
    assert RunNamed("") in got.events


@both
@pytest.mark.parametrize(
    "error",
    [
        {"message": "slow down", "code": "rate_limit_exceeded"},
        {"message": "No such conversation.", "code": "not_found"},
        {"message": "Previous response with id 'resp_before' not found.", "code": "previous_response_not_found"},
    ],
)
@pytest.mark.parametrize("at", ["at once", "later"])
async def test_a_run_that_failed_is_not_begun_again_by_itself(protocol: str, error: dict[str, str], at: str) -> None:
    last = {"type": "response.failed", "sequence_number": 3, "response_id": RUN, "response": {"error": error}}
    failed = [Chunk(events({"type": "error", **error, "response_id": RUN} if protocol == "agent-server" else last))]
    begins = begun("")
    if at == "at once":
        scripts: list[Script] = [[*list(begins)[:-1], *failed]]
    else:
        scripts = [begins, [Request(), head(200, "transfer-encoding: chunked"), *failed]]
    async with FaultServer(*scripts) as server:
        got = await ask(server, protocol, conversation_id="resp_before")
        assert posts(server) == 1
        assert len(server.received) == len(scripts)
    assert (got.turn.status, got.turn.run) == (FAILED, "")
    assert error["message"].rstrip(".") in got.words


@both
@shown_or_not
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.fault("H06", "H07")
async def test_a_run_that_one_may_not_ask_for_is_left_to_be_taken_up_with_another_key(
    protocol: str, shown: str, status: int
) -> None:
    async with FaultServer(begun(shown), [Request(), *says(status)], told("half an answer")) as server:
        got = await ask(server, protocol)
        assert len(server.received) == 2
        assert (got.turn.status, got.turn.text, got.exit_status) == (INTERRUPTED, shown, 7 if shown else 4)
        assert name_of(protocol, got.turn) == RUN
        assert "come back later" in got.words
        again = Told(replace(got.turn, status=TurnStatus.STREAMING, error=None, ended_at=None))
        await ask(server, protocol, told=again, run=again.turn.run)
        assert posts(server) == 1
    assert (again.turn.status, again.turn.text, again.turn.run) == (DONE, "half an answer", "")


@both
async def test_a_run_whose_key_is_missing_is_left_to_be_taken_up(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    run = RUN if protocol == "responses" else f"{RUN} session"
    got = Told(replace(new_turn(profile_of(protocol)), status=TurnStatus.STREAMING, run=run))
    keyless = replace(profile_of(protocol), key=KeySource("env", ("NO_SUCH_KEY",)))
    await take(Client(), keyless, told=got, run=run)
    assert (got.turn.status, got.turn.run, got.exit_status) == (INTERRUPTED, run, 3)


@pytest.mark.parametrize("at", ["at once", "later"])
async def test_a_run_that_ended_without_an_answer_is_not_taken_up_again(at: str) -> None:
    response = {"id": RUN, "status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []}
    ended = [Chunk(events({"type": "response.incomplete", "sequence_number": 3, "response": response}))]
    begins = begun("")
    if at == "at once":
        scripts: list[Script] = [[*list(begins)[:-1], *ended]]
    else:
        scripts = [begins, [Request(), head(200, "transfer-encoding: chunked"), *ended]]
    async with FaultServer(*scripts) as server:
        got = await ask(server, "responses")
    assert (got.turn.status, got.turn.run) == (FAILED, "")
    assert RunNamed("") in got.events
    assert "content_filter" in got.words


def numbered(*payloads: dict[str, Any], start: int = 1) -> list[dict[str, Any]]:
    return [{**payload, "sequence_number": number} for number, payload in enumerate(payloads, start)]


ENDED = {"type": "response.completed", "response": {"id": RUN, "status": "completed"}}


@pytest.mark.fault("N14", "N52")
@pytest.mark.parametrize("broken_after", [1, 2, 3])
@pytest.mark.parametrize("start", [0, 1, 40])
async def test_a_server_that_tells_a_run_again_from_its_start_doubles_nothing(broken_after: int, start: int) -> None:
    """Whatever number it was asked to go on from, and without saying the whole text at the end."""
    all_of_it = numbered(CREATED, delta("Hello "), delta("big "), delta("world."), ENDED, start=start)
    cut = [Chunk(events(*all_of_it[:broken_after])), Rst()]
    async with FaultServer(
        [Request(), head(200, "transfer-encoding: chunked"), *cut], [Request(), *chunked(*all_of_it)]
    ) as server:
        got = await ask(server, "responses")
    assert (got.turn.status, got.turn.text) == (DONE, "Hello big world.")


async def test_a_run_that_is_told_again_in_pieces_goes_on_where_it_was() -> None:
    all_of_it = numbered(CREATED, delta("Hello "), delta("big "), delta("world."), ENDED)
    cuts = [
        [Request(), head(200, "transfer-encoding: chunked"), Chunk(events(*all_of_it[:n])), Rst()] for n in (3, 2, 4)
    ]
    async with FaultServer(*cuts, [Request(), *chunked(*all_of_it)]) as server:
        got = await ask(server, "responses")
    assert (got.turn.status, got.turn.text) == (DONE, "Hello big world.")


async def test_a_run_whose_numbers_begin_again_with_its_rest_comes_to_its_end() -> None:
    first = [Chunk(events(*numbered(CREATED, delta("Hello "), delta("big ")))), Rst()]
    rest = numbered(delta("world."), {**ENDED, "response": completed("Hello big world.", RUN)["response"]})
    async with FaultServer(
        [Request(), head(200, "transfer-encoding: chunked"), *first], [Request(), *chunked(*rest)]
    ) as server:
        got = await ask(server, "responses")
    assert (got.turn.status, got.turn.text) == (DONE, "Hello big world.")


def polled(status: str) -> Script:
    """The run as a whole, by a server that does not stream it."""
    return [Request(), *says(200, {"id": RUN, "object": "response", "status": status, "output": []})]


@both
async def test_a_run_that_stays_queued_is_left_after_an_hour(protocol: str) -> None:
    async with FaultServer(polled("queued")) as server:
        waits = Waits()
        got = await ask(server, protocol, waits)
        assert posts(server) == 1
    assert 3590 < sum(waits.seconds) <= 3600
    assert (got.turn.status, name_of(protocol, got.turn), got.exit_status) == (INTERRUPTED, RUN, 5)
    assert got.words == "The run is still queued after an hour, with no answer."


async def test_a_run_that_only_says_that_it_is_queued_is_left_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stream breaks off each time, and tells nothing new."""
    monkeypatch.setattr("tui.client.protocols.background.QUEUED_AT_MOST", 60.0)
    queued = {"type": "response.queued", "response": {"id": RUN, "model": "m", "status": "queued"}}
    async with FaultServer(
        [Request(), head(200, "transfer-encoding: chunked"), Chunk(events(queued)), Rst()]
    ) as server:
        waits = Waits()
        got = await ask(server, "responses", waits)
    assert 59 < sum(waits.seconds) <= 60
    assert (got.turn.status, got.words) == (INTERRUPTED, "The run is still queued after an hour, with no answer.")


@both
async def test_a_run_that_is_at_work_may_take_as_long_as_it_likes(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.client.protocols.background.QUEUED_AT_MOST", 60.0)
    turns = [polled("queued")] * 8 + [polled("in_progress")] * 20 + [polled("queued")] * 7
    async with FaultServer(*turns, told("an answer")) as server:
        waits = Waits()
        got = await ask(server, protocol, waits)
    assert sum(waits.seconds) > 3 * 60
    assert (got.turn.status, got.turn.text) == (DONE, "an answer")
