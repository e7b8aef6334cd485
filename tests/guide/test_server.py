"""guide's server: the protocol as a client sees it, the ids it issues, and what it says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client.turns import Told, over, take
from tui.chat import Chat
from tui.client import Client, Request
from tui.client.guide_transport import GuideTransport
from tui.config import GUIDE, Config
from tui.errors import Refused, Stale
from tui.events import AttemptStarted, ItemDelta
from tui.guide.manual import passages, titled
from tui.guide.server import LIFETIME, GuideServer
from tui.model import AttemptKind, ItemKind, Message, Turn, TurnStatus
from tui.store import Store

DAY = 86400.0


def guide(now: Callable[[], float] = lambda: 1_000_000_000.0, **more: Any) -> GuideServer:
    """A server that never waits."""
    return GuideServer(speed=0, now=now, **more)


def client(server: GuideServer | None = None) -> Client:
    return over(GuideTransport(server or guide()))


async def body_of(
    server: GuideServer, body: Any, method: str = "POST", path: str = "/responses"
) -> tuple[int, str, bytes]:
    """Status, content type and body of an answer."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await server.handle(method, path, sent)
    return answer.status, answer.content_type, b"".join([chunk async for chunk in answer.chunks])


async def events_of(server: GuideServer, **body: Any) -> list[dict[str, Any]]:
    """The events of a streamed answer."""
    status, content_type, raw = await body_of(server, {"stream": True, **body})
    assert (status, content_type) == (200, "text/event-stream")
    blocks = [block.splitlines() for block in raw.decode().split("\n\n") if block]
    found = [json.loads(data.removeprefix("data: ")) for _, data in blocks]
    assert [name.removeprefix("event: ") for name, _ in blocks] == [event["type"] for event in found]
    return found


async def error_of(server: GuideServer, body: Any, **where: str) -> tuple[int, dict[str, Any]]:
    status, content_type, raw = await body_of(server, body, **where)
    assert content_type == "application/json"
    error = json.loads(raw)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return status, error


# Answers


async def test_the_first_answer_says_who_is_talking_and_what_there_is_to_try() -> None:
    told = await take(client(), GUIDE, "how do I fork a session?")
    assert told.turn.status is TurnStatus.DONE
    text = told.turn.text
    assert text.startswith(
        "## Forking a session\n\nA fork is a new session that goes on from an answer of another one."
    )
    assert "no language model" in text
    assert all(f"`/demo {word}`" in text for word in ("long", "slow", "tools", "fail", "forget"))
    assert told.turn.model == "guide"


async def test_later_answers_do_not_say_it_again() -> None:
    server = guide()
    first = await take(client(server), GUIDE, "how do I quit?")
    second = await take(client(server), GUIDE, "how do I rename a session?", conversation_id=first.turn.conversation_id)
    assert second.turn.text.startswith("## Labels and titles\n")
    assert "no language model" not in second.turn.text


async def test_an_answer_is_a_whole_section_and_names_what_is_near() -> None:
    passage = titled("Stopping an answer")
    assert passage is not None
    told = await take(client(), GUIDE, "how do I stop an answer?", history=(Message("user", "hi"),))
    assert told.turn.text.startswith(f"## {passage.title}\n\n{passage.text}\n\n")
    assert told.turn.text.endswith(f"Say `more` for *{passages()[passage.number + 1].title}*.")


@pytest.mark.parametrize("word", ["more", "More!", "next", "go on", "continue"])
async def test_more_goes_on(word: str) -> None:
    server = guide()
    first = await take(client(server), GUIDE, "what is the difference between a session and a conversation?")
    second = await take(client(server), GUIDE, word, conversation_id=first.turn.conversation_id)
    third = await take(client(server), GUIDE, "more", conversation_id=second.turn.conversation_id)
    assert second.turn.text.startswith("## Forking a session\n")
    assert third.turn.text.startswith("## Starting a new session\n")


async def test_more_after_the_last_section_begins_again() -> None:
    server = guide()
    last = server.issue(len(passages()) - 1)
    told = await take(client(server), GUIDE, "more", conversation_id=last)
    assert told.turn.text.startswith(f"## {passages()[0].title}\n")


