"""Words for the status bar: where prompts go, how a turn stands, what it came to."""

from __future__ import annotations

from urllib.parse import urlsplit

from tui.chat import Chat
from tui.errors import ConfigError
from tui.model import Session, Turn, TurnStatus
from tui.runs import NO_SILENCE, Silence
from tui.text import counted, one_line

LONG_SILENCE = 30.0
"""Seconds without text after which the silence is mentioned."""


def destination(chat: Chat, session: Session) -> tuple[str, ...]:
    """Where a session's next prompt goes: profile, model and host."""
    try:
        profile = chat.profile_of(session)
    except ConfigError:
        return (session.label, f"{session.profile}, which is not configured")
    host = urlsplit(profile.base_url).netloc
    if profile.protocol == "guide":
        return (session.label, "guide", "built in")
    return tuple(part for part in (session.label, profile.name, profile.model, host) if part)


def progress(turn: Turn, now: float, silence: Silence = NO_SILENCE) -> str:
    """How a running turn stands. `now` is in seconds since the epoch."""
    elapsed = max(0.0, now - turn.created_at)
    if turn.open_approvals:
        return f"{one_line(turn.open_approvals[0].name, 30)} waits for your approval"
    if turn.waiting_until is not None:
        left = max(0.0, turn.waiting_until - now)
        return f"{turn.waiting_for} · again in {left:.0f} s"
    words = sum(item.text.count(" ") + 1 for item in turn.items if item.text)
    stands = f"answering {elapsed:.1f} s" if words else f"waiting {elapsed:.1f} s"
    if silence.of_data >= LONG_SILENCE:
        return f"{stands} · no data for {silence.of_data:.0f} s"
    if silence.of_text >= LONG_SILENCE:
        return f"{stands} · server is alive, no text for {silence.of_text:.0f} s"
    return f"{stands} · {counted(words, 'word')}" if words else stands


def outcome(turn: Turn) -> str:
    """What a turn came to."""
    took = f"{(turn.ended_at or turn.created_at) - turn.created_at:.1f} s"
    if turn.status is TurnStatus.INTERRUPTED and turn.ended_at is None and not turn.run:
        return "interrupted"
    match turn.status:
        case TurnStatus.DONE if turn.open_approvals:
            return "waits for your approval"
        case TurnStatus.DONE:
            return f"done in {took}"
        case TurnStatus.INTERRUPTED if turn.run:
            return f"left running after {took}"
        case TurnStatus.CANCELLED:
            return f"stopped after {took}"
        case TurnStatus.INTERRUPTED:
            return f"interrupted after {took}"
        case _:
            return f"failed after {took}"
