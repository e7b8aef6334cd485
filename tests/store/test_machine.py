"""A sample of all the orders in which things can be done to a history; `python -m tests.fuzz store-machine` does more."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import get_state_machine_test

from tests.store.machine import StoreMachine

SAMPLE = settings(
    max_examples=6,
    stateful_step_count=50,
    # To make an order that fails as short as it can be takes minutes.
    phases=(Phase.generate,),
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("number", range(1, 7))
def test_a_history_is_what_its_model_says(number: int) -> None:
    seed(number)(get_state_machine_test(StoreMachine, settings=SAMPLE))()