async def test_more_goes_on_from_what_was_said_where_no_id_tells() -> None:
    said = (Message("user", "fork"), Message("assistant", "## Forking a session\n\nThere is …"))
    told = await take(client(), GUIDE, "more", history=said)
    assert told.turn.text.startswith("## Starting a new session\n")


async def test_more_of_nothing_offers_the_sections() -> None:
    told = await take(client(), GUIDE, "more")
    assert "nothing to go on with yet" in told.turn.text
    assert all(passage.title in told.turn.text for passage in passages())


@pytest.mark.parametrize(
    "prompt", ["contents", "Topics", "hello", "Hi there!", "help", "???", "what is the weather in Paris?"]
)
async def test_whatever_is_no_question_about_palaver_offers_the_sections(prompt: str) -> None:
    told = await take(client(), GUIDE, prompt)
    assert all(passage.title in told.turn.text for passage in passages())
    assert all(f"**{passage.part}**" in told.turn.text for passage in passages())
    assert "| `/demo long` |" in told.turn.text


async def test_a_section_is_shown_by_its_name() -> None:
    for name in ("Keys", "keys", "*Keys*", "## Keys"):
        assert (await take(client(), GUIDE, name)).turn.text.startswith("## Keys\n")


async def test_what_it_is_told_to_say_it_says() -> None:
    assert (await take(client(), GUIDE, "Say the word: ready")).turn.text == "ready"


# Words to try out


async def test_demo_lists_itself() -> None:
    for prompt in ("/demo", "/demo nonsense"):
        text = (await take(client(), GUIDE, prompt)).turn.text
        assert text.count("| `/demo ") == 5
    assert "There is no `/demo nonsense`." in text


async def test_demo_long_is_the_whole_manual() -> None:
    text = (await take(client(), GUIDE, "/demo long")).turn.text
    assert all(f"\n## {passage.title}\n\n{passage.text}" in text for passage in passages())


async def test_demo_tools_thinks_and_calls() -> None:
    told = await take(client(), GUIDE, "/demo tools")
    assert [item.kind for item in told.turn.items] == [
        ItemKind.REASONING,
        ItemKind.TOOL_CALL,
        ItemKind.TOOL_RESULT,
        ItemKind.MESSAGE,
    ]
    (reasoning,), (call,), (result,) = (
        told.of(kind) for kind in (ItemKind.REASONING, ItemKind.TOOL_CALL, ItemKind.TOOL_RESULT)
    )
    assert reasoning[1].startswith("I could answer from memory")
    assert (call[0], json.loads(call[1])) == ("search_manual", {"words": ["sections"], "limit": 5})
    assert result[1] == f"{len(passages())} sections"
    assert told.turn.conversation_id


@pytest.mark.fault("N47")
async def test_demo_fail_breaks_off_and_what_came_is_kept() -> None:
    told = await take(client(), GUIDE, "/demo fail")
    assert told.turn.status is TurnStatus.INTERRUPTED
    assert told.turn.text.split() == "This answer was going well until, quite without warning, it broke off.".split()
    assert (
        told.words == "The server broke off: guide fails here because it was asked to; the 12 words that came are kept."
    )
    assert told.exit_status == 7
    assert told.turn.conversation_id == ""
    assert [attempt.kind for attempt in told.turn.attempts] == [AttemptKind.FIRST]


@pytest.mark.fault("S01")
async def test_demo_forget_is_forgotten_and_begun_anew(history: Path) -> None:
    store = Store(history)
    chat = Chat(store, client(), Config({"guide": GUIDE}, "guide"))
    await store.open()
    try:
        session = await chat.new()

        async def said(prompt: str) -> Turn:
            chat.send(session, prompt)
            turn = await chat.settled(session.id)
            assert turn is not None
            return turn

        await said("how do I fork a session?")
        forgotten = await said("/demo forget")
        turn = await said("more")
        await asyncio.sleep(0)
        mapping = dict(await chat.mappings())[session.label]
    finally:
        await chat.aclose()
        await store.close()
    assert turn.status is TurnStatus.DONE
    assert turn.notes == (
        "The server no longer knew this conversation; a new one was started, with 2 earlier turns sent along.",
    )
    assert turn.text.startswith("## Starting a new session\n")
    assert [attempt.kind for attempt in turn.attempts] == [AttemptKind.FIRST, AttemptKind.FRESH]
    assert turn.attempts[0].sent_id == forgotten.conversation_id
    assert mapping.conversation_id == turn.conversation_id != forgotten.conversation_id


