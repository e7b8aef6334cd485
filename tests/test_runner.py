"""One turn to its end: what events add up to, when it is shown and saved, and that it ends once whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest

from tests.virtual_time import VirtualLoop, clock, elapsed, play
from tui.clock import Clock
from tui.errors import ConfigError, Incomplete, Limited, NotAllowed, PalaverError, Refused, Stale, Unreachable
from tui.events import (
    AttemptFailed,
    AttemptStarted,
    ConversationIssued,
    ConversationUnsupported,
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
from tui.model import Attempt, AttemptKind, Failure, Item, ItemKind, Turn, TurnStatus, Usage
from tui.runner import (
    ANSWER_LIMIT,
    PUBLISH_EVERY,
    PUBLISH_LATEST,
    SAVE_AFTER,
    SHOWN_AT_MOST,
    YIELD_AFTER,
    Fold,
    run,
    to_end,
)

PENDING, STREAMING, DONE, CANCELLED, INTERRUPTED, FAILED = TurnStatus
TURN = Turn("turn", "session", 0, "hello")
MESSAGE, TOOL_CALL = ItemKind.MESSAGE, ItemKind.TOOL_CALL


def said(text: str, key: str = "m") -> ItemDelta:
    return ItemDelta(key, MESSAGE, text)


# What events add up to


def fold(*events: TurnEvent, now: float = 100.0) -> Fold:
    folded = Fold(TURN, Clock(lambda: now, lambda: now))
    for event in events:
        folded.apply(event)
    return folded


def test_pieces_add_up_item_by_item_in_the_order_they_began() -> None:
    turn = fold(said("a", "one"), said("x", "two"), said("b", "one")).snapshot()
    assert [(item.key, item.text) for item in turn.items] == [("one", "ab"), ("two", "x")]
    assert turn.text == "ab\n\nx"


def test_the_whole_item_replaces_its_pieces_and_keeps_its_place() -> None:
    truth = Item("one", MESSAGE, "truth")
    assert fold(said("lies", "one"), said("x", "two"), ItemWhole(truth)).snapshot().items == (
        truth,
        Item("two", MESSAGE, "x"),
    )
    assert fold(ItemWhole(truth), said(" and more", "one")).snapshot().text == "truth and more"


def test_a_tools_name_may_come_after_its_first_piece() -> None:
    turn = fold(ItemDelta("t", TOOL_CALL, "{"), ItemDelta("t", TOOL_CALL, "}", "weather", "call_1")).snapshot()
    assert turn.items == (Item("t", TOOL_CALL, "{}", "weather", "call_1"),)
    turn = fold(ItemDelta("t", TOOL_CALL, "", "weather", "call_1"), ItemDelta("t", TOOL_CALL, "{}", "other")).snapshot()
    assert turn.items == (Item("t", TOOL_CALL, "{}", "weather", "call_1"),)


@pytest.mark.parametrize("places", [(1,), (3,), (4,), (3, 4, 5), (1, 2, 3, 4, 5, 6, 7, 8)])
def test_a_character_that_is_cut_in_two_is_whole_once_its_other_half_came(places: tuple[int, ...]) -> None:
    """By servers that cut their text by UTF-16 units. What is shown meanwhile is a beginning of it."""
    units = "a b\ud83d\ude00\ud83d\ude00 c"
    folded, seen = fold(), []
    for start, end in pairwise((0, *places, len(units))):
        folded.apply(said(units[start:end]))
        seen.append(folded.snapshot().text)
    assert seen[-1] == folded.end(DONE).text == "a b\U0001f600\U0001f600 c"
    assert all(seen[-1].startswith(text) for text in seen)


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["a\ud83d"], "a\ufffd"),
        (["a\ud83d", "b"], "a\ufffdb"),
        (["\ude00", "\ud83d"], "\ufffd\ufffd"),
        (["\ud83d", "\ud83d\ude00"], "\ufffd\U0001f600"),
    ],
)
@pytest.mark.parametrize("looked_at", [True, False])
def test_half_a_character_that_stays_alone_is_none(pieces: list[str], text: str, looked_at: bool) -> None:
    folded = fold()
    for piece in pieces:
        folded.apply(said(piece))
        if looked_at:
            folded.snapshot()
    assert folded.end(INTERRUPTED).text == text
    assert fold(ItemWhole(Item("m", MESSAGE, "".join(pieces)))).end(DONE).text == text


def test_an_item_that_is_whole_has_no_half_of_its_pieces() -> None:
    assert fold(said("a\ud83d"), ItemWhole(Item("m", MESSAGE, "ab"))).end(DONE).text == "ab"


def test_a_snapshot_never_changes() -> None:
    folded = fold(said("a"))
    first = folded.snapshot()
    folded.apply(said("b"))
    folded.apply(ItemWhole(Item("m", MESSAGE, "c")))
    assert (first.text, folded.snapshot().text) == ("a", "c")


def test_everything_else_an_event_can_tell() -> None:
    turn = fold(
        Placed(7),
        AttemptStarted(AttemptKind.FIRST, "resp_old"),
        ModelNamed("big"),
        Noted("one"),
        Noted("two"),
        Used(Usage(1, 2)),
        Used(Usage(3, 4)),
        ConversationUnsupported(),
        ConversationIssued("resp_new"),
        Finished("length"),
    ).snapshot()
    assert (turn.depth, turn.model, turn.notes, turn.usage) == (7, "big", ("one", "two"), Usage(3, 4))
    assert (turn.conversation_id, turn.finish) == ("resp_new", "length")
    assert turn.attempts == (Attempt(1, AttemptKind.FIRST, 100.0, sent_id="resp_old"),)


def test_a_turn_streams_from_its_first_item_and_is_visible_from_its_first_word() -> None:
    assert fold(AttemptStarted(AttemptKind.FIRST)).snapshot().status is PENDING
    opened = fold(ItemDelta("m", MESSAGE))
    assert (opened.snapshot().status, opened.snapshot().first_text_at) == (STREAMING, None)
    opened.apply(said("a"))
    assert opened.snapshot().first_text_at == 100.0
    assert fold(ItemDelta("t", TOOL_CALL, "", "weather")).snapshot().first_text_at == 100.0
    assert fold(ItemWhole(Item("m", MESSAGE, "a"))).snapshot().first_text_at == 100.0


def test_a_pause_is_told_while_it_lasts() -> None:
    folded = fold(AttemptStarted(AttemptKind.FIRST), AttemptFailed("503"), Waiting(20.0, "unavailable"))
    assert (folded.snapshot().waiting_until, folded.snapshot().waiting_for) == (120.0, "unavailable")
    folded.apply(AttemptStarted(AttemptKind.RETRY))
    assert (folded.snapshot().waiting_until, folded.snapshot().waiting_for) == (None, "")
    ended = fold(Waiting(20.0, "unavailable")).end(CANCELLED)
    assert (ended.waiting_until, ended.waiting_for) == (None, "")


def test_an_attempt_that_failed_leaves_nothing_but_its_record_and_the_notes() -> None:
    turn = fold(
        AttemptStarted(AttemptKind.FIRST, "resp_old"),
        ItemDelta("r", ItemKind.REASONING),
        AttemptFailed("stale: gone"),
        Noted("started afresh"),
        AttemptStarted(AttemptKind.FRESH),
        said("fine"),
        ConversationIssued("resp_new"),
    ).end(DONE)
    assert [item.key for item in turn.items] == ["m"]
    assert turn.notes == ("started afresh",)
    assert turn.attempts == (
        Attempt(1, AttemptKind.FIRST, 100.0, 100.0, "resp_old", "", "stale: gone"),
        Attempt(2, AttemptKind.FRESH, 100.0, 100.0, "", "resp_new", "done"),
    )


def test_a_turn_ends_with_its_error() -> None:
    failure = Failure("refused", "no")
    turn = fold(AttemptStarted(AttemptKind.FIRST)).end(FAILED, failure)
    assert (turn.status, turn.error, turn.ended_at) == (FAILED, failure, 100.0)
    assert turn.attempts[0].outcome == "no"
    assert fold().end(CANCELLED).attempts == ()


def test_an_answer_has_a_longest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.runner.ANSWER_LIMIT", 10)
    folded = fold(said("12345"), said("67890", "n"))
    with pytest.raises(Incomplete, match="was stopped"):
        folded.apply(said("!"))
    folded = fold(said("12345"), ItemWhole(Item("m", MESSAGE, "1234567890")))
    with pytest.raises(Incomplete):
        folded.apply(said("!"))
    assert fold(said("1234567890"), ItemWhole(Item("m", MESSAGE, "abcdefghij"))).snapshot().text == "abcdefghij"
    begun_again = fold(said("1234567890"), AttemptStarted(AttemptKind.RETRY), said("abcdefghij"))
    assert begun_again.snapshot().text == "abcdefghij"
    assert ANSWER_LIMIT == 64 * 1024 * 1024


FLOODS: dict[str, Callable[[str], TurnEvent]] = {
    "items without text": lambda key: ItemDelta(key, MESSAGE, ""),
    "whole items without text": lambda key: ItemWhole(Item(key, MESSAGE, "")),
    "long keys": lambda key: ItemDelta(key + "k" * 1000, MESSAGE, ""),
    "long names": lambda key: ItemDelta(key, TOOL_CALL, "", "n" * 1000),
    "long names of whole items": lambda key: ItemWhole(Item(key, TOOL_CALL, "", "n" * 1000)),
    "long ids": lambda key: ItemDelta(key, TOOL_CALL, "", "n", "i" * 1000),
    "notes": Noted,
}


@pytest.mark.parametrize("flood", FLOODS)
def test_what_comes_beside_the_text_has_a_limit_too(flood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.runner.BESIDE_LIMIT", 100_000)
    pieces = [FLOODS[flood](f"key {number}") for number in range(200)]
    assert fold(*pieces[:50]).snapshot()
    with pytest.raises(Incomplete, match="was stopped"):
        fold(*pieces)


def test_what_is_told_again_takes_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.runner.BESIDE_LIMIT", 2000)
    folded = fold()
    for text in "ab" * 500:
        folded.apply(ItemWhole(Item("one", TOOL_CALL, text, "name", "id")))
        folded.apply(ItemDelta("one", TOOL_CALL, text, "name", "id"))
    for _ in range(10):
        folded.apply(AttemptStarted(AttemptKind.RETRY))
        folded.apply(said("a"))
        folded.apply(said("b", "two"))
    assert [item.key for item in folded.snapshot().items] == ["m", "two"]


def test_a_look_at_a_turn_makes_only_those_items_anew_that_changed() -> None:
    folded = fold(said("a", "one"), said("x", "two"), said("b", "three"))
    before = folded.snapshot()
    folded.apply(said("y", "two"))
    folded.apply(said("c", "four"))
    after = folded.snapshot()
    assert [item.text for item in after.items] == ["a", "xy", "b", "c"]
    assert [new is old for new, old in zip(after.items, before.items, strict=False)] == [True, False, True]


# A turn in virtual time


@dataclass
class Scene:
    """A turn, what its stream says and when, and everything that was made of it. A number in `script` is a pause."""

    script: list[TurnEvent | float | Exception]
    save_takes: float = 0.0
    stopped: TurnStatus = CANCELLED
    on_publish: Callable[[Turn], None] = lambda turn: None
    closed: int = 0
    result: Turn | None = None
    error: Exception | None = None
    shown: list[tuple[float, Turn]] = field(default_factory=list)
    saved: list[tuple[float, float, Turn]] = field(default_factory=list)
    saving: int = 0

    async def stream(self) -> AsyncGenerator[TurnEvent, None]:
        try:
            for step in self.script:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif isinstance(step, Exception):
                    raise step
                else:
                    yield step
        finally:
            self.closed += 1

    def publish(self, turn: Turn) -> None:
        self.shown.append((elapsed(), turn))
        self.on_publish(turn)

    async def save(self, turn: Turn) -> None:
        began = elapsed()
        self.saving += 1
        assert self.saving == 1, "two saves at once"
        await asyncio.sleep(self.save_takes)
        self.saving -= 1
        self.saved.append((began, elapsed(), turn))

    async def run(self) -> None:
        try:
            self.result = await run(
                TURN,
                self.stream(),
                publish=self.publish,
                save=self.save,
                stopped=lambda: self.stopped,
                clock=clock(),
            )
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def check(self) -> Turn:
        """The final state: told last, saved last, each exactly once; with nothing running behind it."""
        last = self.shown[-1][1]
        assert [turn.status.is_final for _, turn in self.shown] == [False] * (len(self.shown) - 1) + [True]
        assert [turn.status.is_final for _, _, turn in self.saved] == [False] * (len(self.saved) - 1) + [True]
        assert self.saved[-1][2] == last
        assert self.result in (None, last)
        assert self.closed <= 1
        assert self.saving == 0
        return last


def played(scene: Scene, beside: Callable[[asyncio.Task[None]], Awaitable[None]] | None = None) -> Turn:
    """Play `scene`, doing something `beside` it. Gives the turn's final state."""

    async def both() -> None:
        task = asyncio.get_running_loop().create_task(scene.run())
        if beside:
            await beside(task)
        await task
        await asyncio.sleep(10.0)

    play(both)
    return scene.check()


