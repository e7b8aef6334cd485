"""A prompt changed or asked again: what the server is told then, and what is kept."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.chatting import Talk, answer_well, talk
from tests.fake_server import CHAT_PROFILE, completed, delta
from tests.store.other import Other
from tui.chat import SessionChanged
from tui.errors import UsageError
from tui.model import Session, Turn, TurnStatus


async def three(t: Talk) -> tuple[Session, list[Turn]]:
    session = await t.chat.open("work")
    said = [await t.answered(session, word, f"re {word}", f"resp_{word}") for word in ("one", "two", "three")]
    return session, said


async def test_the_servers_id_is_kept_where_it_names_the_point(history: Path) -> None:
    async with talk(history) as t:
        session, _ = await three(t)
        turn = await t.answered(session, "zwei", "ja", "resp_zwei", at=1)
        assert (turn.depth, turn.notes) == (1, ())
        sent = t.server.seen[-1].json
        assert sent["previous_response_id"] == "resp_one"
        assert sent["input"] == [{"role": "user", "content": "zwei"}]
        again = await t.answered(session, "drei", "ja", "resp_drei")
        assert t.server.seen[-1].json["previous_response_id"] == "resp_zwei"
        assert again.depth == 2
        assert [one.prompt for one in await t.chat.turns(session.id)] == ["one", "zwei", "drei"]


async def test_the_first_prompt_is_asked_anew(history: Path) -> None:
    async with talk(history) as t:
        session, _ = await three(t)
        turn = await t.answered(session, "uno", "ja", "resp_uno", at=0)
        sent = t.server.seen[-1].json
        assert "previous_response_id" not in sent
        assert sent["input"] == [{"role": "user", "content": "uno"}]
        assert (turn.depth, turn.notes) == (0, ())


async def test_a_server_that_is_told_everything_is_told_this_branch_only(history: Path) -> None:
    async with talk(history, CHAT_PROFILE) as t:
        session = await t.chat.open("work")
        for word, at in (("one", None), ("two", None), ("zwei", 1)):
            t.chat.send(session, word, at=at)
            exchange = (await t.server.request()).respond()
            exchange.event({"choices": [{"delta": {"content": "yes"}, "finish_reason": "stop"}]}).end()
            await t.chat.settled(session.id)
        said = [message["content"] for message in t.server.seen[-1].json["messages"]]
        assert said == ["one", "yes", "zwei"]


async def test_going_back_to_a_branch_goes_on_with_its_conversation(history: Path) -> None:
    async with talk(history) as t:
        session, said = await three(t)
        new = await t.answered(session, "zwei", "ja", "resp_zwei", at=1)
        assert (await t.chat.variants(session.id))[1].turn_ids == (said[1].id, new.id)
        chosen = await t.chat.choose(session.id, said[1].id)
        assert t.sessions[-1] == chosen
        assert [one.prompt for one in await t.chat.turns(session.id)] == ["one", "two", "three"]
        await t.answered(session, "four", "yes", "resp_four")
        assert t.server.seen[-1].json["previous_response_id"] == "resp_three"


async def test_a_session_that_answers_stays_on_its_branch(history: Path) -> None:
    async with talk(history) as t:
        session, said = await three(t)
        await t.answered(session, "zwei", "ja", "resp_zwei", at=1)
        t.chat.send(session, "drei")
        exchange = await t.server.request()
        with pytest.raises(UsageError, match="still answering"):
            await t.chat.choose(session.id, said[1].id)
        with pytest.raises(UsageError, match="still answering"):
            t.chat.send(session, "uno", at=0)
        answer_well(exchange, "ja", "resp_drei")
        await t.chat.settled(session.id)


async def test_what_a_prompt_takes_the_place_of_is_gone_from_its_session_at_once(history: Path) -> None:
    async with talk(history) as t:
        session, _ = await three(t)
        reading = asyncio.create_task(t.chat.turns(session.id))
        await asyncio.sleep(0)
        t.chat.send(session, "zwei", at=1)
        expected = ["one", "zwei"]
        assert [one.prompt for one in await reading] == expected
        count = asyncio.create_task(t.chat.count(session.id))
        assert [one.prompt for one in await t.chat.turns(session.id)] == expected
        assert await count == 2
        exchange = await t.server.request()
        assert [one.prompt for one in await t.chat.turns(session.id)] == expected
        answer_well(exchange, "ja", "resp_zwei")
        await t.chat.settled(session.id)
        assert [one.prompt for one in await t.chat.turns(session.id)] == expected
        assert await t.chat.count(session.id) == 2


async def test_what_is_kept_before_a_place_is_shown_as_it_ended_though_it_is_not_saved_yet(history: Path) -> None:
    async with talk(history) as t:
        session, _ = await three(t)
        t.chat.send(session, "four")
        (await t.server.request()).respond().event(delta("half"))
        await t.until(lambda: t.turns[-1].text == "half")
        with closing(sqlite3.connect(history, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            t.chat.cancel(session.id)
            await t.until(lambda: not t.chat.running())
            t.chat.send(session, "five", at=4)
            *_, ended, begun = await t.chat.turns(session.id)
            assert (ended.prompt, ended.status) == ("four", TurnStatus.CANCELLED)
            assert begun.prompt == "five"
        answer_well(await t.server.request(), "ja", "resp_five")
        await t.chat.settled(session.id)


async def test_other_windows_are_told_of_a_branch(history: Path) -> None:
    async with talk(history) as t, talk(history) as other:
        session, _ = await three(t)
        before = await t.store.session(session.id)
        await other.follow()
        await t.answered(session, "zwei", "ja", "resp_zwei", at=1)
        assert before is not None
        await other.until(
            lambda: any(
                isinstance(change, SessionChanged) and change.session.branch not in ("", before.branch)
                for change in other.changes
            )
        )


async def test_an_answer_asked_again_while_it_is_being_saved_is_on_its_own_branch_at_once(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "one")
        exchange = (await t.server.request()).respond().event(delta("hi"))
        await t.until(lambda: t.turns[-1].text == "hi")
        with Other(history) as other:
            other.do("take_lock")
            exchange.event(delta(" you"))
            await t.until(lambda: t.turns[-1].text == "hi you" and t.store._writing.locked())
            exchange.event(completed("hi you", "resp_1")).end()
            await t.until(lambda: not t.chat.running())
            t.chat.send(session, "one again", at=0)
            await t.until(lambda: [one.turn.prompt for one in t.chat._of(session.id)] == ["one", "one again"])
            other.do("free_lock")
        while not t.server.seen[1:]:
            assert [one.prompt for one in await t.chat.turns(session.id)] in (["one"], ["one again"])
            assert await t.chat.count(session.id) == 1
        answer_well(await t.server.request(), "ja", "resp_2")
        await t.chat.settled(session.id)
        assert [one.prompt for one in await t.chat.turns(session.id)] == ["one again"]


async def test_a_fork_is_of_what_was_looked_at_though_another_window_goes_on_from_an_earlier_turn(
    history: Path,
) -> None:
    async with talk(history) as here, talk(history) as there:
        session, _ = await three(here)
        async with here.store._writing:
            forking = asyncio.create_task(here.chat.conversations.fork(session, "copy"))
            await asyncio.sleep(0.1)
            there.chat.send(session, "zwei", at=1)
            exchange = await there.server.request()
        forked = (await forking).session
        answer_well(exchange, "ja", "resp_zwei")
        await there.chat.settled(session.id)
        await there.answered(session, "drei", "ja", "resp_drei")
        assert [one.prompt for one in await here.chat.turns(forked.id)] == ["one", "two", "three"]
        await here.answered(forked, "four", "yes", "resp_four")
        assert here.server.seen[-1].json["previous_response_id"] == "resp_three"
