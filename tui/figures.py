"""What a turn came to in numbers: tokens, times, and the share of the context window it takes."""

from __future__ import annotations

from typing import Any

from tui.model import AttemptKind, ItemKind, Turn, TurnStatus
from tui.values import dataclass

SHORTEST = 0.25
"""Seconds below which an answer came all at once, so that its speed would be that of the network."""

_PAUSES = (ItemKind.APPROVAL, ItemKind.TOOL_RESULT)
"""Items for which a server stops writing while the user, or a tool, is at work."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers of one turn; None for what is not known, or would mean nothing.

    `first_text` is the seconds from sending to the first thing shown. `speed` is the tokens a second from then on.
    `window` is how many tokens the model's context may have.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    first_text: float | None = None
    speed: float | None = None
    window: int | None = None

    @property
    def used(self) -> int | None:
        """The tokens of the context that are taken once the answer is there."""
        return None if self.input_tokens is None else self.input_tokens + (self.output_tokens or 0)

    @property
    def share(self) -> float | None:
        """How much of the context window that is, from 0 on; above 1 where the window is said to be smaller than it is."""
        return self.used / self.window if self.used is not None and self.window else None


def figures_of(turn: Turn, window: int | None = None, *, is_resumed: bool = False) -> Figures:
    """The numbers of a turn whose model has a context `window`. `is_resumed`: it broke off on the way, and was taken up
    again later, which a turn without its attempts does not tell."""
    usage = turn.usage
    return Figures(
        input_tokens=usage.input_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
        first_text=None if turn.first_text_at is None else max(0.0, turn.first_text_at - turn.created_at),
        speed=None if is_resumed else _speed(turn),
        window=window,
    )


def _speed(turn: Turn) -> float | None:
    """Tokens a second, where they came in one go that took some time."""
    if turn.status is not TurnStatus.DONE or turn.usage is None or turn.first_text_at is None or turn.ended_at is None:
        return None
    has_paused = any(item.kind in _PAUSES for item in turn.items)
    if has_paused or any(attempt.kind is AttemptKind.RESUMED for attempt in turn.attempts):
        return None
    took, tokens = turn.ended_at - turn.first_text_at, turn.usage.output_tokens or 0
    if not any(item.kind is ItemKind.REASONING and item.text for item in turn.items):
        # What was thought unseen was over before the first text.
        tokens -= turn.usage.reasoning_tokens or 0
    return tokens / took if took >= SHORTEST and tokens > 1 else None


def figure_words(figures: Figures) -> tuple[str, ...]:
    """The numbers in words, the most telling ones first; those not known are left out."""
    tokens = ((figures.input_tokens, "in"), (figures.output_tokens, "out"))
    counted = " · ".join(f"{count:,} {way}" for count, way in tokens if count is not None)
    words = [counted] if counted else []
    if figures.first_text is not None:
        words.append(f"first word {figures.first_text:.1f} s")
    if figures.speed is not None:
        words.append(f"{figures.speed:,.0f} tokens/s" if figures.speed >= 10 else f"{figures.speed:.1f} tokens/s")
    if figures.share is not None and figures.window:
        percent = figures.share * 100
        words.append(f"{f'{percent:.0f}' if percent >= 1 else '<1'} % of {_short(figures.window)}")
    return tuple(words)


def _short(tokens: int) -> str:
    """A round number of tokens, as people say it."""
    if tokens >= 1_000_000:
        return f"{tokens / 1_000_000:.1f}".removesuffix(".0") + "M"
    return f"{tokens / 1000:.0f}k" if tokens >= 1000 else str(tokens)


def context_object(figures: Figures) -> dict[str, Any] | None:
    """What a turn takes of its context window, as scripts get it; None where either is not known."""
    if figures.share is None:
        return None
    return {"used": figures.used, "window": figures.window, "share": round(figures.share, 4)}