@pytest.mark.fault("S14")
async def test_a_forgotten_conversation_can_be_an_error() -> None:
    server = guide()
    forgotten = server.issue(3, forgotten=True)
    told = await take(client(server), GUIDE, "hello", conversation_id=forgotten, allow_fresh=False)
    assert told.turn.error is not None
    assert (told.turn.status, told.turn.error.kind, told.exit_status) == (TurnStatus.FAILED, Stale.kind, 6)


# Ids


async def test_an_id_outlives_the_process_that_issued_it() -> None:
    first = await take(client(guide()), GUIDE, "how do I fork a session?")
    second = await take(client(guide()), GUIDE, "more", conversation_id=first.turn.conversation_id)
    assert second.turn.text.startswith("## Starting a new session\n")
    assert [event for event in second.events if isinstance(event, AttemptStarted)] == [
        AttemptStarted(AttemptKind.FIRST, first.turn.conversation_id)
    ]


def test_ids_are_new_each_time_and_remember_the_section() -> None:
    server = guide()
    made = [server.issue(topic) for topic in (-1, 0, 5, 5)]
    assert len(set(made)) == 4
    assert [server.topic_of(one) for one in made] == [-1, 0, 5, 5]


def test_ids_expire() -> None:
    now = [1_000_000_000.0]
    server = guide(lambda: now[0])
    issued = server.issue(2)
    now[0] += LIFETIME - 1
    assert server.topic_of(issued) == 2
    now[0] += 2
    assert server.topic_of(issued) is None
    now[0] -= 40 * DAY
    assert server.topic_of(issued) == 2, "a clock that went back expires nothing"


def test_only_ids_that_were_issued_are_known() -> None:
    server = guide()
    issued = server.issue(2)
    assert server.topic_of(issued) == 2
    for place, char in enumerate(issued):
        other = "0" if char != "0" else "1"
        assert server.topic_of(issued[:place] + other + issued[place + 1 :]) is None, place
    for other in (
        "",
        "resp_",
        "resp_1",
        issued[:-1],
        issued + "0",
        issued + "\n",
        issued.upper(),
        f" {issued}",
        "x" * 10_000,
    ):
        assert server.topic_of(other) is None


async def test_an_unknown_id_is_refused_the_way_the_protocol_has_it() -> None:
    status, error = await error_of(guide(), {"input": "hello", "previous_response_id": "resp_nope"})
    assert (status, error["code"], error["param"]) == (400, "previous_response_not_found", "previous_response_id")
    assert error["message"] == "Previous response with id 'resp_nope' not found."


async def test_what_is_not_stored_is_forgotten() -> None:
    server = guide()
    kept = (await events_of(server, input="hello"))[-1]["response"]
    dropped = (await events_of(server, input="hello", store=False))[-1]["response"]
    assert server.topic_of(kept["id"]) == -1
    assert server.topic_of(dropped["id"]) is None
    assert (kept["store"], dropped["store"]) == (True, False)


async def test_a_profile_that_wants_nothing_kept_is_told_everything() -> None:
    profile = replace(GUIDE, continue_by="nothing")
    told = await take(client(), profile, "more", history=(Message("assistant", "## Forking a session\n\n…"),))
    assert told.turn.text.startswith("## Starting a new session\n")
    assert told.turn.conversation_id == ""


# The protocol


async def test_events_come_in_the_protocols_order() -> None:
    events = await events_of(guide(), input="how do I fork a session?")
    kinds = [event["type"] for event in events]
    deltas = kinds.count("response.output_text.delta")
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * deltas,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert deltas > 50
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    last = events[-1]["response"]
    assert last["output"][0]["content"] == [{"type": "output_text", "text": text, "annotations": []}]
    assert events[-4]["text"] == text
    assert (last["status"], last["id"]) == ("completed", events[0]["response"]["id"])


@pytest.mark.parametrize("prompt", ["how do I fork a session?", "/demo tools", "/demo forget"])
async def test_what_streams_is_what_the_final_answer_says(prompt: str) -> None:
    """The reader takes the last event for the truth; here it must not have to."""
    streamed: dict[str, str] = {}
    told = await take(client(), GUIDE, prompt)
    for event in told.events:
        if isinstance(event, ItemDelta):
            streamed[event.key] = streamed.get(event.key, "") + event.text
    assert {item.key: item.text for item in told.turn.items if item.kind is not ItemKind.TOOL_RESULT} == streamed
    assert told.turn.notes == ()


