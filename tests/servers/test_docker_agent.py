"""Docker agents on their stand-in: sessions the server keeps, runs that ask, forks, what is said meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import httpx
import pytest

from tests.chatting import Chatting
from tests.client.turns import Told, new_turn, take
from tests.fake_server import PROFILE, FakeServer, Waits
from tests.servers import docker_agent
from tests.servers.asking import asks, text_of
from tests.servers.base import Asked, Running, serving
from tests.servers.docker_agent import DockerAgent
from tests.servers.docker_agent_runs import Session as Kept
from tests.servers.echo import message
from tests.virtual_time import elapsed, play
from tui.client import Client
from tui.config import Profile
from tui.credentials import KeySource
from tui.errors import Limited, Refused, Stale
from tui.events import RunNamed
from tui.model import AttemptKind, Item, ItemKind, ItemState, Session, TitleSource, Turn, TurnStatus, Verdict

DONE, FAILED = TurnStatus.DONE, TurnStatus.FAILED
CANCELLED, INTERRUPTED = TurnStatus.CANCELLED, TurnStatus.INTERRUPTED
YES, NO = Verdict(True), Verdict(False)


@pytest.fixture
def server() -> Iterator[Running]:
    with serving(docker_agent.make()) as running:
        yield running


def service(server: Running) -> DockerAgent:
    return cast(DockerAgent, server.service)


def profile_of(server: Running, model: str = "root", **more: Any) -> Profile:
    return replace(PROFILE, name="here", protocol="docker-agent", base_url=server.url, model=model, **more)


def posted(server: Running, end: str) -> list[Asked]:
    """The requests whose path ends so."""
    return [asked for asked in server.service.asked if asked.method == "POST" and asked.path.endswith(end)]


def only(server: Running) -> Kept:
    """The server's only session."""
    (kept,) = service(server).sessions.values()
    return kept


ask = asks(profile_of)


def items(turn: Turn) -> list[tuple[str, str, str, str]]:
    return [(str(item.kind), item.name, item.text, str(item.state)) for item in turn.items]


async def asked_in(t: Chatting, session: Session, prompt: str) -> tuple[Turn, Item]:
    """Say something that makes the run ask, and wait until it does."""
    t.chat.send(session, prompt)
    await t.until(lambda: t.newest().prompt == prompt and t.newest().open_approvals)
    turn = t.newest()
    return turn, turn.open_approvals[0]


# Sessions


