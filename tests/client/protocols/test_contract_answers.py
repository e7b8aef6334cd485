"""The contract of all protocols, on answers: whole, in pieces, cut anywhere, empty, and with things in them that no one knows."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client.protocols.contract import (
    DONE,
    FAILED,
    INTERRUPTED,
    Case,
    Shape,
    Stand,
    is_beginning,
    payload,
    said,
    shape,
    standing,
)
from tests.client.protocols.contract_cases import BACKGROUND, CASES, STRANGE, every, those
from tests.client.protocols.wire import altered, among, byte_by_byte, cut, given, line_ends
from tests.client.turns import Told
from tui.events import Finished
from tui.model import AttemptKind, ItemKind

pytestmark = pytest.mark.usefixtures("nothing_left")

STRIDE = int(os.environ.get("PALAVER_CUT_STRIDE", "211"))
"""Every how many bytes an event is cut. 1 tries every place there is, which takes an hour."""

WORDS = [(case, word) for case in CASES for word in ("", *case.shows)]
words = pytest.mark.parametrize(("case", "word"), WORDS, ids=[f"{case}-{word or 'plain'}" for case, word in WORDS])


def assert_whole(case: Case, word: str, told: Told) -> list[Shape]:
    """That an answer is all there. Gives what there is to see of it."""
    prompt = f"{word} one".strip()
    seen = shape(told.turn)
    kinds = case.shows[word] if word else ("message",)
    assert (told.turn.status, told.words, tuple(kind for kind, *_ in seen)) == (DONE, "", kinds)
    if kinds[-1] == "message":
        assert said(prompt) in told.turn.text
    if word == "think":
        assert told.of(ItemKind.REASONING)[-1][1].endswith((" question.", "bridges..."))
    if word == "tool":
        assert re.search("Hamburg|COUNT|weather", told.of(ItemKind.TOOL_CALL)[0][1])
    for _, text in told.of(ItemKind.TOOL_RESULT) if word == "table" else ():
        rows = json.loads(text)
        assert (rows["columns"], rows["rows"][0]) == (["city", "n"], ["Hamburg", 2496])
    assert bool(told.turn.conversation_id) == case.traits.keeps
    assert [event for event in told.events if isinstance(event, Finished)] == told.events[-1:]
    assert told.saved[-1] == told.shown[-1] == told.turn
    return seen


@words
@pytest.mark.fault("N21", "N23")
async def test_an_answer_is_the_same_however_it_is_cut_into_pieces(case: Case, word: str, tmp_path: Path) -> None:
    prompt = f"{word} one".strip()
    with standing(case, tmp_path) as s:
        whole = assert_whole(case, word, await s.take(prompt))
        s.net.change = byte_by_byte
        assert assert_whole(case, word, await s.take(prompt)) == whole
        s.net.change = line_ends(b"\r\n")
        assert assert_whole(case, word, await s.take(prompt)) == whole
        if case.is_sse:
            s.net.change = line_ends(b"\r")
            assert assert_whole(case, word, await s.take(prompt)) == whole


async def reference(s: Stand) -> tuple[Told, list[bytes]]:
    """A whole answer, and the events it came in."""
    whole = await s.take(s.case.rich)
    assert whole.turn.status is DONE
    *events, rest = bytes(s.net.bodies[-1]).split(s.case.border)
    assert rest == b""
    return whole, events


def is_over(case: Case, events: list[bytes], count: int, more: int, *, breaks: bool) -> bool:
    """Whether an answer's end came within so many events and bytes: an event counts once what ends it came, or, where
    the body ends properly, once it is whole itself."""
    is_whole = not breaks and count < len(events) and more >= len(events[count])
    told = [payload(event) for event in events[: count + is_whole]]
    return any(map(case.ends, told)) or (not breaks and case.may_end_after(told))


def assert_cut(case: Case, whole: Told, told: Told, *, over: bool, where: str) -> None:
    """That an answer that was cut is what came of it, and done only if its end had come."""
    turn = told.turn
    assert turn.run == ""
    if over or (case.named_after >= 0 and turn.status is DONE):
        assert (turn.status, told.exit_status) == (DONE, 0), where
        assert shape(turn) == shape(whole.turn) or case.protocol == "docker-agent", where
        assert is_beginning(shape(turn), shape(whole.turn))
        assert bool(turn.conversation_id) == case.traits.keeps
        return
    assert turn.status is (INTERRUPTED if turn.has_output else FAILED), where
    assert told.exit_status in ((7,) if turn.has_output else (5, 6)), where
    assert turn.error is not None
    assert (turn.conversation_id, turn.error.message != "") == ("", True), where
    assert is_beginning(shape(turn), shape(whole.turn)), where


@pytest.mark.parametrize("breaks", [True, False], ids=["lost", "ended"])
@pytest.mark.parametrize("case", [*CASES, *BACKGROUND], ids=str)
@pytest.mark.fault("N15", "N16", "N18", "N19")
async def test_a_cut_answer_is_done_only_after_its_own_end(case: Case, breaks: bool, tmp_path: Path) -> None:
    with standing(case, tmp_path) as s:
        whole, events = await reference(s)
        for count in range(len(events) + 1):
            size = len(events[count]) if count < len(events) else 0
            for more in range(0, size + 1, STRIDE):
                s.net.sent.clear()
                s.net.change = cut(count, more, case.border, breaks=breaks)
                told = await s.take(case.rich)
                where = f"cut after {count} events and {more} bytes"
                over = is_over(case, events, count, more, breaks=breaks)
                assert_cut(case, whole, told, over=over, where=where)
                assert len(s.net.turns) == 1, where
                kinds = [attempt.kind for attempt in told.turn.attempts]
                assert kinds in ([AttemptKind.FIRST], [AttemptKind.FIRST, AttemptKind.RESUMED]), where
                is_named = 0 <= case.named_after <= count and (breaks or count or more)
                assert told.turn.status is DONE or not is_named, where


@pytest.mark.parametrize("times", [3, 99], ids=["a while", "for good"])
@pytest.mark.parametrize("case", BACKGROUND, ids=str)
@pytest.mark.fault("N02", "N14", "N15")
async def test_a_prompt_is_sent_once_wherever_it_is_cut_and_however_long_its_server_is_away(
    case: Case, times: int, tmp_path: Path
) -> None:
    with standing(case, tmp_path) as s:
        whole, events = await reference(s)
        away = [0]

        async def refuse(request: httpx.Request) -> None:
            if request.method == "GET" and away[0]:
                away[0] -= 1
                raise httpx.ConnectError("refused by the test")

        s.net.before = refuse
        for count in range(len(events)):
            s.net.sent.clear()
            s.net.change = cut(count, 0, case.border, breaks=True)
            away[0] = times
            told = await s.take(case.rich)
            assert len(s.net.turns) == 1
            assert is_beginning(shape(told.turn), shape(whole.turn))
            if count < case.named_after:
                assert (told.turn.status, told.turn.run, len(s.net.sent)) == (FAILED, "", 1)
            elif times == 3:
                assert (told.turn.status, shape(told.turn), told.turn.run) == (DONE, shape(whole.turn), "")
            else:
                assert (told.turn.status, told.turn.run != "") == (INTERRUPTED, True)
                assert told.exit_status == (7 if told.turn.has_output else 5)


@every
@pytest.mark.fault("N51", "N46")
async def test_what_no_one_knows_is_passed_over_wherever_it_comes(case: Case, tmp_path: Path) -> None:
    with standing(case, tmp_path) as s:
        whole = await s.take(case.rich)
        for strange in (STRANGE if case.is_sse else (), case.unknown):
            s.net.change = among(strange, case.border)
            told = await s.take(case.rich)
            assert (told.turn.status, told.turn.text, told.words) == (DONE, whole.turn.text, "")
            known = [
                one for one in shape(told.turn) if one[0] not in ("notice", "tool_result") or "new" not in str(one)
            ]
            assert [one for one in known if one in shape(whole.turn)] == shape(whole.turn)


def with_more(value: object) -> object:
    """A value, and every one in it, with fields that no one knows."""
    if isinstance(value, dict):
        return {name: with_more(one) for name, one in value.items()} | {"brand_new": {"a": [1, None]}, "x": None}
    return [with_more(one) for one in value] if isinstance(value, list) else value


@every
@pytest.mark.fault("N50")
async def test_fields_no_one_knows_are_passed_over(case: Case, tmp_path: Path) -> None:
    def change(event: bytes) -> bytes:
        value = payload(event)
        if not isinstance(value, dict):
            return event
        start, _, _ = event.partition(b"{")
        return start + json.dumps(with_more(value)).encode() + case.border

    prompt = "think one" if "think" in case.shows else "one"
    with standing(case, tmp_path) as s:
        whole = await s.take(prompt)
        s.net.change = altered(change, case.border)
        told = await s.take(prompt)
        assert (told.turn.status, shape(told.turn)) == (DONE, shape(whole.turn))


WRONG: list[Any] = [None, 5, -1, [], {}, "x", True, [[]], [{}], {"a": [1]}, 1e300, [None]]


def wrong_ones(value: Any) -> Iterator[tuple[str, Any]]:
    """A value again and again, each time with another part of it of a wrong type; with the names on the way to that."""
    named = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in list(named):
        for way, wrong in wrong_ones(one):
            yield f"{name}/{way}", _with(value, name, wrong)
        yield f"{name}", _with(value, name, WRONG[sum(map(ord, str(name))) % len(WRONG)])


def _with(value: Any, name: Any, one: Any) -> Any:
    changed = value.copy()
    changed[name] = one
    return changed


@every
@pytest.mark.fault("N50")
async def test_wrong_types_anywhere_end_in_words_or_do_no_harm(case: Case, tmp_path: Path) -> None:
    """Each field of each kind of event, once; the answer that comes in the server's place is its own but for that."""
    with standing(case, tmp_path) as s:
        _, events = await reference(s)
        head, tried = s.net.heads[-1], set[tuple[str, str]]()
        for place, event in enumerate(events):
            value = payload(event)
            for way, wrong in wrong_ones(value) if isinstance(value, dict) else ():
                if (str(value.get("type")), way) in tried:
                    continue
                tried.add((str(value.get("type")), way))
                changed = event.partition(b"{")[0] + json.dumps(wrong).encode()
                body = case.border.join([*events[:place], changed, *events[place + 1 :], b""])
                s.net.instead = lambda request, body=body: given(200, body, head.headers["content-type"])
                told = await s.take(case.rich)
                assert told.exit_status in (0, 4, 5, 6, 7, 8), f"{way}: {told.words}"
                assert bool(told.words) == (told.turn.status is not DONE), way
                assert told.turn.status is DONE or told.turn.conversation_id == "", way
        assert len(tried) > 10