async def test_a_failed_response_holds_what_was_said() -> None:
    events = await events_of(guide(), input="/demo fail")
    assert events[-1]["type"] == "response.failed"
    response = events[-1]["response"]
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
    assert response["output"][-1]["content"][0]["text"].endswith("it broke off. ")


async def test_without_streaming_the_whole_response_comes_at_once() -> None:
    server = guide()
    status, content_type, raw = await body_of(server, {"input": "how do I fork a session?"})
    response = json.loads(raw)
    assert (status, content_type, response["object"], response["status"]) == (
        200,
        "application/json",
        "response",
        "completed",
    )
    assert response["output"][0]["content"][0]["text"].startswith("## Forking a session\n")
    assert server.topic_of(response["id"]) == passages().index(titled("Forking a session"))


async def test_the_client_reads_an_answer_that_was_not_streamed() -> None:
    profile = replace(GUIDE, params={"stream": False})
    told = await take(client(), profile, "how do I fork a session?")
    assert told.turn.status is TurnStatus.DONE
    assert told.turn.text.startswith("## Forking a session\n")
    failed = await take(client(), profile, "/demo fail")
    assert "guide fails here because it was asked to" in failed.words
    assert failed.turn.status is not TurnStatus.DONE


async def test_the_list_of_models() -> None:
    models = await client().ask(GUIDE, lambda _wire, http: http.call("GET", "/models"))
    assert models == {"object": "list", "data": [{"id": "guide", "object": "model", "owned_by": "palaver"}]}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/responses"),
        ("POST", "/models"),
        ("POST", "/"),
        ("POST", "/chat/completions"),
        ("DELETE", "/responses/x"),
    ],
)
async def test_other_places_are_not_found(method: str, path: str) -> None:
    status, error = await error_of(guide(), {"input": "hello"}, method=method, path=path)
    assert (status, error["code"], error["message"]) == (404, "not_found", f"guide has no {method} {path}")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
        (b'"hello"', None),
        (b"[]", None),
        (b"null", None),
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": {}}, "input"),
        ({"input": ["hello"]}, "input"),
        ({"input": [{}]}, "input"),
        ({"input": [{"role": "user", "content": None}]}, "input"),
        ({"input": [{"role": "user", "content": ["hello"]}]}, "input"),
        ({"input": [{"role": "assistant", "content": "hello"}]}, "input"),
        ({"input": [{"content": 5}, {"role": "user", "content": "hello"}]}, "input"),
        ({"input": "hello", "previous_response_id": 5}, "previous_response_id"),
        ({"input": "hello", "previous_response_id": ["x"]}, "previous_response_id"),
    ],
)
async def test_what_cannot_be_read_is_refused(body: Any, param: str | None) -> None:
    status, error = await error_of(guide(), body)
    assert (status, error["code"], error["param"]) == (400, "invalid_request", param)


@pytest.mark.parametrize(
    "given",
    [
        "how do I fork a session?",
        [{"role": "user", "content": "how do I fork a session?"}],
        [{"role": "user", "content": [{"type": "input_text", "text": "how do I fork a session?"}]}],
        [{"role": "user", "content": [{"text": "how do I"}, {"type": "input_image"}, {"text": "fork a session?"}]}],
    ],
)
async def test_every_form_of_input_is_read(given: Any) -> None:
    last = (await events_of(guide(), input=given))[-1]
    assert last["response"]["output"][0]["content"][0]["text"].startswith("## Forking a session\n")


@pytest.mark.parametrize("prompt", ["\ud800", "/demo \ud800", "\x00", "`" * 50, "x" * 200_000, "/demo " + "x" * 10_000])
async def test_any_prompt_is_answered(prompt: str) -> None:
    assert (await events_of(guide(), input=prompt))[-1]["type"] == "response.completed"


@pytest.mark.fault("H08")
async def test_the_words_for_a_wrong_address() -> None:
    with pytest.raises(
        Refused, match=r"There is no such endpoint or model at http://guide\.localhost: guide has no GET /nope"
    ):
        await client().ask(GUIDE, lambda _wire, http: http.call("GET", "/nope"))


