"""One turn to its end: events are folded into snapshots, which are published and saved whatever happens.

This is the only module that catches a cancellation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import field, replace
from typing import TypeVar

from tui.clock import SYSTEM, Clock
from tui.errors import Exit, Incomplete, PalaverError, Refused
from tui.events import (
    AttemptFailed,
    AttemptStarted,
    ConversationIssued,
    Finished,
    ItemDelta,
    ItemWhole,
    ModelNamed,
    Noted,
    Placed,
    RunNamed,
    TurnEvent,
    Used,
    Waiting,
)
from tui.model import Attempt, AttemptKind, Failure, Item, ItemKind, ItemState, Turn, TurnStatus
from tui.values import dataclass

PUBLISH_EVERY = 1 / 30
"""Seconds between two snapshots: no one sees more."""

SHOWN_AT_MOST = 5
"""What is between the beginnings of two snapshots is so many times what one takes: one of 64 MiB takes 35 ms (measured),
and thirty of those a second would leave no time for keys."""

PUBLISH_LATEST = 1 / 4
"""Seconds after which there is another one all the same: what took long may only have had to wait for others."""

SAVE_AFTER = 0.15
"""Seconds from text becoming visible to the start of its saving. What is left of the 250 ms after which it has to be
durable is for the commit: one on a busy disk was seen to take 50 ms."""

YIELD_AFTER = 0.004
"""Seconds of events handled in one go: a key waits no longer for its turn. Yielding for each event costs twenty times as
much (measured)."""

ANSWER_LIMIT = 64 * 1024 * 1024
"""The longest answer, in characters."""

BESIDE_LIMIT = ANSWER_LIMIT
"""How much there may be beside an answer's text: its items' names and keys, in characters, and what each one costs."""

ITEM_COST = 512
"""What an item costs, however little it says (measured: 430 bytes)."""

WORDS_COUNTED = 4 * 1024 * 1024
"""The longest answer whose words are counted, in characters: those of the longest there may be hold the loop for 0.1 s."""

T = TypeVar("T")


async def to_end(work: Awaitable[T]) -> T:
    """Await `work` until it is over, however often the caller is cancelled meanwhile; then be cancelled."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
        except Exception:  # noqa: BLE001 - raised below, from the task itself
            break
    if cancelled:
        if not task.cancelled():
            task.exception()
        raise asyncio.CancelledError
    return task.result()


@dataclass(slots=True)
class _Part:
    """An item while it grows; joined only when someone looks. `pieces` are those that `text` lacks."""

    kind: ItemKind
    name: str
    call_id: str
    text: str = ""
    pieces: list[str] = field(default_factory=list)
    state: ItemState = ItemState.NONE
    item: Item | None = None


def _part_of(item: Item) -> _Part:
    return _Part(item.kind, item.name, item.call_id, item.text, [], item.state, item)


def _beside(key: str, part: _Part) -> int:
    """What an item costs beside its text."""
    return len(key) + len(part.name) + len(part.call_id) + ITEM_COST


