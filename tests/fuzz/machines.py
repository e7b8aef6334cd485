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

LONG = settings(
    max_examples=ORDERS,
    stateful_step_count=STEPS,
    phases=(Phase.generate, Phase.shrink),
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def _ready(machine: Callable[[], type[RuleBasedStateMachine]]) -> tuple[Callable[[Random], bytes], Check]:
    kind = machine()

    def check(data: bytes) -> None:
        run = get_state_machine_test(kind, settings=LONG)
        seed(int.from_bytes(data))(run)()

    return lambda chance: chance.randbytes(8), check


def _store() -> type[RuleBasedStateMachine]:
    from tests.store.machine import StoreMachine

    return StoreMachine


def _chat() -> type[RuleBasedStateMachine]:
    from tests.chat_machine import ChatMachine

    return ChatMachine


TARGETS = {
    "store-machine": Target("two windows on one history", lambda: _ready(_store), cost=COST, patience=600.0),
    "chat-machine": Target("a chat with a server", lambda: _ready(_chat), cost=COST, patience=600.0),
}
