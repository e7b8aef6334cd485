"""Titles that a model makes: asked for once, outside every conversation, and never in the place of the user's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chatting import Talk, answer_well, talk
from tests.fake_server import PROFILE
from tui.model import Session, TitleSource, Turn
from tui.titles import question, title_in, title_profile
from tui.traits import TRAITS

NAMING = replace(PROFILE, titles="model", system="Be brief.", params={"tools": [{"type": "x"}], "top_p": 1})


async def titled(t: Talk, session: Session) -> tuple[str, TitleSource]:
    kept = await t.chat.session(session.id)
    assert kept is not None
    return kept.title, kept.title_source


async def test_a_model_names_a_session_outside_its_conversation(history: Path) -> None:
    async with talk(history, NAMING) as t:
        t.chat.follow()
        session = await t.chat.open("work")
        await t.answered(session, "How do I rebase?", "With care.", "resp_1")
        exchange = await t.server.request()
        assert exchange.json["store"] is False
        assert {"previous_response_id", "conversation", "tools", "instructions"}.isdisjoint(exchange.json)
        assert exchange.json["top_p"] == 1
        (asked,) = exchange.json["input"]
        assert "How do I rebase?" in asked["content"]
        assert "With care." in asked["content"]
        assert await titled(t, session) == ("How do I rebase?", TitleSource.GENERATED)
        answer_well(exchange, '"Rebasing with care."\n', "resp_t")
        await t.until(lambda: t.sessions[-1].title == "Rebasing with care")
        assert await titled(t, session) == ("Rebasing with care", TitleSource.GENERATED)
        # The conversation goes on from the answer, not from the title; a second turn is not named again.
        turn = await t.answered(session, "And then?", "Push.", "resp_2")
        assert [attempt.sent_id for attempt in turn.attempts] == ["resp_1"]
        assert [turn.prompt for turn in await t.chat.turns(session.id)] == ["How do I rebase?", "And then?"]
        assert len(t.server.seen) == 3


async def test_a_title_the_user_wrote_meanwhile_stays(history: Path) -> None:
    async with talk(history, NAMING) as t:
        t.chat.follow()
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        exchange = await t.server.request()
        await t.chat.set_title(session.id, "Mine")
        answer_well(exchange, "Theirs", "resp_t")
        await t.until(lambda: not t.chat._namer.is_busy)
        assert await titled(t, session) == ("Mine", TitleSource.USER)


async def test_trouble_with_a_title_is_no_trouble(history: Path) -> None:
    async with talk(history, NAMING) as t:
        t.chat.follow()
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        (await t.server.request()).answer(429, {"error": {"message": "slow down"}})
        await t.until(lambda: not t.chat._namer.is_busy)
        assert await titled(t, session) == ("hello", TitleSource.GENERATED)
        assert t.turns[-1].text == "hi"


async def test_leaving_does_not_wait_for_a_title(history: Path) -> None:
    async with talk(history, NAMING) as t:
        t.chat.follow()
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        await t.server.request()
        await t.chat.aclose()
        assert await titled(t, session) == ("hello", TitleSource.GENERATED)


@pytest.mark.parametrize(("titles", "title"), [("text", "hello"), ("off", ""), ("model", "hello")])
async def test_no_one_is_asked_for_a_title(history: Path, titles: str, title: str) -> None:
    """Not where it is not wanted, and not by a command, which ends with its answer."""
    async with talk(history, replace(PROFILE, titles=titles)) as t:
        if titles != "model":
            t.chat.follow()
        session = await t.chat.open("work")
        await t.answered(session, "hello", "hi", "resp_1")
        await t.until(lambda: not t.chat._chores)
        assert (await titled(t, session))[0] == title
        assert len(t.server.seen) == 1


@pytest.mark.parametrize("protocol", sorted(TRAITS))
def test_only_where_no_conversation_is_disturbed(protocol: str) -> None:
    asked = title_profile(replace(PROFILE, protocol=protocol, titles="model", options={"background": True}))
    assert (asked is not None) == (protocol in ("responses", "chat", "anthropic", "ollama"))
    if asked is not None:
        assert not asked.traits.keeps
        assert asked.options == {}


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        ("Rebasing", "Rebasing"),
        ("\n  # “Rebasing safely.”  \nmore", "Rebasing safely"),
        ("**名前**", "名前"),
        ("", ""),
        ("  \n", ""),
        ("x" * 61, ""),
        ("a\x1b[31mb", "a␛[31mb"),
    ],
)
def test_the_title_in_an_answer(answer: str, title: str) -> None:
    assert title_in(answer) == title


def test_long_exchanges_are_cut() -> None:
    assert len(question(Turn("t", "s", 0, "p" * 100_000))) < 3000
