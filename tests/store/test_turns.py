"""Turns in the store: begun, grown, ended, and read again exactly as they were."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.store.histories import (
    NOW,
    a_mapping,
    a_session,
    a_turn,
    change,
    found,
    is_whole,
    opened,
    rows,
    said,
    saved,
    stream,
    told,
)
from tui.errors import SessionBusy
from tui.model import Attempt, AttemptKind, Failure, Item, ItemKind, TurnStatus, Usage

ITEMS = (
    Item("r", ItemKind.REASONING, "Let me *think*."),
    Item("c", ItemKind.TOOL_CALL, '{"a": 1}', "search", "call_1"),
    Item("o", ItemKind.TOOL_RESULT, "42", "search", "call_1"),
    Item("p", ItemKind.APPROVAL, "{}", "rm", "call_2"),
    Item("n", ItemKind.NOTICE, "a notice"),
    Item("m", ItemKind.MESSAGE, "The answer.\n\n```py\nx\n```"),
    Item("f", ItemKind.MESSAGE, "No.", "refusal"),
    Item("e", ItemKind.MESSAGE),
)
FULL: dict[str, Any] = {
    "items": ITEMS,
    "first_text_at": NOW + 1,
    "ended_at": NOW + 2,
    "usage": Usage(10, 20, 5, None),
    "notes": ("one note", "zwei Notizen ü"),
    "finish": "stop",
    "model": "m-2",
    "conversation_id": "conv_1",
    "attempts": (
        Attempt(1, AttemptKind.FIRST, NOW, NOW + 1, "sent", "", "429: wait"),
        Attempt(2, AttemptKind.FRESH, NOW + 1, NOW + 2, "", "conv_1", "done"),
    ),
}


async def chunks(file: Path) -> list[tuple[Any, ...]]:
    return rows(file, "SELECT position, start, text FROM chunks ORDER BY position, start")


async def test_a_turn_comes_back_as_it_was(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        begun = await store.begin(a_turn(session, profile="p", protocol="responses", origin="https://h:443"), session)
        assert await saved(store, begun) == begun
        done = replace(begun, status=TurnStatus.DONE, **FULL)
        assert await store.save(done, begun, session)
    async with opened(history) as store:
        assert await saved(store, done) == done
        assert await store.turns(session.id) == [replace(done, attempts=())]


@pytest.mark.parametrize("status", [status for status in TurnStatus if status.is_final])
async def test_every_ending_is_kept(history: Path, status: TurnStatus) -> None:
    session = a_session()
    error = Failure("limited", "Too many requests.", "wait", 429, 8)
    async with opened(history) as store:
        begun = await store.begin(a_turn(session), session)
        ended = replace(said(begun, "some", status=status), error=error)
        await store.save(ended, begun, session)
        assert await saved(store, begun) == ended


async def test_turns_have_the_places_they_began_in(history: Path) -> None:
    session, other = a_session(), a_session("other")
    async with opened(history) as store:
        assert await store.turns(session.id) == []
        assert (await store.count(session.id), await store.prompts(session.id)) == (0, [])
        for number in range(7):
            turn = await told(store, session, f"p{number}", f"a{number}", depth=99)
            assert turn.depth == number
            await told(store, other)
        assert await store.count(session.id) == 7
        assert [turn.depth for turn in await store.turns(session.id)] == list(range(7))
        assert [turn.prompt for turn in await store.turns(session.id, 2, 5)] == ["p2", "p3", "p4"]
        assert [turn.prompt for turn in await store.turns(session.id, 5)] == ["p5", "p6"]
        assert await store.turns(session.id, 3, 3) == await store.turns(session.id, 7, 9) == []
        assert await store.prompts(session.id) == [f"p{number}" for number in range(7)]
        assert await store.turn("no-such-id") is None
        assert await store.turns("no-such-id") == []


async def test_prompts_are_the_newest_ones(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        for number in range(203):
            await store.begin(a_turn(session, f"p{number}", status=TurnStatus.DONE), session)
        assert await store.prompts(session.id) == [f"p{number}" for number in range(3, 203)]


async def test_growing_text_is_added_and_folded_at_the_end(history: Path) -> None:
    session = a_session()
    texts = ["", "one", "one two", "one two", "one two three é🦊", "one two three é🦊 four"]
    async with opened(history) as store:
        last = await store.begin(a_turn(session), session)
        for text in texts:
            turn = replace(last, items=(ITEMS[0], Item("m", ItemKind.MESSAGE, text)), status=TurnStatus.STREAMING)
            assert await store.save(turn, last, session)
            assert await saved(store, turn) == turn
            assert await store.turns(session.id) == [turn]
            last = turn
        assert await chunks(history) == [(2, 0, "one"), (2, 3, " two"), (2, 7, " three é🦊"), (2, 16, " four")]
        assert rows(history, "SELECT text FROM items WHERE position = 2") == [("",)]
        done = replace(last, status=TurnStatus.DONE, items=(ITEMS[0], Item("m", ItemKind.MESSAGE, texts[-1] + " five")))
        await store.save(done, last, session)
        assert await saved(store, done) == done
        assert await chunks(history) == []
        assert rows(history, "SELECT text FROM items WHERE position = 2") == [(texts[-1] + " five",)]


@pytest.mark.parametrize(
    "after",
    [
        (Item("m", ItemKind.MESSAGE, "other text"),),
        (Item("m", ItemKind.MESSAGE, "shor"),),
        (Item("m", ItemKind.MESSAGE, ""),),
        (Item("x", ItemKind.MESSAGE, "short and longer"),),
        (Item("m", ItemKind.REASONING, "short and longer"),),
        (Item("m", ItemKind.MESSAGE, "short and longer", "refusal"),),
        (Item("m", ItemKind.MESSAGE, "short", "", "call_9"),),
        (ITEMS[1], Item("m", ItemKind.MESSAGE, "short and")),
        (),
    ],
    ids=lambda items: "+".join(f"{item.key}:{item.text}" for item in items) or "nothing",
)
async def test_items_are_replaced_whole(history: Path, after: tuple[Item, ...]) -> None:
    session = a_session()
    async with opened(history) as store:
        begun = await store.begin(a_turn(session), session)
        one = said(begun, "sho", "second")
        two = said(begun, "short", "second and")
        replaced = replace(two, items=after)
        grown = replace(two, items=tuple(replace(item, text=item.text + "!") for item in after))
        done = replace(grown, status=TurnStatus.DONE)
        for before, turn in ((begun, one), (one, two), (two, replaced), (replaced, grown), (grown, done)):
            await store.save(turn, before, session)
            assert await saved(store, turn) == turn
    assert is_whole(history)


async def test_a_retry_adds_an_attempt_and_never_a_turn(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        begun = await store.begin(a_turn(session), session)
        first = replace(begun, attempts=(Attempt(1, AttemptKind.FIRST, NOW),))
        failed = replace(begun, attempts=(Attempt(1, AttemptKind.FIRST, NOW, NOW + 1, outcome="gone"),))
        second = replace(failed, attempts=(*failed.attempts, Attempt(2, AttemptKind.RETRY, NOW + 2)))
        for before, turn in ((begun, first), (first, failed), (failed, second)):
            await store.save(turn, before, session)
            assert await saved(store, turn) == turn
        assert await store.count(session.id) == 1
        change(history, "UPDATE attempts SET kind = 'unheard of' WHERE number = 2")
        assert [one.outcome for one in (await saved(store, second)).attempts] == ["gone", ""]


# Saved again, late, or over something else


@pytest.mark.parametrize("final", [False, True])
async def test_the_same_snapshot_twice_is_saved_once(history: Path, final: bool) -> None:
    session = a_session()
    async with opened(history) as store:
        begun = await store.begin(a_turn(session), session)
        states = stream(begun)
        await store.save(states[0], begun, session)
        last = states[-1] if final else states[1]
        for since in (states[0], last, states[0], None, begun):
            await store.save(last, since, session)
            assert await saved(store, last) == last
        assert await store.count(session.id) == 1
    assert is_whole(history)


@pytest.mark.parametrize("since", [None, 0, 1, 2, 3], ids=["none", "begun", "one", "one two", "one two three"])
@pytest.mark.parametrize("final", [False, True])
async def test_a_stale_notion_of_what_is_on_disk_does_no_harm(history: Path, since: int | None, final: bool) -> None:
    session = a_session()
    async with opened(history) as store:
        begun = await store.begin(a_turn(session), session)
        states = [begun, *stream(begun)]
        for before, turn in pairwise(states[:4]):
            await store.save(turn, before, session)
        # A copy equal to what was saved last is not proof of having been saved last either.
        notion = None if since is None else replace(states[since])
        last = states[-1] if final else states[4]
        await store.save(last, notion, session)
        assert await saved(store, last) == last
        ended = said(begun, last.text + " The end.", status=TurnStatus.DONE)
        await store.save(ended, last, session)
        assert await saved(store, ended) == ended
    assert is_whole(history)
    assert found(history, "end") == [ended.text]


async def test_two_stores_that_save_one_turn_do_not_mix_its_text(history: Path) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        begun = await store.begin(a_turn(session), session)
        states = stream(begun)
        await store.save(states[0], begun, session)
        await other.save(states[2], None, session)
        await other.save(states[3], states[2], session)
        await store.save(states[-1], None, session)
        assert (await saved(other, begun)).text == states[-1].text


async def test_a_turn_that_vanished_is_written_whole(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "first", "one")
        begun = await store.begin(a_turn(session, "second"), session)
        states = stream(begun)
        await store.save(states[0], begun, session)
        change(history, "PRAGMA foreign_keys = ON", f"DELETE FROM turns WHERE id = '{begun.id}'")
        await store.save(states[1], states[0], session)
        assert await saved(store, begun) == states[1]
        change(history, "PRAGMA foreign_keys = ON", "DELETE FROM turns", "DELETE FROM sessions", "DELETE FROM branches")
        assert await store.sessions() == []
        await store.save(states[-1], states[1], session)
        (kept,) = await store.turns(session.id)
        assert (kept.prompt, kept.text, kept.status) == ("second", states[-1].text, TurnStatus.DONE)
        assert [one.label for one in await store.sessions()] == ["work"]


async def test_a_turn_whose_place_was_taken_gets_the_next_one(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        begun = await store.begin(a_turn(session, "mine"), session)
        change(history, "PRAGMA foreign_keys = ON", f"DELETE FROM turns WHERE id = '{begun.id}'")
        await told(store, session, "theirs", "there")
        await store.save(stream(begun)[-1], begun, session)
        assert [(turn.depth, turn.prompt) for turn in await store.turns(session.id)] == [(0, "theirs"), (1, "mine")]


async def test_a_turn_and_the_conversation_it_moved_are_saved_in_one_go(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        begun = await store.begin(a_turn(session), session)
        change(
            history,
            "CREATE TRIGGER refuse BEFORE INSERT ON conversations BEGIN SELECT RAISE(ABORT, 'not now'); END",
        )
        done = said(begun, "hi", status=TurnStatus.DONE)
        assert not await store.save(done, begun, session, a_mapping(session))
        assert rows(history, "SELECT status FROM turns") == [("pending",)]
        assert await saved(store, begun) == done
        change(history, "DROP TRIGGER refuse")
        await store._heal()
        assert not store.health.unsaved
        assert rows(history, "SELECT status FROM turns") == [("done",)]
        assert rows(history, "SELECT conversation_id FROM conversation_map") == [("conv",)]


@pytest.mark.fault("C25")
async def test_one_window_answers_in_a_session(history: Path) -> None:
    session = a_session()
    async with opened(history) as store, opened(history) as other:
        begun = await store.begin(a_turn(session, "first"), session)
        with pytest.raises(SessionBusy, match=r"another window \(process \d+\)"):
            await other.begin(a_turn(session, "second"), session)
        assert [turn.prompt for turn in await other.turns(session.id)] == ["first"]
        await store.save(said(begun, "hi", status=TurnStatus.DONE), begun, session)
        assert (await other.begin(a_turn(session, "second"), session)).depth == 1


"""What is told of an answer whose window died."""


# Texts of all kinds


@pytest.mark.fault("D34", "T25", "T07")
async def test_what_sqlite_cannot_keep_is_mended_piece_by_piece(history: Path) -> None:
    session = a_session()
    pieces = ["a\ud83d", "\ude00b", "\x00", "c\x00\x00", "\udfff"]
    async with opened(history) as store:
        last = await store.begin(a_turn(session, "\ud800?\x00"), session)
        text = ""
        for piece in pieces:
            text += piece
            turn = said(last, text)
            await store.save(turn, last, session)
            last = turn
        mended = "a\ufffd\ufffdb\u2400c\u2400\u2400\ufffd"
        assert (await saved(store, last)).text == mended
        done = replace(
            said(last, text, status=TurnStatus.DONE),
            notes=(text,),
            error=Failure("refused", text, text),
            conversation_id=text,
            usage=Usage(1 << 63, -(1 << 63) - 1, 10**30, (1 << 63) - 1),
            attempts=(Attempt(1, AttemptKind.FIRST, NOW, NOW, text, text, text),),
        )
        await store.save(done, last, session)
        kept = await saved(store, done)
        assert (kept.prompt, kept.text, kept.notes, kept.conversation_id) == (
            "\ufffd?\u2400",
            mended,
            (mended,),
            mended,
        )
        assert kept.error == Failure("refused", mended, mended)
        assert kept.attempts == (Attempt(1, AttemptKind.FIRST, NOW, NOW, mended, mended, mended),)
        assert kept.usage == Usage(None, None, None, (1 << 63) - 1)
        assert rows(history, "SELECT text FROM messages WHERE role = 'assistant'") == [(mended,)]


@pytest.mark.fault("D35")
async def test_invalid_utf8_in_the_file_spoils_only_its_row(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        first, second = await told(store, session, "first", "one"), await told(store, session, "second", "two")
        change(
            history,
            f"UPDATE items SET text = CAST(x'6fff6e65' AS TEXT) WHERE turn_id = '{first.id}' AND position = 1",
            f"UPDATE turns SET model = CAST(x'ff' AS TEXT), notes = CAST(x'ff' AS TEXT) WHERE id = '{first.id}'",
        )
        assert [(turn.text, turn.model) for turn in await store.turns(session.id)] == [
            ("o\ufffdne", "\ufffd"),
            ("two", ""),
        ]
        assert await saved(store, second) == second
        assert store.health.message == ""


async def test_ten_megabytes(history: Path) -> None:
    session = a_session()
    text = "0123456789abcdé " * (10 * 1024 * 1024 // 16)
    async with opened(history) as store:
        begun = await store.begin(a_turn(session), session)
        half = said(begun, text[: len(text) // 2])
        whole = said(begun, text)
        await store.save(half, begun, session)
        await store.save(whole, half, session)
        assert await saved(store, whole) == whole
        done = replace(whole, status=TurnStatus.DONE)
        await store.save(done, whole, session)
        assert await saved(store, done) == done
        assert store.health.message == ""


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE turns SET notes = 'not json', error = '{', status = 'soon'",
        "UPDATE turns SET notes = '5', error = '[]'",
        "UPDATE turns SET error = '{\"unknown\": 1}'",
        "UPDATE items SET kind = 'hologram' WHERE position = 1",
        "UPDATE turns SET session_id = 'nobody'",
        "INSERT INTO items (turn_id, position, kind, text) VALUES ('nobody', 1, 'message', 'lost')",
        "INSERT INTO attempts VALUES ('nobody', 1, 'first', 0, NULL, '', '', '')",
        "UPDATE branches SET parent_id = 'nobody'",
        "UPDATE turns SET depth = 40",
    ],
)
async def test_a_hand_in_the_file_never_hides_a_turn(history: Path, statement: str) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "hello", "hi")
        change(history, statement)
        (turn,) = await store.turns(session.id)
        assert turn.prompt == "hello"
        assert [item.text for item in turn.items] == ["hi"]
        assert await store.turn(turn.id) == turn
        more = await told(store, session, "more", "of it")
        assert [one.prompt for one in await store.turns(session.id)] == ["hello", "more"]
        assert more.depth > turn.depth
        assert store.health.message == ""


@pytest.mark.parametrize(
    ("written", "error"),
    [
        ("{", Failure("error", "{")),
        ("[]", Failure("error", "[]")),
        ('{"unknown": 1}', Failure("error", '{"unknown": 1}')),
        ('{"kind": "refused", "message": "no"}', Failure("refused", "no")),
        ("", None),
    ],
)
async def test_an_error_that_cannot_be_read_is_shown_as_it_stands(
    history: Path, written: str, error: Failure | None
) -> None:
    session = a_session()
    async with opened(history) as store:
        turn = await told(store, session)
        change(history, f"UPDATE turns SET error = '{written}'")
        assert await store.turn(turn.id) == replace(turn, error=error)


async def test_a_session_whose_branch_is_lost_can_be_used(history: Path) -> None:
    session = a_session()
    async with opened(history) as store:
        await told(store, session, "hello", "hi")
        change(history, "DELETE FROM branches")
        assert await store.turns(session.id) == []
        assert await store.count(session.id) == 0
        await told(store, session, "more", "of it")
        assert [turn.prompt for turn in await store.turns(session.id)] == ["hello", "more"]


# At once


async def test_no_query_reads_a_whole_table(history: Path) -> None:
    """What a session costs depends on the session, not on the history."""
    session = a_session()
    seen: set[str] = set()
    async with opened(history) as store:

        def watch(conn: sqlite3.Connection) -> None:
            conn.set_trace_callback(seen.add)

        await store.read(watch, None)
        for number in range(3):
            begun = await store.begin(a_turn(session, f"p{number}"), session, "title")
            states = stream(begun)
            for state, before in zip(states, [begun, *states], strict=False):
                await store.save(state, before, session, a_mapping(session))
                await store.turns(session.id)
            await store.turn(begun.id)
        await store.session(session.id)
        await store.find("work")
        await store.prompts(session.id)
        await store.count(session.id)
        await store.conversations.get(session.id, "https://host:443", "responses", "")
        await store.watch.poll(1)
        await store.update(session.id, draft="x", unread=True, touch=True)
        await store.read(lambda conn: conn.set_trace_callback(None), None)
    queries = [
        query for query in seen if re.match(r"\s*(SELECT|WITH|UPDATE|DELETE|INSERT)", query) and "_fts" not in query
    ]
    assert len(queries) > 30
    scans = {
        (query, step)
        for query in queries
        for *_, step in rows(history, f"EXPLAIN QUERY PLAN {query}")
        if re.match(r"SCAN (t|i|c|s|turns|items|chunks|sessions|conversations|attempts|branches)\b", step)
    }
    assert scans == set()