def _mended(text: str) -> tuple[str, str]:
    """A text whose surrogates are paired, and the half of a pair at its end, whose other half may still come: servers that
    count in UTF-16 cut there. What stays alone is no character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        half = text[-1] if "\ud800" <= text[-1] < "\udc00" else ""
        units = text[: len(text) - len(half)].encode("utf-16-le", "surrogatepass")
        return units.decode("utf-16-le", "replace"), half
    return text, ""


class Fold:
    """What a turn's events add up to."""

    def __init__(self, turn: Turn, clock: Clock = SYSTEM) -> None:
        self._turn = turn
        self._clock = clock
        self._parts = {item.key: _part_of(item) for item in turn.items}
        self._items: dict[str, Item] = {}
        self._changed = dict.fromkeys(self._parts)
        """The items that are not as they were in the last snapshot, the earlier ones first: a long turn has many others."""

        self._is_told_again = False
        self._before: tuple[Item, ...] = ()
        """What had been shown of a turn that is told again, until there is as much of it anew: it may break off again."""

        self._size = 0
        self._beside = 0
        self._has_ended = False
        self.finished = False

    @property
    def run_name(self) -> str:
        """The name of the server's work that goes on without us, once it has one."""
        return self._turn.run

    @property
    def is_visible(self) -> bool:
        """Whether something of the answer has come."""
        return self._turn.first_text_at is not None

    def apply(self, event: TurnEvent) -> None:
        """Take in one event.

        Raises:
            Incomplete: The answer has grown beyond any use.
        """
        match event:
            case ItemDelta():
                self._delta(event)
            case ItemWhole(item):
                self._whole(item)
            case Placed(depth):
                self._turn = replace(self._turn, depth=depth)
            case Noted(text):
                self._take_room(len(text) + ITEM_COST)
                self._turn = replace(self._turn, notes=(*self._turn.notes, text))
            case Used(usage):
                self._turn = replace(self._turn, usage=usage)
            case ModelNamed(model):
                self._turn = replace(self._turn, model=model)
            case RunNamed(run_name):
                self._turn = replace(self._turn, run=run_name)
            case ConversationIssued(conversation_id):
                self._turn = replace(self._turn, conversation_id=conversation_id)
            case AttemptStarted():
                self._start_attempt(event)
            case AttemptFailed(outcome):
                self._end_attempt(outcome)
            case Waiting(seconds, reason):
                until = self._clock.now() + seconds if seconds else None
                self._turn = replace(self._turn, waiting_until=until, waiting_for=reason)
            case Finished(reason):
                self.finished = True
                self._turn = replace(self._turn, finish=reason)
            case _:
                pass

    def snapshot(self) -> Turn:
        """The turn as it stands."""
        for key in self._changed:
            self._items[key] = self._item(key, self._parts[key])
        self._changed.clear()
        if self._size >= sum(len(item.text) for item in self._before) or self.finished:
            self._before = ()
        return replace(self._turn, items=self._before or tuple(self._items.values()))

    def end(self, status: TurnStatus, error: Failure | None = None) -> Turn:
        """The turn in its final state."""
        self._has_ended = True
        for key, part in self._parts.items():
            if part.pieces:
                part.item = None
                self._changed[key] = None
        self._end_attempt(error.message if error else status.value)
        # Only a turn that broke off may have a run that goes on.
        run_name = self._turn.run if status is TurnStatus.INTERRUPTED else ""
        self._turn = replace(
            self._turn,
            status=status,
            error=error,
            ended_at=self._clock.now(),
            waiting_until=None,
            waiting_for="",
            run=run_name,
        )
        return self.snapshot()

    def _delta(self, event: ItemDelta) -> None:
        self._begin_again()
        part = self._parts.get(event.key)
        if part is None:
            part = self._parts[event.key] = _Part(event.kind, event.name, event.call_id)
            self._take_room(_beside(event.key, part))
        elif event.name and not part.name:
            before = _beside(event.key, part)
            part.name = event.name
            part.call_id = part.call_id or event.call_id
            self._take_room(_beside(event.key, part) - before)
        if event.text:
            part.pieces.append(event.text)
            self._grow(len(event.text))
        part.item = None
        self._changed[event.key] = None
        self._see(bool(event.text or event.name))

    def _whole(self, item: Item) -> None:
        self._begin_again()
        if not item.text.isascii():
            text, half = _mended(item.text)
            item = replace(item, text=text + ("\ufffd" if half else "")) if half or text != item.text else item
        part = self._parts.get(item.key)
        if part is not None and part.item == item:
            return
        before = len(part.text) + sum(map(len, part.pieces)) if part else 0
        beside = _beside(item.key, part) if part else 0
        part = self._parts[item.key] = _part_of(item)
        self._changed[item.key] = None
        self._take_room(_beside(item.key, part) - beside)
        self._grow(len(item.text) - before)
        self._see(bool(item.text or item.name))

    def _see(self, visible: bool) -> None:
        if self._turn.status is TurnStatus.PENDING or (visible and self._turn.first_text_at is None):
            first = self._clock.now() if visible and self._turn.first_text_at is None else self._turn.first_text_at
            self._turn = replace(self._turn, status=TurnStatus.STREAMING, first_text_at=first)

    def _grow(self, characters: int) -> None:
        self._size += characters
        if self._size > ANSWER_LIMIT:
            raise Incomplete(f"the answer passed {ANSWER_LIMIT // 1024 // 1024} MiB and was stopped")

    def _take_room(self, size: int) -> None:
        self._beside += size
        if self._beside > BESIDE_LIMIT:
            raise Incomplete(f"what came beside the answer passed {BESIDE_LIMIT // 1024 // 1024} MiB and was stopped")

    def _item(self, key: str, part: _Part) -> Item:
        if part.item is None:
            if part.pieces:
                text, half = _mended("".join(part.pieces))
                part.pieces = [half] if half and not self._has_ended else []
                part.text += text + ("\ufffd" if half and self._has_ended else "")
            part.item = Item(key, part.kind, part.text, part.name, part.call_id, part.state)
        return part.item

    def _start_attempt(self, event: AttemptStarted) -> None:
        if event.kind is AttemptKind.RESUMED:
            # What was shown stays until the server tells it again.
            self._is_told_again = True
        elif event.kind is not AttemptKind.FIRST:
            self._clear()
        attempt = Attempt(len(self._turn.attempts) + 1, event.kind, self._clock.now(), sent_id=event.sent_id)
        self._turn = replace(self._turn, attempts=(*self._turn.attempts, attempt), waiting_until=None, waiting_for="")

    def _begin_again(self) -> None:
        if self._is_told_again:
            self._is_told_again = False
            self._before = self.snapshot().items
            self._clear()

    def _clear(self) -> None:
        self._parts.clear()
        self._items.clear()
        self._changed.clear()
        self._size = self._beside = 0

    def _end_attempt(self, outcome: str) -> None:
        attempts = self._turn.attempts
        if attempts and attempts[-1].ended_at is None:
            ended = replace(
                attempts[-1], ended_at=self._clock.now(), outcome=outcome, received_id=self._turn.conversation_id
            )
            self._turn = replace(self._turn, attempts=(*attempts[:-1], ended))