def words(count: int, every: float) -> list[TurnEvent | float | Exception]:
    """So many words, each followed by a pause."""
    return [step for number in range(count) for step in (said(f"{number} "), every)]


def test_a_turn_that_goes_well() -> None:
    scene = Scene([AttemptStarted(AttemptKind.FIRST), said("fi"), said("ne"), ConversationIssued("resp_1"), Finished()])
    turn = played(scene)
    assert (turn.status, turn.text, turn.conversation_id, turn.error) == (DONE, "fine", "resp_1", None)
    assert scene.result == turn
    assert scene.closed == 1
    assert len(scene.saved) == 1


def test_nothing_is_read_after_the_end() -> None:
    assert played(Scene([said("fine"), Finished(), said(" and more"), RuntimeError("never reached")])).text == "fine"


# Showing


@pytest.mark.parametrize("every", [0.0, 0.001, 0.007, 0.016, 0.05, 1.0])
def test_snapshots_come_at_once_and_never_faster_than_anyone_sees(every: float) -> None:
    scene = Scene([*words(int(2 / (every or 0.001)), every), Finished()])
    turn = played(scene)
    times = [time for time, _ in scene.shown[:-1]]
    gaps = [after - before for before, after in pairwise(times)]
    assert all(gap >= PUBLISH_EVERY - 1e-9 for gap in gaps)
    assert scene.shown[0][0] <= PUBLISH_EVERY
    texts = [shown.text for _, shown in scene.shown]
    assert all(after.startswith(before) for before, after in pairwise(texts))
    assert texts[-1] == turn.text


