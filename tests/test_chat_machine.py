"""A sample of all that can happen to a chat; `python -m tests.fuzz chat-machine` does more of it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import get_state_machine_test

from tests.chat_machine import ChatMachine, descriptors

SAMPLE = settings(
    max_examples=10,
    stateful_step_count=50,
    # To make an order that fails as short as it can be takes minutes.
    phases=(Phase.generate,),
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("number", range(1, 7))
def test_a_chat_loses_nothing_and_sends_nothing_twice(number: int) -> None:
    before = descriptors()
    seed(number)(get_state_machine_test(ChatMachine, settings=SAMPLE))()
    assert descriptors() == before