class _Outlet:
    """Hands snapshots on in good time: to the screen at once but not too often, to disk soon after.

    `bug` is what went wrong in someone who was told, if it did: they are told on, and what there is is saved.
    """

    def __init__(self, fold: Fold, publish: Callable[[Turn], None], save: Callable[[Turn], Awaitable[None]]) -> None:
        self._fold = fold
        self._publish = publish
        self._save = save
        self._loop = asyncio.get_running_loop()
        self._next_at = 0.0
        self._publishing: asyncio.TimerHandle | None = None
        self._is_first_word_due = True
        self._unsaved_since: float | None = None
        self._save_timer: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[None] | None = None
        self._closed = False
        self.bug: Exception | None = None

    def changed(self) -> None:
        if self._is_first_word_due and self._fold.is_visible:
            # It is what was waited for, and comes soon after other events that show nothing.
            self._is_first_word_due = False
            self._next_at = 0.0
            if self._publishing is not None:
                self._publishing.cancel()
                self._publishing = None
        if self._publishing is None:
            self._publishing = self._loop.call_at(self._next_at, self._show)

    def save_first(self) -> None:
        """Save what there is before anything else, as soon as what is being saved is saved."""
        self._unsaved_since = self._loop.time() - SAVE_AFTER
        if self._save_timer is not None:
            self._save_timer.cancel()
        self._save_soon()

    def stop(self) -> None:
        """Hand nothing on any more: what comes next is the final state, and it comes once."""
        self._closed = True
        for timer in (self._publishing, self._save_timer):
            if timer is not None:
                timer.cancel()

    async def close(self, last: Turn) -> None:
        """Publish and save the final state, after whatever is still being saved."""
        self._tell(last)
        if self._saving is not None:
            await self._saving
        await self._save(last)

    def _show(self) -> None:
        self._publishing = None
        begun = self._loop.time()
        self._tell(self._fold.snapshot())
        took = self._loop.time() - begun
        self._next_at = begun + max(PUBLISH_EVERY, min(PUBLISH_LATEST, SHOWN_AT_MOST * took))
        if self._unsaved_since is None:
            self._unsaved_since = begun
            self._save_soon()

    def _tell(self, turn: Turn) -> None:
        try:
            self._publish(turn)
        except Exception as error:  # noqa: BLE001 - raised by `run`, once everything is saved
            self.bug = self.bug or error

    def _save_soon(self) -> None:
        if self._unsaved_since is not None and self._saving is None and not self._closed:
            self._save_timer = self._loop.call_at(self._unsaved_since + SAVE_AFTER, self._start_saving)

    def _start_saving(self) -> None:
        # Looked at now: when the task has its turn, the end may have come, which is saved by `close`.
        self._unsaved_since = None
        self._saving = self._loop.create_task(self._save_one(self._fold.snapshot()))

    async def _save_one(self, turn: Turn) -> None:
        try:
            await self._save(turn)
        finally:
            self._saving = None
            self._save_soon()