def test_what_comes_is_visible_within_a_sixtieth_of_a_second() -> None:
    scene = Scene([*words(200, 0.013), Finished()])
    played(scene)
    for number in range(200):
        came = number * 0.013
        seen = min(time for time, turn in scene.shown if turn.text.split()[number : number + 1])
        assert seen - came <= PUBLISH_EVERY + 1e-6


@pytest.mark.parametrize("silent", [0.0, 0.001, 0.02, 5.0])
def test_the_first_word_is_visible_at_once_whatever_came_before_it(silent: float) -> None:
    before = [AttemptStarted(AttemptKind.FIRST), silent, ItemDelta("m", MESSAGE), 0.001]
    scene = Scene([*before, *words(100, 0.001), Finished()])
    played(scene)
    seen = [time for time, turn in scene.shown if turn.text]
    assert seen[0] - silent <= 0.001 + 1e-6
    assert seen[1] - seen[0] >= PUBLISH_EVERY - 1e-9


def test_nothing_is_shown_while_nothing_changes() -> None:
    scene = Scene([said("a"), 60.0, said("b"), 60.0, Finished()])
    played(scene)
    assert len(scene.shown) == 3


# Saving


@pytest.mark.parametrize("save_takes", [0.0, 0.02, 0.08])
@pytest.mark.parametrize("every", [0.003, 0.05, 0.21, 0.24, 1.0])
def test_what_is_visible_is_on_disk_within_a_quarter_of_a_second(every: float, save_takes: float) -> None:
    scene = Scene([*words(int(5 / every), every), 1.0, Finished()], save_takes=save_takes)
    played(scene)
    for visible, turn in scene.shown[:-1]:
        durable = min(end for _, end, saved in scene.saved if saved.text.startswith(turn.text))
        assert durable - visible <= 0.25 + 1e-6