@every
async def test_an_answer_of_nothing_ends(case: Case, tmp_path: Path) -> None:
    with standing(case, tmp_path) as s:
        told = await s.take("empty one")
        status, words = case.empty
        assert (told.turn.status, told.turn.text) == (status, "")
        assert words in told.words
        assert bool(told.words) == bool(words)
        assert told.exit_status == (0 if status is DONE else 6)
        assert len(s.net.turns) == 1


@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json", ""])
@every
@pytest.mark.fault("N35")
async def test_a_body_of_nothing_ends_in_words(case: Case, content_type: str, tmp_path: Path) -> None:
    with standing(case, tmp_path) as s:
        for body in (b"", b"\n\n \r\n"):
            s.net.instead = lambda request, body=body: given(200, body, content_type)
            told = await s.take("one")
            assert (told.turn.status, told.exit_status) == (FAILED, 6)
            assert told.words.endswith("sent an empty answer.")
            assert told.turn.conversation_id == ""
        assert len(s.net.turns) == 2


@those(lambda case: case.is_sse)
@pytest.mark.fault("N32", "N34")
async def test_what_is_no_answer_is_refused_in_words(case: Case, tmp_path: Path) -> None:
    bodies = {
        "text/html": b"<!doctype html><title>Sign in</title>",
        "text/plain": b"all is well",
        "application/json": b'{"brand": "new"}',
    }
    with standing(case, tmp_path) as s:
        for content_type, body in bodies.items():
            s.net.instead = lambda request, body=body, kind=content_type: given(200, body, kind)
            told = await s.take("one")
            assert (told.turn.status, told.exit_status, told.turn.conversation_id) == (FAILED, 6, "")
        assert len(s.net.turns) == 3
