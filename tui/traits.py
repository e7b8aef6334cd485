"""What is known of each protocol without speaking it: what its servers can do, and what a profile may say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from types import MappingProxyType

from tui.values import dataclass


class Telling(StrEnum):
    """What a server that keeps the conversation is told of what was said before."""

    NOTHING = "nothing"
    AT_FIRST = "at first"
    MISSED = "missed"
    ALL = "all"


class Can(StrEnum):
    """What some servers can do and others cannot; what one cannot is never offered.

    `STOP`: it has a call to stop a run. `RESUME`: a run goes on without us and can be taken up again. `DETACH`: letting
    go of a run is not stopping it, and is what Ctrl+C means. `APPROVE`: it ends a turn with a question, whose answer is
    the next turn. `CONFIRM`: it asks in the middle of a turn, and waits. `MODELS`: it lists its models. `LIST` and
    `READ`: it lists its conversations, and tells what was said in one. `SHARE`: it lets others read one. `FORK`: it makes
    a conversation from another one; `FORK_AT`: also of its beginning. `STEER`: more can be said while it answers.
    `PICTURES`: they can be shown to it.
    """

    STOP = "stop"
    RESUME = "resume"
    DETACH = "detach"
    APPROVE = "approve"
    CONFIRM = "confirm"
    MODELS = "models"
    LIST = "list"
    READ = "read"
    SHARE = "share"
    FORK = "fork"
    FORK_AT = "fork at"
    STEER = "steer"
    PICTURES = "pictures"


@dataclass(frozen=True, slots=True)
class Traits:
    """Of one protocol.

    `keeps`: the server keeps the conversation; one that does not is told everything each time. `mints`: the id of a
    conversation is ours to make, and the server never says that it does not know one. `names_point`: an id names a point
    in a conversation, so that a fork can go on from it. `survives_stop`: a conversation can go on after a turn that was
    stopped. `options`: what a profile may say beside what all may, with the type it has. `idle_timeout`: seconds without
    a byte after which an answer counts as stalled, where the profile says nothing of it.
    """

    keeps: bool = True
    telling: Telling = Telling.MISSED
    mints: bool = False
    names_point: bool = False
    survives_stop: bool = True
    can: frozenset[Can] = frozenset()
    options: Mapping[str, type] = field(default_factory=lambda: MappingProxyType({}))
    idle_timeout: float = 120.0


_RESPONSES = Traits(
    names_point=True,
    can=frozenset({Can.STOP, Can.RESUME, Can.APPROVE, Can.MODELS, Can.PICTURES}),
    options=MappingProxyType({"background": bool}),
)

TRAITS: Mapping[str, Traits] = MappingProxyType(
    {
        "responses": _RESPONSES,
        "chat": Traits(keeps=False, telling=Telling.ALL, can=frozenset({Can.MODELS, Can.PICTURES})),
        "anthropic": Traits(keeps=False, telling=Telling.ALL, can=frozenset({Can.MODELS, Can.PICTURES})),
        "ollama": Traits(
            keeps=False,
            telling=Telling.ALL,
            can=frozenset({Can.MODELS, Can.PICTURES}),
            options=MappingProxyType({"keep_alive": str}),
            idle_timeout=300.0,  # a large model takes minutes to load, in silence
        ),
        "genie": Traits(
            telling=Telling.NOTHING,
            options=MappingProxyType({"warehouse_id": str, "workspace_id": str}),
            idle_timeout=600.0,
        ),
        "agent-server": Traits(
            telling=Telling.AT_FIRST,
            mints=True,
            can=frozenset({Can.RESUME}),
            options=MappingProxyType({"background": bool}),
        ),
        "rill": Traits(
            telling=Telling.NOTHING,
            can=frozenset({Can.LIST, Can.READ, Can.SHARE, Can.FORK}),
            options=MappingProxyType({"instance": str, "agent": str}),
            idle_timeout=300.0,
        ),
        "agenta": Traits(
            telling=Telling.ALL,
            mints=True,
            can=frozenset({Can.STOP, Can.RESUME, Can.DETACH, Can.APPROVE, Can.LIST, Can.READ, Can.STEER}),
            options=MappingProxyType(
                {
                    "service_url": str,
                    "application_id": str,
                    "variant_id": str,
                    "revision_id": str,
                    "project_id": str,
                }
            ),
        ),
        "docker-chat": Traits(
            telling=Telling.ALL,
            mints=True,
            survives_stop=False,
            can=frozenset({Can.MODELS, Can.PICTURES}),
            idle_timeout=300.0,
        ),
        "docker-agent": Traits(
            telling=Telling.NOTHING,
            can=frozenset({Can.CONFIRM, Can.MODELS, Can.LIST, Can.READ, Can.FORK_AT, Can.STEER}),
            options=MappingProxyType({"working_dir": str}),
            idle_timeout=300.0,
        ),
        "guide": Traits(names_point=True),
    }
)
"""All protocols, by the name a profile gives them."""
