"""Lines of ours in a transcript: the foot of a turn, which tells how it stands, and marks at places of the session."""

from __future__ import annotations

from collections.abc import Iterator

from rich.segment import Segment

from tui.app.transcript.blocks import UNBOUND, Block, Ground, Look, Unit
from tui.app.transcript.pieces import Kind, Piece
from tui.app.transcript.wrap import Line, plain_lines
from tui.model import Turn, TurnStatus
from tui.text import one_line


class _Lines(Block):
    """Lines of ours: each a mark, how to draw it, and the words."""

    look = Look.FOOT

    def __init__(self, lines: tuple[tuple[str, str, str], ...]) -> None:
        super().__init__()
        self._lines = lines
        self._unit = Unit(self, Piece("\n".join(text for _, _, text in lines), Kind.PLAIN), True)

    def units(self) -> Iterator[Unit]:
        if self._lines:
            yield self._unit

    def draw(self, piece: Piece, ground: Ground) -> list[Line]:  # noqa: ARG002 - a foot has one piece only
        palette = ground.palette
        styles = {"note": palette.note, "error": palette.error, "muted": palette.muted}
        lines: list[Line] = []
        for mark, look, text in self._lines:
            for unbound, bound in zip(UNBOUND, ground.keys, strict=True):
                text = text.replace(unbound, bound)
            wrapped = plain_lines(text, max(8, ground.width), styles[look])
            if mark:
                wrapped[0].mark = Segment(f"{mark} ", styles[look])
            lines += wrapped
        return lines

    @property
    def source(self) -> str:
        return "\n".join(text for _, _, text in self._lines)


class MarkBlock(_Lines):
    """A line about a place in the session, not about a turn."""

    def __init__(self, mark: str, text: str) -> None:
        super().__init__(((mark, "muted", one_line(text)),))


class FootBlock(_Lines):
    """How a turn stands, where that is not simply well: notes, errors, what it waits for."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(_foot_lines(turn))

    def says_same(self, turn: Turn) -> bool:
        return self._lines == _foot_lines(turn)


def _foot_lines(turn: Turn) -> tuple[tuple[str, str, str], ...]:
    """The foot's lines: a mark, how to draw it, and the words."""
    lines = [("◆", "note", one_line(note)) for note in turn.notes]
    match turn.status:
        case TurnStatus.FAILED:
            lines += _error_lines("✗", turn)
        case TurnStatus.INTERRUPTED if turn.run and turn.error and turn.error.kind in ("not-allowed", "config"):
            lines += _error_lines("■", turn, again=f"{UNBOUND.again} takes the run up again")
        case TurnStatus.INTERRUPTED if turn.run:
            lines.append(("■", "note", f"The connection ended; the server goes on. {UNBOUND.again} takes it up again."))
        case TurnStatus.INTERRUPTED if turn.error:
            lines += _error_lines("■", turn)
        case TurnStatus.INTERRUPTED if not turn.profile and turn.protocol:
            lines.append(("·", "muted", "No answer yet."))
        case TurnStatus.INTERRUPTED:
            lines.append(("■", "error", "Interrupted; what came is kept."))
        case TurnStatus.CANCELLED:
            kept = "Cancelled; what came is kept." if turn.has_output else "Cancelled before anything came."
            lines.append(("■", "note", kept))
        case TurnStatus.DONE if turn.open_approvals:
            lines.append(("?", "note", f"Waits for your approval: in here, {UNBOUND.verdict}."))
        case TurnStatus.DONE if turn.finish and turn.finish not in ("approval", "stolen"):
            lines.append(("■", "note", f"The server stopped early: {one_line(turn.finish, 100)}."))
        case TurnStatus.DONE if not turn.has_output:
            lines.append(("·", "muted", "The server finished without saying anything."))
        case TurnStatus.PENDING | TurnStatus.STREAMING if turn.waiting_for:
            lines.append(("·", "muted", f"Waiting: {one_line(turn.waiting_for)}"))
        case TurnStatus.PENDING:
            lines.append(("·", "muted", "Waiting for an answer…"))
    return tuple(lines)


def _error_lines(
    mark: str, turn: Turn, again: str = f"{UNBOUND.again} sends the prompt again"
) -> list[tuple[str, str, str]]:
    """What went wrong, and under it what can be done about it."""
    error = turn.error
    said = one_line(error.message).rstrip(".") + "." if error else "It failed."
    hint = one_line(error.hint).rstrip(".") if error else ""
    # Hints are kept with their turns, and name the key alone.
    if "press r" in hint:
        hint, again = hint.replace("press r", f"press {UNBOUND.again}"), ""
    hint = hint[:1].upper() + hint[1:]
    advice = (" " if hint.endswith("?") else "; ").join(part for part in (hint, again) if part)
    return [(mark, "error", said), ("", "muted", f"{advice}.")]