@pytest.mark.parametrize("every", [0.0005, 0.01, 0.1])
def test_a_flood_is_saved_a_few_times_a_second(every: float) -> None:
    scene = Scene([*words(int(10 / every), every), Finished()])
    played(scene)
    times = [began for began, _, _ in scene.saved]
    assert 45 <= len(times) <= 67
    assert max(sum(start <= time < start + 1.0 for time in times) for start in times) <= 7


def test_a_slow_save_is_never_overtaken_and_the_next_begins_at_once() -> None:
    scene = Scene([*words(500, 0.01), Finished()], save_takes=0.9)
    turn = played(scene)
    for (_, ended, before), (began, _, after) in pairwise(scene.saved):
        assert began >= ended
        assert began - ended <= SAVE_AFTER
        assert after.text.startswith(before.text)
    assert scene.saved[-1][2] == turn


@pytest.mark.fault("C07")
@pytest.mark.parametrize("how", ["ends", "fails", "is cancelled", "is cancelled twice"])
def test_a_save_in_progress_is_waited_for(how: str) -> None:
    """It began at 0.15 and takes two seconds; the turn ends at half a second."""
    end: TurnEvent | Exception = Refused("no") if how == "fails" else Finished()
    scene = Scene([said("a"), 0.5, *([] if "cancelled" in how else [end]), 100.0], save_takes=2.0)

    async def cancel(task: asyncio.Task[None]) -> None:
        await asyncio.sleep(0.5)
        if "cancelled" in how:
            task.cancel()
        if "twice" in how:
            await asyncio.sleep(0.5)
            task.cancel()

    turn = played(scene, cancel)
    assert [(round(began, 3), round(ended, 3)) for began, ended, _ in scene.saved] == [(0.15, 2.15), (2.15, 4.15)]
    assert round(scene.shown[-1][0], 3) == 0.5, "the user is told at once"
    assert turn.status is (CANCELLED if "cancelled" in how else INTERRUPTED if how == "fails" else DONE)


