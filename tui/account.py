"""What is known of a session's conversations with servers: ids, times, and what went otherwise than simply well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tui.figures import Figures, context_object, figure_words
from tui.model import AttemptKind, Mapping, MappingState, Session
from tui.moments import moment
from tui.resending import NOTHING, Resending, resending_object
from tui.text import one_line
from tui.values import dataclass

_KINDS = {
    AttemptKind.FIRST: "asked",
    AttemptKind.RETRY: "asked again",
    AttemptKind.FRESH: "asked afresh",
    AttemptKind.RESUMED: "taken up again",
}


@dataclass(frozen=True, slots=True)
class Event:
    """A request of a session's: for which turn (counted from 1), with which id, and what came of it, in words.

    Times are seconds since the epoch; `outcome` is empty while it runs.
    """

    turn: int
    kind: AttemptKind
    started_at: float
    ended_at: float | None = None
    sent_id: str = ""
    received_id: str = ""
    outcome: str = ""

    @property
    def is_remarkable(self) -> bool:
        """Whether there is more to it than an answer in a conversation that was known: it began one, or went wrong."""
        return self.kind is not AttemptKind.FIRST or self.outcome != "done" or not self.sent_id


@dataclass(frozen=True, slots=True)
class Account:
    """Of one session: the conversations it has, and the requests that were more than a plain answer, oldest first.

    `lifetime` is how many seconds a conversation is taken up again after it was used last. `figures` are those of the newest
    turns, each with the turn's number, counted from 1; `resending` is what the next prompt takes along.
    """

    session: Session
    mappings: tuple[Mapping, ...]
    events: tuple[Event, ...]
    lifetime: float
    figures: tuple[tuple[int, Figures], ...] = ()
    resending: Resending = NOTHING

    def expires_at(self, mapping: Mapping) -> float | None:
        """When a conversation will not be taken up again any more; None for one that is not now."""
        return mapping.used_at + self.lifetime if mapping.state is MappingState.LIVE else None


def account_lines(account: Account) -> list[str]:
    """An account for people, with times in their own time zone."""
    lines: list[str] = []
    for mapping in account.mappings:
        lines.append(one_line(f"{mapping.origin} · {mapping.protocol} · {mapping.state}"))
        lines += [f"  id         {one_line(mapping.conversation_id) or 'none'}"]
        lines += [f"  key from   {one_line(mapping.principal)}"] if mapping.principal else []
        lines += [
            f"  issued     {moment(mapping.issued_at, to_the_second=True)}",
            f"  last used  {moment(mapping.used_at, to_the_second=True)}",
        ]
        expires_at = account.expires_at(mapping)
        lines += [f"  expires    {moment(expires_at, to_the_second=True)}"] if expires_at is not None else []
        lines += [f"  knows      the session up to turn {mapping.depth + 1}", ""]
    if not account.mappings:
        lines += ["No server keeps a conversation for this session.", ""]
    if account.resending.text:
        lines += [f"With the next prompt: {account.resending.text}", ""]
    lines += [line for event in account.events for line in _event_lines(event)]
    if not account.events:
        lines.append("Every request was answered." if account.figures else "Nothing was asked yet.")
    counted = [f"turn {turn}: {' · '.join(words)}" for turn, one in account.figures if (words := figure_words(one))]
    return [*lines, "", *counted] if counted else lines


def _event_lines(event: Event) -> list[str]:
    """A request in a line, with the ids that were sent and received below it."""
    about = _KINDS[event.kind] if event.sent_id else f"{_KINDS[event.kind]} without an id"
    outcome = event.outcome or "is being answered"
    lines = [one_line(f"{moment(event.started_at, to_the_second=True)} turn {event.turn}: {about}: {outcome}")]
    lines += [f"  with       {one_line(event.sent_id)}"] if event.sent_id else []
    is_other = event.received_id and event.received_id != event.sent_id
    return [*lines, f"  received   {one_line(event.received_id)}"] if is_other else lines


def account_object(account: Account, iso: Callable[[float | None], str | None]) -> dict[str, Any]:
    """An account for scripts, given how a time is written."""
    return {
        "session": account.session.label,
        "conversations": [
            {
                "origin": mapping.origin,
                "protocol": mapping.protocol,
                "key_source": mapping.principal or None,
                "conversation_id": mapping.conversation_id or None,
                "state": mapping.state,
                "issued_at": iso(mapping.issued_at),
                "used_at": iso(mapping.used_at),
                "expires_at": iso(account.expires_at(mapping)),
                "turns": mapping.depth + 1,
            }
            for mapping in account.mappings
        ],
        "events": [
            {
                "turn": event.turn,
                "kind": event.kind,
                "started_at": iso(event.started_at),
                "ended_at": iso(event.ended_at),
                "sent_id": event.sent_id or None,
                "received_id": event.received_id or None,
                "outcome": event.outcome or None,
            }
            for event in account.events
        ],
        "next": resending_object(account.resending),
        "turns": [
            {
                "turn": turn,
                "input_tokens": one.input_tokens,
                "output_tokens": one.output_tokens,
                "first_text": None if one.first_text is None else round(one.first_text, 3),
                "tokens_per_second": None if one.speed is None else round(one.speed, 1),
                "context": context_object(one),
            }
            for turn, one in account.figures
        ],
    }
