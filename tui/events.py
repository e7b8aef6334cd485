"""What a client says of a turn while it runs, one typed event at a time."""

from __future__ import annotations

from tui.model import AttemptKind, Item, ItemKind, Usage
from tui.values import dataclass


@dataclass(frozen=True, slots=True)
class Placed:
    """The turn is on disk, at this depth of its session."""

    depth: int


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A request is about to be made. `sent_id` is the conversation id it carries, if any."""

    kind: AttemptKind
    sent_id: str = ""


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """The request came to nothing and another one will follow. `outcome` says why, for the record."""

    outcome: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing will be sent for `seconds`, for the `reason` given in words; 0 seconds end the wait."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class ItemDelta:
    """A piece of an item; the first one for a key opens the item."""

    key: str
    kind: ItemKind
    text: str = ""
    name: str = ""
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class ItemWhole:
    """An item's full truth, which replaces whatever its deltas added up to."""

    item: Item


@dataclass(frozen=True, slots=True)
class RunNamed:
    """The server's work on this turn goes on without us, under this name; an empty one takes that back."""

    run: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Something the user should know about how this turn went, in plain words."""

    text: str


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens so far; the last one holds."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class WindowTold:
    """How many tokens the context of the model that answers may have."""

    tokens: int


@dataclass(frozen=True, slots=True)
class ModelNamed:
    """The model that really answered."""

    model: str


@dataclass(frozen=True, slots=True)
class ConversationIssued:
    """The id from which the next turn can go on, said only at the moment it becomes safe to."""

    conversation_id: str


@dataclass(frozen=True, slots=True)
class ConversationUnsupported:
    """The server keeps no conversations: it is told everything each time from now on."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The protocol's own terminal event. `reason` is the server's word for why it stopped."""

    reason: str = ""


TurnEvent = (
    Placed
    | AttemptStarted
    | AttemptFailed
    | Waiting
    | ItemDelta
    | ItemWhole
    | RunNamed
    | Noted
    | Used
    | WindowTold
    | ModelNamed
    | ConversationIssued
    | ConversationUnsupported
    | Finished
)