def test_silence_is_not_saved() -> None:
    scene = Scene([said("a"), 3600.0, Finished()])
    played(scene)
    assert [round(began, 3) for began, _, _ in scene.saved] == [0.15, 3600.0]


def test_the_name_of_a_run_that_goes_on_is_saved_at_once() -> None:
    """Whoever is killed before it is on disk finds no way back."""
    scene = Scene([said("a"), 0.05, RunNamed("run_1"), 0.04, RunNamed("run_1"), 3600.0, Finished()], save_takes=0.02)
    played(scene)
    # Once: what is told again is saved as late as all else.
    assert [(round(began, 3), turn.run) for began, _, turn in scene.saved][:2] == [(0.05, "run_1"), (0.24, "run_1")]
    scene = Scene([said("a"), 0.2, RunNamed("run_1"), 3600.0, Finished()], save_takes=0.5)
    played(scene)
    assert [(round(began, 3), turn.run) for began, _, turn in scene.saved][:2] == [(0.15, ""), (0.65, "run_1")]


def test_a_turn_that_is_quick_is_saved_once() -> None:
    scene = Scene([*words(10, 0.01), Finished()])
    played(scene)
    assert len(scene.saved) == 1


# Ending badly


@pytest.mark.parametrize(
    ("error", "status", "exit_status", "message"),
    [
        (Refused("The server said no.", hint="ask again", status=400), FAILED, 6, "The server said no."),
        (NotAllowed("not you", status=401), FAILED, 4, "not you"),
        (Limited("busy", status=429), FAILED, 8, "busy"),
        (Unreachable("nothing there"), FAILED, 5, "nothing there"),
        (Stale("gone"), FAILED, 6, "gone"),
        (Incomplete("the connection was lost"), FAILED, 5, "The connection was lost, with no answer."),
    ],
)
def test_an_error_before_any_answer(error: PalaverError, status: TurnStatus, exit_status: int, message: str) -> None:
    turn = played(Scene([AttemptStarted(AttemptKind.FIRST), ItemDelta("m", MESSAGE), error]))
    assert turn.status is status
    assert turn.error == Failure(error.kind, message, error.hint, getattr(error, "status", None), exit_status)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("one two three", "the 3 words that came are kept"),
        ("word", "what came is kept"),
        ("w " * 1234, "the 1,234 words"),
    ],
)
def test_an_answer_that_broke_off_keeps_its_words(text: str, kept: str) -> None:
    turn = played(Scene([said(text), Incomplete("the server broke off: Connection error.")]))
    assert (turn.status, turn.text) == (INTERRUPTED, text)
    assert turn.error is not None
    assert turn.error.exit_status == 7
    assert turn.error.message.startswith(f"The server broke off: Connection error; {kept}")


