"""A sample of all that can happen to a chat; `python -m tests.fuzz chat-machine` does more of it."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.chat_machine import ChatMachine, descriptors

SAMPLE = settings(
    max_examples=60,
    stateful_step_count=50,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_a_chat_loses_nothing_and_sends_nothing_twice() -> None:
    before = descriptors()
    run_state_machine_as_test(ChatMachine, settings=SAMPLE)
    assert descriptors() == before