async def run(
    turn: Turn,
    stream: AsyncGenerator[TurnEvent, None],
    *,
    publish: Callable[[Turn], None],
    save: Callable[[Turn], Awaitable[None]],
    stopped: Callable[[], TurnStatus] = lambda: TurnStatus.CANCELLED,
    clock: Clock = SYSTEM,
) -> Turn:
    """Run `turn` on the events of `stream` and return its final state, which has been published and saved.

    `publish` and `save` get whole snapshots; `save` must not raise. `stopped` says what a cancellation means.
    """
    fold = Fold(turn, clock)
    outlet = _Outlet(fold, publish, save)
    bug: Exception | None = None
    try:
        try:
            await _drain(stream, fold, outlet, clock)
        finally:
            outlet.stop()
        last = fold.end(TurnStatus.DONE) if fold.finished else _fail(fold, Incomplete("the answer broke off"))
    except asyncio.CancelledError:
        last = fold.end(stopped())
    except PalaverError as error:
        last = _fail(fold, error)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the turn is saved and the session free again
        bug = error
        failure = Failure("bug", f"Palaver made a mistake: {type(error).__name__}.", exit_status=Exit.BUG)
        last = fold.end(_status_of(fold.snapshot()), failure)
    closing = asyncio.ensure_future(outlet.close(last))
    while not closing.done():
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            continue
    closing.result()
    bug = bug or outlet.bug
    if bug is not None:
        raise bug
    return last


async def _drain(stream: AsyncGenerator[TurnEvent, None], fold: Fold, outlet: _Outlet, clock: Clock) -> None:
    """Take in events until the terminal one."""
    yielded = clock.monotonic()
    async with aclosing(stream) as events:
        async for event in events:
            known = fold.run_name
            fold.apply(event)
            outlet.changed()
            if fold.run_name and fold.run_name != known:
                # Whoever is killed before it is on disk finds no way back to the server's work.
                outlet.save_first()
            if outlet.bug is not None:
                raise outlet.bug
            if fold.finished:
                return
            if clock.monotonic() - yielded > YIELD_AFTER:
                await asyncio.sleep(0)
                yielded = clock.monotonic()


def _status_of(turn: Turn, error: PalaverError | None = None) -> TurnStatus:
    """How a turn has ended that went wrong: failed, unless something of it is there, or still to be had."""
    # Of a run that the server refuses for good nothing more comes; a key or a network can be mended.
    goes_on = bool(turn.run) and error is not None and not isinstance(error, Refused)
    return TurnStatus.INTERRUPTED if turn.has_output or goes_on else TurnStatus.FAILED


def _fail(fold: Fold, error: PalaverError) -> Turn:
    turn = fold.snapshot()
    message, exit_status = error.message, error.exit_status
    if isinstance(error, Incomplete):
        is_countable = sum(len(item.text) for item in turn.items) <= WORDS_COUNTED
        words = sum(len(item.text.split()) for item in turn.items) if is_countable else 0
        kept = f"the {words:,} words that came are kept" if words > 1 else "what came is kept"
        message = f"{message[:1].upper()}{message[1:].rstrip('.')}" + (
            f"; {kept}." if turn.has_output else ", with no answer."
        )
        if not turn.has_output:
            exit_status = Exit.UNREACHABLE
    status = getattr(error, "status", None)
    return fold.end(_status_of(turn, error), Failure(error.kind, message, error.hint, status, int(exit_status)))
