"""Sessions of Palaver's as the memory of agents: what a script says and is told, and what people see of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.driving import window
from tests.chatting import talk
from tests.loopback import palaver
from tests.store.histories import change, found, is_whole, rows
from tui.agents import PalaverSession
from tui.errors import SessionBusy, StoreError, UsageError
from tui.model import ItemKind, TurnStatus
from tui.store.sql.agent_items import NOTHING_ASKED

ASKED = {"role": "user", "content": "What is the weather?"}
CALLED = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Bern"}', "id": "fc_1"}
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
SAID = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": None,
    "content": [{"type": "output_text", "text": "It **rains**.", "annotations": []}],
}
EXCHANGE = [ASKED, CALLED, RESULT, SAID]


def session(history: Path, label: str = "agent", **settings: Any) -> PalaverSession:
    return PalaverSession(label, history=history, **settings)


async def test_items_come_back_exactly(history: Path) -> None:
    odd = {"role": "user", "content": "\x00 \ud800 日本 \u2028", "n": 1.0, "deep": [None, {"": True}]}
    s = session(history)
    assert await s.get_items() == []
    await s.add_items([])
    assert rows(history, "SELECT count(*) FROM sessions") == [(0,)]
    await s.add_items(EXCHANGE)
    await s.add_items([odd])
    items = await session(history).get_items()
    assert json.dumps(items) == json.dumps([*EXCHANGE, odd])
    assert is_whole(history)


@pytest.mark.parametrize(("limit", "expected"), [(None, 4), (1, 1), (3, 3), (4, 4), (9, 4), (0, 0), (-1, 4)])
async def test_a_limit_gives_the_newest_in_their_order(history: Path, limit: int | None, expected: int) -> None:
    s = session(history)
    await s.add_items(EXCHANGE)
    assert await s.get_items(limit) == EXCHANGE[4 - expected :]


async def test_the_settings_limit_holds_where_none_is_given(history: Path) -> None:
    class Settings:
        limit = 2

    s = session(history, session_settings=Settings())
    await s.add_items(EXCHANGE)
    assert await s.get_items() == EXCHANGE[2:]
    assert await s.get_items(3) == EXCHANGE[1:]


async def test_a_limit_reaches_over_many_turns(history: Path) -> None:
    said = [{"role": role, "content": f"{role} {number}"} for number in range(150) for role in ("user", "assistant")]
    s = session(history)
    await s.add_items(said)
    assert await s.get_items(201) == said[-201:]
    assert rows(history, "SELECT turns FROM sessions") == [(150,)]


async def test_the_newest_that_can_be_read_is_looked_for_over_many_turns(history: Path) -> None:
    said = [{"role": role, "content": f"{role} {number}"} for number in range(150) for role in ("user", "assistant")]
    s = session(history)
    await s.add_items(said)
    change(history, "UPDATE items SET original = '{' WHERE turn_id IN (SELECT id FROM turns WHERE depth >= 9)")
    assert await s.get_items(3) == said[15:18]
    assert await s.pop_item() == said[17]
    assert await s.get_items() == said[:17]
    change(history, "UPDATE items SET original = '{'")
    assert await s.get_items(3) == []
    assert await s.pop_item() is None


async def test_what_cannot_be_read_any_more_does_not_count(history: Path) -> None:
    s = session(history)
    await s.add_items([*EXCHANGE, {"role": "user", "content": "and?"}, {"role": "assistant", "content": "So."}])
    change(history, "UPDATE items SET original = '{' WHERE text IN ('rain', 'So.')")
    assert await s.get_items(3) == [CALLED, SAID, {"role": "user", "content": "and?"}]
    assert await s.pop_item() == {"role": "user", "content": "and?"}
    assert await s.get_items() == [ASKED, CALLED, SAID]
    assert is_whole(history)


async def test_people_read_turns(history: Path) -> None:
    s = session(history)
    await s.add_items([ASKED])
    async with talk(history) as t:
        known = await t.chat.find("agent")
        assert known is not None
        (turn,) = await t.chat.turns(known.id)
        assert (turn.prompt, turn.status, turn.items) == ("What is the weather?", TurnStatus.INTERRUPTED, ())
    await s.add_items(EXCHANGE[1:])
    async with talk(history) as t:
        known = await t.chat.find("agent")
        assert known is not None
        assert (known.title, known.turns, known.unread) == ("What is the weather?", 1, True)
        (turn,) = await t.chat.turns(known.id)
        assert turn.status is TurnStatus.DONE
        assert [(item.kind, item.name, item.text, item.call_id) for item in turn.items] == [
            (ItemKind.TOOL_CALL, "weather", '{"city":"Bern"}', "call_1"),
            (ItemKind.TOOL_RESULT, "", "rain", "call_1"),
            (ItemKind.MESSAGE, "", "It **rains**.", ""),
        ]
    assert found(history, "rains") == ["It **rains**."]


@pytest.mark.parametrize(
    ("item", "kind", "name", "text"),
    [
        ({"role": "developer", "content": "Be brief."}, ItemKind.NOTICE, "developer", "Be brief."),
        ({"type": "reasoning", "summary": [{"text": "Hm."}]}, ItemKind.REASONING, "", "Hm."),
        ({"type": "reasoning", "encrypted_content": "x"}, ItemKind.REASONING, "", ""),
        ({"type": "web_search_call", "action": {"query": "q"}}, ItemKind.TOOL_CALL, "web search", '{"query": "q"}'),
        (
            {"type": "item_reference", "id": "a"},
            ItemKind.NOTICE,
            "item reference",
            '{"type": "item_reference", "id": "a"}',
        ),
        ({"id": "a"}, ItemKind.NOTICE, "", '{"id": "a"}'),
        ("text", ItemKind.NOTICE, "", "text"),
        ({"role": "assistant", "content": []}, ItemKind.MESSAGE, "", ""),
    ],
)
async def test_other_items_are_kept_and_shown(history: Path, item: Any, kind: ItemKind, name: str, text: str) -> None:
    s = session(history)
    await s.add_items([item])
    assert await s.get_items() == [item]
    async with talk(history) as t:
        known = await t.chat.find("agent")
        assert known is not None
        (turn,) = await t.chat.turns(known.id)
        assert turn.prompt == NOTHING_ASKED
        assert [(one.kind, one.name, one.text) for one in turn.items] == [(kind, name, text)]
    assert await s.pop_item() == item
    assert await s.get_items() == []
    assert rows(history, "SELECT count(*) FROM turns") == [(0,)]


async def test_one_item_may_be_two_things_to_people(history: Path) -> None:
    shell = {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}, "output": "README"}
    s = session(history)
    await s.add_items([ASKED, shell, SAID])
    assert await s.get_items() == [ASKED, shell, SAID]
    assert await s.pop_item() == SAID
    assert await s.pop_item() == shell
    assert rows(history, "SELECT kind FROM items") == [("prompt",)]
    assert is_whole(history)


async def test_questions_asked_at_once_are_one_prompt(history: Path) -> None:
    s = session(history)
    first, second = (
        {"role": "user", "content": "one"},
        {"role": "user", "content": [{"text": "two", "type": "input_text"}]},
    )
    await s.add_items([first])
    await s.add_items([second, SAID])
    assert await s.get_items() == [first, second, SAID]
    async with talk(history) as t:
        known = await t.chat.find("agent")
        assert known is not None
        assert [turn.prompt for turn in await t.chat.turns(known.id)] == ["one\n\ntwo"]
    assert [await s.pop_item() for _ in range(4)] == [SAID, second, first, None]


async def test_what_is_said_in_the_window_is_told_to_the_script(history: Path) -> None:
    s = session(history)
    await s.add_items([ASKED, SAID])
    async with talk(history) as t:
        known = await t.chat.find("agent")
        assert known is not None
        t.chat.send(known, "And tomorrow?")
        exchange = await t.server.request()
        assert [one["content"] for one in exchange.json["input"]] == [
            "What is the weather?", "It **rains**.", "And tomorrow?",
        ]  # fmt: skip
        exchange.answer(401, {"error": {"message": "no"}}).end()
        await t.chat.settled(known.id)
        assert await s.get_items() == [ASKED, SAID]
        known = await t.chat.find("agent")
        assert known is not None
        await t.answered(known, "And then?", "Sun.", "resp_1")
    window_said = [{"role": "user", "content": "And then?"}, {"role": "assistant", "content": "Sun."}]
    assert await s.get_items() == [ASKED, SAID, *window_said]
    await s.add_items([{"role": "user", "content": "Sure?"}])
    assert (await s.get_items(3)) == [*window_said, {"role": "user", "content": "Sure?"}]


async def test_what_the_window_said_stays_on_a_branch_when_it_is_taken_back(history: Path) -> None:
    s = session(history)
    async with talk(history) as t:
        known = await t.chat.open("agent")
        await t.answered(known, "one", "first", "resp_1")
        assert await s.pop_item() == {"role": "assistant", "content": "first"}
        assert await s.get_items() == [{"role": "user", "content": "one"}]
        await s.add_items([{"role": "assistant", "content": "better"}])
        assert [turn.text for turn in await t.chat.turns(known.id)] == ["better"]
        variants = await t.chat.variants(known.id)
        assert len(variants[0].turn_ids) == 2
        await t.chat.choose(known.id, variants[0].turn_ids[0])
        assert [turn.text for turn in await t.chat.turns(known.id)] == ["first"]
    assert is_whole(history)


async def test_a_fork_is_not_changed_with_what_it_was_made_of(history: Path) -> None:
    s = session(history)
    await s.add_items([ASKED, CALLED, RESULT, SAID])
    async with talk(history) as t:
        known = await t.chat.find("agent")
        assert known is not None
        await t.chat.conversations.fork(known, "other")
        other = session(history, "other")
        assert await s.pop_item() == SAID
        assert await s.pop_item() == RESULT
        assert await s.get_items() == [ASKED, CALLED]
        assert await other.get_items() == EXCHANGE
        assert await other.pop_item() == SAID
        await other.add_items([{"role": "assistant", "content": "Snow."}])
        assert await s.get_items() == [ASKED, CALLED]
        assert await other.get_items() == [ASKED, CALLED, RESULT, {"role": "assistant", "content": "Snow."}]
    assert is_whole(history)


async def test_clearing_begins_again_and_loses_nothing(history: Path) -> None:
    s = session(history)
    await s.clear_session()
    await s.add_items(EXCHANGE)
    await s.clear_session()
    assert await s.get_items() == []
    await s.add_items([{"role": "user", "content": "again"}, SAID])
    assert await s.get_items() == [{"role": "user", "content": "again"}, SAID]
    async with talk(history) as t:
        known = await t.chat.find("agent")
        assert known is not None
        (first, _) = (await t.chat.variants(known.id))[0].turn_ids
        await t.chat.choose(known.id, first)
    assert await s.get_items() == EXCHANGE


async def test_an_answer_that_is_coming_is_not_interleaved(history: Path) -> None:
    s = session(history)
    await s.add_items([ASKED, CALLED])
    async with talk(history) as t:
        known = await t.chat.find("agent")
        assert known is not None
        t.chat.send(known, "meanwhile")
        exchange = await t.server.request()
        # The script's own turn goes on; another one is not begun beside the one that is being answered.
        await s.add_items([RESULT, SAID])
        for work in (s.add_items([ASKED]), s.pop_item(), s.clear_session()):
            with pytest.raises(SessionBusy, match="answering in another window"):
                await work
        exchange.answer(401, {"error": {"message": "no"}}).end()
        await t.chat.settled(known.id)
        assert [turn.prompt for turn in await t.chat.turns(known.id)] == ["What is the weather?", "meanwhile"]
    assert await s.get_items() == EXCHANGE
    await s.add_items([ASKED])
    assert await s.get_items(1) == [ASKED]


async def test_a_renamed_session_is_still_the_scripts(history: Path) -> None:
    s = session(history)
    await s.add_items([ASKED])
    async with talk(history) as t:
        known = await t.chat.find("agent")
        assert known is not None
        await t.chat.rename(known.id, "renamed")
        await s.add_items([SAID])
        assert await session(history, "renamed").get_items() == [ASKED, SAID]
        await t.chat.delete(known.id)
    assert await s.get_items() == []
    await s.add_items([ASKED])
    assert await session(history, "agent").get_items() == [ASKED]


async def test_many_at_once(history: Path) -> None:
    await asyncio.gather(*(session(history).add_items([{"role": "user", "content": str(n)}, SAID]) for n in range(8)))
    items = await session(history).get_items()
    assert sorted(item["content"] for item in items[::2]) == [str(n) for n in range(8)]
    assert items[1::2] == [SAID] * 8
    assert is_whole(history)


async def test_what_is_being_written_is_written_though_no_one_waits_any_more(history: Path) -> None:
    s = session(history)
    await s.get_items()
    task = asyncio.create_task(s.add_items(EXCHANGE))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await s.get_items() == EXCHANGE


async def test_what_is_no_json_is_refused_whole(history: Path) -> None:
    s = session(history)
    with pytest.raises(TypeError):
        await s.add_items([ASKED, {"role": "user", "content": object()}])
    assert await s.get_items() == []


def test_any_loop_may_call(history: Path) -> None:
    s = session(history)
    asyncio.run(s.add_items([ASKED]))
    asyncio.run(s.add_items([SAID]))
    assert asyncio.run(s.get_items()) == [ASKED, SAID]


def test_a_label_that_cannot_be_one_is_refused(history: Path) -> None:
    with pytest.raises(UsageError, match="control character"):
        session(history, "a\nb")


def test_without_a_history_it_says_so(history: Path) -> None:
    history.mkdir(parents=True)
    with pytest.raises(StoreError):
        asyncio.run(session(history).add_items([ASKED]))


async def test_the_window_shows_it_as_it_is_said(history: Path) -> None:
    s = session(history)
    await s.add_items([ASKED])
    async with window(history) as w:
        await w.until(lambda: "No answer yet" in w.said)
        await s.add_items(EXCHANGE[1:])
        await w.until(lambda: "It rains." in w.said)
        assert "No answer yet" not in w.said
        assert await s.pop_item() == SAID
        await w.until(lambda: "It rains." not in w.said)
        await s.add_items([SAID, {"role": "user", "content": "What now?"}])
        await w.until(lambda: "What now?" in w.said)
        assert await s.pop_item() == {"role": "user", "content": "What now?"}
        await w.until(lambda: "What now?" not in w.said)
        await s.clear_session()
        await w.until(lambda: "It rains." not in w.said)


async def test_the_command_line_shows_it(tmp_path: Path) -> None:
    await PalaverSession("agent").add_items(EXCHANGE)
    shown = await asyncio.to_thread(palaver, "sessions", "show", "agent")
    assert "What is the weather?" in shown.stdout
    assert "[tool call weather]" in shown.stdout
    assert shown.stdout.splitlines()[2].endswith(" · agents-sdk · done")
    assert "It **rains**." in shown.stdout
