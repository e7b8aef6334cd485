"""A thread on its way from one history to another, whatever program it was held in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tui.exchange.packed_turns import PackedTurns
from tui.model import Item, ItemKind, ItemState, Turn, TurnStatus
from tui.pictures import Picture
from tui.values import dataclass

THREAD_LIMIT = 64 * 1024 * 1024
"""The longest thread that is taken in, in bytes of its file."""

MESSAGE_LIMIT = 1_000_000
"""The most messages one thread may have."""

PARTS_OF_TURN = 10_000
"""The most messages that are made one turn: what follows is a turn of its own. A turn is held and drawn as one."""

TEXT_OF_TURN = 16 * 1024 * 1024
"""The characters after which a prompt, or an answer, made of several messages is long enough."""

NOTHING_ASKED = "(nothing was asked)"
"""The prompt of an answer that no one asked for."""


@dataclass(frozen=True, slots=True)
class Thread:
    """What was said in another history.

    `program` is what it was held in, `source` its name there, by which it is known again. `label` and `title` are what it
    was called. `left_out` counts messages that stayed behind because they are on branches not shown there. `is_foreign`:
    someone else may have said it. `pictures` are those its prompts name, as far as they came along. Times are seconds
    since the epoch.
    """

    program: str
    source: str
    turns: Sequence[Turn]
    label: str = ""
    title: str = ""
    created_at: float = 0.0
    left_out: int = 0
    is_foreign: bool = False
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A thread that cannot be taken in: what it is called, and why."""

    name: str
    why: str


class TooLong(Exception):
    """More was said in a thread than is taken in; `why` says so of it."""

    def __init__(self, why: str = f"it has more than {MESSAGE_LIMIT:,} messages") -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Said:
    """One thing said in a thread. `role` is "user", "assistant", or who else spoke; only what these two said as messages
    is ever told to a server."""

    role: str
    text: str
    kind: ItemKind = ItemKind.MESSAGE
    name: str = ""
    call_id: str = ""
    at: float | None = None
    model: str = ""
    failed: bool = False


def turns_of(said: Iterable[Said]) -> PackedTurns:
    """The turns that were said: each begins with a prompt, and what follows it is its answer.

    What came before the first prompt is told as notices of its turn. Identifiers are new; a turn without an answer is
    one that broke off.

    Raises:
        TooLong: That is more than is taken in.
    """
    turns = PackedTurns()
    now: _Turn | None = None
    for number, one in enumerate(said, 1):
        if number > MESSAGE_LIMIT:
            raise TooLong
        asks = one.role == "user" and one.kind is ItemKind.MESSAGE
        if now is not None and (now.has_no_room(asks) or (asks and now.has_answer)):
            turns.add(now.closed())
            now = _Turn(now.begun_at)
            if not asks:
                now.ask(Said("user", NOTHING_ASKED, at=one.at))
        if now is None:
            now = _Turn(0.0)
        if asks:
            now.ask(one)
        else:
            now.answer(one)
    if now is not None:
        turns.add(now.closed())
    return turns


class _Turn:
    """A turn that is being put together. `earlier` is when the one before it was begun."""

    def __init__(self, earlier: float) -> None:
        self._earlier = earlier
        self._prompts: list[str] = []
        self._items: list[Item] = []
        self._asked = self._answered = 0
        self._at: float | None = None
        self._ended_at: float | None = None
        self._model = ""
        self._calls: dict[str, str] = {}
        self.has_answer = False

    @property
    def begun_at(self) -> float:
        """When it was begun, as far as anything says so; else 0."""
        return self._at or self._earlier or self._ended_at or 0.0

    def has_no_room(self, for_prompt: bool) -> bool:
        """Whether another message would make it too long."""
        count, size = (len(self._prompts), self._asked) if for_prompt else (len(self._items), self._answered)
        return count >= PARTS_OF_TURN or size > TEXT_OF_TURN

    def ask(self, one: Said) -> None:
        """Make something said part of the prompt."""
        if not self._prompts:
            self._at, self._model = one.at, one.model
            self._ended_at = self.begun_at or None
        self._prompts.append(one.text)
        self._asked += len(one.text)

    def answer(self, one: Said) -> None:
        """Make something said part of the answer; before there is a prompt, it is told as a notice."""
        self._answered += len(one.text)
        if not self._prompts:
            self._items.append(Item("", ItemKind.NOTICE, one.text, one.name or one.role))
            return
        call = self._calls.setdefault(one.call_id, str(len(self._calls) + 1)) if one.call_id else ""
        kind, name = one.kind, one.name
        if kind is ItemKind.MESSAGE and one.role != "assistant":
            kind, name = ItemKind.NOTICE, name or one.role
        self._items.append(Item("", kind, one.text, name, call, ItemState.FAILED if one.failed else ItemState.NONE))
        self._ended_at = one.at if one.at is not None else self._ended_at
        self._model = one.model or self._model
        self.has_answer = True

    def closed(self) -> Turn:
        """The turn as it has become."""
        is_done = any(item.kind is ItemKind.MESSAGE and item.text for item in self._items)
        return Turn(
            "",
            "",
            0,
            "\n\n".join(self._prompts or [NOTHING_ASKED]),
            TurnStatus.DONE if is_done else TurnStatus.INTERRUPTED,
            tuple(self._items),
            created_at=self.begun_at,
            ended_at=self._ended_at,
            model=self._model,
        )
