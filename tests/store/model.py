"""What a history holds, in plain Python: the model its tests hold it against."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tui.model import ItemKind, Session, TitleSource, Turn, TurnStatus, Variants

CRASHED = "Palaver ended before the answer did; what came is kept."
Place = tuple[str, int]


@dataclass(eq=False)
class Line:
    """Turns in a row, by their ids, and the conversation that goes with them. `begun` is where they part from others,
    `moved` the place of the turn that made the conversation what it is."""

    ids: list[str] = field(default_factory=list)
    begun: int = 0
    conversation: str = ""
    moved: int = 0


@dataclass(eq=False)
class Thread:
    """A session with all its lines, of which `line` is gone on with. `used` is when it was last said something in."""

    session: Session
    line: Line
    lines: list[Line]
    used: int


class Model:
    """Sessions and turns as they should be read. `touched` are the ids of all that was written to since last asked."""

    def __init__(self) -> None:
        self.threads: dict[str, Thread] = {}
        self.turns: dict[str, Turn] = {}
        self.lines: dict[str, Line] = {}
        self.touched: set[str] = set()
        self._uses = 0

    # What there is

    def sessions(self, *, deleted: bool = False) -> list[Session]:
        found = [one for one in self.threads.values() if (one.session.deleted_at is not None) is deleted]
        return [self.session(one.session.id) for one in sorted(found, key=lambda one: -one.used)]

    def session(self, session_id: str) -> Session:
        thread = self.threads[session_id]
        last = self.turns[thread.line.ids[-1]].status if thread.line.ids else None
        return replace(thread.session, turns=len(thread.line.ids), last_status=last)

    def taken(self, label: str, but: str = "") -> bool:
        """Whether a session that is not deleted has a label."""
        return any(
            one.session.label == label and one.session.deleted_at is None and one.session.id != but
            for one in self.threads.values()
        )

    def said(self, session_id: str) -> list[Turn]:
        return [self.turns[one] for one in self.threads[session_id].line.ids]

    def running(self) -> list[Turn]:
        return [turn for turn in self.turns.values() if not turn.status.is_final]

    def variants(self, session_id: str) -> dict[int, Variants]:
        thread = self.threads[session_id]
        found = {}
        for depth, here in enumerate(thread.line.ids):
            before = thread.line.ids[:depth]
            others = {one.ids[depth] for one in thread.lines if one.ids[:depth] == before and len(one.ids) > depth}
            if len(others) > 1:
                ordered = tuple(sorted(others, key=self._age))
                found[depth] = Variants(ordered, ordered.index(here))
        return found

    def conversation(self, session_id: str) -> str:
        return self.threads[session_id].line.conversation

    def holding(self, word: str, session_id: str = "") -> list[tuple[str, str]]:
        """Every message of an ended turn with a word in it, by its turn and who said it, that can be seen somewhere."""
        seen = {
            one
            for thread in self.threads.values()
            if thread.session.deleted_at is None and session_id in ("", thread.session.id)
            for one in thread.line.ids
            if self.turns[one].status.is_final
        }
        found = [(one, "user") for one in seen if word in self.turns[one].prompt.split()]
        for one in seen:
            for item in self.turns[one].items:
                if item.kind is ItemKind.MESSAGE and word in item.text.split():
                    found.append((one, "assistant"))  # noqa: PERF401 - plainer
        return sorted(found)

    # What is done

    def add(self, session: Session, ids: list[str] | None = None) -> None:
        line = Line(ids or [], len(ids or []))
        self.threads[session.id] = Thread(session, line, [line], self._use())
        self.touched.add(session.id)

    def change(self, session_id: str, **changes: object) -> None:
        thread = self.threads[session_id]
        thread.session = replace(thread.session, **changes)
        self.touched.add(session_id)

    def begin(self, turn: Turn, title: str, at: int | None) -> Turn:
        thread = self.threads[turn.session_id]
        session = thread.session
        if session.title_source is TitleSource.NONE:
            self.change(session.id, title=title, title_source=TitleSource.GENERATED)
        if session.draft == turn.prompt:
            self.change(session.id, draft="")
        if at is not None and at < len(thread.line.ids):
            thread.line = Line(thread.line.ids[:at], at)
            thread.lines.append(thread.line)
        turn = replace(turn, depth=len(thread.line.ids))
        thread.line.ids.append(turn.id)
        self.lines[turn.id] = thread.line
        thread.used = self._use()
        self.change(session.id, profile=turn.profile)
        self.save(turn)
        return turn

    def save(self, turn: Turn, conversation: str = "") -> None:
        """A turn is what it is now; the conversation it moved is that of the line it is on, unless a later turn moved it."""
        thread = self.threads[turn.session_id]
        self.turns[turn.id] = turn
        self.touched |= {turn.id, turn.session_id}
        line = self.lines[turn.id]
        if conversation and (place := line.ids.index(turn.id)) >= line.moved:
            line.conversation, line.moved = conversation, place
        last = max(thread.session.last_turn_at or 0.0, turn.created_at)
        self.change(turn.session_id, last_turn_at=last)

    def choose(self, session_id: str, turn_id: str) -> None:
        thread = self.threads[session_id]
        through = [one for one in thread.lines if turn_id in one.ids]
        thread.line = max(through, key=lambda one: self._age(one.ids[-1]))
        self.touched.add(session_id)

    def fork(self, session: Session, of: str, turns: int) -> None:
        self.add(session, self.threads[of].line.ids[:turns])

    def cut_short(self, turn: Turn, error: object) -> None:
        """What a process that died was answering."""
        self.turns[turn.id] = replace(turn, status=TurnStatus.INTERRUPTED, error=error)
        self.touched |= {turn.id, turn.session_id}

    def order(self, ids: list[str]) -> None:
        """Sessions were used in this order, the last one first."""
        for one in reversed(ids):
            self.threads[one].used = self._use()

    def _age(self, turn_id: str) -> int:
        """Turns have their order from their beginnings, whatever time their ids tell."""
        return [*self.turns].index(turn_id)

    def _use(self) -> int:
        self._uses += 1
        return self._uses
