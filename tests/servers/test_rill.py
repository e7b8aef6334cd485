"""Rill on its stand-in: conversations that go on, are read again, shared, forked; and what of that others may do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chatting import chatting
from tests.client.turns import Told, new_turn, take
from tests.fake_server import Waits
from tests.loopback import palaver
from tests.servers import rill
from tests.servers.base import Running, serving
from tests.servers.rill import Rill
from tui.chat import SessionChanged
from tui.client import Client
from tui.client.protocols.rill import FORK_HINT
from tui.client.protocols.rill_events import FORK_NOTE
from tui.config import Profile
from tui.credentials import KeySource
from tui.errors import NotAllowed, Refused, Stale
from tui.model import AttemptKind, Conversation, ItemKind, ItemState, Turn, TurnStatus

DONE, FAILED, CANCELLED, INTERRUPTED = (
    TurnStatus.DONE,
    TurnStatus.FAILED,
    TurnStatus.CANCELLED,
    TurnStatus.INTERRUPTED,
)
PEOPLE = ("ada", "bob", "guest", "outdated")


@pytest.fixture(autouse=True)
def tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PEOPLE:
        monkeypatch.setenv(f"TOKEN_OF_{name.upper()}", name)


@pytest.fixture
def server() -> Iterator[Running]:
    with serving(rill.make()) as running:
        yield running


def profile(server: Running, person: str = "", **options: str) -> Profile:
    key = KeySource("env", (f"TOKEN_OF_{person.upper()}",)) if person else KeySource()
    return Profile("here", "rill", server.url, key=key, options=options)


async def ask(server: Running, prompt: str, person: str = "", **request: Any) -> Told:
    return await take(Client(sleep=Waits()), profile(server, person), prompt, **request)


async def talk(server: Running, *prompts: str, person: str = "") -> tuple[str, list[Turn]]:
    """Say these things in one conversation. Gives its id, and the turns."""
    turns: list[Turn] = []
    known = ""
    for prompt in prompts:
        turns.append((await ask(server, prompt, person, conversation_id=known)).turn)
        known = turns[-1].conversation_id or known
    return known, turns


async def recall(server: Running, conversation_id: str, person: str = "") -> list[Turn]:
    return await Client().ask(profile(server, person), lambda wire, http: wire.recall(http, conversation_id))


async def share(server: Running, conversation_id: str, until: str | None, person: str = "ada") -> None:
    await Client().ask(profile(server, person), lambda wire, http: wire.share(http, conversation_id, until))


async def fork(server: Running, conversation_id: str, person: str = "bob") -> str:
    return await Client().ask(profile(server, person), lambda wire, http: wire.fork(http, conversation_id, None))


async def look_up(server: Running, conversation_id: str, person: str = "") -> Conversation:
    return await Client().ask(profile(server, person), lambda wire, http: wire.conversation(http, conversation_id))


async def listed(server: Running, person: str = "") -> list[Conversation]:
    return await Client().ask(profile(server, person), lambda wire, http: wire.conversations(http))


def said(turns: list[Turn]) -> list[tuple[str, str]]:
    return [(turn.prompt, turn.text) for turn in turns]


def service_of(server: Running) -> Rill:
    assert isinstance(server.service, Rill)
    return server.service


def post(server: Running, sent: Any, **headers: str) -> httpx.Response:
    """A completion asked for by hand."""
    url = f"{server.url}/v1/instances/default/ai/complete/stream"
    return httpx.post(url, content=json.dumps(sent), headers=headers, trust_env=False)


def answer_to(prompt: str, known: int = 1) -> str:
    return f"{known} prompt{'s' if known > 1 else ''} so far. You said: {prompt}"


# Turns


async def test_rill_1_a_conversation_begins_without_an_id_and_goes_on_by_the_first_frames(server: Running) -> None:
    known, (one, two) = await talk(server, "one", "two")
    first, second = (asked.json for asked in server.service.asked)
    assert "conversationId" not in first
    assert second["conversationId"] == one.conversation_id == known
    assert (one.text, two.text) == (answer_to("one"), answer_to("two", 2))


async def test_rill_2_nothing_is_sent_that_the_server_has_no_field_for(server: Running) -> None:
    assert post(server, {"prompt": "x", "model": "m"}).status_code == 400
    assert post(server, {"prompt": "x", "conversationId": 7}).text == "failed to parse request body\n"
    everything = replace(profile(server, agent="analyst_agent"), system="Be brief.", model="m", replay=True)
    told = await take(Client(), everything, "hello")
    assert told.turn.status is DONE
    assert server.service.asked[-1].json == {"prompt": "hello", "agent": "analyst_agent"}
    wrong = await take(Client(), replace(everything, params={"temperature": 0}), "hello")
    assert wrong.words == f"{server.url.removeprefix('http://')} refused the request: failed to parse request body."


async def test_rill_3_the_echo_is_not_part_of_the_answer(server: Running) -> None:
    told = await ask(server, "say something")
    assert [item.kind for item in told.turn.items] == [ItemKind.MESSAGE]
    assert post(server, {"prompt": "x"}).text.count('"router_agent"') == 2


async def test_rill_4_a_tool_that_fails_does_not_fail_the_turn(server: Running) -> None:
    well = (await ask(server, "tool, please")).turn
    call, result, _ = well.items
    assert (call.kind, call.name, call.text) == (
        ItemKind.TOOL_CALL,
        "get_metrics_view",
        '{"metrics_view": "weather"}',
    )
    assert (result.kind, result.call_id, result.state) == (ItemKind.TOOL_RESULT, call.call_id, ItemState.NONE)
    ill = (await ask(server, "tool fails")).turn
    assert ill.status is DONE
    assert [item.state for item in ill.items] == [ItemState.NONE, ItemState.FAILED, ItemState.NONE]
    assert ill.items[1].text == 'metrics view "weather" not found'


async def test_a_table_and_the_query_it_comes_from(server: Running) -> None:
    call, result, _ = (await ask(server, "table of bridges")).turn.items
    assert json.loads(call.text)["sql"] == "SELECT city, n FROM bridges"
    assert json.loads(result.text) == {"columns": ["city", "n"], "rows": [["Hamburg", 2496], ["Berlin", 960]]}


async def test_every_manner(server: Running) -> None:
    thought = (await ask(server, "think hard")).turn
    assert [item.kind for item in thought.items] == [ItemKind.REASONING, ItemKind.MESSAGE]
    empty = (await ask(server, "empty")).turn
    assert (empty.status, empty.text) == (DONE, "")
    long = (await ask(server, "long, please")).turn
    assert long.text.endswith("Paragraph 199 of a long answer.")
    assert (await ask(server, "approve it")).turn.text == answer_to("approve it")


async def test_rill_6_the_server_has_stored_the_answer_when_the_turn_is_done(server: Running) -> None:
    known, (turn,) = await talk(server, "one")
    messages = service_of(server).conversations[known].messages
    assert messages[-1]["id"] == turn.items[-1].key


async def test_rill_7_errors_in_a_stream(server: Running) -> None:
    host = server.url.removeprefix("http://")
    first = await ask(server, "fail first")
    assert (first.turn.status, first.words) == (FAILED, f"{host} failed: failed to load instance config (Internal).")
    later = await ask(server, "fail later")
    assert (later.turn.status, later.exit_status) == (INTERRUPTED, 7)
    assert later.words == "The server broke off: context deadline exceeded (Unknown); the 6 words that came are kept."
    agent = await ask(server, "fail agent")
    assert agent.words == f"{host} failed: completion failed: no model."
    service_of(server).is_older = True
    older = await ask(server, "fail first")
    assert older.words == f"{host} failed: failed to load instance config."


async def test_an_agent_or_an_instance_there_is_not(server: Running) -> None:
    told = await take(Client(), profile(server, agent="poet_agent"), "hello")
    assert told.words.endswith('failed: agent "poet_agent" not found.')
    told = await take(Client(), profile(server, instance="other"), "hello", conversation_id="x")
    assert told.words.endswith('failed: failed to get instance "other": not found (Unknown).')
    assert [attempt.kind for attempt in told.turn.attempts] == [AttemptKind.FIRST]


async def test_rill_8_a_conversation_the_server_forgot_is_begun_anew(server: Running) -> None:
    known, _ = await talk(server, "one")
    server.call(server.service.forget)
    told = await ask(server, "two", conversation_id=known)
    assert [attempt.kind for attempt in told.turn.attempts] == [AttemptKind.FIRST, AttemptKind.FRESH]
    assert told.turn.text == answer_to("two")
    assert told.turn.notes == ("The server no longer knew this conversation; a new one was started.",)
    assert told.turn.conversation_id not in ("", known)
    for is_older in (False, True):
        service_of(server).is_older = is_older
        with pytest.raises(Stale):
            await recall(server, known)
    kept = await ask(server, "three", conversation_id=known, allow_fresh=False)
    assert kept.turn.error is not None
    assert kept.turn.error.kind == "stale"


async def test_rill_9_who_may_not_use_it_is_not_asked_for_another_token(server: Running) -> None:
    guest = await ask(server, "hello", "guest")
    assert guest.exit_status == 4
    assert guest.words.endswith("does not allow this: action not allowed.")
    expired = await ask(server, "hello", "outdated")
    assert expired.exit_status == 4
    assert expired.words.endswith("refused the key from environment variable TOKEN_OF_OUTDATED: jwt is expired.")
    with pytest.raises(NotAllowed, match="does not allow this"):
        await listed(server, "guest")
    with pytest.raises(NotAllowed, match="refused the key"):
        await listed(server, "outdated")


async def test_rill_17_without_a_key_no_authorization_is_sent(server: Running) -> None:
    known, _ = await talk(server, "one")
    await recall(server, known)
    await listed(server)
    assert len(server.service.asked) == 3
    assert not any("authorization" in asked.headers for asked in server.service.asked)
    assert post(server, {"prompt": "x"}, authorization="dummy").status_code == 401


async def test_a_cloud_wants_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(rill.make(key="ada")) as server:
        assert (await ask(server, "hello", "ada")).turn.status is DONE
        assert (await ask(server, "hello", "bob")).words.endswith("token is malformed.")
        assert (await ask(server, "hello")).words.endswith("does not allow this: action not allowed.")


# Reading and listing


async def test_rill_15_what_failed_after_its_first_frame_is_there_once(server: Running) -> None:
    known, _ = await talk(server, "one")
    assert (await ask(server, "fail first", conversation_id=known)).turn.status is FAILED
    assert len(await recall(server, known)) == 1
    assert (await ask(server, "fail later", conversation_id=known)).turn.status is INTERRUPTED
    turns = await recall(server, known)
    assert [(turn.prompt, turn.status) for turn in turns] == [("one", DONE), ("fail later", INTERRUPTED)]
    assert len(server.service.asked) == 5


async def test_rill_15_a_failure_before_the_first_frame_keeps_the_conversation(server: Running, history: Path) -> None:
    async with chatting(history, profile(server)) as t:
        session = await t.chat.open("work")
        await t.say(session, "one")
        failed = await t.say(session, "fail first")
        assert (failed.status, failed.prompt, failed.has_output) == (FAILED, "fail first", False)
        assert (await t.say(session, "two")).text == answer_to("two", 2)


async def test_rill_16_after_a_stop_the_conversation_is_read_as_the_server_has_it(server: Running) -> None:
    known, _ = await talk(server, "one")
    told = Told(new_turn(profile(server), "hang on"))
    work = asyncio.create_task(ask(server, "hang on", told=told, conversation_id=known))
    async with asyncio.timeout(20):
        while not told.shown or not told.shown[-1].items:
            await asyncio.sleep(0.005)
        work.cancel()
        await work
        while not server.service.let_go:
            await asyncio.sleep(0.005)
    assert told.turn.status is CANCELLED
    turns = await recall(server, known)
    assert [(turn.prompt, turn.status) for turn in turns] == [("one", DONE), ("hang on", INTERRUPTED)]
    assert turns[1].items == told.turn.items
    held = [one["id"] for one in service_of(server).conversations[known].messages]
    assert all(item.key in held for turn in turns for item in turn.items)
    server.service.go_on.set()
    assert (await ask(server, "two", conversation_id=known)).turn.text == answer_to("two", 3)


async def test_what_is_read_is_what_was_told(server: Running) -> None:
    known, turns = await talk(server, "think", "tool", "tool fails", "table", "empty", "fail agent")
    read = await recall(server, known)
    assert [(turn.prompt, turn.items, turn.status) for turn in read] == [
        (turn.prompt, turn.items, turn.status) for turn in turns
    ]
    assert [turn.depth for turn in read] == list(range(6))
    assert [bool(turn.conversation_id) for turn in read] == [True] * 5 + [False]


async def test_everyone_lists_their_own(server: Running) -> None:
    first, _ = await talk(server, "first of all", person="ada")
    second, _ = await talk(server, "the second", person="ada")
    await talk(server, "of another", person="bob")
    assert [(one.id, one.title) for one in await listed(server, "ada")] == [
        (second, "the second"),
        (first, "first of all"),
    ]
    await talk(server, "in local mode")
    assert [one.title for one in await listed(server)] == ["in local mode"]
    assert server.service.asked[-1].query == {}


# Sharing


async def test_rill_10_sharing_up_to_the_newest_answer_up_to_another_one_and_no_more(server: Running) -> None:
    known, (one, two) = await talk(server, "one", "two", person="ada")
    with pytest.raises(NotAllowed, match="does not allow this"):
        await recall(server, known, "bob")
    await share(server, known, None)
    assert len(await recall(server, known, "bob")) == 2
    await share(server, known, one.items[-1].key)
    assert said(await recall(server, known, "bob")) == [("one", answer_to("one"))]
    await share(server, known, two.items[-1].key)
    assert len(await recall(server, known, "bob")) == 2
    await share(server, known, "")
    with pytest.raises(NotAllowed):
        await recall(server, known, "bob")
    assert [asked.json for asked in server.service.asked if asked.path.endswith("/share")] == [
        {},
        {"untilMessageId": one.items[-1].key},
        {"untilMessageId": two.items[-1].key},
        {"untilMessageId": "none"},
    ]


async def test_rill_10_what_is_no_answer_is_no_border(server: Running) -> None:
    known, (one,) = await talk(server, "tool", person="ada")
    for is_older in (False, True):
        service_of(server).is_older = is_older
        with pytest.raises(Refused, match="cannot be shared up to there: cannot share incomplete conversation"):
            await share(server, known, one.items[0].key)
        with pytest.raises(Refused, match='cannot be shared up to there: message with id "m"'):
            await share(server, known, "m")
    empty, _ = await talk(server, "fail agent", person="ada")
    assert empty == ""


async def test_rill_10_only_the_owner_shares(server: Running) -> None:
    known, _ = await talk(server, "one", person="ada")
    await share(server, known, None)
    with pytest.raises(NotAllowed, match="does not allow this: action not allowed"):
        await share(server, known, "", "bob")


async def test_rill_10_a_session_is_shared_up_to_its_newest_answer(server: Running, history: Path) -> None:
    async with chatting(history, profile(server, "ada")) as t:
        session = await t.chat.open("work")
        await t.say(session, "one")
        await t.say(session, "two")
        known = await t.chat.conversations.share(session)
        assert [turn.prompt for turn in await recall(server, known, "bob")] == ["one", "two"]
        await t.chat.conversations.share(session, 1)
        assert [turn.prompt for turn in await recall(server, known, "bob")] == ["one"]
        await t.chat.conversations.unshare(session)
        with pytest.raises(NotAllowed):
            await recall(server, known, "bob")


async def test_rill_11_what_is_said_after_sharing_only_its_owner_sees(server: Running) -> None:
    known, _ = await talk(server, "one", person="ada")
    await share(server, known, None)
    await ask(server, "two", "ada", conversation_id=known)
    assert [turn.prompt for turn in await recall(server, known, "bob")] == ["one"]
    assert [turn.prompt for turn in await recall(server, known, "ada")] == ["one", "two"]
    await share(server, known, None)
    assert len(await recall(server, known, "bob")) == 2


async def test_rill_12_a_reader_sees_up_to_the_border_and_that_it_is_not_theirs(server: Running) -> None:
    known, (one, _) = await talk(server, "one", "two", person="ada")
    await share(server, known, one.items[-1].key)
    (turn,) = await recall(server, known, "bob")
    assert turn.items == one.items
    seen, own = await look_up(server, known, "bob"), await look_up(server, known, "ada")
    assert (seen.id, seen.title, seen.is_own, seen.is_shared) == (known, "one", False, True)
    assert (own.is_own, own.is_shared) == (True, False)
    assert (await look_up(server, known)).is_own is False, "in local mode everyone sees all, and owns what has no owner"
    assert await listed(server, "bob") == []


# Forking


async def test_rill_13_a_fork_has_an_id_of_its_own_and_new_keys(server: Running) -> None:
    known, (one, _) = await talk(server, "tool, please", "two", person="ada")
    await share(server, known, one.items[-1].key)
    forked = await fork(server, known)
    assert forked not in ("", known)
    assert (await look_up(server, forked, "bob")).title == "tool, please (forked)"
    (copy,) = await recall(server, forked, "bob")
    assert [(item.kind, item.text) for item in copy.items] == [(item.kind, item.text) for item in one.items]
    assert not {item.key for item in copy.items} & {item.key for item in one.items}
    assert copy.items[1].call_id == copy.items[0].key
    told = await ask(server, "three", "bob", conversation_id=forked)
    assert told.turn.text == answer_to("three", 2)
    with pytest.raises(Refused, match="cannot be shared up to there"):
        await share(server, forked, one.items[-1].key, "bob")
    await share(server, forked, copy.items[-1].key, "bob")
    assert [turn.prompt for turn in await recall(server, known, "ada")] == ["tool, please", "two"]


async def test_rill_13_a_forked_session_goes_on_in_the_fork(server: Running, history: Path) -> None:
    async with chatting(history, profile(server, "ada")) as t:
        session = await t.chat.open("work")
        await t.say(session, "one")
        made = await t.chat.conversations.fork(session, "other")
        assert made.note == ""
        turn = await t.say(made.session, "two")
        assert turn.text == answer_to("two", 2)
        assert (await t.say(session, "three")).text == answer_to("three", 2)
        first = (await t.chat.turns(session.id))[0]
        assert turn.conversation_id not in ("", first.conversation_id)


async def test_rill_14_a_fork_of_nothing_is_empty_and_one_that_fails_changes_nothing(server: Running) -> None:
    known, _ = await talk(server, "one", person="ada")
    service_of(server).conversations[known].messages.clear()
    empty = await fork(server, known, "ada")
    assert await recall(server, empty, "ada") == []
    with pytest.raises(NotAllowed, match="does not allow this: action not allowed"):
        await fork(server, known)
    server.call(server.service.forget)
    with pytest.raises(Stale):
        await fork(server, known, "ada")
    assert await listed(server, "bob") == []


@pytest.mark.fault("L17")
@pytest.mark.parametrize("why", ["the conversation is gone", "access is refused", "the key is gone"])
async def test_rill_14_a_fork_that_fails_leaves_the_session_as_it_was(
    server: Running, history: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """The copy is there to be gone on with, and says why it has no conversation of its own."""
    async with chatting(history, profile(server, "ada")) as t:
        session = await t.chat.open("work")
        turn = await t.say(session, "one")
        conversations = service_of(server).conversations
        kept = conversations[turn.conversation_id]
        with monkeypatch.context() as patch:
            match why:
                case "the conversation is gone":
                    server.call(server.service.forget)
                case "access is refused":
                    conversations[turn.conversation_id] = replace(kept, owner="bob")
                case _:
                    patch.delenv("TOKEN_OF_ADA")
            asked = len(server.service.asked)
            made = await t.chat.conversations.fork(session, "other")
            assert len(server.service.asked) == asked + (why != "the key is gone")
        assert made.note.startswith("The server did not fork its conversation: ")
        assert "TOKEN_OF_ADA is not set" in made.note or why != "the key is gone"
        assert made.session in [change.session for change in t.changes if isinstance(change, SessionChanged)]
        conversations[turn.conversation_id] = kept
        assert (await t.say(session, "two")).text == answer_to("two", 2)
        assert [turn.prompt for turn in await t.chat.turns(made.session.id)] == ["one"]
        gone_on = await t.say(made.session, "three")
        assert gone_on.status is DONE
        assert gone_on.conversation_id not in ("", turn.conversation_id)


async def test_rill_18_what_the_first_owner_could_see_the_next_one_may_not(server: Running) -> None:
    known, _ = await talk(server, "tool", person="ada")
    await share(server, known, None)
    forked = await fork(server, known)
    told = await ask(server, "tool", "bob", conversation_id=forked, is_forked=True)
    assert told.turn.status is DONE
    assert (told.turn.items[1].state, told.turn.items[1].text) == (ItemState.FAILED, "action not allowed")
    assert told.turn.notes == (FORK_NOTE,)
    denied = await ask(server, "hello", "guest", conversation_id=forked, is_forked=True)
    assert denied.words.endswith(FORK_HINT)


# Adopting, and the command


async def test_a_conversation_is_adopted_with_what_was_said_in_it(server: Running, history: Path) -> None:
    known, turns = await talk(server, "tool", "two")
    async with chatting(history, profile(server)) as t:
        session = await t.chat.conversations.adopt("found", known, t.profile)
        kept = await t.chat.turns(session.id)
        assert [(turn.prompt, turn.items, turn.status) for turn in kept] == [
            (turn.prompt, turn.items, turn.status) for turn in turns
        ]
        assert (await t.say(session, "three")).text == answer_to("three", 3)


def test_the_command_speaks_to_it(server: Running, write_config: Any) -> None:
    write_config(rill.profile_text(server.url))
    assert palaver("ask", "-s", "work", "one").stdout == f"{answer_to('one')}\n"
    assert palaver("ask", "-s", "work", "two").stdout == f"{answer_to('two', 2)}\n"
    failed = palaver("ask", "-s", "work", "fail first")
    assert (failed.returncode, failed.stdout) == (6, "")