def test_the_words_of_a_very_long_answer_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.runner.WORDS_COUNTED", 9)
    for text, kept in (("two words", "the 2 words that came are kept"), ("two words.", "what came is kept")):
        turn = played(Scene([said(text), Incomplete("the connection was lost")]))
        assert str(turn.error) == f"The connection was lost; {kept}."


def test_a_refusal_after_some_of_the_answer_interrupts_it() -> None:
    turn = played(Scene([said("half"), Refused("malformed")]))
    assert (turn.status, turn.error and turn.error.exit_status) == (INTERRUPTED, 6)


@pytest.mark.parametrize("events", [[], [said("half")], [AttemptStarted(AttemptKind.FIRST)]])
def test_a_stream_that_just_ends_is_not_done(events: list[Any]) -> None:
    turn = played(Scene(events))
    assert turn.status is (INTERRUPTED if events and isinstance(events[0], ItemDelta) else FAILED)
    assert turn.error is not None
    assert "broke off" in turn.error.message


def test_what_is_dear_to_show_is_shown_less_often() -> None:
    """A snapshot of 64 MiB takes 35 ms: thirty a second would leave no time for anything else."""

    def slowly(_: Turn) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.spend(takes)

    for takes in (0.035, 0.2):
        scene = Scene([*words(2000, 0.001), Finished()], on_publish=slowly)
        assert played(scene).text == "".join(f"{number} " for number in range(2000))
        gaps = [later - earlier for earlier, later in pairwise([at for at, _ in scene.shown][:-1])]
        every = min(PUBLISH_LATEST, SHOWN_AT_MOST * takes)
        assert gaps == [pytest.approx(every, abs=0.01)] * len(gaps)
        assert len(gaps) > 5


def test_an_answer_that_is_too_long_is_stopped_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.runner.ANSWER_LIMIT", 1000)
    scene = Scene([*words(1000, 0.001), Finished()])
    turn = played(scene)
    assert (turn.status, turn.error and turn.error.exit_status) == (INTERRUPTED, 7)
    assert 1000 <= len(turn.text) <= 1010
    assert scene.closed == 1


# Bugs


@pytest.mark.parametrize("bug", [RuntimeError("oops"), KeyError("x"), AssertionError(), RecursionError()])
@pytest.mark.parametrize("before", [[], [said("half")]], ids=["nothing", "half"])
def test_a_bug_in_a_protocol_saves_the_turn_as_failed_and_comes_to_light(before: list[Any], bug: Exception) -> None:
    scene = Scene([*before, 0.1, bug])
    turn = played(scene)
    assert scene.error is bug
    assert turn.status is (INTERRUPTED if before else FAILED)
    assert turn.error == Failure("bug", f"Palaver made a mistake: {type(bug).__name__}.", exit_status=1)
    assert turn.text == ("half" if before else "")


