"""A sample of all the orders in which things can be done to a history; `python -m tests.fuzz store-machine` does more."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.store.machine import StoreMachine

SAMPLE = settings(
    max_examples=60,
    stateful_step_count=50,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_a_history_is_what_its_model_says() -> None:
    run_state_machine_as_test(StoreMachine, settings=SAMPLE)
