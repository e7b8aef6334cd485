"""What the log says of an answer that was odd and yet went well: numbers alone."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.client.fault_server import events
from tests.client.turns import Bytes, Told, over, take
from tests.fake_server import CHAT_PROFILE, PROFILE, completed, delta
from tui.config import Profile
from tui.model import TurnStatus

SECRET = "a word of the server's"


async def told(*values: Any, profile: Profile = PROFILE) -> Told:
    return await take(over(Bytes([events(*values)])), profile)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "tui.client.tally"]


ODD = "an answer of {} events: {} after its end, {} without effect, {} unreadable; {} items begun by a piece, {} unlike"


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        pytest.param([delta("fine"), completed("fine")], (2, 0, 0, 0, 1, 0), id="nothing odd"),
        pytest.param(
            [{"type": f"response.{SECRET}"}, {"type": SECRET}, delta("fine"), completed("fine")],
            (4, 0, 2, 0, 1, 0),
            id="unknown kinds",
        ),
        pytest.param(
            [delta("fin"), delta("ee"), completed("fine")],
            (3, 0, 0, 0, 1, 1),
            id="another text in the end",
        ),
        pytest.param([delta("fine"), f"{{{SECRET}", completed("fine")], (2, 0, 0, 1, 1, 0), id="unreadable"),
    ],
)
@pytest.mark.fault("N51", "N53")
async def test_what_was_odd_is_counted(
    values: list[Any], counts: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "tui")
    one = await told(*values)
    assert (one.turn.status, one.turn.text) == (TurnStatus.DONE, "fine")
    assert lines(caplog) == [f"{ODD.format(*counts)} their pieces"]


@pytest.mark.fault("N46")
async def test_what_comes_after_the_end_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tui")
    first = {"choices": [{"delta": {"content": "fine"}}]}
    end = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    again = {"choices": [{"delta": {"content": SECRET}}]}
    one = await told(first, end, again, again, "[DONE]", profile=CHAT_PROFILE)
    assert (one.turn.status, one.turn.text) == (TurnStatus.DONE, "fine")
    assert lines(caplog) == [f"{ODD.format(4, 2, 3, 0, 1, 0)} their pieces"]


async def test_nothing_is_counted_where_nobody_wants_to_know(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tui")
    await told(delta("fin"), completed("fine"))
    assert lines(caplog) == []
