"""Sessions and turns as scripts get them: plain values for JSON."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from tui.figures import context_object, figures_of
from tui.model import Branch, Failure, Queued, Session, Turn


def turn_object(turn: Turn, label: str, window: int | None = None) -> dict[str, Any]:
    """A turn whose model has a context `window`, as scripts get it."""
    figures = figures_of(turn, window)
    error = without_keys(turn.error) if turn.error else None

    def since_start(moment: float | None) -> float | None:
        return None if moment is None else round(max(0.0, moment - turn.created_at), 3)

    return {
        "session": label or None,
        "turn_id": turn.id,
        "status": turn.status,
        "text": turn.text,
        "items": [
            {"kind": item.kind, "name": item.name, "call_id": item.call_id, "text": item.text, "state": item.state or None}
            for item in turn.items
        ],
        "conversation_id": turn.conversation_id or None,
        "profile": turn.profile,
        "protocol": turn.protocol,
        "model": turn.model,
        "origin": turn.origin,
        "usage": asdict(turn.usage) if turn.usage else None,
        "context": context_object(figures),
        "timings": {
            "created_at": turn.created_at,
            "first_text": since_start(turn.first_text_at),
            "total": since_start(turn.ended_at),
            "tokens_per_second": None if figures.speed is None else round(figures.speed, 1),
            "attempts": len(turn.attempts),
        },
        "finish": turn.finish or None,
        "notes": list(turn.notes),
        "error": {"kind": error.kind, "message": error.message, "hint": error.hint or None,
                  "status": error.status} if error else None,
    }  # fmt: skip


def without_keys(failure: Failure) -> Failure:
    """A failure as it is told where there is no window: its hint without what it says of the window's keys."""
    parts = failure.hint.split("; ")
    return replace(failure, hint="; ".join(part for part in parts if not part.startswith("press ")))


def session_object(session: Session) -> dict[str, object]:
    """A session, as scripts get it."""
    return {
        "label": session.label,
        "title": session.title,
        "turns": session.turns,
        "profile": session.profile,
        "pinned": session.pinned,
        "unread": session.unread,
        "status": session.last_status,
        "created_at": iso(session.created_at),
        "last_turn_at": iso(session.last_turn_at),
        "archived_at": iso(session.archived_at),
        "deleted_at": iso(session.deleted_at),
        "notice": session.notice or None,
        "shared_turns": session.shared,
    }


def queued_object(queued: Queued) -> dict[str, object]:
    """A prompt that waits, as scripts get it."""
    return {"prompt": queued.prompt, "created_at": iso(queued.created_at)}


def branch_object(number: int, branch: Branch) -> dict[str, object]:
    """A branch of a session, as scripts get it: with the number it is chosen by."""
    return {
        "branch": number,
        "present": branch.is_present,
        "from_turn": branch.parts_at,
        "turns": branch.turns,
        "prompt": branch.prompt,
        "turn_id": branch.turn_id,
        "last_turn_at": iso(branch.at),
    }


def turn_json(turn: Turn, label: str, window: int | None = None) -> dict[str, object]:
    """A turn with its prompt and attempts, as scripts get it."""
    attempts = [
        {
            "kind": one.kind,
            "sent_id": one.sent_id or None,
            "received_id": one.received_id or None,
            "outcome": one.outcome,
        }
        for one in turn.attempts
    ]
    return {"prompt": turn.prompt, **turn_object(turn, label, window), "attempts": attempts}


def iso(seconds: float | None) -> str | None:
    """A time as programs write it down: ISO 8601, UTC."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return None