async def test_a_session_is_made_for_the_first_prompt_and_knows_the_rest(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    first, second = await t.say(session, "hello"), await t.say(session, "and again?")
    assert (first.text, second.text) == (text_of("hello"), text_of("and again?", 2))
    kept = only(server)
    assert first.conversation_id == second.conversation_id == kept.id
    assert (kept.title, kept.working_dir) == ("hello", "")
    assert [(asked.method, asked.path) for asked in server.service.asked] == [
        ("POST", "/api/sessions"),
        ("POST", f"/api/sessions/{kept.id}/agent/root"),
        ("POST", f"/api/sessions/{kept.id}/agent/root"),
    ]
    assert server.service.asked[-1].json == {"messages": [{"role": "user", "content": "and again?"}]}
    assert second.usage is not None
    assert (second.usage.input_tokens, second.usage.output_tokens, second.usage.reasoning_tokens) == (2, 7, 3)


async def test_the_address_may_name_the_api(server: Running) -> None:
    told = await take(Client(), replace(profile_of(server), base_url=f"{server.url}/api"), "hello")
    assert told.turn.text == text_of("hello")


async def test_the_folder_to_work_in_is_told(server: Running) -> None:
    await take(Client(), profile_of(server, options={"working_dir": "/srv/code"}), "hello")
    assert only(server).working_dir == "/srv/code"


async def test_a_folder_that_is_not_there_is_told_in_one_line(server: Running) -> None:
    told = await take(Client(), profile_of(server, options={"working_dir": "/nowhere/at/all"}), "hello")
    assert (told.turn.status, told.exit_status) == (FAILED, 6)
    assert told.words == (
        f"{server.url[7:]} failed: failed to create session: stat /nowhere/at/all: no such file or directory."
    )


@pytest.mark.fault("H20")
async def test_docker_16_a_session_the_server_forgot_is_begun_afresh(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    first = await t.say(session, "hello")
    server.call(server.service.forget)
    turn = await t.say(session, "and again?")
    assert (turn.status, turn.text) == (DONE, text_of("and again?"))
    assert turn.notes == ("The server no longer knew this conversation; a new one was started.",)
    assert [attempt.kind for attempt in turn.attempts] == [AttemptKind.FIRST, AttemptKind.FRESH]
    assert turn.conversation_id == only(server).id != first.conversation_id
    mapping = await t.chat.conversations.mapping(session)
    assert mapping is not None
    assert mapping.conversation_id == turn.conversation_id


async def test_docker_16_without_a_fresh_start_it_is_an_error(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    first = await t.say(session, "hello")
    server.call(server.service.forget)
    turn = await t.say(session, "and again?", allow_fresh=False)
    assert turn.error is not None
    assert (turn.status, turn.error.kind) == (FAILED, "stale")
    mapping = await t.chat.conversations.mapping(session)
    assert mapping is not None
    assert mapping.conversation_id == first.conversation_id


async def test_a_busy_session_is_waited_for(server: Running) -> None:
    kept = Kept("mine")
    service(server).sessions["mine"] = kept
    others = asyncio.create_task(ask(server, "hang on", conversation_id="mine"))

    class FreesIt(Waits):
        async def __call__(self, seconds: float) -> None:
            await super().__call__(seconds)
            server.service.go_on.set()
            await others

    async with asyncio.timeout(20):
        while kept.run is None:
            await asyncio.sleep(0.005)
        waits = FreesIt()
        told = await ask(server, "hello", conversation_id="mine", waits=waits)
    assert (told.turn.status, told.turn.text, waits.seconds) == (DONE, text_of("hello", 2), [1.0])


async def test_one_that_stays_busy_is_said_to_be(server: Running) -> None:
    kept = Kept("mine")
    service(server).sessions["mine"] = kept
    others = asyncio.create_task(ask(server, "hang on", conversation_id="mine"))
    async with asyncio.timeout(20):
        while kept.run is None:
            await asyncio.sleep(0.005)
        told = await ask(server, "hello", conversation_id="mine")
    assert (told.exit_status, len(told.turn.attempts)) == (8, 4)
    assert told.words == ("The conversation is busy: session is already processing a request — try again in a moment")
    assert kept.prompts == ["hang on"]
    server.service.go_on.set()
    await others


# Failures


@pytest.mark.parametrize(
    ("prompt", "words", "exit_status"),
    [
        ("fail first", "{host} failed: the model said no.", 6),
        ("fail first rate_limited", "{host} says: too many requests: the model said no — try again later", 8),
        (
            "fail first context_exceeded",
            "The conversation is too long for the model: the model said no — go on in a new session",
            6,
        ),
        ("fail first request_too_large", "The message is too large for the server.", 6),
        ("fail first hook_blocked", "{host} refused the request: the model said no.", 6),
        ("fail later", "The server broke off: the model said no; the 3 words that came are kept.", 7),
    ],
)
async def test_a_run_that_fails_is_not_made_again(server: Running, prompt: str, words: str, exit_status: int) -> None:
    told = await ask(server, prompt)
    assert (told.words, told.exit_status) == (words.format(host=server.url[7:]), exit_status)
    assert told.turn.status is (INTERRUPTED if exit_status == 7 else FAILED)
    assert (told.turn.conversation_id, told.turn.run, len(told.turn.attempts)) == ("", "", 1)
    assert only(server).prompts == [prompt]


async def test_a_failure_in_a_conversation_says_that_the_server_has_kept_the_prompt(
    t: Chatting, server: Running
) -> None:
    session = await t.chat.open("work")
    await t.say(session, "hello")
    failed = await t.say(session, "fail first")
    assert failed.error is not None
    assert failed.error.hint == "the server has kept what you said; sent again, it has it twice"
    again = await t.say(session, "go on")
    assert (again.status, again.text) == (DONE, text_of("go on", 3))
    assert len(service(server).sessions) == 1


async def test_a_connection_that_breaks_ends_the_run(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    turn = await t.say(session, "cut me off")
    assert (turn.status, turn.text, turn.conversation_id) == (INTERRUPTED, "1 prompt so ", "")
    assert turn.run == ""
    assert len(posted(server, "/agent/root")) == 1


async def test_a_stop_ends_the_run_and_the_talk_goes_on(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    await t.say(session, "hello")
    t.chat.send(session, "hang on")
    await t.until(lambda: t.newest().text == "2 prompts so ")
    assert only(server).run is not None
    assert t.chat.cancel(session.id)
    stopped = await t.ended(session)
    assert (stopped.status, stopped.text) == (CANCELLED, "2 prompts so ")
    await t.until(lambda: only(server).run is None)
    turn = await t.say(session, "go on")
    assert (turn.status, turn.text) == (DONE, text_of("go on", 3))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "wants a key: missing Authorization header"),
        ("wrong", "refused the key in the header authorization of profile here: invalid token"),
    ],
)
async def test_docker_13_a_wrong_key_is_told_in_one_line(given: str, words: str) -> None:
    with serving(docker_agent.make(key="right")) as server:
        headers = (("authorization", f"Bearer {given}"),) if given else ()
        told = await take(Client(), profile_of(server, headers=headers, key=KeySource()), "hello")
    assert (told.turn.status, told.exit_status) == (FAILED, 4)
    assert told.words.startswith(f"{server.url[7:]} {words}")


# What a run shows


async def test_tools_thoughts_and_tables_are_shown(t: Chatting) -> None:
    session = await t.chat.open("work")
    assert items(await t.say(session, "tool please")) == [
        ("tool_call", "weather", '{"city":"Hamburg"}', ""),
        ("tool_result", "weather", "17 degrees & dry", ""),
        ("message", "", text_of("tool please"), ""),
    ]
    table = items(await t.say(session, "table of it"))
    assert table[0] == ("tool_call", "query", '{"sql":"SELECT city, n FROM bridges"}', "")
    assert table[1][2] == '{"columns": ["city", "n"], "rows": [["Hamburg", 2496], ["Berlin", 960]]}'
    assert items(await t.say(session, "think about it"))[0] == ("reasoning", "", "It is a simple question.", "")
    empty = await t.say(session, "empty")
    assert (empty.status, [kind for kind, *_ in items(empty)]) == (DONE, ["notice"])
    long = await t.say(session, "long one")
    assert (long.status, long.text.count("Paragraph")) == (DONE, 200)


async def test_a_sub_agents_work_is_shown_beside_the_answer(t: Chatting) -> None:
    turn = await t.say(await t.chat.open("work"), "delegate it")
    assert (turn.status, turn.text) == (DONE, text_of("delegate it"))
    assert ("reasoning", "helper", "I look it up.", "") in items(turn)
    assert ("notice", "", "helper: it took two tries", "") in items(turn)


# Questions


async def test_docker_17_a_tool_runs_once_it_may(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    turn, item = await asked_in(t, session, "approve it")
    assert (item.name, item.text) == ("deploy", '{"to":"production"}')
    assert only(server).run is not None
    await t.chat.answer(session, turn, item, YES)
    ended = await t.ended(session)
    assert ended.status is DONE
    assert [one for one in items(ended) if one[0] != "message"] == [
        ("tool_call", "deploy", '{"to":"production"}', ""),
        ("approval", "deploy", '{"to":"production"}', "approved"),
        ("tool_result", "deploy", "deployed", ""),
    ]
    (told,) = posted(server, "/resume")
    assert told.json == {"confirmation": "approve", "reason": "", "tool_name": "deploy"}
    _, again = await asked_in(t, session, "approve it again")
    assert again.state is ItemState.OPEN
    await t.chat.answer(session, t.newest(), again, NO)
    await t.ended(session)


async def test_docker_17_a_tool_runs_for_the_rest_of_the_session(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    turn, item = await asked_in(t, session, "approve it")
    await t.chat.answer(session, turn, item, Verdict(True, for_all=True))
    await t.ended(session)
    assert posted(server, "/resume")[0].json["confirmation"] == "approve-session"
    again = await t.say(session, "approve it again")
    assert again.status is DONE
    assert ItemKind.APPROVAL not in [one.kind for one in again.items]


async def test_docker_17_a_tool_does_not_run_and_the_agent_is_told_why(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    turn, item = await asked_in(t, session, "approve it")
    await t.chat.answer(session, turn, item, Verdict(False, reason="not on a Friday"))
    ended = await t.ended(session)
    assert ended.status is DONE
    denied = "The user rejected the tool call. Reason: not on a Friday"
    assert ("approval", "deploy", '{"to":"production"}', "denied") in items(ended)
    assert ("tool_result", "deploy", denied, "denied") in items(ended)
    (told,) = posted(server, "/resume")
    assert told.json == {"confirmation": "reject", "reason": "not on a Friday", "tool_name": "deploy"}


async def test_docker_17_an_answer_after_the_end_of_the_run_is_an_error_in_words(server: Running) -> None:
    item = Item("confirmation/call_1", ItemKind.APPROVAL, "{}", "deploy", "call_1", ItemState.OPEN)
    with pytest.raises(Refused) as refused:
        await Client().ask(profile_of(server), lambda wire, http: wire.answer(http, "gone", item, YES))
    assert refused.value.message == "The run that asked is over; the answer came too late."
    question = replace(item, key="elicitation/e-1", call_id="e-1")
    told = await ask(server, "hello")
    with pytest.raises(Refused, match="came too late"):
        await Client().ask(
            profile_of(server), lambda wire, http: wire.answer(http, told.turn.conversation_id, question, YES)
        )


async def test_docker_17_a_stop_while_a_question_waits_leaves_the_tool_alone(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    await asked_in(t, session, "approve it")
    assert t.chat.cancel(session.id)
    assert (await t.ended(session)).status is CANCELLED
    await t.until(lambda: only(server).run is None)
    assert "deployed" not in str(only(server).messages)


@pytest.mark.parametrize(
    ("verdict", "sent", "shown", "state"),
    [
        (Verdict(True, content={"seats": 4}), {"action": "accept", "content": {"seats": 4}}, "booked 4", "approved"),
        (NO, {"action": "decline", "content": {}}, "The user said decline.", "denied"),
    ],
)
async def test_what_a_tool_wants_to_know_is_answered(
    t: Chatting, server: Running, verdict: Verdict, sent: dict[str, Any], shown: str, state: str
) -> None:
    session = await t.chat.open("work")
    turn, item = await asked_in(t, session, "question of it")
    assert (item.name, item.call_id) == ("question", "elicit-1")
    await t.chat.answer(session, turn, item, verdict)
    ended = await t.ended(session)
    assert ended.status is DONE
    assert shown in [text for _, _, text, _ in items(ended)]
    assert [one[3] for one in items(ended) if one[0] == "approval"] == [state]
    (told,) = posted(server, "/elicitation")
    assert told.json == sent | {"elicitation_id": "elicit-1"}


@pytest.mark.parametrize(
    ("verdict", "word", "finish", "text"),
    [
        (Verdict(True, for_all=True), "approve", "", text_of("limit of it")),
        (NO, "reject", "max_iterations", ""),
    ],
)
async def test_at_the_limit_of_steps_the_user_says_whether_to_go_on(
    t: Chatting, server: Running, verdict: Verdict, word: str, finish: str, text: str
) -> None:
    session = await t.chat.open("work")
    turn, item = await asked_in(t, session, "limit of it")
    await t.chat.answer(session, turn, item, verdict)
    ended = await t.ended(session)
    assert (ended.status, ended.finish, ended.text) == (DONE, finish, text)
    assert posted(server, "/resume")[0].json == {"confirmation": word, "reason": "", "tool_name": ""}


def test_docker_17_a_question_waits_for_as_long_as_the_user_takes() -> None:
    """Silence is not taken for a stall while the run waits for the user, and is again afterwards."""

    async def scene() -> tuple[Told, float]:
        fake = FakeServer()
        client = Client(transport_of=lambda _profile: fake)
        profile = replace(PROFILE, protocol="docker-agent", base_url="http://server.localhost:1", idle_timeout=300.0)
        told = Told(new_turn(profile))
        turn = asyncio.create_task(take(client, profile, told=told, conversation_id="s"))
        exchange = await fake.request()
        call = {"id": "call_1", "function": {"name": "deploy", "arguments": "{}"}}
        exchange.respond().event({"type": "stream_started", "session_id": "s"})
        exchange.event({"type": "tool_call_confirmation", "tool_call": call})
        await asyncio.sleep(7200.0)
        exchange.event({"type": "tool_call", "tool_call": call})
        await asyncio.sleep(200.0)
        assert not turn.done()
        return await turn, elapsed()

    told, seconds = play(scene)
    assert told.turn.status is INTERRUPTED
    assert "sent nothing for 300 s: stalled" in told.words.lower()
    assert seconds == pytest.approx(7500.0, abs=1.0)


def test_silence_before_the_run_begins_is_no_answer() -> None:
    async def scene() -> tuple[Told, float]:
        fake = FakeServer()
        client = Client(transport_of=lambda _profile: fake)
        profile = replace(PROFILE, protocol="docker-agent", base_url="http://server.localhost:1", idle_timeout=300.0)
        return await take(client, profile, conversation_id="s"), elapsed()

    told, seconds = play(scene)
    assert (told.turn.status, told.exit_status, len(told.turn.attempts)) == (FAILED, 5, 1)
    assert told.words.startswith("server.localhost:1 took the request and said nothing for 300 s")
    assert seconds == pytest.approx(310.0, abs=1.0)


# More is said meanwhile


async def test_more_can_be_said_to_a_run(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    t.chat.send(session, "hang on")
    await t.until(lambda: t.newest().text and t.chat.can_steer(session.id))
    await t.chat.steer(session.id, "and be brief")
    server.service.go_on.set()
    turn = await t.ended(session)
    assert (turn.status, turn.text) == (DONE, f"{text_of('hang on')}{text_of('and be brief', 2)}")
    assert turn.notes == ("You added: and be brief",)
    assert posted(server, "/steer")[0].json == {"messages": [{"role": "user", "content": "and be brief"}]}


async def test_a_run_that_is_over_or_has_enough_to_read_takes_no_more(server: Running) -> None:
    with pytest.raises(Refused) as over:
        await Client().ask(profile_of(server), lambda wire, http: wire.steer(http, "gone", "more"))
    assert str(over.value) == "The agent is not running any more — send it as the next prompt"
    told = await ask(server, "hello")
    run = told.turn.conversation_id
    service(server).sessions[run].steered = ["one"] * docker_agent.STEER_LIMIT
    with pytest.raises(Limited) as full:
        await Client().ask(profile_of(server), lambda wire, http: wire.steer(http, run, "more"))
    assert str(full.value) == "The agent has enough to read for now — try again in a moment"


async def test_a_runs_name_is_the_sessions(server: Running) -> None:
    told = await ask(server, "hello")
    named = [event.run for event in told.events if isinstance(event, RunNamed)]
    assert named == [only(server).id, ""]


# Agents


async def test_agents_are_listed(server: Running) -> None:
    assert await Client().ask(profile_of(server), lambda wire, http: wire.models(http)) == ["reviewer", "root"]


@pytest.mark.parametrize(("model", "agent"), [("reviewer", "reviewer"), ("", "root")])
async def test_the_profiles_agent_answers_or_else_root(server: Running, model: str, agent: str) -> None:
    assert (await take(Client(), profile_of(server, model), "hello")).turn.status is DONE
    assert service(server).ran == [agent]


async def test_where_there_is_no_root_the_first_agent_answers(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_agent, "AGENTS", {"pirate": "Arr.", "sailor": "Aye."})
    assert (await take(Client(), profile_of(server, ""), "hello")).turn.status is DONE
    assert service(server).ran == ["pirate"]


async def test_an_agent_that_is_not_there_is_told_in_one_line(server: Running) -> None:
    told = await take(Client(), profile_of(server, "rot/ten"), "hello")
    assert (told.turn.status, told.words) == (
        FAILED,
        f"{server.url[7:]} failed: failed to run session: agent not found: rot/ten.",
    )


# Conversations


async def test_conversations_are_listed_the_newest_first(t: Chatting, server: Running) -> None:
    for label in ("one", "two"):
        await t.say(await t.chat.open(label), f"hello {label}")
    listed = await t.chat.conversations.listed(t.profile)
    assert [one.title for one in listed] == ["hello two", "hello one"]
    assert {one.id for one in listed} == set(service(server).sessions)
    assert all(one.used_at for one in listed)


async def test_a_conversation_is_read_and_gone_on_with(t: Chatting, server: Running) -> None:
    await t.say(await t.chat.open("work"), "tool please")
    await t.say(await t.chat.open("work"), "delegate it")
    kept = only(server)
    kept.title = "Tools, and who uses them"
    adopted = await t.chat.conversations.adopt("found", kept.id, t.profile)
    assert (adopted.title, adopted.title_source) == (kept.title, TitleSource.GENERATED)
    first, second = await t.chat.turns(adopted.id)
    assert (first.prompt, first.status, first.text) == ("tool please", DONE, text_of("tool please"))
    assert [kind for kind, *_ in items(first)] == ["tool_call", "tool_result", "message"]
    assert (second.prompt, second.text) == ("delegate it", text_of("delegate it", 2))
    assert ("reasoning", "helper", "I look it up.", "") in items(second)
    assert (await t.say(adopted, "and on")).text == text_of("and on", 3)
    assert len(service(server).sessions) == 1


async def test_a_conversation_that_is_not_there_is_told_as_such(server: Running) -> None:
    with pytest.raises(Stale, match="does not know this conversation"):
        await Client().ask(profile_of(server), lambda wire, http: wire.recall(http, "gone"))
    with pytest.raises(Stale):
        await Client().ask(profile_of(server), lambda wire, http: wire.fork(http, "gone", 1))


async def test_docker_18_a_fork_has_what_was_said_before_and_leaves_the_original_alone(
    t: Chatting, server: Running
) -> None:
    session = await t.chat.open("work")
    for prompt in ("one", "delegate it", "three"):
        await t.say(session, prompt)
    original = only(server)
    before = list(original.messages)
    forked = await t.chat.conversations.fork(session, "branch", at=2)
    assert forked.note == ""
    assert posted(server, "/fork")[0].json == {"user_message_index": 3}
    branch = service(server).sessions[_other(server, original.id)]
    assert (branch.prompts, branch.title) == (["one", "delegate it"], "one (fork 1)")
    assert (await t.say(forked.session, "else")).text == text_of("else", 3)
    assert original.messages == before
    assert (await t.say(session, "four")).text == text_of("four", 4)


async def test_docker_18_a_fork_of_everything_has_the_newest_answer_too(t: Chatting, server: Running) -> None:
    session = await t.chat.open("work")
    for prompt in ("one", "tool please"):
        await t.say(session, prompt)
    original = only(server)
    before = list(original.messages)
    forked = await t.chat.conversations.fork(session, "branch")
    assert forked.note == ""
    branch = service(server).sessions[_other(server, original.id)]
    assert branch.messages == original.messages == before
    assert (await t.say(forked.session, "else")).text == text_of("else", 3)
    assert original.messages == before


async def test_a_fork_takes_no_conversation_that_went_on_from_an_earlier_turn_meanwhile(
    t: Chatting, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await t.chat.open("work")
    for prompt in ("one", "two"):
        await t.say(session, prompt)
    make = t.store.fork

    async def fork(new: Session, last: str) -> Session:
        await t.say(session, "zwei", at=1)
        return await make(new, last)

    monkeypatch.setattr(t.store, "fork", fork)
    forked = await t.chat.conversations.fork(session, "branch")
    assert "begins a new conversation" in forked.note
    assert [turn.prompt for turn in await t.chat.turns(forked.session.id)] == ["one", "two"]
    assert posted(server, "/fork") == []
    assert await t.chat.conversations.mapping(forked.session) is None


async def test_a_fork_that_cannot_be_made_whole_is_not_made(
    t: Chatting, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: DockerAgent, session_id: str, sent: dict[str, Any]) -> Any:
        return message(500, "failed to add message: the disk is full")

    monkeypatch.setattr(DockerAgent, "_messages", refuse)
    session = await t.chat.open("work")
    await t.say(session, "one")
    forked = await t.chat.conversations.fork(session, "branch")
    assert "the disk is full" in forked.note
    assert len(service(server).sessions) == 1
    assert await t.chat.conversations.mapping(forked.session) is None


async def test_an_empty_session_cannot_be_forked(server: Running) -> None:
    service(server).sessions["mine"] = Kept("mine")
    with pytest.raises(Refused, match="Nothing has been said"):
        await Client().ask(profile_of(server), lambda wire, http: wire.fork(http, "mine", None))


def _other(server: Running, session_id: str) -> str:
    (other,) = service(server).sessions.keys() - {session_id}
    return other


# The stand-in itself


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "said"),
    [
        ("GET", "/api/sessions/gone", None, 404, "session not found: session not found"),
        ("GET", "/api/nothing", None, 404, "Not Found"),
        ("POST", "/api/sessions/gone/agent/root", {}, 500, "failed to run session: session not found"),
        ("POST", "/api/sessions/gone/resume", {}, 500, "failed to resume session: session not found"),
        ("POST", "/api/sessions/gone/elicitation", {}, 500, "failed to resume elicitation: session not found"),
        ("POST", "/api/sessions/gone/steer", {}, 400, "at least one message is required"),
        ("POST", "/api/sessions/mine/fork", {"user_message_index": 1}, 400, "fork user-message index out of range: 1"),
        ("POST", "/api/sessions/mine/agent/rot", {}, 500, "failed to run session: agent not found: rot"),
    ],
)
async def test_the_stand_in_refuses_in_the_real_ones_words(
    server: Running, method: str, path: str, sent: Any, status: int, said: str
) -> None:
    service(server).sessions["mine"] = Kept("mine")
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.request(method, f"{server.url}{path}", json=sent)
    assert (answer.status_code, answer.json()["message"]) == (status, said)
