"""Targets that do things in any order, to a history or to a chat, and hold what comes of it against a model."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test

from tests.fuzz.engine import Check, Target

ORDERS = 20
"""Orders that are tried for one input, which is their seed."""

STEPS = 50
"""Things that are done in one order, at most."""

COST = 1000
"""One input takes as long as so many of other targets."""


def _ready(
    machine: Callable[[], type[RuleBasedStateMachine]], *phases: Phase
) -> tuple[Callable[[Random], bytes], Check]:
    kind = machine()
    long = settings(
        max_examples=ORDERS,
        stateful_step_count=STEPS,
        phases=(Phase.generate, *phases),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    def check(data: bytes) -> None:
        seed(int.from_bytes(data))(get_state_machine_test(kind, settings=long))()

    return lambda chance: chance.randbytes(8), check


def _target(told: str, machine: Callable[[], type[RuleBasedStateMachine]]) -> Target:
    """To make an order that fails as short as it can be takes minutes, and is done where it is repeated."""
    return Target(
        told,
        lambda: _ready(machine),
        cost=COST,
        patience=600.0,
        closely=lambda: _ready(machine, Phase.shrink),
    )


def _store() -> type[RuleBasedStateMachine]:
    from tests.store.machine import StoreMachine

    return StoreMachine


def _chat() -> type[RuleBasedStateMachine]:
    from tests.chat_machine import ChatMachine

    return ChatMachine


TARGETS = {
    "store-machine": _target("two windows on one history", _store),
    "chat-machine": _target("a chat with a server", _chat),
}
