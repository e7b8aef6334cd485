"""Records of Agenta sessions: in whatever order and shape they come, the runs they make and what these say."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from tui.client.protocols.agenta_records import Run, Wanted, read_records, read_time, runs_of, tell
from tui.client.reply import Reply
from tui.model import ItemKind, Usage

_IDS = itertools.count(1)


def row(
    index: object, event: Any, *, turn: str = "t1", user: bool = False, second: int = 0, **more: Any
) -> dict[str, Any]:
    """A record as the newer servers have it."""
    kind = event.get("type") if isinstance(event, dict) else None
    return {
        "record_id": f"rec-{next(_IDS)}", "record_index": index, "record_type": kind,
        "record_source": "user" if user else "agent", "attributes": event, "turn_id": turn,
        "timestamp": f"2026-07-01T10:00:{second:02}Z", **more,
    }  # fmt: skip


def older(index: object, event: Any, *, user: bool = False, **more: Any) -> dict[str, Any]:
    """A record as the older servers have it."""
    sender = "user" if user else "runner"
    return {"id": f"rec-{next(_IDS)}", "event_index": index, "sender": sender, "payload": event, **more}


def message(said: str) -> dict[str, Any]:
    return {"type": "message", "text": said}


def done(stop: str = "end_turn") -> dict[str, Any]:
    return {"type": "done", "stopReason": stop}


def asks(token: str = "int_1") -> dict[str, Any]:
    call = {"toolCallId": "c1", "toolCall": {"name": "deploy", "input": {"to": "prod"}}}
    return {"type": "interaction_request", "id": token, "kind": "user_approval", "payload": call}


def turn(name: str, prompt: str, said: str, *, stop: str | None = "end_turn", second: int = 0) -> list[dict[str, Any]]:
    """The records of a plain run."""
    rows = [
        row(0, message(prompt), turn=name, user=True, second=second),
        row(1, message(said), turn=name, second=second),
    ]
    return rows + ([row(2, done(stop), turn=name, second=second)] if stop is not None else [])


def runs(rows: list[Any]) -> list[Run]:
    return runs_of(read_records({"count": len(rows), "records": rows}))


def texts(found: list[Run]) -> list[str]:
    return [item.text for item in tell(found).items]


TOOL = [
    row(0, message("weather?"), user=True),
    row(1, {"type": "thought", "text": "hmm"}),
    row(2, {"type": "tool_call", "id": "c1", "name": "weather", "input": {"city": "SF"}}),
    row(3, {"type": "tool_result", "id": "c1", "output": "sunny"}),
    row(4, message("It is sunny.")),
    row(5, {"type": "usage", "input": 3, "output": 2}),
    row(6, done()),
]


@pytest.mark.parametrize("seed", range(8))
def test_agenta_15_records_out_of_order_end_in_the_right_one(seed: int) -> None:
    rows = list(TOOL)
    random.Random(seed).shuffle(rows)
    (run,) = runs(rows)
    assert run.is_whole
    assert run.prompt == "weather?"
    told = tell([run])
    assert [(str(item.kind), item.text) for item in told.items] == [
        ("reasoning", "hmm"),
        ("tool_call", '{"city": "SF"}'),
        ("tool_result", "sunny"),
        ("message", "It is sunny."),
    ]
    assert (told.usage, told.stop, told.finish) == (Usage(3, 2), "end_turn", "")


def test_agenta_15_late_records_hold_back_those_after_them() -> None:
    (run,) = runs(TOOL[:2] + TOOL[3:])
    assert not run.is_whole
    assert [item.text for item in tell([run], whole=False).items] == ["hmm"]
    assert [item.text for item in tell([run]).items] == ["hmm", "sunny", "It is sunny."]
    (without_first,) = runs(TOOL[1:])
    assert without_first.ready == ()


def test_agenta_15_old_records_that_were_removed_are_no_error() -> None:
    rows = turn("t1", "one", "eins", second=1)[1:] + turn("t2", "two", "zwei", second=2)
    first, second = runs(rows)
    assert first.prompt is None
    assert texts([first, second]) == ["eins", "zwei"]
    assert second.is_whole


def test_runs_are_ordered_by_when_they_were() -> None:
    rows = turn("t2", "two", "zwei", second=2) + turn("t1", "one", "eins", second=1)
    assert [run.prompt for run in runs(rows)] == ["one", "two"]
    untimed = [{**one, "timestamp": None} for one in rows]
    assert [run.prompt for run in runs(untimed)] == ["two", "one"]


def test_a_record_is_one_however_often_it_was_written() -> None:
    again = {**TOOL[4], "record_id": "another"}
    same = {**TOOL[3]}
    assert texts(runs([*TOOL, again, same])) == texts(runs(TOOL))


def test_what_came_too_late_to_count_is_left_out() -> None:
    rows = [*TOOL, row(7, message("late work"), quarantined_at="2026-07-01T10:00:00Z")]
    assert texts(runs(rows))[-1] == "It is sunny."


# Older servers


def test_older_records_that_count_through_the_session() -> None:
    rows = [
        older(0, message("one"), user=True), older(1, message("eins")), older(2, done()),
        older(3, message("two"), user=True), older(4, message("zwei")), older(5, done()),
    ]  # fmt: skip
    random.Random(1).shuffle(rows)
    first, second = runs(rows)
    assert (first.prompt, first.is_whole, second.prompt, second.is_whole) == ("one", True, "two", True)
    late = [one for one in rows if one["event_index"] != 4]
    assert [len(run.ready) for run in runs(late)] == [3, 1]


def test_older_records_that_count_anew_with_each_run_and_hold_no_prompts() -> None:
    rows = [older(0, message("eins")), older(1, done()), older(1, done()), older(0, message("zwei"))]
    first, second = runs(rows)
    assert (texts([first]), texts([second])) == (["eins"], ["zwei"])
    assert second.is_whole
    assert (first.prompt, second.prompt) == (None, None)


def test_an_older_pause_ends_a_run_too() -> None:
    rows = [older(0, asks()), older(1, done("paused")), older(2, message("deployed")), older(3, done())]
    first, second = runs(rows)
    assert first.asked(frozenset({"int_1"}))
    assert texts([second]) == ["deployed"]


def test_records_without_a_number_stay_where_they_came() -> None:
    rows = [row(None, message("a")), row(None, message("b")), row(None, done())]
    (run,) = runs(rows)
    assert (texts([run]), run.is_whole) == (["a", "b"], True)


@pytest.mark.parametrize("junk", [None, 5, "x", [], {}, {"records": 5}, {"records": [5, None, "x", [], {}]}])
def test_an_answer_that_is_none_holds_nothing(junk: object) -> None:
    assert all(not tell([run]).items for run in runs_of(read_records(junk)))


@pytest.mark.parametrize("junk", [None, 5, True, "", "x", [], {}, [[]], -1, 1e300, "9999-99-99"], ids=repr)
def test_fields_of_the_wrong_kind_break_nothing(junk: object) -> None:
    for good in TOOL:
        for name in good:
            found = runs([{**good, name: junk}, *TOOL])
            assert tell(found).items
            Wanted("weather?").among(found, is_running=False)
        for name in good["attributes"]:
            tell(runs([{**good, "attributes": {**good["attributes"], name: junk}}]))


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("1970-01-01T00:00:10Z", 10.0), ("1970-01-01T00:00:10+00:00", 10.0), ("1970-01-01T00:00:10", 10.0),
     ("yesterday", None), ("", None), (5, None), (None, None)],
)  # fmt: skip
def test_times(said: object, seconds: float | None) -> None:
    assert read_time(said) == seconds


# How a run ended


@pytest.mark.parametrize(
    ("stop", "finish"),
    [("end_turn", ""), ("", ""), ("max_tokens", "length"), ("refusal", "content-filter"), ("cancelled", "cancelled"),
     ("paused", "other"), ("odd", "odd")],
)  # fmt: skip
def test_why_it_stopped(stop: str, finish: str) -> None:
    assert tell(runs(turn("t1", "one", "eins", stop=stop))).finish == finish


def test_a_run_that_asks() -> None:
    told = tell(runs([row(0, asks()), row(1, done("paused"))]))
    assert (told.asks, told.finish) == (True, "approval")
    (_, asked) = told.items
    assert (asked.kind, asked.call_id, asked.key) == (ItemKind.APPROVAL, "int_1", "c1/approval")


def test_a_run_that_failed() -> None:
    told = tell(
        runs([row(0, message("half")), row(1, {"type": "error", "message": "m", "code": "c"}), row(2, done("error"))])
    )
    assert told.failure == Reply(0, "m", "c", form="json")
    assert (told.ended_well, texts(runs([row(0, message("half"))]))) == (False, ["half"])


# Which runs belong to a turn

ONE, TWO = turn("t1", "one", "eins", second=1), turn("t2", "two", "zwei", second=2)
RUNNING = turn("t2", "two", "zwei", stop=None, second=2)
GOES_ON = [row(0, message("deployed"), turn="t3", second=3), row(1, done(), turn="t3", second=3)]
PAUSED = [row(0, message("two"), turn="t2", user=True, second=2), row(1, asks(), turn="t2", second=2),
          row(2, done("paused"), turn="t2", second=2)]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "rows", "running", "turns"),
    [
        pytest.param(Wanted("two"), ONE + TWO, False, ["t2"], id="the newest"),
        pytest.param(Wanted(" two\n"), ONE + RUNNING, True, ["t2"], id="running"),
        pytest.param(Wanted("two"), ONE, False, [], id="nothing of it yet"),
        pytest.param(Wanted("one"), ONE, True, [], id="the same words, said before"),
        pytest.param(Wanted("one"), ONE, False, ["t1"], id="ended"),
        pytest.param(Wanted("one"), ONE + TWO, False, ["t1"], id="others came after"),
        pytest.param(Wanted("two"), PAUSED + GOES_ON, False, ["t2", "t3"], id="answered elsewhere"),
        pytest.param(Wanted("x", turn="t1"), ONE + TWO, False, ["t1"], id="by the server's name"),
        pytest.param(Wanted("Approved: deploy"), PAUSED + GOES_ON, False, ["t3"], id="what goes on has no prompt"),
        pytest.param(Wanted("Denied: deploy (two)"), ONE + TWO, False, ["t2"], id="a reason is a prompt"),
        pytest.param(Wanted("one"), turn("t1", "one", "ei", stop="cancelled", second=1) + TWO, False, ["t1", "t2"], id="steered"),
        pytest.param(Wanted("one", is_steered=True), turn("t1", "one", "ei", stop="cancelled", second=1) + RUNNING, True,
                     ["t2"], id="after steering"),
        pytest.param(Wanted(asked=frozenset({"int_1"})), PAUSED, False, [], id="not gone on yet"),
        pytest.param(Wanted(asked=frozenset({"int_1"})), PAUSED + GOES_ON, False, ["t3"], id="gone on"),
        pytest.param(Wanted(asked=frozenset({"gone"}), known=frozenset(one["record_id"] for one in PAUSED)), PAUSED + GOES_ON,
                     False, ["t3"], id="the question is not recorded"),
        pytest.param(Wanted("two"), [], True, [], id="nothing"),
        pytest.param(Wanted("one", is_steered=True), ONE, True, [], id="steered, nothing yet"),
        pytest.param(Wanted("three", is_steered=True), PAUSED + GOES_ON, True, [], id="steered, nothing written yet"),
        pytest.param(Wanted("one"), ONE + RUNNING, True, ["t1"], id="another one runs"),
    ],
)  # fmt: skip
def test_the_runs_of_a_turn(wanted: Wanted, rows: list[dict[str, Any]], running: bool, turns: list[str]) -> None:
    assert [run.turn for run in wanted.among(runs(rows), is_running=running)] == turns


def test_without_prompts_the_newest_run_is_meant() -> None:
    rows = [older(0, message("eins")), older(1, done()), older(0, message("zwei"))]
    assert texts(Wanted("two").among(runs(rows), is_running=True)) == ["zwei"]
    assert Wanted("two").among(runs(rows[:2]), is_running=True) == []