def test_a_bug_in_a_subscriber_saves_the_turn_as_failed_and_comes_to_light() -> None:
    bug = RuntimeError("oops")

    def fail(turn: Turn) -> None:
        if "3" in turn.text and not turn.status.is_final:
            raise bug

    scene = Scene([*words(100, 0.05), Finished()], on_publish=fail)
    turn = played(scene)
    assert scene.error is bug
    assert turn.status is INTERRUPTED
    assert turn.error == Failure("bug", "Palaver made a mistake: RuntimeError.", exit_status=1)
    assert turn.text.startswith("0 1 2 3 ")
    assert scene.closed == 1


def test_a_subscriber_that_fails_only_at_the_end_loses_nothing() -> None:
    bug = RuntimeError("oops")

    def fail(turn: Turn) -> None:
        if turn.status.is_final:
            raise bug

    scene = Scene([said("fine"), 1.0, Finished()], on_publish=fail)
    turn = played(scene)
    assert scene.error is bug
    assert (turn.status, turn.text) == (DONE, "fine")


def test_a_subscriber_that_always_fails_does_not_keep_text_from_disk() -> None:
    def fail(turn: Turn) -> None:
        raise RuntimeError("oops")

    scene = Scene([said("a"), 1.0, said("b"), Finished()], on_publish=fail)
    played(scene)
    assert isinstance(scene.error, RuntimeError)
    assert [turn.text for _, _, turn in scene.saved] == ["a", "ab"]


# Cancelling


@pytest.mark.parametrize("again", [None, 0.0, 0.001, 0.3], ids=["once", "at once", "a moment later", "later"])
@pytest.mark.parametrize("moment", [0.0001, 0.05, 0.1499, 0.15, 0.1501, 0.16, 0.2999, 0.3, 0.3001])
@pytest.mark.fault("C03", "C04", "C05")
def test_cancelled_at_any_moment(moment: float, again: float | None) -> None:
    scene = Scene([AttemptStarted(AttemptKind.FIRST), *words(3, 0.1), Finished()], save_takes=0.05)

    async def cancel(task: asyncio.Task[None]) -> None:
        await asyncio.sleep(moment)
        task.cancel()
        if again is not None:
            await asyncio.sleep(again)
            task.cancel()

    turn = played(scene, cancel)
    assert turn.status in (CANCELLED, DONE)
    assert turn.status is CANCELLED or moment >= 0.3
    assert turn.text == "".join(f"{number} " for number in range(min(3, 1 + int(moment / 0.1 + 1e-9))))
    assert scene.result == turn
    assert scene.closed == 1


