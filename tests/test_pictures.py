"""Pictures from the prompt that names them to the server that is shown them: once, again, later, and not everywhere."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chatting import Talk, answer_well, talk
from tests.fake_server import PROFILE
from tui.attachments import Attachment, with_attachments
from tui.errors import UsageError
from tui.model import Session, Turn, TurnStatus
from tui.pictures import Picture, picture_of

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PICTURE = Picture("image/png", DOT)
URL = f"data:image/png;base64,{base64.b64encode(DOT).decode()}"
SEE = with_attachments("see @dot.png", [Attachment("dot.png", picture=PICTURE.key, size="70 bytes")])
SHOWN = {
    "role": "user",
    "content": [{"type": "input_text", "text": SEE}, {"type": "input_image", "image_url": URL}],
}
BLIND = replace(PROFILE, name="blind", protocol="genie")


def test_a_picture_is_what_its_first_bytes_say() -> None:
    assert picture_of(DOT) == PICTURE
    assert (PICTURE.key, PICTURE.url) == ("6b7fa434f92a8b80", URL)
    assert [picture_of(data) for data in (b"", b"PNG", b"RIFF1234WAVE", b"BM....", DOT[1:])] == [None] * 5


async def kept(t: Talk) -> Session:
    await t.chat.keep_picture(PICTURE)
    return await t.chat.open("work")


async def told(t: Talk, session: Session, prompt: str, response_id: str) -> list[Any]:
    """What the server is told by a prompt that it answers."""
    t.chat.send(session, prompt)
    exchange = await t.server.request()
    answer_well(exchange, "A dot.", response_id)
    await t.chat.settled(session.id)
    said: list[Any] = exchange.json["input"]
    return said


async def test_a_picture_is_shown_with_its_prompt_and_not_again_while_the_server_knows_it(history: Path) -> None:
    async with talk(history) as t:
        session = await kept(t)
        assert await told(t, session, SEE, "resp_1") == [SHOWN]
        assert await told(t, session, "and now?", "resp_2") == [{"role": "user", "content": "and now?"}]


async def test_a_server_that_forgot_is_shown_it_again_also_by_another_start(history: Path) -> None:
    async with talk(history) as t:
        await told(t, await kept(t), SEE, "resp_1")
    async with talk(history) as t:
        session = await t.chat.open("work")
        t.chat.send(session, "and now?")
        error = {"code": "previous_response_not_found", "message": "Previous response with id 'resp_1' not found."}
        (await t.server.request()).answer(404, {"error": error | {"param": "previous_response_id"}})
        again = await t.server.request()
        answer_well(again, "Still a dot.", "resp_2")
        turn = await t.chat.settled(session.id)
        assert turn is not None
        assert turn.status is TurnStatus.DONE
        assert again.json["input"][0] == SHOWN


async def test_one_that_waits_in_the_queue_is_shown_when_its_turn_comes(history: Path) -> None:
    async with talk(history) as t:
        session = await kept(t)
        t.chat.follow()
        t.chat.send(session, "first")
        first = await t.server.request()
        assert await t.chat.enqueue(session, SEE)
        answer_well(first, "one", "resp_1")
        second = await t.server.request()
        assert second.json["input"] == [SHOWN]
        answer_well(second, "two", "resp_2")
        await t.chat.settled(session.id)


async def test_a_protocol_that_takes_none_is_never_asked(history: Path) -> None:
    async with talk(history, PROFILE, BLIND) as t:
        session = await kept(t)
        with pytest.raises(UsageError, match="The genie protocol takes no pictures"):
            t.chat.send(session, SEE, profile=BLIND)
        blind = await t.chat.open("blind", profile="blind")
        with pytest.raises(UsageError, match="takes no pictures"):
            await t.chat.enqueue(blind, SEE)
        assert t.server.seen == []
        assert await t.chat.turns(session.id) == []


async def test_one_that_is_not_there_is_told_and_the_prompt_is_sent_without_it(history: Path) -> None:
    """Whoever quotes what names a picture can say so, too."""
    async with talk(history) as t:
        session = await t.chat.open("work")
        assert await told(t, session, SEE, "resp_1") == [{"role": "user", "content": SEE}]
        (turn,) = await t.chat.turns(session.id)
        assert turn.status is TurnStatus.DONE
        assert turn.notes == ("A picture that the prompt names is not here; it was not shown.",)


async def test_one_that_was_said_before_and_is_not_there_leaves_its_name(history: Path) -> None:
    """A thread that came from elsewhere names pictures that never came with it."""
    async with talk(history) as t:
        session = await t.chat.open("work")
        turn = Turn("t0", session.id, 0, SEE, TurnStatus.DONE, created_at=1.0, ended_at=2.0)
        await t.store.take_in(session, [turn], "elsewhere", on_top=True)
        said = await told(t, await t.chat.open("work"), "and now?", "resp_1")
        assert said[0] == {"role": "user", "content": SEE}
