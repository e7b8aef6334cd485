"""What is told of a session's conversations: every retry, stop, stale id and error, with its time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.chatting import answer_well, talk
from tests.fake_server import PROFILE, completed, delta
from tui.account import Account, Event, account_lines, account_object
from tui.figures import Figures
from tui.model import AttemptKind, Mapping, MappingState, Session
from tui.objects import iso
from tui.resending import Resending, Said

UNKNOWN = {"error": {"message": "Previous response with id 'resp_1' not found.", "code": "previous_response_not_found"}}


async def test_everything_but_a_plain_answer_is_told(history: Path) -> None:
    async with talk(history) as t:
        session = await t.chat.open("work")
        assert account_lines(await t.chat.conversations.account(session)) == [
            "No server keeps a conversation for this session.", "", "Nothing was asked yet.",
        ]  # fmt: skip
        await t.answered(session, "one", "first", "resp_1")
        await t.answered(session, "two", "second", "resp_2")
        t.chat.send(session, "three")
        (await t.server.request()).answer(429, {"error": {"message": "slow down"}})
        answer_well(await t.server.request(), "third", "resp_3")
        await t.chat.settled(session.id)
        t.chat.send(session, "four")
        (await t.server.request()).answer(400, UNKNOWN)
        answer_well(await t.server.request(), "fourth", "resp_4")
        await t.chat.settled(session.id)
        t.chat.send(session, "five")
        (await t.server.request()).respond().event(delta("half"))
        await t.until(lambda: t.turns[-1].text == "half")
        t.chat.cancel(session.id)
        await t.chat.settled(session.id)
        account = await t.chat.conversations.account(session)
        told = [(event.turn, event.kind, event.sent_id, event.received_id) for event in account.events]
        assert told == [
            (1, AttemptKind.FIRST, "", "resp_1"),
            (3, AttemptKind.FIRST, "resp_2", ""),
            (3, AttemptKind.RETRY, "resp_2", "resp_3"),
            (4, AttemptKind.FIRST, "resp_3", ""),
            (4, AttemptKind.FRESH, "", "resp_4"),
            (5, AttemptKind.FIRST, "resp_4", ""),
        ]
        outcomes = [event.outcome for event in account.events]
        assert outcomes[0] == outcomes[2] == outcomes[4] == "done"
        assert outcomes[3].startswith("stale: ")
        assert outcomes[5] == "cancelled"
        assert "slow down" in outcomes[1]
        assert all(event.started_at > 0 and event.ended_at for event in account.events)
        assert [mapping.conversation_id for mapping in account.mappings] == ["resp_4"]


def test_times_ids_and_foreign_text_in_lines() -> None:
    mapping = Mapping("s", "https://h:443", "responses", "env:KEY", "id\x1b[2J", 2, 1_800_000_000.0, 1_800_000_060.0)
    event = Event(3, AttemptKind.FRESH, 1_800_000_061.0, sent_id="", received_id="x\n", outcome="")
    account = Account(Session("s", "work"), (mapping,), (event,), 86400.0)
    assert account_lines(account) == [
        "https://h:443 · responses · live",
        "  id         id␛[2J",
        "  key from   env:KEY",
        "  issued     2027-01-15 08:00:00",
        "  last used  2027-01-15 08:01:00",
        "  expires    2027-01-16 08:01:00",
        "  knows      the session up to turn 3",
        "",
        "2027-01-15 08:01:01 turn 3: asked afresh without an id: is being answered",
        "  received   x",
    ]
    gone = replace(mapping, state=MappingState.DETACHED)
    assert account.expires_at(gone) is None


def test_numbers_and_what_goes_along_are_told() -> None:
    figures = ((7, Figures(1204, 356, 0.84, 41.2, 13_000)), (8, Figures()))
    account = Account(Session("s", "work"), (), (), 1.0, figures, Resending(Said(14, 20_800), is_new=True))
    assert account_lines(account) == [
        "No server keeps a conversation for this session.",
        "",
        "With the next prompt: New conversation: 14 messages (≈ 5,200 tokens) are sent along",
        "",
        "Every request was answered.",
        "",
        "turn 7: 1,204 in · 356 out · first word 0.8 s · 41 tokens/s · 12 % of 13k",
    ]
    made = account_object(account, iso)
    assert made["next"] == {"new_conversation": True, "messages": 14, "estimated_tokens": 5200}
    context = {"used": 1560, "window": 13_000, "share": 0.12}
    unknown = dict.fromkeys(("input_tokens", "output_tokens", "first_text", "tokens_per_second", "context"))
    assert made["turns"] == [
        {"turn": 7, "input_tokens": 1204, "output_tokens": 356, "first_text": 0.84, "tokens_per_second": 41.2,
         "context": context},
        {"turn": 8} | unknown,
    ]  # fmt: skip


async def test_numbers_are_those_of_the_newest_turns(history: Path) -> None:
    async with talk(history, replace(PROFILE, context_window=1000)) as t:
        session = await t.chat.open("work")
        for number in range(3):
            t.chat.send(session, f"p{number}")
            usage = {"input_tokens": 100 * number, "output_tokens": 10}
            (await t.server.request()).respond().event(delta("hi")).event(completed("hi", usage=usage)).end()
            await t.chat.settled(session.id)
        account = await t.chat.conversations.account(session, 2)
        told = [(turn, one.input_tokens, one.share) for turn, one in account.figures]
        assert told == [(2, 100, 0.11), (3, 200, 0.21)]
        assert all(one.first_text is not None and one.first_text >= 0 for _, one in account.figures)