@pytest.mark.parametrize("again", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("passes", range(1, 14))
@pytest.mark.fault("C04", "C05")
def test_cancelled_after_any_number_of_passes_of_the_loop(passes: int, again: int | None) -> None:
    scene = Scene([said("a"), 0.0, said("b"), 0.0, said("c"), 0.0, Finished()], save_takes=0.0)

    async def cancel(task: asyncio.Task[None]) -> None:
        for _ in range(passes):
            await asyncio.sleep(0)
        task.cancel()
        if again is not None:
            for _ in range(again):
                await asyncio.sleep(0)
            task.cancel()

    turn = played(scene, cancel)
    assert turn.status in (CANCELLED, DONE)
    assert "abc".startswith(turn.text)
    assert scene.closed == 1


def test_cancelled_again_and_again_while_the_end_is_saved() -> None:
    scene = Scene([said("a"), Finished()], save_takes=1.0)

    async def cancel(task: asyncio.Task[None]) -> None:
        for _ in range(20):
            await asyncio.sleep(0.03)
            task.cancel()

    turn = played(scene, cancel)
    assert (turn.status, turn.text) == (DONE, "a")
    assert scene.result == turn
    assert len(scene.saved) == 1


def test_what_a_cancellation_means_is_asked_of_who_made_it() -> None:
    scene = Scene([said("a"), 10.0], stopped=INTERRUPTED)

    async def cancel(task: asyncio.Task[None]) -> None:
        await asyncio.sleep(1.0)
        task.cancel()

    assert played(scene, cancel).status is INTERRUPTED


def test_a_stream_that_takes_long_to_close_is_waited_for_and_ends_the_turn_once() -> None:
    closed: list[float] = []

    async def close() -> None:
        await asyncio.sleep(2.0)
        closed.append(elapsed())

    class Slow(Scene):
        async def stream(self) -> AsyncGenerator[TurnEvent, None]:
            try:
                yield said("a")
                await asyncio.sleep(100.0)
            finally:
                await to_end(close())

    scene = Slow([])

    async def cancel(task: asyncio.Task[None]) -> None:
        await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.sleep(1.0)
        task.cancel()

    turn = played(scene, cancel)
    assert (turn.status, turn.text) == (CANCELLED, "a")
    assert closed == [3.0]
    assert scene.shown[-1][0] == 3.0


# Sharing the loop


class Flood(Scene):
    """A million events a second that are all there already: none of them waits for anything."""

    count = 200_000

    async def stream(self) -> AsyncGenerator[TurnEvent, None]:
        loop = cast(VirtualLoop, asyncio.get_running_loop())
        try:
            for _ in range(self.count):
                loop.spend(0.000001)
                yield said("x")
            yield Finished()
        finally:
            self.closed += 1


def test_a_flood_lets_others_in_every_few_milliseconds() -> None:
    gaps: list[float] = []

    async def breathe(task: asyncio.Task[None]) -> None:
        before = elapsed()
        while not task.done():
            await asyncio.sleep(0)
            gaps.append(elapsed() - before)
            before = elapsed()

    scene = Flood([])
    turn = played(scene, breathe)
    assert (turn.status, len(turn.text)) == (DONE, 200_000)
    assert max(gaps) <= YIELD_AFTER + 0.001


@pytest.mark.fault("N28")
def test_a_flood_is_shown_and_saved_as_little_as_a_trickle() -> None:
    scene = Flood([])
    scene.count = 600_000
    played(scene)
    assert 10 <= len(scene.shown) <= 0.6 * 30 + 1
    assert len(scene.saved) <= 0.6 / SAVE_AFTER + 1


@pytest.mark.fault("N28")
def test_a_flood_is_stopped_at_once() -> None:
    asked: list[float] = []

    async def cancel(task: asyncio.Task[None]) -> None:
        await asyncio.sleep(0.05)
        asked.append(elapsed())
        task.cancel()

    scene = Flood([])
    turn = played(scene, cancel)
    assert turn.status is CANCELLED
    assert scene.shown[-1][0] - asked[0] < 0.1
    assert scene.closed == 1


# Work that has to be done


def test_work_is_done_to_its_end() -> None:
    async def scene() -> None:
        async def work(result: int) -> int:
            await asyncio.sleep(1.0)
            return result

        assert await to_end(work(5)) == 5
        finished: list[int] = []

        async def noted() -> None:
            finished.append(await work(6))

        for times in (1, 2, 5):
            finished.clear()
            task = asyncio.create_task(to_end(noted()))
            for _ in range(times):
                await asyncio.sleep(0.1)
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert finished == [6]

    play(scene)


def test_work_that_fails_says_so_unless_it_was_cancelled_meanwhile() -> None:
    async def scene() -> None:
        async def work() -> None:
            await asyncio.sleep(1.0)
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await to_end(work())
        task = asyncio.create_task(to_end(work()))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    play(scene)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Incomplete("the connection was lost"), INTERRUPTED),
        (Unreachable("nothing answers"), INTERRUPTED),
        (NotAllowed("not you", status=401), INTERRUPTED),
        (ConfigError("there is no key"), INTERRUPTED),
        (Limited("too many requests"), INTERRUPTED),
        (Refused("no"), TurnStatus.FAILED),
    ],
)
def test_a_run_that_goes_on_is_not_lost_because_nothing_of_it_came_yet(error: PalaverError, status: TurnStatus) -> None:
    turn = played(Scene([RunNamed("run_1"), error]))
    assert (turn.status, turn.run) == (status, "run_1" if status is INTERRUPTED else "")
