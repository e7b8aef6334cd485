"""Two processes whose server has forgotten the same conversation at the same moment."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chatting import answer_well, talk
from tests.fake_server import Exchange
from tests.store.histories import is_whole, rows
from tests.store.other import Other
from tui.model import TurnStatus

STALE = {"error": {"message": "Previous response with id 'resp_1' not found.", "code": "previous_response_not_found"}}


@pytest.mark.fault("S10")
async def test_one_of_the_new_conversations_is_kept_and_both_answers(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.store.access.BEGIN_PATIENCE", 0.05)
    monkeypatch.setattr("tui.store.access.PATIENCE", 0.1)
    monkeypatch.setattr("tui.store.access.CLOSE_PATIENCE", 0.05)
    async with talk(history) as one, talk(history) as two:
        session = await one.chat.open("work")
        await one.answered(session, "first", "answer", "resp_1")
        with ExitStack() as stack:
            # While neither can write, neither knows that the other one is answering.
            other = stack.enter_context(Other(history))
            other.do("take_lock")
            fresh: list[Exchange] = []
            for here, prompt in ((one, "second"), (two, "third")):
                here.chat.send(session, prompt)
            for here in (one, two):
                exchange = await here.server.request()
                assert exchange.json["previous_response_id"] == "resp_1"
                exchange.answer(404, STALE)
                fresh.append(await here.server.request())
            for number, exchange in enumerate(fresh, 2):
                assert "previous_response_id" not in exchange.json
                answer_well(exchange, f"answer {number}", f"resp_{number}")
            for here in (one, two):
                await here.until(lambda here=here: here.turns and here.turns[-1].status is TurnStatus.DONE)
                await here.chat.settled(session.id)
            other.do("free_lock")
        for here in (one, two):
            await here.store._heal()
            assert here.chat.health.message == ""
    texts = rows(
        history, "SELECT t.depth, i.text FROM turns t JOIN items i ON i.turn_id = t.id AND i.position = 1 ORDER BY 1"
    )
    assert sorted(text for _, text in texts) == ["answer", "answer 2", "answer 3"]
    assert [depth for depth, _ in texts] == [0, 1, 2]
    ids = {row[0] for row in rows(history, "SELECT received_id FROM attempts WHERE kind = 'fresh'")}
    assert ids == {"resp_2", "resp_3"}
    ((kept,),) = rows(history, "SELECT conversation_id FROM conversations")
    assert kept in ids
    assert is_whole(history)