# Stopping, and time


async def _stream(server: GuideServer, prompt: str) -> AsyncGenerator[bytes, None]:
    answer = await server.handle("POST", "/responses", json.dumps({"input": prompt, "stream": True}).encode())
    assert isinstance(answer.chunks, AsyncGenerator)
    async with aclosing(answer.chunks) as chunks:
        async for chunk in chunks:
            yield chunk


class Held:
    """Sleeps that are over at once, up to one that lasts until it is broken off."""

    def __init__(self, after: int) -> None:
        self.begun = asyncio.Event()
        self.broken_off = asyncio.Event()
        self._left = after

    async def __call__(self, seconds: float) -> None:
        self._left -= 1
        if self._left >= 0:
            return
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.broken_off.set()
            raise


@pytest.mark.fault("C03")
async def test_a_cancelled_turn_stops_guide() -> None:
    held = Held(after=4)
    transport = GuideTransport(GuideServer(sleep=held))
    task = asyncio.create_task(take(over(transport), GUIDE, "/demo slow"))
    async with asyncio.timeout(20):
        await held.begun.wait()
        task.cancel()
        told: Told = await task
        await held.broken_off.wait()
    assert (told.turn.status, told.turn.text) == (TurnStatus.CANCELLED, "This answer takes its ")
    assert told.turn.conversation_id == ""
    assert told.saved[-1] == told.turn


async def test_closing_the_answer_closes_the_stream() -> None:
    ended: list[str] = []

    class Watched(GuideServer):
        async def _stream(self, events: Any) -> AsyncGenerator[bytes, None]:
            try:
                async with aclosing(GuideServer._stream(self, events)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            finally:
                ended.append("closed")

    async with httpx.AsyncClient(transport=GuideTransport(Watched(speed=0))) as http:
        request = http.build_request(
            "POST", "http://guide.localhost/responses", json={"input": "hello", "stream": True}
        )
        response = await http.send(request, stream=True)
        async for _ in response.aiter_raw():
            break
        assert ended == []
        await response.aclose()
    assert ended == ["closed"]


async def test_leaving_a_stream_early_leaves_nothing_behind() -> None:
    events = client().stream(Request(GUIDE, "/demo long", "session"))
    async with aclosing(events):
        async for event in events:
            if isinstance(event, ItemDelta) and event.text:
                break
    assert len(asyncio.all_tasks()) == 1


class Clock:
    """A clock that is moved on by sleeping, and by nothing else."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


async def played(prompt: str, speed: float = 1.0) -> Clock:
    """An answer, from its first byte to its last, on a clock that shows how long it took."""
    clock = Clock()
    pieces = [chunk async for chunk in _stream(GuideServer(speed, monotonic=clock, sleep=clock.sleep), prompt)]
    assert pieces[-1].startswith(b"event: response.completed")
    return clock


@pytest.mark.parametrize("title", [passage.title for passage in passages()])
async def test_an_answer_is_over_in_two_seconds(title: str) -> None:
    clock = await played(title)
    assert 0.9 < clock.seconds < 2
    assert max(clock.slept) < 0.05


async def test_demo_slow_takes_its_time() -> None:
    clock = await played("/demo slow")
    assert clock.seconds > 20
    assert min(clock.slept) > 0.2


async def test_an_answer_makes_up_for_lost_time() -> None:
    """On a machine that is busy, a pause that took too long shortens those after it."""
    clock = Clock()

    async def oversleep(seconds: float) -> None:
        await clock.sleep(seconds + (0.5 if not clock.slept else 0))

    server = GuideServer(monotonic=clock, sleep=oversleep)
    assert [chunk async for chunk in _stream(server, "Keys")]
    assert clock.seconds < 2
    assert len(clock.slept) < len((await played("Keys")).slept)


async def test_speed_divides_every_pause() -> None:
    assert (await played("/demo slow", 10)).seconds == pytest.approx((await played("/demo slow")).seconds / 10)
    assert (await played("/demo tools", 0)).slept == []


def test_ids_hold_nothing_but_signs_that_travel_well() -> None:
    assert re.fullmatch(r"resp_[0-9a-f-]+", guide().issue(12))
